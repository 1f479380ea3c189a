#include "filter/json_place.h"

#include <cjson/cJSON.h>

struct json_place json_place_at(struct slice text, size_t offset) {
    struct json_place place = {.line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.data[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text.data[i] & 0xC0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

/* Counts the values in front of `node`; true when it was found. Recursion is as deep as
 * JSON_MAX_DEPTH at most. */
static bool count_before(const cJSON *value, const cJSON *node, size_t *count) {
    if (value == node)
        return true;
    ++*count;
    /* Only objects and lists have children. */
    for (const cJSON *child = value->child; child != NULL; child = child->next)
        if (count_before(child, node, count))
            return true;
    return false;
}

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c) != NULL;
}

/* The end of the string, word or number that begins at `at`. */
static size_t scalar_end(struct slice text, size_t at) {
    if (text.data[at] != '"') {
        while (at < text.len && !is_one_of(text.data[at], ",]} \t\r\n"))
            at++;
        return at;
    }
    for (at++; at < text.len && text.data[at] != '"'; at++)
        if (text.data[at] == '\\')
            at++;
    return at + 1;
}

static size_t skip_space(struct slice text, size_t at) {
    while (at < text.len && is_one_of(text.data[at], " \t\r\n"))
        at++;
    return at;
}

struct json_place json_place_of(struct slice text, const cJSON *root, const cJSON *node, bool key) {
    size_t wanted = 0;
    size_t seen = 0;
    size_t name = 0;
    (void)count_before(root, node, &wanted);
    size_t at = 0;
    while (at < text.len) {
        char c = text.data[at];
        if (is_one_of(c, ",:]} \t\r\n")) {
            at++;
            continue;
        }
        bool opens = c == '{' || c == '[';
        size_t end = opens ? at + 1 : scalar_end(text, at);
        size_t next = skip_space(text, end);
        if (c == '"' && next < text.len && text.data[next] == ':')
            name = at;
        else if (seen++ == wanted)
            return json_place_at(text, key ? name : at);
        at = end;
    }
    return json_place_at(text, text.len);
}
