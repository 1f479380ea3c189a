/* /grpc: the tunnel whose calls are judged one by one. Moves bytes between the two sides and the
 * judge of HTTP/2 (h2_inspect.h). */
#include "proxy/audit_lines.h"
#include "proxy/conn.h"
#include "proxy/h2.h"
#include "proxy/h2_inspect.h"
#include "proxy/learner.h"
#include "proxy/log.h"
#include "proxy/worker.h"

enum { TURNS = 64 }; /* rounds of reading and writing before others get theirs */

static struct buffer_pool *pool_of(struct conn *conn) {
    return &conn->worker->pools.buffers;
}

static bool is_permissive(const struct conn *conn) {
    return conn->worker->shared->config->mode != CONFIG_ENFORCE;
}

static void report(void *context, const struct grpc_call *call,
                   const struct grpc_verdict *verdict) {
    static const char *const words[] = {[FILTER_ALLOW] = "allow",
                                        [FILTER_NEED_BODY] = "none",
                                        [FILTER_DENY] = "deny",
                                        [FILTER_BAD_REQUEST] = "bad-request"};
    struct conn *conn = context;
    uint64_t suppressed = 0;
    const char *word = words[verdict->decision];
    if (verdict->decision == FILTER_DENY && is_permissive(conn))
        word = "would-deny";
    audit_call(conn, call->path, verdict, word);
    const char *method = grpc_known_path(call->path);
    counters_verdict(&conn->worker->counters->calls, method != NULL ? method : "unknown", word,
                     verdict->rule);
    struct learner *learner = conn->worker->shared->learner;
    if (learner != NULL && verdict->decision != FILTER_BAD_REQUEST)
        learner_offer_call(learner, call, verdict->decision == FILTER_DENY);
    if (verdict->decision == FILTER_ALLOW)
        return;
    if (!log_enabled(LOG_WARNING) || !log_limit_pass(&conn->log_limit, deadline_now(), &suppressed))
        return;
    struct log_record record;
    log_begin(&record, LOG_WARNING, "grpc");
    log_string(&record, "client", conn->peer);
    if (conn->client.tls != NULL)
        log_string(&record, "cn", tls_peer_name(conn->client.tls));
    log_slice(&record, "path", slice_first(call->path, 256));
    log_string(&record, "verdict", word);
    log_string(&record, "rule", verdict->rule);
    if (suppressed > 0)
        log_number(&record, "suppressed", suppressed);
    log_end(&record);
}

enum progress grpc_begin(struct conn *conn, size_t head_len) {
    const struct shared *shared = conn->worker->shared;
    const struct h2_settings settings = {
        .policy = conn->request.client->policy,
        .permissive = is_permissive(conn),
        .message_prefix = shared->config->message_prefix,
        .pool = pool_of(conn),
        .report = report,
        .context = conn,
    };
    struct buffer *from_engine = &conn->upstream->in;
    conn->grpc = h2_inspect_new(&settings);
    if (conn->grpc == NULL || !h2_append(h2_to_client(conn->grpc), pool_of(conn),
                                         slice_first(buffer_slice(from_engine), head_len)))
        return reply_fault(conn, 503, "out of memory");
    /* What came early. */
    h2_feed_engine(conn->grpc, slice_from(buffer_slice(from_engine), head_len));
    buffer_release(from_engine, pool_of(conn));
    h2_feed_client(conn->grpc, buffer_slice(&conn->in));
    buffer_release(&conn->in, pool_of(conn));
    conn->request.up_ended = conn->request.down_ended = false;
    conn->request.grpc = true;
    conn->state = CONN_GRPC;
    return PROGRESS_NEXT;
}

void grpc_end(struct conn *conn) {
    h2_inspect_free(conn->grpc);
    conn->grpc = NULL;
}

/* Messages that are held count as bodies to be judged do. */
static void account(struct conn *conn) {
    struct worker *worker = conn->worker;
    size_t held = h2_memory(conn->grpc);
    (void)conn_charge(conn, held, 0);
    size_t others = worker->judged_bytes - held;
    h2_limit_held(conn->grpc, others < WORKER_JUDGED_BUDGET ? WORKER_JUDGED_BUDGET - others : 0);
    if (h2_waiting(conn->grpc) == 0)
        deadline_cancel(&worker->deadlines, &conn->deadline);
    else if (!conn->deadline.armed)
        deadline_arm(&worker->deadlines, &conn->deadline, DEADLINE_HEAD, worker->now);
}

void grpc_expired(struct conn *conn) {
    h2_expire(conn->grpc);
}

/* Writes what it can. False when that side is broken; what is in the buffer is then lost. */
static bool write_out(struct conn *conn, struct buffer *out, struct stream *to, uint64_t *total,
                      bool *moved) {
    while (buffer_len(out) > 0 && to->writable) {
        size_t put = 0;
        struct slice bytes = buffer_slice(out);
        enum stream_status status = stream_write(to, bytes.data, bytes.len, &put);
        if (status == STREAM_WAIT)
            return true;
        if (status != STREAM_OK) {
            buffer_release(out, pool_of(conn));
            return false;
        }
        *total += put;
        counter_add(&conn->worker->counters->bytes[COUNTER_USER], put);
        *moved = true;
        buffer_consume(out, pool_of(conn), put);
    }
    return true;
}

/* Reads one buffer of a side and hands it to the judge. */
static enum stream_status read_in(struct conn *conn, struct stream *from,
                                  void (*feed)(struct h2_inspect *inspect, struct slice bytes),
                                  bool *moved) {
    char bytes[BUFFER_SIZE];
    size_t got = 0;
    enum stream_status status = stream_read(from, bytes, sizeof bytes, &got);
    if (status == STREAM_OK) {
        feed(conn->grpc, slice_of(bytes, got));
        *moved = true;
    }
    return status;
}

/* One round: false when the connection is over, with `outcome`. */
static bool round_trip(struct conn *conn, bool *moved, const char **outcome) {
    struct conn_request *request = &conn->request;
    struct stream *engine = &conn->upstream->stream;
    struct stream *client = &conn->client;
    *outcome = "client closed";
    if (!write_out(conn, h2_to_client(conn->grpc), client, &conn->down.total, moved))
        return false;
    if (!write_out(conn, h2_to_engine(conn->grpc), engine, &conn->up.total, moved))
        engine->write_ended = true; /* what it still says goes to the client */
    h2_inspect_run(conn->grpc);
    if (!request->up_ended && client->readable && h2_wants_client(conn->grpc)) {
        enum stream_status status = read_in(conn, client, h2_feed_client, moved);
        if (status == STREAM_ERROR || status == STREAM_TRUNCATED)
            return false;
        request->up_ended = status == STREAM_EOF;
    }
    if (!request->down_ended && engine->readable && h2_wants_engine(conn->grpc)) {
        enum stream_status status = read_in(conn, engine, h2_feed_engine, moved);
        if (status == STREAM_ERROR || status == STREAM_TRUNCATED)
            request->outcome = "engine closed abruptly";
        request->down_ended = status != STREAM_OK && status != STREAM_WAIT;
    }
    *outcome = h2_fault(conn->grpc);
    return *outcome == NULL;
}

/* Passes an end on, once all before it is out. */
static void pass_end(bool ended, bool drained, struct stream *to) {
    if (ended && drained && stream_end_write(to) == STREAM_ERROR)
        to->write_ended = true;
}

enum progress grpc_run(struct conn *conn) {
    struct conn_request *request = &conn->request;
    struct stream *engine = &conn->upstream->stream;
    bool moved = true;
    for (int turn = 0; turn < TURNS && moved; turn++) {
        const char *outcome;
        moved = false;
        bool goes_on = round_trip(conn, &moved, &outcome);
        account(conn);
        if (!goes_on)
            return conn_fail(conn, outcome);
    }
    bool up_drained = buffer_len(h2_to_engine(conn->grpc)) == 0 && !h2_pending(conn->grpc);
    bool down_drained = buffer_len(h2_to_client(conn->grpc)) == 0;
    pass_end(request->up_ended, up_drained || engine->write_ended, engine);
    pass_end(request->down_ended, down_drained, &conn->client);
    bool up_over = request->up_ended && (up_drained || engine->write_ended);
    bool down_over = request->down_ended && down_drained;
    if ((up_over && down_over) || (up_over && conn->client.hung_up) ||
        (down_over && engine->hung_up)) {
        exchange_end(conn, false);
        return conn_finish(conn, false);
    }
    return moved ? PROGRESS_AGAIN : PROGRESS_WAIT;
}
