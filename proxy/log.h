/* Log lines on standard error, one event a line, as key=value or JSON.
 *
 * A worker must not wait for whoever reads the log: attached threads put their lines into a ring of
 * their own, without locks, and the log's own thread writes them out. When a ring is full its lines
 * are dropped and counted, and a line of its own says how many. */
#ifndef DIND_PROXY_PROXY_LOG_H
#define DIND_PROXY_PROXY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* Before any thread starts; until then lines are written directly, as key=value. */
void log_configure(enum log_level level, bool json);

/* Starts and ends the writing thread. log_stop writes out all that the rings hold, as far as that
 * is read within a second; call it when no attached thread logs any more. log_start returns 0 or -1
 * with errno. */
int log_start(void);
void log_stop(void);

/* Gives the calling thread its ring. 0, or -1 when memory is out: its lines are written directly.
 */
int log_attach(void);

bool log_enabled(enum log_level level);

/* One line under construction. Fields that no longer fit are left out whole. */
struct log_record {
    enum log_level level;
    size_t len;
    char text[4096];
};

void log_begin(struct log_record *record, enum log_level level, const char *event);
/* Bytes from anywhere: quoted where needed; what is not printable ASCII is escaped as \u00XX. */
void log_slice(struct log_record *record, const char *key, struct slice value);
void log_string(struct log_record *record, const char *key, const char *value);
void log_number(struct log_record *record, const char *key, uint64_t value);
void log_end(struct log_record *record);

/* Keeps whoever causes lines from flooding the log: at most LOG_LIMIT_LINES a second pass.
 * Zero-initialised is ready for use. */
enum { LOG_LIMIT_LINES = 100 };
struct log_limit {
    uint64_t second;
    uint64_t suppressed;
    unsigned lines;
};

/* True if a line may be written at `now` (milliseconds); `*suppressed` is then how many were not
 * since the last one that was. */
bool log_limit_pass(struct log_limit *limit, uint64_t now, uint64_t *suppressed);

/* A line with a message and nothing else. */
__attribute__((format(printf, 3, 4))) void log_message(enum log_level level, const char *event,
                                                       const char *format, ...);

#endif
