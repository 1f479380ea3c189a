#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/conn.h"
#include "proxy/log.h"
#include "proxy/worker.h"
#include "test/proxy/sockets.h"

/* A connection on a real socket, with as much of a worker as an answer needs. */
struct rig {
    struct config config;
    struct shared shared;
    struct worker worker;
    struct conn conn;
    int client;
    char received[8192];
};

static void rig_open(struct rig *rig) {
    int ends[2];
    memset(rig, 0, sizeof *rig);
    static char prefix[] = "blocked by test";
    rig->config.message_prefix = prefix;
    rig->shared.config = &rig->config;
    rig->worker.shared = &rig->shared;
    rig->worker.now = 1000;
    for (int i = 0; i < DEADLINE_CLASSES; i++)
        rig->worker.deadlines.classes[i].duration = 100;
    unix_pair(ends);
    rig->client = ends[1];
    rig->conn.worker = &rig->worker;
    stream_open(&rig->conn.client, ends[0], false);
    rig->conn.client.writable = true;
    rig->conn.state = CONN_HEAD;
}

static void rig_close(struct rig *rig) {
    deadline_cancel(&rig->worker.deadlines, &rig->conn.deadline);
    arena_reset(&rig->conn.arena);
    stream_close(&rig->conn.client, false);
    if (rig->client >= 0)
        close(rig->client);
    buffer_pool_clear(&rig->worker.pools.buffers);
    pipe_pool_clear(&rig->worker.pools.pipes);
}

/* Writes the answer out; what the client gets. */
static const char *send_out(struct rig *rig) {
    assert_int_equal(rig->conn.state, CONN_REPLY);
    assert_int_equal(reply_run(&rig->conn), PROGRESS_NEXT);
    ssize_t n = recv(rig->client, rig->received, sizeof rig->received - 1, 0);
    assert_true(n > 0);
    rig->received[n] = '\0';
    return rig->received;
}

static void a_refusal_has_the_engines_shape(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig);
    assert_int_equal(reply_refusal(&rig.conn, 403, "no such thing", "create.privileged", true),
                     PROGRESS_NEXT);
    assert_true(rig.conn.deadline.armed); /* a client that does not read is not waited for */
    assert_int_equal(rig.conn.request.status, 403);
    const char *answer = send_out(&rig);
    assert_string_equal(
        answer, "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 64\r\n"
                "\r\n{\"message\":\"blocked by test: no such thing (create.privileged)\"}");
    assert_int_equal(rig.conn.state, CONN_HEAD); /* kept, for the next request */
    rig_close(&rig);

    rig_open(&rig);
    reply_refusal(&rig.conn, 400, "odd", NULL, false);
    answer = send_out(&rig);
    assert_string_equal(answer, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
                                "Content-Length: 34\r\nConnection: close\r\n\r\n"
                                "{\"message\":\"blocked by test: odd\"}");
    assert_int_equal(rig.conn.state, CONN_LINGER);
    rig_close(&rig);
}

static void the_answer_to_head_has_no_body(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig);
    rig.conn.request.http.is_head = true;
    reply_refusal(&rig.conn, 403, "no", "r", true);
    const char *answer = send_out(&rig);
    assert_non_null(strstr(answer, "Content-Length: 37\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    rig_close(&rig);
}

static void a_fault_of_ours_does_not_look_like_a_refusal(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig);
    reply_fault(&rig.conn, 502, "cannot reach %s: %d", "x", 7);
    const char *answer = send_out(&rig);
    assert_non_null(strstr(answer, "HTTP/1.1 502 Bad Gateway\r\n"));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_non_null(strstr(answer, "{\"message\":\"dind-proxy: cannot reach x: 7\"}"));
    assert_null(strstr(answer, "blocked"));
    assert_int_equal(rig.conn.state, CONN_LINGER);
    rig_close(&rig);
}

static void every_byte_of_a_message_is_escaped(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        struct rig rig;
        const char message[] = {'a', (char)byte, 'b', '\0'};
        char expected[64];
        if (byte == '"' || byte == '\\')
            snprintf(expected, sizeof expected, "test: a\\%cb\"}", byte);
        else if (byte < 0x20 || byte == 0x7f)
            snprintf(expected, sizeof expected, "test: a\\u%04xb\"}", (unsigned)byte);
        else
            snprintf(expected, sizeof expected, "test: %s\"}", message);
        rig_open(&rig);
        reply_refusal(&rig.conn, 403, message, NULL, true);
        const char *answer = send_out(&rig);
        const char *body = strstr(answer, "\r\n\r\n");
        assert_non_null(body);
        body += 4;
        assert_memory_equal(body + strlen(body) - strlen(expected), expected, strlen(expected));
        size_t length = 0;
        assert_int_equal(sscanf(strstr(answer, "Content-Length: "), "Content-Length: %zu", &length),
                         1);
        assert_int_equal(length, strlen(body));
        rig_close(&rig);
    }
}

static void continue_is_said_once_and_leads_on(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig);
    assert_int_equal(reply_continue(&rig.conn, CONN_BODY), PROGRESS_NEXT);
    assert_true(rig.conn.request.continue_sent);
    assert_string_equal(send_out(&rig), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(rig.conn.state, CONN_BODY);
    rig_close(&rig);
}

/* A client that reads slowly gets all of it in the end. */
static void a_full_socket_is_waited_for(void **state) {
    (void)state;
    enum { MESSAGE = 3000000 };
    struct rig rig;
    char *message = malloc(MESSAGE + 1);
    assert_non_null(message);
    memset(message, 'm', MESSAGE);
    message[MESSAGE] = '\0';
    rig_open(&rig);
    reply_refusal(&rig.conn, 403, message, NULL, true);
    size_t total = rig.conn.reply.len;
    size_t received = 0;
    size_t waits = 0;
    enum progress progress;
    uint64_t limit = milliseconds() + TIME_LIMIT_MS;
    while ((progress = reply_run(&rig.conn)) == PROGRESS_WAIT) {
        waits++;
        assert_false(rig.conn.client.writable);
        assert_true(milliseconds() < limit);
        ssize_t n;
        while ((n = recv(rig.client, rig.received, sizeof rig.received, 0)) > 0)
            received += (size_t)n;
        rig.conn.client.writable = true;
    }
    assert_int_equal(progress, PROGRESS_NEXT);
    ssize_t n;
    while ((n = recv(rig.client, rig.received, sizeof rig.received, 0)) > 0)
        received += (size_t)n;
    assert_true(waits > 0);
    assert_int_equal(received, total);
    assert_int_equal(rig.conn.state, CONN_HEAD);
    rig_close(&rig);
    free(message);
}

static void a_client_that_is_gone_ends_the_connection(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig);
    shutdown(rig.client, SHUT_RDWR);
    close(rig.client);
    reply_refusal(&rig.conn, 403, "no", NULL, true);
    assert_int_equal(reply_run(&rig.conn), PROGRESS_NEXT);
    assert_int_equal(rig.conn.state, CONN_CLOSED);
    rig.client = -1;
    rig_close(&rig);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    log_configure(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_has_the_engines_shape),
        cmocka_unit_test(the_answer_to_head_has_no_body),
        cmocka_unit_test(a_fault_of_ours_does_not_look_like_a_refusal),
        cmocka_unit_test(every_byte_of_a_message_is_escaped),
        cmocka_unit_test(continue_is_said_once_and_leads_on),
        cmocka_unit_test(a_full_socket_is_waited_for),
        cmocka_unit_test(a_client_that_is_gone_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
