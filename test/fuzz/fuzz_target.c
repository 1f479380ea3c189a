/* Request targets and their queries. What is accepted must be in the one form that every reader
 * reads alike: decoding the path again, or cleaning it, changes nothing. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/query.h"
#include "filter/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

static void check_path(struct slice path) {
    require(path.len > 0 && path.data[0] == '/');
    for (size_t start = 0; start < path.len;) {
        struct slice rest = slice_from(path, start + 1);
        const char *slash = rest.len == 0 ? NULL : memchr(rest.data, '/', rest.len);
        struct slice segment =
            slash == NULL ? rest : slice_first(rest, (size_t)(slash - rest.data));
        require(!slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")));
        require(segment.len > 0 || slash == NULL);
        start += segment.len + 1;
    }
    for (size_t i = 0; i < path.len; i++)
        require((unsigned char)path.data[i] >= 0x20 && path.data[i] != 0x7f && path.data[i] != '%');
}

/* Written again with every byte escaped that may be, the path must be read as the same one. */
static void check_round_trip(const struct target *target, struct arena *arena) {
    char *raw = arena_alloc(arena, target->path.len * 3 + 32);
    require(raw != NULL);
    size_t len = 0;
    if (target->versioned)
        len += (size_t)sprintf(raw, "/v1.%u", target->minor);
    for (size_t i = 0; i < target->path.len; i++) {
        unsigned char c = (unsigned char)target->path.data[i];
        if (c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || (c >= '0' && c <= '9') ||
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            raw[len++] = (char)c;
        else
            len += (size_t)sprintf(raw + len, "%%%02X", c);
    }
    struct target again;
    require(target_parse(slice_of(raw, len), arena, &again) == TARGET_OK);
    require(slice_equal(again.path, target->path) && again.query.len == 0);
    require(again.versioned == target->versioned && again.minor == target->minor);
}

/* Slashes that are escaped are read as plain ones would be, and stand in the names of images only.
 */
static void check_slashes(struct slice raw, const struct target *target, struct arena *arena) {
    char *plain = arena_alloc(arena, raw.len);
    require(plain != NULL);
    size_t path_len = raw.len - target->query.len;
    size_t len = 0;
    bool escaped = false;
    for (size_t i = 0; i < path_len; i++) {
        bool slash = path_len - i >= 3 && raw.data[i] == '%' && raw.data[i + 1] == '2' &&
                     (raw.data[i + 2] == 'f' || raw.data[i + 2] == 'F');
        plain[len++] = slash ? '/' : raw.data[i];
        i += slash ? 2 : 0;
        escaped = escaped || slash;
    }
    require(!escaped || slice_starts_with(target->path, SLICE("/images/")) ||
            slice_starts_with(target->path, SLICE("/distribution/")));
    struct target again;
    require(target_parse(slice_of(plain, len), arena, &again) == TARGET_OK);
    require(slice_equal(again.path, target->path));
    require(again.versioned == target->versioned && again.minor == target->minor);
}

static void check_query(struct slice raw, struct arena *arena) {
    struct query query = {0};
    if (query_parse(raw, arena, &query) != QUERY_OK)
        return;
    size_t pieces = raw.len > 0;
    for (size_t i = 0; i < raw.len; i++)
        pieces += raw.data[i] == '&';
    require(query.count <= pieces);
    require(raw.len == 0 || memchr(raw.data, ';', raw.len) == NULL);
    for (size_t i = 0; i < query.count; i++) {
        struct slice key = query.pairs[i].key;
        size_t first = i;
        for (size_t j = 0; j < i && first == i; j++)
            if (slice_equal(query.pairs[j].key, key))
                first = j;
        require(query_count(&query, key) >= 1);
        require(slice_equal(query_first(&query, key), query.pairs[first].value));
        require(key.len <= raw.len && query.pairs[i].value.len <= raw.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size + 1);
    require(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct slice raw = slice_of(copy, size);
    struct arena arena = {0};
    struct target target;
    enum target_status status = target_parse(raw, &arena, &target);
    require((target_reason(status) == NULL) == (status == TARGET_OK));
    if (status == TARGET_OK) {
        check_path(target.path);
        require(target.minor <= TARGET_MAX_MINOR && (target.versioned || target.minor == 0));
        require(raw.data[0] == '/' && target.query.len < raw.len);
        require(slice_ends_with(raw, target.query));
        check_round_trip(&target, &arena);
        check_slashes(raw, &target, &arena);
        check_query(target.query, &arena);
    }
    check_query(raw, &arena);
    arena_reset(&arena);
    free(copy);
    return 0;
}
