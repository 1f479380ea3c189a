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

cJSON *json_parse_object(struct slice text, struct arena *arena, struct json_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!json_check_object(text, error))
        return NULL;
    cJSON *object = NULL;
    if (pthread_once(&once, set_hooks) == 0) {
        parse_arena = arena;
        object = cJSON_ParseWithLength(text.data, text.len);
        parse_arena = NULL;
    }
    if (!cJSON_IsObject(object)) {
        /* Either memory is out or the two readers disagree; neither may pass. */
        *error = (struct json_error){.what = "it cannot be read"};
        return NULL;
    }
    return object;
}

/* One folded byte or character of `key`; `*len` is how many bytes it took. */
static char fold_next(const unsigned char *key, size_t *len) {
    *len = 1;
    if (key[0] == 0xC5 && key[1] == 0xBF) { /* U+017F, long s */
        *len = 2;
        return 's';
    }
    if (key[0] == 0xE2 && key[1] == 0x84 && key[2] == 0xAA) { /* U+212A, Kelvin sign */
        *len = 3;
        return 'k';
    }
    return slice_ascii_lower((char)key[0]);
}

bool json_key_is(const char *key, const char *name) {
    const unsigned char *at = (const unsigned char *)key;
    for (; *name != '\0' && *at != '\0'; name++) {
        size_t len;
        if (fold_next(at, &len) != slice_ascii_lower(*name))
            return false;
        at += len;
    }
    return *name == '\0' && *at == '\0';
}

size_t json_fold(const char *key, char *folded) {
    const unsigned char *at = (const unsigned char *)key;
    size_t used = 0;
    while (*at != '\0') {
        size_t len;
        folded[used++] = fold_next(at, &len);
        at += len;
    }
    folded[used] = '\0';
    return used;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum json_keys json_check_keys(const cJSON *object, bool fold, struct arena *arena,
                               const char **duplicate) {
    size_t count = 0;
    size_t bytes = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        count++;
        bytes += strlen(member->string) + 1;
    }
    if (count < 2)
        return JSON_KEYS_UNIQUE;

    const char **keys = arena_alloc(arena, count * sizeof *keys);
    char *folded = fold ? arena_alloc(arena, bytes) : NULL;
    if (keys == NULL || (fold && folded == NULL))
        return JSON_KEYS_NO_MEMORY;
    size_t used = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        keys[used++] = fold ? folded : member->string;
        if (fold)
            folded += json_fold(member->string, folded) + 1;
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            *duplicate = keys[i];
            return JSON_KEYS_DUPLICATE;
        }
    }
    return JSON_KEYS_UNIQUE;
}
