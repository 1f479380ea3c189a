/* The bytes between wolfSSL and a non-blocking socket. What the socket does not take is kept here,
 * so that wolfSSL never sees a full socket and never mixes up whose bytes are still to be sent. */
#ifndef DIND_PROXY_TLS_TRANSPORT_H
#define DIND_PROXY_TLS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

/* Answers to key updates and the like may pile up to this many bytes before reading stops; one
 * sealed record always fits in. */
enum { TLS_TRANSPORT_BACKLOG = 32 << 10 };

/* How many records in a row may bring no data (empty ones, tickets, key updates): more than any
 * server's tickets, far less than keeps a worker busy. */
enum { TLS_MAX_IDLE_RECORDS = 32 };

struct tls_transport {
    int fd;                 /* borrowed */
    unsigned char *backlog; /* sealed bytes the socket did not take; NULL when there are none */
    size_t backlog_start;
    size_t backlog_end;
    int receive_errno; /* not 0: reading is over */
    int send_errno;    /* not 0: writing is over; reading is not */
    bool ended;        /* the peer sent FIN */
    bool stalled;      /* reading waits for the backlog to drain */
    bool detached;     /* the kernel seals what we send: wolfSSL's bytes would be garbage */
    bool crossed;      /* and it tried to send some, which were dropped */
    bool flooded;      /* reading is over: too many records in a row without data */
    bool started;      /* `first_byte` is known */
    unsigned char first_byte;
    unsigned char record_type; /* of the newest record */
    unsigned char header_have; /* bytes of its header that have come */
    unsigned record_left;      /* bytes of its payload still to come */
    unsigned idle_records;     /* since tls_transport_progress */
    bool counts_idle;          /* whether too many of those end it */
};

/* The work of wolfSSL's I/O callbacks: bytes moved (at least 1), or -1 for "not now". Every other
 * end of the matter is noted in `transport`, and also reported as "not now": wolfSSL then stays in
 * a state in which the other direction works. */
int tls_transport_receive(struct tls_transport *transport, char *buffer, int size);
int tls_transport_send(struct tls_transport *transport, const char *bytes, int size);

/* Sends what it can of the backlog; true when none is left or writing is over. */
bool tls_transport_flush(struct tls_transport *transport);

/* After wolfSSL refused a record for being in the clear: the alert in it, or -1 if it was none.
 * OpenSSL's clients say so that they do not trust a TLS 1.3 server. */
int tls_transport_plain_alert(struct tls_transport *transport);

/* Whether what was received ends with a whole record. */
bool tls_transport_at_boundary(const struct tls_transport *transport);

/* Data came of the records so far. From the first call on, a peer that sends many records in a row
 * from which no data comes (empty ones, key updates, tickets) is cut off. */
void tls_transport_progress(struct tls_transport *transport);

/* Frees the backlog. */
void tls_transport_clear(struct tls_transport *transport);

#endif
