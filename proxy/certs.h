/* What `dind-proxy certs` is asked to do. proxy/certs.md says what it makes and why. */
#ifndef DIND_PROXY_PROXY_CERTS_H
#define DIND_PROXY_PROXY_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tls/alt_name.h"

/* Which CA the agent's certificate comes from. */
enum certs_layout {
    CERTS_SPLIT,  /* one of its own, which the engine does not trust */
    CERTS_SHARED, /* dind's */
};

/* Whose work the certificates of the engine's hop are. */
enum certs_engine {
    CERTS_ENGINE_MAKE,   /* ours */
    CERTS_ENGINE_IMPORT, /* dind makes them, we copy what the proxy needs */
    CERTS_ENGINE_NONE,   /* that hop has no TLS */
};

enum certs_renewal {
    CERTS_RENEW_DUE,   /* what has less than a third of its life left */
    CERTS_RENEW_CERTS, /* all but the CAs, with new keys */
    CERTS_RENEW_ALL,   /* the CAs too */
};

enum { CERTS_MAX_NAMES = 32, CERTS_MAX_DAYS = 36500 };

struct certs_owner {
    uid_t user;  /* (uid_t)-1: not said */
    gid_t group; /* (gid_t)-1: not said */
};

struct certs_names {
    struct tls_alt_name list[CERTS_MAX_NAMES];
    size_t count;
};

/* All strings are owned. */
struct certs_settings {
    enum certs_layout layout;
    enum certs_engine engine;
    enum certs_renewal renewal;
    bool check; /* write nothing */
    char *folder;
    char *agent_authority_folder; /* NULL, as the next three: the usual place below `folder` */
    char *agent_folder;
    char *proxy_folder;
    char *dind_folder;
    struct certs_names proxy_names;
    struct certs_names dind_names;
    char *agent_name;
    unsigned days;
    unsigned authority_days;
    struct certs_owner agent_owner;
    struct certs_owner proxy_owner;
    struct certs_owner dind_owner;
};

void certs_settings_free(struct certs_settings *settings);

#endif
