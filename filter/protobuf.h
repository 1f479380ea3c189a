/* Protocol buffers' wire format, read strictly: one field after the other, by number.
 *
 * The engine's decoders are generated Go code. What they would skip, truncate or merge is an error
 * here, so that no two readers can disagree (https://protobuf.dev/programming-guides/encoding/). */
#ifndef DIND_PROXY_FILTER_PROTOBUF_H
#define DIND_PROXY_FILTER_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>

#include "filter/slice.h"

enum protobuf_wire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2, /* strings, bytes, messages, map entries, packed lists */
    PROTOBUF_FIXED32 = 5,
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;     /* of the three numeric wire types */
    struct slice bytes; /* of PROTOBUF_BYTES; points into the message */
};

/* Where a message is being read: starts as {.rest = message}. */
struct protobuf_reader {
    struct slice rest;
    bool bad; /* malformed: nothing after it can be trusted */
};

/* Reads the next field. False at the message's end and where it is malformed (`bad`): lengths
 * beyond the message, varints of more than 64 bits, tags of more than 32 bits (which Go code may
 * truncate), field number 0, groups and unknown wire types. */
bool protobuf_next(struct protobuf_reader *reader, struct protobuf_field *field);

#endif
