#include "proxy/h2_inspect.h"

#include <stdlib.h>

#include "proxy/h2_state.h"

enum {
    OUT_LIMIT = 64 * 1024, /* bytes that wait for a side before the other is no longer read */
    /* What the client makes us say waits on top of what the engine says. */
    CLIENT_LIMIT = 4 * OUT_LIMIT,
};

struct h2_inspect *h2_inspect_new(const struct h2_settings *settings) {
    struct h2_inspect *inspect = calloc(1, sizeof *inspect);
    if (inspect == NULL)
        return NULL;
    inspect->settings = *settings;
    inspect->window = inspect->initial_window = H2_INITIAL_WINDOW;
    inspect->largest_initial_window = H2_INITIAL_WINDOW;
    inspect->held_limit = H2_MAX_HELD;
    inspect->table_size = H2_TABLE_SIZE;
    inspect->table_told = UINT32_MAX;
    inspect->decoder = hpack_decoder_new();
    if (inspect->decoder == NULL) {
        free(inspect);
        return NULL;
    }
    return inspect;
}

void h2_inspect_free(struct h2_inspect *inspect) {
    if (inspect == NULL)
        return;
    struct buffer *const buffers[] = {&inspect->to_engine, &inspect->to_client, &inspect->inject,
                                      &inspect->client,    &inspect->block,     &inspect->payload};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        buffer_release(buffers[i], inspect->settings.pool);
    for (size_t i = 0; i < H2_MAX_STREAMS; i++)
        if (inspect->streams[i].id != 0)
            h2_stream_drop(inspect, &inspect->streams[i]);
    hpack_decoder_free(inspect->decoder);
    free(inspect);
}

/* --- for the parts --- */

void h2_fail(struct h2_inspect *inspect, const char *fault) {
    if (inspect->fault == NULL)
        inspect->fault = fault;
}

void h2_send_engine(struct h2_inspect *inspect, uint8_t type, uint8_t flags, uint32_t stream,
                    struct slice payload) {
    if (!h2_append_frame(&inspect->to_engine, inspect->settings.pool, type, flags, stream, payload))
        h2_fail(inspect, "out of memory");
}

/* Nothing comes between the frames of a header block, nor before the engine's own settings. */
void h2_flush_inject(struct h2_inspect *inspect) {
    if (!inspect->engine_started || inspect->head_len > 0 || inspect->engine_in_block)
        return;
    if (!h2_append(&inspect->to_client, inspect->settings.pool, buffer_slice(&inspect->inject)))
        h2_fail(inspect, "out of memory");
    buffer_release(&inspect->inject, inspect->settings.pool);
}

void h2_credit_client(struct h2_inspect *inspect, uint32_t stream, uint32_t bytes) {
    if (bytes > 0 && !h2_append_number(&inspect->inject, inspect->settings.pool, H2_WINDOW_UPDATE,
                                       stream, bytes))
        h2_fail(inspect, "out of memory");
    h2_flush_inject(inspect);
}

/* --- from outside --- */

struct buffer *h2_to_engine(struct h2_inspect *inspect) {
    return &inspect->to_engine;
}

struct buffer *h2_to_client(struct h2_inspect *inspect) {
    return &inspect->to_client;
}

static bool has_room(const struct h2_inspect *inspect) {
    return inspect->fault == NULL && buffer_len(&inspect->to_engine) < OUT_LIMIT &&
           buffer_len(&inspect->to_client) + buffer_len(&inspect->inject) < CLIENT_LIMIT;
}

bool h2_wants_client(const struct h2_inspect *inspect) {
    return has_room(inspect) && buffer_len(&inspect->client) < H2_HEAD + H2_MAX_FRAME;
}

bool h2_wants_engine(const struct h2_inspect *inspect) {
    return inspect->fault == NULL && buffer_len(&inspect->to_client) < OUT_LIMIT;
}

void h2_inspect_run(struct h2_inspect *inspect) {
    for (size_t i = 0; i < H2_MAX_STREAMS && inspect->sending > 0; i++)
        if (inspect->streams[i].id != 0 && inspect->streams[i].state == H2_STREAM_SENDING)
            h2_stream_send(inspect, &inspect->streams[i]);
    inspect->stalled = false;
    while (has_room(inspect) && h2_client_frame(inspect))
        ;
    if (!has_room(inspect) && buffer_len(&inspect->client) > 0)
        inspect->stalled = true;
}

void h2_feed_client(struct h2_inspect *inspect, struct slice bytes) {
    if (!h2_append(&inspect->client, inspect->settings.pool, bytes))
        h2_fail(inspect, "out of memory");
    h2_inspect_run(inspect);
}

void h2_feed_engine(struct h2_inspect *inspect, struct slice bytes) {
    h2_engine_bytes(inspect, bytes);
    h2_inspect_run(inspect);
}

bool h2_pending(const struct h2_inspect *inspect) {
    return inspect->sending > 0 || inspect->stalled;
}

size_t h2_held(const struct h2_inspect *inspect) {
    return inspect->held;
}

size_t h2_memory(const struct h2_inspect *inspect) {
    return inspect->memory;
}

void h2_limit_held(struct h2_inspect *inspect, size_t limit) {
    inspect->held_limit = limit < H2_MAX_HELD ? limit : H2_MAX_HELD;
}

size_t h2_waiting(const struct h2_inspect *inspect) {
    return inspect->waiting;
}

void h2_expire(struct h2_inspect *inspect) {
    static const struct grpc_verdict late = {.decision = FILTER_BAD_REQUEST,
                                             .rule = "grpc.message",
                                             .reason = "the call's message did not come in time"};
    for (size_t i = 0; i < H2_MAX_STREAMS && inspect->waiting > 0; i++) {
        struct h2_stream *stream = &inspect->streams[i];
        if (stream->id == 0 || stream->state != H2_STREAM_HELD)
            continue;
        if (stream->aged)
            h2_stream_refuse(inspect, stream, true, &late);
        else
            stream->aged = true;
    }
}

const char *h2_fault(const struct h2_inspect *inspect) {
    return inspect->fault;
}
