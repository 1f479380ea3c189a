/* All that is counted, as text in Prometheus's exposition format 0.0.4. */
#ifndef DIND_PROXY_PROXY_METRICS_H
#define DIND_PROXY_PROXY_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/counters.h"
#include "proxy/ruleset.h"

/* What the main thread knows beside the workers' counters. */
struct metrics {
    struct counters *const *workers; /* borrowed */
    size_t worker_count;
    const _Atomic unsigned *connections; /* borrowed: open client connections */
    int64_t started;                     /* seconds since the epoch */
    enum config_mode mode;
    bool kernel_tls;          /* sessions are offered to the kernel */
    _Atomic unsigned sandbox; /* a bit for each enum sandbox_part that is in force */
    /* When the certificates in force end, seconds since the epoch; 0: there is none. */
    _Atomic int64_t expires[COUNTER_HOPS];
    counter reloads;
    counter reload_failures;
};

/* Main thread only: these rules are in force. */
void metrics_note_rules(struct metrics *metrics, const struct ruleset *rules);

/* Any one thread: the text, to be freed with free(3), and its length. The number of lines is
 * bounded, whatever clients send. NULL when memory is out. */
char *metrics_render(const struct metrics *metrics, size_t *length);

#endif
