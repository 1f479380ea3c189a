#include "body_cases.h"

#include "filter/json.h"

static bool check(struct slice text) {
    struct json_error error;
    bool valid = json_check_object(text, &error);
    assert_true(error.offset <= text.len);
    assert_true(valid == (error.what == NULL));
    struct arena tree = {0};
    cJSON *object = json_parse_object(text, &tree, &error);
    assert_true(valid == (object != NULL)); /* cJSON must agree */
    arena_reset(&tree);
    return valid;
}

static void valid_objects_pass(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ } \t\r\n",
        "{\"a\":1}\n",
        "{\"\":0}",
        "{\"a\":[],\"b\":{},\"c\":[[],{}],\"d\":[1,2 , 3]}",
        "{\"a\":true,\"b\":false,\"c\":null}",
        "{\"a\":0,\"b\":-0,\"c\":1.5,\"d\":-10.25e+3,\"e\":1E5,\"f\":2e-7}",
        "{\"a\":1e308,\"b\":-1e308,\"c\":1e-999}",
        "{\"a\":123456789012345678901234567890123456789012345678901234567890123}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\uFFFD\"}",
        "{\"a\":\"\\ud83d\\ude00\\uDBFF\\uDFFF\"}",
        "{\"a\":\"\x7F\"}",
        "{\"m\xC3\xBCller\":\"\xE6\x97\xA5\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF\xEE\x80\x80\"}",
        "{\"a\":\"/* not a comment */ // nor this\"}",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (!check(slice_from_string(texts[i])))
            fail_msg("refused: %s", texts[i]);
}

static void everything_else_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        /* Not one object. */
        "",
        " ",
        "null",
        "true",
        "1",
        "\"a\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{},",
        "{}]",
        "x{}",
        "{}\f",
        "{}\v",
        "\xEF\xBB\xBF{}",
        "{}\xEF\xBB\xBF",
        "\xC2\xA0{}",
        /* Grammar. */
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{null:1}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":[1}]",
        "{\"a\":/**/1}",
        "{\"a\":1}//",
        "{\"a\":1}#",
        /* Words. */
        "{\"a\":True}",
        "{\"a\":tru}",
        "{\"a\":truex}",
        "{\"a\":nul}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":undefined}",
        /* Numbers. */
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1.e1}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":0x10}",
        "{\"a\":1e999}",
        "{\"a\":-1e999}",
        "{\"a\":1_000}",
        "{\"a\":1234567890123456789012345678901234567890123456789012345678901234}",
        /* Strings. */
        "{\"a\":\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\'\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u00g0\"}",
        "{\"a\":\"\\U0041\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\x1F\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\\u0000b\":1}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\ud800\\ud800\"}",
        "{\"a\":\"\\ud800x\"}",
        "{\"a\":\"\\ud800\\n\"}",
        "{\"\\ud800\":1}",
        /* UTF-8. */
        "{\"a\":\"\x80\"}",
        "{\"a\":\"\xFF\xFE\"}",
        "{\"a\":\"\xC0\xAF\"}",
        "{\"a\":\"\xC1\xBF\"}",
        "{\"a\":\"\xC3\"}",
        "{\"a\":\"\xC3",
        "{\"a\":\"\xE0\x9F\xBF\"}",
        "{\"a\":\"\xE2\x82\"}",
        "{\"a\":\"\xE2\x82",
        "{\"a\":\"\xED\xA0\x80\"}",
        "{\"a\":\"\xED\xBF\xBF\"}",
        "{\"a\":\"\xF0\x8F\xBF\xBF\"}",
        "{\"a\":\"\xF0\x9F\x98\"}",
        "{\"a\":\"\xF4\x90\x80\x80\"}",
        "{\"a\":\"\xF5\x80\x80\x80\"}",
        "{\"\xFF\":1}",
        "{\xFF}",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (check(slice_from_string(texts[i])))
            fail_msg("passed: %s", texts[i]);
}

static void bytes_of_nul_are_refused(void **state) {
    (void)state;
    assert_false(check(slice_of("{}\0", 3)));
    assert_false(check(slice_of("\0{}", 3)));
    assert_false(check(slice_of("{\"a\":\"\0\"}", 9)));
    assert_false(check(slice_of("{\"a\0\":1}", 8)));
    assert_false(check(slice_of(NULL, 0)));
}

/* {"a": and `depth - 1` lists inside. */
static struct slice nested(char *buffer, size_t depth) {
    size_t used = 0;
    memcpy(buffer, "{\"a\":", 5);
    used += 5;
    memset(buffer + used, '[', depth - 1);
    used += depth - 1;
    memset(buffer + used, ']', depth - 1);
    used += depth - 1;
    buffer[used++] = '}';
    return slice_of(buffer, used);
}

static void depth_is_bounded(void **state) {
    (void)state;
    static char buffer[400000];
    assert_true(check(nested(buffer, JSON_MAX_DEPTH)));
    assert_false(check(nested(buffer, JSON_MAX_DEPTH + 1)));
    assert_false(check(nested(buffer, 100000)));
    memset(buffer, '[', sizeof buffer);
    memcpy(buffer, "{\"a\":", 5);
    assert_false(check(slice_of(buffer, sizeof buffer)));
}

/* {"a":[0,0,…]} with `count` values in all. */
static struct slice listed(char *buffer, size_t count) {
    size_t used = 6;
    memcpy(buffer, "{\"a\":[", 6);
    for (size_t i = 2; i < count; i++) {
        buffer[used++] = '0';
        buffer[used++] = ',';
    }
    used--; /* the last comma */
    buffer[used++] = ']';
    buffer[used++] = '}';
    return slice_of(buffer, used);
}

static void number_of_values_is_bounded(void **state) {
    (void)state;
    static char buffer[2 * JSON_MAX_VALUES + 64];
    assert_true(check(listed(buffer, JSON_MAX_VALUES)));
    assert_false(check(listed(buffer, JSON_MAX_VALUES + 1)));
}

static void every_prefix_of_an_object_is_refused(void **state) {
    (void)state;
    static const char text[] = "{\"k\\u00e9\":[1.5e3,true,\"\\ud83d\\ude00\xF0\x9F\x98\x80\",{}]}";
    assert_true(check(slice_from_string(text)));
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy + 1, text, len);
        assert_false(check(slice_of(copy + 1, len)));
        free(copy);
    }
}

/* Each byte at each place of a string, in memory that ends with the text: the scanner looks at
 * eight bytes at a time where it can, and may neither miss one nor look past the end. */
static void every_byte_counts_wherever_it_stands(void **state) {
    (void)state;
    enum { LONGEST = 20 };
    for (size_t len = 1; len <= LONGEST; len++) {
        size_t size = strlen("{\"a\":\"") + len + strlen("\"}");
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte <= 0xff; byte++) {
                char *text = malloc(size);
                assert_non_null(text);
                memcpy(text, "{\"a\":\"", 6);
                memset(text + 6, 'n', len);
                memcpy(text + 6 + len, "\"}", 2);
                text[6 + at] = (char)(unsigned char)byte;
                struct json_error error;
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                /* A backslash escapes what follows: the n or, at the end, the closing quote. */
                bool escapes = byte == '\\' && at + 1 < len;
                if (json_check_object(slice_of(text, size), &error) != (plain || escapes))
                    fail_msg("byte 0x%02x at %zu of %zu is judged wrongly", byte, at, len);
                free(text);
            }
        }
    }
}

static void error_names_the_place(void **state) {
    (void)state;
    struct json_error error;
    assert_false(json_check_object(SLICE("{\"a\":1}x"), &error));
    assert_int_equal(error.offset, 7);
    assert_string_equal(error.what, "something follows the JSON object");
}

static void keys_fold_as_in_go(void **state) {
    (void)state;
    static const struct {
        const char *key, *name;
        bool equal;
    } cases[] = {
        {"Privileged", "Privileged", true},
        {"privileged", "Privileged", true},
        {"PRIVILEGED", "Privileged", true},
        {"Ho\xC5\xBFtConfig", "HostConfig", true},
        {"HO\xC5\xBFTCONFIG", "hostconfig", true},
        {"Net\xE2\x84\xAA", "netk", true},
        {"\xE2\x84\xAA", "K", true},
        {"\xC5\xBF", "S", true},
        {"\xC5\xBF\xC5\xBF", "ss", true},
        {"\xC5\xBE", "s", false},
        {"\xE2\x84\xAB", "k", false},
        {"\xE2\x84", "k", false},
        {"\xC5", "s", false},
        {"Privilege", "Privileged", false},
        {"Privilegedx", "Privileged", false},
        {"", "Privileged", false},
        {"", "", true},
        {" Privileged", "Privileged", false},
        {"@", "`", false},
        {"[", "{", false},
        /* Turkish and full-width letters fold to nothing in ASCII. */
        {"B\xC4\xB1nds", "Binds", false},
        {"B\xC4\xB0nds", "Binds", false},
        {"\xEF\xBC\xA2inds", "Binds", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char key[64];
        char name[64];
        struct slice wire = slice_from_string(cases[i].key);
        struct slice field = slice_from_string(cases[i].name);
        assert_int_equal(json_key_is(wire, field), cases[i].equal);
        size_t length = json_fold(wire, key);
        assert_true(length <= wire.len);
        assert_int_equal(slice_equal(slice_of(key, length), slice_of(name, json_fold(field, name))),
                         cases[i].equal);
    }
}

static void equal_keys_are_found(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum json_keys folded, exact;
    } cases[] = {
        {"{}", JSON_KEYS_UNIQUE, JSON_KEYS_UNIQUE},
        {"{\"a\":1}", JSON_KEYS_UNIQUE, JSON_KEYS_UNIQUE},
        {"{\"a\":1,\"b\":1}", JSON_KEYS_UNIQUE, JSON_KEYS_UNIQUE},
        {"{\"a\":1,\"b\":1,\"a\":1}", JSON_KEYS_DUPLICATE, JSON_KEYS_DUPLICATE},
        {"{\"a\":1,\"\\u0061\":1}", JSON_KEYS_DUPLICATE, JSON_KEYS_DUPLICATE},
        {"{\"\":1,\"\":1}", JSON_KEYS_DUPLICATE, JSON_KEYS_DUPLICATE},
        {"{\"a\":1,\"c\":2,\"A\":1}", JSON_KEYS_DUPLICATE, JSON_KEYS_UNIQUE},
        {"{\"s\":1,\"\xC5\xBF\":1}", JSON_KEYS_DUPLICATE, JSON_KEYS_UNIQUE},
        {"{\"K\":1,\"\\u212a\":1}", JSON_KEYS_DUPLICATE, JSON_KEYS_UNIQUE},
        {"{\"\xC3\xA9\":1,\"\xC3\x89\":1}", JSON_KEYS_UNIQUE, JSON_KEYS_UNIQUE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct json_error error;
        struct slice duplicate = {0};
        struct arena tree = {0};
        cJSON *object = json_parse_object(slice_from_string(cases[i].text), &tree, &error);
        assert_non_null(object);
        assert_int_equal(json_check_keys(object, true, &arena, &duplicate), cases[i].folded);
        assert_int_equal(duplicate.data != NULL, cases[i].folded == JSON_KEYS_DUPLICATE);
        assert_int_equal(json_check_keys(object, false, &arena, &duplicate), cases[i].exact);
        arena_reset(&tree);
        arena_reset(&arena);
    }
}

static void rule_sets_without_fields(void **state) {
    (void)state;
    static const struct filter_policy policy = {.preset = FILTER_ALLOWLIST};
    static const struct {
        enum body_rule_set rules;
        struct body_case expected;
    } cases[] = {
        {BODY_NONE, {"", ALLOW}},
        {BODY_NONE, {"anything", ALLOW}},
        {BODY_MUST_BE_EMPTY, {"", ALLOW}},
        {BODY_MUST_BE_EMPTY, {"{}", ALLOW}},
        {BODY_MUST_BE_EMPTY, {"{}\n", ALLOW}},
        {BODY_MUST_BE_EMPTY, {"null", ALLOW}},
        {BODY_MUST_BE_EMPTY, {"[]", DENY("start.body")}},
        {BODY_MUST_BE_EMPTY, {"{}{}", DENY("start.body")}},
        {BODY_MUST_BE_EMPTY, {"{\"a\":1}", DENY("start.body")}},
        {BODY_MUST_BE_EMPTY, {"{\"Privileged\":true}", DENY("start.body")}},
        {BODY_JSON_ANY, {"{\"username\":\"u\",\"x\":[1,{\"y\":null}]}", ALLOW}},
        {BODY_JSON_ANY, {"{\"Privileged\":true}", ALLOW}},
        {BODY_JSON_ANY, {"[]", BAD("body.json")}},
        {BODY_JSON_ANY, {"", BAD("body.json")}},
        {BODY_JSON_ANY, {"{}{}", BAD("body.json")}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_cases(&policy, cases[i].rules, &cases[i].expected, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_objects_pass),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(bytes_of_nul_are_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(number_of_values_is_bounded),
        cmocka_unit_test(every_prefix_of_an_object_is_refused),
        cmocka_unit_test(every_byte_counts_wherever_it_stands),
        cmocka_unit_test(error_names_the_place),
        cmocka_unit_test(keys_fold_as_in_go),
        cmocka_unit_test(equal_keys_are_found),
        cmocka_unit_test(rule_sets_without_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
