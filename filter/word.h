/* Eight bytes of text looked at together: whether any of them is special, not which. Scanners step
 * over words that hold nothing special and look at single bytes only where one may. */
#ifndef DIND_PROXY_FILTER_WORD_H
#define DIND_PROXY_FILTER_WORD_H

#include <stdint.h>
#include <string.h>

typedef uint64_t text_word;

/* The word whose bytes are all `byte`. */
#define WORD_OF(byte) (UINT64_MAX / 0xff * (byte))

/* Reads sizeof(text_word) bytes, whatever their alignment. Their order in the word is the
 * machine's, which none of the questions below depends on. */
static inline text_word word_load(const void *text) {
    text_word word;
    memcpy(&word, text, sizeof word);
    return word;
}

/* The answers are words that are zero for "no byte is", to be combined with '|'. Subtracting the
 * limit from each byte sets the top bit of those that are below it; a byte that had it set before
 * is none. What a borrow does to the bytes above does not matter: there is none unless the answer
 * is yes already. `limit` is at most 0x80. */
static inline text_word word_any_below(text_word word, unsigned char limit) {
    return (word - WORD_OF(limit)) & ~word & WORD_OF(0x80);
}

static inline text_word word_any_equal(text_word word, unsigned char byte) {
    return word_any_below(word ^ WORD_OF(byte), 1);
}

static inline text_word word_any_not_ascii(text_word word) {
    return word & WORD_OF(0x80);
}

#endif
