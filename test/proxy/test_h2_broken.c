#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "h2_rig.h"
#include "proxy/h2_state.h"

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
        struct h2_inspect *inspect = rig_make();
        struct buffer bytes = {0};
        rig_greet(inspect);
        rig_add(&bytes, cases[i].type, cases[i].flags, cases[i].stream, cases[i].payload);
        rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        /* POST / is a well-formed call of nothing: refused, and no more. */
        if (slice_equal(cases[i].payload, SLICE("\x83\x86\x84")))
            assert_true(h2_fault(inspect) == NULL && rig_reports == 1);
        else if (h2_fault(inspect) == NULL)
            fail_msg("case %zu passes", i);
        assert_int_equal(buffer_len(h2_to_engine(inspect)), 0);
        buffer_release(&bytes, &rig_pool);
        h2_inspect_free(inspect);
    }
}

static void floods_end_it(void **state) {
    (void)state;
    struct buffer bytes = {0};
    /* CONTINUATION without end. */
    struct h2_inspect *inspect = rig_make();
    rig_greet(inspect);
    rig_add(&bytes, H2_HEADERS, 0, 1, SLICE("\x83"));
    for (int i = 0; i < 20; i++)
        rig_add(&bytes, H2_CONTINUATION, 0, 1, slice_of(NULL, 0));
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_non_null(h2_fault(inspect));
    h2_inspect_free(inspect);
    buffer_release(&bytes, &rig_pool);

    /* A small block that decodes to megabytes: a long header put into the table, named often. */
    inspect = rig_make();
    rig_greet(inspect);
    struct buffer block = {0};
    char value[3900];
    memset(value, 'a', sizeof value);
    assert_true(h2_append(&block, &rig_pool, SLICE("\x83\x86\x84\x40\x01x\x7f\xbd\x1d")));
    assert_true(h2_append(&block, &rig_pool, slice_of(value, sizeof value)));
    for (int i = 0; i < 1000; i++)
        assert_true(h2_append(&block, &rig_pool, SLICE("\xbe")));
    rig_add(&bytes, H2_HEADERS, H2_END_HEADERS, 1, buffer_slice(&block));
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    assert_string_equal(h2_fault(inspect), "the headers are too long");
    h2_inspect_free(inspect);
    buffer_release(&bytes, &rig_pool);
    buffer_release(&block, &rig_pool);

    /* Rapid reset. */
    inspect = rig_make();
    rig_greet(inspect);
    uint32_t stream = 1;
    for (; h2_fault(inspect) == NULL && stream < 2000; stream += 2) {
        rig_add_call(&bytes, stream, INFO, true);
        assert_true(h2_append_number(&bytes, &rig_pool, H2_RST_STREAM, stream, H2_CANCEL));
        rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        buffer_release(&bytes, &rig_pool);
        buffer_release(h2_to_engine(inspect), &rig_pool);
    }
    assert_string_equal(h2_fault(inspect), "too many streams were cancelled");
    assert_true(stream > 400);
    h2_inspect_free(inspect);

    /* Streams that never end. */
    inspect = rig_make();
    rig_greet(inspect);
    for (stream = 1; h2_fault(inspect) == NULL && stream < 4000; stream += 2) {
        rig_add_call(&bytes, stream, INFO, false);
        rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        buffer_release(&bytes, &rig_pool);
        buffer_release(h2_to_engine(inspect), &rig_pool);
    }
    assert_string_equal(h2_fault(inspect), "too many streams");
    h2_inspect_free(inspect);
}

/* As many streams as there may be, none of which ends; the refused ones with a path of 30,000
 * bytes. */
static void open_streams_keep_no_paths(void **state) {
    (void)state;
    enum { LONG = 30000 };
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    char path[LONG + 1] = "/";
    memset(path + 1, 'a', LONG - 1);
    path[LONG] = '\0';
    rig_greet(inspect);
    for (uint32_t stream = 1; stream < 2 * H2_MAX_STREAMS; stream += 2) {
        rig_add_call(&bytes, stream, stream % 4 == 1 ? path : INFO, false);
        rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        buffer_release(&bytes, &rig_pool);
        buffer_release(h2_to_engine(inspect), &rig_pool);
        buffer_release(h2_to_client(inspect), &rig_pool);
    }
    assert_null(h2_fault(inspect));
    assert_int_equal(rig_reports, H2_MAX_STREAMS / 2);
    for (size_t i = 0; i < H2_MAX_STREAMS; i++)
        assert_true(inspect->streams[i].id != 0 && inspect->streams[i].arena.blocks == NULL);
    h2_inspect_free(inspect);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_frames_end_it),
        cmocka_unit_test(floods_end_it),
        cmocka_unit_test(open_streams_keep_no_paths),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
