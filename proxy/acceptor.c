#include "proxy/acceptor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/log.h"

enum {
    ACCEPT_BATCH = 64,
    /* How long accepting rests when descriptors or memory are out and no connection of ours closes.
     */
    PAUSE_MS = 250,
    /* One shortage is one event to whoever reads the log, however often accepting pauses in it. */
    WARNING_MS = 10000,
};

static void describe_unix(int fd, char *text, size_t size) {
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
        snprintf(text, size, "unix:uid=%u,pid=%d", (unsigned)peer.uid, (int)peer.pid);
    else
        snprintf(text, size, "unix");
}

static void describe_peer(int fd, const struct sockaddr_storage *address, char *text, size_t size) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
    } else {
        describe_unix(fd, text, size);
    }
}

static int set_watched(const struct acceptor *acceptor, bool watch) {
    for (size_t i = 0; i < acceptor->listeners->count; i++) {
        const struct listener *listener = &acceptor->listeners->entries[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)(uintptr_t)listener};
        if (epoll_ctl(acceptor->epoll, watch ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener->fd,
                      &event) < 0)
            return -1;
    }
    return 0;
}

static int watch_listeners(struct acceptor *acceptor, bool watch) {
    if (set_watched(acceptor, watch) < 0)
        return -1;
    acceptor->paused = !watch;
    return 0;
}

/* Stops watching the listeners, so that a connection nobody can take does not keep the loop awake.
 * New clients wait in the kernel's backlog meanwhile. */
static void pause_accepting(struct acceptor *acceptor, const char *why) {
    if (acceptor->paused)
        return;
    uint64_t now = deadline_now();
    if (acceptor->warned_at == 0 || now - acceptor->warned_at >= WARNING_MS) {
        log_message(LOG_WARNING, "accept", "accepting pauses: %s", why);
        acceptor->warned_at = now;
    }
    (void)watch_listeners(acceptor, false);
    atomic_store(&acceptor->shared->accept_paused, true);
}

static void resume_accepting(struct acceptor *acceptor) {
    unsigned open = atomic_load(&acceptor->shared->connections);
    if (!acceptor->paused || open >= acceptor->shared->max_connections)
        return;
    atomic_store(&acceptor->shared->accept_paused, false);
    if (watch_listeners(acceptor, true) < 0)
        log_message(LOG_ERROR, "accept", "cannot watch the listeners: %s", strerror(errno));
}

static void hand_over(struct acceptor *acceptor, struct handoff *order) {
    for (size_t tries = 0; tries < acceptor->worker_count; tries++) {
        struct worker *worker = &acceptor->workers[acceptor->next_worker];
        acceptor->next_worker = (acceptor->next_worker + 1) % acceptor->worker_count;
        if (worker_handoff(worker, order) == 0)
            return;
    }
    log_message(LOG_ERROR, "accept", "a connection was dropped: no worker takes it");
    close(order->fd);
    atomic_fetch_sub(&acceptor->shared->connections, 1);
}

/* Accepts one connection. False when there is none to be had now. */
static bool accept_one(struct acceptor *acceptor, const struct listener *listener) {
    struct shared *shared = acceptor->shared;
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (atomic_load(&shared->connections) >= shared->max_connections) {
        pause_accepting(acceptor, "the limit of connections is reached");
        return false;
    }
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(acceptor, strerror(errno));
        else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            log_message(LOG_WARNING, "accept", "%s", strerror(errno));
        return false;
    }
    atomic_fetch_add(&shared->connections, 1);
    struct handoff order = {.kind = HANDOFF_SOCKET, .fd = fd, .listener = listener->config};
    describe_peer(fd, &address, order.peer, sizeof order.peer);
    hand_over(acceptor, &order);
    return true;
}

static void *run(void *argument) {
    struct acceptor *acceptor = argument;
    struct epoll_event events[LISTENER_MAX];
    (void)log_attach();
    while (!atomic_load(&acceptor->stopping)) {
        int count =
            epoll_wait(acceptor->epoll, events, LISTENER_MAX, acceptor->paused ? PAUSE_MS : -1);
        bool pause_over = acceptor->paused;
        for (int i = 0; i < count; i++) {
            const struct listener *listener = events[i].data.ptr;
            uint64_t wakes;
            if (listener == NULL) {
                (void)!read(acceptor->shared->accept_wake, &wakes, sizeof wakes);
                atomic_fetch_add(&acceptor->wakes, 1);
            }
            for (int n = 0; listener != NULL && n < ACCEPT_BATCH && !acceptor->paused; n++)
                if (!accept_one(acceptor, listener))
                    break;
        }
        if (pause_over)
            resume_accepting(acceptor);
    }
    return NULL;
}

int acceptor_start(struct acceptor *acceptor, struct shared *shared, struct worker *workers,
                   size_t worker_count, const struct listener_set *listeners) {
    *acceptor = (struct acceptor){
        .shared = shared,
        .workers = workers,
        .worker_count = worker_count,
        .listeners = listeners,
    };
    acceptor->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (acceptor->epoll < 0)
        return -1;
    struct epoll_event wake = {.events = EPOLLIN};
    int error = 0;
    if (epoll_ctl(acceptor->epoll, EPOLL_CTL_ADD, shared->accept_wake, &wake) < 0)
        error = errno;
    else
        error = pthread_create(&acceptor->thread, NULL, run, acceptor);
    if (error != 0) {
        close(acceptor->epoll);
        errno = error;
        return -1;
    }
    return 0;
}

/* The thread runs already, but from its epoll it can have nothing yet that would touch the same. */
int acceptor_admit(struct acceptor *acceptor) {
    return set_watched(acceptor, true);
}

void acceptor_ping(struct acceptor *acceptor) {
    uint64_t one = 1;
    (void)!write(acceptor->shared->accept_wake, &one, sizeof one);
}

void acceptor_stop(struct acceptor *acceptor) {
    atomic_store(&acceptor->stopping, true);
    acceptor_ping(acceptor);
    pthread_join(acceptor->thread, NULL);
    close(acceptor->epoll);
}
