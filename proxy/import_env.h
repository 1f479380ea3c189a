/* The environment switches of other filtering socket proxies, read as a policy (import-env.md). */
#ifndef DIND_PROXY_PROXY_IMPORT_ENV_H
#define DIND_PROXY_PROXY_IMPORT_ENV_H

#include <stdbool.h>

#include "filter/endpoints.h"
#include "proxy/error.h"

/* Whose switches, since they do not mean the same everywhere. */
enum import_dialect {
    IMPORT_TECNATIVA,         /* docker-socket-proxy of Tecnativa up to 0.4 */
    IMPORT_TECNATIVA_METHODS, /* its later versions: a switch for each method, and guards */
    IMPORT_LINUXSERVER,       /* socket-proxy of linuxserver.io, version 3 */
};

struct import_settings {
    int dialect; /* enum import_dialect */
    bool safe;   /* leave out what the preset blocklist refuses */
};

enum { IMPORT_MAX_SWITCHES = 64 };

/* Which switches are on. */
struct import_env {
    enum import_dialect dialect;
    bool on[IMPORT_MAX_SWITCHES];
};

/* What a name is in a dialect. */
enum import_name { IMPORT_SWITCH, IMPORT_OTHER_SETTING, IMPORT_FOREIGN_SWITCH, IMPORT_UNKNOWN };

/* All switches at the dialect's defaults. */
void import_env_init(struct import_env *env, enum import_dialect dialect);

/* Sets a switch; `value` is a number, 0 or empty being off. What `name` is goes to `*kind`: other
 * settings, switches of other dialects and unknown names change nothing. 0, or -1 with `error`. */
int import_env_set(struct import_env *env, const char *name, const char *value,
                   enum import_name *kind, struct error *error);

/* Whether that proxy lets requests to the endpoint through. */
bool import_env_allows(const struct import_env *env, const struct endpoint *endpoint);

#endif
