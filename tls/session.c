#include "tls/session.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/reason.h"

/* One record's worth (RFC 8446 section 5.1). */
enum { MAX_PLAINTEXT = 16384 };

/* wolfSSL says that a ticket has come; its state is complete only when the call returns. */
static int note_ticket(WOLFSSL *wolf, const unsigned char *ticket, int len, void *user) {
    (void)wolf;
    (void)ticket;
    struct tls_session *session = user;
    session->has_new_ticket = len > 0;
    return 0;
}

static int set_up(struct tls_session *session) {
    WOLFSSL *wolf = session->wolf;
    char protocol[] = "http/1.1";
    wolfSSL_SetIOReadCtx(wolf, session);
    wolfSSL_SetIOWriteCtx(wolf, session);
    wolfSSL_SetCertCbCtx(wolf, session);
    if (wolfSSL_UseALPN(wolf, protocol, sizeof protocol - 1, WOLFSSL_ALPN_FAILED_ON_MISMATCH) !=
            WOLFSSL_SUCCESS ||
        tls_handoff_prepare(session) != 0)
        return -1;
    if (session->context->server)
        return 0;
    if (session->resumption != NULL &&
        wolfSSL_set_SessionTicket_cb(wolf, note_ticket, session) != WOLFSSL_SUCCESS)
        return -1;
    tls_resumption_offer(session);
    return 0;
}

struct tls_session *tls_session_new(struct tls_context *context, int fd,
                                    struct tls_resumption *resumption, struct tls_error *error) {
    struct tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        (void)tls_error_set(error, "out of memory for a TLS session");
        return NULL;
    }
    (void)atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    session->context = context;
    session->transport.fd = fd;
    session->resumption = context->server ? NULL : resumption;
    session->wolf = wolfSSL_new(context->wolf);
    if (session->wolf == NULL || set_up(session) != 0) {
        (void)tls_error_set(error, "out of memory for a TLS session");
        tls_session_free(session);
        return NULL;
    }
    return session;
}

void tls_session_free(struct tls_session *session) {
    if (session == NULL)
        return;
    if (session->has_new_ticket && session->established && session->wolf != NULL)
        tls_resumption_keep(session);
    wolfSSL_free(session->wolf);
    explicit_bzero(&session->kernel, sizeof session->kernel);
    tls_transport_clear(&session->transport);
    tls_identity_clear(&session->identity);
    free(session->offered_name);
    tls_context_release(session->context);
    free(session);
}

enum tls_status tls_session_fail_errno(int code, const char *doing, struct tls_error *error) {
    (void)tls_error_set(error, "%s over TLS: %s", doing, strerror(code));
    return TLS_FAILED;
}

enum tls_status tls_session_fail(struct tls_session *session, struct tls_error *error,
                                 const char *format, ...) {
    session->at_fault = true;
    char what[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(what, sizeof what, format, arguments) < 0)
        what[0] = '\0';
    va_end(arguments);
    (void)tls_error_set(error, "TLS connection with the %s failed: %s",
                        session->context->server ? "client" : "server", what);
    return TLS_FAILED;
}

/* Whether everything sealed so far is on its way: OK, WANT_WRITE or FAILED. */
static enum tls_status flush(struct tls_session *session, struct tls_error *error) {
    bool done = tls_transport_flush(&session->transport);
    if (session->transport.send_errno != 0)
        return tls_session_fail_errno(session->transport.send_errno, "sending", error);
    return done ? TLS_OK : TLS_WANT_WRITE;
}

/* A handshake that wolfSSL calls complete must have told us who the peer is, whichever way it
 * took; a gap in that chain must not become a way in. */
static bool peer_is_proven(struct tls_session *session) {
    bool resumed = wolfSSL_session_reused(session->wolf) != 0;
    if (resumed && !session->context->server)
        tls_resumption_adopt_identity(session);
    return session->identity.proof == (resumed ? TLS_PROOF_TICKET : TLS_PROOF_CERTIFICATE);
}

static enum tls_status handshake_step(struct tls_session *session, struct tls_error *error) {
    const struct tls_transport *transport = &session->transport;
    int result = wolfSSL_negotiate(session->wolf);
    if (result == WOLFSSL_SUCCESS) {
        if (!peer_is_proven(session)) {
            tls_session_explain(session, NO_PEER_CERT, error);
            return TLS_FAILED;
        }
        session->established = true;
        session->resumed = wolfSSL_session_reused(session->wolf) != 0;
        session->version_name = wolfSSL_get_version(session->wolf);
        session->cipher_name = wolfSSL_get_cipher_name(session->wolf);
        free(session->offered_name);
        session->offered_name = NULL;
        if (session->has_new_ticket)
            tls_resumption_keep(session);
        return flush(session, error);
    }
    int code = wolfSSL_get_error(session->wolf, result);
    /* Also after a failure: the alert that says why is in the backlog if anything is. */
    enum tls_status flushed = flush(session, error);
    if (code != WOLFSSL_ERROR_WANT_READ && code != WOLFSSL_ERROR_WANT_WRITE) {
        tls_session_explain(session, code, error);
        /* In case it was the ticket: the next handshake is a full one. */
        if (session->resumption != NULL)
            tls_resumption_clear(session->resumption);
        return TLS_FAILED;
    }
    if (transport->ended) {
        (void)tls_error_set(error, "the %s closed the connection during the TLS handshake",
                            session->context->server ? "client" : "server");
        return TLS_FAILED;
    }
    if (transport->receive_errno != 0)
        return tls_session_fail_errno(transport->receive_errno, "handshake", error);
    return flushed == TLS_OK ? TLS_WANT_READ : flushed;
}

enum tls_status tls_handshake(struct tls_session *session, struct tls_error *error) {
    enum tls_status status = flush(session, error);
    if (status == TLS_OK && !session->established)
        status = handshake_step(session, error);
    return status == TLS_OK ? tls_handoff(session, error) : status;
}

/* Reading has come to an end, or not: what wolfSSL's `code` means together with what the socket
 * said. */
static enum tls_status read_status(struct tls_session *session, int code, struct tls_error *error) {
    const struct tls_transport *transport = &session->transport;
    if (code == WOLFSSL_ERROR_ZERO_RETURN)
        return TLS_EOF;
    if (code != WOLFSSL_ERROR_WANT_READ && code != WOLFSSL_ERROR_WANT_WRITE) {
        tls_session_explain(session, code, error);
        return TLS_FAILED;
    }
    if (transport->flooded)
        return tls_session_fail(session, error, "it sent too many records without data");
    if (transport->receive_errno != 0)
        return tls_session_fail_errno(transport->receive_errno, "receiving", error);
    if (transport->ended)
        return TLS_TRUNCATED;
    return transport->stalled ? TLS_WANT_WRITE : TLS_WANT_READ;
}

enum tls_status tls_read(struct tls_session *session, void *buffer, size_t size, size_t *got,
                         struct tls_error *error) {
    *got = 0;
    if (!session->established || size == 0) {
        (void)tls_error_set(error, "TLS read before the handshake or of nothing");
        return TLS_FAILED;
    }
    if (session->read_end != TLS_OK) {
        (void)tls_error_set(error, "TLS read after the end");
        return session->read_end;
    }
    if (session->kernel.reads)
        return tls_kernel_read(session, buffer, size, got, error);
    (void)tls_transport_flush(&session->transport);
    int result = wolfSSL_read(session->wolf, buffer, size > INT_MAX ? INT_MAX : (int)size);
    if (session->has_new_ticket)
        tls_resumption_keep(session);
    if (result > 0) {
        *got = (size_t)result;
        tls_transport_progress(&session->transport);
        return tls_handoff(session, error);
    }
    enum tls_status status = read_status(session, wolfSSL_get_error(session->wolf, result), error);
    if (status == TLS_WANT_READ && session->transport.crossed)
        status = tls_session_fail(session, error,
                                  "it asked for new keys (KeyUpdate) before its first data, which "
                                  "kernel TLS cannot answer");
    if (status != TLS_WANT_READ && status != TLS_WANT_WRITE)
        session->read_end = status;
    return status;
}

enum tls_status tls_write(struct tls_session *session, const void *buffer, size_t size, size_t *put,
                          struct tls_error *error) {
    *put = 0;
    if (!session->established || session->close_sent || size == 0) {
        (void)tls_error_set(error, "TLS write before the handshake, after its end or of nothing");
        return TLS_FAILED;
    }
    if (session->kernel.writes)
        return tls_kernel_write(session, buffer, size, put, error);
    enum tls_status flushed = flush(session, error);
    if (flushed != TLS_OK)
        return flushed;
    if (session->unreported == 0) {
        int len = size > MAX_PLAINTEXT ? MAX_PLAINTEXT : (int)size;
        int result = wolfSSL_write(session->wolf, buffer, len);
        if (result <= 0) {
            tls_session_explain(session, wolfSSL_get_error(session->wolf, result), error);
            return TLS_FAILED;
        }
        session->unreported = (size_t)result;
        flushed = flush(session, error);
        if (flushed != TLS_OK)
            return flushed;
    }
    *put = session->unreported;
    session->unreported = 0;
    return TLS_OK;
}

enum tls_status tls_close_write(struct tls_session *session, struct tls_error *error) {
    if (session->kernel.writes)
        return tls_kernel_close_write(session, error);
    if (!session->close_sent && session->transport.send_errno == 0) {
        int result = wolfSSL_shutdown(session->wolf);
        if (result != WOLFSSL_SUCCESS && result != WOLFSSL_SHUTDOWN_NOT_DONE) {
            tls_session_explain(session, wolfSSL_get_error(session->wolf, result), error);
            return TLS_FAILED;
        }
        session->close_sent = true;
    }
    return flush(session, error);
}

bool tls_peer_at_fault(const struct tls_session *session) {
    return session->at_fault;
}

bool tls_kernel_reads(const struct tls_session *session) {
    return session->kernel.reads;
}

bool tls_kernel_writes(const struct tls_session *session) {
    return session->kernel.writes;
}

size_t tls_pending(const struct tls_session *session) {
    int pending = session->wolf == NULL ? 0 : wolfSSL_pending(session->wolf);
    return pending > 0 ? (size_t)pending : 0;
}

const char *tls_peer_name(struct tls_session *session) {
    return session->identity.name != NULL ? session->identity.name : "";
}

const char *tls_peer_alt_names(const struct tls_session *session, size_t *size) {
    *size = session->identity.alt_size;
    return session->identity.alt_names;
}

const char *tls_version_name(struct tls_session *session) {
    return session->wolf == NULL ? session->version_name : wolfSSL_get_version(session->wolf);
}

const char *tls_cipher_name(struct tls_session *session) {
    const char *name =
        session->wolf == NULL ? session->cipher_name : wolfSSL_get_cipher_name(session->wolf);
    return name != NULL ? name : "";
}

bool tls_resumed(struct tls_session *session) {
    return session->resumed;
}
