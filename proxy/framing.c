#include "proxy/framing.h"

#include <string.h>

#include "filter/ascii.h"
#include "filter/slice.h"

enum chunk_state {
    CHUNK_SIZE,         /* first hex digit of a size line */
    CHUNK_SIZE_MORE,    /* further digits, or CR */
    CHUNK_SIZE_LF,      /* LF that ends the size line */
    CHUNK_DATA,         /* payload */
    CHUNK_DATA_CR,      /* CR after the payload */
    CHUNK_DATA_LF,      /* LF after the payload */
    CHUNK_TRAILER,      /* first byte of a trailer line, or CR of the empty line */
    CHUNK_TRAILER_NAME, /* in a trailer's name */
    CHUNK_TRAILER_TEXT, /* in a trailer's value */
    CHUNK_TRAILER_LF,   /* LF that ends a trailer line */
    CHUNK_END_LF,       /* LF of the empty line that ends the message */
};

enum { CHUNK_MAX_DIGITS = 15 }; /* 2^60 bytes: no overflow, and no client comes near */

struct framing framing_none(void) {
    return (struct framing){.kind = FRAMING_NONE, .done = true};
}

struct framing framing_length(uint64_t length) {
    return (struct framing){.kind = FRAMING_LENGTH, .left = length, .done = length == 0};
}

struct framing framing_chunked(void) {
    return (struct framing){.kind = FRAMING_CHUNKED, .state = CHUNK_SIZE};
}

struct framing framing_until_close(void) {
    return (struct framing){.kind = FRAMING_UNTIL_CLOSE};
}

/* tchar of RFC 9110 section 5.6.2. */
static bool is_token_char(char c) {
    return ascii_is_alphanumeric(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_field_text(char c) {
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

static bool expect(struct framing *framing, char c, char wanted, enum chunk_state next) {
    framing->state = (unsigned char)next;
    return c == wanted;
}

static bool scan_size(struct framing *framing, char c) {
    int digit = ascii_hex_value(c);
    if (digit >= 0) {
        if (framing->digits >= CHUNK_MAX_DIGITS)
            return false;
        framing->left = framing->left * 16 + (uint64_t)digit;
        framing->digits++;
        framing->state = CHUNK_SIZE_MORE;
        return true;
    }
    return framing->digits > 0 && expect(framing, c, '\r', CHUNK_SIZE_LF);
}

/* Fields that would mean something else to whoever merges trailers into the head (RFC 9110 section
 * 6.5.1). */
static bool is_forbidden_trailer(const struct framing *framing) {
    static const char *const names[] = {
        "authorization", "connection", "content-encoding", "content-length",    "content-type",
        "expect",        "host",       "trailer",          "transfer-encoding", "upgrade",
    };
    struct slice name = slice_of(framing->name, framing->name_len);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_equal_ignoring_case(name, slice_from_string(names[i])))
            return true;
    return false;
}

static bool scan_trailer_name(struct framing *framing, char c) {
    if (c == ':') {
        framing->state = CHUNK_TRAILER_TEXT;
        return !is_forbidden_trailer(framing);
    }
    if (framing->name_len < FRAMING_NAME_SIZE)
        framing->name[framing->name_len++] = c;
    framing->state = CHUNK_TRAILER_NAME;
    return is_token_char(c);
}

static bool scan_trailer(struct framing *framing, char c) {
    if (++framing->trailer_bytes > FRAMING_MAX_TRAILERS)
        return false;
    switch ((enum chunk_state)framing->state) {
    case CHUNK_TRAILER:
        if (c == '\r') {
            framing->state = CHUNK_END_LF;
            return true;
        }
        framing->name_len = 0;
        return c != ':' && scan_trailer_name(framing, c);
    case CHUNK_TRAILER_NAME:
        return scan_trailer_name(framing, c);
    default:
        if (c == '\r') {
            framing->state = CHUNK_TRAILER_LF;
            return true;
        }
        return is_field_text(c);
    }
}

/* One byte that is not payload. False: malformed. */
static bool scan_chunk_byte(struct framing *framing, char c) {
    switch ((enum chunk_state)framing->state) {
    case CHUNK_SIZE:
    case CHUNK_SIZE_MORE:
        return scan_size(framing, c);
    case CHUNK_SIZE_LF:
        framing->digits = 0;
        return expect(framing, c, '\n', framing->left > 0 ? CHUNK_DATA : CHUNK_TRAILER);
    case CHUNK_DATA_CR:
        return expect(framing, c, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        return expect(framing, c, '\n', CHUNK_SIZE);
    case CHUNK_TRAILER_LF:
        return expect(framing, c, '\n', CHUNK_TRAILER);
    case CHUNK_END_LF:
        framing->done = c == '\n';
        return framing->done;
    case CHUNK_TRAILER:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_TEXT:
        return scan_trailer(framing, c);
    case CHUNK_DATA:
        break;
    }
    return false;
}

size_t framing_scan(struct framing *framing, const char *data, size_t len, char *payload,
                    size_t *payload_len) {
    size_t used = 0;
    while (used < len && !framing->done && !framing->bad) {
        uint64_t blind = framing_blind(framing);
        if (blind > 0) {
            size_t run = len - used;
            if (run > blind)
                run = (size_t)blind;
            if (payload != NULL) {
                memcpy(payload + *payload_len, data + used, run);
                *payload_len += run;
            }
            framing_skip(framing, run);
            used += run;
            continue;
        }
        if (!scan_chunk_byte(framing, data[used])) {
            framing->bad = true;
            break;
        }
        used++;
    }
    return used;
}

uint64_t framing_blind(const struct framing *framing) {
    if (framing->done || framing->bad)
        return 0;
    switch (framing->kind) {
    case FRAMING_LENGTH:
        return framing->left;
    case FRAMING_CHUNKED:
        return framing->state == CHUNK_DATA ? framing->left : 0;
    case FRAMING_UNTIL_CLOSE:
        return UINT64_MAX;
    case FRAMING_NONE:
        break;
    }
    return 0;
}

void framing_skip(struct framing *framing, uint64_t count) {
    if (count == 0 || framing->kind == FRAMING_UNTIL_CLOSE)
        return;
    framing->left -= count;
    if (framing->left > 0)
        return;
    if (framing->kind == FRAMING_LENGTH)
        framing->done = true;
    else
        framing->state = CHUNK_DATA_CR;
}

bool framing_ends_at_eof(const struct framing *framing) {
    return framing->done || framing->kind == FRAMING_UNTIL_CLOSE;
}
