/* A refusal's header block among the engine's, as a client's decoder sees it: nghttp2's, which
 * holds the encoder to RFC 7541 section 4.2 when the client has made its table smaller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include <nghttp2/nghttp2.h>

#include "h2_rig.h"

/* Both ends of the connection that are not ours. */
struct ends {
    struct h2_inspect *inspect;
    nghttp2_hd_deflater *engine;   /* the engine's encoder */
    nghttp2_hd_inflater *client;   /* the client's decoder */
    const uint32_t (*settings)[2]; /* by SETTINGS frame: table sizes, UINT32_MAX for none */
    size_t acknowledged;           /* of them, as the client knows */
    size_t blocks;                 /* decoded */
    size_t refusals;
    struct buffer read; /* by the client, not yet a whole frame */
};

static void each_size(const uint32_t sizes[2], int (*change)(void *, size_t), void *table) {
    for (size_t i = 0; i < 2; i++)
        if (sizes[i] != UINT32_MAX)
            assert_int_equal(change(table, sizes[i]), 0);
}

static int change_deflater(void *table, size_t size) {
    return nghttp2_hd_deflate_change_table_size(table, size);
}

static int change_inflater(void *table, size_t size) {
    return nghttp2_hd_inflate_change_table_size(table, size);
}

static void client_sets(struct ends *ends, size_t frame) {
    struct buffer bytes = {0};
    char payload[12];
    size_t len = 0;
    for (size_t i = 0; i < 2; i++) {
        if (ends->settings[frame][i] == UINT32_MAX)
            continue;
        payload[len] = 0;
        payload[len + 1] = H2_SETTING_TABLE_SIZE;
        h2_write_u32(payload + len + 2, ends->settings[frame][i]);
        len += 6;
    }
    rig_add(&bytes, H2_SETTINGS, 0, 0, slice_of(payload, len));
    rig_feed(ends->inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
}

/* The engine applies the settings of a frame, and says so. */
static void engine_acknowledges(struct ends *ends, size_t frame, struct buffer *bytes) {
    each_size(ends->settings[frame], change_deflater, ends->engine);
    rig_add(bytes, H2_SETTINGS, H2_ACK, 0, slice_of(NULL, 0));
}

/* A block that puts a header into the table, and names it from there the next time. */
static void engine_answers(struct ends *ends, uint32_t stream, struct buffer *bytes) {
    static uint8_t name[] = "x-long-name";
    static uint8_t value[] = "a value that is worth an entry";
    uint8_t block[256];
    nghttp2_nv header = {name, value, sizeof name - 1, sizeof value - 1, NGHTTP2_NV_FLAG_NONE};
    ssize_t len = nghttp2_hd_deflate_hd(ends->engine, block, sizeof block, &header, 1);
    assert_true(len > 0);
    struct slice bare = slice_of((const char *)block, (size_t)len);
    assert_true(h2_append_headers(bytes, &rig_pool, stream, false, bare));
}

static void client_decodes(struct ends *ends, struct slice block) {
    int flags = 0;
    bool refusal = false;
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv header;
        ssize_t used = nghttp2_hd_inflate_hd2(ends->client, &header, &flags,
                                              (const uint8_t *)block.data, block.len, 1);
        if (used < 0)
            fail_msg("block %zu cannot be decoded: %s", ends->blocks, nghttp2_strerror((int)used));
        block = slice_from(block, (size_t)used);
        refusal = refusal || ((flags & NGHTTP2_HD_INFLATE_EMIT) && header.namelen == 11 &&
                              memcmp(header.name, "grpc-status", 11) == 0);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) && header.name[0] == 'x')
            assert_memory_equal(header.value, "a value", 7);
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(ends->client), 0);
    ends->blocks++;
    ends->refusals += refusal;
}

static void client_reads(struct ends *ends) {
    assert_true(h2_append(&ends->read, &rig_pool, buffer_slice(h2_to_client(ends->inspect))));
    buffer_release(h2_to_client(ends->inspect), &rig_pool);
    struct slice rest = buffer_slice(&ends->read);
    size_t whole = 0;
    while (rest.len >= H2_HEAD && rest.len - H2_HEAD >= h2_read_head(rest.data).len) {
        struct slice payload;
        struct h2_frame frame = rig_next(&rest, &payload);
        whole += H2_HEAD + frame.len;
        if (frame.type == H2_SETTINGS && frame.flags & H2_ACK)
            each_size(ends->settings[ends->acknowledged++], change_inflater, ends->client);
        if (frame.type == H2_HEADERS)
            client_decodes(ends, payload);
    }
    buffer_consume(&ends->read, &rig_pool, whole);
}

static void client_calls(struct ends *ends, uint32_t stream, const char *path) {
    struct buffer bytes = {0};
    rig_add_call(&bytes, stream, path, true);
    rig_feed(ends->inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
}

/* A refusal at every place between two bytes of the engine's: answers, two acknowledgements, an
 * answer with the smaller table, and one that counts on what is in it. */
static void run(const uint32_t settings[2][2]) {
    size_t len = SIZE_MAX;
    for (size_t cut = 0; cut <= len; cut++) {
        struct ends ends = {.inspect = rig_make(), .settings = settings};
        assert_int_equal(nghttp2_hd_deflate_new(&ends.engine, H2_TABLE_SIZE), 0);
        assert_int_equal(nghttp2_hd_inflate_new(&ends.client), 0);
        rig_greet(ends.inspect);
        /* The greeting's own settings name no size. */
        struct buffer engine = {0};
        static const uint32_t greeting[][2] = {{UINT32_MAX, UINT32_MAX}};
        ends.settings = greeting;
        rig_add(&engine, H2_SETTINGS, H2_ACK, 0, slice_of(NULL, 0));
        rig_feed_engine(ends.inspect, buffer_slice(&engine), SIZE_MAX);
        buffer_release(&engine, &rig_pool);
        client_reads(&ends);
        ends.settings = settings;
        ends.acknowledged = 0;

        client_calls(&ends, 1, INFO);
        client_calls(&ends, 3, INFO);
        client_calls(&ends, 5, INFO);
        client_sets(&ends, 0);
        client_sets(&ends, 1);
        engine_answers(&ends, 1, &engine);
        engine_acknowledges(&ends, 0, &engine);
        engine_acknowledges(&ends, 1, &engine);
        engine_answers(&ends, 3, &engine);
        engine_answers(&ends, 5, &engine);
        len = buffer_len(&engine);

        rig_feed_engine(ends.inspect, slice_first(buffer_slice(&engine), cut), SIZE_MAX);
        client_reads(&ends);
        client_calls(&ends, 7, BAD);
        client_calls(&ends, 9, BAD);
        client_reads(&ends);
        rig_feed_engine(ends.inspect, slice_from(buffer_slice(&engine), cut), 1);
        client_reads(&ends);
        assert_null(h2_fault(ends.inspect));
        assert_int_equal(ends.blocks, 5);
        assert_int_equal(ends.refusals, 2);
        assert_int_equal(buffer_len(&ends.read), 0);
        buffer_release(&engine, &rig_pool);
        nghttp2_hd_deflate_del(ends.engine);
        nghttp2_hd_inflate_del(ends.client);
        h2_inspect_free(ends.inspect);
    }
}

static void refusals_stay_decodable(void **state) {
    (void)state;
    static const uint32_t none = UINT32_MAX;
    const uint32_t cases[][2][2] = {
        {{none, none}, {none, none}}, {{0, none}, {none, none}},  {{0, none}, {4096, none}},
        {{0, 4096}, {none, none}},    {{100, none}, {50, none}},  {{50, none}, {100, none}},
        {{65536, none}, {64, none}},  {{65536, none}, {4096, 0}}, {{none, none}, {0, 65536}},
        {{200, none}, {none, none}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(cases[i]);
}

/* What is not acknowledged is remembered, and bounded. */
static void unacknowledged_settings_are_bounded(void **state) {
    (void)state;
    struct h2_inspect *inspect = rig_make();
    struct buffer bytes = {0};
    size_t sent = 0;
    rig_greet(inspect);
    for (; sent < 1000 && h2_fault(inspect) == NULL; sent++) {
        rig_add_settings(&bytes, H2_SETTING_TABLE_SIZE, 100);
        rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
        buffer_release(&bytes, &rig_pool);
        buffer_release(h2_to_engine(inspect), &rig_pool);
    }
    assert_string_equal(h2_fault(inspect), "too many settings at a time");
    assert_true(sent >= 10);
    h2_inspect_free(inspect);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_stay_decodable),
        cmocka_unit_test(unacknowledged_settings_are_bounded),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
