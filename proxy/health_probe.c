#include "proxy/health_probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/deadline.h"

enum { RECORD_HANDSHAKE = 22 }; /* RFC 8446 section 5.1 */

static int wait_for(const struct health_probe *probe, short events, struct error *error) {
    for (;;) {
        int64_t left = probe->deadline - (int64_t)deadline_now();
        struct pollfd poller = {probe->fd, events, 0};
        int result = left > 0 ? poll(&poller, 1, (int)left) : 0;
        if (result > 0)
            return 0;
        if (result == 0)
            return error_set(error, "no answer in time");
        if (errno != EINTR)
            return error_set(error, "poll: %s", strerror(errno));
    }
}

static int connect_to(struct health_probe *probe, const struct sockaddr *address, socklen_t length,
                      struct error *error) {
    int code = 0;
    socklen_t code_length = sizeof code;
    probe->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        return error_set(error, "cannot make a socket: %s", strerror(errno));
    if (connect(probe->fd, address, length) == 0)
        return 0;
    /* EAGAIN is a unix listener's full queue: busy, so not healthy. */
    if (errno != EINPROGRESS)
        return error_set(error, "cannot connect: %s", strerror(errno));
    if (wait_for(probe, POLLOUT, error) != 0)
        return -1;
    if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &code, &code_length) != 0)
        code = errno;
    return code == 0 ? 0 : error_set(error, "cannot connect: %s", strerror(code));
}

static int dial_tcp(struct health_probe *probe, const struct address *address,
                    struct error *error) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    const char *host = address->host;
    struct addrinfo *addresses = NULL;
    char port[8];

    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    int code = getaddrinfo(host, port, &hints, &addresses);
    if (code != 0)
        return error_set(error, "%s: %s", host, gai_strerror(code));
    int result = -1;
    for (const struct addrinfo *a = addresses; a != NULL && result != 0; a = a->ai_next) {
        health_probe_close(probe);
        result = connect_to(probe, a->ai_addr, a->ai_addrlen, error);
    }
    freeaddrinfo(addresses);
    return result;
}

int health_probe_dial(struct health_probe *probe, const struct config_listener *listener,
                      unsigned timeout, struct error *error) {
    *probe = (struct health_probe){.fd = -1, .deadline = (int64_t)deadline_now() + timeout};
    if (listener->address.kind == ADDRESS_TCP)
        return dial_tcp(probe, &listener->address, error);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, listener->address.path, sizeof address.sun_path);
    return connect_to(probe, (const struct sockaddr *)&address, sizeof address, error);
}

/* Waits as a TLS status asks for; -1 with `error` filled for one that is no wait. */
static int wait_for_tls(const struct health_probe *probe, enum tls_status status,
                        const struct tls_error *reason, struct error *error) {
    switch (status) {
    case TLS_WANT_READ:
        return wait_for(probe, POLLIN, error);
    case TLS_WANT_WRITE:
        return wait_for(probe, POLLOUT, error);
    case TLS_EOF:
    case TLS_TRUNCATED:
        return error_set(error, "the connection ended without an answer");
    case TLS_OK:
    case TLS_FAILED:
        break;
    }
    return error_set(error, "%s", reason->text);
}

static int start_session(struct health_probe *probe, struct tls_context *context,
                         struct error *error) {
    struct tls_error reason = {""};
    probe->session = tls_session_new(context, probe->fd, NULL, &reason);
    return probe->session != NULL ? 0 : error_set(error, "%s", reason.text);
}

int health_probe_handshake(struct health_probe *probe, struct tls_context *context,
                           struct error *error) {
    struct tls_error reason = {""};
    enum tls_status status;
    if (start_session(probe, context, error) != 0)
        return -1;
    while ((status = tls_handshake(probe->session, &reason)) != TLS_OK)
        if (wait_for_tls(probe, status, &reason, error) != 0)
            return -1;
    return 0;
}

int health_probe_hello(struct health_probe *probe, struct tls_context *context,
                       struct error *error) {
    struct tls_error reason = {""};
    enum tls_status status;
    unsigned char type = 0;

    if (start_session(probe, context, error) != 0)
        return -1;
    while ((status = tls_handshake(probe->session, &reason)) == TLS_WANT_WRITE)
        if (wait_for(probe, POLLOUT, error) != 0)
            return -1;
    /* Here it waits for the ServerHello, unless the library has read one already. */
    if (status == TLS_OK)
        return 0;
    if (wait_for_tls(probe, status, &reason, error) != 0)
        return -1;
    if (recv(probe->fd, &type, 1, MSG_PEEK) != 1)
        return error_set(error, "the connection ended without an answer");
    return type == RECORD_HANDSHAKE
               ? 0
               : error_set(error, "the listener does not take up a TLS handshake");
}

/* Sends some; how much, or -1. */
static ssize_t send_some(struct health_probe *probe, const char *data, size_t size,
                         struct error *error) {
    struct tls_error reason = {""};
    for (;;) {
        if (probe->session != NULL) {
            size_t put = 0;
            enum tls_status status = tls_write(probe->session, data, size, &put, &reason);
            if (status == TLS_OK)
                return (ssize_t)put;
            if (wait_for_tls(probe, status, &reason, error) != 0)
                return -1;
            continue;
        }
        ssize_t put = send(probe->fd, data, size, MSG_NOSIGNAL);
        if (put >= 0)
            return put;
        if (errno != EAGAIN && errno != EINTR)
            return error_set(error, "cannot send: %s", strerror(errno));
        if (wait_for(probe, POLLOUT, error) != 0)
            return -1;
    }
}

/* Receives some; how much, at least 1, or -1. */
static ssize_t receive_some(struct health_probe *probe, char *data, size_t size,
                            struct error *error) {
    struct tls_error reason = {""};
    for (;;) {
        if (probe->session != NULL) {
            size_t got = 0;
            enum tls_status status = tls_read(probe->session, data, size, &got, &reason);
            if (status == TLS_OK)
                return (ssize_t)got;
            if (wait_for_tls(probe, status, &reason, error) != 0)
                return -1;
            continue;
        }
        ssize_t got = recv(probe->fd, data, size, 0);
        if (got > 0)
            return got;
        if (got == 0)
            return error_set(error, "the connection ended without an answer");
        if (errno != EAGAIN && errno != EINTR)
            return error_set(error, "cannot receive: %s", strerror(errno));
        if (wait_for(probe, POLLIN, error) != 0)
            return -1;
    }
}

int health_probe_ping(struct health_probe *probe, int *status, struct error *error) {
    static const char request[] = "GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: "
                                  "dind-proxy\r\nConnection: close\r\n\r\n";
    static const char start[] = "HTTP/1.1 ";
    enum { PREFIX = sizeof start - 1, LINE = PREFIX + 3 };
    char line[LINE];

    for (size_t sent = 0; sent < sizeof request - 1;) {
        ssize_t put = send_some(probe, request + sent, sizeof request - 1 - sent, error);
        if (put < 0)
            return -1;
        sent += (size_t)put;
    }
    for (size_t have = 0; have < LINE;) {
        ssize_t got = receive_some(probe, line + have, LINE - have, error);
        if (got < 0)
            return -1;
        have += (size_t)got;
    }
    *status = 0;
    for (size_t i = PREFIX; i < LINE; i++) {
        if (memcmp(line, start, PREFIX) != 0 || line[i] < '0' || line[i] > '9')
            return error_set(error, "the answer is not HTTP/1.1");
        *status = *status * 10 + (line[i] - '0');
    }
    return 0;
}

void health_probe_close(struct health_probe *probe) {
    if (probe->session != NULL)
        tls_session_free(probe->session);
    if (probe->fd >= 0)
        (void)close(probe->fd);
    probe->session = NULL;
    probe->fd = -1;
}
