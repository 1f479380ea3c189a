#include "filter/json.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

cJSON *json_parse_object(struct slice text, struct json_error *error) {
    if (!json_check_object(text, error))
        return NULL;
    cJSON *object = cJSON_ParseWithLength(text.data, text.len);
    if (!cJSON_IsObject(object)) {
        /* Either memory is out or the two readers disagree; neither may pass. */
        *error = (struct json_error){.what = "it cannot be read"};
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

void json_free(cJSON *object) {
    cJSON_Delete(object);
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
