#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "h2_rig.h"
#include "proxy/hpack.h"

static void calls_go_through(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    size_t len;
    rig_greet(inspect);
    rig_add_call(&bytes, 1, INFO, false);
    rig_add(&bytes, H2_DATA, H2_END_STREAM, 1, slice_of("\0\0\0\0\0", 5));
    struct slice message = rig_make_message(30000, false);
    rig_add_call(&bytes, 3, SOLVE, false);
    rig_add_message(&bytes, 3, message);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_null(h2_fault(inspect));
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_HEADERS, 1, &len), 1);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_DATA, 1, &len), 1);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_HEADERS, 3, &len), 1);
    (void)rig_count(h2_to_engine(inspect), H2_DATA, 3, &len);
    assert_int_equal(len, message.len);
    assert_true(rig_contains(buffer_slice(h2_to_engine(inspect)), SOLVE));
    assert_int_equal(h2_held(inspect), 0);
    assert_int_equal(rig_reports, 0);
    free((void *)(uintptr_t)message.data);
    buffer_release(&bytes, &rig_pool);
    h2_inspect_free(inspect);
}

static void nothing_of_a_message_moves_before_it_is_judged(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    struct slice message = rig_make_message(40000, true);
    size_t len;
    rig_greet(inspect);
    rig_add_call(&bytes, 1, SOLVE, false);
    rig_add_message(&bytes, 1, message);
    rig_feed(inspect, slice_first(buffer_slice(&bytes), buffer_len(&bytes) - 1), SIZE_MAX);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_DATA, 1, &len), 0);
    assert_int_equal(h2_waiting(inspect), 1);
    rig_feed(inspect, slice_from(buffer_slice(&bytes), buffer_len(&bytes) - 1), SIZE_MAX);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_DATA, 1, &len), 0);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_RST_STREAM, 1, &len), 1);
    rig_assert_refused(inspect, 1, "(buildkit.entitlement)");
    /* All that was held is the client's again, on the connection. */
    assert_int_equal(rig_count(h2_to_client(inspect), H2_WINDOW_UPDATE, 0, &len), 4);
    assert_true(rig_reports == 1 && h2_held(inspect) == 0 && h2_waiting(inspect) == 0);
    assert_null(h2_fault(inspect));
    free((void *)(uintptr_t)message.data);
    buffer_release(&bytes, &rig_pool);
    h2_inspect_free(inspect);
}

/* A refused call leaves no trace: its head never reaches the engine, and the next goes on. */
static void unknown_methods_are_refused(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    size_t len;
    rig_greet(inspect);
    rig_add_call(&bytes, 1, BAD, false);
    rig_add(&bytes, H2_DATA, 0, 1, SLICE("dropped"));
    rig_add(&bytes, H2_WINDOW_UPDATE, 0, 1, slice_of("\0\0\0\1", 4));
    rig_add(&bytes, H2_DATA, H2_END_STREAM, 1, SLICE("too"));
    rig_add_call(&bytes, 3, INFO, true);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_null(h2_fault(inspect));
    rig_assert_refused(inspect, 1, "(grpc.unknown)");
    for (unsigned type = H2_DATA; type <= H2_CONTINUATION; type++)
        assert_int_equal(rig_count(h2_to_engine(inspect), (uint8_t)type, 1, &len), 0);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_HEADERS, 3, &len), 1);
    buffer_release(&bytes, &rig_pool);
    h2_inspect_free(inspect);
}

/* Our frames go between two of the engine's, never into one or between a block's frames. */
static void answers_wait_for_the_engines_frame(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer call = {0};
    struct buffer engine = {0};
    rig_greet(inspect);
    rig_add_call(&call, 3, BAD, true);
    rig_add(&engine, H2_HEADERS, 0, 1, SLICE("abc"));
    rig_add(&engine, H2_CONTINUATION, H2_END_HEADERS, 1, SLICE("def"));
    for (size_t cut = 1; cut < buffer_len(&engine); cut++) {
        struct h2_inspect *other = rig_make();
        rig_greet(other);
        rig_feed_engine(other, slice_first(buffer_slice(&engine), cut), SIZE_MAX);
        rig_feed(other, buffer_slice(&call), SIZE_MAX);
        /* A frame's head goes on when it is whole. */
        assert_true(slice_starts_with(buffer_slice(&engine), buffer_slice(h2_to_client(other))));
        rig_feed_engine(other, slice_from(buffer_slice(&engine), cut), SIZE_MAX);
        struct slice out = buffer_slice(h2_to_client(other));
        if (cut < H2_HEAD)
            assert_true(slice_ends_with(out, buffer_slice(&engine)));
        else
            assert_true(slice_starts_with(out, buffer_slice(&engine)));
        rig_assert_refused(other, 3, "(grpc.unknown)");
        h2_inspect_free(other);
    }
    buffer_release(&call, &rig_pool);
    buffer_release(&engine, &rig_pool);
    h2_inspect_free(inspect);
}

/* A message larger than the engine's window: gathered by credit of ours, sent by the engine's. */
static void windows_are_kept(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    struct slice message = rig_make_message(200000, false);
    size_t len;
    rig_greet(inspect);
    rig_add_call(&bytes, 1, SOLVE, false);
    rig_add_message(&bytes, 1, message);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
    (void)rig_count(h2_to_engine(inspect), H2_DATA, 1, &len);
    assert_int_equal(len, H2_INITIAL_WINDOW);
    assert_true(h2_pending(inspect));
    assert_int_equal(h2_held(inspect), message.len - H2_INITIAL_WINDOW);
    buffer_release(h2_to_client(inspect), &rig_pool);

    /* Another call's data has no window left, and waits. */
    rig_add_call(&bytes, 3, INFO, false);
    rig_add(&bytes, H2_DATA, H2_END_STREAM, 3, slice_of("\0\0\0\0\0", 5));
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_DATA, 3, &len), 0);

    /* The engine's credit for what the client was credited already stays here. */
    for (int i = 0; i < 3; i++) {
        buffer_release(h2_to_engine(inspect), &rig_pool);
        assert_true(h2_append_number(&bytes, &rig_pool, H2_WINDOW_UPDATE, 0, 60000));
        assert_true(h2_append_number(&bytes, &rig_pool, H2_WINDOW_UPDATE, 1, 60000));
    }
    rig_feed_engine(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
    (void)rig_count(h2_to_engine(inspect), H2_DATA, 1, &len);
    h2_inspect_run(inspect);
    while (h2_pending(inspect)) {
        buffer_release(h2_to_engine(inspect), &rig_pool);
        size_t held = h2_held(inspect);
        h2_inspect_run(inspect);
        assert_true(h2_held(inspect) < held || !h2_pending(inspect));
    }
    assert_int_equal(h2_held(inspect), 0);
    assert_int_equal(rig_count(h2_to_engine(inspect), H2_DATA, 3, &len), 1);
    uint32_t credited = 0;
    struct slice rest = buffer_slice(h2_to_client(inspect));
    struct slice payload;
    while (rest.len > 0) {
        struct h2_frame frame = rig_next(&rest, &payload);
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
    struct slice good = rig_make_message(60, false);
    struct slice bad = rig_make_message(60, true);
    rig_add_greeting(&client);
    rig_add_call(&client, 1, INFO, true);
    rig_add_call(&client, 3, SOLVE, false);
    char padded[40] = {5};
    memcpy(padded + 1, good.data, 30);
    rig_add(&client, H2_DATA, H2_PADDED, 3, slice_of(padded, 36));
    rig_add(&client, H2_PRIORITY, 0, 3, SLICE("12345"));
    rig_add(&client, 0x77, 0xff, 3, SLICE("of the future"));
    rig_add(&client, H2_DATA, H2_END_STREAM, 3, slice_from(good, 30));
    rig_add_call(&client, 5, SOLVE, false);
    rig_add_message(&client, 5, bad);
    rig_add_call(&client, 7, BAD, true);
    rig_add(&client, H2_PING, 0, 0, SLICE("12345678"));
    rig_add_settings(&engine, H2_SETTING_TABLE_SIZE, 65536);
    rig_add(&engine, H2_HEADERS, H2_END_HEADERS, 1, SLICE("\x88"));
    rig_add(&engine, H2_DATA, H2_END_STREAM, 1, SLICE("answer"));

    struct buffer expected = {0};
    for (size_t piece = 0; piece < buffer_len(&client); piece++) {
        struct h2_inspect *inspect = rig_make();
        rig_feed_engine(inspect, buffer_slice(&engine), piece == 0 ? SIZE_MAX : piece);
        rig_feed(inspect, buffer_slice(&client), piece == 0 ? SIZE_MAX : piece);
        assert_null(h2_fault(inspect));
        assert_int_equal(rig_reports, 2);
        struct buffer *outs[] = {h2_to_engine(inspect), h2_to_client(inspect)};
        struct buffer all = {0};
        for (size_t i = 0; i < 2; i++)
            assert_true(h2_append(&all, &rig_pool, buffer_slice(outs[i])));
        if (piece == 0)
            assert_true(h2_append(&expected, &rig_pool, buffer_slice(&all)));
        assert_true(slice_equal(buffer_slice(&expected), buffer_slice(&all)));
        buffer_release(&all, &rig_pool);
        h2_inspect_free(inspect);
    }
    assert_false(rig_contains(buffer_slice(&expected), "of the future"));
    buffer_release(&expected, &rig_pool);
    buffer_release(&client, &rig_pool);
    buffer_release(&engine, &rig_pool);
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
        struct h2_inspect *inspect = rig_make();
        struct buffer bytes = {0};
        struct slice payload;
        rig_add_settings(&bytes, cases[i].id, cases[i].told);
        rig_feed_engine(inspect, buffer_slice(&bytes), 1);
        struct slice rest = buffer_slice(h2_to_client(inspect));
        assert_int_equal(rig_next(&rest, &payload).type, H2_SETTINGS);
        assert_int_equal(h2_read_u32(payload.data + 2), cases[i].passed);
        buffer_release(&bytes, &rig_pool);
        h2_inspect_free(inspect);
    }
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
        struct h2_inspect *inspect = rig_make();
        struct buffer bytes = {0};
        size_t len;
        rig_greet(inspect);
        rig_add_call(&bytes, 1, SOLVE, false);
        rig_add(&bytes, H2_DATA, cases[i].flags, 1, cases[i].first);
        rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        assert_null(h2_fault(inspect));
        rig_assert_refused(inspect, 1, "(grpc.message)");
        assert_int_equal(rig_count(h2_to_engine(inspect), H2_DATA, 1, &len), 0);
        assert_int_equal(rig_count(h2_to_engine(inspect), H2_RST_STREAM, 1, &len), 1);
        buffer_release(&bytes, &rig_pool);
        h2_inspect_free(inspect);
    }
}

static void held_messages_are_bounded_and_expire(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    rig_greet(inspect);
    h2_limit_held(inspect, 100);
    rig_add_call(&bytes, 1, SOLVE, false);
    rig_add(&bytes, H2_DATA, 0, 1, slice_of("\0\0\0\1\0", 5));
    rig_add_call(&bytes, 3, SOLVE, false);
    char part[100] = {0, 0, 0, 1};
    rig_add(&bytes, H2_DATA, 0, 3, slice_of(part, sizeof part));
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    rig_assert_refused(inspect, 3, "too many large calls");
    assert_int_equal(h2_waiting(inspect), 1);
    h2_expire(inspect);
    assert_int_equal(h2_waiting(inspect), 1);
    h2_expire(inspect);
    assert_int_equal(h2_waiting(inspect), 0);
    rig_assert_refused(inspect, 1, "in time");
    assert_null(h2_fault(inspect));
    buffer_release(&bytes, &rig_pool);
    h2_inspect_free(inspect);
}

/* One byte of a message takes a buffer. */
static void memory_is_counted_as_it_is_taken(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    struct slice message = rig_make_message(100000, false);
    rig_greet(inspect);
    for (uint32_t stream = 1; stream < 200; stream += 2) {
        rig_add_call(&bytes, stream, SOLVE, false);
        rig_add(&bytes, H2_DATA, 0, stream, slice_of("", 1));
    }
    rig_add_call(&bytes, 201, SOLVE, false);
    rig_add_message(&bytes, 201, message);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_int_equal(h2_waiting(inspect), 100);
    assert_int_equal(h2_held(inspect), 100 + message.len - H2_INITIAL_WINDOW);
    assert_true(h2_memory(inspect) >= 100 * BUFFER_SIZE + message.len);
    h2_expire(inspect);
    h2_expire(inspect);
    assert_true(h2_memory(inspect) >= message.len && h2_memory(inspect) < 2 * message.len);
    buffer_release(&bytes, &rig_pool);
    assert_true(h2_append_number(&bytes, &rig_pool, H2_WINDOW_UPDATE, 0, 100000));
    assert_true(h2_append_number(&bytes, &rig_pool, H2_WINDOW_UPDATE, 201, 100000));
    rig_feed_engine(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(h2_to_engine(inspect), &rig_pool);
    h2_inspect_run(inspect);
    assert_int_equal(h2_held(inspect), 0);
    assert_int_equal(h2_memory(inspect), 0);
    assert_null(h2_fault(inspect));
    buffer_release(&bytes, &rig_pool);
    free((void *)(uintptr_t)message.data);
    h2_inspect_free(inspect);
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
        cmocka_unit_test(messages_that_cannot_be_judged_are_refused),
        cmocka_unit_test(held_messages_are_bounded_and_expire),
        cmocka_unit_test(memory_is_counted_as_it_is_taken),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
