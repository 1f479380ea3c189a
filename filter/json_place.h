/* Where in its text a value of a parsed tree stands, for messages to people. */
#ifndef DIND_PROXY_FILTER_JSON_PLACE_H
#define DIND_PROXY_FILTER_JSON_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/json.h"
#include "filter/slice.h"

/* Both count from 1; columns are characters. */
struct json_place {
    size_t line;
    size_t column;
};

/* The place of the byte at `offset`. */
struct json_place json_place_at(struct slice text, size_t offset);

/* The place of `node`, which is `root` or below it; or with `key` that of its member's name. `text`
 * is what json_parse_object made `root` of. The values of a text stand in the order of the tree, so
 * it is enough to count. */
struct json_place json_place_of(struct slice text, const cJSON *root, const cJSON *node, bool key);

#endif
