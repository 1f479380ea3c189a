#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/learn.h"

static void note(void *context, const char *key, struct slice value) {
    size_t *count = context;
    assert_true(strlen(key) > 0 && value.len > 0);
    ++*count;
}

static struct filter_request request_of(const char *method, const char *target, const char *body) {
    static const struct filter_header json = {.name = SLICE("Content-Type"),
                                              .value = SLICE("application/json")};
    return (struct filter_request){.method = slice_from_string(method),
                                   .target = slice_from_string(target),
                                   .headers = &json,
                                   .header_count = body != NULL ? 1 : 0,
                                   .may_have_body = body != NULL};
}

static struct slice body_of(const char *body) {
    return body != NULL ? slice_from_string(body) : slice_of(NULL, 0);
}

/* Learns a request that must be learnable; returns how much was added. */
static size_t learn_it(struct learn *learn, const char *method, const char *target,
                       const char *body) {
    struct filter_request request = request_of(method, target, body);
    struct arena arena = {0};
    size_t told = 0;
    struct learn_result result = learn_request(learn, &request, body_of(body), &arena, note, &told);
    if (result.rule != NULL)
        fail_msg("%s %s: %s: %s", method, target, result.rule, result.reason);
    assert_int_equal(result.added, told);
    arena_reset(&arena);
    return result.added;
}

static bool passes(const struct filter_rules *rules, const char *method, const char *target,
                   const char *body) {
    const struct filter_policy *policy = filter_rules_find(rules, NULL)->policy;
    struct filter_request request = request_of(method, target, body);
    struct arena arena = {0};
    struct filter_verdict verdict = filter_judge_head(policy, &request, &arena);
    if (verdict.decision == FILTER_NEED_BODY)
        verdict = filter_judge_body(policy, &request, body_of(body), &arena);
    arena_reset(&arena);
    return verdict.decision == FILTER_ALLOW;
}

static struct learn *begin(void) {
    char error[256];
    struct learn *learn = learn_new(error, sizeof error);
    assert_non_null(learn);
    return learn;
}

static void it_begins_with_nothing(void **state) {
    (void)state;
    struct learn *learn = begin();
    size_t length = 0;
    char *text = learn_text(learn, &length);
    assert_non_null(text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "{\n"
                              "  \"schema\": 1,\n"
                              "  \"preset\": \"allowlist\",\n"
                              "  \"endpoints\": {\n    \"only\": []\n  },\n"
                              "  \"create\": {\n    \"images\": []\n  },\n"
                              "  \"images\": {\n    \"pull\": [],\n    \"push\": []\n  },\n"
                              "  \"exec\": {\n    \"commands\": []\n  },\n"
                              "  \"build\": {\n    \"add-hosts\": false,\n"
                              "    \"outputs\": false,\n    \"cache-imports\": false,\n"
                              "    \"cache-exports\": false,\n    \"frontends\": false\n  }\n"
                              "}\n");
    free(text);
    char error[256];
    struct filter_rules *rules = learn_rules(learn, error, sizeof error);
    assert_non_null(rules);
    assert_false(passes(rules, "GET", "/_ping", NULL));
    filter_rules_free(rules);
    learn_free(learn);
}

static const struct {
    const char *method, *target, *body;
} traffic[] = {
    {"GET", "/_ping", NULL},
    {"HEAD", "/_ping", NULL},
    {"POST", "/v1.41/images/create?fromImage=alpine&tag=3.19", NULL},
    {"POST", "/v1.41/containers/create?name=a",
     "{\"Image\":\"alpine:3.19\",\"HostConfig\":{\"CapAdd\":[\"NET_ADMIN\",\"SYS_TIME\"],"
     "\"Binds\":[\"/srv/x:/x:ro\",\"/srv/y:/y\"],\"NetworkMode\":\"host\"}}"},
    {"POST", "/v1.41/containers/create",
     "{\"Image\":\"base:1\",\"HostConfig\":{\"Privileged\":true}}"},
    {"POST", "/v1.41/containers/abc/start", NULL},
    {"POST", "/v1.41/containers/abc/exec", "{\"Cmd\":[\"sh\",\"-c\",\"echo \\\"x\\\"\"]}"},
    {"POST", "/v1.41/grpc", NULL},
    {"DELETE", "/v1.41/containers/abc?force=1", NULL},
};
enum { TRAFFIC = sizeof traffic / sizeof *traffic };

/* What was learned passes, nothing is learned twice, and nothing else passes. */
static void what_was_learned_passes_and_nothing_else(void **state) {
    (void)state;
    struct learn *learn = begin();
    for (size_t i = 0; i < TRAFFIC; i++)
        assert_true(learn_it(learn, traffic[i].method, traffic[i].target, traffic[i].body) > 0 ||
                    strcmp(traffic[i].method, "HEAD") == 0);
    for (size_t i = 0; i < TRAFFIC; i++)
        assert_int_equal(learn_it(learn, traffic[i].method, traffic[i].target, traffic[i].body), 0);

    size_t length = 0;
    char *text = learn_text(learn, &length);
    char error[256];
    struct filter_rules *rules =
        filter_rules_parse(slice_of(text, length), "x", error, sizeof error);
    assert_non_null(rules);
    free(text);
    for (size_t i = 0; i < TRAFFIC; i++)
        assert_true(passes(rules, traffic[i].method, traffic[i].target, traffic[i].body));
    assert_false(passes(rules, "GET", "/info", NULL));
    assert_false(passes(rules, "POST", "/containers/create", "{\"Image\":\"other\"}"));
    assert_false(passes(rules, "POST", "/containers/create",
                        "{\"Image\":\"base:1\",\"HostConfig\":{\"CapAdd\":[\"SYS_ADMIN\"]}}"));
    assert_false(passes(rules, "POST", "/containers/create",
                        "{\"Image\":\"base:1\",\"HostConfig\":{\"Binds\":[\"/srv/x:/x\"]}}"));
    assert_false(passes(rules, "POST", "/containers/a/exec", "{\"Cmd\":[\"sh\"]}"));
    assert_false(passes(rules, "POST", "/images/create?fromImage=alpine&tag=3.20", NULL));
    filter_rules_free(rules);
    learn_free(learn);
}

static void what_no_key_opens_is_said(void **state) {
    (void)state;
    static const struct {
        const char *method, *target, *body;
    } cases[] = {
        {"POST", "/v1.41/nothing/known", NULL},
        {"POST", "/v1.41/containers/create", "{\"Image\":\"a\",\"image\":\"b\"}"},
        {"GET", "/v1.41//info", NULL},
        /* A star in a policy is a pattern, and "**" alone is any command. */
        {"POST", "/v1.41/containers/a/exec", "{\"Cmd\":[\"**\"]}"},
        {"POST", "/v1.41/containers/a/exec", "{\"Cmd\":[\"sh\",\"-c\",\"ls *\"]}"},
        {"POST", "/v1.41/containers/create",
         "{\"Image\":\"base:1\",\"HostConfig\":{\"VolumeDriver\":\"x\"}}"},
    };
    struct learn *learn = begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct filter_request request = request_of(cases[i].method, cases[i].target, cases[i].body);
        struct arena arena = {0};
        size_t told = 0;
        struct learn_result result =
            learn_request(learn, &request, body_of(cases[i].body), &arena, note, &told);
        assert_non_null(result.rule);
        assert_non_null(result.reason);
        assert_int_equal(result.added, told);
        arena_reset(&arena);
    }
    learn_free(learn);
}

/* A build in /grpc that wants the host's network and a frontend image of its own: protobuf, the
 * fields FrontendAttrs (7) and Entitlements (9) of Control/Solve. */
static void what_builds_need_is_learned(void **state) {
    (void)state;
    static const char solve[] = "\x3a\x0d\x0a\x06source\x12\x03"
                                "a/b"
                                "\x4a\x0cnetwork.host";
    const struct grpc_call call = {
        .path = SLICE("/moby.buildkit.v1.Control/Solve"),
        .message = slice_of(solve, sizeof solve - 1),
        .has_message = true,
    };
    struct learn *learn = begin();
    struct arena arena = {0};
    size_t told = 0;
    size_t length = 0;
    struct learn_result result = learn_call(learn, &call, &arena, note, &told);
    assert_null(result.rule);
    assert_int_equal(told, 2);
    assert_int_equal(learn_call(learn, &call, &arena, note, &told).added, 0);
    char *text = learn_text(learn, &length);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"network-host\": true"));
    assert_non_null(strstr(text, "\"frontends\": true"));
    assert_null(strstr(text, "insecure"));
    free(text);
    arena_reset(&arena);
    learn_free(learn);
}

/* What builds may do by default is not learned before one has done it. */
static void what_no_build_did_is_closed(void **state) {
    (void)state;
    static const struct {
        const char *target, *key;
    } cases[] = {
        {"/v1.41/build?extrahosts=a:10.0.0.1", "\"add-hosts\": true"},
        {"/v1.41/build?version=2&outputs=[{\"Type\":\"tar\",\"Attrs\":{}}]", "\"outputs\": true"},
        {"/v1.41/build?cachefrom=[\"a\"]", "\"cache-imports\": true"},
        {"/v1.41/build?buildargs={\"BUILDKIT_SYNTAX\":\"a/b\"}", "\"frontends\": true"},
    };
    struct learn *learn = begin();
    assert_int_equal(learn_it(learn, "POST", "/v1.41/build?t=a", NULL), 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[256];
        size_t length = 0;
        struct filter_rules *rules = learn_rules(learn, error, sizeof error);
        assert_non_null(rules);
        assert_true(passes(rules, "POST", "/v1.41/build?t=a", NULL));
        assert_false(passes(rules, "POST", cases[i].target, NULL));
        filter_rules_free(rules);
        assert_int_equal(learn_it(learn, "POST", cases[i].target, NULL), 1);
        char *text = learn_text(learn, &length);
        assert_non_null(text);
        assert_non_null(strstr(text, cases[i].key));
        free(text);
    }
    learn_free(learn);
}

/* However many different things come, the policy has a bound, and stays one. */
static void it_is_bounded(void **state) {
    (void)state;
    struct learn *learn = begin();
    size_t refused = 0;
    size_t told = 0;
    for (unsigned i = 0; i < LEARN_MAX_ITEMS + 20; i++) {
        char target[100];
        (void)snprintf(target, sizeof target, "/images/create?fromImage=image-%u&tag=1", i);
        struct filter_request request = request_of("POST", target, NULL);
        struct arena arena = {0};
        refused += learn_request(learn, &request, body_of(NULL), &arena, note, &told).rule != NULL;
        arena_reset(&arena);
    }
    assert_int_equal(told, LEARN_MAX_ITEMS);
    assert_int_equal(refused, 21); /* one item is the route */
    char error[256];
    struct filter_rules *rules = learn_rules(learn, error, sizeof error);
    assert_non_null(rules);
    assert_true(passes(rules, "POST", "/images/create?fromImage=image-7&tag=1", NULL));
    filter_rules_free(rules);
    learn_free(learn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_with_nothing),
        cmocka_unit_test(what_was_learned_passes_and_nothing_else),
        cmocka_unit_test(what_no_key_opens_is_said),
        cmocka_unit_test(what_builds_need_is_learned),
        cmocka_unit_test(what_no_build_did_is_closed),
        cmocka_unit_test(it_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
