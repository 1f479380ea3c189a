/* The bytes between wolfSSL and a non-blocking socket. What the socket does not take is kept here,
 * so that wolfSSL never sees a full socket and never mixes up whose bytes are still to be sent. */
#ifndef DIND_PROXY_TLS_TRANSPORT_H
#define DIND_PROXY_TLS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

/* Answers to key updates and the like may pile up to this many bytes before reading stops; one
 * sealed record always fits in. */
enum { TLS_TRANSPORT_BACKLOG = 32 << 10 };

struct tls_transport {
    int fd;                 /* borrowed */
    unsigned char *backlog; /* sealed bytes the socket did not take; NULL when there are none */
    size_t backlog_start;
    size_t backlog_end;
    int receive_errno; /* not 0: reading is over */
    int send_errno;    /* not 0: writing is over; reading is not */
    bool ended;        /* the peer sent FIN */
    bool stalled;      /* reading waits for the backlog to drain */
    bool started;      /* `first_byte` is known */
    unsigned char first_byte;
    unsigned char record_type; /* of the newest record header that came in one piece */
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

/* Frees the backlog. */
void tls_transport_clear(struct tls_transport *transport);

#endif
