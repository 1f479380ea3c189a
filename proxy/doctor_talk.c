#include "proxy/doctor_talk.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "proxy/deadline.h"

struct talk {
    int fd;
    int64_t deadline; /* CLOCK_MONOTONIC, in milliseconds */
    struct tls_probe *tls;
};

static void end(struct talk *talk) {
    tls_probe_free(talk->tls);
    if (talk->fd >= 0)
        (void)close(talk->fd);
}

/* False when the deadline has come. */
static bool wait_for(const struct talk *talk, short events) {
    for (;;) {
        int64_t left = talk->deadline - (int64_t)deadline_now();
        struct pollfd poller = {talk->fd, events, 0};
        int result = left > 0 ? poll(&poller, 1, (int)left) : 0;
        if (result > 0)
            return true;
        if (result == 0 || errno != EINTR)
            return false;
    }
}

static bool wait_for_tls(const struct talk *talk, enum tls_status status) {
    return (status == TLS_WANT_READ && wait_for(talk, POLLIN)) ||
           (status == TLS_WANT_WRITE && wait_for(talk, POLLOUT));
}

static enum doctor_talk_result open_connection(struct talk *talk, const struct sockaddr *address,
                                               socklen_t length, const char **reason) {
    int code = 0;
    socklen_t code_length = sizeof code;
    talk->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (talk->fd >= 0 && connect(talk->fd, address, length) == 0)
        return DOCTOR_TALK_OK;
    /* EAGAIN is the full queue of a unix socket: somebody listens. */
    if (talk->fd >= 0 && errno == EAGAIN && address->sa_family == AF_UNIX)
        return DOCTOR_TALK_SILENT;
    code = errno;
    if (talk->fd >= 0 && code == EINPROGRESS) {
        if (!wait_for(talk, POLLOUT)) {
            *reason = "no answer in time";
            return DOCTOR_TALK_CLOSED;
        }
        if (getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &code, &code_length) != 0)
            code = errno;
        if (code == 0)
            return DOCTOR_TALK_OK;
    }
    *reason = strerror(code);
    return DOCTOR_TALK_CLOSED;
}

/* What a TLS step that did not succeed means. */
static enum doctor_talk_result tls_failure(struct talk *talk, enum tls_status status, bool begun,
                                           const char **reason) {
    const char *alert = tls_probe_alert(talk->tls);
    if (alert != NULL) {
        *reason = alert;
        return DOCTOR_TALK_REFUSED;
    }
    if (status == TLS_WANT_READ || status == TLS_WANT_WRITE)
        return DOCTOR_TALK_SILENT;
    if (!begun)
        return DOCTOR_TALK_NO_TLS;
    *reason = "it closed the connection";
    return DOCTOR_TALK_REFUSED;
}

static enum doctor_talk_result begin_tls(struct talk *talk, const struct doctor_identity *identity,
                                         const char **reason) {
    enum tls_status status;
    talk->tls = tls_probe_new(talk->fd, identity->certificate, identity->key);
    if (talk->tls == NULL)
        return DOCTOR_TALK_SILENT;
    while ((status = tls_probe_handshake(talk->tls)) != TLS_OK)
        if (!wait_for_tls(talk, status))
            return tls_failure(talk, status, false, reason);
    return DOCTOR_TALK_OK;
}

/* TLS_OK, or what it ended with. A timeout leaves the WANT. */
static enum tls_status send_all(struct talk *talk, const char *request, size_t len) {
    while (len > 0) {
        size_t put = 0;
        enum tls_status status = TLS_OK;
        if (talk->tls != NULL) {
            status = tls_probe_write(talk->tls, request, len, &put);
        } else {
            ssize_t sent = send(talk->fd, request, len, MSG_NOSIGNAL);
            if (sent >= 0)
                put = (size_t)sent;
            else
                status = errno == EAGAIN || errno == EINTR ? TLS_WANT_WRITE : TLS_FAILED;
        }
        if (status != TLS_OK && !wait_for_tls(talk, status))
            return status;
        request += put;
        len -= put;
    }
    return TLS_OK;
}

static enum tls_status receive(struct talk *talk, char *answer, size_t size, size_t *got) {
    while (*got < size) {
        size_t more = 0;
        enum tls_status status = TLS_OK;
        if (talk->tls != NULL) {
            status = tls_probe_read(talk->tls, answer + *got, size - *got, &more);
        } else {
            ssize_t read = recv(talk->fd, answer + *got, size - *got, 0);
            if (read > 0)
                more = (size_t)read;
            else if (read == 0)
                status = TLS_EOF;
            else
                status = errno == EAGAIN || errno == EINTR ? TLS_WANT_READ : TLS_FAILED;
        }
        if (status != TLS_OK && !wait_for_tls(talk, status))
            return status;
        *got += more;
    }
    return TLS_OK;
}

enum doctor_talk_result doctor_talk(const struct sockaddr *address, socklen_t length,
                                    const struct doctor_identity *identity, unsigned timeout,
                                    const void *request, size_t request_len, char *answer,
                                    size_t size, size_t *got, const char **reason) {
    __attribute__((cleanup(end))) struct talk talk = {
        .fd = -1, .deadline = (int64_t)deadline_now() + timeout};
    *got = 0;
    *reason = "";
    enum doctor_talk_result result = open_connection(&talk, address, length, reason);
    if (result == DOCTOR_TALK_OK && identity != NULL)
        result = begin_tls(&talk, identity, reason);
    if (result != DOCTOR_TALK_OK)
        return result;
    /* Whoever refuses may close before all is sent; what it said is then still to be read. */
    (void)send_all(&talk, request, request_len);
    enum tls_status status = receive(&talk, answer, size, got);
    if (*got > 0)
        return DOCTOR_TALK_OK;
    if (talk.tls != NULL)
        return tls_failure(&talk, status, true, reason);
    return DOCTOR_TALK_SILENT;
}
