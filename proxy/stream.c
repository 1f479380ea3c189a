#include "proxy/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/buffer.h"

static _Thread_local struct tls_error last_error;

static enum stream_status fail(const char *what, int error) {
    snprintf(last_error.text, sizeof last_error.text, "%s: %s", what, strerror(error));
    return STREAM_ERROR;
}

/* A reset that a write has met shows as an end to the next read. EPIPE alone does not say that the
 * peer's own direction was cut: it may just have closed for reading. */
static enum stream_status fail_write(struct stream *stream, const char *what, int error) {
    stream->broken = stream->broken || error != EPIPE;
    return fail(what, error);
}

/* The kernel says that there are no more bytes. */
static enum stream_status end_of_stream(struct stream *stream) {
    if (stream->broken)
        return fail("read", ECONNRESET);
    stream->read_ended = true;
    return STREAM_EOF;
}

static bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

const char *stream_error_text(void) {
    return last_error.text;
}

void stream_open(struct stream *stream, int fd, bool is_tcp) {
    *stream = (struct stream){.fd = fd, .is_tcp = is_tcp};
}

void stream_tune_tcp(int fd, unsigned user_timeout) {
    enum { KEEPALIVE_IDLE = 60, KEEPALIVE_INTERVAL = 15, KEEPALIVE_PROBES = 6 };
    const struct {
        int level, option, value;
    } settings[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout},
    };
    /* A socket that takes none of these still works: failures are not worth ending it for. */
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        (void)setsockopt(fd, settings[i].level, settings[i].option, &settings[i].value,
                         sizeof settings[i].value);
}

void stream_sweep_user_timeout(struct stream *stream, unsigned user_timeout) {
    if (stream->fd < 0 || !stream->is_tcp || user_timeout == 0)
        return;
    int unsent = 0;
    if (ioctl(stream->fd, SIOCOUTQNSD, &unsent) < 0)
        return;
    bool lift = unsent > 0;
    if (lift == stream->user_timeout_lifted)
        return;
    int value = lift ? 0 : (int)user_timeout;
    if (setsockopt(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value) == 0)
        stream->user_timeout_lifted = lift;
}

void stream_close(struct stream *stream, bool polite) {
    if (stream->tls != NULL) {
        if (polite && !stream->write_ended)
            (void)tls_close_write(stream->tls, &last_error);
        tls_session_free(stream->tls);
        stream->tls = NULL;
    }
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    free(stream->why);
    stream->why = NULL;
}

void stream_events(struct stream *stream, uint32_t events) {
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        stream->peer_ended = true;
    if (events & (EPOLLHUP | EPOLLERR)) {
        stream->hung_up = true;
        stream->readable = stream->writable = true;
    }
    if (events & (EPOLLIN | EPOLLRDHUP)) {
        stream->readable = true;
        if (stream->write_wants_read)
            stream->writable = true;
    }
    if (events & EPOLLOUT) {
        stream->writable = true;
        if (stream->read_wants_write)
            stream->readable = true;
    }
}

/* Clears the flag that a blocked TLS call waits for. `own` is the flag of the call's own direction;
 * where TLS wants the other one, `crossed` makes its event wake this direction too. */
static enum stream_status tls_wait(enum tls_status status, enum tls_status own_want, bool *own,
                                   bool *crossed) {
    *crossed = status != own_want;
    *own = false;
    return STREAM_WAIT;
}

static enum stream_status from_tls(enum tls_status status) {
    switch (status) {
    case TLS_OK:
        return STREAM_OK;
    case TLS_EOF:
        return STREAM_EOF;
    case TLS_TRUNCATED:
        return STREAM_TRUNCATED;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return STREAM_WAIT;
    case TLS_FAILED:
        break;
    }
    return STREAM_ERROR;
}

enum stream_status stream_handshake(struct stream *stream) {
    if (stream->tls == NULL)
        return STREAM_OK;
    enum tls_status status = tls_handshake(stream->tls, &last_error);
    if (status == TLS_WANT_READ)
        stream->readable = false;
    if (status == TLS_WANT_WRITE)
        stream->writable = false;
    if (status == TLS_OK)
        stream->readable = stream->writable = true;
    return from_tls(status);
}

/* Keeps what the log must tell when the connection ends, whoever else fails meanwhile. */
static enum stream_status tls_result(struct stream *stream, enum tls_status result) {
    if (result == TLS_FAILED && stream->why == NULL && tls_peer_at_fault(stream->tls))
        stream->why = strdup(last_error.text);
    return from_tls(result);
}

/* What a read of the TLS layer came to. */
static enum stream_status read_result(struct stream *stream, enum tls_status result) {
    if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
        return tls_wait(result, TLS_WANT_READ, &stream->readable, &stream->read_wants_write);
    if (result == TLS_EOF || result == TLS_TRUNCATED)
        stream->read_ended = true;
    return tls_result(stream, result);
}

static enum stream_status write_result(struct stream *stream, enum tls_status result) {
    if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
        return tls_wait(result, TLS_WANT_WRITE, &stream->writable, &stream->write_wants_read);
    return tls_result(stream, result);
}

/* What a read of the socket itself returned. */
static enum stream_status after_receive(struct stream *stream, const char *what, ssize_t n,
                                        size_t *got) {
    if (n < 0 && errno == EINTR)
        return STREAM_WAIT; /* the flag stays: we are called again */
    if (n < 0 && would_block(errno)) {
        stream->readable = false;
        return STREAM_WAIT;
    }
    if (n < 0)
        return fail(what, errno);
    if (n == 0)
        return end_of_stream(stream);
    *got = (size_t)n;
    return STREAM_OK;
}

static enum stream_status after_send(struct stream *stream, const char *what, ssize_t n,
                                     size_t *put) {
    if (n < 0 && errno == EINTR)
        return STREAM_WAIT;
    if (n < 0 && would_block(errno)) {
        stream->writable = false;
        return STREAM_WAIT;
    }
    if (n < 0)
        return fail_write(stream, what, errno);
    *put = (size_t)n;
    return STREAM_OK;
}

static enum stream_status receive(struct stream *stream, void *buffer, size_t size, int flags,
                                  size_t *got) {
    ssize_t n = recv(stream->fd, buffer, size, flags);
    enum stream_status status = after_receive(stream, "read", n, got);
    /* Less than asked for is all there was (epoll(7)); an end that came with it is told apart. */
    if (status == STREAM_OK && flags == 0 && *got < size && !stream->peer_ended)
        stream->readable = false;
    return status;
}

enum stream_status stream_read(struct stream *stream, void *buffer, size_t size, size_t *got) {
    if (stream->read_ended)
        return STREAM_EOF;
    if (stream->tls != NULL)
        return read_result(stream, tls_read(stream->tls, buffer, size, got, &last_error));
    return receive(stream, buffer, size, 0, got);
}

enum stream_status stream_write(struct stream *stream, const void *buffer, size_t size,
                                size_t *put) {
    if (stream->tls != NULL)
        return write_result(stream, tls_write(stream->tls, buffer, size, put, &last_error));
    return after_send(stream, "write", send(stream->fd, buffer, size, MSG_NOSIGNAL), put);
}

enum stream_status stream_write_two(struct stream *stream, struct slice first, struct slice second,
                                    size_t *put) {
    char together[BUFFER_SIZE];
    if (second.len == 0 || first.len + second.len > sizeof together)
        return stream_write(stream, first.data, first.len, put);
    /* Two pieces that one record holds are cheaper copied than sealed, sent and noticed twice. */
    memcpy(together, first.data, first.len);
    memcpy(together + first.len, second.data, second.len);
    return stream_write(stream, together, first.len + second.len, put);
}

enum stream_status stream_end_write(struct stream *stream) {
    if (stream->write_ended)
        return STREAM_OK;
    if (stream->tls != NULL) {
        enum tls_status result = tls_close_write(stream->tls, &last_error);
        if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
            return tls_wait(result, TLS_WANT_WRITE, &stream->writable, &stream->write_wants_read);
        if (result != TLS_OK)
            return STREAM_ERROR;
    }
    stream->write_ended = true;
    if (shutdown(stream->fd, SHUT_WR) < 0 && errno != ENOTCONN)
        return fail("shutdown", errno);
    return STREAM_OK;
}

size_t stream_unsent(const struct stream *stream) {
    int unsent = 0;
    if (!stream->is_tcp || ioctl(stream->fd, SIOCOUTQ, &unsent) < 0 || unsent < 0)
        return 0;
    return (size_t)unsent;
}

bool stream_can_splice_from(const struct stream *stream) {
    return stream->tls == NULL || tls_kernel_reads(stream->tls);
}

bool stream_can_splice_to(const struct stream *stream) {
    return stream->tls == NULL || tls_kernel_writes(stream->tls);
}

enum stream_status stream_peek(struct stream *stream, void *buffer, size_t size, size_t *got) {
    if (stream->tls != NULL)
        return read_result(stream, tls_peek(stream->tls, buffer, size, got, &last_error));
    return receive(stream, buffer, size, MSG_PEEK, got);
}

enum stream_status stream_splice_in(struct stream *stream, int pipe_end, size_t size,
                                    bool pipe_empty, size_t *got) {
    bool readable = stream->readable;
    enum stream_status status;
    if (stream->tls != NULL) {
        status =
            read_result(stream, tls_splice_read(stream->tls, pipe_end, size, got, &last_error));
    } else {
        ssize_t n =
            splice(stream->fd, NULL, pipe_end, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        status = after_receive(stream, "splice from the socket", n, got);
    }
    /* It may be the pipe that is full. */
    if (status == STREAM_WAIT && !pipe_empty)
        stream->readable = readable;
    return status;
}

enum stream_status stream_splice_out(struct stream *stream, int pipe_end, size_t size,
                                     size_t *put) {
    if (stream->tls != NULL)
        return write_result(stream,
                            tls_splice_write(stream->tls, pipe_end, size, put, &last_error));
    ssize_t n = splice(pipe_end, NULL, stream->fd, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return after_send(stream, "splice to the socket", n, put);
}
