#include "filter/solve_rules.h"

#include "filter/attribute_rules.h"
#include "filter/build_rules.h"
#include "filter/fields.h"
#include "filter/llb_rules.h"
#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/source_policy_rules.h"

#define ROWS(rows_) .rows = (rows_), .count = sizeof(rows_) / sizeof((rows_)[0])

/* Nothing but these: device, and whatever comes after them, is never granted. Entitlements that a
 * policy grants are still the engine's to grant. */
static const char *key_of(struct slice entitlement) {
    if (slice_equal(entitlement, SLICE("network.host")))
        return "build.network-host";
    return slice_equal(entitlement, SLICE("security.insecure")) ? "build.insecure" : NULL;
}

static bool is_granted(const struct filter_build *build, struct slice entitlement) {
    return (build->network_host && slice_equal(entitlement, SLICE("network.host"))) ||
           (build->insecure && slice_equal(entitlement, SLICE("security.insecure")));
}

static struct body_finding judge_entitlement(const struct message_context *context,
                                             const struct protobuf_field *field) {
    if (is_granted(&context->policy->build, field->bytes))
        return finding_allow();
    return finding_deny_switch(
        "buildkit.entitlement",
        arena_printf(context->arena,
                     "a build may not ask for %s; leave --allow, --network=host "
                     "and the like out",
                     quote(context->arena, field->bytes)),
        key_of(field->bytes));
}

static struct body_finding judge_frontend(const struct message_context *context,
                                          const struct protobuf_field *field) {
    static const char *const frontends[] = {"", "dockerfile.v0", "gateway.v0"};
    for (size_t i = 0; i < sizeof frontends / sizeof frontends[0]; i++)
        if (slice_equal(field->bytes, slice_from_string(frontends[i])))
            return finding_allow();
    return finding_deny("buildkit.frontend",
                        arena_printf(context->arena, "the build frontend %s is not known here",
                                     quote(context->arena, field->bytes)));
}

/* --- where results and cache go and come from --- */

static struct body_finding judge_exporter_type(const struct message_context *context,
                                               const struct protobuf_field *field) {
    return build_judge_output(context, field->bytes);
}

static struct body_finding judge_exporter_option(const struct message_context *context,
                                                 const struct protobuf_field *field) {
    struct slice key;
    struct slice value;
    if (!message_map_entry(field->bytes, &key, &value))
        return finding_bad_request("grpc.message", "an exporter's attribute is malformed");
    return build_judge_output_option(context, key, value);
}

static const struct message_row exporter_rows[] = {
    {1, MESSAGE_BYTES, judge_exporter_type},
    {2, MESSAGE_LIST, judge_exporter_option},
};
static const struct message_table exporter_table = {.name = "Exporter", ROWS(exporter_rows)};

static struct body_finding judge_exporter(const struct message_context *context,
                                          const struct protobuf_field *field) {
    return message_judge(context, &exporter_table, field->bytes);
}

static const struct message_row cache_entry_rows[] = {
    {1, MESSAGE_BYTES, NULL}, /* the type */
    {2, MESSAGE_LIST, NULL},
};
static const struct message_table cache_entry_table = {.name = "CacheOptionsEntry",
                                                       ROWS(cache_entry_rows)};

/* By its type, which is empty when it is left out. */
static struct body_finding judge_cache_entry(const struct message_context *context,
                                             enum build_cache use, struct slice entry) {
    struct body_finding finding = message_judge(context, &cache_entry_table, entry);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    struct slice type = slice_of(NULL, 0);
    struct protobuf_reader reader = {.rest = entry};
    struct protobuf_field field;
    while (protobuf_next(&reader, &field))
        if (field.number == 1)
            type = field.bytes;
    return build_judge_cache(context, use, type);
}

static struct body_finding judge_cache_import(const struct message_context *context,
                                              const struct protobuf_field *field) {
    return judge_cache_entry(context, BUILD_CACHE_IMPORT, field->bytes);
}

static struct body_finding judge_cache_export(const struct message_context *context,
                                              const struct protobuf_field *field) {
    return judge_cache_entry(context, BUILD_CACHE_EXPORT, field->bytes);
}

/* Registry references of old clients. */
static struct body_finding judge_import_reference(const struct message_context *context,
                                                  const struct protobuf_field *field) {
    return field->bytes.len == 0
               ? finding_allow()
               : build_judge_cache(context, BUILD_CACHE_IMPORT, SLICE("registry"));
}

static struct body_finding judge_export_reference(const struct message_context *context,
                                                  const struct protobuf_field *field) {
    return field->bytes.len == 0
               ? finding_allow()
               : build_judge_cache(context, BUILD_CACHE_EXPORT, SLICE("registry"));
}

static const struct message_row cache_rows[] = {
    {1, MESSAGE_BYTES, judge_export_reference},
    {2, MESSAGE_LIST, judge_import_reference},
    {3, MESSAGE_LIST, NULL}, /* attributes of the first */
    {4, MESSAGE_LIST, judge_cache_export},
    {5, MESSAGE_LIST, judge_cache_import},
};
static const struct message_table cache_table = {
    .name = "CacheOptions", ROWS(cache_rows), .closed = true};

static struct body_finding judge_cache(const struct message_context *context,
                                       const struct protobuf_field *field) {
    return message_judge(context, &cache_table, field->bytes);
}

/* The session itself names exporters when the build has ended, which nobody sees. */
static struct body_finding judge_session_exporter(const struct message_context *context,
                                                  const struct protobuf_field *field) {
    if (field->value == 0 || !context->policy->build.deny_outputs)
        return finding_allow();
    return finding_deny_switch(
        "buildkit.output",
        "exporters that are named by the session are not allowed; leave --output out",
        "build.outputs");
}

/* ProxyNetwork: steps reach the network through an HTTP proxy of BuildKit's, which dials out from
 * the engine's own network, by any method (moby, builder-next, executor_linux.go). What it
 * withholds is loopback by name and number alone, and 0.0.0.0 is neither. */
static struct body_finding judge_proxy_network(const struct message_context *context,
                                               const struct protobuf_field *field) {
    if (field->value == 0 || context->policy->build.network_host)
        return finding_allow();
    return finding_deny_switch("buildkit.proxy-network",
                               "a build's steps may not reach the network of the host by "
                               "BuildKit's proxy; leave ProxyNetwork out",
                               "build.network-host");
}

/* --- the requests --- */

static const struct message_row control_rows[] = {
    {1, MESSAGE_BYTES, NULL}, /* Ref */
    {2, MESSAGE_BYTES, llb_rule_definition},
    {3, MESSAGE_BYTES, judge_exporter_type},  /* of old clients */
    {4, MESSAGE_LIST, judge_exporter_option}, /* its attributes */
    {5, MESSAGE_BYTES, NULL},                 /* Session */
    {6, MESSAGE_BYTES, judge_frontend},
    {7, MESSAGE_LIST, attribute_rule},
    {8, MESSAGE_BYTES, judge_cache},
    {9, MESSAGE_LIST, judge_entitlement},
    {10, MESSAGE_LIST, llb_rule_inputs},
    {11, MESSAGE_NUMBER, NULL}, /* Internal: not in the history */
    {12, MESSAGE_BYTES, source_policy_rule},
    {13, MESSAGE_LIST, judge_exporter},
    {14, MESSAGE_NUMBER, judge_session_exporter},
    /* SourcePolicySession: the client's session is asked what becomes of each source. It may forbid
     * it, or name another, as a Dockerfile may. */
    {15, MESSAGE_BYTES, NULL},
    {16, MESSAGE_NUMBER, NULL}, /* CompatibilityVersion: which results may differ by version */
    {17, MESSAGE_NUMBER, judge_proxy_network},
};
const struct message_table solve_control_table = {
    .name = "Control/Solve", ROWS(control_rows), .closed = true};

static const struct message_row gateway_rows[] = {
    {1, MESSAGE_BYTES, llb_rule_definition},
    {2, MESSAGE_BYTES, judge_frontend},
    {3, MESSAGE_LIST, attribute_rule},
    {4, MESSAGE_LIST, judge_import_reference}, /* of clients before BuildKit 0.11 */
    {5, MESSAGE_NUMBER, NULL},                 /* allowResultReturn */
    {6, MESSAGE_NUMBER, NULL},                 /* allowResultArrayRef */
    {10, MESSAGE_NUMBER, NULL},                /* Final */
    {11, MESSAGE_BYTES, NULL},                 /* ExporterAttr: an image's configuration */
    {12, MESSAGE_LIST, judge_cache_import},
    {13, MESSAGE_LIST, llb_rule_inputs},
    {14, MESSAGE_NUMBER, NULL}, /* Evaluate */
    {15, MESSAGE_LIST, source_policy_rule},
};
const struct message_table solve_gateway_table = {
    .name = "LLBBridge/Solve", ROWS(gateway_rows), .closed = true};
