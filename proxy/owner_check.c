#include "proxy/owner_check.h"

#include "proxy/http_rewrite.h"
#include "proxy/identity.h"
#include "proxy/owner_state.h"
#include "proxy/worker.h"

static bool passes(const struct filter_verdict *verdict) {
    return verdict->decision == FILTER_ALLOW || verdict->decision == FILTER_NEED_BODY;
}

/* In all other modes than this one what the policy denies goes on, so that it is no refusal. */
static bool is_enforced(const struct conn *conn) {
    return conn->worker->shared->config->mode == CONFIG_ENFORCE;
}

/* A refusal of ours, unless the filter has one that holds: that says better what to change. */
static void refuse(struct conn *conn, enum filter_decision decision, const char *rule,
                   const char *reason) {
    struct filter_verdict *verdict = &conn->request.verdict;
    conn->request.for_others = true;
    if (!passes(verdict) && is_enforced(conn))
        return;
    verdict->decision = decision;
    verdict->rule = rule;
    verdict->reason = reason;
    verdict->hijack = FILTER_HIJACK_NONE;
    conn->request.would_deny = false; /* no mode lets this one pass */
    verdict->remedy = (struct filter_remedy){0};
}

static void refuse_memory(struct conn *conn) {
    refuse(conn, FILTER_BAD_REQUEST, "ownership.memory",
           "the proxy is out of memory; try again later");
}

/* Makes the request's head the one that the plan wants, with the body behind it where there is one,
 * and reads it again: what is judged from here on is that. */
static bool rewrite(struct conn *conn) {
    struct conn_request *request = &conn->request;
    const struct ownership_plan *plan = &request->owner->plan;
    size_t head_len = 0;
    struct slice text =
        http_rewrite(request->head, plan->target, plan->body_given ? &plan->body : NULL,
                     &conn->arena, &head_len);
    if (text.data == NULL ||
        http_request_parse(slice_first(text, head_len), &request->http, &conn->arena) != NULL)
        return false;
    request->head = text;
    return true;
}

bool owner_charge(struct conn *conn, size_t answer) {
    enum { SMALL = 4 * BUFFER_SIZE }; /* an ordinary creation with its copies */
    size_t size = answer;
    if (conn->request.owner->plan.body_given)
        size += conn->in.capacity + conn->arena.held;
    return conn_charge(conn, size, SMALL);
}

static bool is_changed(const struct conn_request *request, struct slice target) {
    return request->http.judged.target.data != target.data;
}

void owner_judge_head(struct conn *conn) {
    struct conn_request *request = &conn->request;
    const struct filter_policy *policy = request->client->policy;
    struct owner_check *check = arena_alloc(&conn->arena, sizeof *check);
    request->verdict = filter_judge_head(policy, &request->http.judged, &conn->arena);
    if (request->verdict.decision == FILTER_BAD_REQUEST ||
        (request->verdict.decision == FILTER_DENY && is_enforced(conn)))
        return;
    if (check == NULL) {
        refuse_memory(conn);
        return;
    }
    *check = (struct owner_check){0};
    request->owner = check;
    struct slice owner = identity_owner(conn, request->client, &conn->arena);
    if (owner.len == 0) {
        refuse(conn, FILTER_DENY, "ownership.nobody",
               "who asks cannot be told, so that nothing could be marked as its own; use a client "
               "certificate with a common name, or a unix socket");
        return;
    }
    struct ownership_finding finding =
        ownership_head(policy, &request->http.judged, owner, &conn->arena, &check->plan);
    if (finding.decision != FILTER_ALLOW) {
        refuse(conn, finding.decision, finding.rule, finding.reason);
        return;
    }
    if (is_changed(request, check->plan.target)) {
        if (!rewrite(conn)) {
            refuse_memory(conn);
            return;
        }
        check->plan.target = request->http.judged.target;
        request->verdict = filter_judge_head(policy, &request->http.judged, &conn->arena);
    }
    bool goes_on = request->verdict.decision == FILTER_ALLOW ||
                   (request->verdict.decision == FILTER_DENY && !is_enforced(conn));
    if (!check->plan.wants_body || !goes_on)
        return;
    if (request->http.judged.may_have_body)
        request->verdict.decision = FILTER_NEED_BODY;
    else
        refuse(conn, FILTER_BAD_REQUEST, "request.body-missing",
               "the endpoint takes a JSON body; send one");
}

void owner_judge_body(struct conn *conn, struct slice body) {
    struct conn_request *request = &conn->request;
    struct ownership_plan *plan = &request->owner->plan;
    const struct filter_policy *policy = request->client->policy;
    struct ownership_finding finding = {.decision = FILTER_ALLOW};
    plan->body = body;
    plan->body_given = true;
    if (plan->wants_body)
        finding = ownership_body(plan, body, &conn->arena);
    /* It goes up from the arena, whether it was changed or not. */
    if (plan->body.data == body.data)
        plan->body = arena_copy(&conn->arena, body);
    if (plan->body.data == NULL) {
        refuse_memory(conn);
        return;
    }
    request->verdict = filter_judge_body(policy, &request->http.judged, plan->body, &conn->arena);
    if (finding.decision != FILTER_ALLOW)
        refuse(conn, finding.decision, finding.rule, finding.reason);
}

enum progress owner_check_begin(struct conn *conn, size_t body, bool whole) {
    struct owner_check *check = conn->request.owner;
    check->body = body;
    check->whole = whole;
    if (check->plan.body_given) {
        buffer_consume(&conn->in, &conn->worker->pools.buffers, body);
        check->body = 0;
    }
    if (!owner_charge(conn, 0))
        return reply_too_many(conn);
    conn->state = CONN_OWNER;
    /* One deadline for all questions: however many objects a request names, it holds what it holds
     * no longer. */
    deadline_arm(&conn->worker->deadlines, &conn->deadline, DEADLINE_CONNECT, conn->worker->now);
    return PROGRESS_NEXT;
}

/* All objects are the client's own: the request, if their ids are in it now, is judged once more.
 */
static enum progress settle(struct conn *conn) {
    struct conn_request *request = &conn->request;
    struct owner_check *check = request->owner;
    struct ownership_plan *plan = &check->plan;
    const struct filter_policy *policy = request->client->policy;
    const char *target = plan->target.data;
    const char *body = plan->body.data;
    deadline_cancel(&conn->worker->deadlines, &conn->deadline);
    if (!ownership_apply(plan, &conn->arena) ||
        ((is_changed(request, plan->target) || plan->body_given) && !rewrite(conn)))
        return reply_fault(conn, 503, "out of memory");
    if (!owner_charge(conn, 0))
        return reply_too_many(conn);
    request->owner = NULL;
    if (plan->target.data != target || plan->body.data != body)
        request->verdict =
            plan->body_given
                ? filter_judge_body(policy, &request->http.judged, plan->body, &conn->arena)
                : filter_judge_head(policy, &request->http.judged, &conn->arena);
    return conn_act(conn, conn_passes(conn), check->body, check->whole);
}

enum progress owner_missing(struct conn *conn, bool foreign) {
    struct conn_request *request = &conn->request;
    struct owner_check *check = request->owner;
    const char *message = ownership_missing(&check->plan.refs[check->next], &conn->arena);
    buffer_consume(&conn->in, &conn->worker->pools.buffers, check->body);
    if (message == NULL)
        return reply_fault(conn, 503, "out of memory");
    if (foreign)
        refuse(conn, FILTER_DENY, "ownership.foreign", message);
    (void)reply_missing(conn, message, check->whole && request->http.keep_alive);
    return reply_hold(conn);
}

enum progress owner_check_run(struct conn *conn) {
    struct owner_check *check = conn->request.owner;
    if (check->phase == OWNER_NEXT && check->next == check->plan.ref_count)
        return settle(conn);
    return owner_ask(conn);
}
