/* One body read whole, cut at random places, and by skipping its payload: all must agree.
 *
 * The input: how many bytes plan the cuts, the kind of framing, the plan, then the wire. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

struct reading {
    struct framing framing;
    size_t used;
    size_t payload_len;
    char *payload;
};

static struct framing framing_by(uint8_t kind, size_t length) {
    switch (kind % 8) {
    case 0:
        return framing_length(length);
    case 1:
        return framing_until_close();
    case 2:
        return framing_none();
    default:
        return framing_chunked();
    }
}

static struct reading start(struct framing framing, size_t len) {
    struct reading reading = {.framing = framing, .payload = malloc(len + 1)};
    require(reading.payload != NULL);
    return reading;
}

static void scan(struct reading *reading, const char *wire, size_t len) {
    size_t used = framing_scan(&reading->framing, wire + reading->used, len, reading->payload,
                               &reading->payload_len);
    require(used <= len);
    require(used == len || reading->framing.done || reading->framing.bad);
    require(!(reading->framing.done && reading->framing.bad));
    reading->used += used;
}

/* A step of at most `len` bytes, without looking at payload. */
static void skip(struct reading *reading, const char *wire, size_t len) {
    uint64_t blind = framing_blind(&reading->framing);
    if (blind == 0) {
        scan(reading, wire, len == 0 ? 0 : 1);
        return;
    }
    size_t run = len < blind ? len : (size_t)blind;
    memcpy(reading->payload + reading->payload_len, wire + reading->used, run);
    framing_skip(&reading->framing, run);
    reading->payload_len += run;
    reading->used += run;
}

static void require_same(const struct reading *a, const struct reading *b) {
    require(a->used == b->used && a->payload_len == b->payload_len);
    require(memcmp(a->payload, b->payload, a->payload_len) == 0);
    require(a->framing.done == b->framing.done && a->framing.bad == b->framing.bad);
    require(framing_blind(&a->framing) == framing_blind(&b->framing));
    require(framing_ends_at_eof(&a->framing) == framing_ends_at_eof(&b->framing));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size < 2 + (size_t)data[0] % 32)
        return 0;
    size_t cuts = data[0] % 32;
    const uint8_t *plan = data + 2;
    const char *wire = (const char *)plan + cuts;
    size_t len = size - 2 - cuts;
    struct framing framing = framing_by(data[1], cuts * 8);

    struct reading whole = start(framing, len);
    scan(&whole, wire, len);
    require(whole.payload_len <= whole.used);

    struct reading pieces = start(framing, len);
    struct reading skipping = start(framing, len);
    for (size_t i = 0; i <= cuts; i++) {
        size_t piece = i == cuts ? len : plan[i];
        size_t left = len - pieces.used;
        scan(&pieces, wire, piece < left ? piece : left);
    }
    for (size_t i = 0; skipping.used < len && !skipping.framing.done && !skipping.framing.bad;
         i++) {
        size_t piece = cuts == 0 ? len : 1 + plan[i % cuts];
        size_t left = len - skipping.used;
        skip(&skipping, wire, piece < left ? piece : left);
    }
    require_same(&whole, &pieces);
    require_same(&whole, &skipping);

    /* Once over or broken, it takes nothing more. */
    if (whole.framing.done || whole.framing.bad)
        require(framing_scan(&whole.framing, "0\r\n\r\n", 5, NULL, NULL) == 0);
    free(whole.payload);
    free(pieces.payload);
    free(skipping.payload);
    return 0;
}
