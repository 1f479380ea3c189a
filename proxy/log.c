#include "proxy/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    RING_SIZE = 256 * 1024, /* a power of two; per attached thread */
    /* While lines come, the writer looks every few milliseconds rather than being woken for each:
     * that wake-up would be the dearest part of a small request. */
    NAP_NS = 5 * 1000000,
    STOP_SECONDS = 1, /* how long the last lines may take to be read by whoever reads the log */
};

/* Written by one thread, read by the log thread: `head` and `tail` only ever grow. */
struct ring {
    struct ring *next;
    _Atomic size_t head; /* written up to here */
    _Atomic size_t tail; /* read up to here */
    _Atomic uint64_t dropped;
    uint64_t reported;
    char data[RING_SIZE];
};

static struct {
    enum log_level level;
    bool json;
    bool running;
    int wake;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic bool asleep;
    _Atomic(struct ring *) rings;
} state = {.level = LOG_INFO, .wake = -1};

static _Thread_local struct ring *own_ring;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_configure(enum log_level level, bool json) {
    state.level = level;
    state.json = json;
}

bool log_enabled(enum log_level level) {
    return level >= state.level;
}

static void write_all(const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            /* Somebody who shares it made it non-blocking. */
            struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&writable, 1, -1);
            continue;
        }
        if (n <= 0)
            return; /* nobody is left to tell */
        data += n;
        len -= (size_t)n;
    }
}

static void wake_writer(void) {
    if (atomic_exchange(&state.asleep, false)) {
        uint64_t one = 1;
        (void)!write(state.wake, &one, sizeof one);
    }
}

static bool ring_put(struct ring *ring, const char *data, size_t len) {
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (RING_SIZE - (head - tail) < len)
        return false;
    size_t at = head % RING_SIZE;
    size_t first = RING_SIZE - at < len ? RING_SIZE - at : len;
    memcpy(ring->data + at, data, first);
    memcpy(ring->data, data + first, len - first);
    atomic_store(&ring->head, head + len);
    return true;
}

/* True if it wrote anything. */
static bool ring_flush(struct ring *ring) {
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t head = atomic_load(&ring->head);
    uint64_t dropped = atomic_load(&ring->dropped);
    if (dropped != ring->reported) {
        log_message(LOG_WARNING, "log",
                    "%llu lines were dropped: standard error is not read fast enough",
                    (unsigned long long)(dropped - ring->reported));
        ring->reported = dropped;
    }
    if (head == tail)
        return false;
    size_t at = tail % RING_SIZE;
    size_t len = head - tail;
    size_t first = RING_SIZE - at < len ? RING_SIZE - at : len;
    write_all(ring->data + at, first);
    write_all(ring->data, len - first);
    atomic_store_explicit(&ring->tail, head, memory_order_release);
    return true;
}

static bool flush_all(void) {
    bool any = false;
    for (struct ring *ring = atomic_load(&state.rings); ring != NULL; ring = ring->next)
        any |= ring_flush(ring);
    return any;
}

static void *writer(void *unused) {
    (void)unused;
    while (true) {
        bool stopping = atomic_load(&state.stopping);
        if (flush_all()) {
            const struct timespec nap = {.tv_nsec = NAP_NS};
            if (!stopping)
                nanosleep(&nap, NULL);
            continue;
        }
        if (stopping)
            return NULL;
        /* Announce the sleep, then look once more: a line put in between is either seen here or its
         * writer sees the announcement. */
        atomic_store(&state.asleep, true);
        if (flush_all() || atomic_load(&state.stopping)) {
            atomic_store(&state.asleep, false);
            continue;
        }
        uint64_t count;
        (void)!read(state.wake, &count, sizeof count);
    }
}

int log_start(void) {
    state.wake = eventfd(0, EFD_CLOEXEC);
    if (state.wake < 0)
        return -1;
    atomic_store(&state.stopping, false);
    int error = pthread_create(&state.thread, NULL, writer, NULL);
    if (error != 0) {
        close(state.wake);
        errno = error;
        return -1;
    }
    state.running = true;
    return 0;
}

void log_stop(void) {
    if (!state.running)
        return;
    atomic_store(&state.stopping, true);
    uint64_t one = 1;
    (void)!write(state.wake, &one, sizeof one);
    state.running = false;
    own_ring = NULL;
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += STOP_SECONDS;
    /* Nobody reads: the last lines are lost, but the process ends. The thread goes with it. */
    if (pthread_timedjoin_np(state.thread, NULL, &end) != 0)
        return;
    close(state.wake);
    struct ring *ring = atomic_exchange(&state.rings, NULL);
    while (ring != NULL) {
        struct ring *next = ring->next;
        free(ring);
        ring = next;
    }
}

int log_attach(void) {
    struct ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return -1;
    ring->next = atomic_load(&state.rings);
    while (!atomic_compare_exchange_weak(&state.rings, &ring->next, ring))
        ;
    own_ring = ring;
    return 0;
}

/* --- records --- */

enum { RECORD_END = 2 }; /* room kept for "}" and the newline */

static bool put(struct log_record *record, const char *data, size_t len) {
    if (sizeof record->text - RECORD_END - record->len < len)
        return false;
    memcpy(record->text + record->len, data, len);
    record->len += len;
    return true;
}

static bool put_string(struct log_record *record, const char *string) {
    return put(record, string, strlen(string));
}

static bool put_key(struct log_record *record, const char *key) {
    if (!state.json)
        return (record->len == 0 || put(record, " ", 1)) && put_string(record, key) &&
               put(record, "=", 1);
    return put_string(record, record->len == 0 ? "{\"" : ",\"") && put_string(record, key) &&
           put_string(record, "\":");
}

static bool put_quoted(struct log_record *record, struct slice value) {
    bool ok = put(record, "\"", 1);
    for (size_t i = 0; ok && i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = (char)c;
            ok = put(record, escaped, 2);
        } else if (c < 0x20 || c >= 0x7f) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
            ok = put(record, escaped, 6);
        } else {
            ok = put(record, value.data + i, 1);
        }
    }
    return ok && put(record, "\"", 1);
}

static bool is_bare(struct slice value) {
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return value.len > 0;
}

void log_slice(struct log_record *record, const char *key, struct slice value) {
    size_t start = record->len;
    if (!put_key(record, key) ||
        !(!state.json && is_bare(value) ? put(record, value.data, value.len)
                                        : put_quoted(record, value)))
        record->len = start;
}

void log_string(struct log_record *record, const char *key, const char *value) {
    log_slice(record, key, slice_from_string(value));
}

/* The last `digits` decimal digits of `value`, at `text`. */
static void put_digits(char *text, size_t digits, uint64_t value) {
    while (digits-- > 0) {
        text[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

void log_number(struct log_record *record, const char *key, uint64_t value) {
    size_t start = record->len;
    size_t digits = 1;
    for (uint64_t rest = value / 10; rest > 0; rest /= 10)
        digits++;
    char text[20]; /* UINT64_MAX */
    put_digits(text, digits, value);
    if (!put_key(record, key) || !put(record, text, digits))
        record->len = start;
}

/* Now, in UTC, as RFC 3339 has it with milliseconds; empty if there is no clock. All but those are
 * kept for the rest of the second, for they cost as much as the rest of a line. */
static struct slice format_time(void) {
    enum { MS_LEN = sizeof ".999Z" - 1 };
    static _Thread_local struct {
        time_t second;
        size_t len; /* 0 at first */
        char text[40];
    } kept;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return SLICE("");
    if (kept.len == 0 || kept.second != now.tv_sec) {
        struct tm utc;
        kept.len = gmtime_r(&now.tv_sec, &utc) == NULL
                       ? 0
                       : strftime(kept.text, sizeof kept.text - MS_LEN, "%Y-%m-%dT%H:%M:%S", &utc);
        kept.second = now.tv_sec;
        if (kept.len == 0)
            return SLICE("");
        kept.text[kept.len] = '.';
        kept.text[kept.len + MS_LEN - 1] = 'Z';
    }
    put_digits(kept.text + kept.len + 1, 3, (uint64_t)now.tv_nsec / 1000000);
    return slice_of(kept.text, kept.len + MS_LEN);
}

void log_begin(struct log_record *record, enum log_level level, const char *event) {
    record->level = level;
    record->len = 0;
    log_slice(record, "time", format_time());
    log_string(record, "level", level_names[level]);
    log_string(record, "event", event);
}

void log_end(struct log_record *record) {
    if (!log_enabled(record->level))
        return;
    if (state.json)
        record->text[record->len++] = '}';
    record->text[record->len++] = '\n';
    if (own_ring == NULL) {
        write_all(record->text, record->len);
        return;
    }
    if (!ring_put(own_ring, record->text, record->len))
        atomic_fetch_add(&own_ring->dropped, 1);
    wake_writer();
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
    log_string(&record, "message", text);
    log_end(&record);
}
