#include "proxy/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/journal.h"
#include "proxy/line_sink.h"
#include "proxy/log.h"
#include "proxy/option_value.h"

enum { STOP_MS = 1000, SETTLE_MS = 250 };

static void report_trouble(int error);

static struct {
    const char *path; /* the file to open anew; NULL: a descriptor, or none */
    enum config_mode mode;
    bool enabled;
    bool journal;
} state;

static struct line_sink sink = {
    .slot = LINE_SINK_AUDIT, .fd = -1, .trouble = report_trouble, .next_fd = -1};

/* By the writer. It must not wait for standard error, so it gets a ring of that log. */
static void report_trouble(int error) {
    static bool attached;
    if (!attached)
        attached = log_attach() == 0;
    if (!attached)
        return;
    if (error == 0)
        log_message(LOG_INFO, "audit", "the audit log can be written again; %llu lines were lost",
                    (unsigned long long)line_sink_dropped(&sink));
    else
        log_message(LOG_ERROR, "audit",
                    "the audit log cannot be written (%s): lines are kept as far as there is room, "
                    "and then lost",
                    strerror(error));
}

/* Non-blocking is only opening it: the writer asks before it writes. */
static int open_file(const char *path, struct error *error) {
    enum { FLAGS = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK };
    struct stat status;
    int fd = open(path, O_WRONLY | FLAGS, 0640);
    /* A FIFO that nobody reads yet (fifo(7)): with an end of our own it takes what there is room
     * for, until somebody does. */
    if (fd < 0 && errno == ENXIO)
        fd = open(path, O_RDWR | FLAGS, 0640);
    if (fd < 0)
        return error_set(error, "%s: %s", path,
                         errno == ELOOP ? "a symbolic link is not followed" : strerror(errno));
    if (fstat(fd, &status) == 0 && !S_ISBLK(status.st_mode))
        return fd;
    close(fd);
    return error_set(error, "%s: a block device is no log", path);
}

/* One that was passed on: must be open for writing, and goes no further. */
static int take_descriptor(int fd, const char *name, struct error *error) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return error_set(error, "%s: %s", name, strerror(errno));
    if ((flags & O_ACCMODE) == O_RDONLY)
        return error_set(error, "%s: not open for writing", name);
    if (fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_set(error, "%s: %s", name, strerror(errno));
    return fd;
}

/* The descriptor that `target` names, or -1 if it names a file. */
static int descriptor_of(const char *target) {
    uint64_t number = 0;
    if (strcmp(target, "stderr") == 0)
        return STDERR_FILENO;
    if (strcmp(target, "stdout") == 0)
        return STDOUT_FILENO;
    if (strncmp(target, "fd:", 3) == 0 && option_read_number(target + 3, INT32_MAX, &number))
        return (int)number;
    return -1;
}

int audit_open(const char *target, enum config_mode mode, struct error *error) {
    struct error detail = {""};
    state.mode = mode;
    state.enabled = false;
    state.path = NULL;
    if (target == NULL)
        return 0;
    int fd = descriptor_of(target);
    if (fd < 0)
        state.path = target;
    fd = fd < 0 ? open_file(target, &detail) : take_descriptor(fd, target, &detail);
    if (fd < 0)
        return error_set(error, "--audit-log %s", detail.text);
    sink.fd = fd;
    state.journal = journal_is(fd, getenv("JOURNAL_STREAM"));
    state.enabled = true;
    return 0;
}

int audit_start(void) {
    return state.enabled ? line_sink_start(&sink) : 0;
}

void audit_stop(void) {
    if (!state.enabled)
        return;
    bool all = line_sink_stop(&sink, STOP_MS);
    state.enabled = false;
    if (!all)
        log_message(LOG_WARNING, "audit", "the last lines of the audit log could not be written");
    else if (sink.fd > STDERR_FILENO)
        close(sink.fd);
}

void audit_settle(void) {
    if (state.enabled)
        (void)line_sink_settle(&sink, SETTLE_MS);
}

int audit_attach(void) {
    return state.enabled ? line_sink_attach(&sink) : 0;
}

int audit_reopen(struct error *error) {
    struct error detail = {""};
    if (!state.enabled || state.path == NULL)
        return 0;
    int fd = open_file(state.path, &detail);
    if (fd < 0)
        return error_set(error, "--audit-log %s", detail.text);
    line_sink_redirect(&sink, fd);
    return 0;
}

bool audit_enabled(void) {
    return state.enabled;
}

uint64_t audit_dropped(void) {
    return line_sink_dropped(&sink);
}

const char *audit_mode_name(enum config_mode mode) {
    static const char *const names[] = {
        [CONFIG_ENFORCE] = "enforce", [CONFIG_AUDIT] = "audit", [CONFIG_LEARN] = "learn"};
    return names[mode];
}

void audit_begin(struct log_record *record, enum log_level level, const char *event) {
    log_record_start(record, level, true, state.journal);
    log_number(record, "schema", AUDIT_SCHEMA);
    log_slice(record, "time", log_record_now());
    log_string(record, "event", event);
    log_string(record, "mode", audit_mode_name(state.mode));
    record->dropped = line_sink_untold(&sink);
    if (record->dropped > 0)
        log_number(record, "dropped", record->dropped);
}

void audit_end(struct log_record *record) {
    if (!state.enabled)
        return;
    log_record_close(record);
    if (!line_sink_put(&sink, record->text, record->len) && record->dropped > 0)
        line_sink_untell(&sink, record->dropped);
}
