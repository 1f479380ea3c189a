#include "filter/history_rules.h"

#include "filter/fields.h"

enum { REF = 2 };

static struct body_finding require_reference(const struct message_context *context,
                                             struct slice message) {
    struct protobuf_reader reader = {.rest = message};
    struct protobuf_field field;
    (void)context;
    while (protobuf_next(&reader, &field))
        if (field.number == REF && field.bytes.len > 0)
            return finding_allow();
    /* Not a refusal, which the modes audit and learn would let pass. */
    return finding_bad_request("buildkit.history",
                               "a list of builds would show what is others'; ask for one build, by "
                               "its reference");
}

static const struct message_row history_rows[] = {
    {1, MESSAGE_NUMBER, NULL},  /* ActiveOnly */
    {REF, MESSAGE_BYTES, NULL}, /* empty: of all builds */
    {3, MESSAGE_NUMBER, NULL},  /* EarlyExit */
    {4, MESSAGE_LIST, NULL},    /* Filter */
    {5, MESSAGE_NUMBER, NULL},  /* Limit */
};
const struct message_table history_table = {.name = "Control/ListenBuildHistory",
                                            .rows = history_rows,
                                            .count = sizeof history_rows / sizeof history_rows[0],
                                            .closed = true,
                                            .whole = require_reference};
