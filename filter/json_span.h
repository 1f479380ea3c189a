/* Where in a JSON text its values stand: for reading a few of them, and for changing them in place
 * while all other bytes stay as they are.
 *
 * Safe on any text, but only what is walked through is checked. A text of a client has to have
 * passed json_check_object first (filter/json.h). */
#ifndef DIND_PROXY_FILTER_JSON_SPAN_H
#define DIND_PROXY_FILTER_JSON_SPAN_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/slice.h"

/* A walk through the members of an object or the elements of a list. */
struct json_walk {
    struct slice rest;
    bool list;
    bool begun;
    bool bad; /* the text is not what a value looks like; the walk has ended */
};

/* The value that `text` holds, without the white space around it; empty if there is none, or if
 * something follows it. */
struct slice json_value(struct slice text);

/* `value` as json_value or a walk gives it. Bad at once if it is neither an object nor a list. */
struct json_walk json_walk_start(struct slice value);

/* The next member or element; `key` (with its quotes) is empty in a list. Both point into the text.
 * False at the end, and when the text is bad. */
bool json_walk_next(struct json_walk *walk, struct slice *key, struct slice *value);

static inline bool json_is_object(struct slice value) {
    return value.len > 0 && value.data[0] == '{';
}
static inline bool json_is_list(struct slice value) {
    return value.len > 0 && value.data[0] == '[';
}
static inline bool json_is_string(struct slice value) {
    return value.len > 0 && value.data[0] == '"';
}
static inline bool json_is_null(struct slice value) {
    return slice_equal(value, SLICE("null"));
}

/* Whether an object or list holds nothing. */
bool json_is_hollow(struct slice value);

/* What a string with its quotes stands for. False if it is no string, is malformed, holds a NUL, or
 * memory is out. */
bool json_decode(struct slice string, struct arena *arena, struct slice *text);

/* A string with its quotes that stands for `text`, and a NUL behind it; valid if `text` is UTF-8
 * without NUL. Control bytes are escaped, DEL too, so that it can be shown. Its data is NULL when
 * memory is out. */
struct slice json_encode(struct slice text, struct arena *arena);

enum json_member {
    JSON_MEMBER_FOUND,
    JSON_MEMBER_ABSENT,
    JSON_MEMBER_BAD, /* the object is no object, or has the member twice */
};

/* The member that a Go struct's field `name` reads (keys fold), or with `exact` that of a Go map.
 */
enum json_member json_find(struct slice object, struct slice name, bool exact, struct slice *value);

/* A key, and the member that it stands for. */
struct json_field {
    struct slice name;
    struct slice value; /* its data is NULL where there is none */
};

/* The same for several at once, in one walk. False as JSON_MEMBER_BAD. */
bool json_find_fields(struct slice object, bool exact, struct json_field *fields, size_t count);

#endif
