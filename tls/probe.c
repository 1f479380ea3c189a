#include "tls/probe.h"

#include <limits.h>
#include <stdlib.h>

#include "tls/wolf.h"

struct tls_probe {
    WOLFSSL_CTX *context;
    WOLFSSL *wolf;
};

void tls_probe_free(struct tls_probe *probe) {
    if (probe == NULL)
        return;
    wolfSSL_free(probe->wolf);
    wolfSSL_CTX_free(probe->context);
    free(probe);
}

static int set_up(struct tls_probe *probe, int fd, struct tls_pem certificate, struct tls_pem key) {
    char protocol[] = "http/1.1";
    probe->context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    if (probe->context == NULL)
        return -1;
    wolfSSL_CTX_set_verify(probe->context, WOLFSSL_VERIFY_NONE, NULL);
    if (certificate.data != NULL &&
        (wolfSSL_CTX_use_certificate_chain_buffer(probe->context, certificate.data,
                                                  (long)certificate.len) != WOLFSSL_SUCCESS ||
         wolfSSL_CTX_use_PrivateKey_buffer(probe->context, key.data, (long)key.len,
                                           WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS))
        return -1;
    probe->wolf = wolfSSL_new(probe->context);
    return probe->wolf != NULL &&
                   wolfSSL_UseALPN(probe->wolf, protocol, sizeof protocol - 1,
                                   WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) == WOLFSSL_SUCCESS &&
                   wolfSSL_set_fd(probe->wolf, fd) == WOLFSSL_SUCCESS
               ? 0
               : -1;
}

struct tls_probe *tls_probe_new(int fd, struct tls_pem certificate, struct tls_pem key) {
    struct tls_probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL)
        return NULL;
    if (set_up(probe, fd, certificate, key) != 0) {
        tls_probe_free(probe);
        return NULL;
    }
    return probe;
}

static enum tls_status status_of(struct tls_probe *probe, int result) {
    switch (wolfSSL_get_error(probe->wolf, result)) {
    case WOLFSSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case WOLFSSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case WOLFSSL_ERROR_ZERO_RETURN:
    case SOCKET_PEER_CLOSED_E:
        return TLS_EOF;
    default:
        return TLS_FAILED;
    }
}

static int clamp(size_t size) {
    return size > INT_MAX ? INT_MAX : (int)size;
}

enum tls_status tls_probe_handshake(struct tls_probe *probe) {
    int result = wolfSSL_connect(probe->wolf);
    return result == WOLFSSL_SUCCESS ? TLS_OK : status_of(probe, result);
}

enum tls_status tls_probe_write(struct tls_probe *probe, const void *buffer, size_t size,
                                size_t *put) {
    int result = wolfSSL_write(probe->wolf, buffer, clamp(size));
    *put = result > 0 ? (size_t)result : 0;
    return result > 0 ? TLS_OK : status_of(probe, result);
}

enum tls_status tls_probe_read(struct tls_probe *probe, void *buffer, size_t size, size_t *got) {
    int result = wolfSSL_read(probe->wolf, buffer, clamp(size));
    *got = result > 0 ? (size_t)result : 0;
    return result > 0 ? TLS_OK : status_of(probe, result);
}

const char *tls_probe_alert(struct tls_probe *probe) {
    WOLFSSL_ALERT_HISTORY history = {0};
    if (wolfSSL_get_alert_history(probe->wolf, &history) != WOLFSSL_SUCCESS ||
        history.last_rx.code <= 0)
        return NULL;
    return tls_alert_name(history.last_rx.code);
}
