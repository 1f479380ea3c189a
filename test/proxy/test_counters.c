#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/metrics.h"

struct rig {
    struct counters *workers[2];
    _Atomic unsigned connections;
    struct metrics metrics;
};

static void rig_open(struct rig *rig) {
    *rig = (struct rig){.workers = {counters_new(), counters_new()}, .connections = 3};
    assert_non_null(rig->workers[0]);
    assert_non_null(rig->workers[1]);
    assert_int_equal((uintptr_t)rig->workers[0] % 128, 0);
    rig->metrics.workers = rig->workers;
    rig->metrics.worker_count = 2;
    rig->metrics.connections = &rig->connections;
}

static void rig_close(struct rig *rig) {
    free(rig->workers[0]);
    free(rig->workers[1]);
}

/* Whether the text has that line, exactly once. */
static bool has(const struct rig *rig, const char *line) {
    size_t length = 0;
    char whole[256];
    char *text = metrics_render(&rig->metrics, &length);
    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    snprintf(whole, sizeof whole, "\n%s\n", line);
    const char *first = strstr(text, whole);
    bool once = first != NULL && strstr(first + 1, whole) == NULL;
    free(text);
    return once;
}

/* The same words at other addresses, as two files of the filter may have them. */
static void workers_are_added_up(void **state) {
    (void)state;
    static const char rule[] = "create.privileged";
    static const char again[] = "create.privileged";
    struct rig rig;
    rig_open(&rig);
    counters_verdict(&rig.workers[0]->requests, "danger", "deny", rule);
    counters_verdict(&rig.workers[0]->requests, "danger", "deny", rule);
    counters_verdict(&rig.workers[1]->requests, "danger", "deny", again);
    counters_verdict(&rig.workers[1]->requests, "danger", "allow", again);
    assert_true(has(&rig, "dind_proxy_requests_total{class=\"danger\",verdict=\"deny\","
                          "rule=\"create.privileged\"} 3"));
    assert_true(has(&rig, "dind_proxy_requests_total{class=\"danger\",verdict=\"allow\","
                          "rule=\"create.privileged\"} 1"));
    counters_verdict(&rig.workers[0]->calls, "/a.B/C", "deny", rule);
    assert_true(has(&rig, "dind_proxy_grpc_calls_total{method=\"/a.B/C\",verdict=\"deny\","
                          "rule=\"create.privileged\"} 1"));
    counter_add(&rig.workers[0]->pipes, 2);
    counter_add(&rig.workers[1]->pipes, 1);
    counter_subtract(&rig.workers[1]->pipes, 1);
    assert_true(has(&rig, "dind_proxy_pipes_in_use 2"));
    assert_true(has(&rig, "dind_proxy_client_connections 3"));
    rig_close(&rig);
}

static void more_combinations_than_cells_are_counted_together(void **state) {
    (void)state;
    static char rules[COUNTER_CELLS + 10][8];
    struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        snprintf(rules[i], sizeof rules[i], "r%zu", i);
        counters_verdict(&rig.workers[0]->requests, "read", "allow", rules[i]);
    }
    counters_verdict(&rig.workers[0]->requests, "read", "allow", rules[0]);
    assert_true(has(&rig, "dind_proxy_requests_total{class=\"read\",verdict=\"allow\",rule=\"r0\"}"
                          " 2"));
    assert_true(has(&rig, "dind_proxy_requests_total{class=\"other\",verdict=\"other\","
                          "rule=\"other\"} 10"));
    rig_close(&rig);
}

static void the_histogram_is_cumulative(void **state) {
    (void)state;
    static const uint64_t times[] = {0, 1, 2, 250, 251, 60000, 60001, 1000000};
    struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        counters_latency(rig.workers[i % 2], times[i]);
    assert_true(has(&rig, "dind_proxy_answer_seconds_bucket{le=\"0.001\"} 2"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_bucket{le=\"0.002\"} 3"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_bucket{le=\"0.1\"} 3"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_bucket{le=\"0.25\"} 4"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_bucket{le=\"1\"} 5"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_bucket{le=\"60\"} 6"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_bucket{le=\"+Inf\"} 8"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_count 8"));
    assert_true(has(&rig, "dind_proxy_answer_seconds_sum 1120.505"));
    rig_close(&rig);
}

static void the_last_attempt_says_whether_the_engine_is_up(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig);
    assert_false(has(&rig, "dind_proxy_engine_up 0"));
    assert_false(has(&rig, "dind_proxy_engine_up 1"));
    counter_set(&rig.workers[0]->engine_up_at, 1000);
    assert_true(has(&rig, "dind_proxy_engine_up 1"));
    counter_set(&rig.workers[1]->engine_down_at, 1001);
    assert_true(has(&rig, "dind_proxy_engine_up 0"));
    counter_set(&rig.workers[1]->engine_up_at, 1002);
    assert_true(has(&rig, "dind_proxy_engine_up 1"));
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_are_added_up),
        cmocka_unit_test(more_combinations_than_cells_are_counted_together),
        cmocka_unit_test(the_histogram_is_cumulative),
        cmocka_unit_test(the_last_attempt_says_whether_the_engine_is_up),
    };
    return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
