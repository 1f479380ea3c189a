/* Values from a request, made fit to be shown to people. */
#ifndef DIND_PROXY_FILTER_QUOTE_H
#define DIND_PROXY_FILTER_QUOTE_H

#include "filter/arena.h"
#include "filter/slice.h"

enum { QUOTE_MAX = 96 }; /* bytes of the value that are shown */

/* `value` in single quotes, at most QUOTE_MAX bytes of it and then "...", with '?' for every
 * control character and for every byte that is not valid UTF-8: fit for a reason. Never NULL; lives
 * in the arena, or statically when memory is out. */
const char *quote(struct arena *arena, struct slice value);

#endif
