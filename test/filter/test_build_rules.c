/* What a policy says of builds holds for each way of asking: a call in /grpc and the query of
 * /build. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "filter/grpc.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define SOLVE         "/moby.buildkit.v1.Control/Solve"
#define GATEWAY_SOLVE "/moby.buildkit.v1.frontend.LLBBridge/Solve"
#define CONTAINER     "/moby.buildkit.v1.frontend.LLBBridge/NewContainer"

/* --- messages, written down: a field is a number and a string, or bytes of others --- */

struct text {
    char data[1024];
    size_t len;
};

static void put(struct text *text, const void *data, size_t len) {
    assert_true(text->len + len <= sizeof text->data);
    memcpy(text->data + text->len, data, len);
    text->len += len;
}

static void put_varint(struct text *text, uint64_t value) {
    do {
        unsigned char byte = (unsigned char)((value & 0x7f) | (value >= 0x80 ? 0x80 : 0));
        put(text, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static struct text number(unsigned field, uint64_t value) {
    struct text text = {.len = 0};
    put_varint(&text, field << 3);
    put_varint(&text, value);
    return text;
}

static struct text bytes(unsigned field, struct text inner) {
    struct text text = {.len = 0};
    put_varint(&text, field << 3 | 2);
    put_varint(&text, inner.len);
    put(&text, inner.data, inner.len);
    return text;
}

static struct text string(unsigned field, const char *value) {
    struct text inner = {.len = 0};
    put(&inner, value, strlen(value));
    return bytes(field, inner);
}

static struct text both(struct text a, struct text b) {
    put(&a, b.data, b.len);
    return a;
}

/* An entry of a map. */
static struct text pair(unsigned field, const char *key, const char *value) {
    return bytes(field, both(string(1, key), string(2, value)));
}

/* --- judging --- */

static struct filter_policy *policy_of(enum filter_preset preset, struct filter_build build) {
    char error[200];
    const struct filter_settings settings = {
        .preset = preset, .buildkit = FILTER_BUILDKIT_INSPECT, .build = build};
    struct filter_policy *policy = filter_policy_new(&settings, error, sizeof error);
    assert_non_null(policy);
    return policy;
}

/* NULL: allowed. Gives the key that would lift the refusal. */
static const char *expect(const struct filter_policy *policy, const char *path, struct text message,
                          const char *rule) {
    struct arena arena = {0};
    struct grpc_verdict verdict = grpc_judge_message(policy, slice_from_string(path),
                                                     slice_of(message.data, message.len), &arena);
    if (rule == NULL) {
        if (verdict.decision != FILTER_ALLOW)
            print_error("%s: %s\n", verdict.rule, verdict.reason);
        assert_int_equal(verdict.decision, FILTER_ALLOW);
    } else {
        assert_int_not_equal(verdict.decision, FILTER_ALLOW);
        assert_string_equal(verdict.rule, rule);
        assert_non_null(verdict.reason);
    }
    arena_reset(&arena);
    return verdict.remedy.key;
}

/* A policy that a remedy was applied to. */
static struct filter_build remedied(struct filter_build build, const char *key) {
    const struct {
        const char *key;
        bool *flag;
        bool value;
    } keys[] = {
        {"build.network-host", &build.network_host, true},
        {"build.insecure", &build.insecure, true},
        {"build.remote-contexts", &build.remote_contexts, true},
        {"build.add-hosts", &build.deny_add_hosts, false},
        {"build.outputs", &build.deny_outputs, false},
        {"build.cache-imports", &build.deny_cache_imports, false},
        {"build.cache-exports", &build.deny_cache_exports, false},
        {"build.frontends", &build.deny_frontends, false},
    };
    assert_non_null(key);
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (strcmp(key, keys[i].key) == 0) {
            *keys[i].flag = keys[i].value;
            return build;
        }
    }
    fail_msg("no such key: %s", key);
    return build;
}

/* The message is allowed by a policy of `allowing`, and refused by the rule under the other, until
 * the key that the refusal names is in it. */
static void differ(const char *path, struct text message, struct filter_build allowing,
                   struct filter_build refusing, const char *rule) {
    struct filter_policy *allows = policy_of(FILTER_BLOCKLIST, allowing);
    struct filter_policy *refuses = policy_of(FILTER_BLOCKLIST, refusing);
    expect(allows, path, message, NULL);
    const char *key = expect(refuses, path, message, rule);
    filter_policy_free(allows);
    filter_policy_free(refuses);
    allows = policy_of(FILTER_BLOCKLIST, remedied(refusing, key));
    expect(allows, path, message, NULL);
    filter_policy_free(allows);
}

/* By an attribute, in Control's Solve and in the gateway's alike. */
static void differ_by_attribute(const char *key, const char *value, struct filter_build allowing,
                                struct filter_build refusing, const char *rule) {
    differ(SOLVE, pair(7, key, value), allowing, refusing, rule);
    differ(GATEWAY_SOLVE, pair(3, key, value), allowing, refusing, rule);
}

static const char *expect_query(const struct filter_policy *policy, const char *target,
                                const char *rule) {
    static const struct filter_header headers[] = {
        {SLICE("Content-Type"), SLICE("application/x-tar")}};
    const struct filter_request request = {.method = SLICE("POST"),
                                           .target = slice_from_string(target),
                                           .headers = headers,
                                           .header_count = COUNT(headers),
                                           .may_have_body = true};
    struct arena arena = {0};
    struct filter_verdict verdict = filter_judge_head(policy, &request, &arena);
    if (rule == NULL) {
        assert_int_equal(verdict.decision, FILTER_ALLOW);
    } else {
        assert_int_equal(verdict.decision, FILTER_DENY);
        assert_string_equal(verdict.rule, rule);
    }
    arena_reset(&arena);
    return verdict.remedy.key;
}

static void differ_by_query(const char *target, struct filter_build allowing,
                            struct filter_build refusing, const char *rule) {
    struct filter_policy *allows = policy_of(FILTER_BLOCKLIST, allowing);
    struct filter_policy *refuses = policy_of(FILTER_BLOCKLIST, refusing);
    expect_query(allows, target, NULL);
    const char *key = expect_query(refuses, target, rule);
    filter_policy_free(allows);
    filter_policy_free(refuses);
    allows = policy_of(FILTER_BLOCKLIST, remedied(refusing, key));
    expect_query(allows, target, NULL);
    filter_policy_free(allows);
}

/* A graph (of Control's Solve, field 2) of one step that is an ExecOp. */
static struct text step(struct text exec) {
    return bytes(2, bytes(1, bytes(2, exec)));
}

static const struct filter_build none = {0};

static void networks_of_the_host(void **state) {
    (void)state;
    const struct filter_build open = {.network_host = true};
    differ(SOLVE, string(9, "network.host"), open, none, "buildkit.entitlement");
    differ_by_attribute("force-network-mode", "host", open, none, "buildkit.network");
    differ(SOLVE, step(number(3, 1)), open, none, "buildkit.exec-network");
    differ(CONTAINER, number(3, 1), open, none, "buildkit.exec-network");
    differ(SOLVE, number(17, 1), open, none, "buildkit.proxy-network");
    differ(SOLVE, number(17, UINT64_C(1) << 32), open, none, "buildkit.proxy-network");
    differ_by_query("/build?networkmode=host", open, none, "build.networkmode");

    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, open);
    expect(policy, SOLVE, string(9, "security.insecure"), "buildkit.entitlement");
    assert_null(expect(policy, SOLVE, string(9, "network.hos"), "buildkit.entitlement"));
    assert_null(expect(policy, SOLVE, step(number(3, 3)), "buildkit.exec-network"));
    expect(policy, SOLVE, step(number(3, (UINT64_C(1) << 32) + 1)), "buildkit.exec-network");
    expect(policy, SOLVE, pair(7, "force-network-mode", "Host"), "buildkit.network");
    assert_null(expect_query(policy, "/build?networkmode=container:a", "build.networkmode"));
    filter_policy_free(policy);
}

static void insecure_steps(void **state) {
    (void)state;
    const struct filter_build open = {.insecure = true};
    differ(SOLVE, string(9, "security.insecure"), open, none, "buildkit.entitlement");
    differ(SOLVE, step(number(4, 1)), open, none, "buildkit.exec-security");
    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, open);
    expect(policy, SOLVE, step(number(4, 2)), "buildkit.exec-security");
    expect(policy, SOLVE, string(9, "device"), "buildkit.entitlement");
    expect(policy, SOLVE, string(9, "device=vendor.com/gpu=all"), "buildkit.entitlement");
    expect(policy, SOLVE, step(bytes(6, string(1, "vendor.com/gpu=all"))), "buildkit.exec-device");
    expect_query(policy, "/build?securityopt=seccomp=unconfined", "build.securityopt");
    filter_policy_free(policy);
}

/* A graph in FrontendInputs (Control 10, gateway 13): an entry of one with these operations. */
static struct text input(unsigned field, struct text ops) {
    return bytes(field, both(string(1, "context"), bytes(2, ops)));
}

static struct text source(const char *identifier) {
    return bytes(1, bytes(3, string(1, identifier)));
}

/* SourcePolicy (Control 12): a rule that turns a source into another. */
static struct text converts(const char *identifier) {
    return bytes(12, bytes(2, both(number(1, 2), both(bytes(2, string(1, "docker-image://a")),
                                                      bytes(3, string(1, identifier))))));
}

static void contexts_that_the_engine_fetches(void **state) {
    (void)state;
    const struct filter_build open = {.remote_contexts = true};
    static const char *const urls[] = {"https://example.org/x.git", "git@example.org:x",
                                       "http://buildkit-session/x.git",
                                       "http://buildkit-session/../x", "ssh://git@example.org/x"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        differ_by_attribute("context", urls[i], open, none, "buildkit.remote");
        differ_by_attribute("context:other", urls[i], open, none, "buildkit.remote");
    }
    differ_by_attribute("contextkey", "other", open, none, "buildkit.remote");
    differ_by_attribute("contextkey", "", open, none, "buildkit.remote");
    differ_by_query("/build?remote=https://example.org/x.git", open, none, "build.remote");

    struct text git = source("git://example.org/x.git");
    struct text last = bytes(1, bytes(1, string(1, "sha256:0")));
    struct text copy = bytes(1, bytes(4, bytes(2, number(1, 0))));
    differ(SOLVE, input(10, both(git, last)), open, none, "buildkit.remote");
    differ(GATEWAY_SOLVE, input(13, both(last, git)), open, none, "buildkit.remote");
    differ(SOLVE, converts("https://example.org/x"), open, none, "buildkit.remote");
    differ(SOLVE, converts("$1://example.org/x"), open, none, "buildkit.remote");

    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, none);
    expect(policy, SOLVE, pair(7, "context", "http://buildkit-session/0a1b2c"), NULL);
    expect(policy, SOLVE, pair(7, "contextkey", "context"), NULL);
    /* What a build client says of inputs for the history; another build's result; an image. */
    expect(policy, SOLVE, pair(7, "input:context", "https://example.org/x.git"), NULL);
    expect(policy, SOLVE, input(10, both(git, both(copy, last))), NULL);
    expect(policy, SOLVE, input(10, both(source("docker-image://alpine"), last)), NULL);
    expect(policy, SOLVE, input(10, both(source("http://buildkit-session/0a1b2c"), last)), NULL);
    expect(policy, SOLVE, converts("docker-image://alpine@sha256:0"), NULL);
    expect(policy, SOLVE, converts(""), NULL);
    /* Twice, or what no client sends. */
    expect(
        policy, SOLVE,
        bytes(12, bytes(2, bytes(3, both(string(1, "docker-image://a"), string(1, "https://a"))))),
        "grpc.message");
    expect(policy, SOLVE, bytes(12, bytes(2, bytes(3, number(3, 1)))), "grpc.unknown-field");
    filter_policy_free(policy);
}

static void names_of_hosts(void **state) {
    (void)state;
    const struct filter_build deny = {.deny_add_hosts = true};
    differ_by_attribute("add-hosts", "a=1.2.3.4", none, deny, "buildkit.add-hosts");
    struct text host = both(string(1, "a"), string(2, "1.2.3.4"));
    differ(SOLVE, step(bytes(1, bytes(6, host))), none, deny, "buildkit.add-hosts");
    differ(CONTAINER, bytes(6, host), none, deny, "buildkit.add-hosts");
    differ_by_query("/build?extrahosts=a:1.2.3.4&extrahosts=b:1.2.3.4", none, deny,
                    "build.extrahosts");
    differ_by_query("/build?extrahosts=&extrahosts=b:1.2.3.4", none, deny, "build.extrahosts");
    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, deny);
    expect(policy, SOLVE, pair(7, "add-hosts", ""), NULL);
    filter_policy_free(policy);
}

static void results_elsewhere(void **state) {
    (void)state;
    const struct filter_build deny = {.deny_outputs = true};
    static const char *const types[] = {"local", "tar", "oci", "docker"};
    for (size_t i = 0; i < COUNT(types); i++) {
        differ(SOLVE, bytes(13, string(1, types[i])), none, deny, "buildkit.output");
        differ(SOLVE, string(3, types[i]), none, deny, "buildkit.output");
    }
    differ(SOLVE, bytes(13, both(string(1, "image"), pair(2, "push", "true"))), none, deny,
           "buildkit.output");
    differ(SOLVE, bytes(13, both(string(1, "image"), pair(2, "push", ""))), none, deny,
           "buildkit.output");
    differ(SOLVE, both(string(3, "image"), pair(4, "push", "1")), none, deny, "buildkit.output");
    differ(SOLVE, number(14, 1), none, deny, "buildkit.output");
    differ_by_query("/build?version=2&outputs=%5B%7B%22type%22:%22local%22%7D%5D", none, deny,
                    "build.outputs");
    differ_by_query("/build?version=2&outputs=%5B%7B%22Type%22:%22image%22,%22Attrs%22:"
                    "%7B%22push%22:%22true%22%7D%7D%5D",
                    none, deny, "build.outputs");

    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, deny);
    expect(policy, SOLVE, bytes(13, string(1, "moby")), NULL);
    expect(policy, SOLVE, bytes(13, both(string(1, "image"), pair(2, "push", "false"))), NULL);
    expect(policy, SOLVE, number(14, 0), NULL);
    expect_query(policy, "/build?version=2&outputs=%5B%5D", NULL);
    expect_query(policy, "/build?version=2&outputs=%5B%7B%22Type%22:%22cacheonly%22%7D%5D", NULL);
    filter_policy_free(policy);
    /* Types that nobody knows, and JSON that two readers could read in two ways. */
    policy = policy_of(FILTER_BLOCKLIST, none);
    expect_query(policy, "/build?version=2&outputs=%5B%7B%22Type%22:%22new%22%7D%5D",
                 "build.outputs");
    expect_query(policy, "/build?version=2&outputs=%5B%5D%5B%5D", "build.outputs");
    expect_query(policy, "/build?version=2&outputs=%5Bnull%5D", "build.outputs");
    expect_query(policy,
                 "/build?version=2&outputs=%5B%7B%22Type%22:%22moby%22,%22type%22:%22new%22%7D%5D",
                 "build.outputs");
    filter_policy_free(policy);
}

static void caches(void **state) {
    (void)state;
    const struct filter_build no_import = {.deny_cache_imports = true};
    const struct filter_build no_export = {.deny_cache_exports = true};
    struct text registry = string(1, "registry");
    differ(SOLVE, bytes(8, bytes(5, registry)), no_export, no_import, "buildkit.cache-import");
    differ(SOLVE, bytes(8, bytes(5, (struct text){0})), no_export, no_import,
           "buildkit.cache-import");
    differ(SOLVE, bytes(8, string(2, "a/b")), no_export, no_import, "buildkit.cache-import");
    differ(GATEWAY_SOLVE, bytes(12, registry), no_export, no_import, "buildkit.cache-import");
    differ(GATEWAY_SOLVE, string(4, "a/b"), no_export, no_import, "buildkit.cache-import");
    differ_by_attribute("cache-from", "a/b,c", no_export, no_import, "buildkit.cache-import");
    differ_by_attribute("cache-imports", "[{\"Type\":\"registry\",\"Attrs\":{\"ref\":\"a\"}}]",
                        no_export, no_import, "buildkit.cache-import");
    differ_by_query("/build?cachefrom=%5B%22a%22%5D", no_export, no_import, "build.cachefrom");
    differ(SOLVE, bytes(8, bytes(4, registry)), no_import, no_export, "buildkit.cache-export");
    differ(SOLVE, bytes(8, string(1, "a/b")), no_import, no_export, "buildkit.cache-export");

    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, no_export);
    expect(policy, SOLVE, bytes(8, bytes(4, string(1, "inline"))), NULL);
    filter_policy_free(policy);
    policy = policy_of(FILTER_BLOCKLIST, no_import);
    expect(policy, SOLVE, pair(7, "cache-from", ""), NULL);
    expect(policy, SOLVE, pair(7, "cache-imports", "[]"), NULL);
    expect_query(policy, "/build?cachefrom=%5B%5D", NULL);
    filter_policy_free(policy);

    policy = policy_of(FILTER_BLOCKLIST, none);
    static const char *const odd[] = {"[{\"Type\":\"s3\"}]", "[{\"type\":\"azblob\"}]",
                                      "[{\"Type\":\"gha\"},{\"TYPE\":\"s3\"}]"};
    for (size_t i = 0; i < COUNT(odd); i++)
        expect(policy, SOLVE, pair(7, "cache-imports", odd[i]), "buildkit.cache");
    static const char *const broken[] = {"{}", "[null]", "[", "[]x", "[\"registry\"]"};
    for (size_t i = 0; i < COUNT(broken); i++)
        expect(policy, SOLVE, pair(7, "cache-imports", broken[i]), "buildkit.json");
    expect(policy, SOLVE, pair(7, "cache-imports", "[{\"Type\":1}]"), "body.type");
    expect(policy, SOLVE, pair(7, "cache-imports", "[{\"Type\":\"gha\",\"type\":\"s3\"}]"),
           "body.duplicate-key");
    filter_policy_free(policy);
}

static void frontends_of_ones_own(void **state) {
    (void)state;
    const struct filter_build deny = {.deny_frontends = true};
    differ_by_attribute("source", "a/b", none, deny, "buildkit.frontend-source");
    differ_by_attribute("build-arg:BUILDKIT_SYNTAX", "a/b x", none, deny,
                        "buildkit.frontend-source");
    differ_by_attribute("gateway-devel", "", none, deny, "buildkit.frontend-source");
    differ_by_query("/build?buildargs=%7B%22BUILDKIT_SYNTAX%22:%22a%22%7D", none, deny,
                    "build.frontend-source");
    differ_by_query("/build?buildargs=%7B%22BUILDKIT_%5Cu0053YNTAX%22:%22a%22%7D", none, deny,
                    "build.frontend-source");

    struct filter_policy *policy = policy_of(FILTER_ALLOWLIST, deny);
    expect(policy, SOLVE, pair(7, "source", "a/b"), "buildkit.frontend-source");
    expect(policy, SOLVE, pair(7, "build-arg:BUILDKIT_SYNTAX", "a"), "buildkit.frontend-source");
    expect(policy, SOLVE, pair(7, "build-arg:OTHER", "a"), NULL);
    expect_query(policy, "/build?buildargs=%7B%22A%22:%22a%22,%22B%22:null%7D", NULL);
    expect_query(policy, "/build?buildargs=x", "build.frontend-source");
    filter_policy_free(policy);
}

/* Only what the key really opens is offered. */
static void refusals_name_the_key_that_lifts_them(void **state) {
    (void)state;
    static const struct {
        unsigned field;
        const char *name, *value, *key;
    } calls[] = {
        {7, "force-network-mode", "host", "build.network-host"},
        {7, "force-network-mode", "container:x", NULL},
        {7, "context", "https://example.org/x.git", "build.remote-contexts"},
        {7, "cgroup-parent", "/x", NULL},
    };
    static const struct {
        const char *target, *key;
    } requests[] = {
        {"/build?networkmode=host", "build.network-host"},
        {"/build?networkmode=container:x", NULL},
        {"/build?remote=https://example.org/x.git", "build.remote-contexts"},
        {"/build?securityopt=x", NULL},
    };
    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, none);
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct text message = pair(calls[i].field, calls[i].name, calls[i].value);
        struct grpc_verdict verdict =
            grpc_judge_message(policy, SLICE(SOLVE), slice_of(message.data, message.len), &arena);
        assert_int_equal(verdict.decision, FILTER_DENY);
        if (calls[i].key == NULL)
            assert_null(verdict.remedy.key);
        else
            assert_string_equal(verdict.remedy.key, calls[i].key);
    }
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const struct filter_request request = {.method = SLICE("POST"),
                                               .target = slice_from_string(requests[i].target)};
        struct filter_verdict verdict = filter_judge_head(policy, &request, &arena);
        assert_int_equal(verdict.decision, FILTER_DENY);
        if (requests[i].key == NULL)
            assert_null(verdict.remedy.key);
        else
            assert_string_equal(verdict.remedy.key, requests[i].key);
    }
    arena_reset(&arena);
    filter_policy_free(policy);
}

/* What a current buildx sends by itself or for harmless options, and the newest fields: it passes.
 */
static void an_ordinary_build_passes(void **state) {
    (void)state;
    static const char *const attributes[][2] = {
        {"filename", "Dockerfile"},
        {"dockerfilekey", "dockerfile"},
        {"frontend.caps", "moby.buildkit.frontend.contexts+forward"},
        {"local-sessionid:context", "abc"},
        {"attest:provenance", "mode=min,inline-only=true"},
        {"vcs:source", "https://example.org/x.git"},
        {"vcs:localdir:context", "."},
        {"image-resolve-mode", "local"},
        {"platform", "linux/amd64"},
        {"ulimit", "nofile=1024:1024"},
        {"shm-size", "65536"},
        {"memory", "1073741824"},
        {"hostname", "builder"},
        {"cmdline", "docker/dockerfile:1"},
        {"build-arg:HTTP_PROXY", "http://proxy.example.org"},
        {"input-metadata:base", "{}"},
        {"label:a", "b"},
    };
    struct text message = both(string(1, "ref"), string(6, "dockerfile.v0"));
    for (size_t i = 0; i < COUNT(attributes); i++)
        message = both(message, pair(7, attributes[i][0], attributes[i][1]));
    message = both(message, bytes(13, both(string(1, "moby"), pair(2, "name", "a"))));
    message = both(message, both(string(15, "session"), both(number(16, 1), number(17, 0))));
    message = both(message, bytes(2, bytes(1, bytes(8, string(1, "id")))));
    for (int preset = FILTER_BLOCKLIST; preset <= FILTER_ALLOWLIST; preset++) {
        struct filter_policy *policy = policy_of((enum filter_preset)preset, none);
        expect(policy, SOLVE, message, NULL);
        filter_policy_free(policy);
    }
}

static void containers_have_the_powers_of_steps(void **state) {
    (void)state;
    struct filter_policy *policy = policy_of(FILTER_BLOCKLIST, none);
    struct text mount = bytes(2, both(string(3, "/"), string(23, "result")));
    expect(policy, CONTAINER, both(string(1, "id"), both(mount, mount)), NULL);
    expect(policy, CONTAINER, both(number(3, 2), string(7, "host")), NULL);
    expect(policy, CONTAINER, both(number(3, 0), number(3, 1)), "grpc.message");
    expect(policy, CONTAINER, number(8, 1), "grpc.unknown-field");
    filter_policy_free(policy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_of_the_host),
        cmocka_unit_test(insecure_steps),
        cmocka_unit_test(contexts_that_the_engine_fetches),
        cmocka_unit_test(names_of_hosts),
        cmocka_unit_test(results_elsewhere),
        cmocka_unit_test(caches),
        cmocka_unit_test(frontends_of_ones_own),
        cmocka_unit_test(refusals_name_the_key_that_lifts_them),
        cmocka_unit_test(an_ordinary_build_passes),
        cmocka_unit_test(containers_have_the_powers_of_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
