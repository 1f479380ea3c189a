#include "filter/source_policy_rules.h"

#include "filter/build_rules.h"
#include "filter/fields.h"
#include "filter/policy.h"

#define ROWS(rows_) .rows = (rows_), .count = sizeof(rows_) / sizeof((rows_)[0])

/* What a source becomes. A named context that is an image could become a URL so. The new scheme is
 * literal: what a pattern has matched may stand in the identifier as $1, but not before a scheme
 * that is known here. */
static struct body_finding judge_identifier(const struct message_context *context,
                                            const struct protobuf_field *field) {
    if (field->bytes.len == 0 || context->policy->build.remote_contexts ||
        build_source_is_near(field->bytes))
        return finding_allow();
    return finding_deny_switch("buildkit.remote",
                               "a source policy may not turn a source into a URL that "
                               "the engine fetches; name an image",
                               "build.remote-contexts");
}

static const struct message_row update_rows[] = {
    {1, MESSAGE_BYTES, judge_identifier},
    /* attrs, of that source: checksums, Git's full URL and the like. None changes its kind. */
    {2, MESSAGE_LIST, NULL},
};
static const struct message_table update_table = {
    .name = "Update", ROWS(update_rows), .closed = true};

static struct body_finding judge_update(const struct message_context *context,
                                        const struct protobuf_field *field) {
    return message_judge(context, &update_table, field->bytes);
}

static const struct message_row rule_rows[] = {
    {1, MESSAGE_NUMBER, NULL}, /* action: allow, deny, convert */
    {2, MESSAGE_BYTES, NULL},  /* selector */
    {3, MESSAGE_BYTES, judge_update},
};
static const struct message_table rule_table = {.name = "Rule", ROWS(rule_rows), .closed = true};

static struct body_finding judge_rule(const struct message_context *context,
                                      const struct protobuf_field *field) {
    return message_judge(context, &rule_table, field->bytes);
}

static const struct message_row policy_rows[] = {
    {1, MESSAGE_NUMBER, NULL}, /* version */
    {2, MESSAGE_LIST, judge_rule},
};
static const struct message_table policy_table = {
    .name = "Policy", ROWS(policy_rows), .closed = true};

struct body_finding source_policy_rule(const struct message_context *context,
                                       const struct protobuf_field *field) {
    return message_judge(context, &policy_table, field->bytes);
}
