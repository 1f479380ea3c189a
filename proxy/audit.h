/* The audit log: JSON lines of a fixed schema (proxy/audit.md) for machines to keep.
 *
 * It goes to a file or descriptor of its own, through a line_sink: a full disk or a reader that
 * stalls costs lines, never time. The next line that gets through says how many ("dropped"). */
#ifndef DIND_PROXY_PROXY_AUDIT_H
#define DIND_PROXY_PROXY_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/config.h"
#include "proxy/error.h"
#include "proxy/log_record.h"

enum { AUDIT_SCHEMA = 1 };

/* Opens what `target` names: "stderr", "stdout", "fd:N", or a file, to which is appended; a FIFO
 * needs no reader yet. `mode` is told in every line. NULL as `target`: there is no audit log. 0, or
 * -1 with `error`. */
int audit_open(const char *target, enum config_mode mode, struct error *error);

/* Starts and ends the writing thread. audit_stop writes out what there is, as far as that is taken
 * within a second; when no attached thread writes lines any more. audit_start returns 0 or -1 with
 * errno. */
int audit_start(void);
void audit_stop(void);

/* Waits, for a moment at most, until every line that was ended is written, so that those to come
 * are behind it. */
void audit_settle(void);

/* Gives the calling thread its ring. 0, or -1 when memory is out. */
int audit_attach(void);

/* Opens the file anew, which may have been moved away; descriptors stay. 0, or -1 with `error`,
 * lines going on to where they went. */
int audit_reopen(struct error *error);

/* Whether there is an audit log: if not, nobody needs to begin a line. */
bool audit_enabled(void);

uint64_t audit_dropped(void);

const char *audit_mode_name(enum config_mode mode);

/* A line, which must be ended: begins with schema, time, event and mode; log_slice and the like add
 * to it. */
void audit_begin(struct log_record *record, enum log_level level, const char *event);
void audit_end(struct log_record *record);

#endif
