#include "proxy/h2.h"

#include <string.h>

struct h2_frame h2_read_head(const char *data) {
    const unsigned char *bytes = (const unsigned char *)data;
    return (struct h2_frame){
        .len = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2],
        .type = bytes[3],
        .flags = bytes[4],
        .stream = h2_read_u32(data + 5) & INT32_MAX, /* the first bit means nothing */
    };
}

uint32_t h2_read_u32(const char *data) {
    const unsigned char *bytes = (const unsigned char *)data;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void h2_write_u32(char *data, uint32_t value) {
    for (int i = 0; i < 4; i++)
        data[i] = (char)(unsigned char)(value >> (24 - 8 * i));
}

bool h2_append(struct buffer *out, struct buffer_pool *pool, struct slice bytes) {
    while (bytes.len > 0) {
        size_t room = 0;
        /* Whoever appends has bounded what is held. */
        if (!buffer_reserve(out, pool, SIZE_MAX / 2))
            return false;
        char *space = buffer_space(out, &room);
        size_t count = bytes.len < room ? bytes.len : room;
        memcpy(space, bytes.data, count);
        buffer_added(out, count);
        bytes = slice_from(bytes, count);
    }
    return true;
}

bool h2_append_frame(struct buffer *out, struct buffer_pool *pool, uint8_t type, uint8_t flags,
                     uint32_t stream, struct slice payload) {
    char head[H2_HEAD] = {(char)(unsigned char)(payload.len >> 16),
                          (char)(unsigned char)(payload.len >> 8), (char)(unsigned char)payload.len,
                          (char)type, (char)flags};
    h2_write_u32(head + 5, stream);
    return h2_append(out, pool, slice_of(head, sizeof head)) && h2_append(out, pool, payload);
}

bool h2_append_number(struct buffer *out, struct buffer_pool *pool, uint8_t type, uint32_t stream,
                      uint32_t value) {
    char payload[4];
    h2_write_u32(payload, value);
    return h2_append_frame(out, pool, type, 0, stream, slice_of(payload, sizeof payload));
}

bool h2_append_headers(struct buffer *out, struct buffer_pool *pool, uint32_t stream,
                       bool end_stream, struct slice block) {
    uint8_t type = H2_HEADERS;
    uint8_t flags = end_stream ? H2_END_STREAM : 0;
    while (true) {
        struct slice part = slice_first(block, H2_MAX_FRAME);
        block = slice_from(block, part.len);
        if (block.len == 0)
            flags |= H2_END_HEADERS;
        if (!h2_append_frame(out, pool, type, flags, stream, part))
            return false;
        if (block.len == 0)
            return true;
        type = H2_CONTINUATION;
        flags = 0;
    }
}

/* A string literal with its length as an integer of seven bits' prefix (RFC 7541 section 5). */
static bool append_string(struct buffer *block, struct buffer_pool *pool, struct slice text) {
    enum { PREFIX = 127 };
    char length[12];
    size_t len = 0;
    size_t value = text.len;
    if (value < PREFIX) {
        length[len++] = (char)value;
    } else {
        length[len++] = PREFIX;
        for (value -= PREFIX; value >= 128; value >>= 7)
            length[len++] = (char)(unsigned char)(value | 128);
        length[len++] = (char)value;
    }
    return h2_append(block, pool, slice_of(length, len)) && h2_append(block, pool, text);
}

bool h2_append_literal(struct buffer *block, struct buffer_pool *pool, struct slice name,
                       struct slice value) {
    return h2_append(block, pool, slice_of("\0", 1)) && append_string(block, pool, name) &&
           append_string(block, pool, value);
}
