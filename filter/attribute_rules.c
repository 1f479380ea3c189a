#include "filter/attribute_rules.h"

#include "filter/build_rules.h"
#include "filter/fields.h"
#include "filter/policy.h"

static bool allows_network(const struct filter_policy *policy, struct slice value) {
    static const char *const modes[] = {"", "default", "sandbox", "none"};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (slice_equal(value, slice_from_string(modes[i])))
            return true;
    return policy->build.network_host && slice_equal(value, SLICE("host"));
}

static bool allows_empty(const struct filter_policy *policy, struct slice value) {
    (void)policy;
    return value.len == 0;
}

static bool allows_hosts(const struct filter_policy *policy, struct slice value) {
    return value.len == 0 || !policy->build.deny_add_hosts;
}

static bool allows_context(const struct filter_policy *policy, struct slice value) {
    return policy->build.remote_contexts || build_context_is_near(value);
}

static bool allows_named_context(const struct filter_policy *policy, struct slice value) {
    static const char *const schemes[] = {
        "local:", "docker-image:", "oci-layout:", "target:", "input:"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (slice_starts_with(value, slice_from_string(schemes[i])))
            return true;
    return allows_context(policy, value);
}

/* The attribute under which the context is looked for: another one is not judged. */
static bool allows_context_key(const struct filter_policy *policy, struct slice value) {
    return policy->build.remote_contexts || slice_equal(value, SLICE("context"));
}

/* A frontend image is code that the engine runs; what it can ask for is bound by the
 * entitlements. */
static bool allows_frontend(const struct filter_policy *policy, struct slice value) {
    return value.len == 0 || build_allows_frontends(policy);
}

static bool allows_any_frontend(const struct filter_policy *policy, struct slice value) {
    (void)value;
    return build_allows_frontends(policy);
}

#define FRONTEND                                                                                   \
    "a frontend image of one's own is not allowed; build with the engine's Dockerfile frontend"

static const struct attribute {
    const char *key;
    bool prefix; /* all keys that start so */
    bool (*allows)(const struct filter_policy *policy, struct slice value);
    const char *rule;
    const char *reason;
    const char *opened_by; /* the switch of a policy that lets more pass; NULL: none does */
} attributes[] = {
    {"force-network-mode", false, allows_network, "buildkit.network",
     "a build may not use the network of the host; leave --network out, or give it default or "
     "none",
     "build.network-host"},
    {"cgroup-parent", false, allows_empty, "buildkit.cgroup-parent",
     "a build may not choose its parent cgroup; leave --cgroup-parent out", NULL},
    {"add-hosts", false, allows_hosts, "buildkit.add-hosts",
     "a build may not be given names of hosts; leave --add-host out", "build.add-hosts"},
    {"context", false, allows_context, "buildkit.remote",
     "the engine may not fetch a build context itself; clone or download it and build from the "
     "local folder",
     "build.remote-contexts"},
    {"contextkey", false, allows_context_key, "buildkit.remote",
     "the build context may not go by another name; leave the frontend attribute contextkey out",
     "build.remote-contexts"},
    {"context:", true, allows_named_context, "buildkit.remote",
     "the engine may not fetch a build context itself; clone or download it and name the local "
     "folder in --build-context",
     "build.remote-contexts"},
    {"source", false, allows_frontend, "buildkit.frontend-source", FRONTEND, "build.frontends"},
    {"build-arg:BUILDKIT_SYNTAX", false, allows_frontend, "buildkit.frontend-source", FRONTEND,
     "build.frontends"},
    /* Of BuildKit before 0.9: an image that the client builds is the frontend. Its presence counts.
     */
    {"gateway-devel", false, allows_any_frontend, "buildkit.frontend-source", FRONTEND,
     "build.frontends"},
};

/* Caches, by JSON and as old clients name them: references in a registry with commas between. */
static struct body_finding judge_caches(const struct message_context *context, struct slice key,
                                        struct slice value) {
    if (value.len > 0 && slice_equal(key, SLICE("cache-imports")))
        return build_judge_cache_list(context, value);
    if (value.len > 0 && slice_equal(key, SLICE("cache-from")))
        return build_judge_cache(context, BUILD_CACHE_IMPORT, SLICE("registry"));
    return finding_allow();
}

static struct body_finding refuse(const struct message_context *context,
                                  const struct attribute *row, struct slice value) {
    const struct filter_policy open = build_all_open(context->policy);
    return finding_deny_switch(row->rule, row->reason,
                               row->allows(&open, value) ? row->opened_by : NULL);
}

struct body_finding attribute_rule(const struct message_context *context,
                                   const struct protobuf_field *field) {
    struct slice key;
    struct slice value;
    if (!message_map_entry(field->bytes, &key, &value))
        return finding_bad_request("grpc.message", "a frontend attribute is malformed");
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        const struct attribute *row = &attributes[i];
        struct slice name = slice_from_string(row->key);
        bool matches = row->prefix ? slice_starts_with(key, name) : slice_equal(key, name);
        if (matches && !row->allows(context->policy, value))
            return refuse(context, row, value);
    }
    return judge_caches(context, key, value);
}
