#include "filter/remedy.h"

#include "filter/json.h"

struct filter_remedy remedy_none(void) {
    return (struct filter_remedy){0};
}

struct filter_remedy remedy_json(const char *key, const char *json) {
    if (json == NULL)
        return remedy_none();
    return (struct filter_remedy){.key = key, .value = slice_from_string(json)};
}

struct filter_remedy remedy_switch(const char *key) {
    return remedy_json(key, "true");
}

const char *remedy_quote(struct arena *arena, struct slice text) {
    static const char hex[] = "0123456789abcdef";
    enum { LONGEST_ESCAPE = 6 };
    char *quoted = arena_alloc(arena, text.len * LONGEST_ESCAPE + sizeof "\"\"");
    if (quoted == NULL)
        return NULL;
    size_t used = 0;
    quoted[used++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            quoted[used++] = '\\';
            quoted[used++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            memcpy(quoted + used, "\\u00", 4);
            quoted[used + 4] = hex[c >> 4];
            quoted[used + 5] = hex[c & 0xf];
            used += LONGEST_ESCAPE;
        } else {
            quoted[used++] = (char)c;
        }
    }
    quoted[used++] = '"';
    quoted[used] = '\0';
    /* Whatever JSON does not take, be it for its UTF-8 or for a NUL, is not offered. */
    const char *object = arena_printf(arena, "{\"\":%s}", quoted);
    struct json_error fault;
    return object != NULL && json_check_object(slice_from_string(object), &fault) ? quoted : NULL;
}

struct filter_remedy remedy_word(struct arena *arena, const char *key, struct slice word) {
    /* Nobody writes longer ones into a policy, and quoting takes six times the room. */
    enum { LONGEST = 4096 };
    if (word.len == 0 || word.len > LONGEST || memchr(word.data, '*', word.len) != NULL)
        return remedy_none();
    return remedy_json(key, remedy_quote(arena, word));
}
