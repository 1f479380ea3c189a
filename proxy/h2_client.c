/* The client's frames: judged, and sent to the engine. */
#include "proxy/h2_state.h"

enum {
    MAX_BLOCK = 32 * 1024, /* bytes of a header block as it comes */
    MAX_BLOCK_FRAMES = 16,
    MAX_CANCELLED = 200, /* more than those that ended well: nobody means to build */
};

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum taken { TAKEN, MUST_WAIT };

static struct slice without_padding(struct h2_inspect *inspect, const struct h2_frame *frame,
                                    struct slice payload) {
    if (!(frame->flags & H2_PADDED))
        return payload;
    size_t padding = payload.len > 0 ? (unsigned char)payload.data[0] : 0;
    if (payload.len < 1 + padding) {
        h2_fail(inspect, "padding exceeds its frame");
        return slice_of(NULL, 0);
    }
    return slice_of(payload.data + 1, payload.len - 1 - padding);
}

/* A frame on a stream that has not been opened is an error; one that has ended here is late. */
static bool is_idle(struct h2_inspect *inspect, uint32_t stream) {
    if (stream <= inspect->last_stream && stream % 2 == 1)
        return false;
    h2_fail(inspect, "a frame of a stream that was not opened");
    return true;
}

/* --- header blocks --- */

static bool encode(struct h2_inspect *inspect, const struct hpack_request *request,
                   struct buffer *block) {
    struct buffer_pool *pool = inspect->settings.pool;
    for (size_t i = 0; i < request->pseudo_count; i++)
        if (!h2_append_literal(block, pool, request->pseudo[i].name, request->pseudo[i].value))
            return false;
    for (size_t i = 0; i < request->count; i++)
        if (!h2_append_literal(block, pool, request->headers[i].name, request->headers[i].value))
            return false;
    return true;
}

static void forward_head(struct h2_inspect *inspect, struct h2_stream *stream,
                         const struct hpack_request *request) {
    struct buffer block = {0};
    if (!encode(inspect, request, &block) ||
        !h2_append_headers(&inspect->to_engine, inspect->settings.pool, stream->id,
                           stream->client_ended, buffer_slice(&block)))
        h2_fail(inspect, "out of memory");
    buffer_release(&block, inspect->settings.pool);
}

static void open_stream(struct h2_inspect *inspect, uint32_t id, bool ends, struct arena *arena,
                        const struct hpack_request *request) {
    struct grpc_verdict verdict = grpc_judge_head(inspect->settings.policy, request->path,
                                                  request->headers, request->count, arena);
    if (verdict.decision == FILTER_NEED_BODY && ends)
        verdict = (struct grpc_verdict){.decision = FILTER_BAD_REQUEST,
                                        .rule = "grpc.message",
                                        .reason = "the call has no message"};
    enum h2_stream_state state =
        verdict.decision == FILTER_NEED_BODY ? H2_STREAM_HELD : H2_STREAM_PASSING;
    struct h2_stream *stream = h2_stream_add(inspect, id, state);
    if (stream == NULL)
        return;
    stream->client_ended = ends;
    stream->path = arena_copy(&stream->arena, request->path);
    if (stream->path.data == NULL) {
        h2_fail(inspect, "out of memory");
        return;
    }
    const struct grpc_call call = {
        .path = request->path, .headers = request->headers, .header_count = request->count};
    if (verdict.decision != FILTER_NEED_BODY && !h2_stream_passes(inspect, &call, &verdict)) {
        h2_stream_refuse(inspect, stream, false, &verdict);
        return;
    }
    forward_head(inspect, stream, request);
    if (state == H2_STREAM_PASSING)
        h2_stream_forget_path(stream);
}

/* A whole block: decoded whatever becomes of its stream, as the next one builds on it. */
static void finish_block(struct h2_inspect *inspect) {
    uint32_t id = inspect->block_stream;
    struct arena arena = {0};
    struct hpack_request *request = arena_alloc(&arena, sizeof *request);
    const char *fault =
        request == NULL
            ? "out of memory"
            : hpack_decode(inspect->decoder, buffer_slice(&inspect->block), request, &arena);
    inspect->block_stream = 0;
    buffer_release(&inspect->block, inspect->settings.pool);
    if (fault != NULL) {
        h2_fail(inspect, fault);
    } else {
        inspect->last_stream = id;
        open_stream(inspect, id, inspect->block_ends, &arena, request);
    }
    arena_reset(&arena);
}

static void add_to_block(struct h2_inspect *inspect, uint8_t flags, struct slice part) {
    if (++inspect->block_frames > MAX_BLOCK_FRAMES ||
        buffer_len(&inspect->block) + part.len > MAX_BLOCK)
        h2_fail(inspect, "a header block is too long");
    else if (!h2_append(&inspect->block, inspect->settings.pool, part))
        h2_fail(inspect, "out of memory");
    else if (flags & H2_END_HEADERS)
        finish_block(inspect);
}

static enum taken take_headers(struct h2_inspect *inspect, const struct h2_frame *frame,
                               struct slice payload) {
    enum { PRIORITY_BYTES = 5 };
    /* No gRPC client sends trailers: a second block of a stream is none. */
    if (frame->stream % 2 == 0 || frame->stream <= inspect->last_stream) {
        h2_fail(inspect, "a header block of a stream that cannot be opened");
        return TAKEN;
    }
    struct slice part = without_padding(inspect, frame, payload);
    if (frame->flags & H2_HAS_PRIORITY) {
        if (part.len < PRIORITY_BYTES)
            h2_fail(inspect, "a frame is too short");
        part = slice_from(part, PRIORITY_BYTES);
    }
    if (inspect->fault != NULL)
        return TAKEN;
    inspect->block_stream = frame->stream;
    inspect->block_ends = frame->flags & H2_END_STREAM;
    inspect->block_frames = 0;
    add_to_block(inspect, frame->flags, part);
    return TAKEN;
}

/* --- the other frames --- */

/* RFC 9113 section 6.9. To wait for credit that may never come would keep the connection for ever.
 * The client may not have heard yet that the engine made its windows smaller. */
static bool exceeds_window(const struct h2_inspect *inspect, const struct h2_stream *stream,
                           size_t len) {
    int64_t shrunk = inspect->largest_initial_window - inspect->initial_window;
    return (int64_t)len > stream->window + shrunk ||
           (int64_t)len > inspect->window + (int64_t)inspect->owed;
}

static enum taken pass_data(struct h2_inspect *inspect, struct h2_stream *stream,
                            const struct h2_frame *frame, struct slice payload) {
    if (exceeds_window(inspect, stream, payload.len)) {
        h2_fail(inspect, "data beyond the window");
        return TAKEN;
    }
    /* The client may know of credit that the engine has not given yet. */
    if ((int64_t)payload.len > stream->window || (int64_t)payload.len > inspect->window)
        return MUST_WAIT;
    stream->window -= (int64_t)payload.len;
    inspect->window -= (int64_t)payload.len;
    h2_send_engine(inspect, H2_DATA, frame->flags, stream->id, payload);
    stream->client_ended = frame->flags & H2_END_STREAM;
    h2_stream_settle(inspect, stream);
    return TAKEN;
}

static enum taken take_data(struct h2_inspect *inspect, const struct h2_frame *frame,
                            struct slice payload) {
    struct h2_stream *stream = frame->stream == 0 ? NULL : h2_stream_find(inspect, frame->stream);
    bool ends = frame->flags & H2_END_STREAM;
    struct slice bytes = without_padding(inspect, frame, payload);
    if (inspect->fault != NULL || (stream == NULL && is_idle(inspect, frame->stream)))
        return TAKEN;
    if (stream != NULL && stream->client_ended) {
        h2_fail(inspect, "data after a stream's end");
        return TAKEN;
    }
    if (stream != NULL && stream->state == H2_STREAM_PASSING)
        return pass_data(inspect, stream, frame, payload);
    /* All else does not reach the engine now, so it is for us to give the credit back. */
    h2_credit_client(inspect, 0, frame->len);
    if (stream == NULL)
        return TAKEN;
    stream->client_ended = ends;
    if (stream->state == H2_STREAM_REFUSED) {
        if (ends)
            h2_stream_drop(inspect, stream);
        return TAKEN;
    }
    if (!ends)
        h2_credit_client(inspect, stream->id, frame->len);
    h2_stream_gather(inspect, stream, bytes);
    /* It may have been refused, and be gone. */
    if (ends && inspect->fault == NULL && stream->id == frame->stream &&
        stream->state == H2_STREAM_HELD)
        h2_stream_judge(inspect, stream);
    return TAKEN;
}

static enum taken take_reset(struct h2_inspect *inspect, const struct h2_frame *frame,
                             struct slice payload) {
    struct h2_stream *stream = frame->stream == 0 ? NULL : h2_stream_find(inspect, frame->stream);
    if (stream == NULL) {
        (void)is_idle(inspect, frame->stream);
        return TAKEN;
    }
    if (stream->state != H2_STREAM_REFUSED)
        h2_send_engine(inspect, H2_RST_STREAM, 0, frame->stream, payload);
    h2_stream_drop(inspect, stream);
    if (++inspect->cancelled > MAX_CANCELLED)
        h2_fail(inspect, "too many streams were cancelled");
    return TAKEN;
}

static enum taken take_window(struct h2_inspect *inspect, const struct h2_frame *frame,
                              struct slice payload) {
    struct h2_stream *stream = frame->stream == 0 ? NULL : h2_stream_find(inspect, frame->stream);
    if ((h2_read_u32(payload.data) & INT32_MAX) == 0)
        h2_fail(inspect, "an empty window update");
    if (inspect->fault != NULL ||
        (frame->stream != 0 && stream == NULL && is_idle(inspect, frame->stream)))
        return TAKEN;
    if (frame->stream == 0 || (stream != NULL && stream->state != H2_STREAM_REFUSED))
        h2_send_engine(inspect, H2_WINDOW_UPDATE, 0, frame->stream, payload);
    return TAKEN;
}

static enum taken take_settings(struct h2_inspect *inspect, const struct h2_frame *frame,
                                struct slice payload) {
    if (payload.len % H2_SETTING_BYTES != 0 || (frame->flags & H2_ACK && payload.len > 0)) {
        h2_fail(inspect, "malformed settings");
        return TAKEN;
    }
    if (!(frame->flags & H2_ACK))
        h2_note_settings(inspect, payload);
    h2_send_engine(inspect, H2_SETTINGS, frame->flags, 0, payload);
    return TAKEN;
}

static enum taken pass(struct h2_inspect *inspect, const struct h2_frame *frame,
                       struct slice payload) {
    h2_send_engine(inspect, frame->type, frame->flags, frame->stream, payload);
    return TAKEN;
}

/* Advice that changes nothing. */
static enum taken drop(struct h2_inspect *inspect, const struct h2_frame *frame,
                       struct slice payload) {
    (void)inspect;
    (void)frame;
    (void)payload;
    return TAKEN;
}

/* By type: how long its payload is, whether it belongs to a stream, to the connection or to either,
 * and what becomes of it. */
static const struct {
    uint32_t min, max;
    bool on_stream, on_connection;
    enum taken (*take)(struct h2_inspect *inspect, const struct h2_frame *frame,
                       struct slice payload);
} kinds[] = {
    [H2_DATA] = {0, H2_MAX_FRAME, true, false, take_data},
    [H2_HEADERS] = {0, H2_MAX_FRAME, true, false, take_headers},
    [H2_PRIORITY] = {5, 5, true, false, drop},
    [H2_RST_STREAM] = {4, 4, true, false, take_reset},
    [H2_SETTINGS] = {0, 1024, false, true, take_settings},
    [H2_PUSH_PROMISE] = {0, 0, false, false, drop}, /* never a client's */
    [H2_PING] = {8, 8, false, true, pass},
    [H2_GOAWAY] = {8, 1024, false, true, pass},
    [H2_WINDOW_UPDATE] = {4, 4, true, true, take_window},
};

static enum taken take(struct h2_inspect *inspect, const struct h2_frame *frame,
                       struct slice payload) {
    if (inspect->block_stream != 0 || frame->type == H2_CONTINUATION) {
        if (frame->type != H2_CONTINUATION || inspect->block_stream == 0 ||
            frame->stream != inspect->block_stream)
            h2_fail(inspect, "a header block is torn");
        else
            add_to_block(inspect, frame->flags, payload);
        return TAKEN;
    }
    if (!inspect->client_settings && (frame->type != H2_SETTINGS || frame->flags & H2_ACK)) {
        h2_fail(inspect, "the connection does not begin with settings");
        return TAKEN;
    }
    inspect->client_settings = true;
    /* Types that do not exist yet are to be ignored (RFC 9113 section 5.5), so nobody reads them.
     */
    if (frame->type >= sizeof kinds / sizeof kinds[0])
        return TAKEN;
    if (frame->len < kinds[frame->type].min || frame->len > kinds[frame->type].max)
        h2_fail(inspect, "a frame of a wrong length");
    else if (frame->stream == 0 ? !kinds[frame->type].on_connection : !kinds[frame->type].on_stream)
        h2_fail(inspect, "a frame of a wrong stream");
    else
        return kinds[frame->type].take(inspect, frame, payload);
    return TAKEN;
}

static bool take_preface(struct h2_inspect *inspect, struct slice held) {
    struct slice expected = slice_from(SLICE(PREFACE), inspect->preface);
    size_t count = held.len < expected.len ? held.len : expected.len;
    if (memcmp(held.data, expected.data, count) != 0) {
        h2_fail(inspect, "this is not HTTP/2");
        return false;
    }
    inspect->preface += count;
    if (!h2_append(&inspect->to_engine, inspect->settings.pool, slice_first(held, count)))
        h2_fail(inspect, "out of memory");
    buffer_consume(&inspect->client, inspect->settings.pool, count);
    return true;
}

bool h2_client_frame(struct h2_inspect *inspect) {
    struct slice held = buffer_slice(&inspect->client);
    if (held.len == 0)
        return false;
    if (inspect->preface < sizeof PREFACE - 1)
        return take_preface(inspect, held);
    if (held.len < H2_HEAD)
        return false;
    struct h2_frame frame = h2_read_head(held.data);
    if (frame.len > H2_MAX_FRAME) {
        h2_fail(inspect, "a frame is too long");
        return false;
    }
    if (held.len - H2_HEAD < frame.len)
        return false;
    if (take(inspect, &frame, slice_first(slice_from(held, H2_HEAD), frame.len)) == MUST_WAIT) {
        inspect->stalled = true;
        return false;
    }
    buffer_consume(&inspect->client, inspect->settings.pool, H2_HEAD + frame.len);
    return true;
}
