/* What we read from a certificate ourselves: its name, its dates, and for whom it speaks. */
#ifndef DIND_PROXY_TLS_CERTIFICATE_H
#define DIND_PROXY_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Longer common names are cut; X.520 allows 64 characters. */
enum { TLS_COMMON_NAME_MAX = 255 };

struct tls_certificate_facts {
    char common_name[TLS_COMMON_NAME_MAX + 1]; /* empty: none */
    time_t not_before;
    time_t not_after;
    bool is_authority; /* basic constraints say CA:TRUE */
    bool name_matches; /* of the `server_name` asked for; true when that was NULL */
};

/* Decodes a DER certificate without verifying it. A NUL within the common name makes it malformed:
 * such a name reads differently to different programs. 0, or wolfSSL's (negative) error code. */
int tls_certificate_read(const unsigned char *der, size_t len, const char *server_name,
                         struct tls_certificate_facts *facts);

/* The same of the first certificate in PEM text. */
int tls_certificate_read_pem(const unsigned char *pem, size_t len,
                             struct tls_certificate_facts *facts);

/* One of the dates of a certificate, from its DER. 0, or a (negative) error code. */
int tls_certificate_date(const unsigned char *der, int der_len, time_t *when);

/* The subject alternative names of a DER certificate that are text, or addresses as text: DNS
 * names, URIs, mail addresses, IP addresses. Each ends with a NUL; `*size` counts them all. In
 * memory to be freed; NULL with `*size` 0 if there are none. 0, or a (negative) error code; one
 * with a NUL in a name, or with more names than tls.h allows, is malformed: what is only partly
 * known might be taken for somebody else. */
int tls_certificate_alt_names(const unsigned char *der, size_t len, char **names, size_t *size);

/* Whether every certificate of a NUL-terminated PEM bundle belongs to a CA: wolfSSL would let the
 * owner of any other one issue certificates too. 0, or a (negative) error code. */
int tls_certificate_check_authorities(const char *pem);

#endif
