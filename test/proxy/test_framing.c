#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/slice.h"
#include "proxy/framing.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MAX_WIRE = 4096 };

enum outcome { ENDED, OPEN, BAD };

/* What reading a run of bytes came to. */
struct result {
    enum outcome outcome;
    size_t used;
    size_t payload_len;
    char payload[MAX_WIRE];
};

static enum outcome outcome_of(const struct framing *framing) {
    assert_false(framing->done && framing->bad);
    return framing->bad ? BAD : framing->done ? ENDED : OPEN;
}

static void assert_same(const struct result *a, const struct result *b) {
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->payload_len, b->payload_len);
    if (a->payload_len > 0)
        assert_memory_equal(a->payload, b->payload, a->payload_len);
}

static void read_piece(struct framing *framing, struct slice piece, struct result *result) {
    size_t before = result->payload_len;
    size_t used = framing_scan(framing, piece.data, piece.len, result->payload, &before);
    assert_true(used <= piece.len);
    if (used < piece.len)
        assert_true(framing->done || framing->bad);
    result->payload_len = before;
    result->used += used;
}

static void read_in_two(struct framing framing, struct slice wire, size_t cut,
                        struct result *result) {
    *result = (struct result){0};
    read_piece(&framing, slice_first(wire, cut), result);
    read_piece(&framing, slice_from(wire, cut), result);
    result->outcome = outcome_of(&framing);
}

static void read_bytewise(struct framing framing, struct slice wire, struct result *result) {
    *result = (struct result){0};
    for (size_t i = 0; i < wire.len; i++)
        read_piece(&framing, slice_of(wire.data + i, 1), result);
    result->outcome = outcome_of(&framing);
}

/* Payload by framing_skip wherever that is possible, as the splicing relay does it. */
static void read_skipping(struct framing framing, struct slice wire, struct result *result) {
    *result = (struct result){0};
    while (result->used < wire.len && !framing.done && !framing.bad) {
        uint64_t blind = framing_blind(&framing);
        if (blind == 0) {
            read_piece(&framing, slice_of(wire.data + result->used, 1), result);
            continue;
        }
        size_t run = wire.len - result->used;
        if (run > blind)
            run = (size_t)blind;
        memcpy(result->payload + result->payload_len, wire.data + result->used, run);
        framing_skip(&framing, run);
        result->payload_len += run;
        result->used += run;
    }
    result->outcome = outcome_of(&framing);
}

static struct result run_every_way(struct framing framing, struct slice wire) {
    static struct result whole;
    static struct result other;
    read_in_two(framing, wire, wire.len, &whole);
    for (size_t cut = 0; cut < wire.len; cut++) {
        read_in_two(framing, wire, cut, &other);
        assert_same(&whole, &other);
    }
    read_bytewise(framing, wire, &other);
    assert_same(&whole, &other);
    read_skipping(framing, wire, &other);
    assert_same(&whole, &other);
    return whole;
}

struct chunked_case {
    const char *wire; /* up to its '|' it belongs to the message; a '|' is no part of it */
    enum outcome outcome;
    const char *payload;
};

static void check_chunked(const struct chunked_case *c) {
    char wire[512];
    const char *mark = strchr(c->wire, '|');
    size_t used = mark == NULL ? strlen(c->wire) : (size_t)(mark - c->wire);
    int len = snprintf(wire, sizeof wire, "%.*s%s", (int)used, c->wire, c->wire + used + !!mark);
    assert_true(len >= 0 && (size_t)len < sizeof wire);
    struct result result = run_every_way(framing_chunked(), slice_of(wire, (size_t)len));
    if (result.outcome != c->outcome || result.used != used)
        print_error("case: %s\n", c->wire);
    assert_int_equal(result.outcome, c->outcome);
    assert_int_equal(result.used, used);
    assert_int_equal(result.payload_len, strlen(c->payload));
    assert_memory_equal(result.payload, c->payload, result.payload_len);
}

static void sound_chunks_are_read(void **state) {
    (void)state;
    static const struct chunked_case cases[] = {
        {"0\r\n\r\n", ENDED, ""},
        {"0\r\n\r\n|0\r\n\r\n", ENDED, ""},
        {"000\r\n\r\n|", ENDED, ""},
        {"5\r\nhello\r\n0\r\n\r\n|GET / HTTP/1.1\r\n", ENDED, "hello"},
        {"1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", ENDED, "abcdef"},
        {"a\r\n0123456789\r\n0\r\n\r\n", ENDED, "0123456789"},
        {"A\r\n0123456789\r\n0\r\n\r\n", ENDED, "0123456789"},
        {"1f\r\n0123456789012345678901234567890\r\n0\r\n\r\n", ENDED,
         "0123456789012345678901234567890"},
        {"00000000000000a\r\n0123456789\r\n0\r\n\r\n", ENDED, "0123456789"},
        /* Payload is never looked at. */
        {"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", ENDED, "\r\n0\r\n\r\n"},
        {"0\r\nA: b\r\n\r\n|x", ENDED, ""},
        {"0\r\nA:\r\nx-checksum: \t 1,\x80\xff ~\r\n\r\n|", ENDED, ""},
        {"0\r\n!#$%&'*+-.^_`~09azAZ: :\r\n\r\n", ENDED, ""},
        /* Not over yet. */
        {"", OPEN, ""},
        {"5", OPEN, ""},
        {"5\r", OPEN, ""},
        {"5\r\n", OPEN, ""},
        {"5\r\nhell", OPEN, "hell"},
        {"5\r\nhello", OPEN, "hello"},
        {"5\r\nhello\r", OPEN, "hello"},
        {"5\r\nhello\r\n", OPEN, "hello"},
        {"5\r\nhello\r\n0\r\n", OPEN, "hello"},
        {"5\r\nhello\r\n0\r\n\r", OPEN, "hello"},
        {"0\r\nA: b\r\n", OPEN, ""},
        {"fffffffffffffff\r\nx", OPEN, "x"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_chunked(&cases[i]);
}

static void broken_chunks_are_refused_at_the_fault(void **state) {
    (void)state;
    static const struct chunked_case cases[] = {
        /* Size lines. */
        {"|\r\n", BAD, ""},
        {"|\n", BAD, ""},
        {"|x\r\n", BAD, ""},
        {"|g\r\n", BAD, ""},
        {"| 5\r\nhello\r\n", BAD, ""},
        {"5| \r\nhello\r\n", BAD, ""},
        {"5|\t\r\nhello\r\n", BAD, ""},
        {"5|;\r\nhello\r\n", BAD, ""},
        {"5|;a=b\r\nhello\r\n", BAD, ""},
        {"5|\nhello\r\n", BAD, ""},
        {"5\r|hello\r\n", BAD, ""},
        {"5\r|\r\nhello\r\n", BAD, ""},
        {"|+5\r\nhello\r\n", BAD, ""},
        {"|-5\r\nhello\r\n", BAD, ""},
        {"0|x5\r\nhello\r\n", BAD, ""},
        {"5|_\r\nhello\r\n", BAD, ""},
        {"|\"5\"\r\nhello\r\n", BAD, ""},
        /* 15 digits at the most: 16 and 17 must not wrap round to something small. */
        {"fffffffffffffff|f\r\nx", BAD, ""},
        {"100000000000000|00\r\nx", BAD, ""},
        {"000000000000000|5\r\nhello\r\n", BAD, ""},
        {"000000000000000|0\r\n\r\n", BAD, ""},
        /* After the payload. */
        {"5\r\nhello|\n0\r\n\r\n", BAD, "hello"},
        {"5\r\nhello|X\r\n0\r\n\r\n", BAD, "hello"},
        {"5\r\nhello\r|0\r\n\r\n", BAD, "hello"},
        {"5\r\nhello\r|\r\n0\r\n\r\n", BAD, "hello"},
        {"5\r\nhello|0\r\n\r\n", BAD, "hello"},
        {"4\r\nhell|o\r\n0\r\n\r\n", BAD, "hell"},
        {"6\r\nhello\r|\n0\r\n\r\n", BAD, "hello\r"},
        /* A second size line. */
        {"1\r\na\r\n|\r\n", BAD, "a"},
        {"1\r\na\r\n2|;x\r\nbc\r\n", BAD, "a"},
        /* The end and the trailers. */
        {"0|\n\r\n", BAD, ""},
        {"0|;a\r\n\r\n", BAD, ""},
        {"0\r\n|\n", BAD, ""},
        {"0\r\n\r|x", BAD, ""},
        {"0\r\n\r|\r\n", BAD, ""},
        {"0\r\n|: b\r\n\r\n", BAD, ""},
        {"0\r\n| a: b\r\n\r\n", BAD, ""},
        {"0\r\na: b\r\n| c\r\n\r\n", BAD, ""},
        {"0\r\na: b\r\n|\tc\r\n\r\n", BAD, ""},
        {"0\r\na|\r\n\r\n", BAD, ""},
        {"0\r\na| : b\r\n\r\n", BAD, ""},
        {"0\r\na|(: b\r\n\r\n", BAD, ""},
        {"0\r\na: b|\nc: d\r\n\r\n", BAD, ""},
        {"0\r\na: b\r|c: d\r\n\r\n", BAD, ""},
        {"0\r\na: |\x01\r\n\r\n", BAD, ""},
        {"0\r\na: |\x7f\r\n\r\n", BAD, ""},
        {"0\r\n|\x80: b\r\n\r\n", BAD, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_chunked(&cases[i]);
}

static void every_byte_of_a_size_line_is_judged(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool digit = byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL;
        struct result first = run_every_way(framing_chunked(), slice_of(&c, 1));
        assert_int_equal(first.outcome, digit ? OPEN : BAD);
        char second[] = {'1', c};
        struct result more = run_every_way(framing_chunked(), slice_of(second, 2));
        assert_int_equal(more.outcome, digit || c == '\r' ? OPEN : BAD);
    }
}

static void nothing_is_read_after_a_fault_or_the_end(void **state) {
    (void)state;
    char payload[16];
    size_t payload_len = 0;
    struct framing bad = framing_chunked();
    assert_int_equal(framing_scan(&bad, "5;", 2, payload, &payload_len), 1);
    assert_true(bad.bad);
    assert_int_equal(framing_scan(&bad, "\r\n", 2, payload, &payload_len), 0);
    assert_int_equal(framing_blind(&bad), 0);
    assert_false(framing_ends_at_eof(&bad));

    struct framing ended = framing_chunked();
    assert_int_equal(framing_scan(&ended, "0\r\n\r\n", 5, payload, &payload_len), 5);
    assert_true(ended.done);
    assert_int_equal(framing_scan(&ended, "0\r\n\r\n", 5, payload, &payload_len), 0);
    assert_int_equal(framing_blind(&ended), 0);
    assert_true(framing_ends_at_eof(&ended));
    assert_int_equal(payload_len, 0);
}

/* A trailer section of `total` bytes, made of one line and the empty line. */
static enum outcome read_trailers(size_t total) {
    char *wire = malloc(total + 3);
    assert_non_null(wire);
    memcpy(wire, "0\r\n", 3);
    memset(wire + 3, 'v', total);
    memcpy(wire + 3, "a:", 2);
    memcpy(wire + 3 + total - 4, "\r\n\r\n", 4);
    struct framing framing = framing_chunked();
    size_t used = framing_scan(&framing, wire, total + 3, NULL, NULL);
    enum outcome outcome = outcome_of(&framing);
    if (outcome == ENDED)
        assert_int_equal(used, total + 3);
    free(wire);
    return outcome;
}

static void trailers_are_bounded(void **state) {
    (void)state;
    assert_int_equal(read_trailers(16), ENDED);
    assert_int_equal(read_trailers(FRAMING_MAX_TRAILERS), ENDED);
    /* Whether line ends count is the implementation's business; a few bytes more never pass. */
    assert_int_equal(read_trailers(FRAMING_MAX_TRAILERS + 3), BAD);
    assert_int_equal(read_trailers(10 * FRAMING_MAX_TRAILERS), BAD);

    /* Endless short lines are bounded as well. */
    struct framing framing = framing_chunked();
    size_t sent = framing_scan(&framing, "0\r\n", 3, NULL, NULL);
    while (!framing.bad) {
        sent += framing_scan(&framing, "a:\r\n", 4, NULL, NULL);
        assert_true(sent < 2 * FRAMING_MAX_TRAILERS);
    }
}

static void lengths_are_counted(void **state) {
    (void)state;
    struct result result = run_every_way(framing_length(5), SLICE("helloGET / HTTP/1.1"));
    assert_int_equal(result.outcome, ENDED);
    assert_int_equal(result.used, 5);
    assert_int_equal(result.payload_len, 5);
    assert_memory_equal(result.payload, "hello", 5);

    result = run_every_way(framing_length(5), SLICE("hell"));
    assert_int_equal(result.outcome, OPEN);
    assert_int_equal(result.used, 4);

    result = run_every_way(framing_length(0), SLICE("x"));
    assert_int_equal(result.outcome, ENDED);
    assert_int_equal(result.used, 0);

    result = run_every_way(framing_none(), SLICE("x"));
    assert_int_equal(result.outcome, ENDED);
    assert_int_equal(result.used, 0);

    result = run_every_way(framing_until_close(), SLICE("0\r\n\r\n\x00\xff"));
    assert_int_equal(result.outcome, OPEN);
    assert_int_equal(result.used, 7);
    assert_int_equal(result.payload_len, 7);
}

static void ends_of_the_stream_are_judged(void **state) {
    (void)state;
    struct framing framing = framing_none();
    assert_true(framing_ends_at_eof(&framing));
    framing = framing_until_close();
    assert_true(framing_ends_at_eof(&framing));
    framing = framing_length(0);
    assert_true(framing_ends_at_eof(&framing));
    framing = framing_length(2);
    assert_false(framing_ends_at_eof(&framing));
    framing_skip(&framing, 1);
    assert_false(framing_ends_at_eof(&framing));
    framing_skip(&framing, 1);
    assert_true(framing_ends_at_eof(&framing));

    static const char wire[] = "2\r\nab\r\n0\r\nA: b\r\n\r\n";
    for (size_t len = 0; len < sizeof wire; len++) {
        framing = framing_chunked();
        framing_scan(&framing, wire, len, NULL, NULL);
        assert_int_equal(framing_ends_at_eof(&framing), len == sizeof wire - 1);
    }
}

static void the_blind_count_is_the_payload_ahead(void **state) {
    (void)state;
    struct framing framing = framing_length(UINT64_MAX);
    assert_true(framing_blind(&framing) == UINT64_MAX);
    framing_skip(&framing, UINT64_MAX - 1);
    assert_true(framing_blind(&framing) == 1);
    framing_skip(&framing, 0);
    assert_true(framing_blind(&framing) == 1);
    framing_skip(&framing, 1);
    assert_true(framing_blind(&framing) == 0);
    assert_true(framing.done);

    framing = framing_until_close();
    framing_skip(&framing, UINT64_MAX);
    framing_skip(&framing, 1);
    assert_true(framing_blind(&framing) == UINT64_MAX);

    framing = framing_chunked();
    assert_true(framing_blind(&framing) == 0);
    framing_scan(&framing, "fffffffffffffff\r", 16, NULL, NULL);
    assert_true(framing_blind(&framing) == 0);
    framing_scan(&framing, "\n", 1, NULL, NULL);
    assert_true(framing_blind(&framing) == UINT64_C(0xfffffffffffffff));
    framing_skip(&framing, UINT64_C(0xffffffffffffffe));
    assert_true(framing_blind(&framing) == 1);
    framing_skip(&framing, 1);
    assert_true(framing_blind(&framing) == 0);
    assert_false(framing.done);
}

/* --- against a decoder of its own --- */

/* Reads whole texts by searching, where the real one steps from byte to byte. */
struct decoder {
    struct slice wire;
    struct result result;
};

static bool literal(struct decoder *decoder, const char *text) {
    for (; *text != '\0'; text++, decoder->result.used++) {
        if (decoder->result.used == decoder->wire.len)
            return false;
        if (decoder->wire.data[decoder->result.used] != *text) {
            decoder->result.outcome = BAD;
            return false;
        }
    }
    return true;
}

/* How many of the next bytes are among `set`. */
static size_t span(const struct decoder *decoder, const char *set) {
    size_t at = decoder->result.used;
    while (at < decoder->wire.len && decoder->wire.data[at] != '\0' &&
           strchr(set, decoder->wire.data[at]) != NULL)
        at++;
    return at - decoder->result.used;
}

static bool decode_size(struct decoder *decoder, uint64_t *size) {
    char digits[16] = "";
    size_t count = span(decoder, "0123456789abcdefABCDEF");
    size_t from = decoder->result.used;
    decoder->result.used += count > 15 ? 15 : count;
    if (count > 15 || (count == 0 && from < decoder->wire.len)) {
        decoder->result.outcome = BAD;
        return false;
    }
    if (decoder->result.used == decoder->wire.len)
        return false;
    memcpy(digits, decoder->wire.data + from, count);
    if (!literal(decoder, "\r\n"))
        return false;
    *size = strtoull(digits, NULL, 16);
    return true;
}

static bool decode_trailer(struct decoder *decoder) {
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t name = span(decoder, token);
    decoder->result.used += name;
    if (decoder->result.used == decoder->wire.len)
        return false;
    if (name == 0) {
        decoder->result.outcome = BAD;
        return false;
    }
    if (!literal(decoder, ":"))
        return false;
    while (decoder->result.used < decoder->wire.len) {
        unsigned char c = (unsigned char)decoder->wire.data[decoder->result.used];
        if (c != '\t' && (c < ' ' || c == 0x7f))
            break;
        decoder->result.used++;
    }
    return literal(decoder, "\r\n");
}

static void decode(struct decoder *decoder) {
    struct result *result = &decoder->result;
    *result = (struct result){.outcome = OPEN};
    uint64_t size = 0;
    do {
        if (!decode_size(decoder, &size))
            return;
        size_t run = decoder->wire.len - result->used;
        if (run > size)
            run = (size_t)size;
        memcpy(result->payload + result->payload_len, decoder->wire.data + result->used, run);
        result->payload_len += run;
        result->used += run;
        if (run < size || (size > 0 && !literal(decoder, "\r\n")))
            return;
    } while (size > 0);
    while (result->used < decoder->wire.len && decoder->wire.data[result->used] != '\r')
        if (!decode_trailer(decoder))
            return;
    if (literal(decoder, "\r\n"))
        result->outcome = ENDED;
}

static uint64_t random_state;

static size_t random_below(size_t bound) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % bound);
}

static size_t random_body(char *wire) {
    size_t len = 0;
    for (size_t chunks = random_below(5); chunks > 0; chunks--) {
        size_t size = 1 + (random_below(4) == 0 ? random_below(300) : random_below(20));
        len += (size_t)sprintf(wire + len, random_below(2) ? "%zx\r\n" : "%05zX\r\n", size);
        for (size_t i = 0; i < size; i++)
            wire[len++] = "0\r\naf;:\x80"[random_below(8)];
        len += (size_t)sprintf(wire + len, "\r\n");
    }
    len += (size_t)sprintf(wire + len, random_below(2) ? "0\r\n" : "000\r\n");
    for (size_t trailers = random_below(4) / 2; trailers > 0; trailers--)
        len += (size_t)sprintf(wire + len, "X-%zu: v w\r\n", random_below(100));
    len += (size_t)sprintf(wire + len, "\r\n");
    for (size_t next = random_below(12); next > 0; next--)
        wire[len++] = "0\r\nGET"[random_below(6)];
    return len;
}

static size_t mutate(char *wire, size_t len) {
    static const char bytes[] = "0123abfgF\r\n\r\n;: \t\x7f\x80x";
    size_t at = random_below(len);
    char c = bytes[random_below(sizeof bytes)]; /* NUL among them */
    switch (random_below(4)) {
    case 0:
        wire[at] = c;
        return len;
    case 1:
        memmove(wire + at, wire + at + 1, len - at - 1);
        return len - 1;
    case 2:
        memmove(wire + at + 1, wire + at, len - at);
        wire[at] = c;
        return len + 1;
    default:
        return at;
    }
}

/* Cut at random places; each piece scanned, or skipped where it may be. */
static void read_at_random(struct slice wire, struct result *result) {
    struct framing framing = framing_chunked();
    *result = (struct result){0};
    while (result->used < wire.len && !framing.done && !framing.bad) {
        struct slice piece = slice_first(slice_from(wire, result->used), 1 + random_below(40));
        uint64_t blind = framing_blind(&framing);
        if (blind == 0 || random_below(2) == 0) {
            read_piece(&framing, piece, result);
            continue;
        }
        size_t run = piece.len < blind ? piece.len : (size_t)blind;
        memcpy(result->payload + result->payload_len, piece.data, run);
        framing_skip(&framing, run);
        result->payload_len += run;
        result->used += run;
    }
    result->outcome = outcome_of(&framing);
}

static void random_bodies_are_read_like_by_another_decoder(void **state) {
    (void)state;
    enum { ROUNDS = 40000 };
    static struct decoder decoder;
    static struct result result;
    static char wire[MAX_WIRE];
    size_t outcomes[3] = {0};
    random_state = UINT64_C(0x9e3779b97f4a7c15);
    for (int round = 0; round < ROUNDS; round++) {
        size_t len = random_body(wire);
        for (size_t mutations = random_below(3); mutations > 0 && len > 0; mutations--)
            len = mutate(wire, len);
        decoder.wire = slice_of(wire, len);
        decode(&decoder);
        read_at_random(decoder.wire, &result);
        if (result.outcome != decoder.result.outcome || result.used != decoder.result.used)
            print_error("round %d: %.*s\n", round, (int)len, wire);
        assert_same(&decoder.result, &result);
        outcomes[result.outcome]++;
    }
    /* All three kinds were really met. */
    for (size_t i = 0; i < COUNT(outcomes); i++)
        assert_true(outcomes[i] > ROUNDS / 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_chunks_are_read),
        cmocka_unit_test(broken_chunks_are_refused_at_the_fault),
        cmocka_unit_test(every_byte_of_a_size_line_is_judged),
        cmocka_unit_test(nothing_is_read_after_a_fault_or_the_end),
        cmocka_unit_test(trailers_are_bounded),
        cmocka_unit_test(lengths_are_counted),
        cmocka_unit_test(ends_of_the_stream_are_judged),
        cmocka_unit_test(the_blind_count_is_the_payload_ahead),
        cmocka_unit_test(random_bodies_are_read_like_by_another_decoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
