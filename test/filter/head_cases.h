/* What the tests of heads share: a request in a line, and the verdict that it must get. */
#ifndef DIND_PROXY_TEST_FILTER_HEAD_CASES_H
#define DIND_PROXY_TEST_FILTER_HEAD_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "filter/filter.h"

#define SHARED       __attribute__((unused)) static
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MAX_HEADERS = 4 };

/* A request as the tables below write it: header lines "Name: value". */
struct request_spec {
    const char *method;
    const char *target;
    bool body;
    const char *headers[MAX_HEADERS];
};

struct expectation {
    enum filter_decision decision;
    const char *rule;
    enum filter_hijack hijack;
};

SHARED size_t read_headers(const struct request_spec *spec, struct filter_header *headers) {
    size_t count = 0;
    while (count < MAX_HEADERS && spec->headers[count]) {
        const char *line = spec->headers[count];
        size_t colon = strcspn(line, ":");
        headers[count].name = slice_of(line, colon);
        headers[count].value = slice_trim(slice_from_string(line + colon + 1));
        count++;
    }
    return count;
}

SHARED void assert_sound(const struct filter_verdict *verdict) {
    assert_non_null(verdict->rule);
    assert_non_null(verdict->endpoint_class);
    bool passes = verdict->decision == FILTER_ALLOW || verdict->decision == FILTER_NEED_BODY;
    if (passes) {
        assert_null(verdict->reason);
        return;
    }
    assert_int_equal(verdict->hijack, FILTER_HIJACK_NONE);
    assert_non_null(verdict->reason);
    size_t length = strlen(verdict->reason);
    assert_true(length > 0);
    assert_int_not_equal(verdict->reason[length - 1], '.');
    for (size_t i = 0; i < length; i++)
        assert_true(verdict->reason[i] >= ' ' && verdict->reason[i] < 0x7f);
}

SHARED struct filter_policy *make_policy(const struct filter_settings *settings) {
    char error[256] = "";
    struct filter_policy *policy = filter_policy_new(settings, error, sizeof(error));
    if (!policy)
        fail_msg("%s", error);
    return policy;
}

SHARED void check(const struct filter_policy *policy, const struct request_spec *spec,
                  const struct expectation *expected) {
    struct filter_header headers[MAX_HEADERS];
    struct filter_request request = {
        .method = slice_from_string(spec->method),
        .target = slice_from_string(spec->target),
        .headers = headers,
        .header_count = read_headers(spec, headers),
        .may_have_body = spec->body,
    };
    struct arena arena = {0};
    struct filter_verdict verdict = filter_judge_head(policy, &request, &arena);
    print_message("%s %s -> %d %s %s\n", spec->method, spec->target, (int)verdict.decision,
                  verdict.rule, verdict.reason ? verdict.reason : "");
    assert_sound(&verdict);
    assert_int_equal(verdict.decision, expected->decision);
    assert_string_equal(verdict.rule, expected->rule);
    assert_int_equal(verdict.hijack, expected->hijack);
    arena_reset(&arena);
}

struct head_case {
    struct request_spec request;
    struct expectation expected;
};

SHARED void check_all(const struct filter_settings *settings, const struct head_case *cases,
                      size_t count) {
    struct filter_policy *policy = make_policy(settings);
    for (size_t i = 0; i < count; i++)
        check(policy, &cases[i].request, &cases[i].expected);
    filter_policy_free(policy);
}

#define JSON   "Content-Type: application/json"
#define TAR    "Content-Type: application/x-tar"
#define TEXT   "Content-Type: text/plain"
#define FORM   "Content-Type: application/x-www-form-urlencoded"
#define ALLOW_ FILTER_ALLOW
#define BODY_  FILTER_NEED_BODY
#define DENY_  FILTER_DENY
#define BAD_   FILTER_BAD_REQUEST

#endif
