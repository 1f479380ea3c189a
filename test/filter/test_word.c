#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "filter/word.h"

enum { SIZE = sizeof(text_word) };

/* Where the first byte stands that `is` holds for, found one by one. */
static size_t first(const unsigned char *bytes, bool (*is)(unsigned char)) {
    size_t at = 0;
    while (at < SIZE && !is(bytes[at]))
        at++;
    return at;
}

static bool is_control(unsigned char byte) {
    return byte < 0x20;
}
static bool is_ascii(unsigned char byte) {
    return byte < 0x80;
}
static bool is_not_ascii(unsigned char byte) {
    return byte >= 0x80;
}
static bool is_zero(unsigned char byte) {
    return byte == 0;
}
static bool is_quote(unsigned char byte) {
    return byte == '"';
}
static bool is_top(unsigned char byte) {
    return byte == 0xff;
}
static bool is_special(unsigned char byte) {
    return is_control(byte) || is_not_ascii(byte) || is_quote(byte);
}

static void assert_word(const unsigned char *bytes) {
    text_word word = word_load(bytes);
    assert_int_equal(word_first(word_any_below(word, 0x20)), first(bytes, is_control));
    assert_int_equal(word_first(word_any_below(word, 0x80)), first(bytes, is_ascii));
    assert_int_equal(word_first(word_any_not_ascii(word)), first(bytes, is_not_ascii));
    assert_int_equal(word_first(word_any_equal(word, 0)), first(bytes, is_zero));
    assert_int_equal(word_first(word_any_equal(word, '"')), first(bytes, is_quote));
    assert_int_equal(word_first(word_any_equal(word, 0xff)), first(bytes, is_top));
    assert_int_equal(word_first(word_any_below(word, 0x20) | word_any_not_ascii(word) |
                                word_any_equal(word, '"')),
                     first(bytes, is_special));
}

/* Pairs, because a borrow from one byte could change the answer for its neighbour. */
static void every_pair_of_bytes_at_every_place(void **state) {
    (void)state;
    static const unsigned char fillers[] = {0x20, 0x21, 'n', 0x7f, 0x80, 0xff};
    for (size_t f = 0; f < sizeof fillers; f++) {
        for (size_t at = 0; at + 1 < SIZE; at++) {
            for (unsigned pair = 0; pair <= 0xffff; pair++) {
                unsigned char bytes[SIZE];
                memset(bytes, fillers[f], sizeof bytes);
                bytes[at] = (unsigned char)(pair >> 8);
                bytes[at + 1] = (unsigned char)(pair & 0xff);
                assert_word(bytes);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_bytes_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
