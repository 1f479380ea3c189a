#include "filter/media_type.h"

#include "filter/ascii.h"

/* RFC 9110 section 5.6.2, less the '*' and quote marks that begin RFC 2231's and 8187's extended
 * parameters: Go decodes and joins those, so a value that has them is doubt. */
static bool is_token_character(char c) {
    return ascii_is_alphanumeric(c) || (c != '\0' && strchr("!#$&+-.^_`|~", c) != NULL);
}

static struct slice take_token(struct slice *rest) {
    size_t len = 0;
    while (len < rest->len && is_token_character(rest->data[len]))
        len++;
    struct slice token = slice_first(*rest, len);
    *rest = slice_from(*rest, len);
    return token;
}

static bool take_character(struct slice *rest, char c) {
    if (rest->len == 0 || rest->data[0] != c)
        return false;
    *rest = slice_from(*rest, 1);
    return true;
}

static void skip_blanks(struct slice *rest) {
    while (take_character(rest, ' ') || take_character(rest, '\t')) {
    }
}

/* After the opening quote mark. Backslashes are doubt: Go keeps some of them, the RFC none. */
static bool take_quoted_rest(struct slice *rest) {
    while (rest->len > 0) {
        char c = rest->data[0];
        *rest = slice_from(*rest, 1);
        if (c == '"')
            return true;
        if (c == '\\' || c < ' ' || c > '~')
            return false;
    }
    return false;
}

/* One parameter; its semicolon is taken already. */
static bool take_parameter(struct slice *rest, struct slice *name) {
    skip_blanks(rest);
    *name = take_token(rest);
    if (name->len == 0 || !take_character(rest, '='))
        return false;
    if (take_character(rest, '"'))
        return take_quoted_rest(rest);
    return take_token(rest).len > 0;
}

enum { MAX_PARAMETERS = 8 };

static bool parameters_are_plain(struct slice rest) {
    struct slice names[MAX_PARAMETERS];
    size_t count = 0;
    skip_blanks(&rest);
    while (rest.len > 0) {
        if (!take_character(&rest, ';'))
            return false;
        if (slice_trim(rest).len == 0)
            return true; /* a trailing semicolon, which Go lets pass */
        struct slice name;
        if (count == MAX_PARAMETERS || !take_parameter(&rest, &name))
            return false;
        for (size_t i = 0; i < count; i++)
            if (slice_equal_ignoring_case(names[i], name))
                return false;
        names[count++] = name;
        skip_blanks(&rest);
    }
    return true;
}

enum media_type media_type_parse(struct slice value) {
    struct slice rest = slice_trim(value);
    if (rest.len == 0)
        return MEDIA_TYPE_MISSING;
    struct slice whole = rest;
    struct slice type = take_token(&rest);
    if (type.len == 0 || !take_character(&rest, '/'))
        return MEDIA_TYPE_MALFORMED;
    struct slice subtype = take_token(&rest);
    if (subtype.len == 0)
        return MEDIA_TYPE_MALFORMED;
    struct slice essence = slice_first(whole, type.len + 1 + subtype.len);
    if (!parameters_are_plain(rest))
        return MEDIA_TYPE_MALFORMED;

    if (slice_equal_ignoring_case(essence, SLICE("application/json")))
        return MEDIA_TYPE_JSON;
    if (slice_equal_ignoring_case(essence, SLICE("application/x-www-form-urlencoded")) ||
        slice_equal_ignoring_case(type, SLICE("multipart")))
        return MEDIA_TYPE_FORM;
    return MEDIA_TYPE_OTHER;
}
