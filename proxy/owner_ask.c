/* One question to the engine, on a connection of the pool: GET or POST, a bounded answer. */
#include "filter/json_span.h"
#include "proxy/owner_state.h"
#include "proxy/worker.h"

/* An inspection holds what the creation's body held, the command twice, and the image's
 * configuration; and some characters are six bytes there. Room for what comes of any body of 1 MiB,
 * which is the limit by default, unless it is made for being long. */
enum { MAX_ANSWER = 4 * 1024 * 1024 };

static struct upstream_pool *pool_of(struct conn *conn) {
    return &conn->worker->upstreams;
}

static enum progress take_upstream(struct conn *conn, bool fresh) {
    struct owner_check *check = conn->request.owner;
    (void)owner_charge(conn, 0);
    conn->upstream = upstream_take(pool_of(conn), conn, fresh);
    if (conn->upstream == NULL)
        return reply_fault(conn, 503, "out of memory");
    conn->upstream_head_seen = 0;
    check->sent = check->head_len = check->body_len = 0;
    check->phase = OWNER_CONNECT;
    return PROGRESS_NEXT;
}

/* A request may name one object often; the first answer is that to all. What is asked for more than
 * its owner is asked by itself. */
static bool is_known(struct owner_check *check) {
    struct ownership_ref *ref = &check->plan.refs[check->next];
    for (size_t i = 0; i < check->next && ref->make.len == 0 && !ref->joins; i++) {
        const struct ownership_ref *known = &check->plan.refs[i];
        if (known->kind != ref->kind || !slice_equal(known->name, ref->name))
            continue;
        ref->id = known->id;
        return true;
    }
    return false;
}

static enum progress begin(struct conn *conn) {
    struct owner_check *check = conn->request.owner;
    struct slice path;
    struct slice body;
    if (is_known(check)) {
        check->next++;
        return PROGRESS_NEXT;
    }
    if (!ownership_question(&check->plan.refs[check->next], &conn->arena, &path, &body))
        return owner_missing(conn, false);
    char *text = body.len == 0
                     ? arena_printf(&conn->arena, "GET %.*s HTTP/1.1\r\nHost: docker\r\n\r\n",
                                    SLICE_ARGS(path))
                     : arena_printf(&conn->arena,
                                    "POST %.*s HTTP/1.1\r\nHost: docker\r\nContent-Type: "
                                    "application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
                                    SLICE_ARGS(path), body.len, SLICE_ARGS(body));
    if (text == NULL)
        return reply_fault(conn, 503, "out of memory");
    check->question = slice_from_string(text);
    check->retried = false;
    return take_upstream(conn, false);
}

/* A kept connection may have gone stale; no question changes anything when it is put twice. */
static enum progress no_answer(struct conn *conn, const char *why) {
    struct owner_check *check = conn->request.owner;
    bool again = conn->upstream->reused && !check->retried && check->head_len == 0;
    upstream_drop(pool_of(conn), conn->upstream);
    conn->upstream = NULL;
    if (again) {
        check->retried = true;
        return take_upstream(conn, true);
    }
    conn->request.outcome = "engine failed";
    return reply_fault(conn, 502, "the Docker engine gave no valid answer: %s", why);
}

static enum progress connect_engine(struct conn *conn) {
    bool ready;
    enum progress progress = exchange_reach(conn, &ready);
    if (ready)
        conn->request.owner->phase = OWNER_SEND;
    return progress;
}

static enum progress send_question(struct conn *conn) {
    struct owner_check *check = conn->request.owner;
    struct stream *stream = &conn->upstream->stream;
    while (check->sent < check->question.len) {
        size_t put = 0;
        struct slice rest = slice_from(check->question, check->sent);
        if (!stream->writable)
            return PROGRESS_WAIT;
        switch (stream_write(stream, rest.data, rest.len, &put)) {
        case STREAM_OK:
            check->sent += put;
            break;
        case STREAM_WAIT:
            return stream->writable ? PROGRESS_AGAIN : PROGRESS_WAIT;
        default:
            return no_answer(conn, stream_error_text());
        }
    }
    check->phase = OWNER_READ;
    return PROGRESS_NEXT;
}

/* The payload of the whole answer that is in the buffer. */
static struct slice payload_of(const struct conn *conn, struct arena *scratch) {
    const struct owner_check *check = conn->request.owner;
    struct slice wire = slice_first(slice_from(buffer_slice(&conn->upstream->in), check->head_len),
                                    check->body_len);
    struct framing framing = check->response.framing;
    char *payload = arena_alloc(scratch, wire.len + 1);
    size_t len = 0;
    if (payload == NULL)
        return slice_of(NULL, 0);
    (void)framing_scan(&framing, wire.data, wire.len, payload, &len);
    return slice_of(payload, len);
}

/* The engine did not make a volume: what it says of that is for the client. */
static enum progress pass_error(struct conn *conn, struct slice payload) {
    const struct owner_check *check = conn->request.owner;
    struct slice value;
    struct slice text = {0};
    bool said =
        json_find(json_value(payload), SLICE("message"), true, &value) == JSON_MEMBER_FOUND &&
        json_decode(value, &conn->arena, &text);
    const char *message = said ? arena_printf(&conn->arena, "%.*s", SLICE_ARGS(text))
                               : "the volume could not be created";
    conn->request.outcome = "engine refused";
    return reply_engine_error(conn, check->response.status, message,
                              check->whole && conn->request.http.keep_alive);
}

/* `payload` is gone afterwards. */
static enum progress take_answer(struct conn *conn, struct slice payload) {
    struct owner_check *check = conn->request.owner;
    const struct ownership_ref *ref = &check->plan.refs[check->next];
    unsigned status = check->response.status;
    if (status != 200 && status != 201)
        return ref->make.len > 0 && status >= 400 ? pass_error(conn, payload)
                                                  : owner_missing(conn, false);
    switch (ownership_answer(&check->plan, check->next, payload, &conn->arena)) {
    case OWNERSHIP_OWN:
        check->next++;
        check->phase = OWNER_NEXT;
        return PROGRESS_NEXT;
    case OWNERSHIP_NOT_OWN:
        return owner_missing(conn, true);
    case OWNERSHIP_UNCLEAR:
        break;
    }
    conn->request.outcome = "engine unclear";
    return reply_fault(conn, 502, "the Docker engine did not say whose that is");
}

static enum progress end_answer(struct conn *conn) {
    struct owner_check *check = conn->request.owner;
    struct buffer *in = &conn->upstream->in;
    struct arena scratch = {0};
    struct slice payload = payload_of(conn, &scratch);
    size_t len = check->head_len + check->body_len;
    if (payload.data == NULL)
        return reply_fault(conn, 503, "out of memory");
    buffer_consume(in, &conn->worker->pools.buffers, len);
    (void)owner_charge(conn, 0);
    if (check->response.keep_alive)
        upstream_give(pool_of(conn), conn->upstream);
    else
        upstream_drop(pool_of(conn), conn->upstream);
    conn->upstream = NULL;
    enum progress progress = take_answer(conn, payload);
    arena_reset(&scratch);
    return progress;
}

/* Looks at what is in the buffer; true when the answer is whole. */
static bool is_whole(struct conn *conn, const char **fault) {
    static const struct http_request asked;
    struct owner_check *check = conn->request.owner;
    struct slice held = buffer_slice(&conn->upstream->in);
    *fault = NULL;
    if (check->head_len == 0) {
        size_t len = http_head_end(held, &conn->upstream_head_seen);
        if (len == 0)
            return false;
        *fault = http_response_parse(slice_first(held, len), &asked, FILTER_HIJACK_NONE,
                                     &check->response, &conn->arena);
        if (*fault == NULL && check->response.interim)
            *fault = "an interim answer that nothing asked for";
        if (*fault != NULL)
            return false;
        check->head_len = len;
    }
    /* From the start each time: the answer is small, and comes in one piece as a rule. */
    struct framing framing = check->response.framing;
    struct slice wire = slice_from(held, check->head_len);
    check->body_len = framing_scan(&framing, wire.data, wire.len, NULL, NULL);
    if (framing.bad)
        *fault = "its answer's framing is broken";
    return framing.done ||
           (conn->upstream->stream.read_ended && framing_ends_at_eof(&framing) && !framing.bad);
}

static enum progress read_answer(struct conn *conn) {
    struct buffer *in = &conn->upstream->in;
    struct stream *stream = &conn->upstream->stream;
    while (true) {
        const char *fault;
        if (is_whole(conn, &fault) && fault == NULL)
            return end_answer(conn);
        if (fault != NULL)
            return no_answer(conn, fault);
        if (stream->read_ended)
            return no_answer(conn, "it closed the connection");
        if (buffer_len(in) >= MAX_ANSWER)
            return no_answer(conn, "its answer is too long");
        if (!stream->readable)
            return PROGRESS_WAIT;
        if (!buffer_reserve(in, &conn->worker->pools.buffers, MAX_ANSWER))
            return no_answer(conn, "out of memory");
        if (!owner_charge(conn, in->capacity)) {
            (void)owner_charge(conn, 0);
            return reply_too_many(conn);
        }
        size_t room = 0;
        size_t got = 0;
        char *space = buffer_space(in, &room);
        enum stream_status status = stream_read(stream, space, room, &got);
        if (status == STREAM_OK)
            buffer_added(in, got);
        else if (status == STREAM_WAIT)
            return stream->readable ? PROGRESS_AGAIN : PROGRESS_WAIT;
        else if (status != STREAM_EOF)
            return no_answer(conn, status == STREAM_ERROR ? stream_error_text()
                                                          : "it closed the connection");
    }
}

enum progress owner_ask(struct conn *conn) {
    switch (conn->request.owner->phase) {
    case OWNER_NEXT:
        return begin(conn);
    case OWNER_CONNECT:
        return connect_engine(conn);
    case OWNER_SEND:
        return send_question(conn);
    case OWNER_READ:
        break;
    }
    return read_answer(conn);
}
