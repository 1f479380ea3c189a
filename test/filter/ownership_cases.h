/* What the tests of ownership share: plans for an owner "team-a". */
#ifndef DIND_PROXY_TEST_FILTER_OWNERSHIP_CASES_H
#define DIND_PROXY_TEST_FILTER_OWNERSHIP_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filter/ownership.h"

/* {"label":["jailoc.owner=team-a"]} */
#define LABEL_ALONE "%7B%22label%22%3A%5B%22jailoc.owner%3Dteam-a%22%5D%7D"

static struct filter_policy *test_policy;

static inline int start_rules(void **state) {
    char error[256];
    (void)state;
    test_policy =
        filter_policy_new(&(struct filter_settings){.ownership = true}, error, sizeof error);
    return test_policy == NULL ? -1 : 0;
}

static inline int stop_rules(void **state) {
    (void)state;
    filter_policy_free(test_policy);
    return 0;
}

static inline void assert_slice(struct slice slice, const char *expected) {
    char text[4096];
    snprintf(text, sizeof text, "%.*s", SLICE_ARGS(slice));
    assert_string_equal(text, expected);
}

struct planned {
    struct arena arena;
    struct ownership_plan plan;
    struct ownership_finding finding;
};

static inline struct planned plan_head(const char *method, const char *target) {
    struct planned planned = {.arena = {0}};
    struct filter_request request = {.method = slice_from_string(method),
                                     .target = slice_from_string(target)};
    planned.finding =
        ownership_head(test_policy, &request, SLICE("team-a"), &planned.arena, &planned.plan);
    return planned;
}

static inline void end_plan(struct planned *planned) {
    arena_reset(&planned->arena);
}

static inline void assert_ref(const struct planned *planned, size_t index, enum ownership_kind kind,
                              const char *name) {
    assert_true(index < planned->plan.ref_count);
    assert_int_equal(planned->plan.refs[index].kind, kind);
    assert_slice(planned->plan.refs[index].name, name);
}

#endif
