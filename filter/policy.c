#include "filter/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "filter/target.h"

enum {
    /* Where the endpoint table begins; older versions have routes and body meanings of their own,
     * and no engine since 25.0 serves them by default. */
    LOWEST_API_MINOR = 24,
};

static bool settings_make_sense(const struct filter_settings *settings, char *error, size_t size) {
    if (settings->preset != FILTER_BLOCKLIST && settings->preset != FILTER_ALLOWLIST) {
        snprintf(error, size, "unknown policy preset %d", (int)settings->preset);
        return false;
    }
    if (settings->buildkit != FILTER_BUILDKIT_DENY &&
        settings->buildkit != FILTER_BUILDKIT_OPAQUE &&
        settings->buildkit != FILTER_BUILDKIT_INSPECT) {
        snprintf(error, size, "unknown BuildKit setting %d", (int)settings->buildkit);
        return false;
    }
    unsigned floor = settings->api_floor_minor;
    if (floor != 0 && (floor < LOWEST_API_MINOR || floor > TARGET_MAX_MINOR)) {
        snprintf(error, size,
                 "the lowest accepted API version must lie between 1.%d and 1.%d, not 1.%u",
                 LOWEST_API_MINOR, TARGET_MAX_MINOR, floor);
        return false;
    }
    return true;
}

struct filter_policy *filter_policy_new(const struct filter_settings *settings, char *error,
                                        size_t error_size) {
    if (!settings_make_sense(settings, error, error_size))
        return NULL;
    struct filter_policy *policy = calloc(1, sizeof(*policy));
    if (policy)
        policy->index = endpoint_index_new();
    if (!policy || !policy->index) {
        snprintf(error, error_size, "out of memory");
        filter_policy_free(policy);
        return NULL;
    }
    policy->preset = settings->preset;
    policy->buildkit = settings->buildkit;
    policy->build = settings->build;
    policy->session_deny = settings->session_deny;
    policy->allow_unknown = settings->allow_unknown;
    policy->api_floor_minor =
        settings->api_floor_minor ? settings->api_floor_minor : LOWEST_API_MINOR;
    for (size_t i = 0; i < settings->allow_bind_count; i++) {
        if (bind_list_add(&policy->binds, settings->allow_binds[i], error, error_size) != 0) {
            filter_policy_free(policy);
            return NULL;
        }
    }
    return policy;
}

void filter_policy_free(struct filter_policy *policy) {
    if (!policy)
        return;
    bind_list_clear(&policy->binds);
    endpoint_index_free(policy->index);
    free(policy);
}
