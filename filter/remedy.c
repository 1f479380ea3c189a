#include "filter/remedy.h"

#include "filter/json.h"
#include "filter/json_span.h"

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
    struct slice quoted = json_encode(text, arena);
    if (quoted.data == NULL)
        return NULL;
    /* Whatever JSON does not take, be it for its UTF-8 or for a NUL, is not offered. */
    const char *object = arena_printf(arena, "{\"\":%s}", quoted.data);
    struct json_error fault;
    return object != NULL && json_check_object(slice_from_string(object), &fault) ? quoted.data
                                                                                  : NULL;
}

struct filter_remedy remedy_word(struct arena *arena, const char *key, struct slice word) {
    /* Nobody writes longer ones into a policy, and quoting takes six times the room. */
    enum { LONGEST = 4096 };
    if (word.len == 0 || word.len > LONGEST || memchr(word.data, '*', word.len) != NULL)
        return remedy_none();
    return remedy_json(key, remedy_quote(arena, word));
}
