/* What a worker counts, for whoever scrapes.
 *
 * Each worker has its own, in cache lines of its own, and is the only one to write them: plain
 * loads and stores that are atomic only so that the scraper, which adds up all workers', may read
 * meanwhile. Different numbers of one scrape may be some events apart. */
#ifndef DIND_PROXY_PROXY_COUNTERS_H
#define DIND_PROXY_PROXY_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

enum counter_hop { COUNTER_CLIENTS, COUNTER_ENGINE, COUNTER_HOPS };

/* Which way bytes took from one side to the other. */
enum counter_path {
    COUNTER_SPLICED,    /* a pipe between two plain sockets */
    COUNTER_KERNEL_TLS, /* a pipe, and the kernel's TLS on one side at least */
    COUNTER_USER,       /* a buffer of ours */
    COUNTER_PATHS,
};

enum counter_stream {
    COUNTER_NO_STREAM,
    COUNTER_REQUEST, /* an exchange that is meant to end by itself */
    COUNTER_STREAM,  /* one of the class "stream": logs, events, … */
    COUNTER_TUNNEL,  /* hijacked */
    COUNTER_STREAMS,
};

enum {
    COUNTER_CELLS = 256,  /* a power of two; the combinations in one table of verdicts */
    COUNTER_BUCKETS = 13, /* of the histogram, with the last, which has no bound */
};

/* The upper bounds of the buckets but the last, in milliseconds. */
extern const unsigned counter_bounds[COUNTER_BUCKETS - 1];

/* How many verdicts of one combination; free while `rule`, which is written last, is NULL. The
 * strings are static. */
struct counter_cell {
    _Atomic(const char *) rule;
    _Atomic(const char *) subject;
    _Atomic(const char *) verdict;
    counter count;
};

struct counter_verdicts {
    struct counter_cell cells[COUNTER_CELLS];
    counter others; /* combinations for which there was no cell */
};

struct counters {
    struct counter_verdicts requests; /* by the class of their route */
    struct counter_verdicts calls;    /* inside /grpc, by their method */
    counter latency[COUNTER_BUCKETS]; /* not cumulative */
    counter latency_sum;              /* milliseconds */
    counter streams[COUNTER_STREAMS]; /* open now */
    counter bytes[COUNTER_PATHS];
    counter pipes; /* in use now */
    counter handshakes[COUNTER_HOPS];
    counter handshake_failures[COUNTER_HOPS];
    counter kernel_sessions[COUNTER_HOPS]; /* of the handshakes, whose keys the kernel took */
    counter engine_connections;
    counter engine_failures;
    counter engine_up_at;   /* when the last connection came about, deadline_now(); 0: never */
    counter engine_down_at; /* when connecting failed last */
};

/* Zeroed, in cache lines of its own; NULL when memory is out. Free with free(3). */
struct counters *counters_new(void);

/* The worker itself only. */
static inline void counter_add(counter *at, uint64_t amount) {
    uint64_t value = atomic_load_explicit(at, memory_order_relaxed);
    atomic_store_explicit(at, value + amount, memory_order_relaxed);
}

static inline void counter_subtract(counter *at, uint64_t amount) {
    counter_add(at, 0 - amount);
}

static inline void counter_set(counter *at, uint64_t value) {
    atomic_store_explicit(at, value, memory_order_relaxed);
}

/* Any thread. */
static inline uint64_t counter_get(const counter *at) {
    return atomic_load_explicit(at, memory_order_relaxed);
}

/* The worker itself only: one verdict more. The strings must be static, and are told apart by their
 * addresses. */
void counters_verdict(struct counter_verdicts *verdicts, const char *subject, const char *verdict,
                      const char *rule);

/* The worker itself only: an answer began after so many milliseconds. */
void counters_latency(struct counters *counters, uint64_t milliseconds);

#endif
