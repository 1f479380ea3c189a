/* HTTP/2 frames (RFC 9113 sections 4 and 6) and header blocks (RFC 7541), as far as the judge of
 * gRPC calls needs them. */
#ifndef DIND_PROXY_PROXY_H2_H
#define DIND_PROXY_PROXY_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/slice.h"
#include "proxy/buffer.h"

enum {
    H2_HEAD = 9,          /* bytes of a frame's head */
    H2_MAX_FRAME = 16384, /* payload bytes: the least, and the default, that a peer must take */
    H2_TABLE_SIZE = 4096, /* HPACK's dynamic table by default */
    H2_INITIAL_WINDOW = 65535,
    H2_MAX_WINDOW = INT32_MAX,
};

enum h2_type {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,
};

enum h2_flag {
    H2_END_STREAM = 0x1, /* DATA, HEADERS */
    H2_ACK = 0x1,        /* SETTINGS, PING */
    H2_END_HEADERS = 0x4,
    H2_PADDED = 0x8,
    H2_HAS_PRIORITY = 0x20,
};

enum h2_setting {
    H2_SETTING_TABLE_SIZE = 1,
    H2_SETTING_MAX_STREAMS = 3,
    H2_SETTING_INITIAL_WINDOW = 4,
    H2_SETTING_MAX_FRAME = 5,
    H2_SETTING_MAX_HEADERS = 6,
};

enum { H2_CANCEL = 8 }; /* error code */

struct h2_frame {
    uint32_t len; /* of the payload */
    uint8_t type; /* enum h2_type, or one that this does not know */
    uint8_t flags;
    uint32_t stream;
};

/* Reads the H2_HEAD bytes at `data`. */
struct h2_frame h2_read_head(const char *data);

uint32_t h2_read_u32(const char *data);
void h2_write_u32(char *data, uint32_t value);

/* Appends to a buffer. False when memory is out. */
bool h2_append(struct buffer *out, struct buffer_pool *pool, struct slice bytes);
bool h2_append_frame(struct buffer *out, struct buffer_pool *pool, uint8_t type, uint8_t flags,
                     uint32_t stream, struct slice payload);
/* Of a frame whose payload is one 32-bit number: RST_STREAM, WINDOW_UPDATE. */
bool h2_append_number(struct buffer *out, struct buffer_pool *pool, uint8_t type, uint32_t stream,
                      uint32_t value);
/* A whole header block, in as many frames as it takes. */
bool h2_append_headers(struct buffer *out, struct buffer_pool *pool, uint32_t stream,
                       bool end_stream, struct slice block);
/* A header, encoded so that no decoder's table changes: literal, without indexing and Huffman. */
bool h2_append_literal(struct buffer *block, struct buffer_pool *pool, struct slice name,
                       struct slice value);

#endif
