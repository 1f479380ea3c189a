#include "filter/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_ALIGNMENT = alignof(max_align_t),
    /* Holds what judging an ordinary head needs, so most requests cost one malloc. Streams keep it
     * for as long as they last, so it is not larger than that. */
    ARENA_BLOCK_SIZE = 1984,
};

struct arena_block {
    struct arena_block *next;
    size_t size; /* bytes in data */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

static struct arena_block *new_block(struct arena *arena, size_t size) {
    size_t total;
    /* No object in C is larger than PTRDIFF_MAX; malloc need not be asked. */
    if (__builtin_add_overflow(size, sizeof(struct arena_block), &total) || total > PTRDIFF_MAX)
        return NULL;
    struct arena_block *block = malloc(total);
    if (!block)
        return NULL;
    block->next = NULL;
    block->size = size;
    block->used = 0;
    arena->held += total;
    return block;
}

static void *take(struct arena_block *block, size_t size) {
    void *memory = block->data + block->used;
    block->used += size;
    return memory;
}

void *arena_alloc(struct arena *arena, size_t size) {
    /* Even an empty allocation gets an address of its own, so that NULL always means failure. */
    size_t rounded;
    if (__builtin_add_overflow(size > 0 ? size : 1, (size_t)ARENA_ALIGNMENT - 1, &rounded))
        return NULL;
    rounded -= rounded % ARENA_ALIGNMENT;

    struct arena_block *head = arena->blocks;
    if (head && head->size - head->used >= rounded)
        return take(head, rounded);

    struct arena_block *block =
        new_block(arena, rounded > ARENA_BLOCK_SIZE ? rounded : ARENA_BLOCK_SIZE);
    if (!block)
        return NULL;
    if (head && rounded > ARENA_BLOCK_SIZE) {
        /* A large piece fills its own block; the head still has room for small ones. */
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->blocks = block;
    }
    return take(block, rounded);
}

char *arena_printf(struct arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return NULL;

    size_t size = (size_t)length + 1;
    char *text = arena_alloc(arena, size);
    if (!text)
        return NULL;
    va_start(arguments, format);
    int written = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return written == length ? text : NULL;
}

struct slice arena_copy(struct arena *arena, struct slice s) {
    char *data = arena_alloc(arena, s.len);
    if (!data)
        return (struct slice){NULL, 0};
    if (s.len > 0)
        memcpy(data, s.data, s.len);
    return slice_of(data, s.len);
}

int arena_reserve(struct arena *arena, size_t size) {
    arena->blocks = new_block(arena, size);
    return arena->blocks != NULL ? 0 : -1;
}

void arena_reset(struct arena *arena) {
    struct arena_block *block = arena->blocks;
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (struct arena){0};
}
