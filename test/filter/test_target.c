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
        /* A slash in the name of an image may be escaped, as docker-java does. */
        {"/images/testcontainers%2Fx:1/json", -1, "/images/testcontainers/x:1/json", ""},
        {"/v1.41/images/a%2fb%2Fc/json?x=%2F", 41, "/images/a/b/c/json", "x=%2F"},
        {"/images/localhost:5000%2Fa/push", -1, "/images/localhost:5000/a/push", ""},
        {"/images/a%2Fb", -1, "/images/a/b", ""},
        {"/images/a%2Fjson", -1, "/images/a/json", ""},
        {"/images/create%2Fx", -1, "/images/create/x", ""},
        {"/images/a/b%2Fc/json", -1, "/images/a/b/c/json", ""},
        {"/images/a%2Fimages%2Fb/json", -1, "/images/a/images/b/json", ""},
        {"/images/a%2F...", -1, "/images/a/...", ""},
        {"/images/v1.41%2Fcontainers/create", -1, "/images/v1.41/containers/create", ""},
        {"/v1.41/distribution/a%2Fb/json", 41, "/distribution/a/b/json", ""},
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

struct refusal {
    struct slice raw;
    enum target_status status;
};

static void assert_refused(const struct refusal *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct arena arena = {0};
        struct target target;
        print_message("%.*s\n", SLICE_ARGS(cases[i].raw));
        assert_int_equal(target_parse(cases[i].raw, &arena, &target), cases[i].status);
        assert_non_null(target_reason(cases[i].status));
        arena_reset(&arena);
    }
}

static void odd_targets_are_refused(void **state) {
    (void)state;
    static const struct refusal cases[] = {
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
    assert_refused(cases, COUNT(cases));
}

static void escaped_slashes_outside_of_image_names_are_refused(void **state) {
    (void)state;
    static const struct refusal cases[] = {
        /* An escaped slash anywhere but in the name of an image. */
        {SLICE("/images%2Fa/json"), TARGET_BAD_PATH},
        {SLICE("/images%2Fa%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("%2Fimages/a/json"), TARGET_BAD_FORM},
        {SLICE("/%2Fimages/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/v1.41%2Fimages/a/json"), TARGET_BAD_PATH},
        {SLICE("/v1.41%2Fimages/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/v1.41/images%2Fa/json"), TARGET_BAD_PATH},
        {SLICE("/v1.41/v1.41/images/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/v1.41/x/images/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/v2.0/images/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/v01.41/images/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/v1.41./images/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/v1./images/a%2Fb/json"), TARGET_BAD_VERSION},
        {SLICE("/v1.041/images/a%2Fb/json"), TARGET_BAD_VERSION},
        {SLICE("/v1.99999/images/a%2Fb/json"), TARGET_BAD_VERSION},
        {SLICE("/Images/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/image/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/imagesx/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/images%2F"), TARGET_BAD_PATH},
        {SLICE("/distribution%2Fa/json"), TARGET_BAD_PATH},
        {SLICE("/%69mages/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/containers/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/containers/images/a%2Fb/json"), TARGET_BAD_PATH},
        {SLICE("/exec/images%2Fstart"), TARGET_BAD_PATH},
        {SLICE("/volumes/a%2Fb"), TARGET_BAD_PATH},
        {SLICE("/plugins/a%2Fb/enable"), TARGET_BAD_PATH},
        {SLICE("/info%2F?/images/"), TARGET_BAD_PATH},
        /* In the name, but one that makes an empty element or a dot segment. */
        {SLICE("/images/%2Fa/json"), TARGET_BAD_PATH},
        {SLICE("/images/%2F"), TARGET_BAD_PATH},
        {SLICE("/images/a%2F"), TARGET_BAD_PATH},
        {SLICE("/images/a%2F?x"), TARGET_BAD_PATH},
        {SLICE("/images/a%2F/json"), TARGET_BAD_PATH},
        {SLICE("/images/a/%2Fjson"), TARGET_BAD_PATH},
        {SLICE("/images/a%2F%2Fjson"), TARGET_BAD_PATH},
        {SLICE("/images/.%2Fa/json"), TARGET_BAD_PATH},
        {SLICE("/images/a%2F./json"), TARGET_BAD_PATH},
        {SLICE("/images/..%2Fcontainers%2Fcreate"), TARGET_BAD_PATH},
        {SLICE("/images/..%2Fcontainers/create"), TARGET_BAD_PATH},
        {SLICE("/images/a%2F..%2F..%2Fcontainers%2Fcreate"), TARGET_BAD_PATH},
        {SLICE("/images/a%2F.."), TARGET_BAD_PATH},
        {SLICE("/images/a%2F%2e%2e%2Fb"), TARGET_BAD_PATH},
        {SLICE("/distribution/a%2F..%2Fb/json"), TARGET_BAD_PATH},
        /* Decoded once, not twice. */
        {SLICE("/images/a%252Fb/json"), TARGET_BAD_PATH},
        {SLICE("/images/a%5Cb/json%2"), TARGET_BAD_PATH},
        {SLICE("/images/a%2"), TARGET_BAD_PATH},
        {SLICE("/images/a%2Gb"), TARGET_BAD_PATH},
        {SLICE("/images/a%c0%afb%2e"), TARGET_BAD_PATH},
    };
    assert_refused(cases, COUNT(cases));
}

static void every_escape_of_an_unreserved_character_is_refused(void **state) {
    (void)state;
    static const char *const prefixes[] = {"/volumes/", "/images/"};
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t i = 0; i < COUNT(prefixes); i++) {
            struct arena arena = {0};
            struct target target;
            char raw[32];
            snprintf(raw, sizeof(raw), "%sa%%%02Xb", prefixes[i], byte);
            bool harmless = byte >= 0x20 && byte != 0x7f &&
                            (byte >= 0x80 || strchr(" !\"#$&'()*+,:;<=>?@[\\]^`{|}", (int)byte));
            bool slash_in_name = byte == '/' && i == 1;
            assert_int_equal(target_parse(slice_from_string(raw), &arena, &target),
                             harmless || slash_in_name ? TARGET_OK : TARGET_BAD_PATH);
            arena_reset(&arena);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_targets_are_split),
        cmocka_unit_test(odd_targets_are_refused),
        cmocka_unit_test(escaped_slashes_outside_of_image_names_are_refused),
        cmocka_unit_test(every_escape_of_an_unreserved_character_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
