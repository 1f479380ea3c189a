#include "proxy/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/deadline.h"
#include "proxy/log.h"

enum { POOL_MAX_IDLE = 16 }; /* a worker's share of kept connections */

static _Thread_local char fault[600];

static void unlink_idle(struct upstream_pool *pool, struct upstream *upstream) {
    if (upstream->prev != NULL)
        upstream->prev->next = upstream->next;
    else
        pool->idle = upstream->next;
    if (upstream->next != NULL)
        upstream->next->prev = upstream->prev;
    upstream->prev = upstream->next = NULL;
    pool->idle_count--;
}

struct upstream *upstream_take(struct upstream_pool *pool, struct conn *owner, bool fresh) {
    struct upstream *upstream = fresh ? NULL : pool->idle;
    if (upstream != NULL) {
        unlink_idle(pool, upstream);
        upstream->reused = true;
    } else {
        upstream = calloc(1, sizeof *upstream);
        if (upstream == NULL)
            return NULL;
        upstream->watch.kind = WATCH_UPSTREAM;
        upstream->stream.fd = -1;
        upstream->addresses = calloc(ENGINE_MAX_ADDRESSES, sizeof upstream->addresses[0]);
        if (upstream->addresses == NULL) {
            free(upstream);
            return NULL;
        }
        upstream->address_count = engine_addresses(pool->engine, upstream->addresses);
        upstream->lease = lease_use(pool->lease);
    }
    upstream->owner = owner;
    return upstream;
}

/* Starts connecting to the next address. 0 or -1 with errno. */
static int start_connecting(struct upstream_pool *pool, struct upstream *upstream) {
    const struct engine_address *address = &upstream->addresses[upstream->next_address++];
    bool is_tcp = address->sockaddr.ss_family != AF_UNIX;
    int fd = socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    stream_open(&upstream->stream, fd, is_tcp);
    if (is_tcp)
        stream_tune_tcp(fd, pool->config->tcp_user_timeout);
    if (connect(fd, (const struct sockaddr *)&address->sockaddr, address->len) < 0 &&
        errno != EINPROGRESS)
        return -1;
    upstream->phase = UPSTREAM_CONNECTING;
    return watch_add(pool->epoll, fd, &upstream->watch);
}

static enum upstream_status connect_fault(int error) {
    snprintf(fault, sizeof fault, "%s", strerror(error));
    return UPSTREAM_FAILED;
}

static enum upstream_status finish_connecting(struct upstream *upstream) {
    int error = 0;
    socklen_t len = sizeof error;
    if (!upstream->stream.writable)
        return UPSTREAM_WAIT;
    if (getsockopt(upstream->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0)
        return connect_fault(error);
    upstream->stream.hung_up = false;
    upstream->phase = UPSTREAM_HANDSHAKE;
    struct lease *lease = upstream->lease;
    if (lease->set->client_tls == NULL)
        return UPSTREAM_OK;
    struct tls_error reason;
    upstream->stream.tls =
        tls_session_new(lease->set->client_tls, upstream->stream.fd, &lease->resumption, &reason);
    if (upstream->stream.tls != NULL)
        return UPSTREAM_OK;
    snprintf(fault, sizeof fault, "%s", reason.text);
    return UPSTREAM_FAILED;
}

static void count_handshake(const struct upstream_pool *pool, const struct upstream *upstream,
                            bool done) {
    struct counters *counters = pool->pools->counters;
    const struct tls_session *tls = upstream->stream.tls;
    if (counters == NULL || tls == NULL)
        return;
    counter_add(done ? &counters->handshakes[COUNTER_ENGINE]
                     : &counters->handshake_failures[COUNTER_ENGINE],
                1);
    if (done && tls_kernel_writes(tls))
        counter_add(&counters->kernel_sessions[COUNTER_ENGINE], 1);
}

static void count_connection(const struct upstream_pool *pool, bool up) {
    struct counters *counters = pool->pools->counters;
    if (counters == NULL)
        return;
    counter_add(up ? &counters->engine_connections : &counters->engine_failures, 1);
    counter_set(up ? &counters->engine_up_at : &counters->engine_down_at, deadline_now());
}

/* One step of one phase. OK: the next phase is reached. */
static enum upstream_status connect_step(struct upstream_pool *pool, struct upstream *upstream) {
    switch (upstream->phase) {
    case UPSTREAM_NEW:
        if (start_connecting(pool, upstream) == 0)
            return UPSTREAM_OK;
        /* A unix listener whose queue is full (connect(2)). */
        if (errno == EAGAIN && !upstream->stream.is_tcp)
            return UPSTREAM_RETRY;
        return connect_fault(errno);
    case UPSTREAM_CONNECTING:
        return finish_connecting(upstream);
    case UPSTREAM_HANDSHAKE:
        switch (stream_handshake(&upstream->stream)) {
        case STREAM_OK:
            count_handshake(pool, upstream, true);
            upstream->phase = UPSTREAM_READY;
            return UPSTREAM_OK;
        case STREAM_WAIT:
            return UPSTREAM_WAIT;
        default:
            count_handshake(pool, upstream, false);
            snprintf(fault, sizeof fault, "%s", stream_error_text());
            return UPSTREAM_FAILED;
        }
    case UPSTREAM_READY:
        break;
    }
    return UPSTREAM_OK;
}

enum upstream_status upstream_connect(struct upstream_pool *pool, struct upstream *upstream,
                                      const char **why) {
    *why = fault;
    if (upstream->address_count == 0 && upstream->phase == UPSTREAM_NEW) {
        snprintf(fault, sizeof fault, "its name does not resolve");
        count_connection(pool, false);
        engine_refresh(pool->engine);
        return UPSTREAM_FAILED;
    }
    if (upstream->phase == UPSTREAM_READY)
        return UPSTREAM_OK;
    while (upstream->phase != UPSTREAM_READY) {
        enum upstream_status status = connect_step(pool, upstream);
        if (status == UPSTREAM_WAIT)
            return status;
        if (status == UPSTREAM_OK)
            continue;
        stream_close(&upstream->stream, false);
        if (status == UPSTREAM_RETRY) {
            upstream->next_address--;
            return status;
        }
        upstream->phase = UPSTREAM_NEW;
        if (upstream->next_address >= upstream->address_count) {
            count_connection(pool, false);
            engine_refresh(pool->engine);
            return UPSTREAM_FAILED;
        }
    }
    count_connection(pool, true);
    free(upstream->addresses);
    upstream->addresses = NULL;
    return UPSTREAM_OK;
}

void upstream_timed_out(const struct upstream_pool *pool, const struct upstream *upstream) {
    if (upstream->phase == UPSTREAM_HANDSHAKE)
        count_handshake(pool, upstream, false);
    count_connection(pool, false);
}

void upstream_drop(struct upstream_pool *pool, struct upstream *upstream) {
    if (upstream->stream.why != NULL)
        log_message(LOG_WARNING, "engine", "%s", upstream->stream.why);
    stream_close(&upstream->stream, true);
    lease_end(upstream->lease);
    upstream->lease = NULL;
    buffer_release(&upstream->in, &pool->pools->buffers);
    free(upstream->addresses);
    upstream->addresses = NULL;
    upstream->owner = NULL;
    upstream->watch.dead = 1;
    upstream->watch.next_dead = *pool->graveyard;
    *pool->graveyard = &upstream->watch;
}

void upstream_give(struct upstream_pool *pool, struct upstream *upstream) {
    if (upstream->lease != pool->lease || pool->idle_count >= POOL_MAX_IDLE ||
        buffer_len(&upstream->in) > 0 || upstream->stream.read_ended || upstream->stream.hung_up) {
        upstream_drop(pool, upstream);
        return;
    }
    upstream->owner = NULL;
    upstream->prev = NULL;
    upstream->next = pool->idle;
    if (pool->idle != NULL)
        pool->idle->prev = upstream;
    pool->idle = upstream;
    pool->idle_count++;
    if (upstream->stream.readable)
        upstream_idle_event(pool, upstream);
}

void upstream_idle_event(struct upstream_pool *pool, struct upstream *upstream) {
    char byte;
    size_t got;
    /* A byte that nobody asked for would be taken for the next answer's beginning. */
    if (stream_read(&upstream->stream, &byte, 1, &got) == STREAM_WAIT && !upstream->stream.hung_up)
        return;
    unlink_idle(pool, upstream);
    upstream_drop(pool, upstream);
}

void upstream_pool_clear(struct upstream_pool *pool) {
    while (pool->idle != NULL) {
        struct upstream *upstream = pool->idle;
        unlink_idle(pool, upstream);
        upstream_drop(pool, upstream);
    }
}

void upstream_pool_renew(struct upstream_pool *pool, struct lease *lease) {
    upstream_pool_clear(pool);
    lease_end(pool->lease);
    pool->lease = lease;
}
