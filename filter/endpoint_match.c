#include "filter/endpoint_match.h"

#include <string.h>

/* The pattern behind the method and its space. */
static struct slice route_path(const char *route) {
    const char *space = strchr(route, ' ');
    return space == NULL ? slice_of(NULL, 0) : slice_from_string(space + 1);
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

static bool is_method(const char *route, struct slice method) {
    return method.len > 0 && strncmp(route, method.data, method.len) == 0 &&
           route[method.len] == ' ';
}

bool endpoint_method_matches(const char *route, struct slice method) {
    return is_method(route, method) || is_method(route, SLICE("*")) ||
           (is_method(route, SLICE("GET")) && slice_equal(method, SLICE("HEAD")));
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
