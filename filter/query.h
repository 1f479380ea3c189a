/* A query string, read as Go's url.ParseQuery reads it (https://pkg.go.dev/net/url#ParseQuery).
 *
 * Where Go would skip a pair as malformed the whole query is refused here: a skipped pair might
 * be the one that was judged. */
#ifndef DIND_PROXY_FILTER_QUERY_H
#define DIND_PROXY_FILTER_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/slice.h"

struct query_pair {
    struct slice key; /* decoded */
    struct slice value;
};

/* Pairs in the order of the wire; a key may come more than once. Owned by the arena. */
struct query {
    const struct query_pair *pairs;
    size_t count;
};

enum query_status {
    QUERY_OK,
    QUERY_MALFORMED, /* a bad escape, a NUL, or a semicolon: Go before 1.17 split there */
    QUERY_NO_MEMORY,
};

/* Parses `raw`, without the question mark. */
enum query_status query_parse(struct slice raw, struct arena *arena, struct query *query);

/* How often `key` is there. Keys are case-sensitive. */
size_t query_count(const struct query *query, struct slice key);

/* The first value of `key`, empty if there is none: what Go's Values.Get gives. */
struct slice query_first(const struct query *query, struct slice key);

#endif
