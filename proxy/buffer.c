#include "proxy/buffer.h"

#include <stdlib.h>

enum { POOL_MAX_FREE = 64 }; /* 1 MiB a worker at the most */

struct buffer_block {
    struct buffer_block *next;
};

static char *take_block(struct buffer_pool *pool) {
    struct buffer_block *block = pool->free;
    if (block == NULL)
        return malloc(BUFFER_SIZE);
    pool->free = block->next;
    pool->free_count--;
    return (char *)block;
}

static void give_block(struct buffer_pool *pool, char *data) {
    if (pool->free_count >= POOL_MAX_FREE) {
        free(data);
        return;
    }
    struct buffer_block *block = (struct buffer_block *)(void *)data;
    block->next = pool->free;
    pool->free = block;
    pool->free_count++;
}

static bool grow(struct buffer *buffer, struct buffer_pool *pool, size_t limit) {
    size_t capacity = buffer->capacity > limit / 2 ? limit : buffer->capacity * 2;
    char *data = malloc(capacity);
    if (data == NULL)
        return false;
    size_t len = buffer_len(buffer);
    memcpy(data, buffer->data + buffer->start, len);
    buffer_release(buffer, pool);
    *buffer = (struct buffer){.data = data, .end = len, .capacity = capacity};
    return true;
}

bool buffer_reserve(struct buffer *buffer, struct buffer_pool *pool, size_t limit) {
    if (buffer->data == NULL) {
        char *data = take_block(pool);
        if (data == NULL)
            return false;
        *buffer = (struct buffer){.data = data, .capacity = BUFFER_SIZE};
    }
    if (buffer_len(buffer) >= limit)
        return false;
    if (buffer->end < buffer->capacity)
        return true;
    if (buffer->start > 0) {
        size_t len = buffer_len(buffer);
        memmove(buffer->data, buffer->data + buffer->start, len);
        buffer->start = 0;
        buffer->end = len;
        return true;
    }
    return grow(buffer, pool, limit);
}

/* A buffer that grew for a head or a body goes back to one block once the rest fits into it: what
 * follows may be a stream without end, behind which a few bytes of the next request wait. */
static void shrink(struct buffer *buffer, struct buffer_pool *pool) {
    char *data = take_block(pool);
    if (data == NULL)
        return;
    size_t len = buffer_len(buffer);
    memcpy(data, buffer->data + buffer->start, len);
    buffer_release(buffer, pool);
    *buffer = (struct buffer){.data = data, .end = len, .capacity = BUFFER_SIZE};
}

void buffer_consume(struct buffer *buffer, struct buffer_pool *pool, size_t count) {
    buffer->start += count;
    if (buffer->start == buffer->end)
        buffer_release(buffer, pool);
    else if (buffer->capacity > BUFFER_SIZE && buffer_len(buffer) <= BUFFER_SIZE)
        shrink(buffer, pool);
}

void buffer_release(struct buffer *buffer, struct buffer_pool *pool) {
    if (buffer->data == NULL)
        return;
    if (buffer->capacity == BUFFER_SIZE)
        give_block(pool, buffer->data);
    else
        free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_pool_clear(struct buffer_pool *pool) {
    while (pool->free != NULL) {
        struct buffer_block *next = pool->free->next;
        free(pool->free);
        pool->free = next;
    }
    pool->free_count = 0;
}
