/* Whose objects a request is held to: what it is changed to, and what is asked of the engine. */
#include "ownership_cases.h"

#include "filter/endpoints.h"

/* --- the table --- */

static void every_route_has_a_scope(void **state) {
    (void)state;
    assert_int_equal(ownership_row_count, endpoint_count);
    for (size_t i = 0; i < endpoint_count; i++)
        assert_string_equal(ownership_rows[i].route, endpoints[i].route);
}

static bool names_object(const char *route) {
    static const char *const parts[] = {" /containers/{", " /networks/{", " /volumes/{",
                                        " /exec/{"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(route, parts[i]) != NULL)
            return true;
    return false;
}

/* None that has an object in its path is left to everybody. */
static void routes_of_objects_are_scoped(void **state) {
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < ownership_row_count; i++) {
        if (!names_object(ownership_rows[i].route))
            continue;
        count++;
        assert_int_not_equal(ownership_rows[i].scope, OWNERSHIP_SHARED);
        assert_int_not_equal(ownership_rows[i].scope, OWNERSHIP_LIST);
    }
    assert_true(count > 30);
}

/* --- owners --- */

static void check_owner(struct filter_client client, struct filter_identity identity,
                        const char *expected) {
    struct arena arena = {0};
    assert_slice(ownership_of(&client, &identity, &arena), expected);
    arena_reset(&arena);
}

static void owners_have_names(void **state) {
    (void)state;
    char longest[256];
    memset(longest, 'x', 255);
    struct filter_identity both = {.common_name = SLICE("job"), .has_peer = true, .uid = 7};
    check_owner((struct filter_client){.name = "team-a"}, both, "team-a");
    check_owner((struct filter_client){0}, both, "cn:job");
    check_owner((struct filter_client){0}, (struct filter_identity){.has_peer = true, .uid = 7},
                "uid:7");
    check_owner((struct filter_client){0}, (struct filter_identity){0}, "");
    /* Nothing that a certificate may say needs an escape later, and no two names meet. */
    check_owner((struct filter_client){0},
                (struct filter_identity){.common_name = SLICE("a\"b:%\xc3\xa9 \\")},
                "cn:a%22b%3A%25%C3%A9%20%5C");
    /* It may have been cut. */
    check_owner((struct filter_client){0},
                (struct filter_identity){.common_name = slice_of(longest, 255)}, "");
}

/* --- lists --- */

static void lists_get_a_filter(void **state) {
    (void)state;
    static const struct {
        const char *target, *expected;
    } cases[] = {
        {"/containers/json", "/containers/json?filters=" LABEL_ALONE},
        {"/containers/json?", "/containers/json?&filters=" LABEL_ALONE},
        {"/v1.41/networks?x=1", "/v1.41/networks?x=1&filters=" LABEL_ALONE},
        {"/networks/", "/networks/?filters=" LABEL_ALONE},
        {"/volumes?filters=", "/volumes?filters=" LABEL_ALONE},
        {"/volumes?filters=%7B%7D&b=2", "/volumes?filters=" LABEL_ALONE "&b=2"},
        /* {"name":["x"]} */
        {"/events?filters=%7B%22name%22%3A%5B%22x%22%5D%7D",
         "/events?filters=%7B%22label%22%3A%5B%22jailoc.owner%3Dteam-a%22%5D%2C"
         "%22name%22%3A%5B%22x%22%5D%7D"},
        /* {"name":{"x":true}} */
        {"/events?filters={%22name%22:{%22x%22:true}}",
         "/events?filters=%7B%22label%22%3A%7B%22jailoc.owner%3Dteam-a%22%3Atrue%7D%2C"
         "%22name%22%3A%7B%22x%22%3Atrue%7D%7D"},
        /* {"label":["x"]} */
        {"/events?filters={%22label%22:[%22x%22]}",
         "/events?filters=%7B%22label%22%3A%5B%22jailoc.owner%3Dteam-a%22%2C%22x%22%5D%7D"},
        {"/events?filters={%22label%22:[]}",
         "/events?filters=%7B%22label%22%3A%5B%22jailoc.owner%3Dteam-a%22%5D%7D"},
        /* {"label":{"x":true}} */
        {"/events?filters={%22label%22:{%22x%22:true}}",
         "/events?filters=%7B%22label%22%3A%7B%22jailoc.owner%3Dteam-a%22%3Atrue%2C"
         "%22x%22%3Atrue%7D%7D"},
        /* Ours is there already. */
        {"/events?filters={%22label%22:{%22jailoc.owner%3Dteam-a%22:true}}",
         "/events?filters=%7B%22label%22%3A%7B%22jailoc.owner%3Dteam-a%22%3Atrue%7D%7D"},
        /* Keys of filters are exact. */
        {"/events?filters={%22Label%22:[%22x%22]}",
         "/events?filters=%7B%22label%22%3A%5B%22jailoc.owner%3Dteam-a%22%5D%2C"
         "%22Label%22%3A%5B%22x%22%5D%7D"},
        /* An escaped key is the same key. */
        {"/events?%66ilters={}", "/events?%66ilters=" LABEL_ALONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned planned = plan_head("GET", cases[i].target);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        assert_slice(planned.plan.target, cases[i].expected);
        end_plan(&planned);
    }
    struct planned prune = plan_head("POST", "/containers/prune");
    assert_slice(prune.plan.target, "/containers/prune?filters=" LABEL_ALONE);
    end_plan(&prune);
}

static void doubtful_filters_are_refused(void **state) {
    (void)state;
    static const char *const values[] = {"[]",
                                         "1",
                                         "null",
                                         "%22x%22",
                                         "{",
                                         "{}{}",
                                         "{%22label%22:1}",
                                         "{%22label%22:null}",
                                         "{%22label%22:[1]}",
                                         "{%22label%22:[null]}",
                                         "{%22label%22:{%22x%22:1}}",
                                         "{%22label%22:{%22x%22:false}}",
                                         "{%22label%22:{%22jailoc.owner%3Dteam-a%22:false}}",
                                         "{%22label%22:[],%22label%22:[]}",
                                         "{%22label%22:[],%22name%22:{}}",
                                         "%FF",
                                         "%00",
                                         "{%7D",
                                         "{}&filters={}",
                                         "{}&%66ilters={}",
                                         "{%22name%22:[%22\\u0000%22]}",
                                         ";"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char target[256];
        snprintf(target, sizeof target, "/containers/json?filters=%s", values[i]);
        struct planned planned = plan_head("GET", target);
        if (strcmp(values[i], "{%7D") == 0)
            assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        else
            assert_int_equal(planned.finding.decision, FILTER_BAD_REQUEST);
        end_plan(&planned);
    }
    struct planned planned = plan_head("GET", "/containers/json?filters");
    assert_int_equal(planned.finding.decision, FILTER_BAD_REQUEST);
    end_plan(&planned);
}

static void lists_name_containers(void **state) {
    (void)state;
    static const char *const targets[] = {"/containers/json?filters={%22before%22:[%22x%22]}",
                                          "/containers/json?filters={%22since%22:{%22x%22:true}}",
                                          "/containers/json?before=x", "/containers/json?since=x"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct planned planned = plan_head("GET", targets[i]);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        assert_ref(&planned, 0, OWNERSHIP_A_CONTAINER, "x");
        end_plan(&planned);
    }
    /* Times, there. */
    struct planned planned = plan_head("GET", "/events?since=1&until=2");
    assert_int_equal(planned.plan.ref_count, 0);
    end_plan(&planned);
}

/* --- paths and queries --- */

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names_in_heads_become_ids(void **state) {
    (void)state;
    static const struct {
        const char *method, *target;
        enum ownership_kind kind;
        const char *name, *expected;
    } cases[] = {
        {"GET", "/containers/x/json?size=1", OWNERSHIP_A_CONTAINER, "x",
         "/containers/" ID "/json?size=1"},
        {"POST", "/v1.41/containers/a/b/start", OWNERSHIP_A_CONTAINER, "a/b",
         "/v1.41/containers/" ID "/start"},
        {"GET", "/v1.41/containers/%C3%A9/attach/ws", OWNERSHIP_A_CONTAINER, "\xc3\xa9",
         "/v1.41/containers/" ID "/attach/ws"},
        {"DELETE", "/containers/x?v=1", OWNERSHIP_A_CONTAINER, "x", "/containers/" ID "?v=1"},
        {"HEAD", "/containers/x/archive?path=/json", OWNERSHIP_A_CONTAINER, "x",
         "/containers/" ID "/archive?path=/json"},
        {"GET", "/networks/n%20m", OWNERSHIP_A_NETWORK, "n m", "/networks/" ID},
        {"POST", "/networks/n/connect", OWNERSHIP_A_NETWORK, "n", "/networks/" ID "/connect"},
        {"DELETE", "/volumes/v", OWNERSHIP_A_VOLUME, "v", "/volumes/v"},
        {"POST", "/exec/e/start", OWNERSHIP_AN_EXEC, "e", "/exec/e/start"},
        {"POST", "/commit?repo=r&container=x%2Fy&tag=t", OWNERSHIP_A_CONTAINER, "x/y",
         "/commit?repo=r&container=" ID "&tag=t"},
        {"POST", "/build?version=2&networkmode=n", OWNERSHIP_A_NETWORK, "n",
         "/build?version=2&networkmode=" ID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned planned = plan_head(cases[i].method, cases[i].target);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        assert_int_equal(planned.plan.ref_count, 1);
        assert_ref(&planned, 0, cases[i].kind, cases[i].name);
        planned.plan.refs[0].id = SLICE(ID);
        assert_true(ownership_apply(&planned.plan, &planned.arena));
        assert_slice(planned.plan.target, cases[i].expected);
        end_plan(&planned);
    }
}

static void some_heads_name_nobodys(void **state) {
    (void)state;
    static const char *const targets[] = {"/build?version=2",
                                          "/build?version=2&networkmode=default",
                                          "/build?version=2&networkmode=none",
                                          "/build?version=2&networkmode=",
                                          "/networks/bridge/connect",
                                          "/images/create?fromImage=x"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct planned planned = plan_head("POST", targets[i]);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        assert_int_equal(planned.plan.ref_count, 0);
        assert_slice(planned.plan.target, targets[i]);
        end_plan(&planned);
    }
}

static void heads_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *method, *target;
        enum filter_decision decision;
    } cases[] = {
        {"GET", "/system/df", FILTER_DENY},
        {"GET", "/unheard-of", FILTER_DENY},
        {"GET", "/services", FILTER_DENY},
        {"POST", "/build", FILTER_DENY},
        {"POST", "/build?version=1", FILTER_DENY},
        {"POST", "/build?version=2&version=1&networkmode=a", FILTER_BAD_REQUEST},
        {"DELETE", "/containers/x/checkpoints/y", FILTER_DENY},
        {"DELETE", "/containers/", FILTER_BAD_REQUEST},
        {"POST", "/commit", FILTER_BAD_REQUEST},
        {"POST", "/commit?container=a&container=b", FILTER_BAD_REQUEST},
        {"POST", "/build?version=2&networkmode=a&networkmode=b", FILTER_BAD_REQUEST},
        {"GET", "/containers/%2e%2e/json", FILTER_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned planned = plan_head(cases[i].method, cases[i].target);
        assert_int_equal(planned.finding.decision, cases[i].decision);
        end_plan(&planned);
    }
}

/* --- the engine --- */

static void check_question(struct ownership_ref ref, const char *expected) {
    struct arena arena = {0};
    struct slice path;
    struct slice body;
    bool asked = ownership_question(&ref, &arena, &path, &body);
    assert_int_equal(asked, expected != NULL);
    if (expected != NULL)
        assert_slice(path, expected);
    arena_reset(&arena);
}

static void questions_stay_in_their_place(void **state) {
    (void)state;
    static const struct {
        const char *name, *expected;
    } cases[] = {
        {"x", "/containers/x/json"},
        {"/x", "/containers/x/json"},
        {"a/b", "/containers/a/b/json"},
        {"a b?c#d%e", "/containers/a%20b%3Fc%23d%25e/json"},
        {"", NULL},
        {"/", NULL},
        {"//x", NULL},
        {"..", NULL},
        {"../volumes/x", NULL},
        {"a/../b", NULL},
        {"a/.", NULL},
        {"a\r\nb", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_question((struct ownership_ref){.kind = OWNERSHIP_A_CONTAINER,
                                              .name = slice_from_string(cases[i].name)},
                       cases[i].expected);
    check_question((struct ownership_ref){.kind = OWNERSHIP_A_NETWORK, .name = SLICE("n")},
                   "/networks/n");
    check_question((struct ownership_ref){.kind = OWNERSHIP_A_VOLUME, .name = SLICE("v")},
                   "/volumes/v");
    check_question(
        (struct ownership_ref){.kind = OWNERSHIP_A_VOLUME, .name = SLICE("v"), .make = SLICE("{}")},
        "/volumes/create");
    check_question((struct ownership_ref){.kind = OWNERSHIP_AN_EXEC, .name = SLICE("e")},
                   "/exec/e/json");
}

static void answers_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *target, *answer;
        enum ownership_answer expected;
        size_t refs;
    } cases[] = {
        {"/containers/x/json",
         "{\"Id\":\"" ID "\",\"Config\":{\"Labels\":{\"a\":\"b\","
         "\"jailoc.owner\":\"team-a\"}}}",
         OWNERSHIP_OWN, 1},
        {"/containers/x/json",
         "{\"Id\":\"" ID "\",\"Config\":{\"Labels\":{\"jailoc.owner\":"
         "\"team-b\"}}}",
         OWNERSHIP_NOT_OWN, 1},
        {"/containers/x/json", "{\"Id\":\"" ID "\",\"Config\":{\"Labels\":{}}}", OWNERSHIP_NOT_OWN,
         1},
        {"/containers/x/json", "{\"Id\":\"" ID "\",\"Config\":{\"Labels\":null}}",
         OWNERSHIP_NOT_OWN, 1},
        {"/containers/x/json", "{\"Id\":\"" ID "\",\"Labels\":{\"jailoc.owner\":\"team-a\"}}",
         OWNERSHIP_UNCLEAR, 1},
        {"/containers/x/json",
         "{\"Id\":\"x\",\"Config\":{\"Labels\":{\"jailoc.owner\":"
         "\"team-a\"}}}",
         OWNERSHIP_UNCLEAR, 1},
        {"/containers/x/json",
         "{\"Id\":\"" ID "\",\"Config\":{\"Labels\":{\"jailoc.owner\":"
         "\"team-a\"}}",
         OWNERSHIP_UNCLEAR, 1},
        {"/containers/x/json", "", OWNERSHIP_UNCLEAR, 1},
        {"/containers/x/json", "[]", OWNERSHIP_UNCLEAR, 1},
        {"/networks/n", "{\"Id\":\"" ID "\",\"Labels\":{\"jailoc.owner\":\"team-a\"}}",
         OWNERSHIP_OWN, 1},
        {"/volumes/v", "{\"Name\":\"v\",\"Labels\":{\"jailoc.owner\":\"team-a\"}}", OWNERSHIP_OWN,
         1},
        {"/volumes/v", "{\"Name\":\"w\",\"Labels\":{\"jailoc.owner\":\"team-a\"}}",
         OWNERSHIP_UNCLEAR, 1},
        {"/volumes/v", "{\"Name\":\"v\",\"Labels\":null}", OWNERSHIP_NOT_OWN, 1},
        /* Whose it is tells its container. */
        {"/exec/e/json", "{\"ID\":\"e\",\"ContainerID\":\"" ID "\"}", OWNERSHIP_OWN, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned planned = plan_head("GET", cases[i].target);
        enum ownership_answer answer =
            ownership_answer(&planned.plan, 0, slice_from_string(cases[i].answer), &planned.arena);
        assert_int_equal(answer, cases[i].expected);
        assert_int_equal(planned.plan.ref_count, cases[i].refs);
        end_plan(&planned);
    }
}

static void a_start_joins_networks(void **state) {
    (void)state;
    struct planned planned = plan_head("POST", "/containers/x/start");
    struct slice answer = SLICE("{\"Id\":\"" ID "\",\"Config\":{\"Labels\":{\"jailoc.owner\":"
                                "\"team-a\"}},\"NetworkSettings\":{\"Networks\":{\"bridge\":{"
                                "\"NetworkID\":\"b\"},\"n\":{\"NetworkID\":\"\"},\"m\":{"
                                "\"NetworkID\":\"i\"}}}}");
    assert_int_equal(ownership_answer(&planned.plan, 0, answer, &planned.arena), OWNERSHIP_OWN);
    assert_int_equal(planned.plan.ref_count, 3);
    assert_ref(&planned, 1, OWNERSHIP_A_NETWORK, "n");
    assert_ref(&planned, 2, OWNERSHIP_A_NETWORK, "i");
    end_plan(&planned);
}

static void streams_keep_little(void **state) {
    (void)state;
    static const char *const streams[] = {"/events", "/containers/web/logs?follow=1",
                                          "/containers/web/stats"};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        struct planned planned = plan_head("GET", streams[i]);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        assert_true(planned.arena.held <= 2048);
        end_plan(&planned);
    }
}

static void what_is_missing_is_said_as_the_engine_does(void **state) {
    (void)state;
    static const char *const expected[] = {"No such container: x", "network x not found",
                                           "get x: no such volume", "No such exec instance: x"};
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct ownership_ref ref = {.kind = (enum ownership_kind)i, .name = SLICE("x")};
        assert_string_equal(ownership_missing(&ref, &arena), expected[i]);
    }
    struct ownership_ref exec = {
        .kind = OWNERSHIP_A_CONTAINER, .name = SLICE(ID), .exec = SLICE("x")};
    assert_string_equal(ownership_missing(&exec, &arena), expected[3]);
    arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_has_a_scope),
        cmocka_unit_test(routes_of_objects_are_scoped),
        cmocka_unit_test(owners_have_names),
        cmocka_unit_test(lists_get_a_filter),
        cmocka_unit_test(doubtful_filters_are_refused),
        cmocka_unit_test(lists_name_containers),
        cmocka_unit_test(names_in_heads_become_ids),
        cmocka_unit_test(some_heads_name_nobodys),
        cmocka_unit_test(heads_are_refused),
        cmocka_unit_test(questions_stay_in_their_place),
        cmocka_unit_test(answers_are_read_strictly),
        cmocka_unit_test(a_start_joins_networks),
        cmocka_unit_test(streams_keep_little),
        cmocka_unit_test(what_is_missing_is_said_as_the_engine_does),
    };
    return cmocka_run_group_tests(tests, start_rules, stop_rules);
}
