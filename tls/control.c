/* Records that are no data, on a connection whose records the kernel opens: alerts, tickets and key
 * updates (RFC 8446 sections 4.6 and 6; RFC 5246 section 7). */
#include <errno.h>
#include <string.h>

#include "tls/reason.h"
#include "tls/session.h"

enum { ALERT_WARNING = 1, ALERT_CLOSE_NOTIFY = 0, ALERT_USER_CANCELED = 90 };
enum { ALERT_SIZE = 2, MESSAGE_HEADER = 4 };
enum { MESSAGE_NEW_SESSION_TICKET = 4, MESSAGE_KEY_UPDATE = 24 };

static enum tls_status take_alert(struct tls_session *session, struct tls_error *error) {
    unsigned char level = session->kernel.header[0];
    unsigned char description = session->kernel.header[1];
    session->kernel.header_length = 0;
    if (description == ALERT_CLOSE_NOTIFY)
        return TLS_EOF;
    /* From TLS 1.3 on the level says nothing: but for one all alerts are errors. */
    if (session->kernel.version == KTLS_TLS13 ? description == ALERT_USER_CANCELED
                                              : level == ALERT_WARNING)
        return TLS_OK;
    const char *name = tls_alert_name(description);
    return tls_session_fail(session, error, "it ended it with the alert %s",
                            name != NULL ? name : "of a number that no standard knows");
}

/* The peer seals with new keys from its next record on. */
static enum tls_status take_key_update(struct tls_session *session, unsigned char request,
                                       struct tls_error *error) {
    struct ktls_keys keys;
    if (request > 1)
        return tls_session_fail(session, error, "its key update is malformed");
    int result = tls_handoff_next_keys(session, KTLS_RECEIVE, &keys);
    if (result == 0 && ktls_install(session->transport.fd, KTLS_RECEIVE, &keys) < 0)
        result = -errno;
    explicit_bzero(&keys, sizeof keys);
    if (result != 0)
        return tls_session_fail(session, error,
                                "it changed its keys (KeyUpdate), which this kernel cannot follow "
                                "(Linux can from 6.14 on); serve such peers with kernel TLS off");
    session->kernel.updated = true;
    /* Several requests get one answer (RFC 8446 section 4.6.3). */
    session->kernel.update_owed = session->kernel.update_owed || request == 1;
    return TLS_OK;
}

/* A message's header is complete: whether such a one may come at all. */
static enum tls_status begin_message(struct tls_session *session, struct tls_error *error) {
    struct tls_kernel *kernel = &session->kernel;
    unsigned char type = kernel->header[0];
    kernel->message_left =
        (uint32_t)kernel->header[1] << 16 | (uint32_t)kernel->header[2] << 8 | kernel->header[3];
    bool tls13 = kernel->version == KTLS_TLS13;
    if (tls13 && type == MESSAGE_NEW_SESSION_TICKET && !session->context->server)
        return TLS_OK; /* a late one: nobody to keep it */
    if (tls13 && type == MESSAGE_KEY_UPDATE && kernel->message_left == 1)
        return TLS_OK;
    if (!tls13)
        return tls_session_fail(session, error, "it tried to renegotiate");
    return tls_session_fail(session, error, "it sent a handshake message out of order (type %u)",
                            (unsigned)type);
}

/* `*used` of the bytes are dealt with. */
static enum tls_status take_message(struct tls_session *session, const unsigned char *bytes,
                                    size_t size, size_t *used, struct tls_error *error) {
    struct tls_kernel *kernel = &session->kernel;
    *used = 1;
    if (kernel->updated)
        return tls_session_fail(session, error, "its key update is not the end of a record");
    if (kernel->header_length < MESSAGE_HEADER) {
        kernel->header[kernel->header_length++] = *bytes;
        return kernel->header_length == MESSAGE_HEADER ? begin_message(session, error) : TLS_OK;
    }
    enum tls_status status = TLS_OK;
    if (kernel->header[0] == MESSAGE_KEY_UPDATE)
        status = take_key_update(session, *bytes, error);
    else
        *used = size < kernel->message_left ? size : kernel->message_left;
    kernel->message_left -= (uint32_t)*used;
    return status;
}

enum tls_status tls_control_take(struct tls_session *session, unsigned char type,
                                 const unsigned char *bytes, size_t size, struct tls_error *error) {
    struct tls_kernel *kernel = &session->kernel;
    enum tls_status status = TLS_OK;
    if (size == 0 || (type != KTLS_ALERT && type != KTLS_HANDSHAKE))
        return tls_session_fail(session, error, "it sent a record of type %u out of order",
                                (unsigned)type);
    if (++kernel->idle_records > TLS_MAX_IDLE_RECORDS)
        return tls_session_fail(session, error, "it sent too many records without data");
    for (size_t used = 0; size > 0 && status == TLS_OK; bytes += used, size -= used) {
        used = 1;
        if (type == KTLS_HANDSHAKE) {
            status = take_message(session, bytes, size, &used, error);
            if (kernel->header_length == MESSAGE_HEADER && kernel->message_left == 0)
                kernel->header_length = 0;
            continue;
        }
        kernel->header[kernel->header_length++] = *bytes;
        if (kernel->header_length == ALERT_SIZE)
            status = take_alert(session, error);
    }
    kernel->updated = false;
    return status;
}

enum tls_status tls_control_settle(struct tls_session *session, struct tls_error *error) {
    static const unsigned char update[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 0};
    int fd = session->transport.fd;
    if (!session->kernel.update_owed)
        return TLS_OK;
    ssize_t put;
    do
        put = ktls_send(fd, KTLS_HANDSHAKE, update, sizeof update);
    while (put < 0 && errno == EINTR);
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return TLS_WANT_WRITE;
    /* A part of a record cannot be taken: the kernel seals all of it or nothing. */
    struct ktls_keys keys;
    bool done = put == sizeof update && tls_handoff_next_keys(session, KTLS_SEND, &keys) == 0 &&
                ktls_install(fd, KTLS_SEND, &keys) == 0;
    explicit_bzero(&keys, sizeof keys);
    if (!done)
        return tls_session_fail(session, error, "new keys of ours cannot be set: %s",
                                strerror(errno));
    session->kernel.update_owed = false;
    return TLS_OK;
}
