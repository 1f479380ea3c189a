/* Session tickets of the server role (RFC 5077, RFC 8446 section 4.6.1): sealed by us, so that each
 * carries the identity its client proved and dies with it. */
#ifndef DIND_PROXY_TLS_TICKET_H
#define DIND_PROXY_TLS_TICKET_H

#include "tls/wolf.h"

/* How long an identity proved in a full handshake may be resumed, in seconds, and how long a
 * sealing key makes new tickets. */
enum { TLS_TICKET_LIFETIME = 3600 };

/* The sealing keys of one context. They live in memory only: another process, and the same one
 * after a reload of its certificates, accepts none of these tickets. Any thread may use them. */
struct tls_ticket_keys;

/* NULL when memory or randomness is out. */
struct tls_ticket_keys *tls_ticket_keys_new(void);
void tls_ticket_keys_free(struct tls_ticket_keys *keys);

/* Makes a server context seal and open its tickets with `keys`, which must outlive it. Its sessions
 * must have a struct tls_session as their I/O read context. 0 or -1. */
int tls_ticket_install(WOLFSSL_CTX *context, struct tls_ticket_keys *keys);

#endif
