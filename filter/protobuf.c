#include "filter/protobuf.h"

#include <stddef.h>

enum { VARINT_MAX = 10, WIRE_BITS = 3, WIRE_MASK = 7 };

static bool fail(struct protobuf_reader *reader) {
    reader->bad = true;
    return false;
}

static bool read_varint(struct protobuf_reader *reader, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < VARINT_MAX && i < reader->rest.len; i++) {
        uint64_t byte = (unsigned char)reader->rest.data[i];
        /* The tenth byte has room for the 64th bit alone. */
        if (i == VARINT_MAX - 1 && byte > 1)
            return fail(reader);
        *value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            reader->rest = slice_from(reader->rest, i + 1);
            return true;
        }
    }
    return fail(reader);
}

/* Little-endian. */
static bool read_fixed(struct protobuf_reader *reader, size_t size, uint64_t *value) {
    if (reader->rest.len < size)
        return fail(reader);
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)(unsigned char)reader->rest.data[i] << (8 * i);
    reader->rest = slice_from(reader->rest, size);
    return true;
}

static bool read_bytes(struct protobuf_reader *reader, struct slice *bytes) {
    uint64_t len;
    if (!read_varint(reader, &len))
        return false;
    if (len > reader->rest.len)
        return fail(reader);
    *bytes = slice_first(reader->rest, (size_t)len);
    reader->rest = slice_from(reader->rest, (size_t)len);
    return true;
}

bool protobuf_next(struct protobuf_reader *reader, struct protobuf_field *field) {
    uint64_t tag;
    *field = (struct protobuf_field){0};
    if (reader->bad || reader->rest.len == 0 || !read_varint(reader, &tag))
        return false;
    if (tag > UINT32_MAX || tag >> WIRE_BITS == 0)
        return fail(reader);
    field->number = (uint32_t)(tag >> WIRE_BITS);
    field->wire = (enum protobuf_wire)(tag & WIRE_MASK);
    switch (field->wire) {
    case PROTOBUF_VARINT:
        return read_varint(reader, &field->value);
    case PROTOBUF_FIXED64:
        return read_fixed(reader, sizeof(uint64_t), &field->value);
    case PROTOBUF_BYTES:
        return read_bytes(reader, &field->bytes);
    case PROTOBUF_FIXED32:
        return read_fixed(reader, sizeof(uint32_t), &field->value);
    }
    return fail(reader);
}
