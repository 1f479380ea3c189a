#include "proxy/pipe_pool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    POOL_MAX_FREE = 16,
    /* Big enough that one splice out takes several of a client's 32 KiB chunks. A process without
     * privileges may hold pipe-user-pages-soft (64 MiB by default) of it; past that the kernel says
     * EPERM and the pipe keeps the size it has (pipe(7)). */
    PIPE_CAPACITY = 256 * 1024,
    PIPE_DEFAULT = 65536,
};

static void destroy(struct pipe *pipe) {
    close(pipe->read_end);
    close(pipe->write_end);
    free(pipe);
}

struct pipe *pipe_pool_take(struct pipe_pool *pool) {
    struct pipe *pipe = pool->free;
    if (pipe != NULL) {
        pool->free = pipe->next;
        pool->free_count--;
        return pipe;
    }
    int ends[2];
    pipe = malloc(sizeof *pipe);
    if (pipe == NULL)
        return NULL;
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
        free(pipe);
        return NULL;
    }
    int capacity = fcntl(ends[1], F_SETPIPE_SZ, PIPE_CAPACITY);
    if (capacity < 0)
        capacity = fcntl(ends[1], F_GETPIPE_SZ);
    *pipe = (struct pipe){
        .read_end = ends[0],
        .write_end = ends[1],
        .capacity = capacity > 0 ? (size_t)capacity : PIPE_DEFAULT,
    };
    return pipe;
}

void pipe_pool_give(struct pipe_pool *pool, struct pipe *pipe) {
    if (pipe->filled > 0 || pool->free_count >= POOL_MAX_FREE) {
        destroy(pipe);
        return;
    }
    pipe->next = pool->free;
    pool->free = pipe;
    pool->free_count++;
}

void pipe_pool_clear(struct pipe_pool *pool) {
    while (pool->free != NULL) {
        struct pipe *next = pool->free->next;
        destroy(pool->free);
        pool->free = next;
    }
    pool->free_count = 0;
}
