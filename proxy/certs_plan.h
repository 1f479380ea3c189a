/* Which certificates there are to be, where, for whom, and from which CA. */
#ifndef DIND_PROXY_PROXY_CERTS_PLAN_H
#define DIND_PROXY_PROXY_CERTS_PLAN_H

#include <limits.h>
#include <stdbool.h>

#include "proxy/certs.h"
#include "proxy/error.h"
#include "tls/issue.h"

/* In the order in which they are made: CAs first. */
enum certs_place {
    CERTS_AGENT_AUTHORITY,
    CERTS_DIND_AUTHORITY,
    CERTS_DIND_SERVER,
    CERTS_DIND_CLIENT,
    CERTS_PROXY_CLIENT,
    CERTS_PROXY_SERVER,
    CERTS_AGENT,
    CERTS_PLACES,
};

struct certs_item {
    bool wanted;
    char folder[PATH_MAX];
    char source[PATH_MAX]; /* the folder to copy from; empty: issued here */
    enum tls_role role;
    const char *common_name;
    const struct certs_names *names; /* NULL: none */
    enum certs_place issuer;
    const struct certs_owner *owner;
};

/* Points into the settings. */
struct certs_plan {
    struct certs_item items[CERTS_PLACES];
    char proxy_folder[PATH_MAX];
};

/* Refuses places that would put a CA's key within reach of the agent, the proxy or the engine. 0 or
 * -1. */
int certs_plan_make(const struct certs_settings *settings, struct certs_plan *plan,
                    struct error *error);

/* Whether a CA of that common name is one that this program makes. */
bool certs_plan_is_own_authority(const char *common_name);

#endif
