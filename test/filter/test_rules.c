#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct filter_rules *parse(const char *text, char *error, size_t size) {
    /* Ends where its memory ends, so that a sanitizer sees any read beyond. */
    size_t length = strlen(text);
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy + 1, text, length);
    struct filter_rules *rules = filter_rules_parse(slice_of(copy + 1, length), "p", error, size);
    free(copy);
    return rules;
}

static struct filter_rules *must_parse(const char *text) {
    char error[512] = "";
    struct filter_rules *rules = parse(text, error, sizeof error);
    if (rules == NULL)
        fail_msg("%s\n  gave %s", text, error);
    return rules;
}

static const struct {
    const char *text;
    const char *error; /* the beginning */
} faults[] = {
    {"", "p:1:1: this is not plain JSON: there is no JSON object"},
    {"{\"schema\": 1,\n \"preset\": }", "p:2:12: this is not plain JSON: a value was expected"},
    {"[]", "p:1:1: this is not plain JSON: it is not a JSON object"},
    {"{}", "p:1:1: the policy names no schema; begin it with \"schema\": 1"},
    {"{\"schema\": 2}", "p:1:12: the only schema known here is 1"},
    {"{\"schema\": \"1\"}", "p:1:12: the only schema known here is 1"},
    {"{\"schema\":1,\n  \"preste\":\"allowlist\"}",
     "p:2:3: unknown key 'preste'; did you mean \"preset\"?"},
    {"{\"schema\":1,\"create\":{\"capabilites\":[]}}",
     "p:1:23: unknown key 'capabilites' in \"create\"; did you mean \"capabilities\"?"},
    {"{\"schema\":1,\"limits\":{\"memroy\":{}}}",
     "p:1:23: unknown key 'memroy' in \"limits\"; did you mean \"memory\"?"},
    {"{\"schema\":1,\"limits\":{\"memory\":{\"maximum\":1}}}",
     "p:1:33: unknown key 'maximum' in \"limits.memory\""},
    {"{\"schema\":1,\"xyzzyx\":1}", "p:1:13: unknown key 'xyzzyx'; "},
    /* A path is no name, and a key's case counts. */
    {"{\"schema\":1,\"create.privileged\":true}", "p:1:13: unknown key 'create.privileged'"},
    {"{\"schema\":1,\"Preset\":\"allowlist\"}",
     "p:1:13: unknown key 'Preset'; did you mean \"preset\"?"},
    {"{\"schema\":1,\"create\":[]}", "p:1:22: \"create\" must be an object"},
    {"{\"schema\":1,\"preset\":\"alowlist\"}",
     "p:1:22: \"preset\" takes one of: \"blocklist\", \"allowlist\", \"read-only\", "
     "\"ci-runner\"; "
     "did you mean \"allowlist\"?"},
    {"{\"schema\":1,\"preset\":3}", "p:1:22: \"preset\" takes one of: "},
    {"{\"schema\":1,\"preset\":\"allowlist\",\n\"preset\":\"blocklist\"}",
     "p:2:1: the key 'preset' comes twice"},
    {"{\"schema\":1,\"create\":{\"privileged\":false,\"privileged\":true}}",
     "p:1:42: the key 'privileged' comes twice"},
    /* Escapes make no other key of it, and no other place. */
    {"{\"schema\":1,\"create\":{\"privileged\":false,\"privile\\u0067ed\":true}}",
     "p:1:42: the key 'privileged' comes twice"},
    {"{\"schema\":1,\"create\":{\"privileged\":\"yes\"}}",
     "p:1:36: \"create.privileged\" must be true or false"},
    {"{\"schema\":1,\"unknown-endpoints\":\"maybe\"}",
     "p:1:33: \"unknown-endpoints\" takes one of: \"deny\", \"allow\""},
    {"{\"schema\":1,\"api-floor\":\"1.23\"}",
     "p:1:25: \"api-floor\" must be an API version from \"1.24\" to"},
    {"{\"schema\":1,\"api-floor\":1.40}", "p:1:25: \"api-floor\" must be an API version"},
    {"{\"schema\":1,\"api-floor\":\"1.040\"}", "p:1:25: \"api-floor\" must be an API version"},
    /* Columns are characters. */
    {"{\"schema\":1,\"create\":{\"runtimes\":[\"\xC3\xA9\"],\"capabilities\":[\"NET_ADMN\"]}}",
     "p:1:56: 'NET_ADMN' is no capability; did you mean \"NET_ADMIN\"?"},
    {"{\"schema\":1,\"create\":{\"images\":[\"a\",\"alpine:\"]}}",
     "p:1:37: 'alpine:' is no image's name, nor a pattern of names"},
    {"{\"schema\":1,\"images\":{\"pull\":[\"Alpine\"]}}", "p:1:31: 'Alpine' is no image's name"},
    {"{\"schema\":1,\"create\":{\"capabilities\":\"ALL\"}}",
     "p:1:38: \"create.capabilities\" must be a list of strings"},
    {"{\"schema\":1,\"create\":{\"devices\":[1]}}", "p:1:34: \"create.devices\" must hold strings"},
    {"{\"schema\":1,\"create\":{\"devices\":[\"\"]}}",
     "p:1:34: \"create.devices\" must hold strings"},
    {"{\"schema\":1,\"create\":{\"network-modes\":[\"hots\"]}}",
     "p:1:40: 'hots' needs no opening; only host does"},
    {"{\"schema\":1,\"endpoints\":{\"allow\":[\"GET *\",\n\"POST /container/{name}/exec\"]}}",
     "p:2:1: 'POST /container/{name}/exec' names no route; did you mean \"POST "
     "/containers/{name}/exec\"?"},
    {"{\"schema\":1,\"endpoints\":{\"deny\":[\"*/exec/start\"]}}",
     "p:1:34: '*/exec/start' names no route"},
    {"{\"schema\":1,\"create\":{\"binds\":[\"srv\"]}}",
     "p:1:32: \"srv\": the path must be absolute"},
    {"{\"schema\":1,\"create\":{\"binds\":[\"/etc\"]}}",
     "p:1:32: \"/etc\": the path is a sensitive one"},
    {"{\"schema\":1,\"create\":{\"binds\":[{\"path\":\"/\"}]}}",
     "p:1:40: \"/\": the path holds a sensitive path"},
    {"{\"schema\":1,\"create\":{\"binds\":[{\"path\":\"/a\",\"readonly\":true}]}}",
     "p:1:45: unknown key in \"create.binds\"; did you mean \"read-only\"?"},
    {"{\"schema\":1,\"create\":{\"binds\":[{\"path\":\"/a\",\"read-only\":1}]}}",
     "p:1:57: \"read-only\" must be true or false"},
    {"{\"schema\":1,\"create\":{\"binds\":[{\"read-only\":true}]}}",
     "p:1:32: the bind has no \"path\""},
    {"{\"schema\":1,\"create\":{\"binds\":[[]]}}", "p:1:32: \"create.binds\" must hold paths"},
    {"{\"schema\":1,\"exec\":{\"commands\":[\"sh\"]}}",
     "p:1:33: \"exec.commands\" must hold lists"},
    {"{\"schema\":1,\"exec\":{\"commands\":[[]]}}", "p:1:33: \"exec.commands\" must hold lists"},
    {"{\"schema\":1,\"exec\":{\"commands\":[[\"sh\",1]]}}",
     "p:1:39: \"exec.commands\" must hold lists of strings"},
    {"{\"schema\":1,\"build\":{\"session-deny\":[\"shh\"]}}",
     "p:1:38: \"build.session-deny\" takes one of: \"secrets\", \"ssh\", \"auth\"; did you "
     "mean "
     "\"ssh\"?"},
    {"{\"schema\":1,\"limits\":{\"memory\":{\"max\":\"8x\"}}}",
     "p:1:39: \"limits.memory.max\" must be a size"},
    {"{\"schema\":1,\"limits\":{\"memory\":{\"max\":\"99999999999g\"}}}",
     "p:1:39: \"limits.memory.max\" must be a size"},
    {"{\"schema\":1,\"limits\":{\"memory\":{\"max\":0}}}",
     "p:1:39: \"limits.memory.max\" must be a size"},
    {"{\"schema\":1,\"limits\":{\"pids\":{\"max\":1.5}}}",
     "p:1:37: \"limits.pids.max\" must be a whole number above 0"},
    {"{\"schema\":1,\"limits\":{\"cpus\":{\"max\":-1}}}",
     "p:1:37: \"limits.cpus.max\" must be a number above 0"},
    {"{\"schema\":1,\"clients\":{}}", "p:1:23: \"clients\" must be a list"},
    {"{\"schema\":1,\"clients\":[1]}", "p:1:24: \"clients\" must hold objects"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\"}]}",
     "p:1:24: a client needs a \"name\" and a \"match\""},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"match\":{}}]}", "p:1:44: \"match\" names no"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"macth\":{\"uid\":1}}]}",
     "p:1:36: unknown key 'macth' of a client; did you mean \"match\"?"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"match\":{\"uid\":-1}}]}",
     "p:1:51: \"uid\" must be a whole number"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"match\":{\"uuid\":1}}]}",
     "p:1:45: unknown key 'uuid' in \"match\"; did you mean \"uid\"?"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"match\":{\"listener\":\"unix:///"
     "a?mode=0660\"}}]}",
     "p:1:56: \"listener\" is named without parameters"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a b\",\"match\":{\"uid\":1}}]}",
     "p:1:32: a client's name must be of"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"match\":{\"uid\":1}},{\"name\":\"a\","
     "\"match\":{"
     "\"uid\":2}}]}",
     "p:1:63: two clients have the name \"a\""},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"match\":{\"uid\":1},\"policy\":{\"schema\":"
     "1}}]}",
     "p:1:64: the key 'schema' belongs to the whole file"},
    {"{\"schema\":1,\"clients\":[{\"name\":\"a\",\"match\":{\"uid\":1},\"policy\":{\"presset\":"
     "1}}]}",
     "p:1:64: unknown key 'presset'; did you mean \"preset\"?"},
    {"{\"schema\":1,\"other-clients\":\"deny\"}",
     "p:1:29: \"other-clients\" would refuse everybody"},
    {"{\"schema\":1,\"other-clients\":\"none\"}", "p:1:29: \"other-clients\" takes one of"},
};

static void faults_are_told_with_their_place(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        char error[512] = "";
        struct filter_rules *rules = parse(faults[i].text, error, sizeof error);
        if (rules != NULL || strncmp(error, faults[i].error, strlen(faults[i].error)) != 0)
            fail_msg("%s\n  gave %s\n  not  %s", faults[i].text, error, faults[i].error);
    }
}

static void a_short_error_is_cut(void **state) {
    (void)state;
    for (size_t size = 1; size < 40; size++) {
        char error[40];
        assert_null(parse("{\"schema\":1,\"preste\":1}", error, size));
        assert_true(strlen(error) < size);
    }
}

static void clients_are_told_apart(void **state) {
    (void)state;
    struct filter_rules *rules = must_parse(
        "{\"schema\":1,\"ownership\":true,\"clients\":["
        "{\"name\":\"cn\",\"match\":{\"common-name\":\"team-*\"}},"
        "{\"name\":\"both\",\"match\":{\"uid\":7,\"gid\":8},\"policy\":{\"ownership\":false}},"
        "{\"name\":\"uid\",\"match\":{\"uid\":7}},"
        "{\"name\":\"san\",\"match\":{\"alt-name\":\"*.example.com\"}},"
        "{\"name\":\"door\",\"match\":{\"listener\":\"unix:///run/*\"}},"
        "{\"name\":\"root\",\"match\":{\"uid\":0}}],\"other-clients\":\"deny\"}");
    const struct slice names[] = {SLICE("x"), SLICE("a.example.com")};
    const struct {
        struct filter_identity identity;
        const char *name;
    } cases[] = {
        {{.common_name = SLICE("team-a")}, "cn"},
        {{.common_name = SLICE("team-a"), .has_peer = true, .uid = 7}, "cn"},
        {{.common_name = SLICE("Team-a")}, NULL},
        {{.common_name = SLICE("")}, NULL},
        {{.has_peer = true, .uid = 7, .gid = 8}, "both"},
        {{.has_peer = true, .uid = 7, .gid = 9}, "uid"},
        {{.uid = 7}, NULL},
        {{.uid = 0}, NULL}, /* nobody proved to be root */
        {{.has_peer = true}, "root"},
        {{.alt_names = names, .alt_name_count = 2}, "san"},
        {{.alt_names = names, .alt_name_count = 1}, NULL},
        {{.listener = SLICE("unix:///run/x.sock")}, "door"},
        {{.listener = SLICE("tcp://127.0.0.1:1")}, NULL},
    };
    assert_true(filter_rules_tell_apart(rules));
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct filter_client *client = filter_rules_select(rules, &cases[i].identity);
        if (cases[i].name == NULL) {
            assert_null(client->name);
            assert_null(client->policy);
            continue;
        }
        assert_string_equal(client->name, cases[i].name);
        assert_non_null(client->policy);
        assert_int_equal(client->ownership, strcmp(client->name, "both") != 0);
        assert_ptr_equal(filter_rules_find(rules, cases[i].name), client);
    }
    assert_null(filter_rules_find(rules, "nobody"));
    filter_rules_free(rules);
}

static void without_clients_everybody_is_the_same(void **state) {
    (void)state;
    struct filter_rules *rules = must_parse("{\"schema\":1}");
    assert_false(filter_rules_tell_apart(rules));
    const struct filter_client *client =
        filter_rules_select(rules, &(struct filter_identity){.common_name = SLICE("x")});
    assert_null(client->name);
    assert_non_null(client->policy);
    assert_false(client->ownership);
    filter_rules_free(rules);
    filter_rules_free(NULL);
}

static void printing_gives_what_reads_the_same(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"schema\":1}",
        "{\"schema\":1,\"preset\":\"read-only\"}",
        "{\"schema\":1,\"preset\":\"ci-runner\",\"api-floor\":\"1.100\",\"unknown-endpoints\":"
        "\"allow\","
        "\"endpoints\":{\"only\":[\"GET *\"],\"allow\":[],\"deny\":[\"* /swarm*\"]},"
        "\"create\":{\"privileged\":true,\"capabilities\":[\"cap_net_admin\",\"All\"],"
        "\"binds\":[\"/srv/**\",{\"path\":\"/"
        "a\",\"read-only\":true}],\"runtimes\":[\"a\\\"\\\\\\u0001b\"]},"
        "\"exec\":{\"commands\":[[\"sh\",\"-c\",\"*\"],[\"**\"]]},\"images\":{\"pull\":[]},"
        "\"build\":{\"buildkit\":\"deny\",\"session-deny\":[\"auth\",\"ssh\"],\"outputs\":false},"
        "\"limits\":{\"memory\":{\"max\":\"8G\"},\"pids\":{\"max\":9007199254740992},"
        "\"cpus\":{\"required\":true,\"max\":0.000000001}},\"ownership\":true,"
        "\"clients\":[{\"name\":\"a\",\"match\":{\"uid\":0,\"gid\":4294967294,\"common-name\":\"*"
        "\","
        "\"alt-name\":\"x\",\"listener\":\"y\"},\"policy\":{\"exec\":{\"commands\":[]}}},"
        "{\"name\":\"b\",\"match\":{\"uid\":1},\"policy\":{\"preset\":\"blocklist\"}}],"
        "\"other-clients\":\"deny\"}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct filter_rules *rules = must_parse(texts[i]);
        char *first = filter_rules_print(rules);
        filter_rules_free(rules);
        assert_non_null(first);
        rules = must_parse(first);
        char *second = filter_rules_print(rules);
        filter_rules_free(rules);
        assert_string_equal(first, second);
        if (i == 2) {
            assert_non_null(strstr(first, "\"capabilities\": [\"NET_ADMIN\", \"ALL\"]"));
            assert_non_null(strstr(first, "\"max\": 8589934592"));
            assert_non_null(strstr(first, "\"max\": 1e-09"));
            assert_non_null(strstr(first, "\"session-deny\": [\"ssh\", \"auth\"]"));
            /* Put over the file's own, and started afresh. */
            const char *a = strstr(first, "\"name\": \"a\"");
            const char *b = strstr(first, "\"name\": \"b\"");
            assert_non_null(a);
            assert_non_null(b);
            assert_true(strstr(a, "\"privileged\": true") < b);
            assert_null(strstr(b, "\"privileged\": true"));
        }
        free(first);
        free(second);
    }
}

static void rules_of_options_are_not_printed(void **state) {
    (void)state;
    char error[256] = "";
    struct filter_settings settings = {.buildkit = FILTER_BUILDKIT_INSPECT};
    struct filter_rules *rules = filter_rules_new(&settings, error, sizeof error);
    assert_non_null(rules);
    assert_null(filter_rules_print(rules));
    filter_rules_free(rules);
    settings.preset = (enum filter_preset)77;
    assert_null(filter_rules_new(&settings, error, sizeof error));
    assert_non_null(strstr(error, "77"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_told_with_their_place),
        cmocka_unit_test(a_short_error_is_cut),
        cmocka_unit_test(clients_are_told_apart),
        cmocka_unit_test(without_clients_everybody_is_the_same),
        cmocka_unit_test(printing_gives_what_reads_the_same),
        cmocka_unit_test(rules_of_options_are_not_printed),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
