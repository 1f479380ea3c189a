/* Memory that lives as long as one request: allocated piece by piece, freed all at once. */
#ifndef DIND_PROXY_FILTER_ARENA_H
#define DIND_PROXY_FILTER_ARENA_H

#include <stddef.h>

#include "filter/slice.h"

struct arena_block;

/* Zero-initialised is ready for use: `struct arena arena = {0};`. Not thread-safe. */
struct arena {
    struct arena_block *blocks;
    size_t held; /* bytes in all blocks */
};

/* `size` bytes aligned for any type, not zeroed. NULL when memory is out. Owned by the arena. */
void *arena_alloc(struct arena *arena, size_t size);

/* A formatted, NUL-terminated string, NULL when memory is out. Owned by the arena. */
__attribute__((format(printf, 2, 3))) char *arena_printf(struct arena *arena, const char *format,
                                                         ...);

/* A copy of `s` in the arena; its data is NULL when memory is out. */
struct slice arena_copy(struct arena *arena, struct slice s);

/* Makes room for `size` bytes, and no more than that, in an arena that nothing was allocated from:
 * for few things that are kept for long. 0, or -1 when memory is out. */
int arena_reserve(struct arena *arena, size_t size);

/* Frees all that was allocated; the arena may be used again. */
void arena_reset(struct arena *arena);

#endif
