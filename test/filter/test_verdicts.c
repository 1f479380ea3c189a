/* What becomes of each route in either policy, written down a second time: a verdict that changes
 * in the table of endpoints by mistake is told here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "filter/endpoint_match.h"
#include "filter/endpoints.h"
#include "filter/filter.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define PASS  FILTER_ALLOW
#define JUDGE FILTER_NEED_BODY /* passes as far as its body does */
#define DENY  FILTER_DENY

static const struct {
    const char *method;
    const char *target; /* after the version */
    enum filter_decision blocklist;
    enum filter_decision allowlist;
} cases[] = {
    {"OPTIONS", "/containers/create", PASS, DENY},
    {"HEAD", "/_ping", PASS, PASS},
    {"GET", "/_ping", PASS, PASS},
    {"GET", "/version", PASS, PASS},
    {"GET", "/info", PASS, PASS},
    {"GET", "/events", PASS, PASS},
    {"GET", "/system/df", PASS, PASS},
    {"POST", "/auth", PASS, PASS},
    {"GET", "/debug/vars", DENY, DENY},
    {"GET", "/debug/pprof/heap", DENY, DENY},
    {"POST", "/debug/pprof/symbol", DENY, DENY},
    {"GET", "/containers/json", PASS, PASS},
    {"POST", "/containers/create", JUDGE, JUDGE},
    {"GET", "/containers/x/json", PASS, PASS},
    {"GET", "/containers/x/top", PASS, PASS},
    {"GET", "/containers/x/logs", PASS, PASS},
    {"GET", "/containers/x/changes", PASS, PASS},
    {"GET", "/containers/x/export", PASS, PASS},
    {"GET", "/containers/x/stats", PASS, PASS},
    {"HEAD", "/containers/x/archive", PASS, PASS},
    {"GET", "/containers/x/archive", PASS, PASS},
    {"PUT", "/containers/x/archive", DENY, DENY},
    {"POST", "/containers/x/copy", DENY, DENY},
    {"POST", "/containers/x/kill", PASS, PASS},
    {"POST", "/containers/x/pause", PASS, PASS},
    {"POST", "/containers/x/unpause", PASS, PASS},
    {"POST", "/containers/x/restart", PASS, PASS},
    {"POST", "/containers/x/start", JUDGE, JUDGE},
    {"POST", "/containers/x/stop", PASS, PASS},
    {"POST", "/containers/x/wait", PASS, PASS},
    {"POST", "/containers/x/resize", PASS, PASS},
    {"POST", "/containers/x/rename", PASS, PASS},
    {"POST", "/containers/x/update", DENY, DENY},
    {"POST", "/containers/x/attach", PASS, PASS},
    {"GET", "/containers/x/attach/ws", PASS, PASS},
    {"POST", "/containers/prune", PASS, DENY},
    {"DELETE", "/containers/x", PASS, PASS},
    {"POST", "/commit", PASS, DENY},
    {"GET", "/containers/x/checkpoints", DENY, DENY},
    {"POST", "/containers/x/checkpoints", DENY, DENY},
    {"DELETE", "/containers/x/checkpoints/y", DENY, DENY},
    {"POST", "/containers/x/exec", DENY, DENY},
    {"POST", "/exec/x/start", DENY, DENY},
    {"POST", "/exec/x/resize", DENY, DENY},
    {"GET", "/exec/x/json", PASS, PASS},
    {"GET", "/images/json", PASS, PASS},
    {"GET", "/images/search", PASS, PASS},
    {"GET", "/images/get", PASS, PASS},
    {"GET", "/images/r/i:t/get", PASS, PASS},
    {"GET", "/images/r/i:t/history", PASS, PASS},
    {"GET", "/images/r/i:t/json", PASS, PASS},
    {"GET", "/images/r/i:t/attestations", PASS, PASS},
    {"POST", "/images/load", PASS, PASS},
    {"POST", "/images/create?fromImage=i", PASS, PASS},
    {"POST", "/images/r/i/push", PASS, PASS},
    {"POST", "/images/r/i/tag", PASS, PASS},
    {"POST", "/images/prune", PASS, DENY},
    {"DELETE", "/images/r/i:t", PASS, PASS},
    {"GET", "/distribution/r/i/json", PASS, PASS},
    {"POST", "/build", PASS, PASS},
    {"POST", "/build/prune", PASS, DENY},
    {"POST", "/build/cancel", PASS, PASS},
    {"POST", "/session", DENY, DENY},
    {"POST", "/grpc", DENY, DENY},
    {"POST", "/moby.buildkit.v1.Control/Solve", DENY, DENY},
    {"GET", "/networks", PASS, PASS},
    {"GET", "/networks/", PASS, PASS},
    {"GET", "/networks/x", PASS, PASS},
    {"POST", "/networks/create", JUDGE, JUDGE},
    {"POST", "/networks/x/connect", JUDGE, JUDGE},
    {"POST", "/networks/x/disconnect", PASS, PASS},
    {"POST", "/networks/prune", PASS, DENY},
    {"DELETE", "/networks/x", PASS, PASS},
    {"GET", "/volumes", PASS, PASS},
    {"GET", "/volumes/x", PASS, PASS},
    {"POST", "/volumes/create", JUDGE, JUDGE},
    {"PUT", "/volumes/x", DENY, DENY},
    {"POST", "/volumes/prune", PASS, DENY},
    {"DELETE", "/volumes/x", PASS, PASS},
    {"GET", "/plugins", PASS, PASS},
    {"GET", "/plugins/x/json", PASS, DENY},
    {"GET", "/plugins/privileges", DENY, DENY},
    {"POST", "/plugins/pull", DENY, DENY},
    {"POST", "/plugins/create", DENY, DENY},
    {"POST", "/plugins/x/enable", DENY, DENY},
    {"POST", "/plugins/x/disable", DENY, DENY},
    {"POST", "/plugins/x/push", DENY, DENY},
    {"POST", "/plugins/x/set", DENY, DENY},
    {"POST", "/plugins/x/upgrade", DENY, DENY},
    {"DELETE", "/plugins/x", DENY, DENY},
    {"GET", "/swarm", PASS, DENY},
    {"GET", "/swarm/unlockkey", DENY, DENY},
    {"POST", "/swarm/init", DENY, DENY},
    {"POST", "/swarm/join", DENY, DENY},
    {"POST", "/swarm/leave", DENY, DENY},
    {"POST", "/swarm/update", DENY, DENY},
    {"POST", "/swarm/unlock", DENY, DENY},
    {"GET", "/nodes", PASS, DENY},
    {"GET", "/nodes/x", PASS, DENY},
    {"POST", "/nodes/x/update", DENY, DENY},
    {"DELETE", "/nodes/x", DENY, DENY},
    {"GET", "/tasks", PASS, DENY},
    {"GET", "/tasks/x", PASS, DENY},
    {"GET", "/tasks/x/logs", PASS, DENY},
    {"GET", "/services", PASS, DENY},
    {"GET", "/services/x", PASS, DENY},
    {"GET", "/services/x/logs", PASS, DENY},
    {"POST", "/services/create", DENY, DENY},
    {"POST", "/services/x/update", DENY, DENY},
    {"DELETE", "/services/x", DENY, DENY},
    {"GET", "/secrets", PASS, DENY},
    {"GET", "/secrets/x", PASS, DENY},
    {"POST", "/secrets/create", DENY, DENY},
    {"POST", "/secrets/x/update", DENY, DENY},
    {"DELETE", "/secrets/x", DENY, DENY},
    {"GET", "/configs", PASS, DENY},
    {"GET", "/configs/x", PASS, DENY},
    {"POST", "/configs/create", DENY, DENY},
    {"POST", "/configs/x/update", DENY, DENY},
    {"DELETE", "/configs/x", DENY, DENY},
    {"GET", "/something/new", PASS, DENY},
    {"HEAD", "/something/new", PASS, DENY},
    {"POST", "/something/new", DENY, DENY},
    {"DELETE", "/something/new", DENY, DENY},
};

static struct filter_policy *make_policy(enum filter_preset preset, enum filter_buildkit buildkit) {
    char error[256] = "";
    const struct filter_settings settings = {.preset = preset, .buildkit = buildkit};
    struct filter_policy *policy = filter_policy_new(&settings, error, sizeof error);
    if (policy == NULL)
        fail_msg("%s", error);
    return policy;
}

/* By the head alone, with a JSON body to follow where `body` says so. */
static enum filter_decision judge(const struct filter_policy *policy, const char *method,
                                  const char *version, const char *target, bool body) {
    char whole[128];
    int len = snprintf(whole, sizeof whole, "%s%s", version, target);
    assert_true(len > 0 && (size_t)len < sizeof whole);
    const struct filter_header type = {SLICE("Content-Type"), SLICE("application/json")};
    const struct filter_request request = {
        .method = slice_from_string(method),
        .target = slice_of(whole, (size_t)len),
        .headers = &type,
        .header_count = body ? 1 : 0,
        .may_have_body = body,
    };
    struct arena arena = {0};
    enum filter_decision decision = filter_judge_head(policy, &request, &arena).decision;
    arena_reset(&arena);
    return decision;
}

static void each_route_has_its_verdicts(void **state) {
    (void)state;
    static const char *const versions[] = {"", "/v1.24", "/v1.41", "/v1.55"};
    struct filter_policy *blocklist = make_policy(FILTER_BLOCKLIST, FILTER_BUILDKIT_DENY);
    struct filter_policy *allowlist = make_policy(FILTER_ALLOWLIST, FILTER_BUILDKIT_DENY);
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s %s\n", cases[i].method, cases[i].target);
        for (size_t k = 0; k < COUNT(versions); k++) {
            assert_int_equal(judge(blocklist, cases[i].method, versions[k], cases[i].target,
                                   cases[i].blocklist == JUDGE),
                             cases[i].blocklist);
            assert_int_equal(judge(allowlist, cases[i].method, versions[k], cases[i].target,
                                   cases[i].allowlist == JUDGE),
                             cases[i].allowlist);
        }
    }
    filter_policy_free(blocklist);
    filter_policy_free(allowlist);
}

/* --buildkit decides in either policy, and over these two alone. */
static void buildkit_is_switched_by_itself(void **state) {
    (void)state;
    for (int preset = FILTER_BLOCKLIST; preset <= FILTER_ALLOWLIST; preset++) {
        struct filter_policy *policy =
            make_policy((enum filter_preset)preset, FILTER_BUILDKIT_OPAQUE);
        assert_int_equal(judge(policy, "POST", "/v1.41", "/session", false), PASS);
        assert_int_equal(judge(policy, "POST", "/v1.41", "/grpc", false), PASS);
        assert_int_equal(judge(policy, "POST", "", "/moby.buildkit.v1.Control/Solve", false), DENY);
        filter_policy_free(policy);
    }
}

/* A new row has to be entered above too. */
static void no_route_is_left_out(void **state) {
    (void)state;
    for (size_t i = 0; i < endpoint_count; i++) {
        struct endpoint_route route = endpoint_route_parse(endpoints[i].route);
        bool found = false;
        for (size_t k = 0; k < COUNT(cases) && !found; k++) {
            struct slice path = slice_from_string(cases[k].target);
            path = slice_first(path, strcspn(cases[k].target, "?"));
            struct slice name;
            bool method = slice_equal(route.method, SLICE("*")) ||
                          slice_equal(route.method, slice_from_string(cases[k].method));
            found = method && endpoint_path_matches(&route, path, &name);
        }
        if (!found)
            fail_msg("%s is not among the cases", endpoints[i].route);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_route_has_its_verdicts),
        cmocka_unit_test(buildkit_is_switched_by_itself),
        cmocka_unit_test(no_route_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
