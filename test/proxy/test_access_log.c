#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/access_log.h"
#include "proxy/log.h"

static char line[8192];

/* The line that the connection's request leaves, in `line`; its length. */
static size_t log_of(struct conn *conn) {
    int file = memfd_create("stderr", 0);
    int real = dup(STDERR_FILENO);
    assert_true(file >= 0 && real >= 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    access_log_request(conn);
    dup2(real, STDERR_FILENO);
    close(real);
    ssize_t n = pread(file, line, sizeof line - 1, 0);
    close(file);
    assert_true(n >= 0);
    line[n] = '\0';
    return (size_t)n;
}

static struct conn make_conn(struct slice target) {
    struct conn conn = {.client.fd = -1, .peer = "192.0.2.1:5"};
    conn.request.began = true;
    conn.request.started = deadline_now();
    conn.request.status = 200;
    conn.request.http.judged.method = SLICE("POST");
    conn.request.http.judged.target = target;
    conn.request.verdict = (struct filter_verdict){.decision = FILTER_ALLOW, .rule = "allow.read"};
    return conn;
}

/* Has the line the field with this very value, up to the next space? */
static void assert_field(const char *field) {
    const char *at = strstr(line, field);
    if (at == NULL)
        print_error("no %s in %s", field, line);
    assert_non_null(at);
    assert_int_equal(at[-1], ' ');
    assert_true(at[strlen(field)] == ' ' || at[strlen(field)] == '\n');
}

static void a_request_leaves_one_line(void **state) {
    (void)state;
    struct conn conn = make_conn(SLICE("/v1.41/containers/create?name=web"));
    conn.up.total = 123;
    conn.down.total = 1000;
    conn.request.reply_bytes = 7;
    conn.request.outcome = "client closed";
    assert_true(log_of(&conn) > 0);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_field("level=info");
    assert_field("event=request");
    assert_field("client=192.0.2.1:5");
    assert_field("method=POST");
    assert_field("path=\"/v1.41/containers/create?name=web\"");
    assert_field("verdict=allow");
    assert_field("rule=allow.read");
    assert_field("status=200");
    assert_field("bytes_up=123");
    assert_field("bytes_down=1007");
    assert_field("outcome=\"client closed\"");
    unsigned long long duration = 99999;
    assert_int_equal(sscanf(strstr(line, "duration_ms="), "duration_ms=%llu", &duration), 1);
    assert_true(duration < 60000);
    /* Once only. */
    assert_int_equal(log_of(&conn), 0);
    arena_reset(&conn.arena);

    struct conn idle = make_conn(SLICE("/"));
    idle.request.began = false;
    assert_int_equal(log_of(&idle), 0);
    arena_reset(&idle.arena);
}

static void refusals_and_faults_are_warnings(void **state) {
    (void)state;
    static const struct {
        enum filter_decision decision;
        unsigned status;
        const char *level, *verdict;
    } cases[] = {
        {FILTER_ALLOW, 200, "level=info", "verdict=allow"},
        {FILTER_ALLOW, 404, "level=info", "verdict=allow"},
        {FILTER_ALLOW, 499, "level=info", "verdict=allow"},
        {FILTER_ALLOW, 500, "level=warning", "verdict=allow"},
        {FILTER_ALLOW, 502, "level=warning", "verdict=allow"},
        {FILTER_DENY, 403, "level=warning", "verdict=deny"},
        {FILTER_BAD_REQUEST, 400, "level=warning", "verdict=bad-request"},
        {FILTER_NEED_BODY, 408, "level=info", "verdict=none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conn conn = make_conn(SLICE("/info"));
        conn.request.verdict.decision = cases[i].decision;
        conn.request.status = cases[i].status;
        assert_true(log_of(&conn) > 0);
        assert_field(cases[i].level);
        assert_field(cases[i].verdict);
        arena_reset(&conn.arena);
    }
    log_configure(LOG_WARNING, false);
    struct conn conn = make_conn(SLICE("/info"));
    assert_int_equal(log_of(&conn), 0);
    arena_reset(&conn.arena);
    log_configure(LOG_INFO, false);
}

static void only_harmless_values_are_shown(void **state) {
    (void)state;
    static const struct {
        struct slice target;
        const char *path;
    } cases[] = {
        {SLICE("/info"), "path=/info"},
        {SLICE("/info?"), "path=/info?"},
        {SLICE("/build?t=a&rm=1&buildargs=%7BSECRET"), "path=\"/build?t=a&rm=1&buildargs=*\""},
        {SLICE("/build?remote=https://u:SECRET@h/r.git&t=x"), "path=\"/build?remote=*&t=x\""},
        {SLICE("/x?buildargs=SECRET"), "path=\"/x?buildargs=*\""},
        {SLICE("/x?a=SECRET&b=SECRET=SECRET&c=&d"), "path=\"/x?a=*&b=*&c=*&d\""},
        {SLICE("/x?&&a=SECRET&"), "path=\"/x?&&a=*&\""},
        {SLICE("/x?=SECRET"), "path=\"/x?=*\""},
        /* A name that only looks like a harmless one. */
        {SLICE("/x?Name=SECRET&name2=SECRET&nam=SECRET"), "path=\"/x?Name=*&name2=*&nam=*\""},
        {SLICE("/x?%6eame=SECRET"), "path=\"/x?%6eame=*\""},
        {SLICE("/x?a=SECRET?name=SECRET"), "path=\"/x?a=*\""},
        {SLICE("/x?a=SECRET;name=SECRET"), "path=\"/x?a=*\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conn conn = make_conn(cases[i].target);
        assert_true(log_of(&conn) > 0);
        assert_null(strstr(line, "SECRET"));
        assert_field(cases[i].path);
        arena_reset(&conn.arena);
    }
}

static void headers_are_never_shown(void **state) {
    (void)state;
    static const struct filter_header headers[] = {
        {SLICE("X-Registry-Auth"), SLICE("SECRET")},
        {SLICE("Authorization"), SLICE("SECRET")},
    };
    struct conn conn = make_conn(SLICE("/images/create?fromImage=x"));
    conn.request.head = SLICE("POST / HTTP/1.1\r\nX-Registry-Auth: SECRET\r\n\r\n");
    conn.request.http.judged.headers = headers;
    conn.request.http.judged.header_count = 2;
    assert_true(log_of(&conn) > 0);
    assert_null(strstr(line, "SECRET"));
    assert_null(strstr(line, "Registry"));
    arena_reset(&conn.arena);
}

static void strangers_bytes_cannot_forge_a_line(void **state) {
    (void)state;
    struct conn conn = make_conn(SLICE("/a\r\nlevel=info event=\"x\" \x1b[2J\xff"));
    conn.request.http.judged.method = SLICE("GET\nX");
    conn.request.verdict.rule = NULL;
    assert_true(log_of(&conn) > 0);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    for (const char *c = line; *c != '\n'; c++)
        assert_true((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
    assert_field("method=\"GET\\u000aX\"");
    assert_null(strstr(line, " rule="));
    arena_reset(&conn.arena);
}

/* An endless target takes only so much of the line; the fields after it are there. */
static void a_long_target_is_cut(void **state) {
    (void)state;
    enum { LONG = 100000 };
    char *target = malloc(LONG);
    assert_non_null(target);
    static const char fills[] = {'a', '&', '=', '\x01', '?'};
    for (size_t i = 0; i < sizeof fills; i++) {
        memset(target, fills[i], LONG);
        memcpy(target, "/x?", 3);
        struct conn conn = make_conn(slice_of(target, LONG));
        conn.request.http.judged.method = slice_of(target, LONG);
        assert_true(log_of(&conn) > 0);
        assert_true(strlen(line) <= sizeof(((struct log_record *)0)->text));
        assert_field("verdict=allow");
        assert_field("status=200");
        arena_reset(&conn.arena);
    }
    free(target);
}

static void before_a_head_there_is_no_method(void **state) {
    (void)state;
    struct conn conn = make_conn(slice_of(NULL, 0));
    conn.request.http.judged.method = slice_of(NULL, 0);
    conn.request.verdict =
        (struct filter_verdict){.decision = FILTER_BAD_REQUEST, .rule = "http.head"};
    conn.request.status = 400;
    assert_true(log_of(&conn) > 0);
    assert_null(strstr(line, " method="));
    assert_null(strstr(line, " path="));
    assert_field("rule=http.head");
    arena_reset(&conn.arena);
}

static void a_request_never_judged_has_no_verdict(void **state) {
    (void)state;
    struct conn conn = make_conn(SLICE("/info"));
    conn.request.verdict = (struct filter_verdict){0};
    conn.request.status = 408;
    assert_true(log_of(&conn) > 0);
    assert_field("verdict=none");
    arena_reset(&conn.arena);
}

static void a_flood_of_refusals_is_cut_and_counted(void **state) {
    (void)state;
    struct log_limit limit = {0};
    uint64_t suppressed = 0;
    for (int i = 0; i < LOG_LIMIT_LINES; i++)
        assert_true(log_limit_pass(&limit, 5000, &suppressed));
    assert_false(log_limit_pass(&limit, 5999, &suppressed));
    assert_false(log_limit_pass(&limit, 5999, &suppressed));
    assert_true(log_limit_pass(&limit, 6000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_limit_pass(&limit, 6000, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void a_target_that_is_no_path_is_not_shown(void **state) {
    (void)state;
    struct conn conn = make_conn(SLICE("http://user:secret@engine/info"));
    assert_true(log_of(&conn) > 0);
    assert_null(strstr(line, "secret"));
    assert_field("path=\"(not a path)\"");
    arena_reset(&conn.arena);
}

int main(void) {
    log_configure(LOG_INFO, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_leaves_one_line),
        cmocka_unit_test(refusals_and_faults_are_warnings),
        cmocka_unit_test(only_harmless_values_are_shown),
        cmocka_unit_test(headers_are_never_shown),
        cmocka_unit_test(strangers_bytes_cannot_forge_a_line),
        cmocka_unit_test(a_long_target_is_cut),
        cmocka_unit_test(before_a_head_there_is_no_method),
        cmocka_unit_test(a_request_never_judged_has_no_verdict),
        cmocka_unit_test(a_flood_of_refusals_is_cut_and_counted),
        cmocka_unit_test(a_target_that_is_no_path_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
