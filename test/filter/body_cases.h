/* Tables of bodies and the findings they must give. */
#ifndef DIND_PROXY_TEST_FILTER_BODY_CASES_H
#define DIND_PROXY_TEST_FILTER_BODY_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "filter/body_rules.h"
#include "filter/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ALLOW      FILTER_ALLOW, NULL
#define DENY(rule) FILTER_DENY, (rule)
#define BAD(rule)  FILTER_BAD_REQUEST, (rule)

struct body_case {
    const char *body;
    enum filter_decision decision;
    const char *rule; /* NULL: any */
};

/* Judges a copy that ends where its memory ends, so that a sanitizer sees any read beyond. */
static inline struct body_finding judge_body(const struct filter_policy *policy,
                                             enum body_rule_set rules, struct slice body,
                                             struct arena *arena) {
    char *copy = malloc(body.len + 1);
    assert_non_null(copy);
    memmove(copy + 1, body.data, body.len);
    struct body_finding finding =
        body_rules_judge(policy, rules, slice_of(copy + 1, body.len), arena);
    free(copy);
    return finding;
}

/* What every finding promises, whatever it is. */
static inline void assert_well_formed(struct body_finding finding) {
    assert_non_null(finding.rule);
    if (finding.decision == FILTER_ALLOW) {
        assert_null(finding.reason);
        return;
    }
    assert_non_null(finding.reason);
    size_t len = strlen(finding.reason);
    assert_true(len > 10 && len < 500);
    assert_true(finding.reason[len - 1] != '.');
    assert_null(strchr(finding.reason, '\n'));
}

static inline void assert_finding(const struct filter_policy *policy, enum body_rule_set rules,
                                  const char *body, enum filter_decision decision,
                                  const char *rule) {
    struct arena arena = {0};
    struct body_finding finding = judge_body(policy, rules, slice_from_string(body), &arena);
    if (finding.decision != decision || (rule != NULL && strcmp(finding.rule, rule) != 0))
        fail_msg("%s\n  gave %d %s: %s\n  not %d %s", body, (int)finding.decision, finding.rule,
                 finding.reason != NULL ? finding.reason : "-", (int)decision,
                 rule != NULL ? rule : "-");
    assert_well_formed(finding);
    arena_reset(&arena);
}

static inline void assert_cases(const struct filter_policy *policy, enum body_rule_set rules,
                                const struct body_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++)
        assert_finding(policy, rules, cases[i].body, cases[i].decision, cases[i].rule);
}

#endif
