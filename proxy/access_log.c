#include "proxy/access_log.h"

#include "proxy/deadline.h"
#include "proxy/log.h"

/* Query parameters whose values name things and cannot hold credentials. All others (build
 * arguments, filters, URLs, …) appear by name only. */
static const char *const shown_parameters[] = {
    "all",   "condition", "container",   "dockerfile", "follow",  "force",  "h",
    "limit", "name",      "networkmode", "platform",   "q",       "rm",     "signal",
    "since", "size",      "stderr",      "stdin",      "stdout",  "stream", "t",
    "tag",   "tail",      "until",       "v",          "version", "w",
};

static bool is_shown(struct slice name) {
    for (size_t i = 0; i < sizeof shown_parameters / sizeof shown_parameters[0]; i++)
        if (slice_equal(name, slice_from_string(shown_parameters[i])))
            return true;
    return false;
}

/* The target with the values of other parameters replaced by "*"; without the query when memory is
 * out. A target that is no path was refused, and may hold credentials anywhere. */
static struct slice redact(struct slice target, struct arena *arena) {
    if (!slice_starts_with(target, SLICE("/")))
        return SLICE("(not a path)");
    size_t query = slice_index(target, '?');
    char *text = arena_alloc(arena, target.len * 2 + 1);
    if (text == NULL || query == target.len)
        return slice_first(target, query);
    size_t len = query + 1;
    memcpy(text, target.data, len);
    struct slice rest = slice_from(target, query + 1);
    while (rest.len > 0) {
        struct slice pair = slice_first(rest, slice_index(rest, '&'));
        struct slice name = slice_first(pair, slice_index(pair, '='));
        /* Some readers take ';' for a separator too. */
        bool whole = (is_shown(name) && slice_index(pair, ';') == pair.len) || name.len == pair.len;
        size_t keep = whole ? pair.len : name.len + 1;
        memcpy(text + len, pair.data, keep);
        len += keep;
        if (!whole)
            text[len++] = '*';
        if (pair.len < rest.len)
            text[len++] = '&';
        rest = slice_from(rest, pair.len + 1);
    }
    return slice_of(text, len);
}

void access_log_client(struct log_record *record, const struct conn *conn) {
    log_string(record, "client", conn->peer);
    if (conn->client.tls != NULL)
        log_string(record, "cn", tls_peer_name(conn->client.tls));
}

void access_log_target(struct log_record *record, struct conn *conn) {
    const struct filter_request *request = &conn->request.http.judged;
    if (request->method.len == 0)
        return;
    log_slice(record, "method", slice_first(request->method, 32));
    log_slice(record, "path", slice_first(redact(request->target, &conn->arena), 1024));
}

const char *access_log_verdict(const struct conn_request *request) {
    if (request->verdict.rule == NULL)
        return "none"; /* it was never judged: the head did not come whole */
    switch (request->verdict.decision) {
    case FILTER_ALLOW:
        return "allow";
    case FILTER_DENY:
        return request->would_deny ? "would-deny" : "deny";
    case FILTER_BAD_REQUEST:
        return "bad-request";
    case FILTER_NEED_BODY:
        break;
    }
    return "none"; /* the body to judge never came */
}

void access_log_request(struct conn *conn) {
    struct conn_request *request = &conn->request;
    if (!request->began)
        return;
    request->began = false;
    bool refused =
        request->verdict.decision == FILTER_DENY || request->verdict.decision == FILTER_BAD_REQUEST;
    enum log_level level = refused || request->status >= 500 ? LOG_WARNING : LOG_INFO;
    uint64_t now = deadline_now();
    uint64_t suppressed = 0;
    if (!log_enabled(level) || (refused && !log_limit_pass(&conn->log_limit, now, &suppressed)))
        return;

    struct log_record record;
    log_begin(&record, level, "request");
    access_log_client(&record, conn);
    access_log_target(&record, conn);
    log_string(&record, "verdict", access_log_verdict(request));
    if (request->verdict.rule != NULL)
        log_string(&record, "rule", request->verdict.rule);
    log_number(&record, "status", request->status);
    log_number(&record, "bytes_up", conn->up.total);
    log_number(&record, "bytes_down", conn->down.total + request->reply_bytes);
    log_number(&record, "duration_ms", now - request->started);
    if (suppressed > 0)
        log_number(&record, "suppressed", suppressed);
    if (request->outcome != NULL)
        log_string(&record, "outcome", request->outcome);
    log_end(&record);
}
