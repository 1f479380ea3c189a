#include "filter/body_rules.h"

#include "filter/create_rules.h"
#include "filter/exec_rules.h"
#include "filter/fields.h"
#include "filter/network_rules.h"
#include "filter/policy.h"
#include "filter/update_rules.h"
#include "filter/volume_rules.h"

/* The table of a rule set that reads the object's fields; NULL for those that do not. */
static const struct field_table *table_of(enum body_rule_set rules) {
    switch (rules) {
    case BODY_CONTAINER_CREATE:
        return &container_create_table;
    case BODY_VOLUME_CREATE:
        return &volume_create_table;
    case BODY_NETWORK_CREATE:
        return &network_create_table;
    case BODY_NETWORK_CONNECT:
        return &network_connect_table;
    case BODY_CONTAINER_UPDATE:
        return &container_update_table;
    case BODY_EXEC_CREATE:
        return &exec_create_table;
    case BODY_EXEC_START:
        return &exec_start_table;
    case BODY_NONE:
    case BODY_MUST_BE_EMPTY:
    case BODY_JSON_ANY:
    default:
        return NULL;
    }
}

static struct body_finding bad_json(struct arena *arena, const struct json_error *error) {
    return finding_bad_request("body.json",
                               arena_printf(arena, "the body is not plain JSON: %s (at byte %zu)",
                                            error->what, error->offset));
}

static struct body_finding judge_object(const struct filter_policy *policy,
                                        const struct field_table *table, struct slice body,
                                        struct arena *arena) {
    struct json_error error;
    struct arena tree = {0};
    const cJSON *object = json_parse_object(body, &tree, &error);
    const struct field_context context = {.policy = policy, .arena = arena};
    struct body_finding finding =
        object == NULL ? bad_json(arena, &error) : fields_judge(&context, table, object);
    arena_reset(&tree);
    return finding;
}

/* Some clients (docker-modem among them) send {} where no body is meant. No engine reads a start's
 * body of at most 7 bytes: it could not hold a setting (moby, postContainersStart). */
static bool says_nothing(struct slice body) {
    enum { ENGINE_IGNORES = 7 };
    if (body.len > ENGINE_IGNORES)
        return false;
    if (slice_ends_with(body, SLICE("\n")))
        body.len--;
    return body.len == 0 || slice_equal(body, SLICE("{}")) || slice_equal(body, SLICE("null"));
}

struct body_finding body_rules_judge(const struct filter_policy *policy, enum body_rule_set rules,
                                     struct slice body, struct arena *arena) {
    if (rules == BODY_NONE)
        return finding_allow();
    if (rules == BODY_MUST_BE_EMPTY)
        return says_nothing(body)
                   ? finding_allow()
                   : finding_deny("start.body", "a body that changes the container's settings is "
                                                "not allowed here; send none");
    const struct field_table *table = table_of(rules);
    if (table != NULL)
        return judge_object(policy, table, body, arena);
    struct json_error error;
    return json_check_object(body, &error) ? finding_allow() : bad_json(arena, &error);
}
