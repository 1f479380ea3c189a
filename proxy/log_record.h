/* One line of a log under construction: key=value or JSON, all on one line. */
#ifndef DIND_PROXY_PROXY_LOG_RECORD_H
#define DIND_PROXY_PROXY_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

enum {
    LOG_LINE = 4096,  /* bytes of a line, its end included: what a pipe takes as one (PIPE_BUF) */
    LOG_VALUE = 2048, /* of it, for a value that may be long */
};

/* Fields that no longer fit are left out whole. */
struct log_record {
    enum log_level level;
    bool json;
    size_t start;     /* bytes in front of the first field */
    uint64_t dropped; /* lines that this one tells were dropped */
    size_t len;
    char text[LOG_LINE];
};

/* Begins an empty line; with `journal` by its priority as the journal reads it (sd-daemon(3)). */
void log_record_start(struct log_record *record, enum log_level level, bool json, bool journal);

/* Now, in UTC, as RFC 3339 has it with milliseconds; empty if there is no clock. Lives until the
 * thread's next call. */
struct slice log_record_now(void);

/* Bytes from anywhere: quoted where needed; what is not printable ASCII is escaped as \u00XX. */
void log_slice(struct log_record *record, const char *key, struct slice value);
void log_string(struct log_record *record, const char *key, const char *value);
void log_number(struct log_record *record, const char *key, uint64_t value);

/* As many whole characters of `value`, which is UTF-8, as log_slice puts into LOG_VALUE bytes. */
struct slice log_shorten(struct slice value);

/* Ends the line; `text` and `len` are then what is to be written. */
void log_record_close(struct log_record *record);

#endif
