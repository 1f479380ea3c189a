/* Whether a request falls under one row of the endpoint table. */
#ifndef DIND_PROXY_FILTER_ENDPOINT_MATCH_H
#define DIND_PROXY_FILTER_ENDPOINT_MATCH_H

#include <stdbool.h>

#include "filter/slice.h"

/* A route in the notation of struct endpoint, taken apart; points into it. */
struct endpoint_route {
    struct slice method; /* "*" for any */
    struct slice prefix; /* of the path, up to its first placeholder */
    struct slice rest;   /* from there on; empty if there is none */
    struct slice tail;   /* the text behind the last placeholder */
};

struct endpoint_route endpoint_route_parse(const char *route);

/* Whether `path` (decoded, without version) is exactly the path of `route`. `name` becomes what
 * {name} stood for, empty if the route has none. */
bool endpoint_path_matches(const struct endpoint_route *route, struct slice path,
                           struct slice *name);

/* Whether a request with this method falls under the row's method. HEAD falls under the rows for
 * GET as well: engines route it by itself, and only in two places, but what a GET may not read a
 * HEAD may not probe. */
bool endpoint_method_matches(const struct endpoint_route *route, struct slice method);

#endif
