#include "proxy/h2_state.h"

enum { OUT_LIMIT = 64 * 1024 }; /* bytes to the engine at a time, of messages that were held */

struct h2_stream *h2_stream_find(struct h2_inspect *inspect, uint32_t id) {
    for (size_t i = 0; i < H2_MAX_STREAMS; i++)
        if (inspect->streams[i].id == id)
            return &inspect->streams[i];
    return NULL;
}

struct h2_stream *h2_stream_add(struct h2_inspect *inspect, uint32_t id,
                                enum h2_stream_state state) {
    struct h2_stream *stream = h2_stream_find(inspect, 0);
    if (stream == NULL) {
        h2_fail(inspect, "too many streams");
        return NULL;
    }
    *stream = (struct h2_stream){.id = id, .state = state, .window = inspect->initial_window};
    inspect->waiting += state == H2_STREAM_HELD;
    return stream;
}

/* Changes the state, and what is counted of it. */
static void become(struct h2_inspect *inspect, struct h2_stream *stream,
                   enum h2_stream_state state) {
    inspect->waiting -= stream->state == H2_STREAM_HELD;
    inspect->sending -= stream->state == H2_STREAM_SENDING;
    inspect->waiting += state == H2_STREAM_HELD;
    inspect->sending += state == H2_STREAM_SENDING;
    stream->state = state;
}

void h2_stream_forget_path(struct h2_stream *stream) {
    arena_reset(&stream->arena);
    stream->path = slice_of(NULL, 0);
}

static void forget_message(struct h2_inspect *inspect, struct h2_stream *stream) {
    inspect->held -= buffer_len(&stream->message);
    inspect->memory -= stream->message.capacity;
    buffer_release(&stream->message, inspect->settings.pool);
}

void h2_stream_drop(struct h2_inspect *inspect, struct h2_stream *stream) {
    become(inspect, stream, H2_STREAM_PASSING);
    forget_message(inspect, stream);
    h2_stream_forget_path(stream);
    *stream = (struct h2_stream){0};
}

void h2_stream_settle(struct h2_inspect *inspect, struct h2_stream *stream) {
    if (!stream->client_ended || !stream->engine_ended)
        return;
    if (inspect->cancelled > 0)
        inspect->cancelled--;
    h2_stream_drop(inspect, stream);
}

/* --- refusals --- */

/* gRPC over HTTP/2, "Status-Message": all but printable ASCII, and '%', is percent-encoded. */
static bool append_message(struct h2_inspect *inspect, struct buffer *block, struct arena *arena,
                           const char *text) {
    static const char hex[] = "0123456789ABCDEF";
    size_t len = strlen(text);
    char *encoded = arena_alloc(arena, len * 3 + 1);
    if (encoded == NULL)
        return false;
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            encoded[at++] = (char)c;
            continue;
        }
        encoded[at++] = '%';
        encoded[at++] = hex[c >> 4];
        encoded[at++] = hex[c & 15];
    }
    return h2_append_literal(block, inspect->settings.pool, SLICE("grpc-message"),
                             slice_of(encoded, at));
}

/* A response that is trailers alone, with PERMISSION_DENIED (7). */
static void answer(struct h2_inspect *inspect, struct h2_stream *stream,
                   const struct grpc_verdict *verdict) {
    struct buffer_pool *pool = inspect->settings.pool;
    struct buffer block = {0};
    const char *text = arena_printf(&stream->arena, "%s: %s (%s)", inspect->settings.message_prefix,
                                    verdict->reason, verdict->rule);
    bool ok = text != NULL && h2_append_table_size(inspect, &block) &&
              h2_append_literal(&block, pool, SLICE(":status"), SLICE("200")) &&
              h2_append_literal(&block, pool, SLICE("content-type"), SLICE("application/grpc")) &&
              h2_append_literal(&block, pool, SLICE("grpc-status"), SLICE("7")) &&
              append_message(inspect, &block, &stream->arena, text) &&
              h2_append_headers(&inspect->inject, pool, stream->id, true, buffer_slice(&block));
    buffer_release(&block, pool);
    if (!ok)
        h2_fail(inspect, "out of memory");
}

void h2_stream_refuse(struct h2_inspect *inspect, struct h2_stream *stream, bool at_engine,
                      const struct grpc_verdict *verdict) {
    inspect->settings.report(inspect->settings.context,
                             &(const struct grpc_call){.path = stream->path}, verdict);
    forget_message(inspect, stream);
    if (at_engine && !h2_append_number(&inspect->to_engine, inspect->settings.pool, H2_RST_STREAM,
                                       stream->id, H2_CANCEL))
        h2_fail(inspect, "out of memory");
    /* An answer that the engine has begun cannot be begun again. */
    if (!stream->answered)
        answer(inspect, stream, verdict);
    else if (!h2_append_number(&inspect->inject, inspect->settings.pool, H2_RST_STREAM, stream->id,
                               H2_CANCEL))
        h2_fail(inspect, "out of memory");
    h2_flush_inject(inspect);
    become(inspect, stream, H2_STREAM_REFUSED);
    h2_stream_forget_path(stream);
    if (stream->client_ended)
        h2_stream_drop(inspect, stream);
}

bool h2_stream_passes(struct h2_inspect *inspect, const struct grpc_call *call,
                      const struct grpc_verdict *verdict) {
    bool passes = verdict->decision == FILTER_ALLOW ||
                  (inspect->settings.permissive && verdict->decision == FILTER_DENY);
    if (passes)
        inspect->settings.report(inspect->settings.context, call, verdict);
    return passes;
}

/* --- held messages --- */

static void refuse_message(struct h2_inspect *inspect, struct h2_stream *stream,
                           const char *reason) {
    h2_stream_refuse(inspect, stream, true,
                     &(struct grpc_verdict){
                         .decision = FILTER_BAD_REQUEST, .rule = "grpc.message", .reason = reason});
}

/* The length that a message's prefix announces, with the prefix. */
static size_t announced(struct slice held) {
    return GRPC_PREFIX + (size_t)h2_read_u32(held.data + 1);
}

void h2_stream_gather(struct h2_inspect *inspect, struct h2_stream *stream, struct slice bytes) {
    if (bytes.len > inspect->held_limit || inspect->held > inspect->held_limit - bytes.len) {
        refuse_message(inspect, stream, "too many large calls at a time; try again");
        return;
    }
    size_t held_before = buffer_len(&stream->message);
    size_t memory_before = stream->message.capacity;
    bool appended = h2_append(&stream->message, inspect->settings.pool, bytes);
    inspect->held += buffer_len(&stream->message) - held_before;
    inspect->memory += stream->message.capacity - memory_before;
    if (!appended) {
        h2_fail(inspect, "out of memory");
        return;
    }
    struct slice held = buffer_slice(&stream->message);
    if (held.len < GRPC_PREFIX)
        return;
    if (held.data[0] != 0)
        refuse_message(inspect, stream, "a compressed message cannot be judged");
    else if (announced(held) > GRPC_PREFIX + GRPC_MAX_MESSAGE)
        refuse_message(inspect, stream, "the message is too large to judge");
    else if (held.len > announced(held))
        refuse_message(inspect, stream, "the call takes one message alone");
}

void h2_stream_judge(struct h2_inspect *inspect, struct h2_stream *stream) {
    struct slice held = buffer_slice(&stream->message);
    if (held.len < GRPC_PREFIX || held.len != announced(held)) {
        refuse_message(inspect, stream, "the call's message is cut short");
        return;
    }
    struct grpc_verdict verdict = grpc_judge_message(inspect->settings.policy, stream->path,
                                                     slice_from(held, GRPC_PREFIX), &stream->arena);
    const struct grpc_call call = {
        .path = stream->path, .has_message = true, .message = slice_from(held, GRPC_PREFIX)};
    if (!h2_stream_passes(inspect, &call, &verdict)) {
        h2_stream_refuse(inspect, stream, true, &verdict);
        return;
    }
    become(inspect, stream, H2_STREAM_SENDING);
    h2_stream_send(inspect, stream);
}

/* How many bytes of it the engine takes now. */
static size_t sendable(const struct h2_inspect *inspect, const struct h2_stream *stream) {
    int64_t window = stream->window < inspect->window ? stream->window : inspect->window;
    size_t held = buffer_len(&stream->message);
    if (window <= 0)
        return 0;
    if ((uint64_t)window < held)
        held = (size_t)window;
    return held < H2_MAX_FRAME ? held : H2_MAX_FRAME;
}

void h2_stream_send(struct h2_inspect *inspect, struct h2_stream *stream) {
    while (buffer_len(&inspect->to_engine) < OUT_LIMIT && inspect->fault == NULL) {
        size_t count = sendable(inspect, stream);
        if (count == 0)
            return;
        struct slice held = buffer_slice(&stream->message);
        bool last = count == held.len;
        h2_send_engine(inspect, H2_DATA, last ? H2_END_STREAM : 0, stream->id,
                       slice_first(held, count));
        stream->window -= (int64_t)count;
        inspect->window -= (int64_t)count;
        /* The client was credited for it when it was gathered. */
        stream->owed += count;
        inspect->owed += count;
        inspect->held -= count;
        /* Not by buffer_consume, which would copy a message that shrinks. */
        stream->message.start += count;
        if (last) {
            forget_message(inspect, stream);
            become(inspect, stream, H2_STREAM_PASSING);
            h2_stream_settle(inspect, stream);
            return;
        }
    }
}
