#include "filter/llb_rules.h"

#include "filter/build_rules.h"
#include "filter/fields.h"
#include "filter/policy.h"

#define ROWS(rows_) .rows = (rows_), .count = sizeof(rows_) / sizeof((rows_)[0])

/* NetMode. UNSET is the sandbox's own. Go truncates what is larger than 32 bits, so nothing else
 * passes. */
struct body_finding llb_rule_network(const struct message_context *context,
                                     const struct protobuf_field *field) {
    enum { NETWORK_SANDBOX = 0, NETWORK_HOST = 1, NETWORK_NONE = 2 };
    bool host = field->value == NETWORK_HOST && context->policy->build.network_host;
    if (host || field->value == NETWORK_SANDBOX || field->value == NETWORK_NONE)
        return finding_allow();
    return finding_deny_switch(
        "buildkit.exec-network",
        "a build step may not use the host's network; leave --network=host out",
        field->value == NETWORK_HOST ? "build.network-host" : NULL);
}

/* SecurityMode. */
static struct body_finding judge_security(const struct message_context *context,
                                          const struct protobuf_field *field) {
    enum { SECURITY_SANDBOX = 0, SECURITY_INSECURE = 1 };
    bool insecure = field->value == SECURITY_INSECURE && context->policy->build.insecure;
    if (insecure || field->value == SECURITY_SANDBOX)
        return finding_allow();
    return finding_deny_switch("buildkit.exec-security",
                               "a build step may not run privileged; leave --security=insecure out",
                               field->value == SECURITY_INSECURE ? "build.insecure" : NULL);
}

static struct body_finding refuse_devices(const struct message_context *context,
                                          const struct protobuf_field *field) {
    (void)context;
    (void)field;
    return finding_deny("buildkit.exec-device",
                        "a build step may not use devices of the host; leave --device out");
}

struct body_finding llb_rule_host(const struct message_context *context,
                                  const struct protobuf_field *field) {
    (void)field;
    if (!context->policy->build.deny_add_hosts)
        return finding_allow();
    return finding_deny_switch("buildkit.add-hosts",
                               "a build may not be given names of hosts; leave --add-host out",
                               "build.add-hosts");
}

static struct body_finding judge_cgroup(const struct message_context *context,
                                        const struct protobuf_field *field) {
    (void)context;
    if (field->bytes.len == 0)
        return finding_allow();
    return finding_deny("buildkit.cgroup-parent",
                        "a build may not choose its parent cgroup; leave --cgroup-parent out");
}

static const struct message_row meta_rows[] = {
    {1, MESSAGE_LIST, NULL},                                     /* args */
    {2, MESSAGE_LIST, NULL},                                     /* env */
    {3, MESSAGE_BYTES, NULL},                                    /* cwd, in the build's own root */
    {4, MESSAGE_BYTES, NULL},                                    /* user */
    {5, MESSAGE_BYTES, NULL},                                    /* proxy_env */
    {6, MESSAGE_LIST, llb_rule_host},  {7, MESSAGE_BYTES, NULL}, /* hostname */
    {9, MESSAGE_LIST, NULL},                                     /* ulimit */
    {10, MESSAGE_BYTES, judge_cgroup},                           /* cgroupParent */
    {11, MESSAGE_NUMBER, NULL},                                  /* removeMountStubsRecursive */
    {12, MESSAGE_ANY, NULL},                                     /* validExitCodes: packed or not */
};
static const struct message_table meta_table = {.name = "Meta", ROWS(meta_rows), .closed = true};

static struct body_finding judge_meta(const struct message_context *context,
                                      const struct protobuf_field *field) {
    return message_judge(context, &meta_table, field->bytes);
}

static const struct message_row exec_rows[] = {
    {1, MESSAGE_BYTES, judge_meta},
    {2, MESSAGE_LIST, NULL}, /* mounts: of inputs, caches, tmpfs, secrets; none is of the host */
    {3, MESSAGE_NUMBER, llb_rule_network},
    {4, MESSAGE_NUMBER, judge_security},
    {5, MESSAGE_LIST, NULL},           /* secretenv */
    {6, MESSAGE_LIST, refuse_devices}, /* cdiDevices */
};
static const struct message_table exec_table = {.name = "ExecOp", ROWS(exec_rows), .closed = true};

static struct body_finding judge_exec(const struct message_context *context,
                                      const struct protobuf_field *field) {
    return message_judge(context, &exec_table, field->bytes);
}

static struct body_finding refuse_build(const struct message_context *context,
                                        const struct protobuf_field *field) {
    (void)context;
    (void)field;
    return finding_deny("buildkit.nested-build",
                        "a build step that is a build itself cannot be judged; build it first");
}

static const struct message_row op_rows[] = {
    {1, MESSAGE_LIST, NULL}, /* inputs */
    {2, MESSAGE_BYTES, judge_exec},
    {3, MESSAGE_BYTES, NULL}, /* source: what ADD in a Dockerfile reaches as well */
    {4, MESSAGE_BYTES, NULL}, /* file: within the build's own roots */
    {5, MESSAGE_BYTES, refuse_build},
    {6, MESSAGE_BYTES, NULL},  /* merge */
    {7, MESSAGE_BYTES, NULL},  /* diff */
    {8, MESSAGE_BYTES, NULL},  /* passthrough: inputs as they are */
    {10, MESSAGE_BYTES, NULL}, /* platform */
    {11, MESSAGE_BYTES, NULL}, /* constraints */
};
static const struct message_table op_table = {.name = "Op", ROWS(op_rows), .closed = true};

static struct body_finding judge_op(const struct message_context *context,
                                    const struct protobuf_field *field) {
    return message_judge(context, &op_table, field->bytes);
}

/* Metadata and the source map steer caching and messages only. */
static const struct message_row definition_rows[] = {
    {1, MESSAGE_LIST, judge_op},
    {2, MESSAGE_LIST, NULL},
    {3, MESSAGE_BYTES, NULL},
};
static const struct message_table definition_table = {
    .name = "Definition", ROWS(definition_rows), .closed = true};

struct body_finding llb_rule_definition(const struct message_context *context,
                                        const struct protobuf_field *field) {
    return message_judge(context, &definition_table, field->bytes);
}

/* --- inputs of a frontend --- */

enum op_kind { OP_OTHER, OP_FAR_SOURCE, OP_WORK };

/* Of an Op that has been judged: a source that the engine would fetch, or a step. */
static enum op_kind kind_of(struct slice op) {
    enum { SOURCE = 3, FIRST = 2, LAST = 8, IDENTIFIER = 1 };
    struct protobuf_reader reader = {.rest = op};
    struct protobuf_field field;
    while (protobuf_next(&reader, &field)) {
        if (field.number < FIRST || field.number > LAST)
            continue;
        if (field.number != SOURCE)
            return OP_WORK;
        struct protobuf_reader source = {.rest = field.bytes};
        struct slice identifier = slice_of(NULL, 0);
        while (protobuf_next(&source, &field))
            if (field.number == IDENTIFIER && field.wire == PROTOBUF_BYTES)
                identifier = field.bytes;
        return build_source_is_near(identifier) ? OP_OTHER : OP_FAR_SOURCE;
    }
    return OP_OTHER;
}

/* A graph that is but a source: how newer build clients hand a context by URL over.
 * Graphs with steps are other builds' results, whose sources are as those of any Dockerfile. */
static bool is_far_context(struct slice definition) {
    struct protobuf_reader reader = {.rest = definition};
    struct protobuf_field field;
    bool far = false;
    while (protobuf_next(&reader, &field)) {
        enum op_kind kind = field.number == 1 ? kind_of(field.bytes) : OP_OTHER;
        if (kind == OP_WORK)
            return false;
        far = far || kind == OP_FAR_SOURCE;
    }
    return far;
}

struct body_finding llb_rule_inputs(const struct message_context *context,
                                    const struct protobuf_field *field) {
    struct slice key;
    struct slice value;
    if (!message_map_entry(field->bytes, &key, &value))
        return finding_bad_request("grpc.message", "a map of build graphs is malformed");
    struct body_finding finding = message_judge(context, &definition_table, value);
    if (finding.decision != FILTER_ALLOW || context->policy->build.remote_contexts ||
        !is_far_context(value))
        return finding;
    return finding_deny_switch(
        "buildkit.remote",
        "the engine may not fetch a build context itself; clone or download it "
        "and build from the local folder",
        "build.remote-contexts");
}
