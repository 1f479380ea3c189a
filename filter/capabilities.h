/* Which kernel capabilities there are, and which a container may add. */
#ifndef DIND_PROXY_FILTER_CAPABILITIES_H
#define DIND_PROXY_FILTER_CAPABILITIES_H

#include <stdbool.h>

#include "filter/near.h"
#include "filter/openings.h"
#include "filter/slice.h"

/* Whether CapAdd may hold `name`, in any case, with or without "CAP_": Docker's default set, less
 * NET_RAW and MKNOD. What is not known is not allowed, "ALL" neither. */
bool capability_may_be_added(struct slice name);

/* Whether `opened`, of a policy, has `name`, both spelt in any way; "ALL" there has every name. */
bool capability_is_opened(const struct filter_words *opened, struct slice name);

/* Whether there is such a capability (capabilities(7)), or it is "ALL". */
bool capability_is_known(struct slice name);

/* Offers all names, without "CAP_" and in upper case. */
void capability_offer(struct near *near);

/* As the table has it: static, in upper case, without "CAP_"; NULL if there is none. */
const char *capability_name(struct slice name);

#endif
