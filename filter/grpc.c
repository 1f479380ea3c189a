#include "filter/grpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "filter/body_rules.h"
#include "filter/container_rules.h"
#include "filter/endpoints.h"
#include "filter/history_rules.h"
#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/session_rules.h"
#include "filter/solve_rules.h"

enum method_verdict {
    METHOD_PASS,
    METHOD_REFUSE,
    METHOD_MESSAGE,
    METHOD_OWN, /* as METHOD_MESSAGE for clients with ownership; passes for others */
    METHOD_SESSION,
};

#define CONTROL "/moby.buildkit.v1.Control/"
#define GATEWAY "/moby.buildkit.v1.frontend.LLBBridge/"
#define CONTENT "/containerd.services.content.v1.Content/"
#define HEALTH  "/grpc.health.v1.Health/"
#define TRACES  "/opentelemetry.proto.collector.trace.v1.TraceService/"

#define PRUNE                                                                                      \
    "prune would remove what others made too; the build cache is the engine operator's to empty"
#define EXEC                                                                                       \
    "running commands in a build's containers is not allowed; run them in a container of its own " \
    "(docker run)"
#define STORE "the content of the engine's build store is not for clients to change or to list"

/* All that an engine serves behind /grpc. The columns are those of endpoints.c: the method, as a
 * blocklist, as an allowlist, the message to judge, why it is refused. */
static const struct method {
    const char *path;
    enum method_verdict blocklist;
    enum method_verdict allowlist;
    const struct message_table *message;
    const char *reason;
} methods[] = {
    {CONTROL "DiskUsage", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {CONTROL "Prune", METHOD_PASS, METHOD_REFUSE, NULL, PRUNE},
    {CONTROL "Solve", METHOD_MESSAGE, METHOD_MESSAGE, &solve_control_table, NULL},
    {CONTROL "Status", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {CONTROL "Session", METHOD_SESSION, METHOD_SESSION, NULL, NULL},
    {CONTROL "ListWorkers", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {CONTROL "Info", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {CONTROL "ListenBuildHistory", METHOD_OWN, METHOD_OWN, &history_table, NULL},
    {CONTROL "UpdateBuildHistory", METHOD_PASS, METHOD_REFUSE, NULL, PRUNE},

    {GATEWAY "ResolveImageConfig", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "ResolveSourceMeta", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "Solve", METHOD_MESSAGE, METHOD_MESSAGE, &solve_gateway_table, NULL},
    {GATEWAY "ReadFile", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "ReadDir", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "StatFile", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "Evaluate", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "Ping", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "Return", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "Inputs", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "Warn", METHOD_PASS, METHOD_PASS, NULL, NULL},
    /* A container has the powers of a step, and is judged like one. What runs in it does not pass:
     * the security mode comes with the first message of a stream that goes on in both directions,
     * and every message of such a stream would have to be held and judged. */
    {GATEWAY "NewContainer", METHOD_MESSAGE, METHOD_MESSAGE, &container_table, NULL},
    {GATEWAY "ReleaseContainer", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "ExecProcess", METHOD_REFUSE, METHOD_REFUSE, NULL, EXEC},
    {GATEWAY "ReadFileContainer", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "ReadDirContainer", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {GATEWAY "StatFileContainer", METHOD_PASS, METHOD_PASS, NULL, NULL},

    {HEALTH "Check", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {HEALTH "Watch", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {HEALTH "List", METHOD_PASS, METHOD_PASS, NULL, NULL},
    {TRACES "Export", METHOD_PASS, METHOD_PASS, NULL, NULL},

    /* Results in the build history, such as attestations. */
    {CONTENT "Info", METHOD_PASS, METHOD_REFUSE, NULL, NULL},
    {CONTENT "Read", METHOD_PASS, METHOD_REFUSE, NULL, NULL},
    {CONTENT "List", METHOD_REFUSE, METHOD_REFUSE, NULL, STORE},
    {CONTENT "Status", METHOD_REFUSE, METHOD_REFUSE, NULL, STORE},
    {CONTENT "ListStatuses", METHOD_REFUSE, METHOD_REFUSE, NULL, STORE},
    {CONTENT "Update", METHOD_REFUSE, METHOD_REFUSE, NULL, STORE},
    {CONTENT "Delete", METHOD_REFUSE, METHOD_REFUSE, NULL, STORE},
    {CONTENT "Write", METHOD_REFUSE, METHOD_REFUSE, NULL, STORE},
    {CONTENT "Abort", METHOD_REFUSE, METHOD_REFUSE, NULL, STORE},
};

/* Calls that do what a route of the API does: whoever denies the one in a policy means both. */
static const struct {
    const char *path;
    const char *route;
} twins[] = {
    {CONTROL "DiskUsage", "GET /system/df"},
    {CONTROL "Prune", "POST /build/prune"},
};

static bool is_denied_with_its_twin(const struct filter_policy *policy, struct slice path) {
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++)
        for (size_t j = 0; j < endpoint_count; j++)
            if (slice_equal(path, slice_from_string(twins[i].path)) &&
                strcmp(endpoints[j].route, twins[i].route) == 0 && policy->verdicts[j].denied)
                return true;
    return false;
}

static struct grpc_verdict deny(const char *rule, const char *reason) {
    return (struct grpc_verdict){.decision = FILTER_DENY,
                                 .rule = rule,
                                 .reason = reason ? reason
                                                  : "the proxy is out of memory; try again later"};
}

static struct grpc_verdict from_finding(struct body_finding finding) {
    return (struct grpc_verdict){.decision = finding.decision,
                                 .rule = finding.rule,
                                 .reason = finding.reason,
                                 .remedy = finding.remedy};
}

static const struct method *find_method(struct slice path) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (slice_equal(path, slice_from_string(methods[i].path)))
            return &methods[i];
    return NULL;
}

const char *grpc_known_path(struct slice path) {
    const struct method *method = find_method(path);
    return method == NULL ? NULL : method->path;
}

/* Another codec than protobuf would be read by other rules (gRPC over HTTP/2, Content-Type). */
static bool is_protobuf(const struct filter_header *headers, size_t count) {
    size_t types = 0;
    bool known = false;
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal(headers[i].name, SLICE("content-type")))
            continue;
        types++;
        known = slice_equal(headers[i].value, SLICE("application/grpc")) ||
                slice_equal(headers[i].value, SLICE("application/grpc+proto"));
    }
    return types == 1 && known;
}

struct grpc_verdict grpc_judge_head(const struct filter_policy *policy, struct slice path,
                                    const struct filter_header *headers, size_t count,
                                    struct arena *arena) {
    const struct method *method = find_method(path);
    if (method == NULL)
        return deny("grpc.unknown", arena_printf(arena, "the gRPC method %s is not known here",
                                                 quote(arena, path)));
    if (!is_protobuf(headers, count))
        return deny("grpc.content-type", "the call must be gRPC with protobuf messages "
                                         "(Content-Type: application/grpc)");
    if (is_denied_with_its_twin(policy, path))
        return deny("grpc.method", "this policy denies the call of the API that does the same; do "
                                   "without it");
    enum method_verdict verdict =
        policy->preset == FILTER_ALLOWLIST ? method->allowlist : method->blocklist;
    if (verdict == METHOD_OWN)
        verdict = policy->ownership ? METHOD_MESSAGE : METHOD_PASS;
    switch (verdict) {
    case METHOD_PASS:
        return (struct grpc_verdict){.decision = FILTER_ALLOW, .rule = "grpc.method"};
    case METHOD_MESSAGE:
        return (struct grpc_verdict){.decision = FILTER_NEED_BODY, .rule = "grpc.method"};
    case METHOD_SESSION: {
        struct grpc_verdict session = from_finding(session_rules_judge(policy, headers, count));
        return session.decision == FILTER_ALLOW
                   ? (struct grpc_verdict){.decision = FILTER_ALLOW, .rule = "grpc.method"}
                   : session;
    }
    case METHOD_OWN:
    case METHOD_REFUSE:
        break;
    }
    return deny("grpc.method", method->reason ? method->reason
                                              : arena_printf(arena,
                                                             "the gRPC method %s is not among the "
                                                             "calls of the allowlist policy",
                                                             quote(arena, path)));
}

struct grpc_verdict grpc_judge_message(const struct filter_policy *policy, struct slice path,
                                       struct slice message, struct arena *arena) {
    const struct method *method = find_method(path);
    if (method == NULL || method->message == NULL)
        return deny("grpc.method", "this gRPC method takes no message to judge");
    const struct message_context context = {.policy = policy, .arena = arena};
    struct body_finding finding = message_judge(&context, method->message, message);
    if (finding.decision == FILTER_ALLOW)
        return (struct grpc_verdict){.decision = FILTER_ALLOW, .rule = "grpc.message"};
    return from_finding(finding);
}
