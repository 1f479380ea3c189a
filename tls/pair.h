/* Certificates and keys of any kind that others have made: do they belong together? */
#ifndef DIND_PROXY_TLS_PAIR_H
#define DIND_PROXY_TLS_PAIR_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/reason.h"

/* Texts in PEM form; `key` must be unencrypted. */
struct tls_pem {
    const unsigned char *data;
    size_t len;
};

/* Whether `key` is the private key of the first certificate in `certificate`; false too where one
 * of them cannot be read. */
bool tls_pair_matches(struct tls_pem certificate, struct tls_pem key);

/* Whether the first certificate chains to a CA of `authority` today. 0, or -1 with `error` filled
 * by a sentence whose subject is the certificate. */
int tls_pair_verify(struct tls_pem authority, struct tls_pem certificate, struct tls_error *error);

/* Whether the first certificate is valid for this DNS name or IP address by its subject alternative
 * names; false too where it cannot be read. */
bool tls_pair_covers(struct tls_pem certificate, const char *host);

#endif
