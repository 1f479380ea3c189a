/* A worker: one thread, one epoll, its own connections to clients and to the engine. */
#ifndef DIND_PROXY_PROXY_WORKER_H
#define DIND_PROXY_PROXY_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config.h"
#include "proxy/conn.h"
#include "proxy/deadline.h"
#include "proxy/relay.h"
#include "proxy/ruleset.h"
#include "proxy/upstream.h"

struct learner;

/* What the threads share. Unchanging but for the atomics. */
struct shared {
    const struct config *config;
    struct engine *engine;
    unsigned max_connections;     /* as configured, or what the descriptors suffice for */
    _Atomic unsigned connections; /* open client connections */
    _Atomic bool accept_paused;   /* the acceptor waits for one to close */
    int accept_wake;              /* eventfd that tells it so */
    struct learner *learner;      /* NULL but in CONFIG_LEARN */
    uint64_t run_id;              /* of this run, for the audit log's request ids */
};

/* Bytes of bodies and messages that a worker holds to judge them, over all its connections. */
enum { WORKER_JUDGED_BUDGET = 64 * 1024 * 1024 };

struct worker {
    struct watch watch; /* of the handoff pipe */
    struct shared *shared;
    unsigned index;
    pthread_t thread;
    int epoll;
    int handoff_read;
    int handoff_write;
    struct lease *lease;       /* what is in force for new connections and requests */
    uint64_t now;              /* milliseconds, at the start of this turn */
    uint64_t audited;          /* requests that have an id of the audit log */
    struct counters *counters; /* owned by the server; outlives the thread */
    struct relay_pools pools;
    struct upstream_pool upstreams;
    struct deadline_queue deadlines;
    size_t handshakes;   /* connections in CONN_HANDSHAKE */
    size_t judged_bytes; /* held in bodies that are being judged */
    struct conn *conns;
    struct conn *ready; /* to be run in this turn or the next */
    struct conn **ready_end;
    struct watch *graveyard;
    uint64_t next_sweep;
    bool retries; /* some connection wants another turn after UPSTREAM_RETRY_MS */
    bool draining;
    bool stopping;
    unsigned asked;         /* main thread: HANDOFF_PINGs that were sent */
    _Atomic unsigned pings; /* those that were seen */
};

/* Orders that come through the handoff pipe; each is one atomic write (pipe(7): PIPE_BUF). */
enum handoff_kind { HANDOFF_SOCKET, HANDOFF_RELOAD, HANDOFF_DRAIN, HANDOFF_STOP, HANDOFF_PING };

struct handoff {
    enum handoff_kind kind;
    int fd; /* SOCKET, with the next two */
    const struct config_listener *listener;
    char peer[64];
    struct lease *lease; /* RELOAD: from then on the worker's */
};

/* Makes one and starts its thread, under a lease of its own on `set`. `counters` must outlive it.
 * 0, or -1 with errno. */
int worker_start(struct worker *worker, struct shared *shared, struct ruleset *set,
                 struct counters *counters, unsigned index);

/* Any thread: hands it an order. 0, or -1 when its pipe is full. */
int worker_handoff(struct worker *worker, const struct handoff *handoff);

/* Waits for its thread, which ends after HANDOFF_STOP, or after HANDOFF_DRAIN once its last
 * connection has closed; then frees what it had. */
void worker_join(struct worker *worker);

/* Its own thread: puts a connection on the list of those to run. */
void worker_enqueue(struct worker *worker, struct conn *conn);

/* Its own thread: the connection count went down; wakes the acceptor if it waits for that. */
void worker_connection_closed(struct worker *worker);

#endif
