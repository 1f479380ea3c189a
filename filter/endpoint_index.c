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
    return slice_first(rest, slice_index(rest, '/'));
}

/* The first element of all paths of a route; empty if they do not share one. */
static struct slice common_element(const struct endpoint_route *route) {
    struct slice element = first_element(route->prefix);
    bool whole = route->rest.len == 0 || 1 + element.len < route->prefix.len;
    return whole ? element : SLICE("");
}

/* The group of an element; the last one if it has none of its own. */
static const struct endpoint_group *find_group(const struct endpoint_index *index,
                                               struct slice element) {
    size_t i = 0;
    while (i + 1 < index->group_count && !slice_equal(index->groups[i].element, element))
        i++;
    return &index->groups[i];
}

/* Appends the group of `element` with its rows out of `all`; returns where the next rows go. */
static struct endpoint_row *add_group(struct endpoint_index *index, struct slice element,
                                      const struct endpoint_row *all, struct endpoint_row *rows) {
    size_t count = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        struct slice common = common_element(&all[i].route);
        if (common.len == 0 || slice_equal(common, element))
            rows[count++] = all[i];
    }
    index->groups[index->group_count++] = (struct endpoint_group){element, rows, count};
    return rows + count;
}

static bool has_group(const struct endpoint_index *index, struct slice element) {
    for (size_t i = 0; i < index->group_count; i++)
        if (slice_equal(index->groups[i].element, element))
            return true;
    return false;
}

/* Takes the table apart into `all`; returns how many of its rows stand in every group. */
static size_t parse_table(struct endpoint_row *all) {
    size_t everywhere = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        all[i].endpoint = &endpoints[i];
        all[i].route = endpoint_route_parse(endpoints[i].route);
        everywhere += common_element(&all[i].route).len == 0;
    }
    return everywhere;
}

struct endpoint_index *endpoint_index_new(void) {
    /* As if each row made a group of its own; the last group is for what has none. */
    const size_t most_groups = endpoint_count + 1;
    struct endpoint_index *index = calloc(1, sizeof *index);
    struct endpoint_row *all = calloc(endpoint_count, sizeof *all);
    if (index != NULL && all != NULL) {
        size_t everywhere = parse_table(all);
        index->groups = calloc(most_groups, sizeof *index->groups);
        index->rows = calloc(endpoint_count + most_groups * everywhere, sizeof *index->rows);
    }
    if (index == NULL || index->groups == NULL || index->rows == NULL) {
        free(all);
        endpoint_index_free(index);
        return NULL;
    }
    struct endpoint_row *rows = index->rows;
    for (size_t i = 0; i < endpoint_count; i++) {
        struct slice element = common_element(&all[i].route);
        if (element.len > 0 && !has_group(index, element))
            rows = add_group(index, element, all, rows);
    }
    add_group(index, SLICE(""), all, rows);
    free(all);
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
