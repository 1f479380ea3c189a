/* Issues X.509 certificates (RFC 5280) for keys on P-256: CAs, servers, clients. */
#ifndef DIND_PROXY_TLS_ISSUE_H
#define DIND_PROXY_TLS_ISSUE_H

#include <stddef.h>
#include <time.h>

#include "tls/alt_name.h"
#include "tls/ec_key.h"

enum tls_role {
    TLS_ROLE_AUTHORITY, /* CA:TRUE, pathlen 0; signs certificates and nothing else */
    TLS_ROLE_SERVER,    /* extended key usage serverAuth */
    TLS_ROLE_CLIENT,    /* extended key usage clientAuth */
};

enum {
    TLS_ISSUE_PEM = 16 << 10, /* room for a certificate in PEM form, its NUL included */
    TLS_ISSUE_NAME_MAX = 64,  /* bytes of a common name (X.520's ub-common-name) */
};

struct tls_subject {
    enum tls_role role;
    const char *common_name; /* UTF-8, 1 to TLS_ISSUE_NAME_MAX bytes */
    const struct tls_alt_name *names;
    size_t name_count;
    time_t not_before;
    time_t not_after;
};

struct tls_issuer {
    const unsigned char *certificate; /* PEM, NUL-terminated */
    size_t certificate_len;
    struct tls_ec_key *key;
};

/* Writes a version 3 certificate for `key`'s public half, NUL-terminated, with a random serial
 * number of 126 random bits, signed with ECDSA and SHA-256 by `issuer`, or by `key` itself where
 * that is NULL. The caller has seen to it that the issuer's certificate and key belong together.
 * The length of the PEM text, or -1. */
int tls_issue(const struct tls_subject *subject, struct tls_ec_key *key,
              const struct tls_issuer *issuer, char pem[TLS_ISSUE_PEM]);

#endif
