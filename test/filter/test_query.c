#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "filter/query.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_slice(struct slice s, const char *expected) {
    assert_int_equal(s.len, strlen(expected));
    if (s.len > 0)
        assert_memory_equal(s.data, expected, s.len);
}

static void pairs_are_decoded_in_order(void **state) {
    (void)state;
    static const struct {
        const char *raw;
        size_t count;
        const char *pairs[3][2];
    } cases[] = {
        {"", 0, {{0}}},
        {"&", 0, {{0}}},
        {"a=b", 1, {{"a", "b"}}},
        {"a", 1, {{"a", ""}}},
        {"a=", 1, {{"a", ""}}},
        {"=b", 1, {{"", "b"}}},
        {"&&a=b&&", 1, {{"a", "b"}}},
        {"a=b=c", 1, {{"a", "b=c"}}},
        {"a=b&a=c&A=d", 3, {{"a", "b"}, {"a", "c"}, {"A", "d"}}},
        {"a=b+c%2Bd%20e", 1, {{"a", "b c+d e"}}},
        {"net%77orkmode=h%6fst", 1, {{"networkmode", "host"}}},
        {"a%3Db=c%26d", 1, {{"a=b", "c&d"}}},
        {"a=%25zz", 1, {{"a", "%zz"}}},
        {"a=%3B", 1, {{"a", ";"}}},
        {"filters={\"a\":1}", 1, {{"filters", "{\"a\":1}"}}},
        {"a=%0A", 1, {{"a", "\n"}}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct query query;
        print_message("%s\n", cases[i].raw);
        assert_int_equal(query_parse(slice_from_string(cases[i].raw), &arena, &query), QUERY_OK);
        assert_int_equal(query.count, cases[i].count);
        for (size_t j = 0; j < query.count; j++) {
            assert_slice(query.pairs[j].key, cases[i].pairs[j][0]);
            assert_slice(query.pairs[j].value, cases[i].pairs[j][1]);
        }
        arena_reset(&arena);
    }
}

static void malformed_queries_are_refused_whole(void **state) {
    (void)state;
    static const char *const cases[] = {
        "a=%",   "a=%4",    "a=%zz", "%=a",     "a%4=b", "x=1&a=%4g&y=2",     "a=b;c=d",
        ";",     "a=b&c;d", "a=%00", "a%00b=c", "a=%-1", "networkmode=host%", "networkmode%=host",
        "a=% 1",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct query query;
        print_message("%s\n", cases[i]);
        assert_int_equal(query_parse(slice_from_string(cases[i]), &arena, &query), QUERY_MALFORMED);
        assert_int_equal(query.count, 0);
        arena_reset(&arena);
    }
}

static void an_escape_is_not_read_past_the_end(void **state) {
    (void)state;
    struct arena arena = {0};
    struct query query;
    /* The bytes behind the slice would complete the escape. */
    assert_int_equal(query_parse(slice_of("a=%41", 4), &arena, &query), QUERY_MALFORMED);
    assert_int_equal(query_parse(slice_of("a=%41", 3), &arena, &query), QUERY_MALFORMED);
    arena_reset(&arena);
}

static void keys_are_counted_and_found_exactly(void **state) {
    (void)state;
    struct arena arena = {0};
    struct query query;
    assert_int_equal(query_parse(SLICE("t=a&T=b&t=c&tt=d"), &arena, &query), QUERY_OK);
    assert_int_equal(query_count(&query, SLICE("t")), 2);
    assert_int_equal(query_count(&query, SLICE("T")), 1);
    assert_int_equal(query_count(&query, SLICE("x")), 0);
    assert_slice(query_first(&query, SLICE("t")), "a");
    assert_slice(query_first(&query, SLICE("T")), "b");
    assert_slice(query_first(&query, SLICE("x")), "");
    arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_decoded_in_order),
        cmocka_unit_test(malformed_queries_are_refused_whole),
        cmocka_unit_test(an_escape_is_not_read_past_the_end),
        cmocka_unit_test(keys_are_counted_and_found_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
