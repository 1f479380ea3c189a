/* Flow control: no byte of credit is lost or made up, whatever is refused and however small the
 * engine's windows are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "h2_rig.h"

/* Credit for the connection (0) or a stream in what goes to the client. */
static int64_t credit(struct h2_inspect *inspect, uint32_t stream) {
    struct slice rest = buffer_slice(h2_to_client(inspect));
    struct slice payload;
    int64_t sum = 0;
    while (rest.len > 0) {
        struct h2_frame frame = rig_next(&rest, &payload);
        if (frame.type == H2_WINDOW_UPDATE && frame.stream == stream)
            sum += h2_read_u32(payload.data);
    }
    return sum;
}

static void refused_calls_leak_no_window(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    struct slice host = rig_make_message(3000, true);
    char padded[20] = {9, 1}; /* compressed, and padding that counts as well */
    size_t len;
    uint32_t stream = 1;
    rig_greet(inspect);
    for (int round = 0; round < 5000; round++, stream += 8) {
        rig_add_call(&bytes, stream, SOLVE, false);
        rig_add_message(&bytes, stream, host);
        rig_add_call(&bytes, stream + 2, BAD, false);
        rig_add(&bytes, H2_DATA, H2_END_STREAM, stream + 2, SLICE("dropped"));
        rig_add_call(&bytes, stream + 4, SOLVE, false);
        rig_add(&bytes, H2_DATA, H2_PADDED, stream + 4, slice_of(padded, sizeof padded));
        rig_add(&bytes, H2_DATA, H2_END_STREAM, stream + 4, SLICE("late"));
        rig_add_call(&bytes, stream + 6, SOLVE, false);
        rig_add(&bytes, H2_DATA, 0, stream + 6, slice_first(host, 100));
        rig_add(&bytes, H2_DATA, H2_END_STREAM, stream + 6, slice_of(NULL, 0));
        rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        buffer_release(&bytes, &rig_pool);
        assert_null(h2_fault(inspect));
        assert_int_equal(credit(inspect, 0),
                         (int64_t)host.len + 7 + (int64_t)sizeof padded + 4 + 100);
        for (uint32_t i = 0; i < 8; i += 2)
            assert_int_equal(rig_count(h2_to_engine(inspect), H2_DATA, stream + i, &len), 0);
        assert_int_equal(h2_held(inspect), 0);
        buffer_release(h2_to_engine(inspect), &rig_pool);
        buffer_release(h2_to_client(inspect), &rig_pool);
    }
    assert_int_equal(rig_reports, 4 * 5000);
    /* The engine's whole window is there for one that passes. */
    struct slice good = rig_make_message(H2_INITIAL_WINDOW, false);
    rig_add_call(&bytes, stream, SOLVE, false);
    rig_add_message(&bytes, stream, good);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    (void)rig_count(h2_to_engine(inspect), H2_DATA, stream, &len);
    assert_int_equal(len, H2_INITIAL_WINDOW);
    buffer_release(&bytes, &rig_pool);
    free((void *)(uintptr_t)host.data);
    free((void *)(uintptr_t)good.data);
    h2_inspect_free(inspect);
}

/* Feeds a frame of the engine's that is one number. */
static void engine_says(struct h2_inspect *inspect, uint8_t type, uint32_t stream, uint32_t value) {
    struct buffer bytes = {0};
    if (type == H2_SETTINGS)
        rig_add_settings(&bytes, H2_SETTING_INITIAL_WINDOW, value);
    else
        assert_true(h2_append_number(&bytes, &rig_pool, type, stream, value));
    rig_feed_engine(inspect, buffer_slice(&bytes), SIZE_MAX);
    h2_inspect_run(inspect);
    buffer_release(&bytes, &rig_pool);
}

static size_t sent(struct h2_inspect *inspect, uint32_t stream) {
    size_t len;
    (void)rig_count(h2_to_engine(inspect), H2_DATA, stream, &len);
    return len;
}

static void call_with_data(struct h2_inspect *inspect, uint32_t stream, size_t len) {
    static const char zeroes[10000];
    struct buffer bytes = {0};
    rig_add_call(&bytes, stream, INFO, false);
    for (; len > sizeof zeroes; len -= sizeof zeroes)
        rig_add(&bytes, H2_DATA, 0, stream, slice_of(zeroes, sizeof zeroes));
    rig_add(&bytes, H2_DATA, 0, stream, slice_of(zeroes, len));
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
}

/* The engine has taken what there is, and what waited for that comes. */
static void drain(struct h2_inspect *inspect) {
    buffer_release(h2_to_engine(inspect), &rig_pool);
    h2_inspect_run(inspect);
}

/* Nobody could ever say when the engine has room for it. */
static void data_beyond_a_window_ends_it(void **state) {
    (void)state;
    /* One stream's, with room enough for the connection. */
    struct h2_inspect *inspect = rig_make();
    rig_greet(inspect);
    engine_says(inspect, H2_WINDOW_UPDATE, 0, 100000);
    call_with_data(inspect, 1, H2_INITIAL_WINDOW);
    drain(inspect);
    assert_null(h2_fault(inspect));
    call_with_data(inspect, 3, H2_INITIAL_WINDOW + 1);
    drain(inspect);
    assert_string_equal(h2_fault(inspect), "data beyond the window");
    h2_inspect_free(inspect);

    /* The connection's, by two streams that have room each. */
    inspect = rig_make();
    rig_greet(inspect);
    call_with_data(inspect, 1, 40000);
    call_with_data(inspect, 3, H2_INITIAL_WINDOW - 40000);
    drain(inspect);
    assert_null(h2_fault(inspect));
    call_with_data(inspect, 5, 1);
    assert_string_equal(h2_fault(inspect), "data beyond the window");
    h2_inspect_free(inspect);

    /* What the client was credited for a message that waits for the engine is its own. */
    inspect = rig_make();
    struct buffer bytes = {0};
    struct slice message = rig_make_message(H2_INITIAL_WINDOW, false);
    rig_greet(inspect);
    rig_add_call(&bytes, 1, SOLVE, false);
    rig_add_message(&bytes, 1, message);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
    drain(inspect);
    call_with_data(inspect, 3, 10);
    assert_null(h2_fault(inspect));
    assert_true(h2_pending(inspect) && sent(inspect, 3) == 0);
    engine_says(inspect, H2_WINDOW_UPDATE, 0, 10);
    assert_int_equal(sent(inspect, 3), 10);
    free((void *)(uintptr_t)message.data);
    h2_inspect_free(inspect);

    /* Settings that make it smaller may cross what was sent under the old ones. */
    inspect = rig_make();
    rig_greet(inspect);
    engine_says(inspect, H2_SETTINGS, 0, 10);
    call_with_data(inspect, 1, 100);
    assert_null(h2_fault(inspect));
    assert_true(h2_pending(inspect) && sent(inspect, 1) == 0);
    engine_says(inspect, H2_WINDOW_UPDATE, 1, 90);
    assert_int_equal(sent(inspect, 1), 100);
    h2_inspect_free(inspect);
}

/* The engine's initial window is nothing, then more, then less than what was sent already. */
static void small_windows_are_kept(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    struct slice message = rig_make_message(5000, false);
    rig_greet(inspect);
    engine_says(inspect, H2_SETTINGS, 0, 0);
    buffer_release(h2_to_client(inspect), &rig_pool);
    rig_add_call(&bytes, 1, SOLVE, false);
    rig_add_message(&bytes, 1, message);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
    assert_int_equal(sent(inspect, 1), 0);
    assert_true(h2_pending(inspect));
    /* It was credited as it came, since it may never be sent. The stream has ended. */
    assert_int_equal(credit(inspect, 0), 5000);

    engine_says(inspect, H2_WINDOW_UPDATE, 1, 1);
    assert_int_equal(sent(inspect, 1), 1);
    engine_says(inspect, H2_SETTINGS, 0, 1000);
    assert_int_equal(sent(inspect, 1), 1001);
    engine_says(inspect, H2_SETTINGS, 0, 0); /* 1,000 below nothing */
    engine_says(inspect, H2_WINDOW_UPDATE, 1, 1000);
    assert_int_equal(sent(inspect, 1), 1001);
    engine_says(inspect, H2_WINDOW_UPDATE, 1, 10);
    assert_int_equal(sent(inspect, 1), 1011);
    engine_says(inspect, H2_SETTINGS, 0, 100000);
    assert_int_equal(sent(inspect, 1), 5000);
    assert_false(h2_pending(inspect));
    assert_int_equal(h2_held(inspect), 0);

    /* What the engine gives back of it the client has had. */
    buffer_release(h2_to_client(inspect), &rig_pool);
    engine_says(inspect, H2_WINDOW_UPDATE, 0, 5001);
    assert_int_equal(credit(inspect, 0), 1);
    assert_null(h2_fault(inspect));
    free((void *)(uintptr_t)message.data);
    h2_inspect_free(inspect);
}

static void windows_beyond_their_limit_end_it(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    rig_greet(inspect);
    engine_says(inspect, H2_WINDOW_UPDATE, 0, H2_MAX_WINDOW);
    assert_non_null(h2_fault(inspect));
    h2_inspect_free(inspect);
    inspect = rig_make();
    rig_greet(inspect);
    engine_says(inspect, H2_SETTINGS, 0, UINT32_MAX);
    assert_non_null(h2_fault(inspect));
    h2_inspect_free(inspect);
}

/* Settings of the client are the engine's to keep: they reach it as they are. */
static void settings_of_the_client_pass(void **state) {
    (void)state;
    static const uint32_t settings[][2] = {
        {H2_SETTING_TABLE_SIZE, 0},        {H2_SETTING_MAX_STREAMS, 0},
        {H2_SETTING_INITIAL_WINDOW, 0},    {H2_SETTING_MAX_FRAME, 16777215},
        {H2_SETTING_MAX_HEADERS, 1 << 20}, {2, 0},
    };
    struct h2_inspect *inspect = rig_make();
    rig_greet(inspect);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        struct buffer bytes = {0};
        rig_add_settings(&bytes, settings[i][0], settings[i][1]);
        rig_feed(inspect, buffer_slice(&bytes), 1);
        assert_true(slice_equal(buffer_slice(&bytes), buffer_slice(h2_to_engine(inspect))));
        buffer_release(h2_to_engine(inspect), &rig_pool);
        buffer_release(&bytes, &rig_pool);
    }
    assert_null(h2_fault(inspect));
    h2_inspect_free(inspect);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_calls_leak_no_window),
        cmocka_unit_test(data_beyond_a_window_ends_it),
        cmocka_unit_test(small_windows_are_kept),
        cmocka_unit_test(windows_beyond_their_limit_end_it),
        cmocka_unit_test(settings_of_the_client_pass),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
