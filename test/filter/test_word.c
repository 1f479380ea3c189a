#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "filter/word.h"

/* The answers for eight bytes, one by one. */
static void assert_word(const unsigned char *bytes) {
    text_word word = word_load(bytes);
    bool control = false, zero = false, quote = false, top = false, low = false, high = false;
    for (size_t i = 0; i < sizeof word; i++) {
        control = control || bytes[i] < 0x20;
        zero = zero || bytes[i] == 0;
        quote = quote || bytes[i] == '"';
        top = top || bytes[i] == 0xff;
        low = low || bytes[i] < 0x80;
        high = high || bytes[i] >= 0x80;
    }
    assert_int_equal(word_any_below(word, 0x20) != 0, control);
    assert_int_equal(word_any_below(word, 0x80) != 0, low);
    assert_int_equal(word_any_equal(word, 0) != 0, zero);
    assert_int_equal(word_any_equal(word, '"') != 0, quote);
    assert_int_equal(word_any_equal(word, 0xff) != 0, top);
    assert_int_equal(word_any_not_ascii(word) != 0, high);
}

/* Pairs, because a borrow from one byte could change the answer for its neighbour. */
static void every_pair_of_bytes_at_every_place(void **state) {
    (void)state;
    static const unsigned char fillers[] = {0x20, 0x21, 'n', 0x7f, 0x80, 0xff};
    for (size_t f = 0; f < sizeof fillers; f++) {
        for (size_t at = 0; at + 1 < sizeof(text_word); at++) {
            for (unsigned pair = 0; pair <= 0xffff; pair++) {
                unsigned char bytes[sizeof(text_word)];
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
