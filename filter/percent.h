/* Percent-encoding (RFC 3986 section 2.1): one escape at a time. */
#ifndef DIND_PROXY_FILTER_PERCENT_H
#define DIND_PROXY_FILTER_PERCENT_H

#include <stddef.h>

#include "filter/slice.h"

static inline int percent_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that the escape starting at s.data[at] (a '%') stands for, 0 to 255, or -1 if it is cut
 * short or has other than two hexadecimal digits. */
static inline int percent_decode_at(struct slice s, size_t at) {
    if (at >= s.len || s.len - at < 3)
        return -1;
    int high = percent_hex_digit(s.data[at + 1]);
    int low = percent_hex_digit(s.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

#endif
