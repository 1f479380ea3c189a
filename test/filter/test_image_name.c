#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "filter/glob.h"
#include "filter/image_name.h"
#include "filter/near.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void names_are_read_as_docker_reads_them(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *whole; /* NULL: no name */
    } cases[] = {
        {"alpine", "docker.io/library/alpine"},
        {"alpine:3.20", "docker.io/library/alpine:3.20"},
        {"team/app", "docker.io/team/app"},
        {"docker.io/alpine", "docker.io/library/alpine"},
        {"index.docker.io/alpine", "docker.io/library/alpine"},
        {"localhost/app", "localhost/app"},
        {"reg:5000/app", "reg:5000/app"},
        {"reg:5000/app:1", "reg:5000/app:1"},
        {"ghcr.io/a/b/c@sha256:00ff", "ghcr.io/a/b/c@sha256:00ff"},
        {"a:1@sha256:00ff", "docker.io/library/a:1@sha256:00ff"},
        {"[::1]:5000/app", "[::1]:5000/app"},
        {"", NULL},
        {"Alpine", NULL},
        {"Team/app", NULL},
        {"a b", NULL},
        {"alpine:", NULL},
        {"alpine@", NULL},
        {"alpine@sha256", NULL},
        {"alpine:.x", NULL},
        {"ghcr.io/", NULL},
        {"a*", NULL},
        {"a\xC3\xA9", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct image_name name;
        bool parsed = image_name_parse(slice_from_string(cases[i].text), &arena, &name);
        if (parsed != (cases[i].whole != NULL))
            fail_msg("%s was %staken for a name", cases[i].text, parsed ? "" : "not ");
        if (parsed)
            assert_string_equal(image_name_text(&name, &arena), cases[i].whole);
        arena_reset(&arena);
    }
}

static void patterns_name_images(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *name;
        bool named;
    } cases[] = {
        {"alpine", "alpine", true},
        {"alpine", "docker.io/library/alpine:3", true},
        {"alpine", "alpine@sha256:00", true},
        {"alpine", "team/alpine", false},
        {"alpine", "evil.io/library/alpine", false},
        {"alpine", "alpinex", false},
        {"al*", "alpine", true},
        {"al*", "al/x", false},
        {"docker.io/*", "alpine", true},
        {"docker.io/*", "team/app", true},
        {"docker.io/*", "docker.io.evil.com/app", false},
        {"team/*", "team/a", true},
        {"team/*", "team.io/a", false},
        {"ghcr.io/acme/*", "ghcr.io/acme/a/b:1", true},
        {"ghcr.io/acme/*", "ghcr.io/acmex/a", false},
        {"*.acme.com/*", "reg.acme.com/a", true},
        {"*.acme.com/*", "evil.io/x.acme.com/a", false},
        {"*.acme.com/*", "team/x.acme.com/a", false},
        {"*/app", "ghcr.io/app", true},
        {"*/app", "ghcr.io/team/app", false},
        {"alpine:3.*", "alpine:3.20", true},
        {"alpine:3.*", "alpine", false},
        {"alpine:3.*", "alpine:3.20@sha256:00", false},
        {"alpine:*", "alpine:1", true},
        {"alpine:*", "alpine@sha256:00", false},
        {"alpine@sha256:00*", "alpine@sha256:00ff", true},
        {"alpine@sha256:00*", "alpine:1@sha256:00ff", true},
        {"alpine:2@sha256:00*", "alpine:1@sha256:00ff", false},
        {"alpine@sha256:00*", "alpine:1", false},
        {"reg:5000/*", "reg:5000/a:1", true},
        {"reg:5000/*", "reg:5001/a:1", false},
        {"*", "anything/at:all", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *const items[] = {"no/such", cases[i].pattern};
        const struct filter_words patterns = {.items = items, .count = 2, .given = true};
        struct arena arena = {0};
        struct image_name name;
        assert_true(image_name_parse(slice_from_string(cases[i].name), &arena, &name));
        assert_true(image_name_pattern_is_valid(slice_from_string(cases[i].pattern)));
        if (image_name_is_listed(&patterns, &name) != cases[i].named)
            fail_msg("%s for %s", cases[i].pattern, cases[i].name);
        arena_reset(&arena);
    }
}

static void some_patterns_name_nothing(void **state) {
    (void)state;
    static const char *const patterns[] = {"",      "alpine:",  "alpine@",     "Alpine",    "a b",
                                           "a:b:c", "ghcr.io/", "team/ALPINE", "alpine:3/", "a?"};
    for (size_t i = 0; i < COUNT(patterns); i++)
        if (image_name_pattern_is_valid(slice_from_string(patterns[i])))
            fail_msg("%s", patterns[i]);
}

static void a_tag_of_its_own_counts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *tag;
        const char *whole;
    } cases[] = {
        {"a/b", "1", "docker.io/a/b:1"},
        {"a/b:2", "1", "docker.io/a/b:1"},
        {"a/b:2", "", "docker.io/a/b:2"},
        {"a/b:2", "sha256:00", "docker.io/a/b@sha256:00"},
        {"a/b@sha256:00", "1", "docker.io/a/b:1@sha256:00"},
        {"a/b", "x y", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct image_name name;
        assert_true(image_name_parse(slice_from_string(cases[i].name), &arena, &name));
        bool taken = image_name_add_tag(&name, slice_from_string(cases[i].tag));
        assert_int_equal(taken, cases[i].whole != NULL);
        if (taken)
            assert_string_equal(image_name_text(&name, &arena), cases[i].whole);
        arena_reset(&arena);
    }
}

static void ids_are_told_from_names(void **state) {
    (void)state;
    assert_true(image_name_may_be_id(SLICE("sha256:xyz")));
    assert_true(image_name_may_be_id(SLICE("cafe")));
    assert_true(image_name_may_be_id(SLICE("0")));
    assert_true(image_name_may_be_id(
        SLICE("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")));
    assert_false(image_name_may_be_id(SLICE("cafe:1")));
    assert_false(image_name_may_be_id(SLICE("alpine")));
    assert_false(image_name_may_be_id(SLICE("a/b")));
    assert_false(image_name_may_be_id(SLICE("")));
}

static void stars_stand_for_any_run(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {
        {"", "", true},          {"", "a", false},      {"*", "", true},
        {"*", "a/b", true},      {"a*", "a", true},     {"a*", "ba", false},
        {"*a", "ba", true},      {"*a", "ab", false},   {"a*b*c", "axxbxxc", true},
        {"a*b*c", "acb", false}, {"**", "x", true},     {"*ab*ab", "abab", true},
        {"*ab", "aab", true},    {"a*a", "a", false},   {"GET *", "GET /x", true},
        {"GET *", "GET", false}, {"a?c", "abc", false}, {"[a]", "a", false},
        {"*aab", "aaab", true},  {"a*b", "a*b", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (glob_matches(slice_from_string(cases[i].pattern), slice_from_string(cases[i].text)) !=
            cases[i].matches)
            fail_msg("%s for %s", cases[i].pattern, cases[i].text);
}

static void the_nearest_word_is_found(void **state) {
    (void)state;
    struct near near = near_start("capabilites");
    near_offer(&near, "devices");
    near_offer(&near, "capabilities");
    near_offer(&near, "capability");
    assert_string_equal(near.best, "capabilities");
    near = near_start("xyz");
    near_offer(&near, "abc");
    assert_null(near.best);
    char longer[200];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    near = near_start(longer);
    near_offer(&near, longer);
    assert_null(near.best);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_docker_reads_them),
        cmocka_unit_test(patterns_name_images),
        cmocka_unit_test(some_patterns_name_nothing),
        cmocka_unit_test(a_tag_of_its_own_counts),
        cmocka_unit_test(ids_are_told_from_names),
        cmocka_unit_test(stars_stand_for_any_run),
        cmocka_unit_test(the_nearest_word_is_found),
    };
    return cmocka_run_group_tests_name("image_name", tests, NULL, NULL);
}
