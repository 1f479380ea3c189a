/* Byte buffers that an idle connection does not hold, from a pool that each worker has. */
#ifndef DIND_PROXY_PROXY_BUFFER_H
#define DIND_PROXY_PROXY_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/slice.h"

/* A TLS record's largest payload: one read of a full record fits, and one write fills one. */
enum { BUFFER_SIZE = 16384 };

struct buffer_block;

struct buffer_pool {
    struct buffer_block *free;
    size_t free_count;
};

/* Bytes [start, end) of `data` are held. Zero-initialised is empty. Not thread-safe, like its pool.
 */
struct buffer {
    char *data;
    size_t start;
    size_t end;
    size_t capacity;
};

static inline size_t buffer_len(const struct buffer *buffer) {
    return buffer->end - buffer->start;
}

/* What is held; valid until the buffer changes. */
static inline struct slice buffer_slice(const struct buffer *buffer) {
    if (buffer->data == NULL)
        return slice_of(NULL, 0);
    return slice_of(buffer->data + buffer->start, buffer_len(buffer));
}

/* Makes room for at least one more byte, unless `limit` bytes or more are held: takes a block from
 * the pool, moves what is held to the front, or grows. False when `limit` is reached or memory is
 * out. */
bool buffer_reserve(struct buffer *buffer, struct buffer_pool *pool, size_t limit);

/* Where the next bytes go and how many fit; after buffer_reserve. */
static inline char *buffer_space(const struct buffer *buffer, size_t *size) {
    *size = buffer->capacity - buffer->end;
    return buffer->data + buffer->end;
}

static inline void buffer_added(struct buffer *buffer, size_t count) {
    buffer->end += count;
}

/* Drops `count` bytes from the front; gives the memory back when nothing is left, and all but one
 * block of it when no more than that is needed. Moves what is held: slices of it are void. */
void buffer_consume(struct buffer *buffer, struct buffer_pool *pool, size_t count);

/* Gives the memory back, whatever it holds. */
void buffer_release(struct buffer *buffer, struct buffer_pool *pool);

void buffer_pool_clear(struct buffer_pool *pool);

#endif
