/* The client role's tickets, of TLS 1.3 only. wolfSSL's sessions are shared by reference and
 * written to by each connection that holds one; here everybody gets a copy, so that a late ticket
 * of an older connection is never computed from a newer one's secret. */
#include <stdlib.h>
#include <string.h>

#include "tls/session.h"

struct kept_session {
    WOLFSSL_SESSION *wolf;
    char *peer_name;
};

static void free_kept(struct kept_session *kept) {
    if (kept == NULL)
        return;
    wolfSSL_SESSION_free(kept->wolf);
    free(kept->peer_name);
    free(kept);
}

void tls_resumption_clear(struct tls_resumption *resumption) {
    free_kept(resumption->session);
    resumption->session = NULL;
}

void tls_resumption_offer(struct tls_session *session) {
    if (session->resumption == NULL || session->resumption->session == NULL)
        return;
    const struct kept_session *kept = session->resumption->session;
    session->offered_name = strdup(kept->peer_name);
    WOLFSSL_SESSION *copy = wolfSSL_SESSION_dup(kept->wolf);
    /* An expired one, or no memory: the handshake is a full one. */
    if (copy != NULL && session->offered_name != NULL)
        (void)wolfSSL_set_session(session->wolf, copy);
    wolfSSL_SESSION_free(copy);
}

void tls_resumption_keep(struct tls_session *session) {
    session->has_new_ticket = false;
    if (session->resumption == NULL || session->identity.name == NULL ||
        wolfSSL_version(session->wolf) != TLS1_3_VERSION)
        return;
    WOLFSSL_SESSION *own = wolfSSL_get1_session(session->wolf);
    if (own == NULL)
        return;
    struct kept_session *kept = calloc(1, sizeof *kept);
    if (kept != NULL) {
        kept->wolf = wolfSSL_SESSION_dup(own);
        kept->peer_name = strdup(session->identity.name);
    }
    wolfSSL_SESSION_free(own);
    if (kept == NULL || kept->wolf == NULL || kept->peer_name == NULL) {
        free_kept(kept);
        return;
    }
    tls_resumption_clear(session->resumption);
    session->resumption->session = kept;
}

void tls_resumption_adopt_identity(struct tls_session *session) {
    if (session->offered_name != NULL)
        (void)tls_identity_set(&session->identity, session->offered_name, 0, TLS_PROOF_TICKET);
}
