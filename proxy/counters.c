#include "proxy/counters.h"

#include <stdlib.h>
#include <string.h>

/* Two lines, since processors fetch the neighbour of a line along with it. */
enum { ALIGNMENT = 128 };

const unsigned counter_bounds[COUNTER_BUCKETS - 1] = {1,   2,   5,    10,   25,    50,
                                                      100, 250, 1000, 2500, 10000, 60000};

struct counters *counters_new(void) {
    size_t size = (sizeof(struct counters) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct counters *counters = aligned_alloc(ALIGNMENT, size);
    if (counters != NULL)
        memset(counters, 0, size);
    return counters;
}

static bool is_cell_of(struct counter_cell *cell, const char *subject, const char *verdict,
                       const char *rule) {
    return atomic_load_explicit(&cell->rule, memory_order_relaxed) == rule &&
           atomic_load_explicit(&cell->subject, memory_order_relaxed) == subject &&
           atomic_load_explicit(&cell->verdict, memory_order_relaxed) == verdict;
}

void counters_verdict(struct counter_verdicts *verdicts, const char *subject, const char *verdict,
                      const char *rule) {
    uintptr_t hash = (uintptr_t)rule + 31 * (uintptr_t)subject + 961 * (uintptr_t)verdict;
    hash ^= hash >> 7 ^ hash >> 15;
    for (size_t i = 0; i < COUNTER_CELLS; i++) {
        struct counter_cell *cell = &verdicts->cells[(hash + i) % COUNTER_CELLS];
        if (atomic_load_explicit(&cell->rule, memory_order_relaxed) == NULL) {
            atomic_store_explicit(&cell->subject, subject, memory_order_relaxed);
            atomic_store_explicit(&cell->verdict, verdict, memory_order_relaxed);
            atomic_store_explicit(&cell->rule, rule, memory_order_release);
        }
        if (is_cell_of(cell, subject, verdict, rule)) {
            counter_add(&cell->count, 1);
            return;
        }
    }
    counter_add(&verdicts->others, 1);
}

void counters_latency(struct counters *counters, uint64_t milliseconds) {
    size_t bucket = 0;
    while (bucket < COUNTER_BUCKETS - 1 && milliseconds > counter_bounds[bucket])
        bucket++;
    counter_add(&counters->latency[bucket], 1);
    counter_add(&counters->latency_sum, milliseconds);
}
