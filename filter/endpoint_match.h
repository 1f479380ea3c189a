/* Which rows of the endpoint table a request falls under. */
#ifndef DIND_PROXY_FILTER_ENDPOINT_MATCH_H
#define DIND_PROXY_FILTER_ENDPOINT_MATCH_H

#include <stdbool.h>

#include "filter/endpoints.h"
#include "filter/slice.h"

/* Whether `path` (decoded, without version) is exactly the path of `route`, in the notation of
 * struct endpoint. `name` becomes what {name} stood for, empty if the route has none. */
bool endpoint_path_matches(const char *route, struct slice path, struct slice *name);

/* Whether a request with this method falls under the row's method. */
bool endpoint_method_matches(const char *route, struct slice method);

/* Goes through the rows that match, in the order of the table: set `next` to 0 and call until NULL
 * comes. The engine takes the first route that matches; a judge must take all of them, because the
 * order of the engine's routers has changed between versions.
 *
 * HEAD falls under the rows for GET as well: engines route it by itself, and only in two places,
 * but what a GET may not read a HEAD may not probe. */
const struct endpoint *endpoint_next_match(struct slice method, struct slice path, size_t *next,
                                           struct slice *name);

#endif
