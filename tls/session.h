/* What the parts of tls/ share about a session and its context; nobody else includes this. */
#ifndef DIND_PROXY_TLS_SESSION_H
#define DIND_PROXY_TLS_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "tls/ticket.h"
#include "tls/tls.h"
#include "tls/transport.h"
#include "tls/wolf.h"

struct tls_context {
    atomic_uint references; /* the owner and every session */
    WOLFSSL_CTX *wolf;
    bool server;
    char *server_name;            /* client role: what the peer must be valid for, or NULL */
    struct tls_ticket_keys *keys; /* server role */
};

/* Gives back one reference. */
void tls_context_release(struct tls_context *context);

/* How the peer's identity became known in this handshake. */
enum tls_proof { TLS_PROOF_NONE, TLS_PROOF_CERTIFICATE, TLS_PROOF_TICKET };

struct tls_identity {
    enum tls_proof proof;
    time_t expires; /* no resumption from then on */
    char *name;     /* owned; NULL as long as there is no proof */
};

/* Copies `name`; 0, or -1 when memory is out. */
int tls_identity_set(struct tls_identity *identity, const char *name, time_t expires,
                     enum tls_proof proof);
void tls_identity_clear(struct tls_identity *identity);

struct tls_session {
    WOLFSSL *wolf;
    struct tls_context *context; /* holds a reference */
    struct tls_resumption *resumption;
    struct tls_transport transport;
    struct tls_identity identity;
    int verify_code;     /* wolfSSL's first complaint about the peer's certificate, or 0 */
    bool name_mismatch;  /* the certificate is good, but for another host */
    bool established;    /* the handshake is done */
    bool has_new_ticket; /* to be kept for the next connection */
    char *offered_name;  /* client role: whom the offered ticket is from; owned, or NULL */
    bool close_sent;
    enum tls_status read_end; /* TLS_OK while reading goes on, else what it ended with */
    size_t unreported; /* plain bytes in the backlog that the caller does not yet know as sent */
};

/* wolfSSL's verify callback for both roles: `ok` is its own verdict, which is never relaxed. */
int tls_session_verify(int ok, WOLFSSL_X509_STORE_CTX *store);

/* Fills `error` with the sentence for wolfSSL's error `code` on this session. */
void tls_session_explain(struct tls_session *session, int code, struct tls_error *error);

/* Client role. Offers the kept ticket; keeps the session's newest one; names the peer of a resumed
 * session. */
void tls_resumption_offer(struct tls_session *session);
void tls_resumption_keep(struct tls_session *session);
void tls_resumption_adopt_identity(struct tls_session *session);

#endif
