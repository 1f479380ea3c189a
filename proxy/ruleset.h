/* What connections and requests are held to: the policy and the certificates of both hops.
 *
 * A reload does not change a set, it makes a new one. Whoever is at work goes on with the set that
 * it began with; the last to let go of a set frees it. Between the threads sets are counted by an
 * atomic; so that no request pays for that, each worker counts its own uses in a lease. */
#ifndef DIND_PROXY_PROXY_RULESET_H
#define DIND_PROXY_PROXY_RULESET_H

#include <stdatomic.h>
#include <stddef.h>

#include "filter/rules.h"
#include "proxy/config.h"
#include "proxy/error.h"
#include "tls/tls.h"

/* Unchanging once it is shared, but for the count. */
struct ruleset {
    _Atomic unsigned references;
    struct filter_rules *rules;
    struct tls_context *server_tls; /* NULL when no listener has TLS */
    struct tls_context *client_tls; /* NULL when the engine's hop is plain */
};

/* Reads the files that the configuration names; copies what it needs of it. The caller has the only
 * reference. NULL with `error` that names the file or the setting. */
struct ruleset *ruleset_new(const struct config *config, struct error *error);

/* For the sessions started with it. Before it is shared between threads. */
void ruleset_set_kernel_tls(struct ruleset *set, enum tls_kernel_mode mode);

/* Gives back a reference; NULL is allowed. Any thread. */
void ruleset_release(struct ruleset *set);

/* One worker's hold on a set. Used by one thread at a time. */
struct lease {
    struct ruleset *set;              /* holds a reference */
    size_t uses;                      /* the holders of this lease */
    struct tls_resumption resumption; /* of set->client_tls, so never offered under another set */
};

/* A new one with one use, the caller's; takes a reference of its own. NULL when memory is out. */
struct lease *lease_new(struct ruleset *set);

/* One more use; returns `lease`. */
struct lease *lease_use(struct lease *lease);

/* Ends one use; the last frees the lease. NULL is allowed. TLS sessions that were given its
 * `resumption` must have ended. */
void lease_end(struct lease *lease);

#endif
