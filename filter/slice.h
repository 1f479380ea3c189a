/* A run of bytes somebody else owns: how everything from the wire is passed about. */
#ifndef DIND_PROXY_FILTER_SLICE_H
#define DIND_PROXY_FILTER_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Not NUL-terminated; `data` may be NULL when `len` is 0. Valid as long as the memory it points
 * into, which every function that returns one names. */
struct slice {
    const char *data;
    size_t len;
};

/* A slice over a string literal. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
/* The two arguments of printf's "%.*s"; only for slices known to be shorter than INT_MAX. */
#define SLICE_ARGS(s) (int)(s).len, ((s).data ? (s).data : "")

static inline struct slice slice_of(const char *data, size_t len) {
    return (struct slice){data, len};
}

static inline struct slice slice_from_string(const char *string) {
    return (struct slice){string, strlen(string)};
}

static inline bool slice_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

static inline bool slice_ends_with(struct slice s, struct slice suffix) {
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.data + s.len - suffix.len, suffix.data, suffix.len) == 0);
}

/* Where `c` first stands; s.len if it does not. */
static inline size_t slice_index(struct slice s, char c) {
    const char *at = s.len > 0 ? memchr(s.data, c, s.len) : NULL;
    return at != NULL ? (size_t)(at - s.data) : s.len;
}

/* The bytes from `start` (at most s.len) to the end. */
static inline struct slice slice_from(struct slice s, size_t start) {
    return start >= s.len ? (struct slice){NULL, 0} : (struct slice){s.data + start, s.len - start};
}

/* The first `len` bytes (at most all). */
static inline struct slice slice_first(struct slice s, size_t len) {
    return (struct slice){s.data, len < s.len ? len : s.len};
}

static inline bool slice_is_one_of(struct slice s, const struct slice *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (slice_equal(s, list[i]))
            return true;
    return false;
}

static inline bool slice_is_ascii(struct slice s) {
    unsigned char seen = 0;
    for (size_t i = 0; i < s.len; i++)
        seen |= (unsigned char)s.data[i];
    return seen < 0x80;
}

/* ASCII-only and independent of the locale, as HTTP wants (RFC 9110 section 5.1). */
static inline char slice_ascii_lower(char c) {
    return (c >= 'A' && c <= 'Z') ? (char)(c - 'A' + 'a') : c;
}

static inline bool slice_equal_ignoring_case(struct slice a, struct slice b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (slice_ascii_lower(a.data[i]) != slice_ascii_lower(b.data[i]))
            return false;
    return true;
}

/* Without leading and trailing SP and HTAB: HTTP's optional white space (RFC 9110 section 5.6.3).
 */
static inline struct slice slice_trim(struct slice s) {
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

#endif
