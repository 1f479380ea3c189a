/* Writes DER (ITU-T X.690) from the end of a buffer to its front, so that every length is known
 * when its header is written. Once something did not fit, nothing more is written and `failed` is
 * set. */
#ifndef DIND_PROXY_TLS_DER_H
#define DIND_PROXY_TLS_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum tls_der_tag {
    TLS_DER_BOOLEAN = 0x01,
    TLS_DER_INTEGER = 0x02,
    TLS_DER_BIT_STRING = 0x03,
    TLS_DER_OCTET_STRING = 0x04,
    TLS_DER_OID = 0x06,
    TLS_DER_UTF8_STRING = 0x0c,
    TLS_DER_UTC_TIME = 0x17,
    TLS_DER_GENERALIZED_TIME = 0x18,
    TLS_DER_SEQUENCE = 0x30,
    TLS_DER_SET = 0x31,
    TLS_DER_CONTEXT = 0x80,             /* plus the number; implicit and primitive */
    TLS_DER_CONTEXT_CONSTRUCTED = 0xa0, /* plus the number; explicit */
};

struct tls_der {
    unsigned char *bytes; /* borrowed */
    size_t at;            /* what has been written begins here */
    bool failed;
};

/* Puts bytes in front of what has been written. */
void tls_der_put(struct tls_der *der, const void *bytes, size_t len);
void tls_der_byte(struct tls_der *der, unsigned char byte);

/* Puts a tag and a length in front, for all that has been written since `at` was `end`. */
void tls_der_wrap(struct tls_der *der, unsigned char tag, size_t end);

/* A primitive value with its tag and length. */
void tls_der_value(struct tls_der *der, unsigned char tag, const void *bytes, size_t len);

/* UTCTime for the years up to 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5). Years
 * after 9999 fail. */
void tls_der_time(struct tls_der *der, time_t when);

#endif
