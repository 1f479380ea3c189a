/* Eight bytes of text looked at together: whether any of them is special, and which is the first.
 */
#ifndef DIND_PROXY_FILTER_WORD_H
#define DIND_PROXY_FILTER_WORD_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t text_word;

/* The word whose bytes are all `byte`. */
#define WORD_OF(byte) (UINT64_MAX / 0xff * (byte))

/* Reads sizeof(text_word) bytes, whatever their alignment. The first is the lowest of the word, on
 * every machine. */
static inline text_word word_load(const void *text) {
    text_word word;
    memcpy(&word, text, sizeof word);
    return le64toh(word);
}

/* The answers are words for word_first, zero for "no byte is"; they are combined with '|'.
 * Subtracting the limit from each byte sets the top bit of those that are below it; a byte that had
 * it set before is none. A borrow can only spoil what stands behind a byte that is. `limit` is at
 * most 0x80. */
static inline text_word word_any_below(text_word word, unsigned char limit) {
    return (word - WORD_OF(limit)) & ~word & WORD_OF(0x80);
}

static inline text_word word_any_equal(text_word word, unsigned char byte) {
    return word_any_below(word ^ WORD_OF(byte), 1);
}

static inline text_word word_any_not_ascii(text_word word) {
    return word & WORD_OF(0x80);
}

/* The place of the first byte that is, sizeof(text_word) if none is. */
static inline size_t word_first(text_word answer) {
    return answer == 0 ? sizeof answer : (size_t)__builtin_ctzll(answer) / 8;
}

#endif
