#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "h2_rig.h"

#include "filter/filter.h"

struct buffer_pool rig_pool;
static struct filter_policy *policy;
unsigned rig_reports;

static void report(void *context, const struct grpc_call *call,
                   const struct grpc_verdict *verdict) {
    (void)context;
    assert_true(call->path.len > 0);
    if (verdict->decision == FILTER_ALLOW)
        return;
    assert_non_null(verdict->reason);
    rig_reports++;
}

struct h2_inspect *rig_make(void) {
    const struct h2_settings settings = {
        .policy = policy, .message_prefix = "blocked", .pool = &rig_pool, .report = report};
    struct h2_inspect *inspect = h2_inspect_new(&settings);
    assert_non_null(inspect);
    rig_reports = 0;
    return inspect;
}

void rig_add(struct buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
             struct slice payload) {
    assert_true(h2_append_frame(out, &rig_pool, type, flags, stream, payload));
}

void rig_add_call(struct buffer *out, uint32_t stream, const char *path, bool ends) {
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
        assert_true(h2_append_literal(&block, &rig_pool, headers[i][0], headers[i][1]));
    assert_true(h2_append_headers(out, &rig_pool, stream, ends, buffer_slice(&block)));
    buffer_release(&block, &rig_pool);
}

/* A message of `len` bytes: a build's Ref that is as long as it takes; with `host`, of a build that
 * asks for the host's network. */
struct slice rig_make_message(size_t len, bool host) {
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

void rig_add_message(struct buffer *out, uint32_t stream, struct slice message) {
    while (message.len > 0) {
        struct slice part = slice_first(message, 10000);
        message = slice_from(message, part.len);
        rig_add(out, H2_DATA, message.len == 0 ? H2_END_STREAM : 0, stream, part);
    }
}

void rig_add_greeting(struct buffer *out) {
    assert_true(h2_append(out, &rig_pool, SLICE(PREFACE)));
    rig_add(out, H2_SETTINGS, 0, 0, slice_of(NULL, 0));
}

void rig_add_settings(struct buffer *out, unsigned id, uint32_t value) {
    char payload[6] = {0, (char)id};
    h2_write_u32(payload + 2, value);
    rig_add(out, H2_SETTINGS, 0, 0, slice_of(payload, sizeof payload));
}

/* Feeds all of it; what has to wait stays in the judge. */
void rig_feed(struct h2_inspect *inspect, struct slice bytes, size_t piece) {
    for (; bytes.len > 0 && h2_fault(inspect) == NULL; bytes = slice_from(bytes, piece))
        h2_feed_client(inspect, slice_first(bytes, piece));
}

void rig_feed_engine(struct h2_inspect *inspect, struct slice bytes, size_t piece) {
    for (; bytes.len > 0 && h2_fault(inspect) == NULL; bytes = slice_from(bytes, piece))
        h2_feed_engine(inspect, slice_first(bytes, piece));
}

void rig_greet(struct h2_inspect *inspect) {
    struct buffer bytes = {0};
    rig_add_greeting(&bytes);
    rig_feed(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
    rig_add_settings(&bytes, H2_SETTING_INITIAL_WINDOW, H2_INITIAL_WINDOW);
    rig_feed_engine(inspect, buffer_slice(&bytes), SIZE_MAX);
    buffer_release(&bytes, &rig_pool);
    buffer_release(h2_to_engine(inspect), &rig_pool);
    buffer_release(h2_to_client(inspect), &rig_pool);
}

/* The next frame in a buffer; its payload in `*payload`, until the buffer changes. */
struct h2_frame rig_next(struct slice *rest, struct slice *payload) {
    assert_true(rest->len >= H2_HEAD);
    struct h2_frame frame = h2_read_head(rest->data);
    *payload = slice_first(slice_from(*rest, H2_HEAD), frame.len);
    assert_int_equal(payload->len, frame.len);
    *rest = slice_from(*rest, H2_HEAD + frame.len);
    return frame;
}

/* How many frames of a type there are for a stream, and their payload bytes. */
size_t rig_count(struct buffer *buffer, uint8_t type, uint32_t stream, size_t *bytes) {
    struct slice rest = buffer_slice(buffer);
    struct slice payload;
    size_t found = 0;
    *bytes = 0;
    while (rest.len > 0) {
        struct h2_frame frame = rig_next(&rest, &payload);
        if (frame.type == type && frame.stream == stream) {
            found++;
            *bytes += payload.len;
        }
    }
    return found;
}

bool rig_contains(struct slice text, const char *what) {
    return memmem(text.data, text.len, what, strlen(what)) != NULL;
}

/* The answer to a refused call is there, and says so. */
void rig_assert_refused(struct h2_inspect *inspect, uint32_t stream, const char *text) {
    struct slice rest = buffer_slice(h2_to_client(inspect));
    struct slice payload;
    while (rest.len > 0) {
        struct h2_frame frame = rig_next(&rest, &payload);
        if (frame.type != H2_HEADERS || frame.stream != stream)
            continue;
        assert_int_equal(frame.flags, H2_END_STREAM | H2_END_HEADERS);
        assert_true(rig_contains(payload, "grpc-status\x01"
                                          "7"));
        assert_true(rig_contains(payload, text));
        return;
    }
    fail_msg("no answer to stream %u", stream);
}

int rig_set_up(void **state) {
    (void)state;
    char error[200];
    const struct filter_settings settings = {.buildkit = FILTER_BUILDKIT_INSPECT};
    policy = filter_policy_new(&settings, error, sizeof error);
    return policy == NULL;
}

int rig_tear_down(void **state) {
    (void)state;
    filter_policy_free(policy);
    buffer_pool_clear(&rig_pool);
    return 0;
}
