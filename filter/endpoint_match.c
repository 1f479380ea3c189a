#include "filter/endpoint_match.h"

#include <string.h>

/* How many bytes stand before the first placeholder. */
static size_t literal_len(struct slice pattern) {
    return slice_index(pattern, '{');
}

struct endpoint_route endpoint_route_parse(const char *route) {
    size_t method = strcspn(route, " ");
    struct slice all = slice_from_string(route);
    struct slice path = slice_from(all, method + 1);
    size_t prefix = literal_len(path);
    const char *brace = strrchr(route, '}');
    return (struct endpoint_route){
        .method = slice_first(all, method),
        .prefix = slice_first(path, prefix),
        .rest = slice_from(path, prefix),
        .tail = slice_from_string(brace == NULL ? "" : brace + 1),
    };
}

/* The recursion is as deep as a pattern has placeholders: two at most. */
static bool pattern_matches(struct slice pattern, struct slice path, struct slice *name) {
    struct slice any = SLICE("{name}");
    struct slice element = SLICE("{id}");
    size_t literal = literal_len(pattern);
    if (!slice_starts_with(path, slice_first(pattern, literal)))
        return false;
    pattern = slice_from(pattern, literal);
    path = slice_from(path, literal);
    if (pattern.len == 0)
        return path.len == 0;

    bool spans_slashes = slice_starts_with(pattern, any);
    struct slice after = slice_from(pattern, spans_slashes ? any.len : element.len);
    for (size_t len = spans_slashes ? 0 : 1; len <= path.len; len++) {
        if (!spans_slashes && path.data[len - 1] == '/')
            return false;
        if (pattern_matches(after, slice_from(path, len), name)) {
            if (spans_slashes)
                *name = slice_first(path, len);
            return true;
        }
    }
    return false;
}

bool endpoint_path_matches(const struct endpoint_route *route, struct slice path,
                           struct slice *name) {
    *name = (struct slice){NULL, 0};
    /* Most rows are ruled out by their ends; the rest is for those that are not. */
    return slice_ends_with(path, route->tail) && slice_starts_with(path, route->prefix) &&
           pattern_matches(route->rest, slice_from(path, route->prefix.len), name);
}

bool endpoint_method_matches(const struct endpoint_route *route, struct slice method) {
    return slice_equal(route->method, method) || slice_equal(route->method, SLICE("*")) ||
           (slice_equal(route->method, SLICE("GET")) && slice_equal(method, SLICE("HEAD")));
}
