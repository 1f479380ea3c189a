/* Values in a JSON text by their place: also in texts that nobody has checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filter/json_span.h"

static void assert_slice(struct slice slice, const char *expected) {
    char text[512];
    snprintf(text, sizeof text, "%.*s", SLICE_ARGS(slice));
    assert_string_equal(text, expected);
}

static void values_are_cut_out(void **state) {
    (void)state;
    static const struct {
        const char *text, *value;
    } cases[] = {
        {" {\"a\":[1,{}]} \n", "{\"a\":[1,{}]}"},
        {"[\"]\"]", "[\"]\"]"},
        {"\"\\\"\\\\\"", "\"\\\"\\\\\""},
        {"-1.5e3", "-1.5e3"},
        {"null ", "null"},
        {"", ""},
        {"  ", ""},
        {"{} {}", ""},
        {"{", ""},
        {"\"", ""},
        {"\"\\\"", ""},
        {"[\"]", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_slice(json_value(slice_from_string(cases[i].text)), cases[i].value);
}

/* All keys and values with a bar between; "bad" at the end of a bad text. */
static void check_walk(const char *text, const char *expected) {
    char shown[512] = "";
    struct slice key;
    struct slice value;
    struct json_walk walk = json_walk_start(slice_from_string(text));
    while (json_walk_next(&walk, &key, &value))
        snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%.*s|%.*s|", SLICE_ARGS(key),
                 SLICE_ARGS(value));
    if (walk.bad)
        strcat(shown, "bad");
    assert_string_equal(shown, expected);
    assert_false(json_walk_next(&walk, &key, &value));
}

static void members_and_elements_are_walked(void **state) {
    (void)state;
    check_walk("{}", "");
    check_walk("[ ]", "");
    check_walk("{ \"a\" : 1 , \"b\":{\"c\":[]}\n}", "\"a\"|1|\"b\"|{\"c\":[]}|");
    check_walk("[1,\"x\",null]", "|1||\"x\"||null|");
    static const char *const bad[] = {"",      "1",    "{\"a\"}", "{\"a\":}", "{\"a\" 1}",
                                      "{a:1}", "[,]",  "{",       "[",        "{\"a\":1",
                                      "[\"a]", "{} x", "{\"a:1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_walk(bad[i], "bad");
    check_walk("[1 2]", "|1|bad");
    check_walk("{\"a\":1,}", "\"a\"|1|bad");
}

static void check_decode(const char *string, const char *expected) {
    struct arena arena = {0};
    struct slice text = {0};
    bool decoded = json_decode(slice_from_string(string), &arena, &text);
    assert_int_equal(decoded, expected != NULL);
    if (expected != NULL)
        assert_slice(text, expected);
    arena_reset(&arena);
}

static void strings_are_decoded(void **state) {
    (void)state;
    check_decode("\"\"", "");
    check_decode("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "a\"\\/\b\f\n\r\t");
    check_decode("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"",
                 "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    static const char *const bad[] = {"",
                                      "x",
                                      "\"",
                                      "\"a\"b",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u\"",
                                      "\"\\u0000\"",
                                      "\"\\ud83d\"",
                                      "\"\\ud83d\\u0041\"",
                                      "\"\\ud83dxxxxxx\"",
                                      "\"\\ude00\"",
                                      "\"\\\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_decode(bad[i], NULL);
}

static void what_is_encoded_decodes_to_itself(void **state) {
    (void)state;
    char every[256];
    struct arena arena = {0};
    struct slice decoded;
    for (int i = 1; i < 128; i++)
        every[i - 1] = (char)i;
    struct slice text = slice_of(every, 127);
    assert_true(json_decode(json_encode(text, &arena), &arena, &decoded));
    assert_true(slice_equal(text, decoded));
    assert_slice(json_encode(SLICE("a\"\n\\"), &arena), "\"a\\\"\\u000a\\\\\"");
    arena_reset(&arena);
}

static void members_are_found(void **state) {
    (void)state;
    static const struct {
        const char *object;
        bool exact;
        enum json_member expected;
    } cases[] = {
        {"{\"Labels\":1}", false, JSON_MEMBER_FOUND},
        {"{\"LABEL\xc5\xbf\":1}", false, JSON_MEMBER_FOUND},
        {"{\"labels\":1}", true, JSON_MEMBER_ABSENT},
        {"{\"\\\\\":\"\\\"\\\\\\\"\\\\\",\"Labels\":1}", true, JSON_MEMBER_FOUND},
        {"{\"a\":\"\\\\\\\",\"Labels\":1}", true, JSON_MEMBER_BAD},
        {"{\"\\u004cabels\":1}", true, JSON_MEMBER_FOUND},
        {"{\"\\u004c\\u0061\\u0062\\u0065\\u006c\\u017f\":1}", false, JSON_MEMBER_FOUND},
        {"{\"\\u004c\\u0061\\u0062\\u0065\\u006c\\u017fs\":1}", false, JSON_MEMBER_ABSENT},
        {"{\"Label\\x\":1}", false, JSON_MEMBER_BAD},
        {"{}", false, JSON_MEMBER_ABSENT},
        {"{\"Labels\":1,\"labels\":2}", false, JSON_MEMBER_BAD},
        {"{\"Labels\":1,\"labels\":2}", true, JSON_MEMBER_FOUND},
        {"{\"Labels\":1,\"Labels\":2}", true, JSON_MEMBER_BAD},
        {"[]", false, JSON_MEMBER_BAD},
        {"null", false, JSON_MEMBER_BAD},
        {"{\"a\":1,", false, JSON_MEMBER_BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice value = {0};
        assert_int_equal(
            json_find(slice_from_string(cases[i].object), SLICE("Labels"), cases[i].exact, &value),
            cases[i].expected);
        if (cases[i].expected == JSON_MEMBER_FOUND)
            assert_slice(value, "1");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_cut_out),  cmocka_unit_test(members_and_elements_are_walked),
        cmocka_unit_test(strings_are_decoded), cmocka_unit_test(what_is_encoded_decodes_to_itself),
        cmocka_unit_test(members_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
