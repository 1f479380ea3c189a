#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "filter/grpc.h"
#include "filter/protobuf.h"
#include "filter/rules.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define CONTROL(name) "/moby.buildkit.v1.Control/" name
#define GATEWAY(name) "/moby.buildkit.v1.frontend.LLBBridge/" name
#define CONTENT_TYPE                                                                               \
    { SLICE("content-type"), SLICE("application/grpc") }

static struct filter_policy *make_policy(struct filter_settings settings) {
    char error[200];
    struct filter_policy *policy = filter_policy_new(&settings, error, sizeof error);
    assert_non_null(policy);
    return policy;
}

/* --- the wire format --- */

static void malformed_fields_are_bad(void **state) {
    (void)state;
    static const struct slice cases[] = {
        SLICE("\x00\x01"),                                         /* field number 0 */
        SLICE("\x08"),                                             /* no value */
        SLICE("\x08\x80"),                                         /* a varint cut short */
        SLICE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),     /* of 65 bits */
        SLICE("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), /* of 11 bytes */
        SLICE("\x88\x80\x80\x80\x10\x01"),                         /* a tag beyond 32 bits */
        SLICE("\x0b\x0c"),                                         /* a group */
        SLICE("\x0e\x00"),
        SLICE("\x0f\x00"),  /* no wire types */
        SLICE("\x0a\x02x"), /* longer than the message */
        SLICE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        SLICE("\x09\x01\x02\x03\x04\x05\x06\x07"), /* fixed64 cut short */
        SLICE("\x0d\x01\x02\x03"),                 /* fixed32 cut short */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct protobuf_reader reader = {.rest = cases[i]};
        struct protobuf_field field;
        while (protobuf_next(&reader, &field))
            ;
        assert_true(reader.bad);
    }
}

static void fields_are_read(void **state) {
    (void)state;
    struct protobuf_reader reader = {
        .rest = SLICE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                      "\x12\x02hi\x1d\x01\x02\x03\x04\x21\x01\x00\x00\x00\x00\x00\x00\x80")};
    struct protobuf_field field;
    assert_true(protobuf_next(&reader, &field));
    assert_true(field.number == 1 && field.value == UINT64_MAX);
    assert_true(protobuf_next(&reader, &field));
    assert_true(field.number == 2 && slice_equal(field.bytes, SLICE("hi")));
    assert_true(protobuf_next(&reader, &field));
    assert_true(field.number == 3 && field.value == 0x04030201);
    assert_true(protobuf_next(&reader, &field));
    assert_true(field.number == 4 && field.value == UINT64_C(0x8000000000000001));
    assert_false(protobuf_next(&reader, &field));
    assert_false(reader.bad);
}

/* --- heads --- */

static void methods_are_judged_by_the_table(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum filter_decision blocklist, allowlist;
    } cases[] = {
        {CONTROL("Info"), FILTER_ALLOW, FILTER_ALLOW},
        {CONTROL("Status"), FILTER_ALLOW, FILTER_ALLOW},
        {CONTROL("Session"), FILTER_ALLOW, FILTER_ALLOW},
        {CONTROL("Solve"), FILTER_NEED_BODY, FILTER_NEED_BODY},
        {GATEWAY("Solve"), FILTER_NEED_BODY, FILTER_NEED_BODY},
        {CONTROL("Prune"), FILTER_ALLOW, FILTER_DENY},
        {CONTROL("solve"), FILTER_DENY, FILTER_DENY},
        {CONTROL("Solve/"), FILTER_DENY, FILTER_DENY},
        {"/" CONTROL("Solve"), FILTER_DENY, FILTER_DENY},
        {CONTROL("Sol%76e"), FILTER_DENY, FILTER_DENY},
        {GATEWAY("NewContainer"), FILTER_NEED_BODY, FILTER_NEED_BODY},
        {GATEWAY("ReleaseContainer"), FILTER_ALLOW, FILTER_ALLOW},
        {GATEWAY("StatFileContainer"), FILTER_ALLOW, FILTER_ALLOW},
        {"/grpc.health.v1.Health/List", FILTER_ALLOW, FILTER_ALLOW},
        {GATEWAY("ExecProcess"), FILTER_DENY, FILTER_DENY},
        {"/containerd.services.content.v1.Content/Delete", FILTER_DENY, FILTER_DENY},
        {"/containerd.services.containers.v1.Containers/Create", FILTER_DENY, FILTER_DENY},
        {"/", FILTER_DENY, FILTER_DENY},
    };
    static const struct filter_header headers[] = {CONTENT_TYPE};
    for (int preset = FILTER_BLOCKLIST; preset <= FILTER_ALLOWLIST; preset++) {
        struct filter_policy *policy =
            make_policy((struct filter_settings){.preset = (enum filter_preset)preset});
        for (size_t i = 0; i < COUNT(cases); i++) {
            struct arena arena = {0};
            struct grpc_verdict verdict = grpc_judge_head(policy, slice_from_string(cases[i].path),
                                                          headers, COUNT(headers), &arena);
            assert_int_equal(verdict.decision,
                             preset == FILTER_BLOCKLIST ? cases[i].blocklist : cases[i].allowlist);
            assert_true((verdict.decision == FILTER_DENY) == (verdict.reason != NULL));
            arena_reset(&arena);
        }
        filter_policy_free(policy);
    }
}

static void headers_are_judged(void **state) {
    (void)state;
    struct filter_policy *policy =
        make_policy((struct filter_settings){.session_deny = FILTER_SESSION_SSH});
    static const struct filter_header none[] = {{SLICE("te"), SLICE("trailers")}};
    static const struct filter_header json[] = {
        {SLICE("content-type"), SLICE("application/grpc+json")}};
    static const struct filter_header twice[] = {CONTENT_TYPE, CONTENT_TYPE};
    static const struct filter_header ssh[] = {CONTENT_TYPE,
                                               {SLICE("x-docker-expose-session-grpc-method"),
                                                SLICE("/moby.sshforward.v1.SSH/CheckAgent")}};
    static const struct {
        const struct filter_header *headers;
        size_t count;
    } cases[] = {{none, 1}, {json, 1}, {twice, 2}, {ssh, 2}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        assert_int_equal(grpc_judge_head(policy, SLICE(CONTROL("Session")), cases[i].headers,
                                         cases[i].count, &arena)
                             .decision,
                         FILTER_DENY);
        arena_reset(&arena);
    }
    filter_policy_free(policy);
}

/* --- messages --- */

struct message_case {
    const char *path;
    struct slice message;
    enum filter_decision decision;
    const char *rule;
};

static void check(struct filter_policy *policy, const struct message_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct arena arena = {0};
        struct grpc_verdict verdict =
            grpc_judge_message(policy, slice_from_string(cases[i].path), cases[i].message, &arena);
        if (verdict.decision != cases[i].decision)
            print_error("case %zu: %s: %s\n", i, verdict.rule, verdict.reason);
        assert_int_equal(verdict.decision, cases[i].decision);
        if (cases[i].rule != NULL)
            assert_string_equal(verdict.rule, cases[i].rule);
        arena_reset(&arena);
    }
}

static void ownership_needs_eyes(void **state) {
    (void)state;
    char error[300];
    assert_null(filter_policy_new(
        &(struct filter_settings){.ownership = true, .buildkit = FILTER_BUILDKIT_OPAQUE}, error,
        sizeof error));
    assert_non_null(strstr(error, "ownership"));
}

static void builds_are_judged(void **state) {
    (void)state;
    /* Field 7 (FrontendAttrs) of Control/Solve, 3 (FrontendOpt) of LLBBridge/Solve: entries. */
    static const struct message_case cases[] = {
        {CONTROL("Solve"), SLICE(""), FILTER_ALLOW, NULL},
        {CONTROL("Solve"),
         SLICE("\x0a\x01r\x2a\x01s\x32\x0d"
               "dockerfile.v0"),
         FILTER_ALLOW, NULL},
        {CONTROL("Solve"), SLICE("\x32\x05other"), FILTER_DENY, "buildkit.frontend"},
        {CONTROL("Solve"), SLICE("\x4a\x0cnetwork.host"), FILTER_DENY, "buildkit.entitlement"},
        {CONTROL("Solve"), SLICE("\x4a\x11security.insecure"), FILTER_DENY, "buildkit.entitlement"},
        {CONTROL("Solve"),
         SLICE("\x4a\x06"
               "device"),
         FILTER_DENY, "buildkit.entitlement"},
        {CONTROL("Solve"), SLICE("\x4a\x03new"), FILTER_DENY, "buildkit.entitlement"},
        /* force-network-mode */
        {CONTROL("Solve"),
         SLICE("\x3a\x1a\x0a\x12"
               "force-network-mode\x12\x04host"),
         FILTER_DENY, "buildkit.network"},
        {CONTROL("Solve"),
         SLICE("\x3a\x1a\x12\x04host\x0a\x12"
               "force-network-mode"),
         FILTER_DENY, "buildkit.network"},
        {CONTROL("Solve"),
         SLICE("\x3a\x1a\x0a\x12"
               "force-network-mode\x12\x04none"),
         FILTER_ALLOW, NULL},
        {GATEWAY("Solve"),
         SLICE("\x1a\x1a\x0a\x12"
               "force-network-mode\x12\x04host"),
         FILTER_DENY, "buildkit.network"},
        {CONTROL("Solve"),
         SLICE("\x3a\x12\x0a\x0d"
               "cgroup-parent\x12\x01/"),
         FILTER_DENY, "buildkit.cgroup-parent"},
        {CONTROL("Solve"),
         SLICE("\x3a\x15\x0a\x07"
               "context\x12\x0ahttp://a/b"),
         FILTER_DENY, "buildkit.remote"},
        {CONTROL("Solve"),
         SLICE("\x3a\x25\x0a\x07"
               "context\x12\x1ahttp://buildkit-session/ab"),
         FILTER_ALLOW, NULL},
        {CONTROL("Solve"),
         SLICE("\x3a\x15\x0a\x09"
               "context:x\x12\x08git@a:/b"),
         FILTER_DENY, "buildkit.remote"},
        {CONTROL("Solve"),
         SLICE("\x3a\x14\x0a\x09"
               "context:x\x12\x07local:x"),
         FILTER_ALLOW, NULL},
        /* An entry with its key twice, or a third field. */
        {CONTROL("Solve"), SLICE("\x3a\x06\x0a\x01x\x0a\x01y"), FILTER_BAD_REQUEST, NULL},
        {CONTROL("Solve"), SLICE("\x3a\x03\x1a\x01x"), FILTER_BAD_REQUEST, NULL},
        /* Singular fields twice, another wire type, an unknown field, a torn one. */
        {CONTROL("Solve"), SLICE("\x12\x00\x12\x00"), FILTER_BAD_REQUEST, "grpc.message"},
        {CONTROL("Solve"), SLICE("\x32\x00\x32\x00"), FILTER_BAD_REQUEST, "grpc.message"},
        {CONTROL("Solve"), SLICE("\x48\x01"), FILTER_BAD_REQUEST, "grpc.message"},
        {CONTROL("Solve"), SLICE("\x90\x01\x00"), FILTER_DENY, "grpc.unknown-field"},
        {CONTROL("Solve"), SLICE("\x0a\x05r"), FILTER_BAD_REQUEST, "grpc.message"},
        /* Exporters and caches. */
        {CONTROL("Solve"), SLICE("\x6a\x07\x0a\x05local"), FILTER_ALLOW, NULL},
        {CONTROL("Solve"), SLICE("\x6a\x05\x0a\x03odd"), FILTER_DENY, "buildkit.exporter"},
        {CONTROL("Solve"), SLICE("\x42\x06\x2a\x04\x0a\x02s3"), FILTER_DENY, "buildkit.cache"},
        {CONTROL("Solve"), SLICE("\x42\x0c\x22\x0a\x0a\x08registry"), FILTER_ALLOW, NULL},
        {GATEWAY("Solve"), SLICE("\x62\x04\x0a\x02s3"), FILTER_DENY, "buildkit.cache"},
        /* A method whose messages are not judged. */
        {CONTROL("Info"), SLICE(""), FILTER_DENY, "grpc.method"},
    };
    struct filter_policy *policy = make_policy((struct filter_settings){0});
    check(policy, cases, COUNT(cases));
    filter_policy_free(policy);

    static const struct message_case source[] = {{CONTROL("Solve"),
                                                  SLICE("\x3a\x0b\x0a\x06source\x12\x01i"),
                                                  FILTER_DENY, "buildkit.frontend-source"}};
    policy = make_policy(
        (struct filter_settings){.preset = FILTER_ALLOWLIST, .build = {.deny_frontends = true}});
    check(policy, source, 1);
    filter_policy_free(policy);
}

/* Graphs: Definition.def (1) of Op, with ExecOp (2) in it; in the gateway's Solve it is field 1. */
static void steps_are_judged(void **state) {
    (void)state;
    static const struct message_case cases[] = {
        {GATEWAY("Solve"), SLICE("\x0a\x06\x0a\x04\x12\x02\x18\x00"), FILTER_ALLOW, NULL},
        {GATEWAY("Solve"), SLICE("\x0a\x06\x0a\x04\x12\x02\x18\x02"), FILTER_ALLOW, NULL},
        {GATEWAY("Solve"), SLICE("\x0a\x06\x0a\x04\x12\x02\x18\x01"), FILTER_DENY,
         "buildkit.exec-network"},
        /* 2^32 + 1, which Go truncates to 1, and 2^32 + 0. */
        {GATEWAY("Solve"), SLICE("\x0a\x0a\x0a\x08\x12\x06\x18\x81\x80\x80\x80\x10"), FILTER_DENY,
         "buildkit.exec-network"},
        {GATEWAY("Solve"), SLICE("\x0a\x06\x0a\x04\x12\x02\x20\x01"), FILTER_DENY,
         "buildkit.exec-security"},
        {GATEWAY("Solve"), SLICE("\x0a\x08\x0a\x06\x12\x04\x32\x02\x0a\x00"), FILTER_DENY,
         "buildkit.exec-device"},
        {GATEWAY("Solve"), SLICE("\x0a\x09\x0a\x07\x12\x05\x0a\x03\x52\x01/"), FILTER_DENY,
         "buildkit.cgroup-parent"},
        {GATEWAY("Solve"), SLICE("\x0a\x04\x0a\x02\x2a\x00"), FILTER_DENY, "buildkit.nested-build"},
        /* Network twice: the last would win. */
        {GATEWAY("Solve"), SLICE("\x0a\x08\x0a\x06\x12\x04\x18\x00\x18\x01"), FILTER_BAD_REQUEST,
         "grpc.message"},
        /* Exec twice: Go would merge, or let the last win. */
        {GATEWAY("Solve"), SLICE("\x0a\x06\x0a\x04\x12\x00\x12\x00"), FILTER_BAD_REQUEST, NULL},
        /* The second step of a graph; Control's Definition and its FrontendInputs. */
        {GATEWAY("Solve"), SLICE("\x0a\x08\x0a\x00\x0a\x04\x12\x02\x20\x01"), FILTER_DENY, NULL},
        {CONTROL("Solve"), SLICE("\x12\x06\x0a\x04\x12\x02\x18\x01"), FILTER_DENY,
         "buildkit.exec-network"},
        {CONTROL("Solve"), SLICE("\x52\x0b\x0a\x01k\x12\x06\x0a\x04\x12\x02\x18\x01"), FILTER_DENY,
         "buildkit.exec-network"},
        {GATEWAY("Solve"), SLICE("\x6a\x0b\x0a\x01k\x12\x06\x0a\x04\x12\x02\x20\x01"), FILTER_DENY,
         "buildkit.exec-security"},
    };
    struct filter_policy *policy = make_policy((struct filter_settings){0});
    check(policy, cases, COUNT(cases));
    filter_policy_free(policy);
}

static void what_a_policy_denies_is_denied_in_grpc_too(void **state) {
    (void)state;
    static const struct {
        const char *policy, *path;
        enum filter_decision decision;
    } cases[] = {
        {"{\"schema\":1}", CONTROL("Prune"), FILTER_ALLOW},
        {"{\"schema\":1,\"endpoints\":{\"deny\":[\"POST /build/prune\"]}}", CONTROL("Prune"),
         FILTER_DENY},
        {"{\"schema\":1,\"endpoints\":{\"deny\":[\"POST /build/prune\"]}}", CONTROL("DiskUsage"),
         FILTER_ALLOW},
        {"{\"schema\":1,\"endpoints\":{\"deny\":[\"GET /system/*\"]}}", CONTROL("DiskUsage"),
         FILTER_DENY},
    };
    const struct filter_header headers[] = {CONTENT_TYPE};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char error[200];
        struct arena arena = {0};
        struct filter_rules *rules =
            filter_rules_parse(slice_from_string(cases[i].policy), "p", error, sizeof error);
        assert_non_null(rules);
        struct grpc_verdict verdict =
            grpc_judge_head(filter_rules_find(rules, NULL)->policy,
                            slice_from_string(cases[i].path), headers, COUNT(headers), &arena);
        assert_int_equal(verdict.decision, cases[i].decision);
        arena_reset(&arena);
        filter_rules_free(rules);
    }
}

/* BuildHistoryRequest: Ref is field 2. */
static void a_list_of_builds_is_not_for_clients_with_ownership(void **state) {
    (void)state;
    static const struct message_case cases[] = {
        {CONTROL("ListenBuildHistory"), SLICE(""), FILTER_BAD_REQUEST, "buildkit.history"},
        {CONTROL("ListenBuildHistory"), SLICE("\x08\x01\x18\x01"), FILTER_BAD_REQUEST,
         "buildkit.history"},
        {CONTROL("ListenBuildHistory"), SLICE("\x12\x00"), FILTER_BAD_REQUEST, "buildkit.history"},
        {CONTROL("ListenBuildHistory"), SLICE("\x12\x03ref\x18\x01"), FILTER_ALLOW, NULL},
        /* The last would win, and be empty. */
        {CONTROL("ListenBuildHistory"), SLICE("\x12\x03ref\x12\x00"), FILTER_BAD_REQUEST, NULL},
        {CONTROL("ListenBuildHistory"), SLICE("\x12\x03ref\x30\x01"), FILTER_DENY,
         "grpc.unknown-field"},
    };
    static const struct filter_header headers[] = {CONTENT_TYPE};
    for (int ownership = 0; ownership <= 1; ownership++) {
        struct arena arena = {0};
        struct filter_policy *policy =
            make_policy((struct filter_settings){.ownership = ownership == 1});
        assert_int_equal(grpc_judge_head(policy, SLICE(CONTROL("ListenBuildHistory")), headers,
                                         COUNT(headers), &arena)
                             .decision,
                         ownership ? FILTER_NEED_BODY : FILTER_ALLOW);
        if (ownership)
            check(policy, cases, COUNT(cases));
        arena_reset(&arena);
        filter_policy_free(policy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_policy_denies_is_denied_in_grpc_too),
        cmocka_unit_test(malformed_fields_are_bad),
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(methods_are_judged_by_the_table),
        cmocka_unit_test(headers_are_judged),
        cmocka_unit_test(ownership_needs_eyes),
        cmocka_unit_test(builds_are_judged),
        cmocka_unit_test(steps_are_judged),
        cmocka_unit_test(a_list_of_builds_is_not_for_clients_with_ownership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
