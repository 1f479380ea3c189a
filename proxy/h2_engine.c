/* The engine's frames: they go to the client as they are, but for what the client must not be told:
 * credit that it has had already, and settings of the hop behind us. */
#include "proxy/h2_state.h"

enum { MAX_STREAMS_TOLD = H2_MAX_STREAMS / 2 };

static void to_client(struct h2_inspect *inspect, struct slice bytes) {
    if (!h2_append(&inspect->to_client, inspect->settings.pool, bytes))
        h2_fail(inspect, "out of memory");
}

static bool is_whole(const struct h2_frame *frame) {
    return (frame->type == H2_SETTINGS && !(frame->flags & H2_ACK)) ||
           frame->type == H2_WINDOW_UPDATE;
}

/* --- the table of the client's decoder --- */

static unsigned setting_id(const char *setting) {
    return (unsigned)(unsigned char)setting[0] << 8 | (unsigned char)setting[1];
}

void h2_note_settings(struct h2_inspect *inspect, struct slice payload) {
    if (inspect->unacknowledged_count == H2_MAX_UNACKNOWLEDGED) {
        h2_fail(inspect, "too many settings at a time");
        return;
    }
    struct h2_table_sizes sizes = {UINT32_MAX, UINT32_MAX};
    for (size_t at = 0; at < payload.len; at += H2_SETTING_BYTES) {
        const char *setting = payload.data + at;
        if (setting_id(setting) != H2_SETTING_TABLE_SIZE)
            continue;
        sizes.last = h2_read_u32(setting + 2);
        sizes.least = sizes.last < sizes.least ? sizes.last : sizes.least;
    }
    inspect->unacknowledged[inspect->unacknowledged_count++] = sizes;
}

/* The engine's encoder, and with this frame the client's decoder, go by the next settings. */
static void take_acknowledgement(struct h2_inspect *inspect) {
    if (inspect->unacknowledged_count == 0)
        return; /* the client will know what to make of it */
    struct h2_table_sizes sizes = inspect->unacknowledged[0];
    inspect->unacknowledged_count--;
    memmove(inspect->unacknowledged, inspect->unacknowledged + 1,
            inspect->unacknowledged_count * sizeof sizes);
    if (sizes.least < inspect->table_size && sizes.least < inspect->table_told)
        inspect->table_told = sizes.least;
    if (sizes.last != UINT32_MAX)
        inspect->table_size = sizes.last;
}

/* An integer of five bits' prefix (RFC 7541 sections 5.1 and 6.3). The engine's encoder may tell it
 * again, and may tell a larger one after it; the decoder has lost no entry by then that the encoder
 * still has. */
bool h2_append_table_size(struct h2_inspect *inspect, struct buffer *block) {
    enum { UPDATE = 0x20, PREFIX = 31 };
    char bytes[8];
    size_t len = 0;
    uint32_t size = inspect->table_told;
    if (size == UINT32_MAX)
        return true;
    inspect->table_told = UINT32_MAX;
    if (size < PREFIX) {
        bytes[len++] = (char)(UPDATE | size);
    } else {
        bytes[len++] = UPDATE | PREFIX;
        for (size -= PREFIX; size >= 128; size >>= 7)
            bytes[len++] = (char)(unsigned char)(size | 128);
        bytes[len++] = (char)size;
    }
    return h2_append(block, inspect->settings.pool, slice_of(bytes, len));
}

/* What the frame's head alone says about its stream. */
static void note_head(struct h2_inspect *inspect) {
    const struct h2_frame *frame = &inspect->frame;
    bool block = frame->type == H2_HEADERS || frame->type == H2_PUSH_PROMISE ||
                 frame->type == H2_CONTINUATION;
    if (block) {
        inspect->engine_in_block = !(frame->flags & H2_END_HEADERS);
        inspect->table_told = UINT32_MAX; /* it tells by itself what there is to tell */
    }
    if (frame->type == H2_SETTINGS && frame->flags & H2_ACK)
        take_acknowledgement(inspect);
    struct h2_stream *stream = frame->stream == 0 ? NULL : h2_stream_find(inspect, frame->stream);
    /* One that was refused here is no longer the engine's. */
    if (stream == NULL || stream->state == H2_STREAM_REFUSED)
        return;
    if (frame->type == H2_RST_STREAM) {
        h2_stream_drop(inspect, stream);
        return;
    }
    stream->answered = stream->answered || frame->type == H2_HEADERS;
    bool ends =
        (frame->type == H2_HEADERS || frame->type == H2_DATA) && frame->flags & H2_END_STREAM;
    if (!ends)
        return;
    stream->engine_ended = true;
    /* It wants no more of a message that it has not had. */
    if (stream->state != H2_STREAM_PASSING)
        h2_stream_drop(inspect, stream);
    else
        h2_stream_settle(inspect, stream);
}

static void take_setting(struct h2_inspect *inspect, char *setting) {
    static const struct {
        unsigned id;
        uint32_t least, most; /* what the client is told */
    } limits[] = {
        /* The client's encoder speaks to our decoder. */
        {H2_SETTING_TABLE_SIZE, H2_TABLE_SIZE, H2_TABLE_SIZE},
        {H2_SETTING_MAX_STREAMS, 0, MAX_STREAMS_TOLD},
        {H2_SETTING_MAX_FRAME, H2_MAX_FRAME, H2_MAX_FRAME},
        {H2_SETTING_MAX_HEADERS, 0, HPACK_MAX_DECODED},
    };
    unsigned id = setting_id(setting);
    uint32_t value = h2_read_u32(setting + 2);
    if (id == H2_SETTING_INITIAL_WINDOW) {
        if (value > H2_MAX_WINDOW) {
            h2_fail(inspect, "the engine's window is too large");
            return;
        }
        for (size_t i = 0; i < H2_MAX_STREAMS; i++)
            inspect->streams[i].window += (int64_t)value - inspect->initial_window;
        inspect->initial_window = value;
        if (inspect->largest_initial_window < inspect->initial_window)
            inspect->largest_initial_window = inspect->initial_window;
    }
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].id != id)
            continue;
        value = value < limits[i].least ? limits[i].least : value;
        value = value > limits[i].most ? limits[i].most : value;
        h2_write_u32(setting + 2, value);
    }
}

static void take_settings(struct h2_inspect *inspect) {
    struct buffer *payload = &inspect->payload;
    if (buffer_len(payload) % H2_SETTING_BYTES != 0) {
        h2_fail(inspect, "the engine's settings are malformed");
        return;
    }
    for (size_t at = payload->start; at < payload->end; at += H2_SETTING_BYTES)
        take_setting(inspect, payload->data + at);
    to_client(inspect, slice_of(inspect->head, H2_HEAD));
    to_client(inspect, buffer_slice(payload));
}

/* Keeps back what the client was credited in advance. */
static void take_window(struct h2_inspect *inspect) {
    if (buffer_len(&inspect->payload) != 4) {
        h2_fail(inspect, "the engine's window update is malformed");
        return;
    }
    uint32_t credit = h2_read_u32(buffer_slice(&inspect->payload).data) & INT32_MAX;
    uint32_t id = inspect->frame.stream;
    struct h2_stream *stream = id == 0 ? NULL : h2_stream_find(inspect, id);
    if (id != 0 && (stream == NULL || stream->state == H2_STREAM_REFUSED))
        return; /* it has ended */
    int64_t *window = id == 0 ? &inspect->window : &stream->window;
    uint64_t *owed = id == 0 ? &inspect->owed : &stream->owed;
    *window += credit;
    if (*window > H2_MAX_WINDOW) {
        h2_fail(inspect, "the engine's window is too large");
        return;
    }
    uint32_t kept = *owed < credit ? (uint32_t)*owed : credit;
    *owed -= kept;
    if (credit > kept && !h2_append_number(&inspect->to_client, inspect->settings.pool,
                                           H2_WINDOW_UPDATE, id, credit - kept))
        h2_fail(inspect, "out of memory");
}

static void finish_frame(struct h2_inspect *inspect) {
    if (is_whole(&inspect->frame)) {
        if (inspect->frame.type == H2_SETTINGS)
            take_settings(inspect);
        else
            take_window(inspect);
        buffer_release(&inspect->payload, inspect->settings.pool);
    }
    inspect->head_len = 0;
    inspect->engine_started = true;
    h2_flush_inject(inspect);
}

static void begin_frame(struct h2_inspect *inspect) {
    enum { MAX_WHOLE = 1024 };
    /* What of ours waits is older than this frame, and must not be read by what it changes. */
    inspect->head_len = 0;
    h2_flush_inject(inspect);
    inspect->head_len = H2_HEAD;
    inspect->frame = h2_read_head(inspect->head);
    inspect->frame_left = inspect->frame.len;
    if (!is_whole(&inspect->frame))
        to_client(inspect, slice_of(inspect->head, H2_HEAD));
    else if (inspect->frame.len > MAX_WHOLE)
        h2_fail(inspect, "the engine's settings are too long");
    note_head(inspect);
    if (inspect->frame_left == 0)
        finish_frame(inspect);
}

void h2_engine_bytes(struct h2_inspect *inspect, struct slice bytes) {
    while (bytes.len > 0 && inspect->fault == NULL) {
        if (inspect->head_len < H2_HEAD) {
            size_t want = H2_HEAD - inspect->head_len;
            struct slice part = slice_first(bytes, want);
            memcpy(inspect->head + inspect->head_len, part.data, part.len);
            inspect->head_len += part.len;
            bytes = slice_from(bytes, part.len);
            if (inspect->head_len == H2_HEAD)
                begin_frame(inspect);
            continue;
        }
        struct slice part = slice_first(bytes, inspect->frame_left);
        struct buffer *out = is_whole(&inspect->frame) ? &inspect->payload : &inspect->to_client;
        if (!h2_append(out, inspect->settings.pool, part))
            h2_fail(inspect, "out of memory");
        inspect->frame_left -= (uint32_t)part.len;
        bytes = slice_from(bytes, part.len);
        if (inspect->frame_left == 0)
            finish_frame(inspect);
    }
}
