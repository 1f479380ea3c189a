#include "proxy/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/audit.h"
#include "proxy/log.h"
#include "proxy/sandbox.h"

#define PREFIX "dind_proxy_"

/* All workers' cells together: a rule's string may have an address of its own in each of the
 * modules that name it. */
enum { MAX_SERIES = 2 * COUNTER_CELLS };

struct series {
    const char *subject, *verdict, *rule;
    uint64_t count;
};

void metrics_note_rules(struct metrics *metrics, const struct ruleset *rules) {
    const struct tls_context *contexts[COUNTER_HOPS] = {
        [COUNTER_CLIENTS] = rules->server_tls,
        [COUNTER_ENGINE] = rules->client_tls,
    };
    for (size_t i = 0; i < COUNTER_HOPS; i++)
        atomic_store_explicit(&metrics->expires[i],
                              contexts[i] != NULL ? (int64_t)tls_context_expiry(contexts[i]) : 0,
                              memory_order_relaxed);
}

/* A metric's HELP and TYPE lines. */
static void describe(FILE *out, const char *name, const char *type, const char *help) {
    (void)fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

/* One sample; `labels` with their braces, or empty. */
static void sample(FILE *out, const char *name, const char *labels, uint64_t value) {
    (void)fprintf(out, PREFIX "%s%s %" PRIu64 "\n", name, labels, value);
}

/* The sum of one counter over all workers, which is so many bytes into struct counters. */
static uint64_t sum(const struct metrics *metrics, size_t offset) {
    uint64_t total = 0;
    for (size_t i = 0; i < metrics->worker_count; i++)
        total += counter_get(
            (const counter *)(const void *)((const char *)metrics->workers[i] + offset));
    return total;
}

#define SUM(metrics, member) sum(metrics, offsetof(struct counters, member))

static void add_cell(struct series *series, size_t *used, const struct counter_cell *cell,
                     uint64_t *lost) {
    const char *rule = atomic_load_explicit(&cell->rule, memory_order_acquire);
    if (rule == NULL)
        return;
    struct series one = {.subject = atomic_load_explicit(&cell->subject, memory_order_relaxed),
                         .verdict = atomic_load_explicit(&cell->verdict, memory_order_relaxed),
                         .rule = rule,
                         .count = counter_get(&cell->count)};
    for (size_t i = 0; i < *used; i++) {
        if (strcmp(series[i].rule, one.rule) == 0 && strcmp(series[i].subject, one.subject) == 0 &&
            strcmp(series[i].verdict, one.verdict) == 0) {
            series[i].count += one.count;
            return;
        }
    }
    if (*used < MAX_SERIES)
        series[(*used)++] = one;
    else
        *lost += one.count;
}

/* Those of one table, which is so many bytes into struct counters; `label` is that of its subjects.
 * The label values are strings of our own, without what would have to be escaped. */
static void print_verdicts(FILE *out, const struct metrics *metrics, const char *name,
                           const char *label, size_t offset) {
    struct series series[MAX_SERIES];
    size_t used = 0;
    uint64_t lost = sum(metrics, offset + offsetof(struct counter_verdicts, others));
    for (size_t i = 0; i < metrics->worker_count; i++) {
        const struct counter_verdicts *verdicts =
            (const void *)((const char *)metrics->workers[i] + offset);
        for (size_t n = 0; n < COUNTER_CELLS; n++)
            add_cell(series, &used, &verdicts->cells[n], &lost);
    }
    for (size_t i = 0; i < used; i++)
        (void)fprintf(out, PREFIX "%s{%s=\"%s\",verdict=\"%s\",rule=\"%s\"} %" PRIu64 "\n", name,
                      label, series[i].subject, series[i].verdict, series[i].rule, series[i].count);
    if (lost > 0)
        (void)fprintf(out, PREFIX "%s{%s=\"other\",verdict=\"other\",rule=\"other\"} %" PRIu64 "\n",
                      name, label, lost);
}

static void print_requests(FILE *out, const struct metrics *metrics) {
    describe(out, "requests_total", "counter",
             "Requests by the class of their route, the verdict and the rule that decided.");
    print_verdicts(out, metrics, "requests_total", "class", offsetof(struct counters, requests));
    describe(out, "grpc_calls_total", "counter",
             "Judged calls inside /grpc by their method, the verdict and the rule that decided.");
    print_verdicts(out, metrics, "grpc_calls_total", "method", offsetof(struct counters, calls));
}

static void print_latency(FILE *out, const struct metrics *metrics) {
    uint64_t below = 0;
    describe(out, "answer_seconds", "histogram",
             "Time from a judged request's complete head to the beginning of its answer.");
    for (size_t i = 0; i < COUNTER_BUCKETS; i++) {
        char bound[32] = "+Inf";
        below += sum(metrics, offsetof(struct counters, latency) + i * sizeof(counter));
        if (i < COUNTER_BUCKETS - 1)
            (void)snprintf(bound, sizeof bound, "%g", counter_bounds[i] / 1000.0);
        (void)fprintf(out, PREFIX "answer_seconds_bucket{le=\"%s\"} %" PRIu64 "\n", bound, below);
    }
    (void)fprintf(out, PREFIX "answer_seconds_sum %.3f\n",
                  (double)SUM(metrics, latency_sum) / 1000.0);
    sample(out, "answer_seconds_count", "", below);
}

struct labelled {
    const char *labels;
    size_t offset;
};

static void print_labelled(FILE *out, const struct metrics *metrics, const char *name,
                           const struct labelled *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        sample(out, name, rows[i].labels, sum(metrics, rows[i].offset));
}

#define AT(member) offsetof(struct counters, member)
#define ROWS(rows) rows, sizeof(rows) / sizeof((rows)[0])

static void print_streams(FILE *out, const struct metrics *metrics) {
    static const struct labelled kinds[] = {
        {"{kind=\"request\"}", AT(streams[COUNTER_REQUEST])},
        {"{kind=\"stream\"}", AT(streams[COUNTER_STREAM])},
        {"{kind=\"tunnel\"}", AT(streams[COUNTER_TUNNEL])},
    };
    static const struct labelled paths[] = {
        {"{path=\"splice\"}", AT(bytes[COUNTER_SPLICED])},
        {"{path=\"kernel_tls\"}", AT(bytes[COUNTER_KERNEL_TLS])},
        {"{path=\"user\"}", AT(bytes[COUNTER_USER])},
    };
    describe(out, "client_connections", "gauge", "Open connections of clients.");
    sample(out, "client_connections", "",
           atomic_load_explicit(metrics->connections, memory_order_relaxed));
    describe(out, "open_streams", "gauge",
             "Exchanges under way with the engine: ordinary requests, streams, hijacked tunnels.");
    print_labelled(out, metrics, "open_streams", ROWS(kinds));
    describe(out, "relayed_bytes_total", "counter",
             "Bytes passed on: spliced between plain sockets, spliced with the kernel's TLS on a "
             "side, or copied through user space.");
    print_labelled(out, metrics, "relayed_bytes_total", ROWS(paths));
    describe(out, "pipes_in_use", "gauge", "Pipes that bytes are under way in.");
    sample(out, "pipes_in_use", "", SUM(metrics, pipes));
}

static void print_tls(FILE *out, const struct metrics *metrics) {
    static const struct labelled results[] = {
        {"{hop=\"clients\",result=\"ok\"}", AT(handshakes[COUNTER_CLIENTS])},
        {"{hop=\"clients\",result=\"failed\"}", AT(handshake_failures[COUNTER_CLIENTS])},
        {"{hop=\"engine\",result=\"ok\"}", AT(handshakes[COUNTER_ENGINE])},
        {"{hop=\"engine\",result=\"failed\"}", AT(handshake_failures[COUNTER_ENGINE])},
    };
    static const struct labelled sessions[] = {
        {"{hop=\"clients\"}", AT(kernel_sessions[COUNTER_CLIENTS])},
        {"{hop=\"engine\"}", AT(kernel_sessions[COUNTER_ENGINE])},
    };
    static const char *const hops[COUNTER_HOPS] = {"clients", "engine"};
    describe(out, "tls_handshakes_total", "counter", "TLS handshakes that have ended.");
    print_labelled(out, metrics, "tls_handshakes_total", ROWS(results));
    describe(out, "kernel_tls", "gauge", "1 where TLS sessions are given to the kernel.");
    sample(out, "kernel_tls", "", metrics->kernel_tls);
    describe(out, "kernel_tls_sessions_total", "counter",
             "TLS sessions whose keys the kernel took.");
    print_labelled(out, metrics, "kernel_tls_sessions_total", ROWS(sessions));
    describe(out, "certificate_expiry_seconds", "gauge",
             "Seconds until the proxy's own certificate ends; below 0 it has.");
    for (size_t i = 0; i < COUNTER_HOPS; i++) {
        int64_t end = atomic_load_explicit(&metrics->expires[i], memory_order_relaxed);
        if (end != 0)
            (void)fprintf(out, PREFIX "certificate_expiry_seconds{hop=\"%s\"} %" PRId64 "\n",
                          hops[i], end - (int64_t)time(NULL));
    }
}

static void print_engine(FILE *out, const struct metrics *metrics) {
    static const struct labelled connections[] = {
        {"{result=\"ok\"}", AT(engine_connections)},
        {"{result=\"failed\"}", AT(engine_failures)},
    };
    uint64_t up = 0, down = 0;
    for (size_t i = 0; i < metrics->worker_count; i++) {
        uint64_t worker_up = counter_get(&metrics->workers[i]->engine_up_at);
        uint64_t worker_down = counter_get(&metrics->workers[i]->engine_down_at);
        up = worker_up > up ? worker_up : up;
        down = worker_down > down ? worker_down : down;
    }
    describe(
        out, "engine_up", "gauge",
        "Whether the last attempt to connect to the engine came about; none before the first.");
    if (up > 0 || down > 0)
        sample(out, "engine_up", "", up > 0 && up >= down);
    describe(out, "engine_connections_total", "counter", "Attempts to connect to the engine.");
    print_labelled(out, metrics, "engine_connections_total", ROWS(connections));
}

static void print_process(FILE *out, const struct metrics *metrics) {
    describe(out, "build_info", "gauge", "Always 1.");
    sample(out, "build_info", "{version=\"" DIND_PROXY_VERSION "\"}", 1);
    describe(out, "start_time_seconds", "gauge", "When it started, since the epoch.");
    sample(out, "start_time_seconds", "", (uint64_t)metrics->started);
    unsigned sandbox = atomic_load_explicit(&metrics->sandbox, memory_order_relaxed);
    describe(out, "sandbox", "gauge", "1 for each part of the sandbox that is in force.");
    for (unsigned i = 0; i < SANDBOX_PARTS; i++)
        (void)fprintf(out, PREFIX "sandbox{part=\"%s\"} %u\n",
                      sandbox_part_name((enum sandbox_part)i), sandbox >> i & 1u);
    describe(out, "reloads_total", "counter", "Reloads; one that failed changed nothing.");
    sample(out, "reloads_total", "{result=\"ok\"}", counter_get(&metrics->reloads));
    sample(out, "reloads_total", "{result=\"failed\"}", counter_get(&metrics->reload_failures));
    describe(out, "mode", "gauge", "Always 1; its label says what becomes of what is refused.");
    (void)fprintf(out, PREFIX "mode{mode=\"%s\"} 1\n", audit_mode_name(metrics->mode));
    describe(out, "log_lines_dropped_total", "counter",
             "Lines lost since what they were for was not read, or not written, fast enough.");
    sample(out, "log_lines_dropped_total", "{log=\"log\"}", log_dropped());
    sample(out, "log_lines_dropped_total", "{log=\"audit\"}", audit_dropped());
}

char *metrics_render(const struct metrics *metrics, size_t *length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (out == NULL)
        return NULL;
    print_process(out, metrics);
    print_requests(out, metrics);
    print_latency(out, metrics);
    print_streams(out, metrics);
    print_tls(out, metrics);
    print_engine(out, metrics);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
