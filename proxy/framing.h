/* Where a message's body ends: the one judge of message framing, for both directions.
 *
 * Strict on purpose (RFC 9112 section 7.1, less what no Docker client or engine sends): chunk
 * extensions, bare LF and white space in a size line are errors, because two parsers that differ
 * there can be made to see two different requests in the same bytes. */
#ifndef DIND_PROXY_PROXY_FRAMING_H
#define DIND_PROXY_PROXY_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing_kind {
    FRAMING_NONE,        /* no body */
    FRAMING_LENGTH,      /* Content-Length */
    FRAMING_CHUNKED,     /* Transfer-Encoding: chunked */
    FRAMING_UNTIL_CLOSE, /* to the end of the stream: some responses, and every tunnel */
};

enum {
    FRAMING_MAX_TRAILERS = 8192, /* bytes of a chunked message's trailer section */
    FRAMING_NAME_SIZE = 20,      /* longer than any field that must not be a trailer */
};

struct framing {
    enum framing_kind kind;
    uint64_t left; /* payload bytes still to come: of the message, or of the current chunk */
    unsigned char state;
    unsigned char digits;
    bool done; /* the message has ended; what follows belongs to the next one */
    bool bad;  /* malformed; nothing more may be forwarded */
    uint16_t trailer_bytes;
    unsigned char name_len; /* of the trailer being read; at most FRAMING_NAME_SIZE */
    char name[FRAMING_NAME_SIZE];
};

struct framing framing_none(void);
struct framing framing_length(uint64_t length); /* 0 is a body that has ended */
struct framing framing_chunked(void);
struct framing framing_until_close(void);

/* Reads on in the message. Returns how many of the `len` bytes belong to it; fewer than `len` only
 * when it ended (done) or turned out malformed (bad). Where `payload` is not NULL the payload bytes
 * among them, without chunk framing, are copied there (it must hold `len`) and counted into
 * `*payload_len`. */
size_t framing_scan(struct framing *framing, const char *data, size_t len, char *payload,
                    size_t *payload_len);

/* How many of the next bytes are payload that may pass without being looked at. 0 when the next
 * byte is framing or the message has ended; UINT64_MAX until close. */
uint64_t framing_blind(const struct framing *framing);

/* `count` such bytes (at most framing_blind) have passed unseen. */
void framing_skip(struct framing *framing, uint64_t count);

/* The stream ended here: true if that is a proper end of the message. */
bool framing_ends_at_eof(const struct framing *framing);

#endif
