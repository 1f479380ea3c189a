/* What an epoll event points at. */
#ifndef DIND_PROXY_PROXY_WATCH_H
#define DIND_PROXY_PROXY_WATCH_H

#include <stddef.h>
#include <sys/epoll.h>

enum watch_kind {
    WATCH_HANDOFF,  /* the worker's pipe of new sockets and orders */
    WATCH_CLIENT,   /* embedded in struct conn */
    WATCH_UPSTREAM, /* embedded in struct upstream */
};

/* Freed only after the batch of events it was closed in: a later event may still point at it. */
struct watch {
    enum watch_kind kind;
    int dead;
    struct watch *next_dead;
};

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Registers a stream's socket, edge-triggered for everything, once. 0 or -1 with errno. */
static inline int watch_add(int epoll, int fd, struct watch *watch) {
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = watch,
    };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

#endif
