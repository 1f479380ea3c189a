#include "filter/quote.h"

#include <stdbool.h>

/* Bytes of the well-formed character at the start of `s`, 0 when there is none. RFC 3629. */
static size_t character_length(struct slice s) {
    const unsigned char *at = (const unsigned char *)s.data;
    size_t len;
    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xC2 && at[0] <= 0xDF)
        len = 2;
    else if (at[0] >= 0xE0 && at[0] <= 0xEF)
        len = 3;
    else if (at[0] >= 0xF0 && at[0] <= 0xF4)
        len = 4;
    else
        return 0;
    if (s.len < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xED && at[1] > 0x9F;
    bool beyond = at[0] == 0xF4 && at[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : len;
}

/* C0 and C1 controls, DEL, and the line and paragraph separators U+2028 and U+2029. */
static bool is_control(const unsigned char *at, size_t len) {
    if (len == 1)
        return at[0] < 0x20 || at[0] == 0x7F;
    if (len == 2)
        return at[0] == 0xC2 && at[1] < 0xA0;
    return len == 3 && at[0] == 0xE2 && at[1] == 0x80 && (at[2] == 0xA8 || at[2] == 0xA9);
}

const char *quote(struct arena *arena, struct slice value) {
    size_t room = value.len < QUOTE_MAX ? value.len : QUOTE_MAX;
    char *text = arena_alloc(arena, room + sizeof "''...");
    if (text == NULL)
        return "(a value)";

    size_t used = 0;
    text[used++] = '\'';
    size_t taken = 0;
    while (taken < value.len) {
        struct slice rest = slice_from(value, taken);
        size_t len = character_length(rest);
        bool show = len > 0 && !is_control((const unsigned char *)rest.data, len);
        size_t shown = show ? len : 1;
        if (used - 1 + shown > room)
            break;
        if (show)
            memcpy(text + used, rest.data, len);
        else
            text[used] = '?';
        used += shown;
        taken += len > 0 ? len : 1;
    }
    text[used++] = '\'';
    if (taken < value.len) {
        memcpy(text + used, "...", 3);
        used += 3;
    }
    text[used] = '\0';
    return text;
}
