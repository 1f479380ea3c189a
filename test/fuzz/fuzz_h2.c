/* The judge inside /grpc. However the client's bytes are cut, the same reaches both sides; what
 * reaches the engine is whole frames, which begin with the preface; and no message of a judged call
 * that the filter does not allow is among them.
 *
 * The input: one byte for how the bytes are cut, then what the client sends after its greeting. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "filter/build_rules.h"
#include "filter/filter.h"
#include "proxy/h2.h"
#include "proxy/h2_inspect.h"
#include "proxy/hpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GREETING "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

static struct buffer_pool pool;
static struct filter_policy *policy;
static struct filter_policy *open_policy;

static void require(bool truth) {
    if (!truth)
        abort();
}

static void report(void *context, const struct grpc_call *call,
                   const struct grpc_verdict *verdict) {
    (void)context;
    require(call->path.len > 0 && verdict->rule != NULL);
    require((verdict->reason == NULL) == (verdict->decision == FILTER_ALLOW));
}

static void drain(struct buffer *from, struct buffer *to) {
    require(h2_append(to, &pool, buffer_slice(from)));
    buffer_release(from, &pool);
}

/* Feeds all of it in pieces and gathers what comes out. */
static bool run(struct slice bytes, size_t piece, struct buffer *engine, struct buffer *client) {
    static const char settings[] = "\0\0\6\4\0\0\0\0\0\0\4\0\1\0\0";
    const struct h2_settings make = {
        .policy = policy, .message_prefix = "blocked", .pool = &pool, .report = report};
    struct h2_inspect *inspect = h2_inspect_new(&make);
    require(inspect != NULL);
    h2_feed_engine(inspect, slice_of(settings, sizeof settings - 1));
    h2_feed_client(inspect, SLICE(GREETING));
    while (bytes.len > 0 && h2_fault(inspect) == NULL && h2_wants_client(inspect)) {
        struct slice part = slice_first(bytes, piece);
        bytes = slice_from(bytes, part.len);
        h2_feed_client(inspect, part);
        drain(h2_to_engine(inspect), engine);
        drain(h2_to_client(inspect), client);
        h2_inspect_run(inspect);
    }
    drain(h2_to_engine(inspect), engine);
    drain(h2_to_client(inspect), client);
    require(h2_held(inspect) <= H2_MAX_HELD);
    bool sound = h2_fault(inspect) == NULL;
    h2_inspect_free(inspect);
    return sound;
}

static void check_frames(struct slice bytes) {
    while (bytes.len > 0) {
        require(bytes.len >= H2_HEAD);
        struct h2_frame frame = h2_read_head(bytes.data);
        require(frame.len <= H2_MAX_FRAME && frame.type <= H2_CONTINUATION);
        require(bytes.len - H2_HEAD >= frame.len);
        bytes = slice_from(bytes, H2_HEAD + frame.len);
    }
}

/* --- what the engine gets, read once more --- */

struct engine_call {
    uint32_t id;
    struct slice path;
    bool judged; /* by its message */
    struct buffer message;
};

struct engine_side {
    struct arena arena;
    struct hpack_decoder *decoder;
    struct buffer block;
    bool scarce; /* the engine's windows may be spent: a message may be half sent */
    size_t count;
    struct engine_call calls[H2_MAX_STREAMS * 4];
};

static void check_message(struct engine_side *side, const struct engine_call *call) {
    struct slice message = buffer_slice(&call->message);
    require(message.len >= GRPC_PREFIX && message.data[0] == 0);
    require(h2_read_u32(message.data + 1) == message.len - GRPC_PREFIX);
    require(grpc_judge_message(policy, call->path, slice_from(message, GRPC_PREFIX), &side->arena)
                .decision == FILTER_ALLOW);
}

static void check_block(struct engine_side *side, const struct h2_frame *frame,
                        struct slice payload) {
    static struct hpack_request request;
    require(h2_append(&side->block, &pool, payload));
    if (!(frame->flags & H2_END_HEADERS))
        return;
    require(hpack_decode(side->decoder, buffer_slice(&side->block), &request, &side->arena) ==
            NULL);
    buffer_release(&side->block, &pool);
    struct grpc_verdict verdict =
        grpc_judge_head(policy, request.path, request.headers, request.count, &side->arena);
    require(verdict.decision == FILTER_ALLOW || verdict.decision == FILTER_NEED_BODY);
    if (side->count == sizeof side->calls / sizeof side->calls[0])
        return;
    require(side->count == 0 || side->calls[side->count - 1].id < frame->stream);
    side->calls[side->count++] = (struct engine_call){
        .id = frame->stream, .path = request.path, .judged = verdict.decision == FILTER_NEED_BODY};
}

static void check_data(struct engine_side *side, const struct h2_frame *frame,
                       struct slice payload) {
    for (size_t i = 0; i < side->count; i++) {
        struct engine_call *call = &side->calls[i];
        if (call->id != frame->stream || !call->judged)
            continue;
        require(h2_append(&call->message, &pool, payload));
        if (frame->flags & H2_END_STREAM)
            check_message(side, call);
        else
            require(side->scarce || payload.len == H2_MAX_FRAME);
    }
}

static void check_calls(struct slice bytes) {
    struct engine_side *side = calloc(1, sizeof *side);
    require(side != NULL && (side->decoder = hpack_decoder_new()) != NULL);
    side->scarce = bytes.len > H2_INITIAL_WINDOW / 2;
    while (bytes.len > 0) {
        struct h2_frame frame = h2_read_head(bytes.data);
        struct slice payload = slice_first(slice_from(bytes, H2_HEAD), frame.len);
        bytes = slice_from(bytes, H2_HEAD + frame.len);
        if (frame.type == H2_HEADERS || frame.type == H2_CONTINUATION)
            check_block(side, &frame, payload);
        if (frame.type == H2_DATA)
            check_data(side, &frame, payload);
    }
    for (size_t i = 0; i < side->count; i++)
        buffer_release(&side->calls[i].message, &pool);
    buffer_release(&side->block, &pool);
    arena_reset(&side->arena);
    hpack_decoder_free(side->decoder);
    free(side);
}

/* What a closed policy allows, an open one does, since builds are all that they differ in. */
static void judge_messages(struct slice message) {
    static const char *const paths[] = {"/moby.buildkit.v1.Control/Solve",
                                        "/moby.buildkit.v1.frontend.LLBBridge/Solve",
                                        "/moby.buildkit.v1.frontend.LLBBridge/NewContainer"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct arena arena = {0};
        struct slice path = slice_from_string(paths[i]);
        struct grpc_verdict closed = grpc_judge_message(policy, path, message, &arena);
        struct grpc_verdict open = grpc_judge_message(open_policy, path, message, &arena);
        require(closed.decision != FILTER_ALLOW || open.decision == FILTER_ALLOW);
        require((closed.decision == FILTER_ALLOW) == (closed.reason == NULL));
        arena_reset(&arena);
    }
    struct arena arena = {0};
    const struct message_context context = {.policy = policy, .arena = &arena};
    (void)build_judge_cache_list(&context, message);
    (void)build_judge_output_list(&context, message);
    (void)build_judge_arguments(&context, message);
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char error[200];
    const struct filter_settings closed = {
        .buildkit = FILTER_BUILDKIT_INSPECT,
        .build = {.deny_add_hosts = true,
                  .deny_outputs = true,
                  .deny_cache_imports = true,
                  .deny_cache_exports = true,
                  .deny_frontends = true},
    };
    const struct filter_settings open = {
        .buildkit = FILTER_BUILDKIT_INSPECT,
        .build = {.network_host = true, .insecure = true, .remote_contexts = true},
    };
    if (policy == NULL)
        policy = filter_policy_new(&closed, error, sizeof error);
    if (open_policy == NULL)
        open_policy = filter_policy_new(&open, error, sizeof error);
    require(policy != NULL && open_policy != NULL);
    if (size < 1)
        return 0;
    struct slice bytes = slice_of((const char *)data + 1, size - 1);
    judge_messages(bytes);

    struct buffer engine[2] = {{0}, {0}};
    struct buffer client[2] = {{0}, {0}};
    bool sound = run(bytes, BUFFER_SIZE, &engine[0], &client[0]);
    require(run(bytes, 1 + data[0] % 64, &engine[1], &client[1]) == sound);
    require(slice_equal(buffer_slice(&engine[0]), buffer_slice(&engine[1])));
    require(slice_equal(buffer_slice(&client[0]), buffer_slice(&client[1])));
    struct slice sent = buffer_slice(&engine[0]);
    require(slice_starts_with(sent, SLICE(GREETING)));
    check_frames(slice_from(sent, sizeof GREETING - 1 - H2_HEAD));
    check_calls(slice_from(sent, sizeof GREETING - 1 - H2_HEAD));
    for (size_t i = 0; i < 2; i++) {
        buffer_release(&engine[i], &pool);
        buffer_release(&client[i], &pool);
    }
    buffer_pool_clear(&pool);
    return 0;
}
