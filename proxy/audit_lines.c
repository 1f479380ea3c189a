#include "proxy/audit_lines.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/access_log.h"
#include "proxy/audit.h"
#include "proxy/worker.h"

/* Numbered by each worker; what the process began with keeps those of different runs apart. */
static void add_id(struct log_record *record, const char *key, struct conn *conn) {
    struct worker *worker = conn->worker;
    char text[64];
    if (conn->request.id == 0)
        conn->request.id = ++worker->audited;
    (void)snprintf(text, sizeof text, "%llx-%u-%llx", (unsigned long long)worker->shared->run_id,
                   worker->index, (unsigned long long)conn->request.id);
    log_string(record, key, text);
}

/* Behind a unix socket the peer is "unix:uid=N,pid=N". */
static void add_uid(struct log_record *record, const char *peer) {
    static const char prefix[] = "unix:uid=";
    if (strncmp(peer, prefix, sizeof prefix - 1) == 0)
        log_number(record, "uid", strtoul(peer + sizeof prefix - 1, NULL, 10));
}

static void add_client(struct log_record *record, const struct conn *conn) {
    const struct filter_client *client = conn->request.client;
    access_log_client(record, conn);
    add_uid(record, conn->peer);
    if (client != NULL && client->name != NULL)
        log_string(record, "client_rule", client->name);
}

static enum log_level level_of(const char *verdict) {
    return strcmp(verdict, "allow") == 0 || strcmp(verdict, "none") == 0 ? LOG_INFO : LOG_WARNING;
}

void audit_request(struct conn *conn) {
    struct conn_request *request = &conn->request;
    const struct filter_verdict *verdict = &request->verdict;
    if (!audit_enabled() || !request->began || request->audited)
        return;
    request->audited = true;
    const char *word = access_log_verdict(request);
    struct log_record record;
    audit_begin(&record, level_of(word), "request");
    add_id(&record, "id", conn);
    log_string(&record, "verdict", word);
    if (verdict->rule != NULL)
        log_string(&record, "rule", verdict->rule);
    add_client(&record, conn);
    if (verdict->endpoint_class != NULL)
        log_string(&record, "class", verdict->endpoint_class);
    if (verdict->endpoint != NULL)
        log_string(&record, "endpoint", verdict->endpoint);
    if (request->status != 0)
        log_number(&record, "status", request->status);
    access_log_target(&record, conn);
    if (verdict->reason != NULL)
        log_string(&record, "reason", verdict->reason);
    if (request->outcome != NULL)
        log_string(&record, "outcome", request->outcome);
    audit_end(&record);
}

void audit_session_end(struct conn *conn) {
    static const char *const kinds[COUNTER_STREAMS] = {
        [COUNTER_STREAM] = "stream", [COUNTER_TUNNEL] = "tunnel"};
    struct conn_request *request = &conn->request;
    const char *kind = kinds[request->was];
    if (!audit_enabled() || kind == NULL || !request->began)
        return;
    if (request->grpc)
        kind = "grpc";
    struct log_record record;
    audit_begin(&record, LOG_INFO, "session-end");
    add_id(&record, "id", conn);
    log_string(&record, "kind", kind);
    add_client(&record, conn);
    if (request->verdict.endpoint != NULL)
        log_string(&record, "endpoint", request->verdict.endpoint);
    log_number(&record, "status", request->status);
    log_number(&record, "bytes_up", conn->up.total);
    log_number(&record, "bytes_down", conn->down.total + request->reply_bytes);
    log_number(&record, "duration_ms", deadline_now() - request->started);
    log_string(&record, "outcome", request->outcome != NULL ? request->outcome : "ended");
    access_log_target(&record, conn);
    audit_end(&record);
}

void audit_call(struct conn *conn, struct slice path, const struct grpc_verdict *verdict,
                const char *word) {
    if (!audit_enabled())
        return;
    struct log_record record;
    audit_begin(&record, level_of(word), "grpc");
    add_id(&record, "request", conn);
    log_string(&record, "verdict", word);
    log_string(&record, "rule", verdict->rule);
    add_client(&record, conn);
    log_slice(&record, "path", slice_first(path, 256));
    if (verdict->reason != NULL)
        log_string(&record, "reason", verdict->reason);
    audit_end(&record);
}
