/* The part of a query: the filter that holds a list to its client's own objects, and the objects
 * that parameters name. */
#include "filter/json.h"
#include "filter/json_span.h"
#include "filter/ownership_parts.h"
#include "filter/query.h"

static const char bad_filters[] = "\"filters\" must be one JSON object, of lists of strings, or of "
                                  "objects whose members are true";

/* Where the value of the only pair with this key stands in the raw target. */
static bool find_value(const struct ownership_plan *plan, const struct target *target,
                       struct slice key, struct arena *arena, size_t *at, size_t *len) {
    struct slice raw = target->query;
    if (raw.len == 0)
        return false;
    size_t start = (size_t)(raw.data - plan->target.data);
    size_t from = 0;
    for (size_t i = 0; i <= raw.len; i++) {
        if (i < raw.len && raw.data[i] != '&')
            continue;
        struct slice pair = slice_of(raw.data + from, i - from);
        size_t equals = slice_index(pair, '=');
        struct query one;
        if (equals < pair.len && query_parse(pair, arena, &one) == QUERY_OK && one.count == 1 &&
            slice_equal(one.pairs[0].key, key)) {
            *at = start + from + equals + 1;
            *len = start + i - *at;
            return true;
        }
        from = i + 1;
    }
    return false;
}

/* --- filters --- */

/* Where something goes to be the first in an object or list, and whether a comma follows it. */
static struct slice put_first(struct slice text, struct slice holder, const char *what,
                              struct arena *arena) {
    char *first = arena_printf(arena, "%s%s", what, json_is_hollow(holder) ? "" : ",");
    if (first == NULL)
        return slice_of(NULL, 0);
    struct text_edit edit = {(size_t)(holder.data - text.data) + 1, 0, slice_from_string(first)};
    return ownership_edit(text, &edit, 1, arena);
}

/* One filter's values: strings of a list, or the keys of an object. What false means there is
 * doubt: engines do not look. */
static bool walk_values(struct json_walk *walk, struct arena *arena, struct slice *text,
                        bool *done) {
    struct slice key;
    struct slice value;
    *done = !json_walk_next(walk, &key, &value);
    if (*done)
        return !walk->bad;
    bool fits = walk->list ? json_is_string(value) : slice_equal(value, SLICE("true"));
    return fits && json_decode(walk->list ? value : key, arena, text);
}

/* Containers that a list's filters name: the engine looks for them. */
static struct ownership_finding add_named(struct ownership_plan *plan, struct slice filter,
                                          struct slice value) {
    if (!slice_equal(filter, SLICE("before")) && !slice_equal(filter, SLICE("since")))
        return ownership_allow();
    return ownership_add(plan,
                         (struct ownership_ref){.kind = OWNERSHIP_A_CONTAINER, .name = value});
}

struct filters {
    struct slice label; /* the filter by label; empty: none */
    bool is_there;      /* it holds our own already */
    bool lists;         /* the form; maps otherwise */
    size_t count;
};

/* Reads all of a client's filters. Both forms together are none that an engine takes. */
static struct ownership_finding read_filters(struct ownership_plan *plan, struct slice object,
                                             bool containers, struct arena *arena,
                                             struct filters *filters) {
    const struct ownership_finding bad = ownership_bad("ownership.filters", bad_filters);
    struct slice own = ownership_label_filter(plan, arena);
    struct slice key;
    struct slice value;
    *filters = (struct filters){0};
    if (own.data == NULL || !json_decode(own, arena, &own))
        return ownership_no_memory();
    struct json_walk walk = json_walk_start(object);
    while (json_walk_next(&walk, &key, &value)) {
        struct slice name;
        struct slice text;
        bool done = false;
        bool is_list = json_is_list(value);
        if (!json_decode(key, arena, &name) || (!is_list && !json_is_object(value)) ||
            (filters->count++ > 0 && filters->lists != is_list))
            return bad;
        filters->lists = is_list;
        bool is_label = slice_equal(name, SLICE("label"));
        if (is_label && filters->label.len > 0)
            return bad;
        if (is_label)
            filters->label = value;
        struct json_walk values = json_walk_start(value);
        while (walk_values(&values, arena, &text, &done) && !done) {
            filters->is_there |= is_label && slice_equal(text, own);
            struct ownership_finding finding =
                containers ? add_named(plan, name, text) : ownership_allow();
            if (finding.decision != FILTER_ALLOW)
                return finding;
        }
        if (!done || values.bad)
            return bad;
    }
    return walk.bad ? bad : ownership_allow();
}

/* The client's filters with our own among them; all of them have to hold. */
static struct ownership_finding add_label(struct ownership_plan *plan, struct slice given,
                                          bool containers, struct arena *arena,
                                          struct slice *filters) {
    struct filters read = {0};
    struct json_error error;
    struct slice object = json_value(given.len == 0 ? SLICE("{}") : given);
    if (given.len > 0 && !json_check_object(given, &error))
        return ownership_bad("ownership.filters", bad_filters);
    struct ownership_finding finding = read_filters(plan, object, containers, arena, &read);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    struct slice own = ownership_label_filter(plan, arena);
    *filters = given;
    /* Two equal keys would be doubt. */
    if (read.is_there && !read.lists)
        return ownership_allow();
    bool maps = read.count > 0 && !read.lists;
    char *what = read.label.len > 0
                     ? arena_printf(arena, "%.*s%s", SLICE_ARGS(own), maps ? ":true" : "")
                     : arena_printf(arena, maps ? "\"label\":{%.*s:true}" : "\"label\":[%.*s]",
                                    SLICE_ARGS(own));
    if (own.data == NULL || what == NULL)
        return ownership_no_memory();
    *filters = put_first(object, read.label.len > 0 ? read.label : object, what, arena);
    return filters->data == NULL ? ownership_no_memory() : ownership_allow();
}

static struct ownership_finding rewrite_filters(struct ownership_plan *plan,
                                                const struct target *target,
                                                const struct query *query, struct arena *arena) {
    struct slice key = SLICE("filters");
    struct slice filters = {0};
    bool containers = slice_equal(target->path, SLICE("/containers/json"));
    struct ownership_finding finding =
        add_label(plan, query_first(query, key), containers, arena, &filters);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    struct text_edit edit = {.text = ownership_escape(filters, "-._~", arena)};
    if (edit.text.data == NULL)
        return ownership_no_memory();
    if (!find_value(plan, target, key, arena, &edit.at, &edit.len)) {
        /* "filters" without a value, if at all; then ours would be the second. */
        if (query_count(query, key) > 0)
            return ownership_bad("ownership.filters", bad_filters);
        bool has_query = memchr(plan->target.data, '?', plan->target.len) != NULL;
        char *text =
            arena_printf(arena, "%sfilters=%.*s", has_query ? "&" : "?", SLICE_ARGS(edit.text));
        if (text == NULL)
            return ownership_no_memory();
        edit = (struct text_edit){plan->target.len, 0, slice_from_string(text)};
    }
    plan->target = ownership_edit(plan->target, &edit, 1, arena);
    return plan->target.data == NULL ? ownership_no_memory() : ownership_allow();
}

/* --- by scope --- */

/* "before" and "since" are names of containers in the lists of old engines. */
static struct ownership_finding
add_old_named(struct ownership_plan *plan, const struct target *target, const struct query *query) {
    struct ownership_finding finding = ownership_allow();
    if (!slice_equal(target->path, SLICE("/containers/json")))
        return finding;
    for (size_t i = 0; i < query->count && finding.decision == FILTER_ALLOW; i++)
        if (query->pairs[i].value.len > 0)
            finding = add_named(plan, query->pairs[i].key, query->pairs[i].value);
    return finding;
}

/* One parameter whose value is an object's name. */
static struct ownership_finding add_parameter(struct ownership_plan *plan,
                                              const struct target *target,
                                              const struct query *query, struct slice key,
                                              enum ownership_kind kind, struct arena *arena) {
    struct ownership_ref ref = {
        .kind = kind, .name = query_first(query, key), .place = OWNERSHIP_IN_TARGET};
    if (!find_value(plan, target, key, arena, &ref.at, &ref.len))
        return ownership_bad("ownership.name", "the query names no object");
    return ownership_add(plan, ref);
}

struct ownership_finding ownership_query(struct ownership_plan *plan, const struct target *target,
                                         struct arena *arena) {
    struct query query;
    struct slice key = plan->scope == OWNERSHIP_LIST     ? SLICE("filters")
                       : plan->scope == OWNERSHIP_COMMIT ? SLICE("container")
                                                         : SLICE("networkmode");
    if (plan->scope != OWNERSHIP_LIST && plan->scope != OWNERSHIP_COMMIT &&
        plan->scope != OWNERSHIP_BUILD)
        return ownership_allow();
    switch (query_parse(target->query, arena, &query)) {
    case QUERY_OK:
        break;
    case QUERY_MALFORMED:
        return ownership_bad("request.query",
                             "the query is malformed; escape '%', ';' and other special "
                             "characters as two hexadecimal digits after a '%'");
    case QUERY_NO_MEMORY:
        return ownership_no_memory();
    }
    if (query_count(&query, key) > 1)
        return ownership_bad("request.query",
                             "a query parameter that is judged comes twice; send it once");
    if (plan->scope == OWNERSHIP_LIST) {
        struct ownership_finding finding = rewrite_filters(plan, target, &query, arena);
        return finding.decision == FILTER_ALLOW ? add_old_named(plan, target, &query) : finding;
    }
    if (plan->scope == OWNERSHIP_COMMIT)
        return add_parameter(plan, target, &query, key, OWNERSHIP_A_CONTAINER, arena);
    if (query_count(&query, SLICE("version")) > 1)
        return ownership_bad("request.query",
                             "a query parameter that is judged comes twice; send it once");
    if (!slice_equal(query_first(&query, SLICE("version")), SLICE("2")))
        return ownership_deny("ownership.classic-build",
                              "the classic builder's containers could be made to belong to another "
                              "client; build with BuildKit (docker buildx build, or "
                              "DOCKER_BUILDKIT=1)");
    return ownership_is_built_in(query_first(&query, key))
               ? ownership_allow()
               : add_parameter(plan, target, &query, key, OWNERSHIP_A_NETWORK, arena);
}
