/* Pipes that splice goes through: taken while bytes are under way, given back empty. */
#ifndef DIND_PROXY_PROXY_PIPE_POOL_H
#define DIND_PROXY_PROXY_PIPE_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pipe {
    struct pipe *next;
    int read_end;
    int write_end;
    size_t capacity;
    size_t filled;
};

struct pipe_pool {
    struct pipe *free;
    size_t free_count;
};

/* An empty pipe, or NULL when none can be had: descriptors or memory are out, and the bytes have to
 * go through user space. */
struct pipe *pipe_pool_take(struct pipe_pool *pool);

/* Gives it back. One that still holds bytes is closed, so that they reach nobody else. */
void pipe_pool_give(struct pipe_pool *pool, struct pipe *pipe);

void pipe_pool_clear(struct pipe_pool *pool);

#endif
