#include "filter/build_rules.h"

#include "filter/ascii.h"
#include "filter/fields.h"
#include "filter/policy.h"
#include "filter/quote.h"

static bool is_one_of(struct slice value, const char *const *words) {
    for (; *words != NULL; words++)
        if (slice_equal(value, slice_from_string(*words)))
            return true;
    return false;
}

struct filter_policy build_all_open(const struct filter_policy *policy) {
    struct filter_policy open = *policy;
    open.build =
        (struct filter_build){.network_host = true, .insecure = true, .remote_contexts = true};
    return open;
}

bool build_allows_frontends(const struct filter_policy *policy) {
    return !policy->build.deny_frontends;
}

/* --- sources --- */

/* The URL stands for an upload in the client's own session (BuildKit, source/http). Its identifier
 * is in letters and digits; anything else could name another thing, such as a repository. */
static bool is_upload(struct slice value) {
    static const char prefix[] = "http://buildkit-session/";
    if (!slice_starts_with(value, SLICE(prefix)))
        return false;
    for (size_t i = sizeof prefix - 1; i < value.len; i++)
        if (!ascii_is_alphanumeric(value.data[i]))
            return false;
    return true;
}

bool build_context_is_near(struct slice value) {
    return value.len == 0 || is_upload(value);
}

/* BuildKit, source/types: all but git, http and https. */
bool build_source_is_near(struct slice identifier) {
    static const char *const schemes[] = {"docker-image://", "docker-image+blob://", "local://",
                                          "oci-layout://",   "oci-layout+blob://",   NULL};
    for (const char *const *scheme = schemes; *scheme != NULL; scheme++)
        if (slice_starts_with(identifier, slice_from_string(*scheme)))
            return true;
    return is_upload(identifier);
}

/* --- results --- */

static const char elsewhere[] = "results of a build may go to the engine's own images alone; "
                                "leave --output and --push out";

/* All of them end in the engine's image store, in a registry or, through the session, with the
 * client; none writes to a folder of the engine's host. */
struct body_finding build_judge_output(const struct message_context *context, struct slice type) {
    static const char *const own[] = {"", "moby", "image", "cacheonly", NULL};
    static const char *const others[] = {"docker", "oci", "tar", "local", NULL};
    if (is_one_of(type, own))
        return finding_allow();
    if (!is_one_of(type, others))
        return finding_deny("buildkit.exporter",
                            arena_printf(context->arena, "the exporter %s is not known here",
                                         quote(context->arena, type)));
    if (context->policy->build.deny_outputs)
        return finding_deny_switch("buildkit.output", elsewhere, "build.outputs");
    return finding_allow();
}

/* "push" sends an image to its registry (BuildKit, exporter/containerimage); an empty value means
 * true there. */
struct body_finding build_judge_output_option(const struct message_context *context,
                                              struct slice key, struct slice value) {
    if (!context->policy->build.deny_outputs || !slice_equal(key, SLICE("push")) ||
        slice_equal(value, SLICE("false")))
        return finding_allow();
    return finding_deny_switch("buildkit.output", elsewhere, "build.outputs");
}

/* --- caches --- */

/* Stores in a cloud would be reached with the engine's own credentials. An inline cache goes where
 * its image goes. */
struct body_finding build_judge_cache(const struct message_context *context, enum build_cache use,
                                      struct slice type) {
    static const char *const types[] = {"", "registry", "local", "inline", "gha", NULL};
    const struct filter_build *build = &context->policy->build;
    if (!is_one_of(type, types))
        return finding_deny("buildkit.cache",
                            arena_printf(context->arena,
                                         "a build cache of type %s is not allowed; use registry, "
                                         "local, inline or gha",
                                         quote(context->arena, type)));
    if (use == BUILD_CACHE_IMPORT && build->deny_cache_imports)
        return finding_deny_switch("buildkit.cache-import",
                                   "a build may not import a cache; leave --cache-from out",
                                   "build.cache-imports");
    if (use == BUILD_CACHE_EXPORT && build->deny_cache_exports &&
        !slice_equal(type, SLICE("inline")))
        return finding_deny_switch("buildkit.cache-export",
                                   "a build may not export its cache; leave --cache-to out",
                                   "build.cache-exports");
    return finding_allow();
}
