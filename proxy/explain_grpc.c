#include "proxy/explain_grpc.h"

#include "proxy/h2.h"

static struct filter_verdict judge_tunnel(const struct filter_policy *policy, struct arena *arena) {
    static const struct filter_header headers[] = {{SLICE("Host"), SLICE("docker")},
                                                   {SLICE("Upgrade"), SLICE("h2c")},
                                                   {SLICE("Connection"), SLICE("Upgrade")}};
    const struct filter_request request = {
        .method = SLICE("POST"),
        .target = SLICE("/grpc"),
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
    };
    return filter_judge_head(policy, &request, arena);
}

/* Takes the prefix off; false when it fits no message that can be judged. */
static bool unwrap(struct slice *message) {
    if (message->len == 0 || (unsigned char)message->data[0] > 1)
        return true;
    if (message->len < GRPC_PREFIX || message->data[0] != 0 ||
        h2_read_u32(message->data + 1) != message->len - GRPC_PREFIX)
        return false;
    *message = slice_from(*message, GRPC_PREFIX);
    return true;
}

static struct grpc_verdict judge_call(const struct filter_policy *policy, struct slice path,
                                      struct slice message, struct arena *arena) {
    static const struct filter_header type = {SLICE("content-type"), SLICE("application/grpc")};
    struct grpc_verdict verdict = grpc_judge_head(policy, path, &type, 1, arena);
    if (verdict.decision != FILTER_NEED_BODY)
        return verdict;
    if (message.data == NULL)
        return (struct grpc_verdict){.decision = FILTER_BAD_REQUEST,
                                     .rule = "grpc.message",
                                     .reason = "the call has no message; give it in a file"};
    if (!unwrap(&message))
        return (struct grpc_verdict){.decision = FILTER_BAD_REQUEST,
                                     .rule = "grpc.message",
                                     .reason =
                                         "the message is compressed, or not as long as its prefix "
                                         "says"};
    if (message.len > GRPC_MAX_MESSAGE)
        return (struct grpc_verdict){.decision = FILTER_BAD_REQUEST,
                                     .rule = "grpc.message",
                                     .reason = "the message is too large to judge"};
    return grpc_judge_message(policy, path, message, arena);
}

struct filter_verdict explain_grpc(const struct filter_policy *policy, const char *path,
                                   struct slice message, struct arena *arena) {
    struct filter_verdict verdict = judge_tunnel(policy, arena);
    if (verdict.decision != FILTER_ALLOW || verdict.hijack != FILTER_HIJACK_GRPC)
        return verdict;
    struct grpc_verdict call = judge_call(policy, slice_from_string(path), message, arena);
    return (struct filter_verdict){
        .decision = call.decision,
        .rule = call.rule,
        .reason = call.reason,
        .endpoint_class = "grpc",
        .endpoint = path,
        .remedy = call.remedy,
    };
}
