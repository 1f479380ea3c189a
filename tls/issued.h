/* Looks at a certificate that was issued earlier: is it what would be issued today? */
#ifndef DIND_PROXY_TLS_ISSUED_H
#define DIND_PROXY_TLS_ISSUED_H

#include <stddef.h>
#include <time.h>

#include "tls/issue.h"

enum tls_fitness {
    TLS_FIT,
    TLS_UNFIT_DAMAGED, /* no certificate can be read */
    TLS_UNFIT_ISSUER,  /* not signed by that CA's key */
    TLS_UNFIT_KEY,     /* made out for another key */
    TLS_UNFIT_ROLE,    /* a CA where none is wanted or the other way round, or another usage */
    TLS_UNFIT_NAMES,   /* another common name or other subject alternative names */
    TLS_UNFIT_EARLY,   /* not valid yet */
    TLS_UNFIT_EXPIRED,
};

/* Such as "it has expired"; static. */
const char *tls_fitness_text(enum tls_fitness fitness);

enum { TLS_ISSUED_NAME = 256 };

struct tls_issued {
    char common_name[TLS_ISSUE_NAME_MAX + 1]; /* empty where there is none, or a longer one */
    char issuer_name[TLS_ISSUED_NAME]; /* its common name where that is all; else as in "/O=a/CN=b"
                                        */
    time_t not_before;
    time_t not_after;
};

/* Reads the first certificate of a PEM text. 0, or -1 if there is none that can be read. */
int tls_issued_read(const unsigned char *pem, size_t len, struct tls_issued *issued);

/* Compares it with what `wanted` says (its dates aside): the first thing that is wrong, in the
 * order of the enum. Its public key must be `point`; it must be signed by the key `authority` with
 * ECDSA and SHA-256. Alternative names are compared as sets. */
enum tls_fitness tls_issued_check(const unsigned char *pem, size_t len,
                                  const struct tls_subject *wanted,
                                  const unsigned char point[TLS_EC_POINT],
                                  const unsigned char authority[TLS_EC_POINT], time_t now);

/* The public key of the first certificate of a PEM text, if that is on P-256. 0 or -1. */
int tls_issued_point(const unsigned char *pem, size_t len, unsigned char point[TLS_EC_POINT]);

#endif
