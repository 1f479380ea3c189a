#include "filter/json.h"

#include <pthread.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

/* cJSON takes its memory through two functions that hold for the whole process. These give it
 * pieces of the arena of the parse that runs on this thread: a body of 4 KiB would be 350 mallocs
 * else. */
static _Thread_local struct arena *parse_arena;

static void *CJSON_CDECL take_memory(size_t size) {
    return parse_arena == NULL ? malloc(size) : arena_alloc(parse_arena, size);
}

static void CJSON_CDECL give_memory(void *memory) {
    if (parse_arena == NULL)
        free(memory);
}

static void set_hooks(void) {
    cJSON_Hooks hooks = {.malloc_fn = take_memory, .free_fn = give_memory};
    cJSON_InitHooks(&hooks);
}

/* Of a text that has been checked. NULL when it cannot be read after all. */
static cJSON *parse(struct slice text, struct arena *arena, struct json_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    cJSON *tree = NULL;
    if (pthread_once(&once, set_hooks) == 0) {
        parse_arena = arena;
        tree = cJSON_ParseWithLength(text.data, text.len);
        parse_arena = NULL;
    }
    /* Either memory is out or the two readers disagree; neither may pass. */
    if (tree == NULL)
        *error = (struct json_error){.what = "it cannot be read"};
    return tree;
}

cJSON *json_parse_object(struct slice text, struct arena *arena, struct json_error *error) {
    return json_check_object(text, error) ? parse(text, arena, error) : NULL;
}

cJSON *json_parse_list(struct slice text, struct arena *arena, struct json_error *error) {
    return json_check_list(text, error) ? parse(text, arena, error) : NULL;
}

/* One folded byte or character at the start of `key`, which is not empty; `*len` is how many bytes
 * it took. */
static char fold_next(struct slice key, size_t *len) {
    const struct slice long_s = SLICE("\xC5\xBF");     /* U+017F */
    const struct slice kelvin = SLICE("\xE2\x84\xAA"); /* U+212A */
    if ((unsigned char)key.data[0] >= 0x80) {
        if (slice_starts_with(key, long_s)) {
            *len = long_s.len;
            return 's';
        }
        if (slice_starts_with(key, kelvin)) {
            *len = kelvin.len;
            return 'k';
        }
    }
    *len = 1;
    return slice_ascii_lower(key.data[0]);
}

bool json_key_is(struct slice key, struct slice name) {
    /* Folding makes no key longer, so most names are told apart by their length. */
    if (key.len < name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        size_t len;
        if (key.len == 0 || fold_next(key, &len) != slice_ascii_lower(name.data[i]))
            return false;
        key = slice_from(key, len);
    }
    return key.len == 0;
}

size_t json_fold(struct slice key, char *folded) {
    size_t used = 0;
    while (key.len > 0) {
        size_t len;
        folded[used++] = fold_next(key, &len);
        key = slice_from(key, len);
    }
    return used;
}

/* In any order that brings equal keys together; by length first, since that is cheap. */
static int compare_keys(const void *a, const void *b) {
    const struct slice *left = a;
    const struct slice *right = b;
    if (left->len != right->len)
        return left->len < right->len ? -1 : 1;
    return left->len == 0 ? 0 : memcmp(left->data, right->data, left->len);
}

enum json_keys json_check_keys(const cJSON *object, bool fold, struct arena *arena,
                               struct slice *duplicate) {
    size_t count = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next)
        count++;
    if (count < 2)
        return JSON_KEYS_UNIQUE;

    struct slice *keys = arena_alloc(arena, count * sizeof *keys);
    if (keys == NULL)
        return JSON_KEYS_NO_MEMORY;
    size_t used = 0;
    size_t bytes = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        keys[used] = slice_from_string(member->string);
        bytes += keys[used++].len;
    }
    if (fold) {
        char *folded = arena_alloc(arena, bytes);
        if (folded == NULL)
            return JSON_KEYS_NO_MEMORY;
        for (size_t i = 0; i < count; i++) {
            keys[i] = slice_of(folded, json_fold(keys[i], folded));
            folded += keys[i].len;
        }
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (slice_equal(keys[i - 1], keys[i])) {
            *duplicate = keys[i];
            return JSON_KEYS_DUPLICATE;
        }
    }
    return JSON_KEYS_UNIQUE;
}
