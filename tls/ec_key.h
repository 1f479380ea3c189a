/* Private keys on the curve P-256: made, read, written as PEM, used to sign. */
#ifndef DIND_PROXY_TLS_EC_KEY_H
#define DIND_PROXY_TLS_EC_KEY_H

#include <stddef.h>

enum {
    TLS_EC_POINT = 65,     /* an uncompressed public point (SEC 1 section 2.3.3) */
    TLS_EC_SIGNATURE = 80, /* room for an ECDSA-Sig-Value in DER (RFC 3279 section 2.2.3) */
    TLS_EC_DIGEST = 32,    /* SHA-256 */
    TLS_EC_PEM = 512,      /* room for a key in PEM form, its NUL included */
};

struct tls_ec_key;

/* A new random key; NULL when memory or randomness is out. */
struct tls_ec_key *tls_ec_key_generate(void);

/* The first private key of a PEM text, which may be PKCS #8 or "EC PRIVATE KEY"; NULL if that is
 * not a sound, unencrypted key on P-256. Its public half is computed, never taken from the file. */
struct tls_ec_key *tls_ec_key_read(const unsigned char *pem, size_t len);

/* Wipes and frees; NULL is fine. */
void tls_ec_key_free(struct tls_ec_key *key);

/* Writes PKCS #8 (RFC 5208) in PEM form, NUL-terminated. Its length, or -1. The caller wipes it. */
int tls_ec_key_write(struct tls_ec_key *key, char pem[TLS_EC_PEM]);

/* The public point. 0 or -1. */
int tls_ec_key_point(struct tls_ec_key *key, unsigned char point[TLS_EC_POINT]);

/* ECDSA over a SHA-256 digest, in DER. `*len` is set. 0 or -1. */
int tls_ec_key_sign(struct tls_ec_key *key, const unsigned char digest[TLS_EC_DIGEST],
                    unsigned char signature[TLS_EC_SIGNATURE], size_t *len);

#endif
