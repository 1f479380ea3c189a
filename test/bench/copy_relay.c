/* A plain copying relay, the yardstick for what splice saves: one thread, epoll, and a buffer of
 * 64 KiB a direction between read and write. It knows no HTTP.
 *
 *   copy-relay LISTEN UPSTREAM
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wire.h"

struct end {
    int fd;
    SSL *tls;
};

struct direction {
    struct end *from, *to;
    size_t start, end;
    bool read_ended, write_ended;
    char *buffer;
};

struct pair {
    struct end client, engine;
    struct direction up, down;
    bool failed;
};

/* Bytes moved, 0 at the end, -1 when it would block, -2 on an error. */
static ssize_t result_of(const struct end *end, int done, size_t count) {
    if (done == 1)
        return (ssize_t)count;
    switch (SSL_get_error(end->tls, done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -2;
    }
}

static ssize_t plain_result(ssize_t n) {
    return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? -1 : -2;
}

static ssize_t take(struct end *end, char *buffer, size_t size) {
    size_t count = 0;
    ERR_clear_error();
    if (end->tls == NULL)
        return plain_result(read(end->fd, buffer, size));
    int done = SSL_read_ex(end->tls, buffer, size, &count);
    return result_of(end, done, count);
}

static ssize_t put(struct end *end, const char *buffer, size_t size) {
    size_t count = 0;
    ERR_clear_error();
    if (end->tls == NULL)
        return plain_result(write(end->fd, buffer, size));
    int done = SSL_write_ex(end->tls, buffer, size, &count);
    return result_of(end, done, count);
}

/* Copies until it would block. False on an error. */
static bool pump(struct direction *way) {
    while (!way->write_ended) {
        if (way->start < way->end) {
            ssize_t n = put(way->to, way->buffer + way->start, way->end - way->start);
            if (n < 0)
                return n == -1;
            way->start += (size_t)n;
            continue;
        }
        if (way->read_ended) {
            if (way->to->tls != NULL)
                (void)SSL_shutdown(way->to->tls);
            (void)shutdown(way->to->fd, SHUT_WR);
            way->write_ended = true;
            return true;
        }
        ssize_t n = take(way->from, way->buffer, WIRE_BUFFER);
        if (n < 0)
            return n == -1;
        way->start = 0;
        way->end = (size_t)n;
        way->read_ended = n == 0;
    }
    return true;
}

static void close_pair(struct pair *pair) {
    SSL_free(pair->client.tls);
    SSL_free(pair->engine.tls);
    close(pair->client.fd);
    close(pair->engine.fd);
    free(pair->up.buffer);
    free(pair->down.buffer);
    free(pair);
}

static void set_up(struct end *end, int fd, const struct wire_address *address, bool server,
                   int epoll, struct pair *pair) {
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = pair};
    end->fd = fd;
    if (address->sockaddr.ss_family == AF_INET)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        wire_die("cannot watch a socket: %s", strerror(errno));
    if (address->tls == NULL)
        return;
    end->tls = SSL_new(address->tls);
    if (end->tls == NULL || SSL_set_fd(end->tls, fd) != 1)
        wire_die("out of memory");
    /* Reading and writing shake hands as they need. */
    if (server)
        SSL_set_accept_state(end->tls);
    else
        SSL_set_connect_state(end->tls);
}

static void open_pair(int epoll, int fd, const struct wire_address *listen,
                      const struct wire_address *upstream) {
    int engine = wire_connect_socket(upstream);
    struct pair *pair = calloc(1, sizeof *pair);
    if (engine < 0 || pair == NULL)
        wire_die("cannot connect to the engine: %s", strerror(errno));
    pair->up = (struct direction){.from = &pair->client, .to = &pair->engine};
    pair->down = (struct direction){.from = &pair->engine, .to = &pair->client};
    pair->up.buffer = malloc(WIRE_BUFFER);
    pair->down.buffer = malloc(WIRE_BUFFER);
    if (pair->up.buffer == NULL || pair->down.buffer == NULL)
        wire_die("out of memory");
    set_up(&pair->client, fd, listen, true, epoll, pair);
    set_up(&pair->engine, engine, upstream, false, epoll, pair);
}

static void run_pair(struct pair *pair) {
    if (pair->failed)
        return;
    if (!pump(&pair->up) || !pump(&pair->down) || (pair->up.write_ended && pair->down.write_ended))
        pair->failed = true;
}

int main(int argc, char **argv) {
    enum { BATCH = 64 };
    struct epoll_event events[BATCH];
    struct wire_address listen, upstream;
    if (argc != 3)
        wire_die("usage: copy-relay LISTEN UPSTREAM");
    (void)signal(SIGPIPE, SIG_IGN);
    wire_address_parse(argv[1], true, &listen);
    wire_address_parse(argv[2], false, &upstream);
    int listener = wire_listen(&listen);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event accepting = {.events = EPOLLIN};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepting) < 0)
        wire_die("epoll: %s", strerror(errno));
    while (true) {
        int count = epoll_wait(epoll, events, BATCH, -1);
        if (count < 0 && errno != EINTR)
            wire_die("epoll: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != NULL) {
                run_pair(events[i].data.ptr);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                open_pair(epoll, fd, &listen, &upstream);
        }
        /* A pair can have two events in a batch: it goes once all have been looked at. */
        for (int i = 0; i < count; i++) {
            struct pair *pair = events[i].data.ptr;
            if (pair == NULL || !pair->failed)
                continue;
            for (int j = i + 1; j < count; j++)
                if (events[j].data.ptr == pair)
                    events[j].data.ptr = NULL;
            close_pair(pair);
        }
    }
}
