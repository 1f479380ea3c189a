/* The command import-env. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/cleanup.h"
#include "proxy/command.h"
#include "proxy/import_env.h"

enum { MAX_LINE = 4096 };

static void note(const char *name, enum import_name kind) {
    static const char *const texts[] = {
        [IMPORT_OTHER_SETTING] = "is no switch: see the options of dind-proxy",
        [IMPORT_FOREIGN_SWITCH] = "is no switch of that proxy's version (--dialect)",
        [IMPORT_UNKNOWN] = "is not known",
    };
    if (kind != IMPORT_SWITCH)
        (void)fprintf(stderr, "dind-proxy: %.60s %s; it is left out\n", name, texts[kind]);
}

/* The names that are switches: what else is in an environment is nobody's business here. An empty
 * value is one too, and means off. */
static int read_environment(struct import_env *env, char *const environment[],
                            struct error *error) {
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        enum import_name kind;
        char name[64];
        if (equals == NULL || (size_t)(equals - *environment) >= sizeof name)
            continue;
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - *environment), *environment);
        if (import_env_set(env, name, equals + 1, &kind, error) != 0)
            return -1;
    }
    return 0;
}

/* Lines NAME=VALUE, as docker run --env-file reads them; empty ones and comments count for nothing.
 */
static int read_line(struct import_env *env, char *line, unsigned number, const char *path,
                     struct error *error) {
    struct error detail = {""};
    enum import_name kind;
    char *text = line + strspn(line, " \t");
    text[strcspn(text, "\r\n")] = '\0';
    if (*text == '\0' || *text == '#')
        return 0;
    char *equals = strchr(text, '=');
    if (equals == NULL)
        return error_set(error, "%s:%u: not NAME=VALUE", path, number);
    *equals = '\0';
    if (import_env_set(env, text, equals + 1, &kind, &detail) != 0)
        return error_set(error, "%s:%u: %s", path, number, detail.text);
    note(text, kind);
    return 0;
}

static int read_file(struct import_env *env, const char *path, struct error *error) {
    __attribute__((cleanup(cleanup_file))) FILE *file =
        strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char line[MAX_LINE];
    if (file == NULL)
        return error_set(error, "%s: %s", path, strerror(errno));
    for (unsigned number = 1; fgets(line, sizeof line, file) != NULL; number++)
        if (read_line(env, line, number, path, error) != 0)
            return -1;
    return ferror(file) ? error_set(error, "%s: %s", path, strerror(errno)) : 0;
}

/* The switches say what passes, so the policy does: every route by name, which is easily edited. */
static void print_policy(const struct import_env *env, bool safe) {
    const char *separator = "";
    printf("{\n  \"schema\": 1,\n  \"preset\": \"blocklist\",\n  \"unknown-endpoints\": \"deny\",\n"
           "  \"endpoints\": {\n    \"only\": [");
    for (size_t i = 0; i < endpoint_count; i++) {
        if (!import_env_allows(env, &endpoints[i]) ||
            (safe && endpoints[i].blocklist == ENDPOINT_REFUSE))
            continue;
        printf("%s\n      \"%s\"", separator, endpoints[i].route);
        separator = ",";
    }
    printf("%s]\n  }\n}\n", separator[0] != '\0' ? "\n    " : "");
}

static void warn(const struct import_env *env, bool safe) {
    bool first = true;
    for (size_t i = 0; i < endpoint_count; i++) {
        if (!import_env_allows(env, &endpoints[i]) || endpoints[i].blocklist != ENDPOINT_REFUSE)
            continue;
        if (first)
            (void)fprintf(stderr,
                          safe ? "dind-proxy: left out, for they break out (--safe):\n"
                               : "dind-proxy: that proxy lets these through, and so will this "
                                 "policy; they break out (--safe leaves them out):\n");
        (void)fprintf(stderr, "  %s\n", endpoints[i].route);
        first = false;
    }
}

int command_import_env(const struct options *options) {
    const struct import_settings *settings = &options->config.import;
    struct error error = {""};
    struct import_env env;
    import_env_init(&env, (enum import_dialect)settings->dialect);
    int result = options->argument_count > 0 ? read_file(&env, options->arguments[0], &error)
                                             : read_environment(&env, options->environment, &error);
    if (result != 0)
        return command_fail(EXIT_STATUS_USAGE, &error);
    print_policy(&env, settings->safe);
    (void)fflush(stdout);
    warn(&env, settings->safe);
    return EXIT_STATUS_OK;
}
