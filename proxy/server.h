/* The running proxy: starts everything, waits for a signal, ends everything. */
#ifndef DIND_PROXY_PROXY_SERVER_H
#define DIND_PROXY_PROXY_SERVER_H

#include "proxy/config.h"
#include "proxy/error.h"
#include "proxy/ruleset.h"

/* Where a reload gets its rules from. */
struct server_source {
    /* Reads and checks everything anew. In the main thread, so it must not wait for the network.
     * NULL with `error` when anything is wrong. */
    struct ruleset *(*load)(const void *context, struct error *error);
    const void *context;
};

/* tls_global_init must have been called. Serves until SIGTERM or SIGINT, then drains for at most
 * the configured time. At SIGHUP it takes rules from `source` for all connections and requests that
 * begin later, or keeps those that it has and says why. 0 at the end; -1 with `error` filled when
 * it could not start. */
int server_run(const struct config *config, const struct server_source *source,
               struct error *error);

#endif
