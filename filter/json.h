/* JSON read exactly as the engine reads it, or not at all.
 *
 * The engine decodes with Go's encoding/json; cJSON differs from it in many small ways (control
 * bytes, invalid UTF-8, trailing data, numbers, which of two equal keys wins). So the text first
 * passes a strict check of its own, after which both can only agree, and object members are never
 * looked up with cJSON's own functions. */
#ifndef DIND_PROXY_FILTER_JSON_H
#define DIND_PROXY_FILTER_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/slice.h"

/* As cJSON.h says; who only passes trees on need not see it. */
typedef struct cJSON cJSON;

enum {
    JSON_MAX_DEPTH = 64,     /* nested objects and lists; real bodies need 7 */
    JSON_MAX_VALUES = 16384, /* bounds the tree: a cJSON node is some 30 times its text's size */
    JSON_MAX_NUMBER = 63,    /* bytes of a number; cJSON reads no longer ones */
};

/* What is wrong with a text, and where. */
struct json_error {
    const char *what; /* static, the end of a sentence: "a string holds a raw control character" */
    size_t offset;    /* bytes from the start of the text */
};

/* True when `text` is exactly one JSON object (RFC 8259), with nothing but JSON white space around,
 * within the bounds above. Stricter than the RFC where readers differ: strings are valid UTF-8
 * (RFC 3629), hold no NUL, raw or escaped, and no lone surrogate escape; numbers are finite as
 * doubles. Takes time linear in the text and no memory. */
bool json_check_object(struct slice text, struct json_error *error);
/* The same for one JSON list. */
bool json_check_list(struct slice text, struct json_error *error);

/* Checks as above, then parses. The tree lives in `arena` and is never freed by itself: it is some
 * 30 times its text's size, so the arena had better not outlive the judging. NULL with `error`
 * filled when the check or cJSON fails, the latter also when memory is out. */
cJSON *json_parse_object(struct slice text, struct arena *arena, struct json_error *error);
cJSON *json_parse_list(struct slice text, struct arena *arena, struct json_error *error);

/* Whether `key` selects the struct field `name` in Go: equal under simple Unicode case folding,
 * which for the all-ASCII names of the Docker API means ASCII case, U+017F for s, U+212A for k
 * (https://pkg.go.dev/encoding/json#Unmarshal). */
bool json_key_is(struct slice key, struct slice name);

/* Writes the folded form of `key`; never longer than `key`, and `folded` may be its data. Two keys
 * select the same field exactly when their folded forms are equal. Returns the length. */
size_t json_fold(struct slice key, char *folded);

enum json_keys { JSON_KEYS_UNIQUE, JSON_KEYS_DUPLICATE, JSON_KEYS_NO_MEMORY };

/* Whether two keys of `object` are equal: after folding, as of a Go struct, or exactly, as of a Go
 * map. `*duplicate`, in the arena or the object, is one of them. Takes n log n time in the number
 * of members. */
enum json_keys json_check_keys(const cJSON *object, bool fold, struct arena *arena,
                               struct slice *duplicate);

#endif
