#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "filter/filter.h"
#include "proxy/h2.h"
#include "proxy/h2_inspect.h"
#include "proxy/hpack.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SOLVE   "/moby.buildkit.v1.Control/Solve"
#define INFO    "/moby.buildkit.v1.Control/Info"
#define BAD     "/moby.buildkit.v1.Control/Unknown"

static struct buffer_pool pool;
static struct filter_policy *policy;
static unsigned reports;

static void report(void *context, struct slice path, const struct grpc_verdict *verdict) {
    (void)context;
    assert_true(path.len > 0);
    assert_non_null(verdict->reason);
    reports++;
}

static struct h2_inspect *make(void) {
    const struct h2_settings settings = {
        .policy = policy, .message_prefix = "blocked", .pool = &pool, .report = report};
    struct h2_inspect *inspect = h2_inspect_new(&settings);
    assert_non_null(inspect);
    reports = 0;
    return inspect;
}

static void add(struct buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
                struct slice payload) {
    assert_true(h2_append_frame(out, &pool, type, flags, stream, payload));
}

static void add_call(struct buffer *out, uint32_t stream, const char *path, bool ends) {
    struct buffer block = {0};
    const struct slice headers[][2] = {
        {SLICE(":method"), SLICE("POST")},
        {SLICE(":scheme"), SLICE("http")},
        {SLICE(":path"), slice_from_string(path)},
        {SLICE(":authority"), SLICE("docker")},
        {SLICE("content-type"), SLICE("application/grpc")},
        {SLICE("te"), SLICE("trailers")},
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_true(h2_append_literal(&block, &pool, headers[i][0], headers[i][1]));
    assert_true(h2_append_headers(out, &pool, stream, ends, buffer_slice(&block)));
    buffer_release(&block, &pool);
}

/* A message of `len` bytes: a build's Ref that is as long as it takes; with `host`, of a build that
 * asks for the host's network. */
static struct slice make_message(size_t len, bool host) {
    static const char entitlement[] = "\x4a\x0cnetwork.host";
    enum { HEAD = GRPC_PREFIX + 1 + 5 };
    size_t tail = host ? sizeof entitlement - 1 : 0;
    char *message = calloc(1, len);
    assert_non_null(message);
    assert_true(len >= HEAD + tail);
    h2_write_u32(message + 1, (uint32_t)(len - GRPC_PREFIX));
    message[GRPC_PREFIX] = 0x0a;
    size_t text = len - HEAD - tail;
    for (int i = 0; i < 5; i++)
        message[GRPC_PREFIX + 1 + i] = (char)(unsigned char)(text >> (7 * i) & 0x7f);
    for (int i = 0; i < 4; i++)
        message[GRPC_PREFIX + 1 + i] |= (char)-128;
    memcpy(message + len - tail, entitlement, tail);
    return slice_of(message, len);
}

static void add_message(struct buffer *out, uint32_t stream, struct slice message) {
    while (message.len > 0) {
        struct slice part = slice_first(message, 10000);
        message = slice_from(message, part.len);
        add(out, H2_DATA, message.len == 0 ? H2_END_STREAM : 0, stream, part);
    }
}

static void add_greeting(struct buffer *out) {
    assert_true(h2_append(out, &pool, SLICE(PREFACE)));
    add(out, H2_SETTINGS, 0, 0, slice_of(NULL, 0));
}

static void add_settings(struct buffer *out, unsigned id, uint32_t value) {
    char payload[6] = {0, (char)id};
    h2_write_u32(payload + 2, value);
    add(out, H2_SETTINGS, 0, 0, slice_of(payload, sizeof payload));
}

/* Feeds all of it; what has to wait stays in the judge. */
static void feed(struct h2_inspect *inspect, struct slice bytes, size_t piece) {
    for (; bytes.len > 0 && h2_fault(inspect) == NULL; bytes = slice_from(bytes, piece))
        h2_feed_client(inspect, slice_first(bytes, piece));
}

static void feed_engine(struct h2_inspect *inspect, struct slice bytes, size_t piece) {
    for (; bytes.len > 0 && h2_fault(inspect) == NULL; bytes = slice_from(bytes, piece))
        h2_feed_engine(inspect, slice_first(bytes, piece));
}

static void greet(struct h2_inspect *inspect) {
    struct buffer bytes = {0};
    add_greeting(&bytes);
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &pool);
    add_settings(&bytes, H2_SETTING_INITIAL_WINDOW, H2_INITIAL_WINDOW);
    feed_engine(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &pool);
    buffer_release(h2_to_engine(inspect), &pool);
    buffer_release(h2_to_client(inspect), &pool);
}

/* The next frame in a buffer; its payload in `*payload`, until the buffer changes. */
static struct h2_frame next(struct slice *rest, struct slice *payload) {
    assert_true(rest->len >= H2_HEAD);
    struct h2_frame frame = h2_read_head(rest->data);
    *payload = slice_first(slice_from(*rest, H2_HEAD), frame.len);
    assert_int_equal(payload->len, frame.len);
    *rest = slice_from(*rest, H2_HEAD + frame.len);
    return frame;
}

/* How many frames of a type there are for a stream, and their payload bytes. */
static size_t count(struct buffer *buffer, uint8_t type, uint32_t stream, size_t *bytes) {
    struct slice rest = buffer_slice(buffer);
    struct slice payload;
    size_t found = 0;
    *bytes = 0;
    while (rest.len > 0) {
        struct h2_frame frame = next(&rest, &payload);
        if (frame.type == type && frame.stream == stream) {
            found++;
            *bytes += payload.len;
        }
    }
    return found;
}

static bool contains(struct slice text, const char *what) {
    return memmem(text.data, text.len, what, strlen(what)) != NULL;
}

/* The answer to a refused call is there, and says so. */
static void assert_refused(struct h2_inspect *inspect, uint32_t stream, const char *text) {
    struct slice rest = buffer_slice(h2_to_client(inspect));
    struct slice payload;
    while (rest.len > 0) {
        struct h2_frame frame = next(&rest, &payload);
        if (frame.type != H2_HEADERS || frame.stream != stream)
            continue;
        assert_int_equal(frame.flags, H2_END_STREAM | H2_END_HEADERS);
        assert_true(contains(payload, "grpc-status\x01"
                                      "7"));
        assert_true(contains(payload, text));
        return;
    }
    fail_msg("no answer to stream %u", stream);
}

static void calls_go_through(void **state) {
    (void)state;
    struct h2_inspect *inspect = make();
    struct buffer bytes = {0};
    size_t len;
    greet(inspect);
    add_call(&bytes, 1, INFO, false);
    add(&bytes, H2_DATA, H2_END_STREAM, 1, slice_of("\0\0\0\0\0", 5));
    struct slice message = make_message(30000, false);
    add_call(&bytes, 3, SOLVE, false);
    add_message(&bytes, 3, message);
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_null(h2_fault(inspect));
    assert_int_equal(count(h2_to_engine(inspect), H2_HEADERS, 1, &len), 1);
    assert_int_equal(count(h2_to_engine(inspect), H2_DATA, 1, &len), 1);
    assert_int_equal(count(h2_to_engine(inspect), H2_HEADERS, 3, &len), 1);
    (void)count(h2_to_engine(inspect), H2_DATA, 3, &len);
    assert_int_equal(len, message.len);
    assert_true(contains(buffer_slice(h2_to_engine(inspect)), SOLVE));
    assert_int_equal(h2_held(inspect), 0);
    assert_int_equal(reports, 0);
    free((void *)(uintptr_t)message.data);
    buffer_release(&bytes, &pool);
    h2_inspect_free(inspect);
}

static void nothing_of_a_message_moves_before_it_is_judged(void **state) {
    (void)state;
    struct h2_inspect *inspect = make();
    struct buffer bytes = {0};
    struct slice message = make_message(40000, true);
    size_t len;
    greet(inspect);
    add_call(&bytes, 1, SOLVE, false);
    add_message(&bytes, 1, message);
    feed(inspect, slice_first(buffer_slice(&bytes), buffer_len(&bytes) - 1), SIZE_MAX);
    assert_int_equal(count(h2_to_engine(inspect), H2_DATA, 1, &len), 0);
    assert_int_equal(h2_waiting(inspect), 1);
    feed(inspect, slice_from(buffer_slice(&bytes), buffer_len(&bytes) - 1), SIZE_MAX);
    assert_int_equal(count(h2_to_engine(inspect), H2_DATA, 1, &len), 0);
    assert_int_equal(count(h2_to_engine(inspect), H2_RST_STREAM, 1, &len), 1);
    assert_refused(inspect, 1, "(buildkit.entitlement)");
    /* All that was held is the client's again, on the connection. */
    assert_int_equal(count(h2_to_client(inspect), H2_WINDOW_UPDATE, 0, &len), 4);
    assert_true(reports == 1 && h2_held(inspect) == 0 && h2_waiting(inspect) == 0);
    assert_null(h2_fault(inspect));
    free((void *)(uintptr_t)message.data);
    buffer_release(&bytes, &pool);
    h2_inspect_free(inspect);
}

/* A refused call leaves no trace: its head never reaches the engine, and the next goes on. */
static void unknown_methods_are_refused(void **state) {
    (void)state;
    struct h2_inspect *inspect = make();
    struct buffer bytes = {0};
    size_t len;
    greet(inspect);
    add_call(&bytes, 1, BAD, false);
    add(&bytes, H2_DATA, 0, 1, SLICE("dropped"));
    add(&bytes, H2_WINDOW_UPDATE, 0, 1, slice_of("\0\0\0\1", 4));
    add(&bytes, H2_DATA, H2_END_STREAM, 1, SLICE("too"));
    add_call(&bytes, 3, INFO, true);
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_null(h2_fault(inspect));
    assert_refused(inspect, 1, "(grpc.unknown)");
    for (uint8_t type = H2_DATA; type <= H2_CONTINUATION; type++)
        assert_int_equal(count(h2_to_engine(inspect), type, 1, &len), 0);
    assert_int_equal(count(h2_to_engine(inspect), H2_HEADERS, 3, &len), 1);
    buffer_release(&bytes, &pool);
    h2_inspect_free(inspect);
}

/* Our frames go between two of the engine's, never into one or between a block's frames. */
static void answers_wait_for_the_engines_frame(void **state) {
    (void)state;
    struct h2_inspect *inspect = make();
    struct buffer call = {0};
    struct buffer engine = {0};
    greet(inspect);
    add_call(&call, 3, BAD, true);
    add(&engine, H2_HEADERS, 0, 1, SLICE("abc"));
    add(&engine, H2_CONTINUATION, H2_END_HEADERS, 1, SLICE("def"));
    for (size_t cut = 1; cut < buffer_len(&engine); cut++) {
        struct h2_inspect *other = make();
        greet(other);
        feed_engine(other, slice_first(buffer_slice(&engine), cut), SIZE_MAX);
        feed(other, buffer_slice(&call), SIZE_MAX);
        /* A frame's head goes on when it is whole. */
        assert_true(slice_starts_with(buffer_slice(&engine), buffer_slice(h2_to_client(other))));
        feed_engine(other, slice_from(buffer_slice(&engine), cut), SIZE_MAX);
        struct slice out = buffer_slice(h2_to_client(other));
        assert_true(slice_starts_with(out, buffer_slice(&engine)));
        assert_refused(other, 3, "(grpc.unknown)");
        h2_inspect_free(other);
    }
    buffer_release(&call, &pool);
    buffer_release(&engine, &pool);
    h2_inspect_free(inspect);
}

/* A message larger than the engine's window: gathered by credit of ours, sent by the engine's. */
static void windows_are_kept(void **state) {
    (void)state;
    struct h2_inspect *inspect = make();
    struct buffer bytes = {0};
    struct slice message = make_message(200000, false);
    size_t len;
    greet(inspect);
    add_call(&bytes, 1, SOLVE, false);
    add_message(&bytes, 1, message);
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &pool);
    (void)count(h2_to_engine(inspect), H2_DATA, 1, &len);
    assert_int_equal(len, H2_INITIAL_WINDOW);
    assert_true(h2_pending(inspect));
    assert_int_equal(h2_held(inspect), message.len - H2_INITIAL_WINDOW);
    buffer_release(h2_to_client(inspect), &pool);

    /* Another call's data has no window left, and waits. */
    add_call(&bytes, 3, INFO, false);
    add(&bytes, H2_DATA, H2_END_STREAM, 3, slice_of("\0\0\0\0\0", 5));
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &pool);
    assert_int_equal(count(h2_to_engine(inspect), H2_DATA, 3, &len), 0);

    /* The engine's credit for what the client was credited already stays here. */
    for (int i = 0; i < 3; i++) {
        buffer_release(h2_to_engine(inspect), &pool);
        assert_true(h2_append_number(&bytes, &pool, H2_WINDOW_UPDATE, 0, 60000));
        assert_true(h2_append_number(&bytes, &pool, H2_WINDOW_UPDATE, 1, 60000));
    }
    feed_engine(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &pool);
    (void)count(h2_to_engine(inspect), H2_DATA, 1, &len);
    h2_inspect_run(inspect);
    while (h2_pending(inspect)) {
        buffer_release(h2_to_engine(inspect), &pool);
        size_t held = h2_held(inspect);
        h2_inspect_run(inspect);
        assert_true(h2_held(inspect) < held || !h2_pending(inspect));
    }
    assert_int_equal(h2_held(inspect), 0);
    assert_int_equal(count(h2_to_engine(inspect), H2_DATA, 3, &len), 1);
    uint32_t credited = 0;
    struct slice rest = buffer_slice(h2_to_client(inspect));
    struct slice payload;
    while (rest.len > 0) {
        struct h2_frame frame = next(&rest, &payload);
        if (frame.type == H2_WINDOW_UPDATE && frame.stream == 0)
            credited += h2_read_u32(payload.data);
    }
    /* Of 180,000 bytes of credit at most what exceeds the bytes sent by then gets through. */
    assert_true(credited <= 180000 - H2_INITIAL_WINDOW);
    assert_null(h2_fault(inspect));
    free((void *)(uintptr_t)message.data);
    h2_inspect_free(inspect);
}

/* However the bytes are cut, the same comes out. */
static void cuts_change_nothing(void **state) {
    (void)state;
    struct buffer client = {0};
    struct buffer engine = {0};
    struct slice good = make_message(60, false);
    struct slice bad = make_message(60, true);
    add_greeting(&client);
    add_call(&client, 1, INFO, true);
    add_call(&client, 3, SOLVE, false);
    char padded[40] = {5};
    memcpy(padded + 1, good.data, 30);
    add(&client, H2_DATA, H2_PADDED, 3, slice_of(padded, 36));
    add(&client, H2_PRIORITY, 0, 3, SLICE("12345"));
    add(&client, 0x77, 0xff, 3, SLICE("of the future"));
    add(&client, H2_DATA, H2_END_STREAM, 3, slice_from(good, 30));
    add_call(&client, 5, SOLVE, false);
    add_message(&client, 5, bad);
    add_call(&client, 7, BAD, true);
    add(&client, H2_PING, 0, 0, SLICE("12345678"));
    add_settings(&engine, H2_SETTING_TABLE_SIZE, 65536);
    add(&engine, H2_HEADERS, H2_END_HEADERS, 1, SLICE("\x88"));
    add(&engine, H2_DATA, H2_END_STREAM, 1, SLICE("answer"));

    struct buffer expected = {0};
    for (size_t piece = 0; piece < buffer_len(&client); piece++) {
        struct h2_inspect *inspect = make();
        feed_engine(inspect, buffer_slice(&engine), piece == 0 ? SIZE_MAX : piece);
        feed(inspect, buffer_slice(&client), piece == 0 ? SIZE_MAX : piece);
        assert_null(h2_fault(inspect));
        assert_int_equal(reports, 2);
        struct buffer *outs[] = {h2_to_engine(inspect), h2_to_client(inspect)};
        struct buffer all = {0};
        for (size_t i = 0; i < 2; i++)
            assert_true(h2_append(&all, &pool, buffer_slice(outs[i])));
        if (piece == 0)
            assert_true(h2_append(&expected, &pool, buffer_slice(&all)));
        assert_true(slice_equal(buffer_slice(&expected), buffer_slice(&all)));
        buffer_release(&all, &pool);
        h2_inspect_free(inspect);
    }
    assert_false(contains(buffer_slice(&expected), "of the future"));
    buffer_release(&expected, &pool);
    buffer_release(&client, &pool);
    buffer_release(&engine, &pool);
    free((void *)(uintptr_t)good.data);
    free((void *)(uintptr_t)bad.data);
}

static void settings_of_the_engine_are_limited(void **state) {
    (void)state;
    static const struct {
        unsigned id;
        uint32_t told, passed;
    } cases[] = {
        {H2_SETTING_TABLE_SIZE, 0, H2_TABLE_SIZE},
        {H2_SETTING_TABLE_SIZE, 1 << 20, H2_TABLE_SIZE},
        {H2_SETTING_MAX_FRAME, 1 << 20, H2_MAX_FRAME},
        {H2_SETTING_MAX_STREAMS, 100000, H2_MAX_STREAMS / 2},
        {H2_SETTING_MAX_STREAMS, 100, 100},
        {H2_SETTING_INITIAL_WINDOW, 1 << 20, 1 << 20},
        {H2_SETTING_MAX_HEADERS, 1 << 24, HPACK_MAX_DECODED},
        {8, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct h2_inspect *inspect = make();
        struct buffer bytes = {0};
        struct slice payload;
        add_settings(&bytes, cases[i].id, cases[i].told);
        feed_engine(inspect, buffer_slice(&bytes), 1);
        struct slice rest = buffer_slice(h2_to_client(inspect));
        assert_int_equal(next(&rest, &payload).type, H2_SETTINGS);
        assert_int_equal(h2_read_u32(payload.data + 2), cases[i].passed);
        buffer_release(&bytes, &pool);
        h2_inspect_free(inspect);
    }
}

/* One frame after the greeting that ends the connection. */
static void broken_frames_end_it(void **state) {
    (void)state;
    static const struct {
        uint8_t type, flags;
        uint32_t stream;
        struct slice payload;
    } cases[] = {
        {H2_DATA, 0, 0, SLICE("x")},
        {H2_DATA, 0, 1, SLICE("x")}, /* not opened */
        {H2_DATA, H2_PADDED, 1, SLICE("\x09x")},
        {H2_HEADERS, H2_END_HEADERS, 0, SLICE("")},
        {H2_HEADERS, H2_END_HEADERS, 2, SLICE("")},
        {H2_HEADERS, H2_END_HEADERS, 1, SLICE("")},                 /* no method */
        {H2_HEADERS, H2_END_HEADERS, 1, SLICE("\x83\x86\x84")},     /* no gRPC path, but POST / */
        {H2_HEADERS, H2_END_HEADERS, 1, SLICE("\x82\x86\x84")},     /* GET */
        {H2_HEADERS, H2_END_HEADERS, 1, SLICE("\x83\x83\x86\x84")}, /* twice */
        {H2_HEADERS, H2_END_HEADERS, 1, SLICE("\xff\xff\xff\xff\xff\xff")},
        {H2_HEADERS, H2_END_HEADERS, 1, SLICE("\xbe")}, /* not in the table */
        {H2_HEADERS, H2_END_HEADERS | H2_PADDED, 1, SLICE("\x05\x83")},
        {H2_HEADERS, H2_END_HEADERS | H2_HAS_PRIORITY, 1, SLICE("123")},
        {H2_CONTINUATION, H2_END_HEADERS, 1, SLICE("")},
        {H2_PRIORITY, 0, 1, SLICE("1234")},
        {H2_RST_STREAM, 0, 1, SLICE("1234")},
        {H2_RST_STREAM, 0, 0, SLICE("1234")},
        {H2_SETTINGS, 0, 0, SLICE("12345")},
        {H2_SETTINGS, 0, 1, SLICE("")},
        {H2_SETTINGS, H2_ACK, 0, SLICE("123456")},
        {H2_PUSH_PROMISE, H2_END_HEADERS, 1, SLICE("1234")},
        {H2_PING, 0, 0, SLICE("1234567")},
        {H2_PING, 0, 1, SLICE("12345678")},
        {H2_GOAWAY, 0, 0, SLICE("1234567")},
        {H2_WINDOW_UPDATE, 0, 0, SLICE("\0\0\0\0")},
        {H2_WINDOW_UPDATE, 0, 1, SLICE("\0\0\0\1")},
        {H2_WINDOW_UPDATE, 0, 0, SLICE("\0\0\1")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct h2_inspect *inspect = make();
        struct buffer bytes = {0};
        greet(inspect);
        add(&bytes, cases[i].type, cases[i].flags, cases[i].stream, cases[i].payload);
        feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        /* POST / is a well-formed call of nothing: refused, and no more. */
        if (slice_equal(cases[i].payload, SLICE("\x83\x86\x84")))
            assert_true(h2_fault(inspect) == NULL && reports == 1);
        else if (h2_fault(inspect) == NULL)
            fail_msg("case %zu passes", i);
        assert_int_equal(buffer_len(h2_to_engine(inspect)), 0);
        buffer_release(&bytes, &pool);
        h2_inspect_free(inspect);
    }
}

static void floods_end_it(void **state) {
    (void)state;
    struct buffer bytes = {0};
    /* CONTINUATION without end. */
    struct h2_inspect *inspect = make();
    greet(inspect);
    add(&bytes, H2_HEADERS, 0, 1, SLICE("\x83"));
    for (int i = 0; i < 20; i++)
        add(&bytes, H2_CONTINUATION, 0, 1, slice_of(NULL, 0));
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_non_null(h2_fault(inspect));
    h2_inspect_free(inspect);
    buffer_release(&bytes, &pool);

    /* A small block that decodes to megabytes: a long header put into the table, named often. */
    inspect = make();
    greet(inspect);
    struct buffer block = {0};
    char value[3900];
    memset(value, 'a', sizeof value);
    assert_true(h2_append(&block, &pool, SLICE("\x83\x86\x84\x40\x01x\x7f\xbd\x1d")));
    assert_true(h2_append(&block, &pool, slice_of(value, sizeof value)));
    for (int i = 0; i < 1000; i++)
        assert_true(h2_append(&block, &pool, SLICE("\xbe")));
    add(&bytes, H2_HEADERS, H2_END_HEADERS, 1, buffer_slice(&block));
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_string_equal(h2_fault(inspect), "the headers are too long");
    h2_inspect_free(inspect);
    buffer_release(&bytes, &pool);
    buffer_release(&block, &pool);

    /* Rapid reset. */
    inspect = make();
    greet(inspect);
    uint32_t stream = 1;
    for (; h2_fault(inspect) == NULL && stream < 2000; stream += 2) {
        add_call(&bytes, stream, INFO, true);
        assert_true(h2_append_number(&bytes, &pool, H2_RST_STREAM, stream, H2_CANCEL));
        feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        buffer_release(&bytes, &pool);
        buffer_release(h2_to_engine(inspect), &pool);
    }
    assert_string_equal(h2_fault(inspect), "too many streams were cancelled");
    assert_true(stream > 400);
    h2_inspect_free(inspect);

    /* Streams that never end. */
    inspect = make();
    greet(inspect);
    for (stream = 1; h2_fault(inspect) == NULL && stream < 4000; stream += 2) {
        add_call(&bytes, stream, INFO, false);
        feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        buffer_release(&bytes, &pool);
        buffer_release(h2_to_engine(inspect), &pool);
    }
    assert_string_equal(h2_fault(inspect), "too many streams");
    h2_inspect_free(inspect);
}

static void messages_that_cannot_be_judged_are_refused(void **state) {
    (void)state;
    static const struct {
        struct slice first;
        uint8_t flags;
    } cases[] = {
        {SLICE("\1\0\0\0\0"), 0},                 /* compressed */
        {SLICE("\0\0\x40\0\1"), 0},               /* more than 4 MiB */
        {SLICE("\0\0\0\0\1\x0a\0"), 0},           /* more than one message */
        {SLICE("\0\0\0\0\0\0\0\0\0\0"), 0},       /* two of them */
        {SLICE("\0\0\0\0\2\x0a"), H2_END_STREAM}, /* cut short */
        {SLICE("\0\0"), H2_END_STREAM},
        {SLICE(""), H2_END_STREAM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct h2_inspect *inspect = make();
        struct buffer bytes = {0};
        size_t len;
        greet(inspect);
        add_call(&bytes, 1, SOLVE, false);
        add(&bytes, H2_DATA, cases[i].flags, 1, cases[i].first);
        feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        assert_null(h2_fault(inspect));
        assert_refused(inspect, 1, "(grpc.message)");
        assert_int_equal(count(h2_to_engine(inspect), H2_DATA, 1, &len), 0);
        assert_int_equal(count(h2_to_engine(inspect), H2_RST_STREAM, 1, &len), 1);
        buffer_release(&bytes, &pool);
        h2_inspect_free(inspect);
    }
}

static void held_messages_are_bounded_and_expire(void **state) {
    (void)state;
    struct h2_inspect *inspect = make();
    struct buffer bytes = {0};
    greet(inspect);
    h2_limit_held(inspect, 100);
    add_call(&bytes, 1, SOLVE, false);
    add(&bytes, H2_DATA, 0, 1, slice_of("\0\0\0\1\0", 5));
    add_call(&bytes, 3, SOLVE, false);
    char part[100] = {0, 0, 0, 1};
    add(&bytes, H2_DATA, 0, 3, slice_of(part, sizeof part));
    feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_refused(inspect, 3, "too many large calls");
    assert_int_equal(h2_waiting(inspect), 1);
    h2_expire(inspect);
    assert_int_equal(h2_waiting(inspect), 1);
    h2_expire(inspect);
    assert_int_equal(h2_waiting(inspect), 0);
    assert_refused(inspect, 1, "in time");
    assert_null(h2_fault(inspect));
    buffer_release(&bytes, &pool);
    h2_inspect_free(inspect);
}

static int set_up(void **state) {
    (void)state;
    char error[200];
    const struct filter_settings settings = {.buildkit = FILTER_BUILDKIT_INSPECT};
    policy = filter_policy_new(&settings, error, sizeof error);
    return policy == NULL;
}

static int tear_down(void **state) {
    (void)state;
    filter_policy_free(policy);
    buffer_pool_clear(&pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_through),
        cmocka_unit_test(nothing_of_a_message_moves_before_it_is_judged),
        cmocka_unit_test(unknown_methods_are_refused),
        cmocka_unit_test(answers_wait_for_the_engines_frame),
        cmocka_unit_test(windows_are_kept),
        cmocka_unit_test(cuts_change_nothing),
        cmocka_unit_test(settings_of_the_engine_are_limited),
        cmocka_unit_test(broken_frames_end_it),
        cmocka_unit_test(floods_end_it),
        cmocka_unit_test(messages_that_cannot_be_judged_are_refused),
        cmocka_unit_test(held_messages_are_bounded_and_expire),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
