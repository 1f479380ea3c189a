/* Judges protobuf messages by tables: one row a field.
 *
 * A singular field that comes twice is refused (Go keeps the last scalar and merges messages), and
 * so is a field of another wire type than the row's. */
#ifndef DIND_PROXY_FILTER_MESSAGE_H
#define DIND_PROXY_FILTER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/arena.h"
#include "filter/body_rules.h"
#include "filter/protobuf.h"

struct message_context {
    const struct filter_policy *policy;
    struct arena *arena;
};

/* Judges what a field holds. */
typedef struct body_finding message_rule(const struct message_context *context,
                                         const struct protobuf_field *field);

enum message_kind {
    MESSAGE_NUMBER, /* one varint: bool, enum, integer */
    MESSAGE_BYTES,  /* one string, bytes or message */
    MESSAGE_LIST,   /* any number of those; also a map, whose entries are messages */
    MESSAGE_ANY,    /* unread: any wire type, any number of times */
};

struct message_row {
    uint32_t number;
    enum message_kind kind;
    message_rule *judge; /* NULL: whatever it holds */
};

struct message_table {
    const char *name; /* for people */
    const struct message_row *rows;
    size_t count; /* at most 64 */
    bool closed;  /* a field without a row is refused: it may be a new way out */
    /* Judges what must not be missing, once all fields have passed; NULL: nothing. */
    struct body_finding (*whole)(const struct message_context *context, struct slice message);
};

/* Judges all of a message. */
struct body_finding message_judge(const struct message_context *context,
                                  const struct message_table *table, struct slice message);

/* Reads an entry of a map from strings to strings or messages. False when it is malformed. */
bool message_map_entry(struct slice entry, struct slice *key, struct slice *value);

#endif
