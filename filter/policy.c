#include "filter/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "filter/presets.h"
#include "filter/target.h"

static bool settings_make_sense(const struct filter_settings *settings, char *error, size_t size) {
    if (preset_name(settings->preset) == NULL) {
        snprintf(error, size, "unknown policy preset %d", (int)settings->preset);
        return false;
    }
    if (settings->buildkit != FILTER_BUILDKIT_DENY &&
        settings->buildkit != FILTER_BUILDKIT_OPAQUE &&
        settings->buildkit != FILTER_BUILDKIT_INSPECT) {
        snprintf(error, size, "unknown BuildKit setting %d", (int)settings->buildkit);
        return false;
    }
    if (settings->ownership && settings->buildkit == FILTER_BUILDKIT_OPAQUE) {
        snprintf(error, size,
                 "ownership needs BuildKit's calls to be looked at, by which clients could get at "
                 "each other's builds: --buildkit (\"build.buildkit\") must be inspect or deny");
        return false;
    }
    unsigned floor = settings->api_floor_minor;
    if (floor != 0 && (floor < POLICY_LOWEST_MINOR || floor > TARGET_MAX_MINOR)) {
        snprintf(error, size,
                 "the lowest accepted API version must lie between 1.%d and 1.%d, not 1.%u",
                 POLICY_LOWEST_MINOR, TARGET_MAX_MINOR, floor);
        return false;
    }
    return true;
}

/* Copies into the policy's own memory; false when that is out. */
static bool copy_words(struct arena *memory, const struct filter_words *from,
                       struct filter_words *to) {
    *to = (struct filter_words){.count = from->count, .given = from->given};
    const char **items = arena_alloc(memory, from->count * sizeof *items + 1);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < from->count; i++) {
        items[i] = arena_printf(memory, "%s", from->items[i]);
        if (items[i] == NULL)
            return false;
    }
    to->items = items;
    return true;
}

static bool copy_commands(struct arena *memory, const struct filter_exec *from,
                          struct filter_exec *to) {
    *to = *from;
    struct filter_words *commands = arena_alloc(memory, from->command_count * sizeof *commands + 1);
    if (commands == NULL)
        return false;
    for (size_t i = 0; i < from->command_count; i++)
        if (!copy_words(memory, &from->commands[i], &commands[i]))
            return false;
    to->commands = commands;
    return copy_words(memory, &from->variables, &to->variables);
}

/* Binds are kept in a list of their own. */
static bool copy_create(struct arena *memory, const struct filter_create *from,
                        struct filter_create *to) {
    static const size_t lists[] = {
        offsetof(struct filter_create, capabilities),
        offsetof(struct filter_create, devices),
        offsetof(struct filter_create, security_options),
        offsetof(struct filter_create, network_modes),
        offsetof(struct filter_create, pid_modes),
        offsetof(struct filter_create, ipc_modes),
        offsetof(struct filter_create, uts_modes),
        offsetof(struct filter_create, userns_modes),
        offsetof(struct filter_create, cgroupns_modes),
        offsetof(struct filter_create, cgroup_parents),
        offsetof(struct filter_create, runtimes),
        offsetof(struct filter_create, sysctls),
        offsetof(struct filter_create, log_drivers),
        offsetof(struct filter_create, annotations),
        offsetof(struct filter_create, images),
    };
    *to = *from;
    to->binds = (struct filter_binds){0};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const void *source = (const char *)from + lists[i];
        void *target = (char *)to + lists[i];
        if (!copy_words(memory, source, target))
            return false;
    }
    return true;
}

static bool copy_openings(struct filter_policy *policy, const struct filter_settings *settings) {
    policy->limits = settings->limits;
    return copy_create(&policy->memory, &settings->create, &policy->create) &&
           copy_words(&policy->memory, &settings->images.pull, &policy->images.pull) &&
           copy_words(&policy->memory, &settings->images.push, &policy->images.push) &&
           copy_commands(&policy->memory, &settings->exec, &policy->exec);
}

static int open_binds(struct filter_policy *policy, const struct filter_settings *settings,
                      char *error, size_t error_size) {
    for (size_t i = 0; i < settings->allow_bind_count; i++)
        if (bind_list_add(&policy->binds, settings->allow_binds[i], false, error, error_size) != 0)
            return -1;
    for (size_t i = 0; i < settings->create.binds.count; i++) {
        const struct filter_bind *bind = &settings->create.binds.items[i];
        if (bind_list_add(&policy->binds, bind->path, bind->read_only, error, error_size) != 0)
            return -1;
    }
    return 0;
}

struct filter_policy *filter_policy_new(const struct filter_settings *settings, char *error,
                                        size_t error_size) {
    if (!settings_make_sense(settings, error, error_size))
        return NULL;
    struct filter_policy *policy = calloc(1, sizeof(*policy));
    if (policy) {
        policy->index = endpoint_index_new();
        policy->verdicts = calloc(endpoint_count, sizeof *policy->verdicts);
    }
    if (!policy || !policy->index || !policy->verdicts || !copy_openings(policy, settings)) {
        snprintf(error, error_size, "out of memory");
        filter_policy_free(policy);
        return NULL;
    }
    policy->preset = preset_base(settings->preset);
    policy->preset_name = preset_name(settings->preset);
    policy->closed = policy->preset == FILTER_ALLOWLIST ||
                     (settings->endpoints.only.given && !settings->allow_unknown);
    for (size_t i = 0; i < endpoint_count; i++)
        policy->verdicts[i].verdict =
            preset_verdict(settings, &endpoints[i], &policy->verdicts[i].denied);
    policy->buildkit = settings->buildkit;
    policy->build = settings->build;
    policy->session_deny = settings->session_deny;
    policy->allow_unknown = settings->allow_unknown;
    policy->ownership = settings->ownership;
    policy->api_floor_minor =
        settings->api_floor_minor ? settings->api_floor_minor : POLICY_LOWEST_MINOR;
    if (open_binds(policy, settings, error, error_size) != 0) {
        filter_policy_free(policy);
        return NULL;
    }
    return policy;
}

void filter_policy_free(struct filter_policy *policy) {
    if (!policy)
        return;
    bind_list_clear(&policy->binds);
    endpoint_index_free(policy->index);
    arena_reset(&policy->memory);
    free(policy->verdicts);
    free(policy);
}
