/* What a policy opens, requires or caps beyond what its preset says. All zero is nothing. */
#ifndef DIND_PROXY_FILTER_OPENINGS_H
#define DIND_PROXY_FILTER_OPENINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list of words or patterns (filter/glob.h). `given` tells an empty list from none at all, where
 * the two mean different things. */
struct filter_words {
    const char *const *items;
    size_t count;
    bool given;
};

/* A folder of the engine's host that containers may bind: "/dir" itself, or with two stars behind
 * it all below too. */
struct filter_bind {
    const char *path;
    bool read_only;
};

struct filter_binds {
    const struct filter_bind *items;
    size_t count;
};

/* Patterns over the routes of filter/endpoints.c. A row is refused where `deny` names it, else
 * passes where `allow` does, else where `only` does if that was given, else as the preset says. */
struct filter_endpoints {
    struct filter_words allow;
    struct filter_words deny;
    struct filter_words only;
};

/* Container create. But for `images` these add to what is harmless anyway. */
struct filter_create {
    bool privileged;
    bool device_requests;
    bool volumes_from;
    struct filter_words capabilities; /* in upper case without CAP_; "ALL" is every one */
    struct filter_binds binds;
    struct filter_words devices;
    struct filter_words security_options;
    struct filter_words network_modes;
    struct filter_words pid_modes;
    struct filter_words ipc_modes;
    struct filter_words uts_modes;
    struct filter_words userns_modes;
    struct filter_words cgroupns_modes;
    struct filter_words cgroup_parents;
    struct filter_words runtimes;
    struct filter_words sysctls;
    struct filter_words log_drivers;
    struct filter_words annotations;
    struct filter_words images; /* not given: any */
};

/* Not given: any. */
struct filter_images {
    struct filter_words pull;
    struct filter_words push;
};

/* Counts where the policy lets exec through at all. */
struct filter_exec {
    const struct filter_words *commands; /* each the patterns of one command's arguments */
    size_t command_count;
    bool commands_given;           /* not given: any command */
    struct filter_words variables; /* names, that pass although not any command does */
    bool privileged;
};

/* `max` 0: none. A maximum refuses no limit at all, too, as that is more. */
struct filter_limit {
    bool required;
    uint64_t max;
};

struct filter_limits {
    struct filter_limit memory; /* bytes */
    struct filter_limit pids;
    struct filter_limit cpus; /* billionths of one */
};

#endif
