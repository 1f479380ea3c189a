/* Whether a name in a certificate covers the host that was meant (RFC 9525). */
#ifndef DIND_PROXY_TLS_NAME_MATCH_H
#define DIND_PROXY_TLS_NAME_MATCH_H

#include <stdbool.h>
#include <stddef.h>

/* A DNS name from a certificate against a host name: ASCII case is ignored, so is one dot at the
 * host's end; '*' counts only as the whole left-most label, for exactly one label, and only above
 * at least two others. */
bool tls_name_matches_dns(const char *pattern, size_t pattern_len, const char *host);

/* An iPAddress entry (4 or 16 bytes, RFC 5280 section 4.2.1.6) against an address in text. */
bool tls_name_matches_address(const unsigned char *entry, size_t entry_len, const char *host);

/* An IPv4 or IPv6 address in text, without brackets. */
bool tls_name_is_address(const char *host);

#endif
