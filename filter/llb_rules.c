#include "filter/llb_rules.h"

#include "filter/fields.h"

#define ROWS(rows_) .rows = (rows_), .count = sizeof(rows_) / sizeof((rows_)[0])

/* NetMode: UNSET (the sandbox's own) and NONE. HOST is 1; Go truncates what is larger than 32 bits,
 * so nothing else passes. */
static struct body_finding judge_network(const struct message_context *context,
                                         const struct protobuf_field *field) {
    enum { NETWORK_SANDBOX = 0, NETWORK_NONE = 2 };
    (void)context;
    if (field->value == NETWORK_SANDBOX || field->value == NETWORK_NONE)
        return finding_allow();
    return finding_deny("buildkit.exec-network",
                        "a build step may not use the host's network; leave --network=host out");
}

/* SecurityMode: SANDBOX. INSECURE is 1. */
static struct body_finding judge_security(const struct message_context *context,
                                          const struct protobuf_field *field) {
    (void)context;
    if (field->value == 0)
        return finding_allow();
    return finding_deny("buildkit.exec-security",
                        "a build step may not run privileged; leave --security=insecure out");
}

static struct body_finding refuse_devices(const struct message_context *context,
                                          const struct protobuf_field *field) {
    (void)context;
    (void)field;
    return finding_deny("buildkit.exec-device",
                        "a build step may not use devices of the host; leave --device out");
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
    {1, MESSAGE_LIST, NULL},           /* args */
    {2, MESSAGE_LIST, NULL},           /* env */
    {3, MESSAGE_BYTES, NULL},          /* cwd, in the build's own root */
    {4, MESSAGE_BYTES, NULL},          /* user */
    {5, MESSAGE_BYTES, NULL},          /* proxy_env */
    {6, MESSAGE_LIST, NULL},           /* extraHosts */
    {7, MESSAGE_BYTES, NULL},          /* hostname */
    {9, MESSAGE_LIST, NULL},           /* ulimit */
    {10, MESSAGE_BYTES, judge_cgroup}, /* cgroupParent */
    {11, MESSAGE_NUMBER, NULL},        /* removeMountStubsRecursive */
    {12, MESSAGE_ANY, NULL},           /* validExitCodes: packed or not */
};
static const struct message_table meta_table = {.name = "Meta", ROWS(meta_rows), .closed = true};

static struct body_finding judge_meta(const struct message_context *context,
                                      const struct protobuf_field *field) {
    return message_judge(context, &meta_table, field->bytes);
}

static const struct message_row exec_rows[] = {
    {1, MESSAGE_BYTES, judge_meta},
    {2, MESSAGE_LIST, NULL}, /* mounts: of inputs, caches, tmpfs, secrets; none is of the host */
    {3, MESSAGE_NUMBER, judge_network},
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

struct body_finding llb_rule_definitions(const struct message_context *context,
                                         const struct protobuf_field *field) {
    struct slice key;
    struct slice value;
    if (!message_map_entry(field->bytes, &key, &value))
        return finding_bad_request("grpc.message", "a map of build graphs is malformed");
    return message_judge(context, &definition_table, value);
}
