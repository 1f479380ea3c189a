#include "proxy/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/journal.h"
#include "proxy/line_sink.h"

enum { STOP_MS = 1000 }; /* how long the last lines may take to be read by whoever reads the log */

static void report_lost(uint64_t lines);

static struct {
    enum log_level level;
    bool json;
    bool journal;
} state = {.level = LOG_INFO};

static struct line_sink sink = {
    .slot = LINE_SINK_LOG, .fd = STDERR_FILENO, .lost = report_lost, .next_fd = -1};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_configure(enum log_level level, bool json) {
    state.level = level;
    state.json = json;
    state.journal = journal_is(STDERR_FILENO, getenv("JOURNAL_STREAM"));
}

bool log_enabled(enum log_level level) {
    return level >= state.level;
}

/* By the writer, which has no ring: at once. */
static void report_lost(uint64_t lines) {
    log_message(LOG_WARNING, "log",
                "%llu lines were dropped: standard error is not read fast enough",
                (unsigned long long)lines);
}

int log_start(void) {
    return line_sink_start(&sink);
}

void log_stop(void) {
    (void)line_sink_stop(&sink, STOP_MS);
}

int log_attach(void) {
    return line_sink_attach(&sink);
}

uint64_t log_dropped(void) {
    return line_sink_dropped(&sink);
}

void log_begin(struct log_record *record, enum log_level level, const char *event) {
    log_record_start(record, level, state.json, state.journal);
    log_slice(record, "time", log_record_now());
    log_string(record, "level", level_names[level]);
    log_string(record, "event", event);
}

void log_end(struct log_record *record) {
    if (!log_enabled(record->level))
        return;
    log_record_close(record);
    (void)line_sink_put(&sink, record->text, record->len);
}

bool log_limit_pass(struct log_limit *limit, uint64_t now, uint64_t *suppressed) {
    if (limit->second != now / 1000) {
        limit->second = now / 1000;
        limit->lines = 0;
    }
    if (limit->lines >= LOG_LIMIT_LINES) {
        limit->suppressed++;
        return false;
    }
    limit->lines++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}

void log_message(enum log_level level, const char *event, const char *format, ...) {
    if (!log_enabled(level))
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct log_record record;
    log_begin(&record, level, event);
    log_slice(&record, "message", log_shorten(slice_from_string(text)));
    log_end(&record);
}
