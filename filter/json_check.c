/* The strict pass over the raw text: RFC 8259 grammar, UTF-8, escapes, bounds. */
#include "filter/json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "filter/ascii.h"
#include "filter/word.h"

struct scanner {
    const unsigned char *at;
    const unsigned char *end;
    size_t values;
    const char *what; /* the first thing wrong, NULL so far */
};

static bool fail(struct scanner *scanner, const char *what) {
    if (scanner->what == NULL)
        scanner->what = what;
    return false;
}

/* The next byte, or -1 at the end: never a byte that the grammar accepts. */
static int peek(const struct scanner *scanner) {
    return scanner->at < scanner->end ? *scanner->at : -1;
}

static bool take(struct scanner *scanner, int byte) {
    if (peek(scanner) != byte)
        return false;
    scanner->at++;
    return true;
}

static bool is_digit(int byte) {
    return byte >= '0' && byte <= '9';
}

static void skip_space(struct scanner *scanner) {
    /* Mostly there is none, and nothing that may follow is below a space. */
    for (int byte = peek(scanner); byte <= ' '; byte = peek(scanner)) {
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return;
        scanner->at++;
    }
}

static size_t skip_digits(struct scanner *scanner) {
    const unsigned char *start = scanner->at;
    while (is_digit(peek(scanner)))
        scanner->at++;
    return (size_t)(scanner->at - start);
}

static bool check_number(struct scanner *scanner) {
    const unsigned char *start = scanner->at;
    take(scanner, '-');
    if (!take(scanner, '0') && skip_digits(scanner) == 0)
        return fail(scanner, "a number has no digits");
    if (take(scanner, '.') && skip_digits(scanner) == 0)
        return fail(scanner, "a number has no digits after its point");
    if (take(scanner, 'e') || take(scanner, 'E')) {
        if (!take(scanner, '+'))
            take(scanner, '-');
        if (skip_digits(scanner) == 0)
            return fail(scanner, "a number has no digits in its exponent");
    }

    size_t len = (size_t)(scanner->at - start);
    if (len > JSON_MAX_NUMBER)
        return fail(scanner, "a number is too long");
    char copy[JSON_MAX_NUMBER + 1];
    memcpy(copy, start, len);
    copy[len] = '\0';
    if (!isfinite(strtod(copy, NULL)))
        return fail(scanner, "a number is too large");
    return true;
}

/* Four hexadecimal digits; -1 when there are none. */
static int32_t take_hex4(struct scanner *scanner) {
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = ascii_hex_value((char)peek(scanner));
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
        scanner->at++;
    }
    return value;
}

static bool check_unicode_escape(struct scanner *scanner) {
    int32_t unit = take_hex4(scanner);
    if (unit < 0)
        return fail(scanner, "a \\u escape lacks four hexadecimal digits");
    if (unit == 0)
        return fail(scanner, "a string holds a NUL character");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return fail(scanner, "a string holds a lone surrogate");
    if (unit < 0xD800 || unit > 0xDBFF)
        return true;
    if (!take(scanner, '\\') || !take(scanner, 'u'))
        return fail(scanner, "a string holds a lone surrogate");
    int32_t low = take_hex4(scanner);
    if (low < 0xDC00 || low > 0xDFFF)
        return fail(scanner, "a string holds a lone surrogate");
    return true;
}

static bool check_escape(struct scanner *scanner) {
    int byte = peek(scanner);
    if (byte < 0)
        return fail(scanner, "a string does not end");
    scanner->at++;
    if (byte == 'u')
        return check_unicode_escape(scanner);
    if (byte == 0 || strchr("\"\\/bfnrt", byte) == NULL)
        return fail(scanner, "a string holds an unknown escape");
    return true;
}

/* One character of more than one byte, RFC 3629: the shortest form, no surrogates, up to
 * U+10FFFF. The lead byte decides the range of the second, which is where those rules sit. */
static bool check_utf8(struct scanner *scanner) {
    static const struct {
        unsigned char lead_min, lead_max, second_min, second_max, len;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    const unsigned char *at = scanner->at;
    size_t left = (size_t)(scanner->end - at);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (at[0] < forms[i].lead_min || at[0] > forms[i].lead_max)
            continue;
        bool valid =
            left >= forms[i].len && at[1] >= forms[i].second_min && at[1] <= forms[i].second_max;
        for (size_t k = 2; valid && k < forms[i].len; k++)
            valid = (at[k] & 0xC0) == 0x80;
        if (!valid)
            break;
        scanner->at += forms[i].len;
        return true;
    }
    return fail(scanner, "a string is not valid UTF-8");
}

/* What stands in a string for itself and needs no other check. */
static bool is_plain(int byte) {
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void skip_plain(struct scanner *scanner) {
    while ((size_t)(scanner->end - scanner->at) >= sizeof(text_word)) {
        text_word word = word_load(scanner->at);
        size_t plain = word_first(word_any_not_ascii(word) | word_any_below(word, 0x20) |
                                  word_any_equal(word, '"') | word_any_equal(word, '\\'));
        scanner->at += plain;
        if (plain < sizeof word)
            return;
    }
    while (is_plain(peek(scanner)))
        scanner->at++;
}

static bool check_string(struct scanner *scanner) {
    if (!take(scanner, '"'))
        return fail(scanner, "a string was expected");
    for (;;) {
        skip_plain(scanner);
        int byte = peek(scanner);
        if (byte < 0)
            return fail(scanner, "a string does not end");
        if (byte < 0x20)
            return fail(scanner, "a string holds a raw control character");
        if (byte >= 0x80) {
            if (!check_utf8(scanner))
                return false;
            continue;
        }
        scanner->at++;
        if (byte == '"')
            return true;
        if (byte == '\\' && !check_escape(scanner))
            return false;
    }
}

static bool check_word(struct scanner *scanner, struct slice word) {
    size_t left = (size_t)(scanner->end - scanner->at);
    if (left < word.len || memcmp(scanner->at, word.data, word.len) != 0)
        return fail(scanner, "a value was expected");
    scanner->at += word.len;
    return true;
}

static bool check_value(struct scanner *scanner, unsigned depth);

/* A list's elements or an object's members, after the opening bracket. Recursion is as deep as
 * JSON_MAX_DEPTH at most. */
static bool check_members(struct scanner *scanner, unsigned depth, int close, bool keys) {
    if (depth >= JSON_MAX_DEPTH)
        return fail(scanner, "values are nested too deeply");
    skip_space(scanner);
    if (take(scanner, close))
        return true;
    for (;;) {
        skip_space(scanner);
        if (keys) {
            if (!check_string(scanner))
                return false;
            skip_space(scanner);
            if (!take(scanner, ':'))
                return fail(scanner, "a colon was expected");
            skip_space(scanner);
        }
        if (!check_value(scanner, depth + 1))
            return false;
        skip_space(scanner);
        if (take(scanner, close))
            return true;
        if (!take(scanner, ','))
            return fail(scanner, "a comma or a closing bracket was expected");
    }
}

static bool check_value(struct scanner *scanner, unsigned depth) {
    if (++scanner->values > JSON_MAX_VALUES)
        return fail(scanner, "there are too many values");
    switch (peek(scanner)) {
    case '{':
        scanner->at++;
        return check_members(scanner, depth, '}', true);
    case '[':
        scanner->at++;
        return check_members(scanner, depth, ']', false);
    case '"':
        return check_string(scanner);
    case 't':
        return check_word(scanner, SLICE("true"));
    case 'f':
        return check_word(scanner, SLICE("false"));
    case 'n':
        return check_word(scanner, SLICE("null"));
    default:
        if (peek(scanner) == '-' || is_digit(peek(scanner)))
            return check_number(scanner);
        return fail(scanner, "a value was expected");
    }
}

/* `what` names the kind of text for people: it begins with `open`. */
static bool check_text(struct slice text, int open, const char *const what[3],
                       struct json_error *error) {
    /* An empty slice may have no address, and arithmetic on NULL is undefined. */
    static const unsigned char nothing[1];
    const unsigned char *start = text.len > 0 ? (const unsigned char *)text.data : nothing;
    struct scanner scanner = {.at = start, .end = start + text.len};

    skip_space(&scanner);
    if (scanner.at == scanner.end) {
        fail(&scanner, what[0]);
    } else if (peek(&scanner) != open) {
        fail(&scanner, what[1]);
    } else if (check_value(&scanner, 0)) {
        skip_space(&scanner);
        if (scanner.at != scanner.end)
            fail(&scanner, what[2]);
    }
    *error = (struct json_error){.what = scanner.what, .offset = (size_t)(scanner.at - start)};
    return scanner.what == NULL;
}

bool json_check_object(struct slice text, struct json_error *error) {
    static const char *const what[] = {"there is no JSON object", "it is not a JSON object",
                                       "something follows the JSON object"};
    return check_text(text, '{', what, error);
}

bool json_check_list(struct slice text, struct json_error *error) {
    static const char *const what[] = {"there is no JSON list", "it is not a JSON list",
                                       "something follows the JSON list"};
    return check_text(text, '[', what, error);
}
