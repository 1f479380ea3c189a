#include "proxy/import_env.h"

#include <stdlib.h>
#include <string.h>

enum {
    T = 1 << IMPORT_TECNATIVA,
    M = 1 << IMPORT_TECNATIVA_METHODS,
    L = 1 << IMPORT_LINUXSERVER,
    ALL = T | M | L,
};

enum role {
    METHOD,  /* permits a method; GET and HEAD need no permission */
    SECTION, /* opens what begins with the path */
    ACTION,  /* the same, where linuxserver.io asks for no method */
    GUARD,   /* keeps closed what begins with the path while it is off */
};

struct import_switch {
    const char *name;
    unsigned dialects;
    enum role role;
    const char *what; /* the method, "*" for all; or the beginning of a path */
    bool fallback;
};

#define CONTAINER(action) "/containers/{name}/" action

static const struct import_switch switches[] = {
    {"POST", T | L, METHOD, "*", false},
    {"POST", M, METHOD, "POST", false},
    {"PUT", M, METHOD, "PUT", false},
    {"PATCH", M, METHOD, "PATCH", false},
    {"DELETE", M, METHOD, "DELETE", false},

    {"AUTH", ALL, SECTION, "/auth", false},
    {"BUILD", ALL, SECTION, "/build", false},
    {"COMMIT", ALL, SECTION, "/commit", false},
    {"CONFIGS", ALL, SECTION, "/configs", false},
    {"CONTAINERS", ALL, SECTION, "/containers", false},
    {"DISTRIBUTION", ALL, SECTION, "/distribution", false},
    {"EVENTS", ALL, SECTION, "/events", true},
    {"EXEC", ALL, SECTION, "/exec", false},
    {"GRPC", ALL, SECTION, "/grpc", false},
    {"IMAGES", ALL, SECTION, "/images", false},
    {"INFO", ALL, SECTION, "/info", false},
    {"NETWORKS", ALL, SECTION, "/networks", false},
    {"NODES", ALL, SECTION, "/nodes", false},
    {"PING", ALL, SECTION, "/_ping", true},
    {"PLUGINS", ALL, SECTION, "/plugins", false},
    {"SECRETS", ALL, SECTION, "/secrets", false},
    {"SERVICES", ALL, SECTION, "/services", false},
    {"SESSION", ALL, SECTION, "/session", false},
    {"SWARM", ALL, SECTION, "/swarm", false},
    {"SYSTEM", ALL, SECTION, "/system", false},
    {"TASKS", ALL, SECTION, "/tasks", false},
    {"VERSION", ALL, SECTION, "/version", true},
    {"VOLUMES", ALL, SECTION, "/volumes", false},

    {"ALLOW_START", ALL, ACTION, CONTAINER("start"), false},
    {"ALLOW_STOP", ALL, ACTION, CONTAINER("stop"), false},
    {"ALLOW_RESTARTS", ALL, ACTION, CONTAINER("stop"), false},
    {"ALLOW_RESTARTS", ALL, ACTION, CONTAINER("restart"), false},
    {"ALLOW_RESTARTS", ALL, ACTION, CONTAINER("kill"), false},
    {"ALLOW_PAUSE", M | L, ACTION, CONTAINER("pause"), false},
    {"ALLOW_UNPAUSE", M | L, ACTION, CONTAINER("unpause"), false},

    {"ALLOW_EXEC", M, GUARD, CONTAINER("exec"), false},
    {"ALLOW_KILL", M, GUARD, CONTAINER("kill"), false},
    {"ALLOW_ATTACH", M, GUARD, CONTAINER("attach"), false},
    {"ALLOW_ARCHIVE", M | L, GUARD, CONTAINER("archive"), false},
    {"ALLOW_CHANGES", L, GUARD, CONTAINER("changes"), false},
    {"ALLOW_EXPORT", M | L, GUARD, CONTAINER("export"), false},
    {"ALLOW_LOGS", M | L, GUARD, CONTAINER("logs"), false},
    {"ALLOW_TOP", L, GUARD, CONTAINER("top"), false},
};

enum { SWITCHES = sizeof switches / sizeof *switches };

_Static_assert(sizeof switches / sizeof *switches <= IMPORT_MAX_SWITCHES,
               "struct import_env has a place for each");

/* What those proxies are told besides, and what options or nothing stand for here. */
static const char *const others[] = {"SOCKET_PATH", "LOG_LEVEL", "DISABLE_IPV6", "BIND_CONFIG",
                                     "TZ"};

static bool counts(const struct import_env *env, size_t index) {
    return (switches[index].dialects >> (unsigned)env->dialect & 1u) != 0;
}

void import_env_init(struct import_env *env, enum import_dialect dialect) {
    *env = (struct import_env){.dialect = dialect};
    for (size_t i = 0; i < SWITCHES; i++)
        env->on[i] = switches[i].fallback;
}

/* HAProxy takes numbers alone for true or false, and takes another word for false. Whoever wrote
 * one meant something, so it is better to ask. */
static int read_value(const char *name, const char *value, bool *on, struct error *error) {
    char *end = NULL;
    long number = strtol(value, &end, 10);
    if (*end != '\0')
        return error_set(error, "%s=%.60s: must be 0 or 1", name, value);
    *on = number != 0;
    return 0;
}

int import_env_set(struct import_env *env, const char *name, const char *value,
                   enum import_name *kind, struct error *error) {
    bool on = false;
    *kind = IMPORT_UNKNOWN;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i], name) == 0)
            *kind = IMPORT_OTHER_SETTING;
    for (size_t i = 0; i < SWITCHES; i++) {
        if (strcmp(switches[i].name, name) != 0)
            continue;
        if (read_value(name, value, &on, error) != 0)
            return -1;
        env->on[i] = on;
        if (counts(env, i))
            *kind = IMPORT_SWITCH;
        else if (*kind == IMPORT_UNKNOWN)
            *kind = IMPORT_FOREIGN_SWITCH;
    }
    return 0;
}

static bool begins(const char *path, const char *beginning) {
    return strncmp(path, beginning, strlen(beginning)) == 0;
}

/* Whether any switch of that role that is on applies to the path, or in a METHOD's case to the
 * method. */
static bool any(const struct import_env *env, enum role role, const char *path,
                struct slice method) {
    for (size_t i = 0; i < SWITCHES; i++) {
        const char *what = switches[i].what;
        if (!counts(env, i) || !env->on[i] || switches[i].role != role)
            continue;
        if (role == METHOD ? strcmp(what, "*") == 0 || slice_equal(method, slice_from_string(what))
                           : begins(path, what))
            return true;
    }
    return false;
}

static bool guarded(const struct import_env *env, const char *path) {
    for (size_t i = 0; i < SWITCHES; i++)
        if (counts(env, i) && !env->on[i] && switches[i].role == GUARD &&
            begins(path, switches[i].what))
            return true;
    return false;
}

/* Routes that ended before the lowest version that is ever served. */
static bool is_gone(const struct endpoint *endpoint) {
    enum { LOWEST = 24 };
    return endpoint->until != 0 && endpoint->until < LOWEST;
}

bool import_env_allows(const struct import_env *env, const struct endpoint *endpoint) {
    const char *path = strchr(endpoint->route, ' ');
    if (path == NULL || is_gone(endpoint))
        return false;
    struct slice method = slice_of(endpoint->route, (size_t)(path - endpoint->route));
    path++;
    bool reads = slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD"));
    bool action = any(env, ACTION, path, method);
    if (action && env->dialect == IMPORT_LINUXSERVER)
        return true;
    if ((!reads && !any(env, METHOD, path, method)) || guarded(env, path))
        return false;
    return action || any(env, SECTION, path, method);
}
