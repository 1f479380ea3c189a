#include "proxy/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proxy/audit.h"
#include "proxy/log.h"

enum {
    EVENT_BATCH = 256,
    SWEEP_MS = 15000, /* how often, at least, TCP_USER_TIMEOUT is reconsidered */
    LINGER_MS = 5000,
    HOLD_MS = 1000, /* ample for a session's handshakes and the engine's answer */
};

void worker_enqueue(struct worker *worker, struct conn *conn) {
    if (conn->queued)
        return;
    conn->queued = true;
    conn->next_ready = NULL;
    *worker->ready_end = conn;
    worker->ready_end = &conn->next_ready;
}

void worker_connection_closed(struct worker *worker) {
    struct shared *shared = worker->shared;
    atomic_fetch_sub(&shared->connections, 1);
    if (atomic_exchange(&shared->accept_paused, false)) {
        uint64_t one = 1;
        (void)!write(shared->accept_wake, &one, sizeof one);
    }
}

/* Runs every connection that was on the list when the turn began; what they put there waits for the
 * next turn, so that nobody starves. */
static void run_ready(struct worker *worker) {
    struct conn *conn = worker->ready;
    worker->ready = NULL;
    worker->ready_end = &worker->ready;
    while (conn != NULL) {
        struct conn *next = conn->next_ready;
        conn->queued = false;
        if (!conn->watch.dead)
            conn_run(conn);
        conn = next;
    }
}

/* Frees what was closed in this turn. A connection that is still on the list of those to run stays
 * until it has been taken off there. */
static void bury(struct worker *worker) {
    struct watch *watch = worker->graveyard;
    worker->graveyard = NULL;
    while (watch != NULL) {
        struct watch *next = watch->next_dead;
        if (watch->kind == WATCH_UPSTREAM) {
            free(CONTAINER_OF(watch, struct upstream, watch));
        } else if (CONTAINER_OF(watch, struct conn, watch)->queued) {
            watch->next_dead = worker->graveyard;
            worker->graveyard = watch;
        } else {
            free(CONTAINER_OF(watch, struct conn, watch));
        }
        watch = next;
    }
}

/* Takes over the lease. A client whose CA has changed proves anew that it may be here: it has to
 * connect again. */
static void take_rules(struct worker *worker, struct lease *lease) {
    const struct tls_context *old = worker->lease->set->server_tls;
    bool same = old == NULL || tls_context_same_authority(old, lease->set->server_tls);
    for (struct conn *conn = same ? NULL : worker->conns; conn != NULL; conn = conn->next)
        conn_readmit(conn);
    upstream_pool_renew(&worker->upstreams, lease_use(lease));
    lease_end(worker->lease);
    worker->lease = lease;
}

static void take_orders(struct worker *worker) {
    struct handoff order;
    while (read(worker->handoff_read, &order, sizeof order) == (ssize_t)sizeof order) {
        switch (order.kind) {
        case HANDOFF_SOCKET:
            if (conn_open(worker, order.fd, order.listener, order.peer) < 0)
                log_message(LOG_ERROR, "accept", "a connection was dropped: out of memory");
            break;
        case HANDOFF_RELOAD:
            take_rules(worker, order.lease);
            break;
        case HANDOFF_DRAIN:
            worker->draining = true;
            for (struct conn *conn = worker->conns; conn != NULL; conn = conn->next)
                conn_drain(conn);
            upstream_pool_clear(&worker->upstreams);
            break;
        case HANDOFF_STOP:
            worker->draining = worker->stopping = true;
            break;
        case HANDOFF_PING:
            atomic_fetch_add(&worker->pings, 1);
            break;
        }
    }
}

static void dispatch(struct worker *worker, const struct epoll_event *event) {
    struct watch *watch = event->data.ptr;
    if (watch->dead)
        return;
    struct conn *conn = NULL;
    struct upstream *upstream = NULL;
    switch (watch->kind) {
    case WATCH_HANDOFF:
        take_orders(worker);
        return;
    case WATCH_CLIENT:
        conn = CONTAINER_OF(watch, struct conn, watch);
        stream_events(&conn->client, event->events);
        break;
    case WATCH_UPSTREAM:
        upstream = CONTAINER_OF(watch, struct upstream, watch);
        stream_events(&upstream->stream, event->events);
        if (upstream->owner == NULL) {
            upstream_idle_event(&worker->upstreams, upstream);
            return;
        }
        conn = upstream->owner;
        break;
    }
    worker_enqueue(worker, conn);
}

static void expire(struct worker *worker) {
    struct deadline *deadline;
    while ((deadline = deadline_expired(&worker->deadlines, worker->now)) != NULL) {
        struct conn *conn = CONTAINER_OF(deadline, struct conn, deadline);
        if (!conn->watch.dead)
            conn_expired(conn);
    }
}

/* Often enough that a stalled reader is noticed before its time is up; also the longest sleep. */
static int sweep_interval(const struct worker *worker) {
    unsigned quarter = worker->shared->config->tcp_user_timeout / 4;
    return quarter == 0 || quarter > SWEEP_MS ? SWEEP_MS : (int)quarter;
}

static void sweep(struct worker *worker) {
    unsigned timeout = worker->shared->config->tcp_user_timeout;
    worker->next_sweep = worker->now + (uint64_t)sweep_interval(worker);
    if (timeout == 0)
        return;
    for (struct conn *conn = worker->conns; conn != NULL; conn = conn->next) {
        stream_sweep_user_timeout(&conn->client, timeout);
        if (conn->upstream != NULL)
            stream_sweep_user_timeout(&conn->upstream->stream, timeout);
    }
}

/* Gives their turn to those who wait for the engine without an event to wake them. */
static void retry(struct worker *worker) {
    worker->retries = false;
    for (struct conn *conn = worker->conns; conn != NULL; conn = conn->next) {
        if (conn->retries)
            worker_enqueue(worker, conn);
        conn->retries = false;
    }
}

static bool goes_on(const struct worker *worker) {
    return !worker->stopping && !(worker->draining && worker->conns == NULL);
}

static void *run(void *argument) {
    struct worker *worker = argument;
    struct epoll_event events[EVENT_BATCH];
    (void)log_attach();
    (void)audit_attach();
    worker->now = deadline_now();
    while (goes_on(worker)) {
        int limit = worker->retries ? UPSTREAM_RETRY_MS : sweep_interval(worker);
        int wait =
            worker->ready != NULL ? 0 : deadline_wait(&worker->deadlines, worker->now, limit);
        int count = epoll_wait(worker->epoll, events, EVENT_BATCH, wait);
        worker->now = deadline_now();
        for (int i = 0; i < count; i++)
            dispatch(worker, &events[i]);
        if (worker->retries)
            retry(worker);
        run_ready(worker);
        expire(worker);
        if (worker->now >= worker->next_sweep)
            sweep(worker);
        bury(worker);
    }
    while (worker->conns != NULL)
        conn_abort(worker->conns, "shut down");
    upstream_pool_clear(&worker->upstreams);
    run_ready(worker); /* takes the dead off the list */
    bury(worker);
    return NULL;
}

static void set_durations(struct worker *worker, const struct config *config) {
    const uint64_t durations[DEADLINE_CLASSES] = {
        [DEADLINE_HANDSHAKE] = config->handshake_timeout,
        [DEADLINE_HEAD] = config->head_timeout,
        [DEADLINE_IDLE] = config->idle_timeout,
        [DEADLINE_CONNECT] = config->connect_timeout,
        [DEADLINE_HOLD] = HOLD_MS,
        [DEADLINE_LINGER] = LINGER_MS,
    };
    for (int class = 0; class < DEADLINE_CLASSES; class ++)
        worker->deadlines.classes[class].duration = durations[class];
}

static void release(struct worker *worker) {
    lease_end(worker->upstreams.lease);
    lease_end(worker->lease);
    buffer_pool_clear(&worker->pools.buffers);
    pipe_pool_clear(&worker->pools.pipes);
    if (worker->epoll >= 0)
        close(worker->epoll);
    if (worker->handoff_read >= 0)
        close(worker->handoff_read);
    if (worker->handoff_write >= 0)
        close(worker->handoff_write);
}

int worker_start(struct worker *worker, struct shared *shared, struct ruleset *set,
                 struct counters *counters, unsigned index) {
    *worker = (struct worker){
        .watch = {.kind = WATCH_HANDOFF},
        .shared = shared,
        .index = index,
        .counters = counters,
        .pools = {.counters = counters},
        .handoff_read = -1,
        .handoff_write = -1,
    };
    worker->ready_end = &worker->ready;
    worker->lease = lease_new(set);
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    int ends[2];
    if (worker->lease == NULL || worker->epoll < 0 || pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
        release(worker);
        return -1;
    }
    worker->handoff_read = ends[0];
    worker->handoff_write = ends[1];
    worker->upstreams = (struct upstream_pool){
        .config = shared->config,
        .engine = shared->engine,
        .lease = lease_use(worker->lease),
        .pools = &worker->pools,
        .epoll = worker->epoll,
        .graveyard = &worker->graveyard,
    };
    set_durations(worker, shared->config);
    int error = 0;
    if (watch_add(worker->epoll, worker->handoff_read, &worker->watch) < 0)
        error = errno;
    else
        error = pthread_create(&worker->thread, NULL, run, worker);
    if (error != 0) {
        release(worker);
        errno = error;
        return -1;
    }
    return 0;
}

int worker_handoff(struct worker *worker, const struct handoff *handoff) {
    _Static_assert(sizeof(struct handoff) <= 512, "a write of it must stay below PIPE_BUF");
    return write(worker->handoff_write, handoff, sizeof *handoff) == (ssize_t)sizeof *handoff ? 0
                                                                                              : -1;
}

void worker_join(struct worker *worker) {
    pthread_join(worker->thread, NULL);
    release(worker);
}
