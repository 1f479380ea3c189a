/* Percent-encoding (RFC 3986 section 2.1): one escape at a time. */
#ifndef DIND_PROXY_FILTER_PERCENT_H
#define DIND_PROXY_FILTER_PERCENT_H

#include <stddef.h>

#include "filter/ascii.h"
#include "filter/slice.h"

/* The byte that the escape starting at s.data[at] (a '%') stands for, 0 to 255, or -1 if it is cut
 * short or has other than two hexadecimal digits. */
static inline int percent_decode_at(struct slice s, size_t at) {
    if (at >= s.len || s.len - at < 3)
        return -1;
    int high = ascii_hex_value(s.data[at + 1]);
    int low = ascii_hex_value(s.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

#endif
