#include "proxy/line_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/deadline.h"
#include "proxy/log_record.h"

enum {
    RING_SIZE = 256 * 1024, /* a power of two; per attached thread */
    BATCH = 64 * 1024,      /* bytes of a write to a file */
    /* While lines come, the writer looks every few milliseconds rather than being woken for each:
     * that wake-up would be the dearest part of a small request. */
    NAP_NS = 5 * 1000000,
    RETRY_MS = 100, /* between attempts to write what was not taken */
};

/* Written by one thread, read by the writer: `head` and `tail` only ever grow. */
struct line_ring {
    struct line_ring *next;
    _Atomic size_t head; /* written up to here */
    _Atomic size_t tail; /* read up to here */
    char data[RING_SIZE];
};

static _Thread_local struct line_ring *own_rings[LINE_SINK_SLOTS];

/* --- those who log --- */

static void write_waiting(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            /* Somebody who shares it made it non-blocking. */
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            (void)poll(&writable, 1, -1);
            continue;
        }
        if (n <= 0)
            return; /* nobody is left to tell */
        data += n;
        len -= (size_t)n;
    }
}

static void wake_writer(struct line_sink *sink) {
    if (atomic_load_explicit(&sink->asleep, memory_order_seq_cst) &&
        atomic_exchange(&sink->asleep, false)) {
        uint64_t one = 1;
        (void)!write(sink->wake, &one, sizeof one);
    }
}

static bool ring_put(struct line_ring *ring, const char *data, size_t len) {
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

bool line_sink_put(struct line_sink *sink, const char *line, size_t len) {
    struct line_ring *ring = own_rings[sink->slot];
    if (ring == NULL) {
        write_waiting(sink->fd, line, len);
        return true;
    }
    bool put = ring_put(ring, line, len);
    if (!put) {
        atomic_fetch_add(&sink->dropped, 1);
        atomic_fetch_add(&sink->untold, 1);
    }
    wake_writer(sink);
    return put;
}

int line_sink_attach(struct line_sink *sink) {
    struct line_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return -1;
    ring->next = atomic_load(&sink->rings);
    while (!atomic_compare_exchange_weak(&sink->rings, &ring->next, ring))
        ;
    own_rings[sink->slot] = ring;
    return 0;
}

uint64_t line_sink_dropped(const struct line_sink *sink) {
    return atomic_load_explicit(&sink->dropped, memory_order_relaxed);
}

uint64_t line_sink_untold(struct line_sink *sink) {
    /* Most often there are none, and the line of the cache stays everybody's. */
    if (atomic_load_explicit(&sink->untold, memory_order_relaxed) == 0)
        return 0;
    return atomic_exchange(&sink->untold, 0);
}

void line_sink_untell(struct line_sink *sink, uint64_t lines) {
    atomic_fetch_add(&sink->untold, lines);
}

/* --- the writer --- */

/* Sleeps, though not over the end. */
static void pause_writing(struct line_sink *sink) {
    struct pollfd wake = {.fd = sink->wake, .events = POLLIN};
    uint64_t count;
    if (poll(&wake, 1, RETRY_MS) > 0)
        (void)!read(sink->wake, &count, sizeof count);
}

/* Once the end has come, only what is taken at once, or in the time that is left, still goes out.
 */
static bool may_wait(const struct line_sink *sink, bool failing) {
    return !atomic_load(&sink->stopping) ||
           (!failing && deadline_now() < atomic_load(&sink->stop_at));
}

static void take_redirection(struct line_sink *sink) {
    int next = atomic_exchange(&sink->next_fd, -1);
    if (next < 0)
        return;
    close(sink->fd);
    sink->fd = next;
}

static bool is_file(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* The length of the whole lines in the first bytes of `data`. */
static size_t whole_lines(const char *data, size_t len) {
    const char *end = memrchr(data, '\n', len);
    return end == NULL ? len : (size_t)(end - data) + 1;
}

/* A write that takes what there is room for now: a file takes all or fails; a pipe that is writable
 * has room for LOG_LINE bytes (pipe(7)), and so its lines are not torn either. -1 with EAGAIN:
 * there was none for a while. */
static ssize_t write_some(int fd, const char *data, size_t len) {
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    if (!is_file(fd)) {
        if (len > LOG_LINE)
            len = whole_lines(data, LOG_LINE);
        if (poll(&writable, 1, RETRY_MS) <= 0) {
            errno = EAGAIN;
            return -1;
        }
    }
    return write(fd, data, len);
}

/* Goes back to the beginning of the line that byte `at` belongs to. */
static size_t line_start(const char *data, size_t at) {
    const char *end = at == 0 ? NULL : memrchr(data, '\n', at);
    return end == NULL ? 0 : (size_t)(end - data) + 1;
}

/* Writes whole lines, however long that takes. False: the end has come before. */
static bool write_lines(struct line_sink *sink, const char *data, size_t len) {
    bool failing = false;
    for (size_t at = 0; at < len;) {
        int fd = sink->fd;
        take_redirection(sink);
        if (fd != sink->fd)
            at = line_start(data, at); /* what the old one has of it is no line */
        ssize_t n = write_some(sink->fd, data + at, len - at);
        if (n > 0) {
            at += (size_t)n;
            if (failing && sink->trouble != NULL)
                sink->trouble(0);
            failing = false;
            continue;
        }
        int error = n < 0 ? errno : EIO;
        if (error == EINTR)
            continue;
        bool full = error == EAGAIN;
        if (!full && !failing && sink->trouble != NULL && !atomic_load(&sink->stopping))
            sink->trouble(error);
        failing = failing || !full;
        if (!may_wait(sink, failing))
            return false;
        if (!full)
            pause_writing(sink);
    }
    return true;
}

/* True if it wrote anything. */
static bool flush_ring(struct line_sink *sink, struct line_ring *ring, char *batch) {
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t head = atomic_load(&ring->head);
    if (head == tail)
        return false;
    size_t len = head - tail < BATCH ? head - tail : BATCH;
    size_t at = tail % RING_SIZE;
    size_t first = RING_SIZE - at < len ? RING_SIZE - at : len;
    memcpy(batch, ring->data + at, first);
    memcpy(batch + first, ring->data, len - first);
    len = whole_lines(batch, len);
    if (!write_lines(sink, batch, len))
        return false;
    atomic_store_explicit(&ring->tail, tail + len, memory_order_release);
    return true;
}

static bool flush_all(struct line_sink *sink, char *batch) {
    bool any = false;
    take_redirection(sink);
    uint64_t lost = sink->lost != NULL ? line_sink_untold(sink) : 0;
    if (lost > 0)
        sink->lost(lost);
    for (struct line_ring *ring = atomic_load(&sink->rings); ring != NULL; ring = ring->next)
        any |= flush_ring(sink, ring, batch);
    return any;
}

static void *run(void *argument) {
    struct line_sink *sink = argument;
    static _Thread_local char batch[BATCH];
    while (true) {
        bool stopping = atomic_load(&sink->stopping);
        if (flush_all(sink, batch)) {
            const struct timespec nap = {.tv_nsec = NAP_NS};
            if (!stopping)
                nanosleep(&nap, NULL);
            continue;
        }
        if (stopping)
            return NULL;
        /* Announce the sleep, then look once more: a line put in between is either seen here or its
         * writer sees the announcement. */
        atomic_store(&sink->asleep, true);
        if (flush_all(sink, batch) || atomic_load(&sink->stopping)) {
            atomic_store(&sink->asleep, false);
            continue;
        }
        uint64_t count;
        (void)!read(sink->wake, &count, sizeof count);
    }
}

static void wake_anyway(struct line_sink *sink) {
    uint64_t one = 1;
    atomic_store(&sink->asleep, false);
    (void)!write(sink->wake, &one, sizeof one);
}

void line_sink_redirect(struct line_sink *sink, int fd) {
    int waiting = atomic_exchange(&sink->next_fd, fd);
    if (waiting >= 0)
        close(waiting);
    wake_anyway(sink);
}

int line_sink_start(struct line_sink *sink) {
    sink->wake = eventfd(0, EFD_CLOEXEC);
    if (sink->wake < 0)
        return -1;
    atomic_store(&sink->stopping, false);
    atomic_store(&sink->next_fd, -1);
    int error = pthread_create(&sink->thread, NULL, run, sink);
    if (error != 0) {
        close(sink->wake);
        errno = error;
        return -1;
    }
    sink->running = true;
    return 0;
}

static bool is_empty(const struct line_sink *sink) {
    for (struct line_ring *ring = atomic_load(&sink->rings); ring != NULL; ring = ring->next)
        if (atomic_load(&ring->head) != atomic_load(&ring->tail))
            return false;
    return true;
}

bool line_sink_settle(const struct line_sink *sink, unsigned milliseconds) {
    const struct timespec nap = {.tv_nsec = 1000000};
    uint64_t end = deadline_now() + milliseconds;
    while (!is_empty(sink)) {
        if (deadline_now() >= end)
            return false;
        nanosleep(&nap, NULL);
    }
    return true;
}

bool line_sink_stop(struct line_sink *sink, unsigned milliseconds) {
    if (!sink->running)
        return true;
    atomic_store(&sink->stop_at, deadline_now() + milliseconds);
    atomic_store(&sink->stopping, true);
    wake_anyway(sink);
    sink->running = false;
    own_rings[sink->slot] = NULL;
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)(milliseconds + RETRY_MS) / 1000 + 1;
    /* A disk that hangs: the last lines are lost, but the process ends. The thread goes with it. */
    if (pthread_timedjoin_np(sink->thread, NULL, &end) != 0)
        return false;
    bool all = is_empty(sink);
    close(sink->wake);
    struct line_ring *ring = atomic_exchange(&sink->rings, NULL);
    while (ring != NULL) {
        struct line_ring *next = ring->next;
        free(ring);
        ring = next;
    }
    return all;
}
