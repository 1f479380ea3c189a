/* Error sentences: from wolfSSL's numbers and TLS alerts to people's language. */
#ifndef DIND_PROXY_TLS_REASON_H
#define DIND_PROXY_TLS_REASON_H

#include "tls/tls.h"

/* Fills `error` (cut to fit; NULL is fine) and returns -1. */
__attribute__((format(printf, 2, 3))) int tls_error_set(struct tls_error *error, const char *format,
                                                        ...);

/* What a wolfSSL error code means, such as "its certificate has expired", or NULL where the table
 * has nothing. Static. The sentence's subject is the peer's certificate or the peer. */
const char *tls_reason_for_code(int code);

/* wolfSSL's own short text for a code; static. */
const char *tls_library_reason(int code);

/* The name RFC 8446 section 6 gives an alert, such as "unknown_ca", or NULL. Static. */
const char *tls_alert_name(int alert);

#endif
