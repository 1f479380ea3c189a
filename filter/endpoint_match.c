#include "filter/endpoint_match.h"

#include <string.h>

static struct slice route_method(const char *route) {
    return slice_of(route, strcspn(route, " "));
}

static struct slice route_path(const char *route) {
    struct slice whole = slice_from_string(route);
    return slice_from(whole, route_method(route).len + 1);
}

/* The recursion is as deep as a pattern has placeholders: two at most. */
static bool pattern_matches(struct slice pattern, struct slice path, struct slice *name) {
    struct slice any = SLICE("{name}");
    struct slice element = SLICE("{id}");
    size_t i = 0;
    while (i < pattern.len && pattern.data[i] != '{') {
        if (i >= path.len || path.data[i] != pattern.data[i])
            return false;
        i++;
    }
    pattern = slice_from(pattern, i);
    path = slice_from(path, i);
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

bool endpoint_path_matches(const char *route, struct slice path, struct slice *name) {
    *name = (struct slice){NULL, 0};
    return pattern_matches(route_path(route), path, name);
}

bool endpoint_method_matches(const char *route, struct slice method) {
    struct slice own = route_method(route);
    return slice_equal(own, SLICE("*")) || slice_equal(own, method) ||
           (slice_equal(own, SLICE("GET")) && slice_equal(method, SLICE("HEAD")));
}

const struct endpoint *endpoint_next_match(struct slice method, struct slice path, size_t *next,
                                           struct slice *name) {
    while (*next < endpoint_count) {
        const struct endpoint *endpoint = &endpoints[(*next)++];
        if (endpoint_method_matches(endpoint->route, method) &&
            endpoint_path_matches(endpoint->route, path, name))
            return endpoint;
    }
    return NULL;
}
