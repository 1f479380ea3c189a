#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "filter/target.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_slice(struct slice s, const char *expected) {
    assert_int_equal(s.len, strlen(expected));
    if (s.len > 0)
        assert_memory_equal(s.data, expected, s.len);
}

static void sound_targets_are_split(void **state) {
    (void)state;
    static const struct {
        const char *raw;
        int minor; /* -1: unversioned */
        const char *path;
        const char *query;
    } cases[] = {
        {"/", -1, "/", ""},
        {"/_ping", -1, "/_ping", ""},
        {"/v1.41/_ping", 41, "/_ping", ""},
        {"/v1.0/info", 0, "/info", ""},
        {"/v1.9999/info", 9999, "/info", ""},
        {"/v1.41/", 41, "/", ""},
        {"/volumes", -1, "/volumes", ""},
        {"/version?a=b", -1, "/version", "a=b"},
        {"/v1.41/version?", 41, "/version", ""},
        {"/v1.41/x?a?b=c/../d//", 41, "/x", "a?b=c/../d//"},
        {"/networks/", -1, "/networks/", ""},
        {"/images/registry.example:5000/team/app@sha256:ab/json", -1,
         "/images/registry.example:5000/team/app@sha256:ab/json", ""},
        {"/images/registry.example%3A5000/x/json", -1, "/images/registry.example:5000/x/json", ""},
        {"/images/a%40sha256%3aff/json", -1, "/images/a@sha256:ff/json", ""},
        {"/networks/a%20b", -1, "/networks/a b", ""},
        {"/networks/%C3%A9t%C3%A9", -1, "/networks/\xc3\xa9t\xc3\xa9", ""},
        /* Only whole segments are dot segments. */
        {"/volumes/...", -1, "/volumes/...", ""},
        {"/volumes/.a", -1, "/volumes/.a", ""},
        {"/volumes/a..", -1, "/volumes/a..", ""},
        {"/volumes/a+b", -1, "/volumes/a+b", ""},
        /* The query is not decoded here. */
        {"/build?x=%2e%zz", -1, "/build", "x=%2e%zz"},
        {"/containers/json?filters={\"label\":[\"x\"]}", -1, "/containers/json",
         "filters={\"label\":[\"x\"]}"},
        /* A second version segment is an ordinary, unknown one. */
        {"/v1.41/v1.41/info", 41, "/v1.41/info", ""},
        {"/vx/info", -1, "/vx/info", ""},
        {"/v", -1, "/v", ""},
        {"/V1.41/info", -1, "/V1.41/info", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct target target;
        print_message("%s\n", cases[i].raw);
        assert_int_equal(target_parse(slice_from_string(cases[i].raw), &arena, &target), TARGET_OK);
        assert_int_equal(target.versioned, cases[i].minor >= 0);
        if (target.versioned)
            assert_int_equal(target.minor, cases[i].minor);
        assert_slice(target.path, cases[i].path);
        assert_slice(target.query, cases[i].query);
        arena_reset(&arena);
    }
    assert_null(target_reason(TARGET_OK));
}

static void odd_targets_are_refused(void **state) {
    (void)state;
    static const struct {
        struct slice raw;
        enum target_status status;
    } cases[] = {
        {{"", 0}, TARGET_BAD_FORM},
        {SLICE("*"), TARGET_BAD_FORM},
        {SLICE("containers/json"), TARGET_BAD_FORM},
        {SLICE("http://x/containers/create"), TARGET_BAD_FORM},
        {SLICE("x:2376"), TARGET_BAD_FORM},
        {SLICE("?x"), TARGET_BAD_FORM},
        {SLICE("/info#x"), TARGET_BAD_FORM},
        {SLICE("/info?x#y"), TARGET_BAD_FORM},
        {SLICE("/info x"), TARGET_BAD_FORM},
        {SLICE("/info\tx"), TARGET_BAD_FORM},
        {SLICE("/info\0x"), TARGET_BAD_FORM},
        {SLICE("/info?\x01"), TARGET_BAD_FORM},
        {SLICE("/info\x7f"), TARGET_BAD_FORM},
        {SLICE("/networks/\xc3\xa9"), TARGET_BAD_FORM},
        {SLICE("/info?\xc5\xbf"), TARGET_BAD_FORM},

        {SLICE("//"), TARGET_BAD_PATH},
        {SLICE("//containers/create"), TARGET_BAD_PATH},
        {SLICE("/containers//create"), TARGET_BAD_PATH},
        {SLICE("/containers/create//"), TARGET_BAD_PATH},
        {SLICE("/."), TARGET_BAD_PATH},
        {SLICE("/.."), TARGET_BAD_PATH},
        {SLICE("/./info"), TARGET_BAD_PATH},
        {SLICE("/v1.47/../containers/create"), TARGET_BAD_PATH},
        {SLICE("/v1.47/./containers/create"), TARGET_BAD_PATH},
        {SLICE("/containers/create/."), TARGET_BAD_PATH},
        {SLICE("/containers/create/../"), TARGET_BAD_PATH},
        /* Escapes of what needs none. */
        {SLICE("/containers/%63reate"), TARGET_BAD_PATH},
        {SLICE("/containers%2fcreate"), TARGET_BAD_PATH},
        {SLICE("/containers%2Fcreate"), TARGET_BAD_PATH},
        {SLICE("/containers/%2e%2e/create"), TARGET_BAD_PATH},
        {SLICE("/%761.47/containers/create"), TARGET_BAD_PATH},
        {SLICE("/v1%2e47/containers/create"), TARGET_BAD_PATH},
        {SLICE("/volumes/a%2Db"), TARGET_BAD_PATH},
        {SLICE("/volumes/a%5Fb"), TARGET_BAD_PATH},
        {SLICE("/volumes/a%7Eb"), TARGET_BAD_PATH},
        {SLICE("/volumes/a%30"), TARGET_BAD_PATH},
        /* Escapes that would print or decode again. */
        {SLICE("/containers/create%00"), TARGET_BAD_PATH},
        {SLICE("/containers/create%0a"), TARGET_BAD_PATH},
        {SLICE("/containers/create%7f"), TARGET_BAD_PATH},
        {SLICE("/volumes/%252e"), TARGET_BAD_PATH},
        {SLICE("/volumes/a%25"), TARGET_BAD_PATH},
        /* No escapes at all. */
        {SLICE("/volumes/%"), TARGET_BAD_PATH},
        {SLICE("/volumes/%3"), TARGET_BAD_PATH},
        {SLICE("/volumes/%zz"), TARGET_BAD_PATH},
        {SLICE("/volumes/%3?A"), TARGET_BAD_PATH},
        {SLICE("/volumes/a\\b"), TARGET_BAD_PATH},
        {SLICE("/volumes/{name}"), TARGET_BAD_PATH},
        {SLICE("/volumes/a|b"), TARGET_BAD_PATH},

        {SLICE("/v1.47"), TARGET_BAD_VERSION},
        {SLICE("/v1/info"), TARGET_BAD_VERSION},
        {SLICE("/v1./info"), TARGET_BAD_VERSION},
        {SLICE("/v1.41./info"), TARGET_BAD_VERSION},
        {SLICE("/v1.41.0/info"), TARGET_BAD_VERSION},
        {SLICE("/v01.41/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.041/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.00/info"), TARGET_BAD_VERSION},
        {SLICE("/v.1.41/info"), TARGET_BAD_VERSION},
        {SLICE("/v./info"), TARGET_BAD_VERSION},
        {SLICE("/v2.0/info"), TARGET_BAD_VERSION},
        {SLICE("/v0.41/info"), TARGET_BAD_VERSION},
        {SLICE("/v11.41/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.41-rc1/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.+41/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.41%20/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.10000/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.4294967337/info"), TARGET_BAD_VERSION},
        {SLICE("/v1.99999999999999999999999/info"), TARGET_BAD_VERSION},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct target target;
        print_message("%.*s\n", SLICE_ARGS(cases[i].raw));
        assert_int_equal(target_parse(cases[i].raw, &arena, &target), cases[i].status);
        assert_non_null(target_reason(cases[i].status));
        arena_reset(&arena);
    }
}

static void every_escape_of_an_unreserved_character_is_refused(void **state) {
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        struct arena arena = {0};
        struct target target;
        char raw[32];
        snprintf(raw, sizeof(raw), "/volumes/a%%%02Xb", byte);
        bool harmless = byte >= 0x20 && byte != 0x7f &&
                        (byte >= 0x80 || strchr(" !\"#$&'()*+,:;<=>?@[\\]^`{|}", (int)byte));
        assert_int_equal(target_parse(slice_from_string(raw), &arena, &target),
                         harmless ? TARGET_OK : TARGET_BAD_PATH);
        arena_reset(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_targets_are_split),
        cmocka_unit_test(odd_targets_are_refused),
        cmocka_unit_test(every_escape_of_an_unreserved_character_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
