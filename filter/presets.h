/* What each preset makes of the endpoint table, and how a policy changes it. */
#ifndef DIND_PROXY_FILTER_PRESETS_H
#define DIND_PROXY_FILTER_PRESETS_H

#include <stdbool.h>

#include "filter/endpoints.h"
#include "filter/filter.h"
#include "filter/near.h"

/* "blocklist", …: static; NULL for what is no preset. */
const char *preset_name(enum filter_preset preset);

/* Sets what of the settings depends on their preset and is not in the endpoint table. */
void preset_set_defaults(struct filter_settings *settings);

/* The one of the two columns of the tables that a preset goes by: FILTER_BLOCKLIST or
 * FILTER_ALLOWLIST. */
enum filter_preset preset_base(enum filter_preset preset);

/* The verdict of one row under these settings. `denied`: by name, so that no other key lifts it. */
enum endpoint_verdict preset_verdict(const struct filter_settings *settings,
                                     const struct endpoint *endpoint, bool *denied);

/* A policy_item_check (policy_keys.h): the pattern names some row. */
const char *preset_check_pattern(struct slice pattern, struct near *near);

#endif
