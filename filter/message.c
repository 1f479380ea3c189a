#include "filter/message.h"

#include "filter/fields.h"

static struct body_finding malformed(const struct message_context *context,
                                     const struct message_table *table) {
    return finding_bad_request("grpc.message", arena_printf(context->arena,
                                                            "the %s message is not one that a "
                                                            "build client sends",
                                                            table->name));
}

static bool fits(const struct message_row *row, const struct protobuf_field *field) {
    switch (row->kind) {
    case MESSAGE_NUMBER:
        return field->wire == PROTOBUF_VARINT;
    case MESSAGE_BYTES:
    case MESSAGE_LIST:
        return field->wire == PROTOBUF_BYTES;
    case MESSAGE_ANY:
        break;
    }
    return true;
}

static struct body_finding judge_field(const struct message_context *context,
                                       const struct message_table *table, uint64_t *seen,
                                       const struct protobuf_field *field) {
    for (size_t i = 0; i < table->count; i++) {
        const struct message_row *row = &table->rows[i];
        if (row->number != field->number)
            continue;
        bool once = row->kind == MESSAGE_NUMBER || row->kind == MESSAGE_BYTES;
        if (!fits(row, field) || (once && *seen & UINT64_C(1) << i))
            return malformed(context, table);
        *seen |= UINT64_C(1) << i;
        return row->judge ? row->judge(context, field) : finding_allow();
    }
    if (table->closed)
        return finding_deny(
            "grpc.unknown-field",
            arena_printf(context->arena,
                         "field %u of the %s message is not known here, and may grant anything; "
                         "use an older build client, or a newer proxy",
                         (unsigned)field->number, table->name));
    return finding_allow();
}

struct body_finding message_judge(const struct message_context *context,
                                  const struct message_table *table, struct slice message) {
    struct protobuf_reader reader = {.rest = message};
    struct protobuf_field field;
    uint64_t seen = 0;
    while (protobuf_next(&reader, &field)) {
        struct body_finding finding = judge_field(context, table, &seen, &field);
        if (finding.decision != FILTER_ALLOW)
            return finding;
    }
    if (reader.bad)
        return malformed(context, table);
    return table->whole ? table->whole(context, message) : finding_allow();
}

bool message_map_entry(struct slice entry, struct slice *key, struct slice *value) {
    struct protobuf_reader reader = {.rest = entry};
    struct protobuf_field field;
    struct slice *parts[] = {key, value};
    bool seen[] = {false, false};
    *key = *value = slice_of(NULL, 0);
    while (protobuf_next(&reader, &field)) {
        if (field.number > 2 || field.wire != PROTOBUF_BYTES || seen[field.number - 1])
            return false;
        seen[field.number - 1] = true;
        *parts[field.number - 1] = field.bytes;
    }
    return !reader.bad;
}
