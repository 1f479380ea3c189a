#include "filter/policy_keys.h"

#include <string.h>

#include "filter/capabilities.h"
#include "filter/filter.h"
#include "filter/image_name.h"
#include "filter/presets.h"

static const struct policy_choice presets[] = {{"blocklist", FILTER_BLOCKLIST},
                                               {"allowlist", FILTER_ALLOWLIST},
                                               {"read-only", FILTER_READ_ONLY},
                                               {"ci-runner", FILTER_CI_RUNNER},
                                               {NULL, 0}};
static const struct policy_choice buildkits[] = {{"inspect", FILTER_BUILDKIT_INSPECT},
                                                 {"deny", FILTER_BUILDKIT_DENY},
                                                 {"opaque", FILTER_BUILDKIT_OPAQUE},
                                                 {NULL, 0}};
static const struct policy_choice sessions[] = {{"secrets", FILTER_SESSION_SECRETS},
                                                {"ssh", FILTER_SESSION_SSH},
                                                {"auth", FILTER_SESSION_AUTH},
                                                {NULL, 0}};

static const char *const sections[] = {"endpoints", "create", "images", "exec", "build",
                                       "limits",    "memory", "pids",   "cpus"};

static const char *check_capability(struct slice item, struct near *near) {
    if (capability_is_known(item))
        return NULL;
    capability_offer(near);
    return "is no capability";
}

/* Other modes than the host's are harmless, and open anyway. */
static const char *check_network_mode(struct slice item, struct near *near) {
    if (slice_equal(item, SLICE("host")))
        return NULL;
    near_offer(near, "host");
    return "needs no opening; only host does";
}

/* A pattern without its tag, as an empty variable of a template leaves it, would open every tag. */
static const char *check_image(struct slice item, struct near *near) {
    (void)near;
    return image_name_pattern_is_valid(item) ? NULL : "is no image's name, nor a pattern of names";
}

#define KEY(path_, kind_, member_)                                                                 \
    { .path = (path_), .kind = POLICY_##kind_, .offset = offsetof(struct filter_settings, member_) }
#define KEY_CHOICES(path_, kind_, member_, choices_)                                               \
    {                                                                                              \
        .path = (path_), .kind = POLICY_##kind_,                                                   \
        .offset = offsetof(struct filter_settings, member_), .choices = (choices_)                 \
    }
#define KEY_CHECKED(path_, member_, check_)                                                        \
    {                                                                                              \
        .path = (path_), .kind = POLICY_WORDS,                                                     \
        .offset = offsetof(struct filter_settings, member_), .check = (check_)                     \
    }
#define KEY_TOP(path_)                                                                             \
    { .path = (path_), .kind = POLICY_TOP }

/* In the order in which the effective policy is printed. */
const struct policy_key policy_keys[] = {
    KEY_TOP("schema"),
    KEY_CHOICES("preset", CHOICE, preset, presets),
    KEY("api-floor", VERSION, api_floor_minor),
    KEY("unknown-endpoints", VERDICT, allow_unknown),
    KEY_CHECKED("endpoints.only", endpoints.only, preset_check_pattern),
    KEY_CHECKED("endpoints.allow", endpoints.allow, preset_check_pattern),
    KEY_CHECKED("endpoints.deny", endpoints.deny, preset_check_pattern),
    KEY("create.privileged", SWITCH, create.privileged),
    {.path = "create.capabilities",
     .kind = POLICY_WORDS,
     .offset = offsetof(struct filter_settings, create.capabilities),
     .check = check_capability,
     .normal = capability_name},
    KEY("create.binds", BINDS, create.binds),
    KEY("create.devices", WORDS, create.devices),
    KEY("create.device-requests", SWITCH, create.device_requests),
    KEY("create.security-options", WORDS, create.security_options),
    KEY_CHECKED("create.network-modes", create.network_modes, check_network_mode),
    KEY("create.pid-modes", WORDS, create.pid_modes),
    KEY("create.ipc-modes", WORDS, create.ipc_modes),
    KEY("create.uts-modes", WORDS, create.uts_modes),
    KEY("create.userns-modes", WORDS, create.userns_modes),
    KEY("create.cgroupns-modes", WORDS, create.cgroupns_modes),
    KEY("create.cgroup-parents", WORDS, create.cgroup_parents),
    KEY("create.runtimes", WORDS, create.runtimes),
    KEY("create.sysctls", WORDS, create.sysctls),
    KEY("create.log-drivers", WORDS, create.log_drivers),
    KEY("create.annotations", WORDS, create.annotations),
    KEY("create.volumes-from", SWITCH, create.volumes_from),
    KEY_CHECKED("create.images", create.images, check_image),
    KEY_CHECKED("images.pull", images.pull, check_image),
    KEY_CHECKED("images.push", images.push, check_image),
    KEY("exec.commands", COMMANDS, exec),
    KEY("exec.variables", WORDS, exec.variables),
    KEY("exec.privileged", SWITCH, exec.privileged),
    KEY_CHOICES("build.buildkit", CHOICE, buildkit, buildkits),
    KEY_CHOICES("build.session-deny", BITS, session_deny, sessions),
    KEY("build.network-host", SWITCH, build.network_host),
    KEY("build.insecure", SWITCH, build.insecure),
    KEY("build.remote-contexts", SWITCH, build.remote_contexts),
    KEY("build.add-hosts", DENIAL, build.deny_add_hosts),
    KEY("build.outputs", DENIAL, build.deny_outputs),
    KEY("build.cache-imports", DENIAL, build.deny_cache_imports),
    KEY("build.cache-exports", DENIAL, build.deny_cache_exports),
    KEY("build.frontends", DENIAL, build.deny_frontends),
    KEY("limits.memory.required", SWITCH, limits.memory.required),
    KEY("limits.memory.max", BYTES, limits.memory.max),
    KEY("limits.pids.required", SWITCH, limits.pids.required),
    KEY("limits.pids.max", COUNT, limits.pids.max),
    KEY("limits.cpus.required", SWITCH, limits.cpus.required),
    KEY("limits.cpus.max", CPUS, limits.cpus.max),
    KEY("ownership", SWITCH, ownership),
    KEY_TOP("clients"),
    KEY_TOP("other-clients"),
};
const size_t policy_key_count = sizeof policy_keys / sizeof *policy_keys;

const struct policy_key *policy_key_find(struct slice path) {
    for (size_t i = 0; i < policy_key_count; i++)
        if (slice_equal(path, slice_from_string(policy_keys[i].path)))
            return &policy_keys[i];
    return NULL;
}

bool policy_key_is_list(const char *path) {
    const struct policy_key *key = policy_key_find(slice_from_string(path));
    return key != NULL && (key->kind == POLICY_WORDS || key->kind == POLICY_BINDS ||
                           key->kind == POLICY_COMMANDS || key->kind == POLICY_BITS);
}

/* Whether `path` is in `section`; `rest` is what follows the section and its point. */
static bool is_within(const char *path, struct slice section, struct slice *rest) {
    *rest = slice_from_string(path);
    if (section.len == 0)
        return true;
    if (!slice_starts_with(*rest, section) || rest->len <= section.len ||
        rest->data[section.len] != '.')
        return false;
    *rest = slice_from(*rest, section.len + 1);
    return true;
}

bool policy_key_is_section(struct slice path) {
    struct slice rest;
    for (size_t i = 0; i < policy_key_count; i++)
        if (path.len > 0 && is_within(policy_keys[i].path, path, &rest))
            return true;
    return false;
}

void policy_key_offer(struct near *near, struct slice section) {
    struct slice rest;
    for (size_t i = 0; i < policy_key_count; i++) {
        if (!is_within(policy_keys[i].path, section, &rest))
            continue;
        const char *point = memchr(rest.data, '.', rest.len);
        if (point == NULL) {
            near_offer(near, rest.data);
            continue;
        }
        struct slice name = slice_first(rest, (size_t)(point - rest.data));
        for (size_t j = 0; j < sizeof sections / sizeof *sections; j++)
            if (slice_equal(name, slice_from_string(sections[j])))
                near_offer(near, sections[j]);
    }
}
