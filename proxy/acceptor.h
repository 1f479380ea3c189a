/* The thread that accepts connections and hands them to the workers in turn. */
#ifndef DIND_PROXY_PROXY_ACCEPTOR_H
#define DIND_PROXY_PROXY_ACCEPTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/listener.h"
#include "proxy/worker.h"

struct acceptor {
    struct shared *shared;
    struct worker *workers;
    size_t worker_count;
    size_t next_worker;
    const struct listener_set *listeners;
    int epoll;
    pthread_t thread;
    _Atomic bool stopping;
    uint64_t warned_at;     /* milliseconds; 0: never */
    _Atomic unsigned wakes; /* how often accept_wake woke it */
    bool paused;            /* the listeners are not watched just now */
};

/* Starts its thread, which accepts nobody yet; all it is given is borrowed until acceptor_stop. 0,
 * or -1 with errno. */
int acceptor_start(struct acceptor *acceptor, struct shared *shared, struct worker *workers,
                   size_t worker_count, const struct listener_set *listeners);

/* Opens the doors, once. 0, or -1 with errno. */
int acceptor_admit(struct acceptor *acceptor);

/* Any thread: makes it count one more of `wakes`, soon, if it is alive. */
void acceptor_ping(struct acceptor *acceptor);

/* Stops accepting and ends the thread. The listeners stay open. */
void acceptor_stop(struct acceptor *acceptor);

#endif
