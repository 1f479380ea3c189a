#include "filter/query.h"

#include "filter/percent.h"

/* Decodes as url.QueryUnescape does, '+' included. false for a bad escape or a NUL, which would end
 * a C string in whatever reads it later. */
static bool decode_component(struct slice raw, struct arena *arena, struct slice *out,
                             bool *no_memory) {
    char *data = arena_alloc(arena, raw.len);
    if (!data) {
        *no_memory = true;
        return false;
    }
    size_t used = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.data[i] == '+') {
            data[used++] = ' ';
            continue;
        }
        if (raw.data[i] != '%') {
            data[used++] = raw.data[i];
            continue;
        }
        int byte = percent_decode_at(raw, i);
        if (byte <= 0)
            return false;
        data[used++] = (char)(unsigned char)byte;
        i += 2;
    }
    *out = slice_of(data, used);
    return true;
}

/* Cuts `s` at the first `separator`; all of it, and an empty rest, when there is none. */
static struct slice cut(struct slice *s, char separator) {
    struct slice before = slice_first(*s, slice_index(*s, separator));
    *s = slice_from(*s, before.len + 1);
    return before;
}

enum query_status query_parse(struct slice raw, struct arena *arena, struct query *query) {
    *query = (struct query){0};
    if (raw.len == 0)
        return QUERY_OK;
    if (memchr(raw.data, ';', raw.len))
        return QUERY_MALFORMED;

    size_t capacity = 1;
    for (size_t i = 0; i < raw.len; i++)
        capacity += raw.data[i] == '&';
    size_t size;
    if (__builtin_mul_overflow(capacity, sizeof(struct query_pair), &size))
        return QUERY_NO_MEMORY;
    struct query_pair *pairs = arena_alloc(arena, size);
    if (!pairs)
        return QUERY_NO_MEMORY;

    size_t count = 0;
    bool no_memory = false;
    while (raw.len > 0) {
        struct slice value = cut(&raw, '&');
        if (value.len == 0)
            continue;
        struct slice key = cut(&value, '=');
        struct query_pair *pair = &pairs[count++];
        if (!decode_component(key, arena, &pair->key, &no_memory) ||
            !decode_component(value, arena, &pair->value, &no_memory))
            return no_memory ? QUERY_NO_MEMORY : QUERY_MALFORMED;
    }
    *query = (struct query){.pairs = pairs, .count = count};
    return QUERY_OK;
}

size_t query_count(const struct query *query, struct slice key) {
    size_t count = 0;
    for (size_t i = 0; i < query->count; i++)
        count += slice_equal(query->pairs[i].key, key);
    return count;
}

struct slice query_first(const struct query *query, struct slice key) {
    for (size_t i = 0; i < query->count; i++)
        if (slice_equal(query->pairs[i].key, key))
            return query->pairs[i].value;
    return (struct slice){NULL, 0};
}
