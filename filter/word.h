/* Eight bytes of text looked at together: whether any of them is special, not which. Scanners step
 * over words that hold nothing special and look at single bytes only where one may. */
#ifndef DIND_PROXY_FILTER_WORD_H
#define DIND_PROXY_FILTER_WORD_H

#include <stdbool.h>
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

/* Whether a byte is below `limit`, at most 0x80. Subtracting the limit from each byte sets the top
 * bit of those that are; a byte that had it set before is none. What a borrow does to the bytes
 * above does not matter: there is none unless the answer is yes already. */
static inline bool word_has_below(text_word word, unsigned char limit) {
    return ((word - WORD_OF(limit)) & ~word & WORD_OF(0x80)) != 0;
}

static inline bool word_has(text_word word, unsigned char byte) {
    return word_has_below(word ^ WORD_OF(byte), 1);
}

static inline bool word_is_ascii(text_word word) {
    return (word & WORD_OF(0x80)) == 0;
}

#endif
