#include "tls/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 8446 section 5.1. */
enum { RECORD_HEADER = 5, ALERT_RECORD = 21 };

static size_t backlog_size(const struct tls_transport *transport) {
    return transport->backlog_end - transport->backlog_start;
}

static void drop_backlog(struct tls_transport *transport) {
    free(transport->backlog);
    transport->backlog = NULL;
    transport->backlog_start = 0;
    transport->backlog_end = 0;
}

void tls_transport_clear(struct tls_transport *transport) {
    drop_backlog(transport);
}

/* Follows the records in what comes: each begins with its type, its version and its length. */
static void track(struct tls_transport *transport, const char *bytes, size_t size) {
    while (size > 0) {
        if (transport->header_have == RECORD_HEADER) {
            size_t run = size < transport->record_left ? size : transport->record_left;
            transport->record_left -= (unsigned)run;
            bytes += run;
            size -= run;
            if (transport->record_left == 0)
                transport->header_have = 0;
            continue;
        }
        unsigned char byte = (unsigned char)*bytes++;
        size--;
        switch (transport->header_have++) {
        case 0:
            transport->record_type = byte;
            transport->record_left = 0;
            transport->idle_records++;
            break;
        case 3:
        case 4:
            transport->record_left = transport->record_left << 8 | byte;
            break;
        default:
            break;
        }
        if (transport->header_have == RECORD_HEADER && transport->record_left == 0)
            transport->header_have = 0;
    }
}

bool tls_transport_at_boundary(const struct tls_transport *transport) {
    return transport->header_have == 0;
}

void tls_transport_progress(struct tls_transport *transport) {
    transport->idle_records = 0;
    transport->counts_idle = true;
}

int tls_transport_receive(struct tls_transport *transport, char *buffer, int size) {
    if (size <= 0 || transport->ended || transport->receive_errno != 0 || transport->flooded)
        return -1;
    if (transport->counts_idle && transport->idle_records > TLS_MAX_IDLE_RECORDS) {
        transport->flooded = true;
        return -1;
    }
    transport->stalled = backlog_size(transport) >= TLS_TRANSPORT_BACKLOG;
    if (transport->stalled)
        return -1;
    ssize_t got;
    do
        got = recv(transport->fd, buffer, (size_t)size, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            transport->receive_errno = errno;
        return -1;
    }
    if (got == 0) {
        transport->ended = true;
        return -1;
    }
    if (!transport->started) {
        transport->started = true;
        transport->first_byte = (unsigned char)buffer[0];
    }
    track(transport, buffer, (size_t)got);
    return (int)got;
}

int tls_transport_plain_alert(struct tls_transport *transport) {
    char alert[2]; /* level, description */
    if (transport->record_type != ALERT_RECORD ||
        tls_transport_receive(transport, alert, sizeof alert) != sizeof alert)
        return -1;
    return (unsigned char)alert[1];
}

/* Returns how many bytes the socket took. */
static size_t send_some(struct tls_transport *transport, const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    size_t sent = 0;
    while (sent < size && transport->send_errno == 0) {
        ssize_t put = send(transport->fd, at + sent, size - sent, MSG_NOSIGNAL);
        if (put >= 0)
            sent += (size_t)put;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else if (errno != EINTR)
            transport->send_errno = errno;
    }
    return sent;
}

bool tls_transport_flush(struct tls_transport *transport) {
    if (transport->backlog == NULL)
        return true;
    transport->backlog_start += send_some(transport, transport->backlog + transport->backlog_start,
                                          backlog_size(transport));
    bool done = backlog_size(transport) == 0 || transport->send_errno != 0;
    if (done && transport->backlog != NULL)
        drop_backlog(transport);
    return done;
}

int tls_transport_send(struct tls_transport *transport, const char *bytes, int size) {
    if (size <= 0)
        return -1;
    if (transport->detached) {
        transport->crossed = true;
        return size;
    }
    size_t left = (size_t)size;
    if (transport->backlog == NULL) {
        size_t sent = send_some(transport, bytes, left);
        bytes += sent;
        left -= sent;
    }
    if (left == 0 || transport->send_errno != 0)
        return size;
    size_t kept = backlog_size(transport);
    unsigned char *grown = malloc(kept + left);
    if (grown == NULL) {
        transport->send_errno = ENOMEM;
        return size;
    }
    if (transport->backlog != NULL)
        memcpy(grown, transport->backlog + transport->backlog_start, kept);
    memcpy(grown + kept, bytes, left);
    drop_backlog(transport);
    transport->backlog = grown;
    transport->backlog_end = kept + left;
    return size;
}
