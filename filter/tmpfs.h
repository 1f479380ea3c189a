/* Which options a tmpfs may be mounted with. */
#ifndef DIND_PROXY_FILTER_TMPFS_H
#define DIND_PROXY_FILTER_TMPFS_H

#include <stdbool.h>

#include "filter/slice.h"

/* Whether the comma-separated `options` only shape the tmpfs itself: its size, owner, mode and
 * per-mount flags (tmpfs(5), mount(8)). "bind", "remount", propagation and whatever is not known
 * are not harmless. No options are. */
bool tmpfs_options_are_harmless(struct slice options);

/* Whether `value` is no more than a number with a unit, or a word: letters, digits and '%'. */
bool tmpfs_value_is_plain(struct slice value);

#endif
