/* Where the lines of a log go: through lock-free rings to a thread that may wait for the reader.
 *
 * Whoever logs never waits. Attached threads put their lines into a ring of their own; when that is
 * full, lines are dropped and counted. The writer writes whole lines, in order for each thread, and
 * keeps what it cannot write until it can: a reader that stalls or a full disk loses what the rings
 * cannot hold, and nothing that they can. */
#ifndef DIND_PROXY_PROXY_LINE_SINK_H
#define DIND_PROXY_PROXY_LINE_SINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_ring;

enum line_sink_slot { LINE_SINK_LOG, LINE_SINK_AUDIT, LINE_SINK_SLOTS };

/* Has static lifetime, since the writer outlives line_sink_stop where nobody reads. The first four
 * are the owner's to set before line_sink_start. */
struct line_sink {
    enum line_sink_slot slot; /* each sink has its own */
    int fd;                   /* the writer's, once it runs */
    /* By the writer, both may be NULL. `lost`: so many lines were dropped since the last call.
     * `trouble`: writing fails with that errno, or (0) works again. */
    void (*lost)(uint64_t lines);
    void (*trouble)(int error);

    bool running;
    int wake;
    pthread_t thread;
    _Atomic int next_fd; /* to be taken in place of `fd`, which is closed; -1: none */
    _Atomic bool stopping;
    _Atomic bool asleep;
    _Atomic uint64_t stop_at; /* milliseconds, when the writer gives up */
    _Atomic uint64_t dropped;
    _Atomic uint64_t untold; /* of those, what line_sink_untold has not given out */
    _Atomic(struct line_ring *) rings;
};

/* 0, or -1 with errno. */
int line_sink_start(struct line_sink *sink);

/* Writes out all that the rings hold, as far as that is taken within so many milliseconds, and ends
 * the thread. False: some of it was lost. When no attached thread puts lines any more. */
bool line_sink_stop(struct line_sink *sink, unsigned milliseconds);

/* Gives the calling thread its ring. 0, or -1 when memory is out. */
int line_sink_attach(struct line_sink *sink);

/* Puts a line, of at most LOG_LINE bytes with its end, into the thread's ring; false: dropped, and
 * counted. A thread without a ring writes it itself and waits. */
bool line_sink_put(struct line_sink *sink, const char *line, size_t len);

/* Waits, at most so long, until all lines that were put are written: those of different threads
 * have no order but this. False: some are not. */
bool line_sink_settle(const struct line_sink *sink, unsigned milliseconds);

/* From now on lines go there; takes over `fd` and closes the old one when it is not used any more.
 */
void line_sink_redirect(struct line_sink *sink, int fd);

/* How many lines were dropped. Any thread. */
uint64_t line_sink_dropped(const struct line_sink *sink);

/* Those that nobody was told of yet; they then count as told, unless they are given back. */
uint64_t line_sink_untold(struct line_sink *sink);
void line_sink_untell(struct line_sink *sink, uint64_t lines);

#endif
