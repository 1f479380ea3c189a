/* All that the command line and the environment say, checked. */
#ifndef DIND_PROXY_PROXY_CONFIG_H
#define DIND_PROXY_PROXY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "filter/filter.h"
#include "proxy/address.h"
#include "proxy/certs.h"
#include "proxy/doctor.h"
#include "proxy/import_env.h"
#include "tls/tls.h"

enum {
    CONFIG_MAX_LISTENERS = 16,
    CONFIG_MAX_BINDS = 64,
};

struct config_listener {
    struct address address;
    bool tls;
    mode_t mode; /* unix: permission bits of the socket */
    uid_t owner; /* unix: (uid_t)-1 leaves it */
    gid_t group; /* unix: (gid_t)-1 leaves it */
};

/* What becomes of a request that the policy refuses. */
enum config_mode {
    CONFIG_ENFORCE, /* it is refused */
    CONFIG_AUDIT,   /* it passes, and the logs say so */
    CONFIG_LEARN,   /* the same, and a policy is written under which it would pass */
};

enum config_log_format { CONFIG_LOG_KEY_VALUE, CONFIG_LOG_JSON };

/* All strings are owned by the configuration. Times are in milliseconds. */
struct config {
    struct config_listener listeners[CONFIG_MAX_LISTENERS];
    size_t listener_count;
    bool insecure_plain_tcp;     /* --insecure-plain-tcp: plain TCP beyond loopback is meant */
    struct tls_files server_tls; /* set when any listener has tls */

    struct address upstream;
    bool upstream_tls;
    struct tls_files upstream_files;
    char *upstream_name; /* what the engine's certificate must be valid for; NULL: its host */

    int kernel_tls; /* enum tls_kernel_mode, for both hops */

    unsigned workers;
    unsigned max_connections;
    size_t max_header_bytes;
    size_t max_judged_body;
    unsigned handshake_timeout;
    unsigned head_timeout;     /* for a head once begun, and for a judged body */
    unsigned idle_timeout;     /* between requests on a kept connection */
    unsigned connect_timeout;  /* to the engine, TLS handshake included */
    unsigned drain_timeout;    /* after SIGTERM */
    unsigned tcp_user_timeout; /* 0: the kernel's default */

    struct filter_settings filter; /* where there is no policy_file */
    char *policy_file;             /* --policy-file; NULL: none */
    char *explain_as;              /* of the command explain: the client; NULL: everybody else */
    char *message_prefix;          /* "blocked by jailoc proxy: " without the trailing ": " */

    struct config_listener metrics; /* where metrics_on */
    bool metrics_on;
    bool metrics_beyond_loopback;

    int sandbox; /* enum sandbox_mode */

    enum config_log_format log_format;
    int log_level;    /* enum log_level */
    char *audit_log;  /* audit.h: where audit_open is to write; NULL: nowhere */
    int mode;         /* enum config_mode */
    char *learn_file; /* where the learned policy is written; NULL but in CONFIG_LEARN */

    char *health_certificate; /* --healthcheck over a TLS listener; NULL: none */
    char *health_key;
    char *health_authority; /* what the proxy's own certificate must chain to; NULL: client CA */
    unsigned health_timeout;

    char *bind_strings[CONFIG_MAX_BINDS]; /* backs filter.allow_binds */

    struct certs_settings certs;   /* of the command certs alone */
    struct doctor_settings doctor; /* of the command doctor alone */
    struct import_settings import; /* of the command import-env alone */
};

#endif
