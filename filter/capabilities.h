/* Which kernel capabilities a container may add. */
#ifndef DIND_PROXY_FILTER_CAPABILITIES_H
#define DIND_PROXY_FILTER_CAPABILITIES_H

#include <stdbool.h>

#include "filter/slice.h"

/* Whether CapAdd may hold `name`, in any case, with or without "CAP_": Docker's default set, less
 * NET_RAW and MKNOD. What is not known is not allowed, "ALL" neither. */
bool capability_may_be_added(struct slice name);

#endif
