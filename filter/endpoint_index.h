/* Finds the rows of the endpoint table that a request falls under, without trying them all. */
#ifndef DIND_PROXY_FILTER_ENDPOINT_INDEX_H
#define DIND_PROXY_FILTER_ENDPOINT_INDEX_H

#include "filter/endpoint_match.h"
#include "filter/endpoints.h"
#include "filter/slice.h"

struct endpoint_row {
    struct endpoint_route route;
    const struct endpoint *endpoint;
};

/* The rows by the first element of their path, in the order of the table within each group. A row
 * that begins with a placeholder stands in every group. */
struct endpoint_index;

/* Built from `endpoints`; never changes. NULL when memory is out. Free with endpoint_index_free. */
struct endpoint_index *endpoint_index_new(void);
void endpoint_index_free(struct endpoint_index *index);

/* A walk through the rows that match one request. */
struct endpoint_matches {
    struct slice method;
    struct slice path;
    const struct endpoint_row *next;
    const struct endpoint_row *end;
};

/* `path` is decoded and without version. The index, the method and the path have to outlive the
 * walk. */
struct endpoint_matches endpoint_matches_start(const struct endpoint_index *index,
                                               struct slice method, struct slice path);

/* The next row that matches, in the order of the table; NULL at the end. `name` is what
 * endpoint_path_matches gives. The engine takes the first route that matches; a judge must take all
 * of them, because the order of the engine's routers has changed between versions. */
const struct endpoint *endpoint_matches_next(struct endpoint_matches *matches, struct slice *name);

#endif
