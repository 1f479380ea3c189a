/* Answers of the proxy itself, in the engine's own error shape (Docker API, ErrorResponse). */
#include <stdarg.h>
#include <stdio.h>

#include "proxy/conn.h"
#include "proxy/worker.h"

/* JSON string escapes; the text is UTF-8 already, as the filter and the options promise. */
static char *escape(struct arena *arena, const char *text) {
    enum { LONGEST_ESCAPE = 6 };
    size_t len = strlen(text);
    char *escaped = arena_alloc(arena, len * LONGEST_ESCAPE + 1);
    if (escaped == NULL)
        return NULL;
    char *to = escaped;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            to += snprintf(to, LONGEST_ESCAPE + 1, "\\u%04x", (unsigned)c);
        } else {
            *to++ = (char)c;
        }
    }
    *to = '\0';
    return escaped;
}

static const char out_of_memory[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                    "Content-Length: 0\r\nConnection: close\r\n\r\n";

static enum progress reply_message(struct conn *conn, unsigned status, const char *message,
                                   bool keep) {
    struct deadline_queue *deadlines = &conn->worker->deadlines;
    deadline_cancel(deadlines, &conn->deadline);
    exchange_end(conn, false);
    bool is_head = conn->request.http.is_head;
    const char *escaped = message == NULL ? NULL : escape(&conn->arena, message);
    char *body =
        escaped == NULL ? NULL : arena_printf(&conn->arena, "{\"message\":\"%s\"}", escaped);
    char *answer = body == NULL
                       ? NULL
                       : arena_printf(&conn->arena,
                                      "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                                      "Content-Length: %zu\r\n%s\r\n%s",
                                      status, http_reason(status), strlen(body),
                                      keep ? "" : "Connection: close\r\n", is_head ? "" : body);
    if (answer == NULL) {
        keep = false;
        status = 503;
    }
    conn->reply = answer == NULL ? SLICE(out_of_memory) : slice_from_string(answer);
    conn->request.status = status;
    conn->after_reply = keep ? CONN_HEAD : CONN_LINGER;
    conn->state = CONN_REPLY;
    /* A client that does not read its answer is not waited for longer than one that does not close.
     */
    deadline_arm(deadlines, &conn->deadline, DEADLINE_LINGER, conn->worker->now);
    return PROGRESS_NEXT;
}

enum progress reply_refusal(struct conn *conn, unsigned status, const char *message,
                            const char *rule, bool keep) {
    const char *prefix = conn->worker->shared->config->message_prefix;
    const char *text = rule == NULL
                           ? arena_printf(&conn->arena, "%s: %s", prefix, message)
                           : arena_printf(&conn->arena, "%s: %s (%s)", prefix, message, rule);
    return reply_message(conn, status, text, keep);
}

enum progress reply_fault(struct conn *conn, unsigned status, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return reply_message(conn, status, arena_printf(&conn->arena, "dind-proxy: %s", text), false);
}

enum progress reply_too_many(struct conn *conn) {
    return reply_fault(conn, 503, "too many large requests at a time; try again");
}

enum progress reply_missing(struct conn *conn, const char *message, bool keep) {
    return reply_message(conn, 404, message, keep);
}

enum progress reply_engine_error(struct conn *conn, unsigned status, const char *message,
                                 bool keep) {
    return reply_message(conn, status, message, keep);
}

enum progress reply_continue(struct conn *conn, enum conn_state next) {
    conn->request.continue_sent = true;
    conn->reply = SLICE("HTTP/1.1 100 Continue\r\n\r\n");
    conn->after_reply = next;
    conn->state = CONN_REPLY;
    return PROGRESS_NEXT;
}

enum progress reply_run(struct conn *conn) {
    if (conn->request.status != 0) /* it is no 100 Continue */
        conn_count_answer(conn);
    while (conn->reply.len > 0) {
        size_t put = 0;
        if (!conn->client.writable)
            return PROGRESS_WAIT;
        switch (stream_write(&conn->client, conn->reply.data, conn->reply.len, &put)) {
        case STREAM_OK:
            conn->reply = slice_from(conn->reply, put);
            conn->request.reply_bytes += put;
            break;
        case STREAM_WAIT:
            return conn->client.writable ? PROGRESS_AGAIN : PROGRESS_WAIT;
        default:
            return conn_fail(conn, "client closed");
        }
    }
    if (conn->after_reply == CONN_BODY) {
        conn->state = CONN_BODY;
        return PROGRESS_NEXT;
    }
    return conn_finish(conn, conn->after_reply == CONN_HEAD);
}
