/* The kinds of option values: how each is read from text and written back. */
#ifndef DIND_PROXY_PROXY_OPTION_VALUE_H
#define DIND_PROXY_PROXY_OPTION_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/option_table.h"

extern const struct option_kind option_kind_switch;   /* bool */
extern const struct option_kind option_kind_file;     /* char * */
extern const struct option_kind option_kind_name;     /* char * */
extern const struct option_kind option_kind_text;     /* char *: no control bytes, valid UTF-8 */
extern const struct option_kind option_kind_choice;   /* an enum or int */
extern const struct option_kind option_kind_count;    /* unsigned */
extern const struct option_kind option_kind_workers;  /* unsigned; no default but the machine's */
extern const struct option_kind option_kind_size;     /* size_t, bytes; suffix k or m */
extern const struct option_kind option_kind_duration; /* unsigned, ms; unit ms, s, m or h */
extern const struct option_kind option_kind_floor;    /* unsigned: the N of API version 1.N */
extern const struct option_kind option_kind_bind;     /* adds to bind_strings */
extern const struct option_kind option_kind_listen;   /* adds to listeners (option_listen.c) */
extern const struct option_kind option_kind_metrics;  /* metrics, metrics_on (option_listen.c) */
extern const struct option_kind option_kind_upstream; /* struct address (option_listen.c) */

/* Where the value of an option stands. */
static inline void *option_field(const struct option *option, struct options *options) {
    return (char *)&options->config + option->field;
}
static inline const void *option_field_const(const struct option *option,
                                             const struct options *options) {
    return (const char *)&options->config + option->field;
}

/* Decimal digits only, at most `maximum`. */
bool option_read_number(const char *text, uint64_t maximum, uint64_t *number);

/* "10s", "250ms", "15m", "2h", "0"; in milliseconds. */
bool option_read_duration(const char *text, uint64_t *milliseconds);

/* "65536", "64k", "4m"; in bytes. */
bool option_read_size(const char *text, uint64_t *bytes);

#endif
