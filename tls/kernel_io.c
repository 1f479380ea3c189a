/* Reading and writing where the kernel seals and opens the records. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "tls/reason.h"
#include "tls/session.h"

static bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

static enum tls_status read_failed(struct tls_session *session, struct tls_error *error) {
    int code = errno;
    if (would_block(code))
        return TLS_WANT_READ;
    /* What the kernel says of records that it cannot open (tls.rst, and net/tls/tls_sw.c). */
    const char *why = code == EBADMSG    ? "a record was damaged or forged"
                      : code == EMSGSIZE ? "a record was longer than allowed"
                      : code == EINVAL   ? "it sent bytes that are not TLS"
                                         : NULL;
    session->read_end = why != NULL ? tls_session_fail(session, error, "%s", why)
                                    : tls_session_fail_errno(code, "receiving", error);
    return session->read_end;
}

/* Receives data, or looks at it with MSG_PEEK in `flags`. What stands before it and is no data is
 * dealt with and counted in `*controls`. */
static enum tls_status receive(struct tls_session *session, void *buffer, size_t size, int flags,
                               size_t *got, unsigned *controls, struct tls_error *error) {
    *got = 0;
    *controls = 0;
    while (session->read_end == TLS_OK) {
        unsigned char control[256];
        unsigned char type;
        void *at = buffer;
        int fd = session->transport.fd;
        ssize_t n = ktls_receive(fd, buffer, size, flags, &type);
        if (n >= 0 && type != KTLS_DATA && (flags & MSG_PEEK)) {
            at = control;
            n = ktls_receive(fd, control, sizeof control, 0, &type);
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return read_failed(session, error);
        if (type == KTLS_DATA && n > 0) {
            session->kernel.idle_records = 0;
            *got = (size_t)n;
            return TLS_OK;
        }
        enum tls_status status = TLS_TRUNCATED;
        if (type != KTLS_DATA) {
            status = tls_control_take(session, type, at, (size_t)n, error);
            ++*controls;
        }
        session->read_end = status;
    }
    return session->read_end;
}

enum tls_status tls_kernel_read(struct tls_session *session, void *buffer, size_t size, size_t *got,
                                struct tls_error *error) {
    unsigned controls;
    return receive(session, buffer, size, 0, got, &controls, error);
}

enum tls_status tls_peek(struct tls_session *session, void *buffer, size_t size, size_t *got,
                         struct tls_error *error) {
    unsigned controls;
    return receive(session, buffer, size, MSG_PEEK, got, &controls, error);
}

enum tls_status tls_splice_read(struct tls_session *session, int pipe_end, size_t size, size_t *got,
                                struct tls_error *error) {
    *got = 0;
    for (unsigned idle = 0; session->read_end == TLS_OK; idle++) {
        ssize_t n = splice(session->transport.fd, NULL, pipe_end, NULL, size,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n > 0) {
            session->kernel.idle_records = 0;
            *got = (size_t)n;
            return TLS_OK;
        }
        int code = n < 0 ? errno : 0;
        if (code == EINTR)
            continue;
        if (code != 0 && code != EINVAL)
            return read_failed(session, error);
        /* EINVAL: the next record is no data. 0: an empty record, or FIN. A look tells. */
        char byte;
        size_t seen;
        unsigned controls;
        enum tls_status status =
            receive(session, &byte, sizeof byte, MSG_PEEK, &seen, &controls, error);
        if (status != TLS_OK)
            return status;
        if ((code == EINVAL && controls == 0) || idle == TLS_MAX_IDLE_RECORDS) {
            errno = code == 0 ? EBADMSG : code;
            return read_failed(session, error);
        }
    }
    return session->read_end;
}

static enum tls_status write_failed(struct tls_error *error) {
    return would_block(errno) ? TLS_WANT_WRITE : tls_session_fail_errno(errno, "sending", error);
}

enum tls_status tls_kernel_write(struct tls_session *session, const void *buffer, size_t size,
                                 size_t *put, struct tls_error *error) {
    *put = 0;
    enum tls_status status = tls_control_settle(session, error);
    if (status != TLS_OK)
        return status;
    ssize_t n;
    do
        n = send(session->transport.fd, buffer, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return write_failed(error);
    *put = (size_t)n;
    return TLS_OK;
}

enum tls_status tls_splice_write(struct tls_session *session, int pipe_end, size_t size,
                                 size_t *put, struct tls_error *error) {
    *put = 0;
    enum tls_status status = tls_control_settle(session, error);
    if (status != TLS_OK)
        return status;
    ssize_t n;
    do
        n = splice(pipe_end, NULL, session->transport.fd, NULL, size,
                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return write_failed(error);
    *put = (size_t)n;
    return TLS_OK;
}

enum tls_status tls_kernel_close_write(struct tls_session *session, struct tls_error *error) {
    static const unsigned char close_notify[] = {1, 0}; /* level warning, RFC 5246 section 7.2.1 */
    if (session->close_sent)
        return TLS_OK;
    ssize_t n;
    do
        n = ktls_send(session->transport.fd, KTLS_ALERT, close_notify, sizeof close_notify);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return write_failed(error);
    session->close_sent = true;
    return TLS_OK;
}
