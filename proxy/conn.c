#include "proxy/conn.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/access_log.h"
#include "proxy/audit_lines.h"
#include "proxy/identity.h"
#include "proxy/learner.h"
#include "proxy/log.h"
#include "proxy/owner_check.h"
#include "proxy/worker.h"

enum {
    LINGER_BYTES =
        32 * 1024 * 1024, /* how much of a refused body is read to let the answer through */
    HANDSHAKE_SHARE = 4,  /* one in so many connections may be in its TLS handshake */
    MIN_HANDSHAKES = 4,   /* of a worker, however few connections there may be */
    LINGER_TURN = 64,     /* reads a turn */
    TURN_STEPS = 64,      /* steps of the state machine a turn: some ten small requests */
    MAX_REFUSALS = 64,    /* in a row; then the connection closes, as no client means to go on so */
};

static void set_deadline(struct conn *conn, enum deadline_class class) {
    deadline_arm(&conn->worker->deadlines, &conn->deadline, class, conn->worker->now);
}

/* --- a request's beginning --- */

bool conn_charge(struct conn *conn, size_t size, size_t small) {
    struct worker *worker = conn->worker;
    worker->judged_bytes = worker->judged_bytes - conn->charged + size;
    conn->charged = size;
    return size <= small || worker->judged_bytes <= WORKER_JUDGED_BUDGET;
}

void conn_refund_body(struct conn *conn) {
    (void)conn_charge(conn, 0, 0);
}

/* Forgets the last request and waits for the next. */
static void await_request(struct conn *conn) {
    conn_refund_body(conn);
    lease_end(conn->request.lease);
    arena_reset(&conn->arena);
    conn->request = (struct conn_request){0};
    conn->up = (struct relay){0};
    conn->down = (struct relay){0};
    conn->head_seen = 0;
    conn->state = CONN_HEAD;
    set_deadline(conn, buffer_len(&conn->in) > 0 ? DEADLINE_HEAD : DEADLINE_IDLE);
}

static void leave_handshake(struct conn *conn, bool done) {
    struct counters *counters = conn->worker->counters;
    if (!conn->in_handshake)
        return;
    conn->worker->handshakes--;
    conn->in_handshake = false;
    counter_add(done ? &counters->handshakes[COUNTER_CLIENTS]
                     : &counters->handshake_failures[COUNTER_CLIENTS],
                1);
    if (done && tls_kernel_writes(conn->client.tls))
        counter_add(&counters->kernel_sessions[COUNTER_CLIENTS], 1);
}

/* --- what is counted --- */

/* Counts it by what its verdict came to, and tells the audit log: once. */
static void count_request(struct conn *conn) {
    struct conn_request *request = &conn->request;
    audit_request(conn);
    if (request->counted || !request->began)
        return;
    request->counted = true;
    const struct filter_verdict *verdict = &request->verdict;
    counters_verdict(&conn->worker->counters->requests,
                     verdict->endpoint_class != NULL ? verdict->endpoint_class : "unknown",
                     access_log_verdict(request), verdict->rule != NULL ? verdict->rule : "none");
}

void conn_count_answer(struct conn *conn) {
    count_request(conn);
    /* What is not judged, such as half a head, has no time that it began at. */
    if (conn->request.answered || conn->request.lease == NULL)
        return;
    conn->request.answered = true;
    counters_latency(conn->worker->counters, deadline_now() - conn->request.started);
}

void conn_count_as(struct conn *conn, enum counter_stream kind) {
    struct counters *counters = conn->worker->counters;
    if (conn->counted_as != COUNTER_NO_STREAM)
        counter_subtract(&counters->streams[conn->counted_as], 1);
    if (kind != COUNTER_NO_STREAM)
        counter_add(&counters->streams[kind], 1);
    conn->counted_as = kind;
    if (kind != COUNTER_NO_STREAM)
        conn->request.was = kind;
}

/* --- the handshake, and requests on their way in --- */

static enum progress run_handshake(struct conn *conn) {
    switch (stream_handshake(&conn->client)) {
    case STREAM_OK:
        leave_handshake(conn, true);
        await_request(conn);
        return PROGRESS_NEXT;
    case STREAM_WAIT:
        return PROGRESS_WAIT;
    default: {
        struct log_record record;
        log_begin(&record, LOG_WARNING, "handshake");
        log_string(&record, "client", conn->peer);
        log_string(&record, "message", stream_error_text());
        log_end(&record);
        return conn_fail(conn, NULL);
    }
    }
}

/* What the proxy finds wrong with the HTTP of it, before the filter is asked. */
static enum progress refuse_http(struct conn *conn, unsigned status, const char *rule,
                                 const char *message) {
    conn->request.verdict = (struct filter_verdict){.decision = FILTER_BAD_REQUEST,
                                                    .rule = rule,
                                                    .reason = message,
                                                    .endpoint_class = "unknown"};
    return reply_refusal(conn, status, message, rule, false);
}

/* Whether a refused request passes all the same, as the mode says. What is sent is what was judged,
 * as ever, and a tunnel opens only if its route has one. What is malformed besides is refused, and
 * so is what would reach others' objects. */
static bool overrule(struct conn *conn) {
    struct conn_request *request = &conn->request;
    if (request->verdict.decision != FILTER_DENY || request->client->policy == NULL ||
        request->for_others || conn->worker->shared->config->mode == CONFIG_ENFORCE)
        return false;
    struct filter_verdict form =
        filter_judge_form(request->client->policy, &request->http.judged, &conn->arena);
    if (form.decision == FILTER_BAD_REQUEST) {
        request->verdict = form;
        return false;
    }
    request->verdict.hijack = form.hijack;
    request->would_deny = true;
    return true;
}

bool conn_passes(struct conn *conn) {
    return conn->request.verdict.decision == FILTER_ALLOW || overrule(conn);
}

enum progress conn_act(struct conn *conn, bool passes, size_t body, bool whole) {
    struct conn_request *request = &conn->request;
    struct filter_verdict *verdict = &request->verdict;
    if (passes) {
        conn->refusals = 0;
        return exchange_begin(conn, body, whole ? framing_none() : request->http.framing);
    }
    switch (verdict->decision) {
    case FILTER_DENY:
        buffer_consume(&conn->in, &conn->worker->pools.buffers, body);
        (void)reply_refusal(conn, 403, verdict->reason, verdict->rule,
                            whole && request->http.keep_alive && ++conn->refusals < MAX_REFUSALS);
        return reply_hold(conn);
    case FILTER_ALLOW:
    case FILTER_BAD_REQUEST:
    case FILTER_NEED_BODY:
        break;
    }
    return reply_refusal(conn, 400, verdict->reason, verdict->rule, false);
}

/* The filter has spoken, finally. `body` bytes of judged body are at the front of the buffer, which
 * are `payload` without their framing. */
static enum progress act_on(struct conn *conn, struct slice payload, size_t body) {
    const struct conn_request *request = &conn->request;
    bool whole = request->http.framing.done || body > 0;
    bool passes = conn_passes(conn);
    if (passes && conn->worker->shared->learner != NULL)
        learner_offer(conn->worker->shared->learner, &request->http.judged, payload,
                      request->would_deny);
    return passes && request->owner != NULL ? owner_check_begin(conn, body, whole)
                                            : conn_act(conn, passes, body, whole);
}

static enum progress judge_body(struct conn *conn, struct slice body, size_t wire) {
    struct conn_request *request = &conn->request;
    if (request->owner != NULL)
        owner_judge_body(conn, body);
    else
        request->verdict =
            filter_judge_body(request->client->policy, &request->http.judged, body, &conn->arena);
    return act_on(conn, body, wire);
}

/* Whether the body is gathered although the head is refused, since something is to be learned of
 * it. */
static bool learns_body(struct conn *conn) {
    const struct conn_request *request = &conn->request;
    return conn->worker->shared->learner != NULL && request->verdict.decision == FILTER_DENY &&
           !request->for_others &&
           filter_judge_form(request->client->policy, &request->http.judged, &conn->arena)
                   .decision == FILTER_NEED_BODY;
}

/* A head is complete: parses and judges it. From here on it stands in the arena, and what is sent
 * to the engine is sent from there. */
static enum progress take_head(struct conn *conn, size_t head_len) {
    struct conn_request *request = &conn->request;
    const struct shared *shared = conn->worker->shared;
    request->started = deadline_now();
    request->began = true;
    request->head = arena_copy(&conn->arena, slice_first(buffer_slice(&conn->in), head_len));
    buffer_consume(&conn->in, &conn->worker->pools.buffers, head_len);
    if (request->head.data == NULL)
        return reply_fault(conn, 503, "out of memory");
    const char *fault = http_request_parse(request->head, &request->http, &conn->arena);
    if (fault != NULL)
        return refuse_http(conn, 400, "http.head", fault);

    /* Its body is judged by the same policy as its head, whatever is reloaded meanwhile. */
    request->lease = lease_use(conn->worker->lease);
    request->client = identity_client(conn, request->lease->set->rules);
    if (request->client->ownership)
        owner_judge_head(conn);
    else
        request->verdict =
            filter_judge_head(request->client->policy, &request->http.judged, &conn->arena);
    if (request->verdict.decision != FILTER_NEED_BODY && !learns_body(conn)) {
        deadline_cancel(&conn->worker->deadlines, &conn->deadline);
        return act_on(conn, slice_of(NULL, 0), 0);
    }
    request->judged_body = request->http.framing;
    if (request->judged_body.done)
        return judge_body(conn, slice_of(NULL, 0), 0);
    if (request->judged_body.kind == FRAMING_LENGTH &&
        request->judged_body.left > shared->config->max_judged_body)
        return refuse_http(conn, 413, "http.body-size", "the request's body is too large to judge");
    set_deadline(conn, DEADLINE_HEAD);
    if (request->http.expects_continue && buffer_len(&conn->in) == 0)
        return reply_continue(conn, CONN_BODY);
    conn->state = CONN_BODY;
    return PROGRESS_NEXT;
}

/* Reads more of the client into the buffer, up to `limit` bytes of it. NEXT: there is more now. At
 * most a block at a time, so that no more than that of later requests is held behind this one, and
 * the buffer shrinks again when this one has been sent. */
static enum progress read_more(struct conn *conn, size_t limit) {
    size_t room = 0;
    size_t got = 0;
    if (!conn->client.readable)
        return PROGRESS_WAIT;
    if (!buffer_reserve(&conn->in, &conn->worker->pools.buffers, limit))
        return reply_fault(conn, 503, "out of memory");
    char *space = buffer_space(&conn->in, &room);
    if (room > BUFFER_SIZE)
        room = BUFFER_SIZE;
    switch (stream_read(&conn->client, space, room, &got)) {
    case STREAM_OK:
        buffer_added(&conn->in, got);
        return PROGRESS_NEXT;
    case STREAM_WAIT:
        if (buffer_len(&conn->in) == 0)
            buffer_release(&conn->in, &conn->worker->pools.buffers);
        return conn->client.readable ? PROGRESS_AGAIN : PROGRESS_WAIT;
    default:
        return conn_fail(conn, "client closed");
    }
}

static enum progress run_head(struct conn *conn) {
    size_t limit = conn->worker->shared->config->max_header_bytes;
    struct slice held = buffer_slice(&conn->in);
    if (conn->leaving || (held.len == 0 && conn->worker->draining))
        return conn_fail(conn, NULL);
    if (held.len > 0 && !conn->request.began) {
        conn->request.began = true;
        conn->request.started = deadline_now();
        set_deadline(conn, DEADLINE_HEAD);
        /* A TLS greeting, or an empty line: no need to wait for the end of it. */
        if (held.data[0] < 'A' || held.data[0] > 'Z')
            return refuse_http(conn, 400, "http.head", "this is not an HTTP request");
    }
    size_t head_len = http_head_end(held, &conn->head_seen);
    if (head_len > limit || (head_len == 0 && held.len >= limit))
        return refuse_http(conn, 431, "http.head-size", "the request's head is too long");
    if (head_len > 0)
        return take_head(conn, head_len);
    return read_more(conn, limit);
}

static enum progress run_body(struct conn *conn) {
    struct conn_request *request = &conn->request;
    size_t limit = conn->worker->shared->config->max_judged_body;
    struct slice held = buffer_slice(&conn->in);
    struct slice fresh = slice_from(held, request->judged_len);
    request->judged_len += framing_scan(&request->judged_body, fresh.data, fresh.len, NULL, NULL);
    if (request->judged_body.bad)
        return refuse_http(conn, 400, "http.body", "the request's chunked body is malformed");
    if (!request->judged_body.done) {
        if (held.len >= limit && request->judged_len >= limit)
            return refuse_http(conn, 413, "http.body-size",
                               "the request's body is too large to judge");
        if (!conn_charge(conn, conn->in.capacity, BUFFER_SIZE))
            return reply_too_many(conn);
        return read_more(conn, limit);
    }
    deadline_cancel(&conn->worker->deadlines, &conn->deadline);
    struct slice wire = slice_first(held, request->judged_len);
    if (request->http.framing.kind == FRAMING_LENGTH)
        return judge_body(conn, wire, wire.len);
    /* Not in the request's arena, which lasts as long as the engine takes to answer. */
    size_t len = 0;
    struct arena scratch = {0};
    char *payload = arena_alloc(&scratch, wire.len);
    if (payload == NULL)
        return reply_fault(conn, 503, "out of memory");
    struct framing again = request->http.framing;
    framing_scan(&again, wire.data, wire.len, payload, &len);
    enum progress progress = judge_body(conn, slice_of(payload, len), wire.len);
    arena_reset(&scratch);
    return progress;
}

/* --- a request's end --- */

/* Reads and throws away what still comes, so that closing does not reset the connection under an
 * answer that the client has not read yet (RFC 9112 section 9.6). */
static enum progress run_linger(struct conn *conn) {
    char waste[4096];
    enum stream_status told = stream_end_write(&conn->client);
    if (told == STREAM_ERROR)
        return conn_fail(conn, NULL);
    buffer_release(&conn->in, &conn->worker->pools.buffers);
    conn_refund_body(conn);
    for (int turn = 0; turn < LINGER_TURN; turn++) {
        size_t got = 0;
        if (!conn->client.readable)
            return PROGRESS_WAIT;
        enum stream_status status = stream_read(&conn->client, waste, sizeof waste, &got);
        if (status == STREAM_WAIT)
            continue;
        conn->lingered += got;
        /* It has ended already, and does not know yet that we do: TLS waits for room to say so. */
        if (status == STREAM_EOF && told == STREAM_WAIT)
            return PROGRESS_WAIT;
        if (status != STREAM_OK) {
            conn->state = CONN_CLOSED;
            return PROGRESS_NEXT;
        }
        /* Enough: closing now would reset the answer, so the client is made to wait instead. */
        if (conn->lingered > LINGER_BYTES)
            return PROGRESS_WAIT;
    }
    return PROGRESS_AGAIN;
}

/* The request is over. One that never came to a verdict is counted as such. */
static void record_request(struct conn *conn) {
    count_request(conn);
    audit_session_end(conn);
    access_log_request(conn);
}

enum progress conn_finish(struct conn *conn, bool keep) {
    record_request(conn);
    if (keep && !conn->leaving && !(conn->worker->draining && buffer_len(&conn->in) == 0)) {
        await_request(conn);
        return PROGRESS_NEXT;
    }
    /* With nothing left unread, closing cannot reset the answer. A draining process does not wait
     * for clients that would keep the connection. */
    if (conn->worker->draining && conn->request.up_ended && buffer_len(&conn->in) == 0 &&
        stream_end_write(&conn->client) == STREAM_OK) {
        conn->state = CONN_CLOSED;
        return PROGRESS_NEXT;
    }
    set_deadline(conn, DEADLINE_LINGER);
    conn->state = CONN_LINGER;
    return PROGRESS_NEXT;
}

enum progress conn_fail(struct conn *conn, const char *outcome) {
    if (conn->request.outcome == NULL)
        conn->request.outcome = outcome;
    /* An answer that is cut must not look ended: where the close would tell its end, a reset says
     * so. Elsewhere its own framing does, and nothing that is still on its way may be reset. */
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    bool cut = (conn->state == CONN_EXCHANGE || conn->state == CONN_TUNNEL) &&
               conn->down.framing.kind == FRAMING_UNTIL_CLOSE;
    if (conn->client.is_tcp && (cut || conn->state == CONN_GRPC))
        (void)setsockopt(conn->client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    record_request(conn);
    conn->state = CONN_CLOSED;
    return PROGRESS_NEXT;
}

static void destroy(struct conn *conn) {
    struct worker *worker = conn->worker;
    deadline_cancel(&worker->deadlines, &conn->deadline);
    conn_refund_body(conn);
    leave_handshake(conn, false);
    exchange_end(conn, false);
    lease_end(conn->request.lease);
    conn->request.lease = NULL;
    if (conn->client.why != NULL) {
        struct log_record record;
        log_begin(&record, LOG_WARNING, "tls");
        log_string(&record, "client", conn->peer);
        log_string(&record, "message", conn->client.why);
        log_end(&record);
    }
    if (conn->log_limit.suppressed > 0) {
        struct log_record record;
        log_begin(&record, LOG_WARNING, "suppressed");
        access_log_client(&record, conn);
        log_number(&record, "suppressed", conn->log_limit.suppressed);
        log_end(&record);
    }
    stream_close(&conn->client, false);
    buffer_release(&conn->in, &worker->pools.buffers);
    arena_reset(&conn->arena);
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        worker->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    conn->watch.dead = 1;
    conn->watch.next_dead = worker->graveyard;
    worker->graveyard = &conn->watch;
    worker_connection_closed(worker);
}

/* --- the machine --- */

/* The state, what it does, and what becomes of it when its deadline expires. */
static const struct {
    enum progress (*run)(struct conn *conn);
    unsigned expired_status; /* answer with this, or 0: just close */
    const char *expired;
} states[] = {
    [CONN_HANDSHAKE] = {run_handshake, 0, "the TLS handshake took too long"},
    [CONN_HEAD] = {run_head, 408, "the request did not come in time"},
    [CONN_BODY] = {run_body, 408, "the request's body did not come in time"},
    [CONN_OWNER] = {owner_check_run, 504, "the Docker engine did not answer in time"},
    [CONN_CONNECT] = {exchange_connect, 504,
                      "the Docker engine did not accept the connection in time"},
    [CONN_EXCHANGE] = {exchange_run, 0, NULL}, /* no deadline is ever armed */
    [CONN_TUNNEL] = {exchange_tunnel, 0, NULL},
    [CONN_GRPC] = {grpc_run, 0, NULL},   /* its deadline ends a call, not the connection */
    [CONN_HELD] = {reply_held, 0, NULL}, /* its deadline lets it go on */
    [CONN_REPLY] = {reply_run, 0, "the client does not read its answer"},
    [CONN_LINGER] = {run_linger, 0, NULL},
};

void conn_run(struct conn *conn) {
    enum progress progress = PROGRESS_NEXT;
    /* A client that pipelines requests must not keep its worker to itself. */
    for (int step = 0; step < TURN_STEPS && progress == PROGRESS_NEXT; step++)
        if (conn->state != CONN_CLOSED)
            progress = states[conn->state].run(conn);
    if (conn->state == CONN_CLOSED)
        destroy(conn);
    else if (progress != PROGRESS_WAIT)
        worker_enqueue(conn->worker, conn);
}

void conn_expired(struct conn *conn) {
    if (conn->state == CONN_GRPC || conn->state == CONN_HELD) {
        (conn->state == CONN_GRPC ? grpc_expired : reply_release)(conn);
        conn_run(conn);
        return;
    }
    /* A slow reader is still on the last bytes of its stream. */
    if (conn->state == CONN_LINGER && stream_unsent(&conn->client) > 0) {
        set_deadline(conn, DEADLINE_LINGER);
        return;
    }
    unsigned status = states[conn->state].expired_status;
    conn->request.outcome = "timeout";
    if ((conn->state == CONN_CONNECT || conn->state == CONN_OWNER) && conn->upstream != NULL &&
        conn->upstream->phase != UPSTREAM_READY)
        upstream_timed_out(&conn->worker->upstreams, conn->upstream);
    if (status != 0 && conn->request.began)
        (void)reply_fault(conn, status, "%s", states[conn->state].expired);
    else
        (void)conn_fail(conn, "timeout");
    conn_run(conn);
}

void conn_drain(struct conn *conn) {
    if (conn->state == CONN_HEAD || conn->state == CONN_HANDSHAKE)
        worker_enqueue(conn->worker, conn);
}

void conn_readmit(struct conn *conn) {
    if (!conn->listener->tls)
        return;
    conn->leaving = true;
    conn_drain(conn);
}

void conn_abort(struct conn *conn, const char *outcome) {
    (void)conn_fail(conn, outcome);
    destroy(conn);
}

/* Whoever has not shown a certificate yet may hold only a part of the places. The oldest gives way:
 * an honest handshake is over in milliseconds. */
static void make_room_for_handshake(struct worker *worker) {
    const struct shared *shared = worker->shared;
    size_t limit = shared->max_connections / shared->config->workers / HANDSHAKE_SHARE;
    struct deadline *oldest = worker->deadlines.classes[DEADLINE_HANDSHAKE].first;
    if (worker->handshakes >= (limit > MIN_HANDSHAKES ? limit : MIN_HANDSHAKES) && oldest != NULL)
        conn_abort(CONTAINER_OF(oldest, struct conn, deadline), NULL);
}

int conn_open(struct worker *worker, int fd, const struct config_listener *listener,
              const char *peer) {
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        close(fd);
        worker_connection_closed(worker);
        return -1;
    }
    conn->watch.kind = WATCH_CLIENT;
    conn->worker = worker;
    conn->listener = listener;
    memcpy(conn->peer, peer, sizeof conn->peer);
    stream_open(&conn->client, fd, listener->address.kind == ADDRESS_TCP);
    conn->next = worker->conns;
    if (worker->conns != NULL)
        worker->conns->prev = conn;
    worker->conns = conn;

    struct tls_error error;
    if (conn->client.is_tcp)
        stream_tune_tcp(fd, worker->shared->config->tcp_user_timeout);
    if (listener->tls)
        conn->client.tls = tls_session_new(worker->lease->set->server_tls, fd, NULL, &error);
    if ((listener->tls && conn->client.tls == NULL) ||
        watch_add(worker->epoll, fd, &conn->watch) < 0) {
        destroy(conn);
        return -1;
    }
    if (listener->tls) {
        make_room_for_handshake(worker);
        worker->handshakes++;
        conn->in_handshake = true;
        conn->state = CONN_HANDSHAKE;
        set_deadline(conn, DEADLINE_HANDSHAKE);
    } else {
        await_request(conn);
    }
    return 0;
}
