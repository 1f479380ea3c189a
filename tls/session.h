/* What the parts of tls/ share about a session and its context; nobody else includes this. */
#ifndef DIND_PROXY_TLS_SESSION_H
#define DIND_PROXY_TLS_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "tls/ktls.h"
#include "tls/ticket.h"
#include "tls/tls.h"
#include "tls/transport.h"
#include "tls/wolf.h"

/* Of SHA-256. */
enum { TLS_DIGEST_SIZE = 32 };

struct tls_context {
    atomic_uint references; /* the owner and every session */
    WOLFSSL_CTX *wolf;
    bool server;
    time_t expires;                           /* of its own certificate; 0: none */
    unsigned char authority[TLS_DIGEST_SIZE]; /* of the bundle that peers are verified with */
    enum tls_kernel_mode kernel;
    char *server_name;            /* client role: what the peer must be valid for, or NULL */
    struct tls_ticket_keys *keys; /* server role */
};

/* Gives back one reference. */
void tls_context_release(struct tls_context *context);

/* How the peer's identity became known in this handshake. */
enum tls_proof { TLS_PROOF_NONE, TLS_PROOF_CERTIFICATE, TLS_PROOF_TICKET };

struct tls_identity {
    enum tls_proof proof;
    time_t expires;  /* no resumption from then on */
    char *name;      /* owned; NULL as long as there is no proof */
    char *alt_names; /* owned; alt_size bytes, each name ends with a NUL. Server role only */
    size_t alt_size;
};

/* Copies `name`; no alternative names. 0, or -1 when memory is out. */
int tls_identity_set(struct tls_identity *identity, const char *name, time_t expires,
                     enum tls_proof proof);
void tls_identity_clear(struct tls_identity *identity);

/* TLS 1.3's application traffic secrets (RFC 8446 section 7.1): what the next keys come from. */
enum { TLS_MAX_SECRET = 48 };

struct tls_secrets {
    unsigned char client[TLS_MAX_SECRET];
    unsigned char server[TLS_MAX_SECRET];
};

/* A session whose record layer is in the kernel, in one direction or both. */
struct tls_kernel {
    bool attached;
    bool refused;     /* the kernel did not take all: what it has is all it will get */
    bool reads;       /* the kernel opens what comes in */
    bool writes;      /* the kernel seals what goes out */
    bool update_owed; /* the peer wants new keys of us and has not been told of them yet */
    enum ktls_version version;
    enum ktls_cipher cipher;
    struct tls_secrets secrets;
    unsigned idle_records; /* in a row that brought no data */
    /* The alert or handshake message that is being read; it may come in pieces. */
    unsigned char header[4];
    unsigned char header_length;
    uint32_t message_left;
    bool updated; /* new keys hold from here: nothing may follow in the same record */
};

struct tls_session {
    WOLFSSL *wolf;               /* NULL once the kernel does both directions */
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
    bool at_fault; /* see tls_peer_at_fault */
    struct tls_kernel kernel;
    bool resumed;
    const char *version_name; /* static; like the next one known when the handshake is done */
    const char *cipher_name;
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

/* handoff.c: a session's way into the kernel. Notes TLS 1.3's secrets as they come up; 0 or -1. */
int tls_handoff_prepare(struct tls_session *session);
/* Hands over what can be, as the context says: OK, also where the kernel takes nothing, or FAILED
 * where it must and does not. To be called after the handshake, and after each read of the client
 * role until kernel.reads. */
enum tls_status tls_handoff(struct tls_session *session, struct tls_error *error);
/* The next generation of one direction's keys (RFC 8446 section 7.2). 0 or wolfCrypt's error. */
int tls_handoff_next_keys(struct tls_session *session, enum ktls_direction direction,
                          struct ktls_keys *keys);

/* kernel_io.c: tls.h's functions, for the directions that are the kernel's. */
enum tls_status tls_kernel_read(struct tls_session *session, void *buffer, size_t size, size_t *got,
                                struct tls_error *error);
enum tls_status tls_kernel_write(struct tls_session *session, const void *buffer, size_t size,
                                 size_t *put, struct tls_error *error);
enum tls_status tls_kernel_close_write(struct tls_session *session, struct tls_error *error);

/* control.c: bytes of a record that is no data. OK: read on; EOF after close_notify; FAILED. */
enum tls_status tls_control_take(struct tls_session *session, unsigned char type,
                                 const unsigned char *bytes, size_t size, struct tls_error *error);
/* Tells the peer of new keys of ours and uses them, if that is owed: OK, WANT_WRITE or FAILED. */
enum tls_status tls_control_settle(struct tls_session *session, struct tls_error *error);

/* The peer's fault: fills `error` with "TLS connection with the <peer> failed: <what>". */
__attribute__((format(printf, 3, 4))) enum tls_status
tls_session_fail(struct tls_session *session, struct tls_error *error, const char *format, ...);
/* The network's: fills `error` with "<doing> over TLS: <the errno's text>". Both return FAILED. */
enum tls_status tls_session_fail_errno(int code, const char *doing, struct tls_error *error);

#endif
