/* Subject alternative names (RFC 5280 section 4.2.1.6): whom a server's certificate is made out to.
 */
#ifndef DIND_PROXY_TLS_ALT_NAME_H
#define DIND_PROXY_TLS_ALT_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/der.h"

enum { TLS_ALT_NAME_TEXT = 254 }; /* 253 characters (RFC 1035 section 2.3.4) and a NUL */

struct tls_alt_name {
    char text[TLS_ALT_NAME_TEXT]; /* a host name, or an address in its shortest form */
    unsigned char address[16];
    size_t address_len; /* 4, 16, or 0 for a host name */
};

/* Reads "DNS:name", "IP:address" as openssl and DOCKER_TLS_SAN have it, or the bare name or
 * address. A host name may begin with "*."; letters become small. False if it is none of these. */
bool tls_alt_name_read(const char *text, struct tls_alt_name *name);

bool tls_alt_name_equal(const struct tls_alt_name *a, const struct tls_alt_name *b);

/* "DNS:name" or "IP:address"; returns `text`. */
const char *tls_alt_name_format(const struct tls_alt_name *name, char *text, size_t size);

/* Puts it in front as a GeneralName. */
void tls_alt_name_encode(const struct tls_alt_name *name, struct tls_der *der);

#endif
