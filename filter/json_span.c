#include "filter/json_span.h"

#include <stdint.h>
#include <stdio.h>

#include "filter/json.h"
#include "filter/percent.h"

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice skip_space(struct slice text) {
    while (text.len > 0 && is_space(text.data[0]))
        text = slice_from(text, 1);
    return text;
}

/* The length of the string at the front, quotes included; 0 if it does not end. */
static size_t string_len(struct slice text) {
    size_t from = 1;
    const char *quote;
    while (from < text.len && (quote = memchr(text.data + from, '"', text.len - from)) != NULL) {
        /* An odd number of backslashes before it escapes it; they follow the last quote. */
        size_t at = (size_t)(quote - text.data);
        size_t slashes = 0;
        while (at - slashes > from && text.data[at - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return at + 1;
        from = at + 1;
    }
    return 0;
}

/* The same of an object or a list. */
static size_t nest_len(struct slice text) {
    size_t depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        size_t string = 0;
        switch (text.data[i]) {
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return i + 1;
            break;
        case '"':
            string = string_len(slice_from(text, i));
            if (string == 0)
                return 0;
            i += string - 1;
            break;
        default:
            break;
        }
    }
    return 0;
}

/* The same of a number or a word. */
static size_t plain_len(struct slice text) {
    size_t len = 0;
    while (len < text.len && !is_space(text.data[len]) && text.data[len] != '\0' &&
           strchr(",:]}[{\"", text.data[len]) == NULL)
        len++;
    return len;
}

static size_t value_len(struct slice text) {
    if (text.len == 0)
        return 0;
    switch (text.data[0]) {
    case '"':
        return string_len(text);
    case '{':
    case '[':
        return nest_len(text);
    default:
        return plain_len(text);
    }
}

struct slice json_value(struct slice text) {
    text = skip_space(text);
    size_t len = value_len(text);
    return skip_space(slice_from(text, len)).len == 0 ? slice_first(text, len) : slice_of(NULL, 0);
}

struct json_walk json_walk_start(struct slice value) {
    bool list = json_is_list(value);
    if ((!list && !json_is_object(value)) || value.len < 2 ||
        value.data[value.len - 1] != (list ? ']' : '}'))
        return (struct json_walk){.bad = true};
    /* Without its brackets. */
    return (struct json_walk){.rest = slice_first(slice_from(value, 1), value.len - 2),
                              .list = list};
}

static bool end_walk(struct json_walk *walk, bool bad) {
    walk->bad = bad;
    walk->rest = slice_of(NULL, 0);
    walk->begun = false;
    return false;
}

/* Takes what is `len` bytes long, and the white space behind it, off the front. */
static struct slice take(struct json_walk *walk, size_t len) {
    struct slice taken = slice_first(walk->rest, len);
    walk->rest = skip_space(slice_from(walk->rest, len));
    return taken;
}

static bool take_mark(struct json_walk *walk, char mark) {
    if (walk->rest.len == 0 || walk->rest.data[0] != mark)
        return false;
    (void)take(walk, 1);
    return true;
}

bool json_walk_next(struct json_walk *walk, struct slice *key, struct slice *value) {
    *key = *value = slice_of(NULL, 0);
    if (walk->bad)
        return false;
    walk->rest = skip_space(walk->rest);
    if (walk->rest.len == 0)
        return end_walk(walk, false);
    if (walk->begun && !take_mark(walk, ','))
        return end_walk(walk, true);
    walk->begun = true;
    if (!walk->list) {
        size_t len = json_is_string(walk->rest) ? string_len(walk->rest) : 0;
        *key = take(walk, len);
        if (len == 0 || !take_mark(walk, ':'))
            return end_walk(walk, true);
    }
    size_t len = value_len(walk->rest);
    *value = take(walk, len);
    return len > 0 || end_walk(walk, true);
}

bool json_is_hollow(struct slice value) {
    return value.len >= 2 && skip_space(slice_from(value, 1)).len == 1;
}

/* --- strings --- */

/* Four hexadecimal digits at `at`; -1 if there are none. */
static int32_t read_unit(struct slice text, size_t at) {
    int32_t unit = 0;
    if (text.len < 4 || at > text.len - 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = ascii_hex_value(text.data[at + i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (char)(leads[len] | c);
    return len;
}

/* What follows "\u" at *at, which moves behind it. 0: malformed, or a NUL. */
static uint32_t read_escape(struct slice text, size_t *at) {
    int32_t unit = read_unit(text, *at);
    *at += 4;
    if (unit <= 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
        return 0;
    if (unit < 0xD800 || unit > 0xDBFF)
        return (uint32_t)unit;
    if (text.len - *at < 6 || text.data[*at] != '\\' || text.data[*at + 1] != 'u')
        return 0;
    int32_t low = read_unit(text, *at + 2);
    *at += 6;
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    return 0x10000 + (((uint32_t)unit - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
}

bool json_decode(struct slice string, struct arena *arena, struct slice *text) {
    static const char escapes[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (!json_is_string(string) || string_len(string) != string.len)
        return false;
    struct slice inner = slice_first(slice_from(string, 1), string.len - 2);
    char *out = arena_alloc(arena, inner.len + 1); /* an escape is longer than what it stands for */
    size_t used = 0;
    if (out == NULL)
        return false;
    for (size_t i = 0; i < inner.len;) {
        char c = inner.data[i++];
        if (c == '\0')
            return false;
        if (c != '\\') {
            out[used++] = c;
            continue;
        }
        char kind = i < inner.len ? inner.data[i++] : '\0';
        const char *at = kind == '\0' ? NULL : strchr(escapes, kind);
        if (at != NULL) {
            out[used++] = meanings[at - escapes];
            continue;
        }
        uint32_t character = kind == 'u' ? read_escape(inner, &i) : 0;
        if (character == 0)
            return false;
        used += put_utf8(out + used, character);
    }
    *text = slice_of(out, used);
    return true;
}

struct slice json_encode(struct slice text, struct arena *arena) {
    enum { LONGEST = 6 };
    size_t size;
    char *out = NULL;
    if (!__builtin_mul_overflow(text.len, (size_t)LONGEST, &size) && size < SIZE_MAX - 3)
        out = arena_alloc(arena, size + 3);
    if (out == NULL)
        return slice_of(NULL, 0);
    size_t used = 0;
    out[used++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            out[used++] = '\\';
        if (c < 0x20 || c == 0x7f)
            used += (size_t)snprintf(out + used, LONGEST + 1, "\\u%04x", (unsigned)c);
        else
            out[used++] = (char)c;
    }
    out[used++] = '"';
    out[used] = '\0';
    return slice_of(out, used);
}

/* The text of a key, quotes included. Only escapes have to be decoded, and only where it is not too
 * long to be one of `longest` bytes: each of its characters is six bytes at the most. False if it
 * is malformed. */
static bool read_key(struct slice key, size_t longest, struct arena *scratch, struct slice *text) {
    enum { LONGEST = 6 };
    *text = slice_first(slice_from(key, 1), key.len - 2);
    return text->len / LONGEST > longest || text->len == 0 ||
           memchr(text->data, '\\', text->len) == NULL || json_decode(key, scratch, text);
}

/* Objects have as many keys as whoever wrote them likes: all fields are looked for in one walk, and
 * nothing of the keys is kept. */
bool json_find_fields(struct slice object, bool exact, struct json_field *fields, size_t count) {
    struct slice key;
    struct slice value;
    struct slice text;
    struct arena scratch = {0};
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        fields[i].value = slice_of(NULL, 0);
        longest = fields[i].name.len > longest ? fields[i].name.len : longest;
    }
    struct json_walk walk =
        json_is_object(object) ? json_walk_start(object) : (struct json_walk){.bad = true};
    while (!walk.bad && json_walk_next(&walk, &key, &value)) {
        walk.bad = !read_key(key, longest, &scratch, &text);
        for (size_t i = 0; i < count && !walk.bad; i++) {
            if (!(exact ? slice_equal(text, fields[i].name) : json_key_is(text, fields[i].name)))
                continue;
            walk.bad = fields[i].value.data != NULL;
            fields[i].value = value;
        }
    }
    arena_reset(&scratch);
    return !walk.bad;
}

enum json_member json_find(struct slice object, struct slice name, bool exact,
                           struct slice *value) {
    struct json_field field = {.name = name};
    if (!json_find_fields(object, exact, &field, 1))
        return JSON_MEMBER_BAD;
    if (field.value.data == NULL)
        return JSON_MEMBER_ABSENT;
    *value = field.value;
    return JSON_MEMBER_FOUND;
}
