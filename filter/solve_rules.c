#include "filter/solve_rules.h"

#include "filter/fields.h"
#include "filter/llb_rules.h"
#include "filter/policy.h"
#include "filter/quote.h"

#define ROWS(rows_) .rows = (rows_), .count = sizeof(rows_) / sizeof((rows_)[0])

static bool is_one_of(struct slice value, const char *const *words) {
    for (; *words != NULL; words++)
        if (slice_equal(value, slice_from_string(*words)))
            return true;
    return false;
}

static bool starts_with_one_of(struct slice value, const char *const *words) {
    for (; *words != NULL; words++)
        if (slice_starts_with(value, slice_from_string(*words)))
            return true;
    return false;
}

/* network.host, security.insecure, device and whatever comes after them. */
static struct body_finding judge_entitlement(const struct message_context *context,
                                             const struct protobuf_field *field) {
    return finding_deny("buildkit.entitlement",
                        arena_printf(context->arena,
                                     "a build may not ask for %s; leave --allow, --network=host "
                                     "and the like out",
                                     quote(context->arena, field->bytes)));
}

static struct body_finding judge_frontend(const struct message_context *context,
                                          const struct protobuf_field *field) {
    static const char *const frontends[] = {"", "dockerfile.v0", "gateway.v0", NULL};
    if (is_one_of(field->bytes, frontends))
        return finding_allow();
    return finding_deny("buildkit.frontend",
                        arena_printf(context->arena, "the build frontend %s is not known here",
                                     quote(context->arena, field->bytes)));
}

/* --- frontend attributes --- */

static bool allows_network(const struct filter_policy *policy, struct slice value) {
    static const char *const modes[] = {"", "default", "sandbox", "none", NULL};
    (void)policy;
    return is_one_of(value, modes);
}

static bool allows_empty(const struct filter_policy *policy, struct slice value) {
    (void)policy;
    return value.len == 0;
}

/* The URL stands for the client's own session (BuildKit, source/http). */
static bool allows_context(const struct filter_policy *policy, struct slice value) {
    (void)policy;
    return value.len == 0 || slice_starts_with(value, SLICE("http://buildkit-session/"));
}

static bool allows_named_context(const struct filter_policy *policy, struct slice value) {
    static const char *const schemes[] = {
        "local:", "docker-image:", "oci-layout:", "target:", "input:", NULL};
    return allows_context(policy, value) || starts_with_one_of(value, schemes);
}

/* A frontend image is code that the engine runs; what it can ask for is bound by the entitlements,
 * which are none. */
static bool allows_source(const struct filter_policy *policy, struct slice value) {
    return value.len == 0 || policy->preset == FILTER_BLOCKLIST;
}

static const struct attribute_rule {
    const char *key;
    bool prefix; /* all keys that start so */
    bool (*allows)(const struct filter_policy *policy, struct slice value);
    const char *rule;
    const char *reason;
} attribute_rules[] = {
    {"force-network-mode", false, allows_network, "buildkit.network",
     "a build may not use the network of the host; leave --network out, or give it default or "
     "none"},
    {"cgroup-parent", false, allows_empty, "buildkit.cgroup-parent",
     "a build may not choose its parent cgroup; leave --cgroup-parent out"},
    {"context", false, allows_context, "buildkit.remote",
     "the engine may not fetch a build context itself; clone or download it and build from the "
     "local folder"},
    {"context:", true, allows_named_context, "buildkit.remote",
     "the engine may not fetch a build context itself; clone or download it and name the local "
     "folder in --build-context"},
    {"source", false, allows_source, "buildkit.frontend-source",
     "a frontend image of one's own is not allowed; build with the engine's Dockerfile frontend"},
};

static struct body_finding judge_attribute(const struct message_context *context,
                                           const struct protobuf_field *field) {
    struct slice key;
    struct slice value;
    if (!message_map_entry(field->bytes, &key, &value))
        return finding_bad_request("grpc.message", "a frontend attribute is malformed");
    for (size_t i = 0; i < sizeof attribute_rules / sizeof attribute_rules[0]; i++) {
        const struct attribute_rule *rule = &attribute_rules[i];
        struct slice name = slice_from_string(rule->key);
        bool matches = rule->prefix ? slice_starts_with(key, name) : slice_equal(key, name);
        if (matches && !rule->allows(context->policy, value))
            return finding_deny(rule->rule, rule->reason);
    }
    return finding_allow();
}

/* --- where results and cache go and come from --- */

/* All of them end in the engine's image store, in a registry or, through the session, with the
 * client; none writes to a folder of the engine's host. */
static struct body_finding judge_exporter_type(const struct message_context *context,
                                               const struct protobuf_field *field) {
    static const char *const types[] = {"", "moby", "image", "docker", "oci", "tar", "local", NULL};
    if (is_one_of(field->bytes, types))
        return finding_allow();
    return finding_deny("buildkit.exporter",
                        arena_printf(context->arena, "the exporter %s is not known here",
                                     quote(context->arena, field->bytes)));
}

/* Stores in a cloud would be reached with the engine's own credentials. */
static struct body_finding judge_cache_type(const struct message_context *context,
                                            const struct protobuf_field *field) {
    static const char *const types[] = {"", "registry", "local", "inline", "gha", NULL};
    if (is_one_of(field->bytes, types))
        return finding_allow();
    return finding_deny("buildkit.cache",
                        arena_printf(context->arena,
                                     "a build cache of type %s is not allowed; use registry, "
                                     "local, inline or gha",
                                     quote(context->arena, field->bytes)));
}

static const struct message_row exporter_rows[] = {
    {1, MESSAGE_BYTES, judge_exporter_type},
    {2, MESSAGE_LIST, NULL},
};
static const struct message_table exporter_table = {.name = "Exporter", ROWS(exporter_rows)};

static struct body_finding judge_exporter(const struct message_context *context,
                                          const struct protobuf_field *field) {
    return message_judge(context, &exporter_table, field->bytes);
}

static const struct message_row cache_entry_rows[] = {
    {1, MESSAGE_BYTES, judge_cache_type},
    {2, MESSAGE_LIST, NULL},
};
static const struct message_table cache_entry_table = {.name = "CacheOptionsEntry",
                                                       ROWS(cache_entry_rows)};

static struct body_finding judge_cache_entry(const struct message_context *context,
                                             const struct protobuf_field *field) {
    return message_judge(context, &cache_entry_table, field->bytes);
}

static const struct message_row cache_rows[] = {
    {1, MESSAGE_BYTES, NULL}, /* the next three: registry references of old clients */
    {2, MESSAGE_LIST, NULL},
    {3, MESSAGE_LIST, NULL},
    {4, MESSAGE_LIST, judge_cache_entry}, /* exports */
    {5, MESSAGE_LIST, judge_cache_entry}, /* imports */
};
static const struct message_table cache_table = {
    .name = "CacheOptions", ROWS(cache_rows), .closed = true};

static struct body_finding judge_cache(const struct message_context *context,
                                       const struct protobuf_field *field) {
    return message_judge(context, &cache_table, field->bytes);
}

/* --- the requests --- */

static const struct message_row control_rows[] = {
    {1, MESSAGE_BYTES, NULL}, /* Ref */
    {2, MESSAGE_BYTES, llb_rule_definition},
    {3, MESSAGE_BYTES, judge_exporter_type}, /* of old clients */
    {4, MESSAGE_LIST, NULL},                 /* its attributes */
    {5, MESSAGE_BYTES, NULL},                /* Session */
    {6, MESSAGE_BYTES, judge_frontend},
    {7, MESSAGE_LIST, judge_attribute},
    {8, MESSAGE_BYTES, judge_cache},
    {9, MESSAGE_LIST, judge_entitlement},
    {10, MESSAGE_LIST, llb_rule_definitions}, /* FrontendInputs */
    {11, MESSAGE_NUMBER, NULL},               /* Internal: not in the history */
    {12, MESSAGE_BYTES, NULL},                /* SourcePolicy */
    {13, MESSAGE_LIST, judge_exporter},
    {14, MESSAGE_NUMBER, NULL}, /* EnableSessionExporter */
    {15, MESSAGE_BYTES, NULL},  /* SourcePolicySession */
};
const struct message_table solve_control_table = {
    .name = "Control/Solve", ROWS(control_rows), .closed = true};

static const struct message_row gateway_rows[] = {
    {1, MESSAGE_BYTES, llb_rule_definition},
    {2, MESSAGE_BYTES, judge_frontend},
    {3, MESSAGE_LIST, judge_attribute},
    {4, MESSAGE_LIST, NULL},    /* ImportCacheRefs of old clients */
    {5, MESSAGE_NUMBER, NULL},  /* allowResultReturn */
    {6, MESSAGE_NUMBER, NULL},  /* allowResultArrayRef */
    {10, MESSAGE_NUMBER, NULL}, /* Final */
    {11, MESSAGE_BYTES, NULL},  /* ExporterAttr */
    {12, MESSAGE_LIST, judge_cache_entry},
    {13, MESSAGE_LIST, llb_rule_definitions}, /* FrontendInputs */
    {14, MESSAGE_NUMBER, NULL},               /* Evaluate */
    {15, MESSAGE_LIST, NULL},                 /* SourcePolicies */
};
const struct message_table solve_gateway_table = {
    .name = "LLBBridge/Solve", ROWS(gateway_rows), .closed = true};
