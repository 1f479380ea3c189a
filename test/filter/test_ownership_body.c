/* The label that a body gets, the objects that it names, and that nothing else of it changes. */
#include "ownership_cases.h"

#include <stdlib.h>

#include "filter/json.h"

static struct planned plan_body(const char *target, const char *body) {
    struct planned planned = plan_head("POST", target);
    assert_int_equal(planned.finding.decision, FILTER_ALLOW);
    assert_true(planned.plan.wants_body);
    struct slice copy = arena_copy(&planned.arena, slice_from_string(body));
    planned.finding = ownership_body(&planned.plan, copy, &planned.arena);
    return planned;
}

static void what_is_made_gets_the_label(void **state) {
    (void)state;
    static const struct {
        const char *body, *expected;
    } cases[] = {
        {"{}", "{\"Labels\":{\"jailoc.owner\":\"team-a\"}}"},
        {" { } \n", " {\"Labels\":{\"jailoc.owner\":\"team-a\"} } \n"},
        {"{\"Name\":\"x\"}", "{\"Labels\":{\"jailoc.owner\":\"team-a\"},\"Name\":\"x\"}"},
        {"{\"Labels\":null,\"Name\":\"x\"}",
         "{\"Labels\":{\"jailoc.owner\":\"team-a\"},\"Name\":\"x\"}"},
        {"{\"Labels\":{}}", "{\"Labels\":{\"jailoc.owner\":\"team-a\"}}"},
        {"{\"Labels\":{ }}", "{\"Labels\":{\"jailoc.owner\":\"team-a\" }}"},
        {"{\"Name\":\"x\", \"labels\" : {\"a\":\"b\"} }",
         "{\"Name\":\"x\", \"labels\" : {\"jailoc.owner\":\"team-a\",\"a\":\"b\"} }"},
        /* Go's folding, escapes and all. */
        {"{\"label\xc5\xbf\":{\"a\":\"b\"}}",
         "{\"label\xc5\xbf\":{\"jailoc.owner\":\"team-a\",\"a\":\"b\"}}"},
        {"{\"\\u004cabels\":{\"a\":\"b\"}}",
         "{\"\\u004cabels\":{\"jailoc.owner\":\"team-a\",\"a\":\"b\"}}"},
        /* Keys of labels are exact. */
        {"{\"Labels\":{\"Jailoc.Owner\":\"b\"}}",
         "{\"Labels\":{\"jailoc.owner\":\"team-a\",\"Jailoc.Owner\":\"b\"}}"},
        {"{\"HostConfig\":{\"Labels\":{\"jailoc.owner\":\"b\"}}}",
         "{\"Labels\":{\"jailoc.owner\":\"team-a\"},\"HostConfig\":{\"Labels\":{\"jailoc.owner\":"
         "\"b\"}}}"},
    };
    static const char *const targets[] = {"/containers/create", "/networks/create",
                                          "/v1.41/volumes/create"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < sizeof targets / sizeof targets[0]; k++) {
            struct planned planned = plan_body(targets[k], cases[i].body);
            assert_int_equal(planned.finding.decision, FILTER_ALLOW);
            assert_slice(planned.plan.body, cases[i].expected);
            end_plan(&planned);
        }
}

static void forged_and_doubtful_labels_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *body;
        enum filter_decision decision;
    } cases[] = {
        {"{\"Labels\":{\"jailoc.owner\":\"team-a\"}}", FILTER_DENY},
        {"{\"labels\":{\"\\u006aailoc.owner\":null}}", FILTER_DENY},
        {"{\"Labels\":{},\"labels\":{}}", FILTER_BAD_REQUEST},
        {"{\"Labels\":{},\"Label\\u017f\":null}", FILTER_BAD_REQUEST},
        {"{\"Labels\":[]}", FILTER_BAD_REQUEST},
        {"{\"Labels\":\"\"}", FILTER_BAD_REQUEST},
        {"[]", FILTER_BAD_REQUEST},
        {"", FILTER_BAD_REQUEST},
        {"{} {}", FILTER_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned planned = plan_body("/networks/create", cases[i].body);
        assert_int_equal(planned.finding.decision, cases[i].decision);
        end_plan(&planned);
    }
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A body with one object, and what it is once its id is known. */
static void check_named(const char *target, const char *body, enum ownership_kind kind,
                        const char *name, const char *expected) {
    struct planned planned = plan_body(target, body);
    assert_int_equal(planned.finding.decision, FILTER_ALLOW);
    size_t index = planned.plan.ref_count - 1;
    assert_ref(&planned, index, kind, name);
    planned.plan.refs[index].id = SLICE(ID);
    planned.plan.refs[0].id = SLICE(ID);
    assert_true(ownership_apply(&planned.plan, &planned.arena));
    const char *shown = strstr(expected, "LABEL");
    char whole[2048];
    if (shown == NULL)
        snprintf(whole, sizeof whole, "%s", expected);
    else
        snprintf(whole, sizeof whole, "%.*s\"Labels\":{\"jailoc.owner\":\"team-a\"}%s",
                 (int)(shown - expected), expected, shown + strlen("LABEL"));
    assert_slice(planned.plan.body, whole);
    end_plan(&planned);
}

static void containers_in_bodies_become_ids(void **state) {
    (void)state;
    static const struct {
        const char *before, *name, *after;
    } cases[] = {
        {"{\"HostConfig\":{\"NetworkMode\":\"container:x\"}}", "x",
         "{LABEL,\"HostConfig\":{\"NetworkMode\":\"container:" ID "\"}}"},
        {"{\"NetworkMode\":\"container:x\"}", "x", "{LABEL,\"NetworkMode\":\"container:" ID "\"}"},
        {"{\"hostconfig\":{\"networkmode\":\"cont\\u0061iner:\\u0078\"}}", "x",
         "{LABEL,\"hostconfig\":{\"networkmode\":\"container:" ID "\"}}"},
        {"{\"HostConfig\":{\"PidMode\":\"container:x\"}}", "x",
         "{LABEL,\"HostConfig\":{\"PidMode\":\"container:" ID "\"}}"},
        {"{\"HostConfig\":{\"IpcMode\":\"container:x\"}}", "x",
         "{LABEL,\"HostConfig\":{\"IpcMode\":\"container:" ID "\"}}"},
        {"{\"HostConfig\":{\"VolumesFrom\":[\"x:ro\"]}}", "x",
         "{LABEL,\"HostConfig\":{\"VolumesFrom\":[\"" ID ":ro\"]}}"},
        {"{\"HostConfig\":{\"VolumesFrom\":\"x\"}}", "x",
         "{LABEL,\"HostConfig\":{\"VolumesFrom\":\"" ID "\"}}"},
        {"{\"HostConfig\":{\"Links\":[\"x\"]}}", "x",
         "{LABEL,\"HostConfig\":{\"Links\":[\"" ID ":x\"]}}"},
        {"{\"HostConfig\":{\"Links\":[\"x:db\"]}}", "x",
         "{LABEL,\"HostConfig\":{\"Links\":[\"" ID ":db\"]}}"},
        {"{\"HostConfig\":{\"Links\":[\"/x:/web/db\"]}}", "/x",
         "{LABEL,\"HostConfig\":{\"Links\":[\"" ID ":db\"]}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_named("/containers/create", cases[i].before, OWNERSHIP_A_CONTAINER, cases[i].name,
                    cases[i].after);
    check_named("/networks/bridge/connect", "{\"Container\":\"x\",\"EndpointConfig\":null}",
                OWNERSHIP_A_CONTAINER, "x", "{\"Container\":\"" ID "\",\"EndpointConfig\":null}");
    check_named("/networks/bridge/disconnect", "{\"Force\":true,\"container\":\"x\"}",
                OWNERSHIP_A_CONTAINER, "x", "{\"Force\":true,\"container\":\"" ID "\"}");
}

static void networks_in_bodies_keep_their_names(void **state) {
    (void)state;
    check_named("/containers/create", "{\"HostConfig\":{\"NetworkMode\":\"n\"}}",
                OWNERSHIP_A_NETWORK, "n", "{LABEL,\"HostConfig\":{\"NetworkMode\":\"n\"}}");
    check_named("/containers/create",
                "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":{\"NetworkID\":\"\"}}}}",
                OWNERSHIP_A_NETWORK, "n",
                "{LABEL,\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":{\"NetworkID\":\"\"}}}}");
    /* But an id, which the engine prefers. */
    check_named("/containers/create",
                "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{\"NetworkID\":\"i\"}}}}",
                OWNERSHIP_A_NETWORK, "i",
                "{LABEL,\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{\"NetworkID\":\"" ID
                "\"}}}}");
    check_named("/networks/bridge/connect",
                "{\"Container\":\"x\",\"EndpointConfig\":{\"networkid\":\"i\"}}",
                OWNERSHIP_A_NETWORK, "i",
                "{\"Container\":\"" ID "\",\"EndpointConfig\":{\"networkid\":\"" ID "\"}}");
}

static void volumes_are_made_first(void **state) {
    (void)state;
    static const struct {
        const char *body, *make;
    } cases[] = {
        {"{\"HostConfig\":{\"Binds\":[\"/srv:/x\",\"v:/y:ro\"]}}",
         "{\"Name\":\"v\",\"Driver\":\"\",\"DriverOpts\":null,\"Labels\":{\"jailoc.owner\":"
         "\"team-a\"}}"},
        {"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/t\"},{\"Type\":\"volume\","
         "\"Source\":\"v\",\"VolumeOptions\":{\"Labels\":{\"a\":\"b\"},\"DriverConfig\":{\"Name\":"
         "\"local\",\"Options\":{\"type\":\"tmpfs\"}}}}]}}",
         "{\"Name\":\"v\",\"Driver\":\"local\",\"DriverOpts\":{\"type\":\"tmpfs\"},\"Labels\":{"
         "\"jailoc.owner\":\"team-a\",\"a\":\"b\"}}"},
        {"{\"Binds\":[\"v:/y\"]}",
         "{\"Name\":\"v\",\"Driver\":\"\",\"DriverOpts\":null,\"Labels\":{\"jailoc.owner\":"
         "\"team-a\"}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned planned = plan_body("/containers/create", cases[i].body);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        assert_int_equal(planned.plan.ref_count, 1);
        assert_ref(&planned, 0, OWNERSHIP_A_VOLUME, "v");
        assert_slice(planned.plan.refs[0].make, cases[i].make);
        assert_int_equal(planned.plan.refs[0].place, OWNERSHIP_NOWHERE);
        end_plan(&planned);
    }
    struct planned planned = plan_body("/volumes/create", "{\"Name\":\"v\"}");
    assert_ref(&planned, 0, OWNERSHIP_A_VOLUME, "v");
    assert_slice(planned.plan.refs[0].make,
                 "{\"Labels\":{\"jailoc.owner\":\"team-a\"},\"Name\":\"v\"}");
    end_plan(&planned);
    planned = plan_body("/volumes/create", "{\"Name\":\"\"}");
    assert_int_equal(planned.plan.ref_count, 0);
    end_plan(&planned);
}

static void bodies_without_others_name_none(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"Image\":\"x\",\"HostConfig\":null,\"NetworkingConfig\":null}",
        "{\"HostConfig\":{\"NetworkMode\":\"default\",\"Binds\":null,\"Links\":[],\"VolumesFrom\":"
        "null,\"Mounts\":null,\"PidMode\":\"\",\"IpcMode\":\"private\"}}",
        "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{},\"none\":null}}}",
        "{\"HostConfig\":{\"Binds\":[\"/a:/b\"],\"Mounts\":[{\"Type\":\"volume\",\"Target\":\"/x\"}"
        "]},\"Volumes\":{\"/data\":{}}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct planned planned = plan_body("/containers/create", bodies[i]);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        assert_int_equal(planned.plan.ref_count, 0);
        end_plan(&planned);
    }
}

static void doubtful_bodies_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *target, *body;
    } cases[] = {
        {"/containers/create", "{\"HostConfig\":{},\"hostconfig\":{}}"},
        {"/containers/create", "{\"HostConfig\":{\"Links\":[],\"links\":[]}}"},
        {"/containers/create", "{\"HostConfig\":[]}"},
        {"/containers/create", "{\"HostConfig\":{\"VolumesFrom\":[1]}}"},
        {"/containers/create", "{\"HostConfig\":{\"VolumesFrom\":{}}}"},
        {"/containers/create", "{\"HostConfig\":{\"NetworkMode\":1}}"},
        {"/containers/create", "{\"HostConfig\":{\"NetworkMode\":\"container:\"}}"},
        {"/containers/create", "{\"HostConfig\":{\"Binds\":[\"v\"]}}"},
        {"/containers/create", "{\"HostConfig\":{\"Mounts\":{}}}"},
        {"/containers/create", "{\"HostConfig\":{\"Mounts\":[{\"Type\":1}]}}"},
        {"/containers/create", "{\"NetworkingConfig\":{\"EndpointsConfig\":[]}}"},
        {"/containers/create", "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"\":{}}}}"},
        {"/networks/bridge/connect", "{}"},
        {"/networks/bridge/connect", "{\"Container\":\"\"}"},
        {"/networks/bridge/connect", "{\"Container\":\"a\",\"container\":\"b\"}"},
        {"/networks/bridge/connect", "{\"Container\":\"a\",\"EndpointConfig\":[]}"},
        {"/volumes/create", "{\"Name\":1}"},
        {"/volumes/create", "{\"Name\":\"a\",\"name\":\"b\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned planned = plan_body(cases[i].target, cases[i].body);
        if (planned.finding.decision != FILTER_BAD_REQUEST)
            fail_msg("%s", cases[i].body);
        end_plan(&planned);
    }
    struct planned planned = plan_body(
        "/containers/create", "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"VolumeOptions\":"
                              "{\"Labels\":{\"jailoc.owner\":\"team-b\"}}}]}}");
    assert_int_equal(planned.finding.decision, FILTER_DENY);
    end_plan(&planned);
}

static void too_many_objects_are_refused(void **state) {
    (void)state;
    char body[4096] = "{\"HostConfig\":{\"VolumesFrom\":[\"x\"";
    for (size_t i = 0; i < OWNERSHIP_MAX_REFS; i++)
        strcat(body, ",\"x\"");
    strcat(body, "]}}");
    struct planned planned = plan_body("/containers/create", body);
    assert_int_equal(planned.finding.decision, FILTER_BAD_REQUEST);
    end_plan(&planned);
}

/* --- any body: all that changes is one piece that is put in --- */

static unsigned long long random_state = 88172645463325252ULL;

static unsigned pick(unsigned count) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state % count);
}

static size_t put(char *text, size_t used, const char *what) {
    return used + (size_t)sprintf(text + used, "%s", what);
}

static size_t put_space(char *text, size_t used) {
    static const char *const spaces[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
    return put(text, used, spaces[pick(7)]);
}

static size_t put_value(char *text, size_t used, unsigned depth) {
    static const char *const plain[] = {"null",
                                        "true",
                                        "false",
                                        "0",
                                        "-1.5e3",
                                        "18446744073709551615",
                                        "\"\"",
                                        "\"text\"",
                                        "\"\\\"}]{[:,\\\\\"",
                                        "\"\xc3\xa9\\ud83d\\ude00\\/\"",
                                        "\"Labels\""};
    unsigned kind = depth == 0 ? 0 : pick(4);
    if (kind < 2)
        return put(text, used, plain[pick(11)]);
    unsigned count = pick(4);
    used = put(text, used, kind == 2 ? "{" : "[");
    for (unsigned i = 0; i < count; i++) {
        used = put_space(text, used);
        if (kind == 2) {
            used += (size_t)sprintf(text + used, "\"k%u\"", i);
            used = put_space(text, used);
            used = put(text, used, ":");
            used = put_space(text, used);
        }
        used = put_value(text, used, depth - 1);
        used = put_space(text, used);
        if (i + 1 < count)
            used = put(text, used, ",");
    }
    return put(text, used, kind == 2 ? "}" : "]");
}

/* A network's body of any form, with "Labels" somewhere, somehow, or not. `*null` becomes where it
 * says null. */
static void make_body(char *text, const char **null) {
    static const char *const keys[] = {"\"Labels\"", "\"labels\"", "\"LABEL\xc5\xbf\"",
                                       "\"La\\u0062els\""};
    static const char *const values[] = {"null", "{}", "{ }", "{\"a\":\"b\"}",
                                         "{\n\"jailoc.owne\":\"x\", \"\":\"\"}"};
    unsigned count = pick(5);
    unsigned place = pick(7);
    size_t used = put_space(text, 0);
    *null = NULL;
    used = put(text, used, "{");
    for (unsigned i = 0; i < count; i++) {
        used = put_space(text, used);
        if (i == place)
            used = put(text, used, keys[pick(4)]);
        else
            used += (size_t)sprintf(text + used, "\"Field%u\"", i);
        used = put_space(text, used);
        used = put(text, used, ":");
        used = put_space(text, used);
        unsigned value = pick(5);
        if (i == place && value == 0)
            *null = text + used;
        used = i == place ? put(text, used, values[value]) : put_value(text, used, 4);
        used = put_space(text, used);
        if (i + 1 < count)
            used = put(text, used, ",");
    }
    used = put(text, used, "}");
    (void)put_space(text, used);
}

static void nothing_else_of_a_body_changes(void **state) {
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        static char text[1 << 16];
        const char *null;
        make_body(text, &null);
        struct planned planned = plan_body("/networks/create", text);
        assert_int_equal(planned.finding.decision, FILTER_ALLOW);
        struct slice before = slice_from_string(text);
        struct slice after = planned.plan.body;
        struct json_error error;
        assert_true(json_check_object(after, &error));
        /* What both begin with, and what both end with, is all of the old one. */
        size_t front = 0;
        size_t back = 0;
        size_t gone = null != NULL ? 4 : 0;
        while (front < before.len && before.data[front] == after.data[front])
            front++;
        if (null != NULL)
            assert_int_equal(front, (size_t)(null - text));
        while (back < before.len - front &&
               before.data[before.len - 1 - back] == after.data[after.len - 1 - back])
            back++;
        assert_int_equal(front + gone + back, before.len);
        /* And what is put in is the label alone. */
        struct slice added = slice_first(slice_from(after, front), after.len - front - back);
        char shown[256];
        snprintf(shown, sizeof shown, "%.*s", SLICE_ARGS(added));
        assert_non_null(strstr(shown, "jailoc.owner\":\"team-a\""));
        assert_true(added.len <= strlen("\"Labels\":{\"jailoc.owner\":\"team-a\"},"));
        end_plan(&planned);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_gets_the_label),
        cmocka_unit_test(forged_and_doubtful_labels_are_refused),
        cmocka_unit_test(containers_in_bodies_become_ids),
        cmocka_unit_test(networks_in_bodies_keep_their_names),
        cmocka_unit_test(volumes_are_made_first),
        cmocka_unit_test(bodies_without_others_name_none),
        cmocka_unit_test(doubtful_bodies_are_refused),
        cmocka_unit_test(too_many_objects_are_refused),
        cmocka_unit_test(nothing_else_of_a_body_changes),
    };
    return cmocka_run_group_tests(tests, start_rules, stop_rules);
}
