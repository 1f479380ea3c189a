#include "filter/filter.h"

#include "filter/body_rules.h"
#include "filter/endpoint_index.h"
#include "filter/endpoints.h"
#include "filter/head_rules.h"
#include "filter/media_type.h"
#include "filter/policy.h"
#include "filter/query.h"
#include "filter/remedy.h"
#include "filter/target.h"

static const char no_memory[] = "the proxy is out of memory; try again later";

/* Before any endpoint is known. */
static struct filter_verdict bad_request(const char *rule, const char *reason) {
    return (struct filter_verdict){
        .decision = FILTER_BAD_REQUEST,
        .rule = rule,
        .reason = reason ? reason : no_memory,
        .endpoint_class = endpoint_class_name(ENDPOINT_UNKNOWN),
    };
}

static struct filter_verdict verdict_for(const struct endpoint *endpoint,
                                         enum filter_decision decision, const char *rule,
                                         const char *reason, struct filter_remedy remedy) {
    bool passes = decision == FILTER_ALLOW || decision == FILTER_NEED_BODY;
    return (struct filter_verdict){
        .decision = decision,
        .rule = rule ? rule : endpoint->rule,
        .reason = passes ? NULL : (reason ? reason : no_memory),
        .endpoint_class = endpoint_class_name(endpoint->class),
        .endpoint = endpoint->route,
        .hijack = passes ? endpoint->hijack : FILTER_HIJACK_NONE,
        .remedy = passes ? remedy_none() : remedy,
    };
}

/* A refusal outranks a bad request: it is the answer that stays true however the request is
 * repaired. */
static int severity(enum filter_decision decision) {
    switch (decision) {
    case FILTER_ALLOW:
        return 0;
    case FILTER_NEED_BODY:
        return 1;
    case FILTER_BAD_REQUEST:
        return 2;
    case FILTER_DENY:
        break;
    }
    return 3;
}

/* HTTP methods are case-sensitive tokens (RFC 9110 section 9.1); all that the engine routes are
 * upper-case words, so another spelling is doubt. */
static bool is_method(struct slice method) {
    for (size_t i = 0; i < method.len; i++)
        if ((method.data[i] < 'A' || method.data[i] > 'Z') && method.data[i] != '-')
            return false;
    return method.len > 0;
}

static bool is_safe(struct slice method) {
    return slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD"));
}

static size_t count_headers(const struct filter_request *request, struct slice name,
                            struct slice *first) {
    size_t count = 0;
    *first = (struct slice){NULL, 0};
    for (size_t i = 0; i < request->header_count; i++) {
        if (!slice_equal_ignoring_case(request->headers[i].name, name))
            continue;
        if (count++ == 0)
            *first = slice_trim(request->headers[i].value);
    }
    return count;
}

/* What is wrong with the headers that describe the body, NULL if nothing. `judged` is a body that
 * will be read as JSON. */
static const char *body_headers_fault(const struct filter_request *request, bool judged) {
    struct slice value;
    if (count_headers(request, SLICE("Content-Type"), &value) > 1)
        return "Content-Type comes twice; send it once";
    if (!request->may_have_body)
        return NULL;

    enum media_type type = media_type_parse(value);
    if (type == MEDIA_TYPE_MALFORMED)
        return "Content-Type is malformed; send it as type/subtype with plain parameters";
    if (type == MEDIA_TYPE_FORM)
        return "form bodies are not accepted, because the engine lets them override the query; "
               "send parameters in the query";
    if (!judged)
        return NULL;
    if (type != MEDIA_TYPE_JSON)
        return "the body must be JSON; set Content-Type to application/json";
    size_t codings = count_headers(request, SLICE("Content-Encoding"), &value);
    if (codings > 1 || (value.len > 0 && !slice_equal_ignoring_case(value, SLICE("identity"))))
        return "the engine reads this body without decoding it; send it without Content-Encoding";
    return NULL;
}

static bool is_json(enum body_rule_set rules) {
    return rules != BODY_NONE && rules != BODY_MUST_BE_EMPTY;
}

/* What the policy says about an endpoint, before anything in the request is looked at. */
static bool endpoint_refused(const struct filter_policy *policy, const struct endpoint *endpoint,
                             const char **reason, struct filter_remedy *remedy,
                             struct arena *arena) {
    const struct policy_verdict *verdict = &policy->verdicts[endpoint - endpoints];
    *remedy = remedy_none();
    if (policy->lenient)
        return false;
    switch (verdict->verdict) {
    case ENDPOINT_PASS:
        return false;
    case ENDPOINT_BUILDKIT:
        *reason = head_rules_buildkit_reason;
        *remedy = remedy_json("build.buildkit", "\"inspect\"");
        return policy->buildkit == FILTER_BUILDKIT_DENY;
    case ENDPOINT_REFUSE:
        break;
    }
    if (!verdict->denied)
        *remedy =
            remedy_json("endpoints.allow", remedy_quote(arena, slice_from_string(endpoint->route)));
    if (endpoint->reason)
        *reason = endpoint->reason;
    else if (policy->preset == FILTER_ALLOWLIST)
        *reason = arena_printf(arena,
                               "%s is not among the calls of the %s policy; do without it, or ask "
                               "for the blocklist policy",
                               endpoint->route, policy->preset_name);
    else
        *reason = arena_printf(arena, "the policy does not let %s through; do without it",
                               endpoint->route);
    return true;
}

/* Parses the query only where a rule wants it: elsewhere a malformed one changes nothing. */
static struct head_finding judge_by_rule(const struct filter_policy *policy,
                                         const struct filter_request *request,
                                         const struct endpoint *endpoint, struct slice name,
                                         struct slice raw_query, struct arena *arena) {
    struct query query;
    switch (query_parse(raw_query, arena, &query)) {
    case QUERY_OK:
        break;
    case QUERY_MALFORMED:
        return (struct head_finding){
            .decision = FILTER_BAD_REQUEST,
            .rule = "request.query",
            .reason = "the query is malformed; escape '%', ';' and other special characters as two "
                      "hexadecimal digits after a '%'"};
    case QUERY_NO_MEMORY:
        return (struct head_finding){
            .decision = FILTER_BAD_REQUEST, .rule = "request.query", .reason = no_memory};
    }
    return endpoint->head(&(struct head_context){
        .policy = policy, .request = request, .query = &query, .name = name, .arena = arena});
}

/* Whether a rule has anything to judge by: an unread query may be as malformed as it likes. */
static bool head_rule_counts(const struct filter_policy *policy, head_rule *rule) {
    return rule != head_rule_image_push || policy->images.push.given;
}

static struct filter_verdict judge_endpoint_head(const struct filter_policy *policy,
                                                 const struct filter_request *request,
                                                 const struct target *target,
                                                 const struct endpoint *endpoint, struct slice name,
                                                 struct arena *arena) {
    const char *reason = NULL;
    struct filter_remedy remedy;
    if (endpoint_refused(policy, endpoint, &reason, &remedy, arena))
        return verdict_for(endpoint, FILTER_DENY, NULL, reason, remedy);
    if (endpoint->head && head_rule_counts(policy, endpoint->head)) {
        struct head_finding finding =
            judge_by_rule(policy, request, endpoint, name, target->query, arena);
        bool passes = finding.decision == FILTER_ALLOW ||
                      (policy->lenient && finding.decision == FILTER_DENY);
        if (!passes)
            return verdict_for(endpoint, finding.decision, finding.rule, finding.reason,
                               finding.remedy);
    }
    remedy = remedy_none();
    const char *fault = body_headers_fault(request, is_json(endpoint->body));
    if (fault)
        return verdict_for(endpoint, FILTER_BAD_REQUEST, "request.body-headers", fault, remedy);
    if (is_json(endpoint->body) && !request->may_have_body)
        return verdict_for(endpoint, FILTER_BAD_REQUEST, "request.body-missing",
                           "the endpoint takes a JSON body; send one", remedy);
    if (endpoint->body != BODY_NONE && request->may_have_body)
        return verdict_for(endpoint, FILTER_NEED_BODY, NULL, NULL, remedy);
    return verdict_for(endpoint, FILTER_ALLOW, NULL, NULL, remedy);
}

static struct filter_verdict judge_unlisted(const struct filter_policy *policy,
                                            const struct filter_request *request,
                                            struct arena *arena) {
    struct filter_verdict verdict = {
        .decision = FILTER_ALLOW,
        .rule = "endpoint.unlisted",
        .endpoint_class = endpoint_class_name(ENDPOINT_UNKNOWN),
    };
    bool base_closed = policy->preset == FILTER_ALLOWLIST;
    if (!base_closed)
        verdict.remedy = remedy_json("unknown-endpoints", "\"allow\"");
    if (policy->closed) {
        verdict.decision = FILTER_DENY;
        verdict.reason =
            base_closed
                ? arena_printf(arena,
                               "this endpoint is not among the calls of the %s policy; check the "
                               "method and the path, or ask for the blocklist policy",
                               policy->preset_name)
                : "this endpoint is not among those that the policy lets through; check the method "
                  "and the path";
        if (verdict.reason == NULL)
            verdict.reason = no_memory;
    } else if (!is_safe(request->method) && !policy->allow_unknown) {
        verdict.decision = FILTER_DENY;
        verdict.reason =
            "this endpoint is not known here and may change something; check the method and the "
            "path, or start the proxy with --allow-unknown-endpoints";
    } else {
        const char *fault = body_headers_fault(request, false);
        if (fault) {
            verdict.decision = FILTER_BAD_REQUEST;
            verdict.rule = "request.body-headers";
            verdict.reason = fault;
        }
        verdict.remedy = remedy_none();
    }
    return verdict;
}

/* The method, the target and the API version; true when they are sound. */
static bool read_request_line(const struct filter_policy *policy,
                              const struct filter_request *request, struct arena *arena,
                              struct target *target, struct filter_verdict *verdict) {
    if (!is_method(request->method)) {
        *verdict = bad_request("request.method", "the method must be in upper case, such as POST");
        return false;
    }
    enum target_status status = target_parse(request->target, arena, target);
    if (status != TARGET_OK) {
        *verdict = bad_request(status == TARGET_BAD_VERSION ? "request.version" : "request.target",
                               target_reason(status));
        return false;
    }
    if (target->versioned && target->minor < policy->api_floor_minor) {
        *verdict = bad_request(
            "request.version",
            arena_printf(arena,
                         "API version 1.%u is older than 1.%u, the oldest accepted here; use a "
                         "newer client, or set DOCKER_API_VERSION",
                         target->minor, policy->api_floor_minor));
        if (target->minor >= POLICY_LOWEST_MINOR)
            verdict->remedy =
                remedy_json("api-floor", arena_printf(arena, "\"1.%u\"", target->minor));
        return false;
    }
    return true;
}

static struct filter_verdict judge_head(const struct filter_policy *policy,
                                        const struct filter_request *request,
                                        const struct target *target, struct arena *arena) {
    struct filter_verdict worst;
    bool listed = false;
    enum filter_hijack hijack = FILTER_HIJACK_NONE;
    struct endpoint_matches matches =
        endpoint_matches_start(policy->index, request->method, target->path);
    struct slice name;
    const struct endpoint *endpoint;
    while ((endpoint = endpoint_matches_next(&matches, &name))) {
        struct filter_verdict verdict =
            judge_endpoint_head(policy, request, target, endpoint, name, arena);
        /* No two rows that hijack match one path. */
        if (verdict.hijack != FILTER_HIJACK_NONE)
            hijack = verdict.hijack;
        /* Opaque means that nobody looks into it. */
        if (hijack == FILTER_HIJACK_GRPC && policy->buildkit == FILTER_BUILDKIT_OPAQUE)
            hijack = FILTER_HIJACK_H2C;
        if (!listed || severity(verdict.decision) > severity(worst.decision))
            worst = verdict;
        listed = true;
    }
    if (!listed)
        return judge_unlisted(policy, request, arena);
    /* A HEAD only borrows the verdict of GET rows; no engine answers one by hijacking. */
    bool passes = worst.decision == FILTER_ALLOW || worst.decision == FILTER_NEED_BODY;
    worst.hijack =
        passes && !slice_equal(request->method, SLICE("HEAD")) ? hijack : FILTER_HIJACK_NONE;
    return worst;
}

/* Who asks is nobody that a policy was written for. */
static struct filter_verdict refuse_client(void) {
    return (struct filter_verdict){
        .decision = FILTER_DENY,
        .rule = "client.unknown",
        .reason = "this client is not among those that the proxy serves; use a certificate, a user "
                  "or a listener that its policy names",
        .endpoint_class = endpoint_class_name(ENDPOINT_UNKNOWN),
    };
}

struct filter_verdict filter_judge_head(const struct filter_policy *policy,
                                        const struct filter_request *request, struct arena *arena) {
    struct target target;
    struct filter_verdict bad;
    if (policy == NULL)
        return refuse_client();
    return read_request_line(policy, request, arena, &target, &bad)
               ? judge_head(policy, request, &target, arena)
               : bad;
}

struct filter_verdict filter_judge_form(const struct filter_policy *policy,
                                        const struct filter_request *request, struct arena *arena) {
    if (policy == NULL)
        return refuse_client();
    struct filter_policy lenient = *policy;
    lenient.lenient = lenient.allow_unknown = true;
    lenient.closed = false;
    return filter_judge_head(&lenient, request, arena);
}

struct filter_verdict filter_judge_body(const struct filter_policy *policy,
                                        const struct filter_request *request, struct slice body,
                                        struct arena *arena) {
    /* Judging the head again costs little next to a body, and leaves nothing to be passed from
     * one call to the other that could get out of step. */
    struct target target;
    struct filter_verdict worst;
    if (policy == NULL)
        return refuse_client();
    if (!read_request_line(policy, request, arena, &target, &worst))
        return worst;
    worst = judge_head(policy, request, &target, arena);
    if (worst.decision != FILTER_NEED_BODY)
        return worst;
    worst.decision = FILTER_ALLOW;
    struct endpoint_matches matches =
        endpoint_matches_start(policy->index, request->method, target.path);
    struct slice name;
    const struct endpoint *endpoint;
    while ((endpoint = endpoint_matches_next(&matches, &name))) {
        if (endpoint->body == BODY_NONE)
            continue;
        struct body_finding finding = body_rules_judge(policy, endpoint->body, body, arena);
        if (severity(finding.decision) > severity(worst.decision))
            worst = verdict_for(endpoint, finding.decision, finding.rule, finding.reason,
                                finding.remedy);
    }
    return worst;
}
