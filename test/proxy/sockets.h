/* Pairs of connected sockets, and time limits, for the tests that need real ones. */
#ifndef DIND_PROXY_TEST_PROXY_SOCKETS_H
#define DIND_PROXY_TEST_PROXY_SOCKETS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TIME_LIMIT_MS = 20000 };

static inline uint64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void unix_pair(int ends[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

/* A TCP connection over loopback; both ends non-blocking. */
static inline void tcp_pair(int ends[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    const int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(ends[0] >= 0);
    (void)connect(ends[0], (struct sockaddr *)&address, sizeof address);
    ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(ends[1] >= 0);
    struct pollfd connected = {.fd = ends[0], .events = POLLOUT};
    assert_int_equal(poll(&connected, 1, TIME_LIMIT_MS), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    close(listener);
}

/* Closes it so that the peer gets a reset. */
static inline void reset_tcp(int fd) {
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
}

static inline void wait_for(int fd, short events) {
    struct pollfd waited = {.fd = fd, .events = events};
    assert_int_equal(poll(&waited, 1, TIME_LIMIT_MS), 1);
}

#endif
