/* Who the peer is, and the sentence for when that or anything else about it does not hold. */
#include <stdlib.h>
#include <string.h>

#include "tls/certificate.h"
#include "tls/reason.h"
#include "tls/session.h"

int tls_identity_set(struct tls_identity *identity, const char *name, time_t expires,
                     enum tls_proof proof) {
    char *copy = strdup(name);
    if (copy == NULL)
        return -1;
    tls_identity_clear(identity);
    *identity = (struct tls_identity){.proof = proof, .expires = expires, .name = copy};
    return 0;
}

void tls_identity_clear(struct tls_identity *identity) {
    free(identity->name);
    free(identity->alt_names);
    *identity = (struct tls_identity){0};
}

/* The leaf certificate has been found good by wolfSSL: takes its name over. */
static int adopt_leaf(struct tls_session *session, const WOLFSSL_BUFFER_INFO *leaf) {
    struct tls_certificate_facts facts;
    int code =
        tls_certificate_read(leaf->buffer, leaf->length, session->context->server_name, &facts);
    if (code != 0) {
        session->verify_code = code;
        return 0;
    }
    if (!facts.name_matches) {
        session->name_mismatch = true;
        return 0;
    }
    time_t expires = time(NULL) + TLS_TICKET_LIFETIME;
    if (expires > facts.not_after)
        expires = facts.not_after;
    if (tls_identity_set(&session->identity, facts.common_name, expires, TLS_PROOF_CERTIFICATE) !=
        0) {
        session->verify_code = MEMORY_E;
        return 0;
    }
    if (session->context->server)
        session->verify_code = tls_certificate_alt_names(
            leaf->buffer, leaf->length, &session->identity.alt_names, &session->identity.alt_size);
    return session->verify_code == 0;
}

int tls_session_verify(int ok, WOLFSSL_X509_STORE_CTX *store) {
    struct tls_session *session = store->userCtx;
    if (session == NULL)
        return 0;
    if (!ok) {
        if (session->verify_code == 0)
            session->verify_code = store->error;
        return 0;
    }
    /* wolfSSL numbers the peer's own certificate 0 and asks about it last. */
    if (store->error_depth != 0)
        return 1;
    if (store->certs == NULL || store->totalCerts < 1) {
        session->verify_code = NO_PEER_CERT;
        return 0;
    }
    return adopt_leaf(session, &store->certs[0]);
}

/* The alert that ended the connection, or NULL. */
static const char *received_alert(struct tls_session *session, int code) {
    if (code == PARSE_ERROR && !session->established)
        return tls_alert_name(tls_transport_plain_alert(&session->transport));
    WOLFSSL_ALERT_HISTORY history = {0};
    if (code != FATAL_ERROR ||
        wolfSSL_get_alert_history(session->wolf, &history) != WOLFSSL_SUCCESS ||
        history.last_rx.code <= 0)
        return NULL;
    return tls_alert_name(history.last_rx.code);
}

void tls_session_explain(struct tls_session *session, int code, struct tls_error *error) {
    const struct tls_transport *transport = &session->transport;
    const char *what = session->established ? "TLS connection" : "TLS handshake";
    const char *peer = session->context->server ? "client" : "server";
    session->at_fault = true;
    /* The content types of RFC 8446 section 5.1 are 20 to 23. */
    if (!session->established && transport->started &&
        (transport->first_byte < 20 || transport->first_byte > 23)) {
        (void)tls_error_set(error, "%s with the %s failed: it does not speak TLS", what, peer);
        return;
    }
    if (session->name_mismatch) {
        (void)tls_error_set(error, "%s with the %s failed: its certificate is not valid for %s",
                            what, peer, session->context->server_name);
        return;
    }
    const char *alert = received_alert(session, code);
    if (alert != NULL) {
        (void)tls_error_set(error, "%s with the %s failed: it refused with the alert %s", what,
                            peer, alert);
        return;
    }
    if (session->verify_code != 0)
        code = session->verify_code;
    const char *reason = tls_reason_for_code(code);
    if (reason != NULL)
        (void)tls_error_set(error, "%s with the %s failed: %s", what, peer, reason);
    else
        (void)tls_error_set(error, "%s with the %s failed: %s (wolfSSL %d)", what, peer,
                            tls_library_reason(code), code);
}
