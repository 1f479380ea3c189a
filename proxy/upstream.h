/* Connections to the engine: made, kept for the next request, dropped. One pool a worker. */
#ifndef DIND_PROXY_PROXY_UPSTREAM_H
#define DIND_PROXY_PROXY_UPSTREAM_H

#include <stdbool.h>

#include "proxy/buffer.h"
#include "proxy/config.h"
#include "proxy/engine.h"
#include "proxy/relay.h"
#include "proxy/ruleset.h"
#include "proxy/stream.h"
#include "proxy/watch.h"

struct conn;

enum upstream_phase { UPSTREAM_NEW, UPSTREAM_CONNECTING, UPSTREAM_HANDSHAKE, UPSTREAM_READY };

struct upstream {
    struct watch watch;
    struct stream stream;
    struct buffer in;    /* read of the engine and not yet forwarded */
    struct lease *lease; /* what it was made under; NULL once it is dropped */
    struct conn *owner;  /* whose exchange it serves; NULL while it is kept idle */
    enum upstream_phase phase;
    bool reused; /* it has served before: it may have gone stale unnoticed */
    struct upstream *prev, *next;
    size_t address_count, next_address;
    struct engine_address *addresses; /* only until it is ready */
};

struct upstream_pool {
    const struct config *config;
    struct engine *engine;
    struct lease *lease; /* what is in force; a use of its own */
    struct relay_pools *pools;
    int epoll;
    struct watch **graveyard; /* where closed ones wait for the end of the batch */
    struct upstream *idle;
    size_t idle_count;
};

/* One for `owner`: kept idle from before (unless `fresh`), or new and not yet connected. NULL when
 * memory is out. */
struct upstream *upstream_take(struct upstream_pool *pool, struct conn *owner, bool fresh);

enum upstream_status {
    UPSTREAM_OK,
    UPSTREAM_WAIT,  /* for an event */
    UPSTREAM_RETRY, /* for UPSTREAM_RETRY_MS; no event will come */
    UPSTREAM_FAILED,
};
enum { UPSTREAM_RETRY_MS = 20 };

/* Drives it to readiness, over all of the engine's addresses. On FAILED `why` names the fault; it
 * lives until the next call on this thread. */
enum upstream_status upstream_connect(struct upstream_pool *pool, struct upstream *upstream,
                                      const char **why);

/* Connecting took too long: to be told before the connection is dropped, for the metrics. */
void upstream_timed_out(const struct upstream_pool *pool, const struct upstream *upstream);

/* After a cleanly ended exchange: keeps it for the next request, or drops it, as it does with what
 * was made under an older lease: it has not shown the certificates that count now. */
void upstream_give(struct upstream_pool *pool, struct upstream *upstream);

/* Ends it. */
void upstream_drop(struct upstream_pool *pool, struct upstream *upstream);

/* An event on an idle one: anything but a TLS session ticket ends it. */
void upstream_idle_event(struct upstream_pool *pool, struct upstream *upstream);

/* Takes over the caller's use of `lease` for all connections from now on and drops the idle ones;
 * those at work go on. */
void upstream_pool_renew(struct upstream_pool *pool, struct lease *lease);

/* Drops all idle ones. */
void upstream_pool_clear(struct upstream_pool *pool);

#endif
