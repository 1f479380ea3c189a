/* Classes of ASCII characters, whatever the locale says. */
#ifndef DIND_PROXY_FILTER_ASCII_H
#define DIND_PROXY_FILTER_ASCII_H

#include <stdbool.h>

static inline bool ascii_is_digit(char c) {
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || ascii_is_digit(c);
}

/* What a hexadecimal digit stands for, 0 to 15; -1 if it is none. */
static inline int ascii_hex_value(char c) {
    if (ascii_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

#endif
