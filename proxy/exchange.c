/* One approved request and the engine's answer to it, or the tunnel that it turns into. */
#include <string.h>

#include "proxy/conn.h"
#include "proxy/log.h"
#include "proxy/worker.h"

enum {
    MAX_INTERIMS = 16, /* 1xx answers to one request: more is no engine */
    MAX_RESPONSE_HEAD = 64 * 1024,
};

static struct upstream_pool *pool_of(struct conn *conn) {
    return &conn->worker->upstreams;
}

static struct relay_pools *pools_of(struct conn *conn) {
    return &conn->worker->pools;
}

void exchange_end(struct conn *conn, bool reusable) {
    relay_release(&conn->up, pools_of(conn));
    relay_release(&conn->down, pools_of(conn));
    grpc_end(conn);
    conn_count_as(conn, COUNTER_NO_STREAM);
    if (conn->upstream == NULL)
        return;
    if (reusable)
        upstream_give(pool_of(conn), conn->upstream);
    else
        upstream_drop(pool_of(conn), conn->upstream);
    conn->upstream = NULL;
}

/* --- connecting --- */

/* Points both relays at the engine's connection. The head goes up from the very memory that was
 * judged; `body` bytes of judged body follow from the client's buffer. */
static void aim(struct conn *conn) {
    conn->up.from = &conn->client;
    conn->up.in = &conn->in;
    conn->up.to = &conn->upstream->stream;
    conn->down.from = &conn->upstream->stream;
    conn->down.in = &conn->upstream->in;
    conn->down.to = &conn->client;
}

static enum progress take_upstream(struct conn *conn, bool fresh) {
    conn->upstream = upstream_take(pool_of(conn), conn, fresh);
    if (conn->upstream == NULL)
        return reply_fault(conn, 503, "out of memory");
    conn->upstream_head_seen = 0;
    conn->up.first = conn->request.head;
    aim(conn);
    deadline_arm(&conn->worker->deadlines, &conn->deadline, DEADLINE_CONNECT, conn->worker->now);
    conn->state = CONN_CONNECT;
    return PROGRESS_NEXT;
}

enum progress exchange_begin(struct conn *conn, size_t body, struct framing framing) {
    conn->up = (struct relay){.approved = body, .framing = framing};
    conn->down = (struct relay){0};
    return take_upstream(conn, false);
}

enum progress exchange_reach(struct conn *conn, bool *ready) {
    const char *why;
    char engine[300];
    *ready = false;
    switch (upstream_connect(pool_of(conn), conn->upstream, &why)) {
    case UPSTREAM_WAIT:
        return PROGRESS_WAIT;
    case UPSTREAM_RETRY:
        conn->retries = true;
        conn->worker->retries = true;
        return PROGRESS_WAIT;
    case UPSTREAM_FAILED:
        address_format(&conn->worker->shared->config->upstream, engine, sizeof engine);
        log_message(LOG_WARNING, "engine", "cannot connect to %s: %s", engine, why);
        conn->request.outcome = "engine unreachable";
        return reply_fault(conn, 503, "the Docker engine cannot be reached; try again later");
    case UPSTREAM_OK:
        break;
    }
    *ready = true;
    return PROGRESS_NEXT;
}

enum progress exchange_connect(struct conn *conn) {
    bool ready;
    enum progress progress = exchange_reach(conn, &ready);
    if (!ready)
        return progress;
    deadline_cancel(&conn->worker->deadlines, &conn->deadline);
    conn_count_as(conn, strcmp(conn->request.verdict.endpoint_class, "stream") == 0
                            ? COUNTER_STREAM
                            : COUNTER_REQUEST);
    conn->state = CONN_EXCHANGE;
    return PROGRESS_NEXT;
}

/* --- the response's head --- */

/* Who is to blame for an answer that the engine does not end: it may give up what a client that has
 * closed would not read. */
static const char *cut_by(const struct conn *conn) {
    return conn->request.client_ended ? "client closed" : "engine failed";
}

/* The engine ended or failed before it answered. A kept connection may have been closed by the
 * engine just before the request reached it: a request that changes nothing is sent once more. */
static enum progress no_answer(struct conn *conn, const char *why) {
    struct slice method = conn->request.http.judged.method;
    bool safe = slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD"));
    if (conn->upstream->reused && safe && !conn->request.retried && conn->request.interims == 0 &&
        conn->up.framing.kind == FRAMING_NONE && conn->up.approved == 0) {
        conn->request.retried = true;
        conn->request.up_ended = conn->request.up_failed = false;
        conn->up.total = 0;
        exchange_end(conn, false);
        return take_upstream(conn, true);
    }
    conn->request.outcome = cut_by(conn);
    return reply_fault(conn, 502, "the Docker engine gave no valid answer: %s", why);
}

/* A tunnel may last for days in silence: of its request only what the log will tell is kept. */
static void forget_head(struct conn *conn) {
    enum { ALIGNMENT_LOSS = 64 };
    struct conn_request *request = &conn->request;
    struct filter_request kept = {0};
    struct arena slim = {0};
    struct slice method = request->http.judged.method;
    struct slice target = request->http.judged.target;
    if (conn->up.first.len > 0 ||
        arena_reserve(&slim, method.len + target.len + ALIGNMENT_LOSS) < 0)
        return;
    kept.method = arena_copy(&slim, method);
    kept.target = arena_copy(&slim, target);
    arena_reset(&conn->arena);
    conn->arena = slim;
    request->head = slice_of(NULL, 0);
    request->http = (struct http_request){.judged = kept};
    request->verdict.reason = NULL;
    /* Nor does a tunnel keep others from having their bodies judged. */
    conn_refund_body(conn);
}

static enum progress open_tunnel(struct conn *conn, size_t head_len) {
    if (!conn->request.up_ended)
        return no_answer(conn, "it hijacked the connection before the request's end");
    forget_head(conn);
    if (conn->request.verdict.hijack == FILTER_HIJACK_GRPC) {
        conn_count_as(conn, COUNTER_TUNNEL);
        return grpc_begin(conn, head_len);
    }
    conn->up.framing = framing_until_close();
    conn->down.framing = framing_until_close();
    conn->request.up_ended = false;
    conn_count_as(conn, COUNTER_TUNNEL);
    conn->state = CONN_TUNNEL;
    return PROGRESS_NEXT;
}

/* A whole head is in the buffer. */
static enum progress take_response_head(struct conn *conn, size_t head_len) {
    struct conn_request *request = &conn->request;
    struct buffer *in = &conn->upstream->in;
    struct slice head = slice_first(buffer_slice(in), head_len);
    const char *fault = http_response_parse(head, &request->http, request->verdict.hijack,
                                            &request->response, &conn->arena);
    if (fault != NULL)
        return no_answer(conn, fault);
    conn->upstream_head_seen = 0;
    if (request->response.interim) {
        if (++request->interims > MAX_INTERIMS)
            return no_answer(conn, "too many interim answers");
        if (request->response.status == 100 && request->continue_sent) {
            buffer_consume(in, &pools_of(conn)->buffers, head_len);
            return PROGRESS_NEXT;
        }
    } else {
        request->status = request->response.status;
        conn_count_answer(conn);
    }
    request->have_response = true;
    conn->down.framing = request->response.framing;
    conn->down.approved = head_len;
    if (request->response.hijack)
        return open_tunnel(conn, head_len);
    /* What came with the head goes out with it. */
    struct slice rest = slice_from(buffer_slice(in), head_len);
    conn->down.approved += framing_scan(&conn->down.framing, rest.data, rest.len, NULL, NULL);
    return PROGRESS_NEXT;
}

static enum progress read_response_head(struct conn *conn) {
    struct buffer *in = &conn->upstream->in;
    struct stream *stream = &conn->upstream->stream;
    while (true) {
        size_t head_len = http_head_end(buffer_slice(in), &conn->upstream_head_seen);
        if (head_len > 0)
            return take_response_head(conn, head_len);
        if (buffer_len(in) >= MAX_RESPONSE_HEAD)
            return no_answer(conn, "its answer's head is too long");
        if (!stream->readable)
            return PROGRESS_WAIT;
        if (!buffer_reserve(in, &pools_of(conn)->buffers, MAX_RESPONSE_HEAD))
            return no_answer(conn, "out of memory");
        size_t room = 0;
        size_t got = 0;
        char *space = buffer_space(in, &room);
        enum stream_status status = stream_read(stream, space, room, &got);
        if (status == STREAM_OK) {
            buffer_added(in, got);
            continue;
        }
        if (buffer_len(in) == 0)
            buffer_release(in, &pools_of(conn)->buffers);
        if (status == STREAM_WAIT)
            return stream->readable ? PROGRESS_AGAIN : PROGRESS_WAIT;
        return no_answer(conn,
                         status == STREAM_ERROR ? stream_error_text() : "it closed the connection");
    }
}

/* --- both directions --- */

/* The request is with the engine. What the client sends now is its next request: at most a buffer
 * of it is read, and kept. Its end of stream is passed on, as the engine ends what it does for a
 * client that has gone. */
static enum progress watch_client(struct conn *conn) {
    struct stream *client = &conn->client;
    if (client->readable && buffer_len(&conn->in) == 0 && !client->read_ended) {
        size_t room = 0;
        size_t got = 0;
        if (!buffer_reserve(&conn->in, &pools_of(conn)->buffers, BUFFER_SIZE))
            return conn_fail(conn, "out of memory");
        char *space = buffer_space(&conn->in, &room);
        enum stream_status status = stream_read(client, space, room, &got);
        if (status == STREAM_OK)
            buffer_added(&conn->in, got);
        else
            buffer_release(&conn->in, &pools_of(conn)->buffers);
        if (status == STREAM_EOF)
            conn->request.client_ended = true;
        if (status == STREAM_ERROR || status == STREAM_TRUNCATED)
            return conn_fail(conn, "client closed");
    }
    if (client->hung_up)
        return conn_fail(conn, "client closed");
    if (conn->request.client_ended && stream_end_write(&conn->upstream->stream) == STREAM_ERROR)
        conn->request.up_failed = true;
    return PROGRESS_WAIT;
}

static enum progress run_up(struct conn *conn) {
    struct conn_request *request = &conn->request;
    if (request->up_ended)
        return watch_client(conn);
    if (request->up_failed)
        return PROGRESS_WAIT;
    switch (relay_run(&conn->up, pools_of(conn))) {
    case RELAY_WAIT:
        return PROGRESS_WAIT;
    case RELAY_AGAIN:
        return PROGRESS_AGAIN;
    case RELAY_DONE:
        request->up_ended = true;
        return watch_client(conn);
    case RELAY_WRITE_ERROR:
        /* The engine may have answered before it stopped reading. */
        request->up_failed = true;
        return PROGRESS_WAIT;
    case RELAY_MALFORMED:
        if (request->have_response)
            return conn_fail(conn, "malformed body");
        request->outcome = "malformed body";
        request->verdict.decision = FILTER_BAD_REQUEST;
        request->verdict.rule = "http.body";
        return reply_refusal(conn, 400, "the request's chunked body is malformed", "http.body",
                             false);
    case RELAY_TRUNCATED:
    case RELAY_READ_ERROR:
        break;
    }
    return conn_fail(conn, "client closed");
}

static enum progress finish(struct conn *conn) {
    struct conn_request *request = &conn->request;
    bool clean = request->up_ended && !request->up_failed && !request->client_ended;
    bool keep = clean && request->response.keep_alive && request->http.keep_alive;
    exchange_end(conn, keep);
    return conn_finish(conn, keep);
}

static enum progress run_down(struct conn *conn) {
    struct conn_request *request = &conn->request;
    if (!request->have_response)
        return read_response_head(conn);
    switch (relay_run(&conn->down, pools_of(conn))) {
    case RELAY_WAIT:
        return PROGRESS_WAIT;
    case RELAY_AGAIN:
        return PROGRESS_AGAIN;
    case RELAY_DONE:
        if (!request->response.interim)
            return finish(conn);
        request->have_response = false;
        return PROGRESS_NEXT;
    case RELAY_WRITE_ERROR:
        return conn_fail(conn, "client closed");
    case RELAY_TRUNCATED:
    case RELAY_READ_ERROR:
    case RELAY_MALFORMED:
        break;
    }
    return conn_fail(conn, cut_by(conn));
}

/* Combines what both directions came to: moving beats waiting. */
static enum progress most_urgent(enum progress a, enum progress b) {
    if (a == PROGRESS_NEXT || b == PROGRESS_NEXT)
        return PROGRESS_NEXT;
    return a == PROGRESS_AGAIN || b == PROGRESS_AGAIN ? PROGRESS_AGAIN : PROGRESS_WAIT;
}

enum progress exchange_run(struct conn *conn) {
    enum progress up = run_up(conn);
    if (conn->state != CONN_EXCHANGE)
        return up;
    enum progress down = run_down(conn);
    if (conn->state != CONN_EXCHANGE)
        return down;
    return most_urgent(up, down);
}

/* --- tunnels --- */

/* One direction of a tunnel: true while it lasts. At its end the other side is told, and only that:
 * the opposite direction goes on. */
static bool run_half(struct conn *conn, struct relay *relay, bool *ended, enum progress *progress) {
    struct conn_request *request = &conn->request;
    *progress = PROGRESS_WAIT;
    if (!*ended) {
        switch (relay_run(relay, pools_of(conn))) {
        case RELAY_WAIT:
            return true;
        case RELAY_AGAIN:
            *progress = PROGRESS_AGAIN;
            return true;
        case RELAY_DONE:
            *ended = true;
            break;
        case RELAY_WRITE_ERROR:
            /* That side reads no more; what it still has to say is read by the other direction. */
            relay->to->write_ended = true;
            *ended = true;
            return true;
        case RELAY_READ_ERROR:
        case RELAY_TRUNCATED:
        case RELAY_MALFORMED:
            if (relay == &conn->up)
                return false;
            /* An engine that closes with input unread resets the connection: that is how a
             * container ends whose stdin was not used up. What it wrote before still belongs to the
             * client. */
            request->outcome = "engine closed abruptly";
            relay->from->hung_up = true;
            *ended = true;
            break;
        }
    }
    /* A side that cannot be told has gone: nothing more to do for it here. */
    if (stream_end_write(relay->to) == STREAM_ERROR)
        relay->to->write_ended = true;
    return true;
}

enum progress exchange_tunnel(struct conn *conn) {
    struct conn_request *request = &conn->request;
    enum progress up;
    enum progress down;
    if (!run_half(conn, &conn->up, &request->up_ended, &up))
        return conn_fail(conn, "client closed");
    if (!run_half(conn, &conn->down, &request->down_ended, &down))
        return conn_fail(conn, "engine failed");
    /* A side that has hung up takes no more: once what it said has been passed on, that is all. */
    if ((request->up_ended && request->down_ended) || (request->up_ended && conn->client.hung_up) ||
        (request->down_ended && conn->upstream->stream.hung_up)) {
        exchange_end(conn, false);
        return conn_finish(conn, false);
    }
    return most_urgent(up, down);
}
