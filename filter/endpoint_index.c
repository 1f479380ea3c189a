#include "filter/endpoint_index.h"

#include <stdlib.h>
#include <string.h>

struct endpoint_group {
    struct slice element; /* "containers"; the last group's is empty and stands for all others */
    const struct endpoint_row *rows;
    size_t count;
};

struct endpoint_index {
    struct endpoint_group *groups;
    size_t group_count;
    struct endpoint_row *rows;
};

/* What stands between the leading slash and the next one. */
static struct slice first_element(struct slice path) {
    struct slice rest = slice_from(path, 1);
    const char *slash = rest.len > 0 ? memchr(rest.data, '/', rest.len) : NULL;
    return slash == NULL ? rest : slice_first(rest, (size_t)(slash - rest.data));
}

static bool is_literal(struct slice element) {
    return element.len > 0 && memchr(element.data, '{', element.len) == NULL;
}

/* The group of an element; the last one if it has none of its own. */
static const struct endpoint_group *find_group(const struct endpoint_index *index,
                                               struct slice element) {
    size_t i = 0;
    while (i + 1 < index->group_count && !slice_equal(index->groups[i].element, element))
        i++;
    return &index->groups[i];
}

/* Appends the group of `element` with its rows; returns how many those are. */
static size_t add_group(struct endpoint_index *index, struct slice element,
                        struct endpoint_row *rows) {
    size_t count = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        struct endpoint_route route = endpoint_route_parse(endpoints[i].route);
        struct slice first = first_element(route.path);
        if (!is_literal(first) || slice_equal(first, element))
            rows[count++] = (struct endpoint_row){.route = route, .endpoint = &endpoints[i]};
    }
    index->groups[index->group_count++] = (struct endpoint_group){element, rows, count};
    return count;
}

struct endpoint_index *endpoint_index_new(void) {
    size_t everywhere = 0;
    for (size_t i = 0; i < endpoint_count; i++)
        everywhere += !is_literal(first_element(endpoint_route_parse(endpoints[i].route).path));
    /* At the most each row makes a group of its own, and one is for what has no group. */
    size_t most_groups = endpoint_count + 1;
    size_t most_rows = endpoint_count + most_groups * everywhere;

    struct endpoint_index *index = calloc(1, sizeof *index);
    if (index == NULL)
        return NULL;
    index->groups = calloc(most_groups, sizeof *index->groups);
    index->rows = calloc(most_rows, sizeof *index->rows);
    if (index->groups == NULL || index->rows == NULL) {
        endpoint_index_free(index);
        return NULL;
    }
    struct endpoint_row *rows = index->rows;
    for (size_t i = 0; i < endpoint_count; i++) {
        struct slice element = first_element(endpoint_route_parse(endpoints[i].route).path);
        bool known = false;
        for (size_t k = 0; k < index->group_count; k++)
            known = known || slice_equal(index->groups[k].element, element);
        if (is_literal(element) && !known)
            rows += add_group(index, element, rows);
    }
    add_group(index, SLICE(""), rows);
    return index;
}

void endpoint_index_free(struct endpoint_index *index) {
    if (index == NULL)
        return;
    free(index->groups);
    free(index->rows);
    free(index);
}

struct endpoint_matches endpoint_matches_start(const struct endpoint_index *index,
                                               struct slice method, struct slice path) {
    const struct endpoint_group *group = find_group(index, first_element(path));
    return (struct endpoint_matches){
        .method = method,
        .path = path,
        .next = group->rows,
        .end = group->rows + group->count,
    };
}

const struct endpoint *endpoint_matches_next(struct endpoint_matches *matches, struct slice *name) {
    while (matches->next < matches->end) {
        const struct endpoint_row *row = matches->next++;
        if (endpoint_method_matches(&row->route, matches->method) &&
            endpoint_path_matches(&row->route, matches->path, name))
            return row->endpoint;
    }
    return NULL;
}
