#include "proxy/certs_plan.h"

#include <stdio.h>
#include <string.h>

static const struct certs_owner nobody_named = {(uid_t)-1, (gid_t)-1};

/* The folder's place below that of --dir or of another option. */
static const struct {
    const char *base; /* below the folder that the next member of the settings may name */
    const char *below;
    enum tls_role role;
    const char *common_name;
} places[CERTS_PLACES] = {
    [CERTS_AGENT_AUTHORITY] = {"agent-ca", "", TLS_ROLE_AUTHORITY, "dind-proxy agent CA"},
    [CERTS_DIND_AUTHORITY] = {"dind", "/ca", TLS_ROLE_AUTHORITY, "dind-proxy dind CA"},
    [CERTS_DIND_SERVER] = {"dind", "/server", TLS_ROLE_SERVER, "dind"},
    [CERTS_DIND_CLIENT] = {"dind", "/client", TLS_ROLE_CLIENT, "dind-client"},
    [CERTS_PROXY_CLIENT] = {"proxy", "/client", TLS_ROLE_CLIENT, "dind-proxy"},
    [CERTS_PROXY_SERVER] = {"proxy", "/server", TLS_ROLE_SERVER, "dind-proxy"},
    [CERTS_AGENT] = {"agent", "", TLS_ROLE_CLIENT, NULL},
};

bool certs_plan_is_own_authority(const char *common_name) {
    for (size_t i = 0; i < CERTS_PLACES; i++)
        if (places[i].role == TLS_ROLE_AUTHORITY && strcmp(places[i].common_name, common_name) == 0)
            return true;
    return false;
}

/* Without slashes at the end. */
static int join(char path[PATH_MAX], const char *folder, const char *base, const char *below,
                struct error *error) {
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    int written = snprintf(path, PATH_MAX, "%.*s%s%s%s", (int)length, folder,
                           base[0] != '\0' ? "/" : "", base, below);
    return written > 0 && written < PATH_MAX ? 0
                                             : error_set(error, "%.100s: too long a name", folder);
}

static int place_item(const struct certs_settings *settings, enum certs_place place,
                      struct certs_item *item, struct error *error) {
    const char *const named[CERTS_PLACES] = {
        [CERTS_AGENT_AUTHORITY] = settings->agent_authority_folder,
        [CERTS_DIND_AUTHORITY] = settings->dind_folder,
        [CERTS_DIND_SERVER] = settings->dind_folder,
        [CERTS_DIND_CLIENT] = settings->dind_folder,
        [CERTS_PROXY_CLIENT] = settings->proxy_folder,
        [CERTS_PROXY_SERVER] = settings->proxy_folder,
        [CERTS_AGENT] = settings->agent_folder,
    };
    item->role = places[place].role;
    item->common_name = places[place].common_name;
    return named[place] != NULL ? join(item->folder, named[place], "", places[place].below, error)
                                : join(item->folder, settings->folder, places[place].base,
                                       places[place].below, error);
}

static void choose(const struct certs_settings *settings, struct certs_plan *plan) {
    struct certs_item *items = plan->items;
    bool shared = settings->layout == CERTS_SHARED;
    bool make = settings->engine == CERTS_ENGINE_MAKE;
    bool import = settings->engine == CERTS_ENGINE_IMPORT;
    enum certs_place agents = shared ? CERTS_DIND_AUTHORITY : CERTS_AGENT_AUTHORITY;

    items[CERTS_AGENT_AUTHORITY].wanted = !shared;
    items[CERTS_DIND_AUTHORITY].wanted = make;
    items[CERTS_DIND_SERVER].wanted = make;
    items[CERTS_DIND_CLIENT].wanted = make;
    items[CERTS_PROXY_CLIENT].wanted = make || import;
    items[CERTS_PROXY_SERVER].wanted = true;
    items[CERTS_AGENT].wanted = true;

    for (size_t i = 0; i < CERTS_PLACES; i++) {
        items[i].issuer = i == CERTS_AGENT_AUTHORITY ? CERTS_AGENT_AUTHORITY : CERTS_DIND_AUTHORITY;
        items[i].owner = &nobody_named;
    }
    items[CERTS_PROXY_SERVER].issuer = items[CERTS_AGENT].issuer = agents;
    items[CERTS_PROXY_SERVER].names = &settings->proxy_names;
    items[CERTS_DIND_SERVER].names = &settings->dind_names;
    items[CERTS_AGENT].common_name = settings->agent_name;
    items[CERTS_AGENT].owner = &settings->agent_owner;
    items[CERTS_PROXY_SERVER].owner = items[CERTS_PROXY_CLIENT].owner = &settings->proxy_owner;
    items[CERTS_DIND_SERVER].owner = items[CERTS_DIND_CLIENT].owner = &settings->dind_owner;
}

/* Where dind makes its own: the proxy's half of that, and in the shared layout the agent's too. */
static void choose_sources(const struct certs_settings *settings, struct certs_plan *plan) {
    struct certs_item *items = plan->items;
    const char *client = items[CERTS_DIND_CLIENT].folder;
    if (settings->engine != CERTS_ENGINE_IMPORT)
        return;
    memcpy(items[CERTS_PROXY_CLIENT].source, client, PATH_MAX);
    if (settings->layout != CERTS_SHARED)
        return;
    memcpy(items[CERTS_AGENT].source, client, PATH_MAX);
    memcpy(items[CERTS_PROXY_SERVER].source, items[CERTS_DIND_SERVER].folder, PATH_MAX);
}

/* The same folder, or one below. By their names; links are the business of who made them. */
static bool is_within(const char *inner, const char *outer) {
    size_t length = strlen(outer);
    return strncmp(inner, outer, length) == 0 &&
           (inner[length] == '\0' || inner[length] == '/' || strcmp(outer, "/") == 0);
}

static int check_places(const struct certs_plan *plan, struct error *error) {
    const struct certs_item *items = plan->items;
    for (size_t i = 0; i < CERTS_PLACES; i++) {
        if (i != CERTS_AGENT && is_within(items[i].folder, items[CERTS_AGENT].folder))
            return error_set(error, "%s is for the agent alone, and %s lies in it",
                             items[CERTS_AGENT].folder, items[i].folder);
        if (items[i].role != TLS_ROLE_AUTHORITY)
            continue;
        for (size_t j = 0; j < CERTS_PLACES; j++)
            if (items[j].role != TLS_ROLE_AUTHORITY && is_within(items[i].folder, items[j].folder))
                return error_set(error, "the CA's folder %s lies in %s, which others are given",
                                 items[i].folder, items[j].folder);
        if (is_within(items[i].folder, plan->proxy_folder))
            return error_set(error, "the CA's folder %s lies in %s, which the proxy is given",
                             items[i].folder, plan->proxy_folder);
    }
    for (size_t i = 0; i < CERTS_PLACES; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(items[i].folder, items[j].folder) == 0)
                return error_set(error, "%s is named for two things", items[i].folder);
    return 0;
}

int certs_plan_make(const struct certs_settings *settings, struct certs_plan *plan,
                    struct error *error) {
    *plan = (struct certs_plan){0};
    for (size_t i = 0; i < CERTS_PLACES; i++)
        if (place_item(settings, (enum certs_place)i, &plan->items[i], error) != 0)
            return -1;
    const char *proxy = plan->items[CERTS_PROXY_SERVER].folder;
    (void)snprintf(plan->proxy_folder, sizeof plan->proxy_folder, "%.*s",
                   (int)(strlen(proxy) - strlen(places[CERTS_PROXY_SERVER].below)), proxy);
    choose(settings, plan);
    choose_sources(settings, plan);
    return check_places(plan, error);
}
