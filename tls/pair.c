#include "tls/pair.h"

#include "tls/certificate.h"
#include "tls/wolf.h"

static void free_context(WOLFSSL_CTX **context) {
    wolfSSL_CTX_free(*context);
}

static void free_manager(WOLFSSL_CERT_MANAGER **manager) {
    wolfSSL_CertManagerFree(*manager);
}

bool tls_pair_matches(struct tls_pem certificate, struct tls_pem key) {
    __attribute__((cleanup(free_context))) WOLFSSL_CTX *context =
        wolfSSL_CTX_new(wolfSSLv23_client_method());
    return context != NULL &&
           wolfSSL_CTX_use_certificate_buffer(context, certificate.data, (long)certificate.len,
                                              WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_use_PrivateKey_buffer(context, key.data, (long)key.len,
                                             WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_check_private_key(context) == WOLFSSL_SUCCESS;
}

int tls_pair_verify(struct tls_pem authority, struct tls_pem certificate, struct tls_error *error) {
    __attribute__((cleanup(free_manager))) WOLFSSL_CERT_MANAGER *manager = wolfSSL_CertManagerNew();
    int code = manager == NULL
                   ? MEMORY_E
                   : wolfSSL_CertManagerLoadCABuffer(manager, authority.data, (long)authority.len,
                                                     WOLFSSL_FILETYPE_PEM);
    if (code != WOLFSSL_SUCCESS)
        return tls_error_set(error, "its CA cannot be used: %s", tls_library_reason(code));
    code = wolfSSL_CertManagerVerifyBuffer(manager, certificate.data, (long)certificate.len,
                                           WOLFSSL_FILETYPE_PEM);
    if (code == WOLFSSL_SUCCESS)
        return 0;
    const char *reason = tls_reason_for_code(code);
    return tls_error_set(error, "%s", reason != NULL ? reason : tls_library_reason(code));
}

bool tls_pair_covers(struct tls_pem certificate, const char *host) {
    DerBuffer *der = NULL;
    struct tls_certificate_facts facts = {0};
    int code =
        wc_PemToDer(certificate.data, (long)certificate.len, CERT_TYPE, &der, NULL, NULL, NULL);
    if (code == 0)
        code = tls_certificate_read(der->buffer, der->length, host, &facts);
    wc_FreeDer(&der);
    return code == 0 && facts.name_matches;
}
