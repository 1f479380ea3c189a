/* Log lines on standard error, one event a line, as key=value or JSON.
 *
 * A worker must not wait for whoever reads the log: lines go through a line_sink. Those that it
 * drops are counted, and a line of its own says how many. */
#ifndef DIND_PROXY_PROXY_LOG_H
#define DIND_PROXY_PROXY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/log_record.h"

/* Before any thread starts; until then lines are written directly, as key=value. Where standard
 * error is the service manager's journal, lines begin with their priority. */
void log_configure(enum log_level level, bool json);

/* Starts and ends the writing thread. log_stop writes out all that the rings hold, as far as that
 * is read within a second; call it when no attached thread logs any more. log_start returns 0 or -1
 * with errno. */
int log_start(void);
void log_stop(void);

/* Gives the calling thread its ring. 0, or -1 when memory is out: its lines are written directly.
 */
int log_attach(void);

/* How many lines were dropped so far. Any thread. */
uint64_t log_dropped(void);

bool log_enabled(enum log_level level);

/* A line of this log begins with its time, level and event; log_slice and the like add to it. */
void log_begin(struct log_record *record, enum log_level level, const char *event);
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
