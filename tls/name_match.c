#include "tls/name_match.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* Writes 4 or 16 bytes and returns how many; 0 when the text is no address. */
static size_t parse_address(const char *host, unsigned char out[16]) {
    if (inet_pton(AF_INET, host, out) == 1)
        return 4;
    if (inet_pton(AF_INET6, host, out) == 1)
        return 16;
    return 0;
}

bool tls_name_is_address(const char *host) {
    unsigned char bytes[16];
    return parse_address(host, bytes) != 0;
}

bool tls_name_matches_address(const unsigned char *entry, size_t entry_len, const char *host) {
    unsigned char bytes[16];
    size_t len = parse_address(host, bytes);
    return len != 0 && len == entry_len && memcmp(bytes, entry, len) == 0;
}

bool tls_name_matches_dns(const char *pattern, size_t pattern_len, const char *host) {
    size_t host_len = strlen(host);
    if (host_len > 0 && host[host_len - 1] == '.')
        host_len--;
    if (host_len == 0 || pattern_len == 0 || memchr(pattern, '\0', pattern_len) != NULL ||
        memchr(host, '*', host_len) != NULL)
        return false;
    if (pattern_len > 2 && pattern[0] == '*' && pattern[1] == '.') {
        const char *dot = memchr(host, '.', host_len);
        if (dot == NULL || dot == host || memchr(pattern + 2, '.', pattern_len - 2) == NULL)
            return false;
        host_len -= (size_t)(dot - host);
        host = dot;
        pattern++;
        pattern_len--;
    }
    /* A star anywhere else is an ordinary byte, which no host name has. */
    return pattern_len == host_len && strncasecmp(pattern, host, host_len) == 0;
}
