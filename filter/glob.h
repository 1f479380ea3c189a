/* Patterns in which a star stands for any run of bytes, even an empty one; all else for itself. */
#ifndef DIND_PROXY_FILTER_GLOB_H
#define DIND_PROXY_FILTER_GLOB_H

#include <stdbool.h>

#include "filter/slice.h"

/* Whether all of `text` is what `pattern` describes. Takes time in the product of both lengths at
 * most, and no memory. */
bool glob_matches(struct slice pattern, struct slice text);

#endif
