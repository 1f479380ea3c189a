#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- the end of a head --- */

static void the_end_of_a_head_is_found_however_it_comes(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t end; /* 0: none */
    } cases[] = {
        {"", 0},
        {"\r", 0},
        {"\r\n", 0},
        {"\r\n\r\n", 4},
        {"\n\n", 2},
        {"\n\r\n", 3},
        {"\n\r\r\n", 0},
        {"\r\n\rx\n", 0},
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", 27},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\n", 0},
        {"GET / HTTP/1.1\nHost: a\n\nx", 24},
        {"GET / HTTP/1.1\nHost: a\n\r\nx", 25},
        {"a\r\n \r\n\r\n", 8},
        {"a\r\rb\r\n\r\n", 8},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice all = slice_from_string(cases[i].bytes);
        size_t seen = 0;
        assert_int_equal(http_head_end(all, &seen), cases[i].end);
        /* One byte at a time, and cut in two at each place. */
        seen = 0;
        size_t end = 0;
        for (size_t len = 1; len <= all.len && end == 0; len++)
            end = http_head_end(slice_first(all, len), &seen);
        assert_int_equal(end, cases[i].end);
        for (size_t cut = 0; cut <= all.len; cut++) {
            seen = 0;
            end = http_head_end(slice_first(all, cut), &seen);
            if (end == 0)
                end = http_head_end(all, &seen);
            assert_int_equal(end, cases[i].end);
        }
    }
}

static void no_byte_is_searched_twice(void **state) {
    (void)state;
    /* With every byte looked at on each call this would take 10^11 steps. */
    enum { LENGTH = 400000 };
    char *data = malloc(LENGTH);
    assert_non_null(data);
    memset(data, 'a', LENGTH);
    size_t seen = 0;
    for (size_t len = 1; len <= LENGTH; len++) {
        assert_int_equal(http_head_end(slice_of(data, len), &seen), 0);
        assert_int_equal(seen, len);
    }
    free(data);
}

/* --- requests --- */

#define HEAD_REST "\r\nHost: a\r\n\r\n"
#define LINE      "GET / HTTP/1.1\r\n"
#define FIELDS(x) LINE "Host: a\r\n" x "\r\n"
#define POST(x)   "POST / HTTP/1.1\r\nHost: a\r\n" x "\r\n"

/* A copy of exact size, so that a read past the end is noticed by the sanitizers. */
static const char *parse_request(struct slice bytes, struct http_request *request,
                                 struct arena *arena) {
    char *copy = malloc(bytes.len + !bytes.len);
    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    const char *fault = http_request_parse(slice_of(copy, bytes.len), request, arena);
    free(copy); /* the slices dangle; callers that follow them parse on their own */
    return fault;
}

static void check_request(struct slice head, bool sound) {
    struct arena arena = {0};
    struct http_request request;
    const char *fault = parse_request(head, &request, &arena);
    if ((fault == NULL) != sound)
        print_error("%s: %.*s\n", fault == NULL ? "accepted" : fault, SLICE_ARGS(head));
    assert_int_equal(fault == NULL, sound);
    if (fault != NULL)
        assert_true(strlen(fault) > 0);
    arena_reset(&arena);
}

static void sound_requests_pass(void **state) {
    (void)state;
    static const struct slice heads[] = {
        SLICE(LINE "Host: a\r\n\r\n"),
        SLICE(LINE "host:a\r\n\r\n"),
        SLICE(LINE "HOST: \t a \t \r\n\r\n"),
        SLICE(LINE "Host:\r\n\r\n"),
        SLICE("GET /a?b=c%20d&e HTTP/1.1" HEAD_REST),
        SLICE("HEAD /_ping HTTP/1.1" HEAD_REST),
        SLICE("PUT / HTTP/1.1" HEAD_REST),
        SLICE("DELETE / HTTP/1.1" HEAD_REST),
        SLICE("OPTIONS / HTTP/1.1" HEAD_REST),
        SLICE("GET / HTTP/1.0\r\n\r\n"),
        SLICE("GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
        SLICE("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n"),
        SLICE(FIELDS("X: a\tb  c\r\n")),
        SLICE(FIELDS("X: \xc3\xa9\xff\r\n")),
        SLICE(FIELDS("X:\r\nY: \r\nZ:\t\r\n")),
        SLICE(FIELDS("X-A: 1\r\nX-A: 2\r\n")),
        SLICE(FIELDS("!#$%&'*+-.^_`|~09azAZ: v\r\n")),
        SLICE(FIELDS("Upgrade: tcp\r\nConnection: Upgrade\r\n")),
        SLICE(POST("Content-Length: 0\r\n")),
        SLICE(POST("Content-Length: 5\r\n")),
        SLICE(POST("Content-Length:5\r\n")),
        SLICE(POST("content-length: \t5 \r\n")),
        SLICE(POST("Content-Length: 007\r\n")),
        SLICE(POST("Content-Length: 999999999999999999\r\n")),
        SLICE(POST("Transfer-Encoding: chunked\r\n")),
        SLICE(POST("transfer-encoding:CHUNKED \r\n")),
        SLICE(POST("Expect: 100-continue\r\nContent-Length: 5\r\n")),
        SLICE(POST("expect: 100-Continue\r\n")),
    };
    for (size_t i = 0; i < COUNT(heads); i++)
        check_request(heads[i], true);
}

static const struct slice odd_heads[] = {
    /* The request line. */
    SLICE(""),
    SLICE("\r\n"),
    SLICE("\n"),
    SLICE("\r\n" LINE "Host: a\r\n\r\n"),
    SLICE("\n" LINE "Host: a\r\n\r\n"),
    SLICE("GET\r\n\r\n"),
    SLICE("GET /\r\nHost: a\r\n\r\n"),
    SLICE("GET  / HTTP/1.1" HEAD_REST),
    SLICE("GET /  HTTP/1.1" HEAD_REST),
    SLICE("GET / HTTP/1.1 " HEAD_REST),
    SLICE(" GET / HTTP/1.1" HEAD_REST),
    SLICE("GET / a HTTP/1.1" HEAD_REST),
    SLICE("GET\t/ HTTP/1.1" HEAD_REST),
    SLICE("GET /\tHTTP/1.1" HEAD_REST),
    SLICE("GET /\ta HTTP/1.1" HEAD_REST),
    SLICE("GET  HTTP/1.1" HEAD_REST),
    SLICE("GET / HTTP/1.2" HEAD_REST),
    SLICE("GET / HTTP/0.9" HEAD_REST),
    SLICE("GET / HTTP/2.0" HEAD_REST),
    SLICE("GET / HTTP/3" HEAD_REST),
    SLICE("GET / HTTP/1.10" HEAD_REST),
    SLICE("GET / HTTP/01.1" HEAD_REST),
    SLICE("GET / HTTP/1" HEAD_REST),
    SLICE("GET / http/1.1" HEAD_REST),
    SLICE("GET / XHTTP/1.1" HEAD_REST),
    SLICE("GET / ICE/1.0" HEAD_REST),
    SLICE("GET / RTSP/1.0" HEAD_REST),
    SLICE("PRI * HTTP/2.0\r\n\r\n"),
    SLICE("get / HTTP/1.1" HEAD_REST),
    SLICE("G(T / HTTP/1.1" HEAD_REST),
    SLICE("GET\0 / HTTP/1.1" HEAD_REST),
    SLICE("GET /\0 HTTP/1.1" HEAD_REST),
    SLICE("GET /\x01 HTTP/1.1" HEAD_REST),
    SLICE("GET /\x7f HTTP/1.1" HEAD_REST),
    /* Line ends. */
    SLICE("GET / HTTP/1.1\nHost: a\r\n\r\n"),
    SLICE("GET / HTTP/1.1\r\nHost: a\n\r\n"),
    SLICE("GET / HTTP/1.1\r\nHost: a\r\n\n"),
    SLICE("GET / HTTP/1.1\nHost: a\n\n"),
    SLICE(FIELDS("X: a\rb\r\n")),
    SLICE(FIELDS("X: a\r\r\n")),
    SLICE("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r"),
    SLICE("GET / HTTP/1.1\r\nHost: a\r\n"),
    SLICE("GET / HTTP/1.1\r\nHost: a"),
    SLICE("GET / HTTP/1.1\r\n"),
    /* Folding. */
    SLICE(FIELDS("X: a\r\n b\r\n")),
    SLICE(FIELDS("X: a\r\n\tb\r\n")),
    SLICE(FIELDS("X:\r\n b\r\n")),
    SLICE(LINE " Host: a\r\n\r\n"),
    SLICE(LINE "\tHost: a\r\n\r\n"),
    SLICE(FIELDS("X: a\r\n \r\n")),
    /* Names. */
    SLICE(LINE "Host : a\r\n\r\n"),
    SLICE(LINE "Host\t: a\r\n\r\n"),
    SLICE(FIELDS("Content-Length : 5\r\n")),
    SLICE(FIELDS(": a\r\n")),
    SLICE(FIELDS("X\r\n")),
    SLICE(FIELDS("X y: a\r\n")),
    SLICE(FIELDS("X(: a\r\n")),
    SLICE(FIELDS("X\xc3\xa9: a\r\n")),
    SLICE(FIELDS("X\0: a\r\n")),
    /* Control bytes in values. */
    SLICE(FIELDS("X: a\0b\r\n")),
    SLICE(FIELDS("X: \x01\r\n")),
    SLICE(FIELDS("X: \x0b\r\n")),
    SLICE(FIELDS("X: \x0c\r\n")),
    SLICE(FIELDS("X: \x1f\r\n")),
    SLICE(FIELDS("X: \x7f\r\n")),
    /* Host. */
    SLICE(LINE "\r\n"),
    SLICE(LINE "Accept: a\r\n\r\n"),
    SLICE(FIELDS("Host: a\r\n")),
    SLICE(FIELDS("hOST: b\r\n")),
    SLICE("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    /* Lengths. */
    SLICE(POST("Content-Length:\r\n")),
    SLICE(POST("Content-Length: \r\n")),
    SLICE(POST("Content-Length: -1\r\n")),
    SLICE(POST("Content-Length: +5\r\n")),
    SLICE(POST("Content-Length: 5 5\r\n")),
    SLICE(POST("Content-Length: 5,5\r\n")),
    SLICE(POST("Content-Length: 5, 5\r\n")),
    SLICE(POST("Content-Length: 0x5\r\n")),
    SLICE(POST("Content-Length: 5a\r\n")),
    SLICE(POST("Content-Length: 5.0\r\n")),
    SLICE(POST("Content-Length: \"5\"\r\n")),
    SLICE(POST("Content-Length: 1000000000000000000\r\n")),
    SLICE(POST("Content-Length: 18446744073709551615\r\n")),
    SLICE(POST("Content-Length: 18446744073709551621\r\n")),
    SLICE(POST("Content-Length: 99999999999999999999999999\r\n")),
    SLICE(POST("Content-Length: 5\r\nContent-Length: 5\r\n")),
    SLICE(POST("Content-Length: 5\r\nContent-Length: 6\r\n")),
    SLICE(POST("Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n")),
    /* Codings. */
    SLICE(POST("Transfer-Encoding:\r\n")),
    SLICE(POST("Transfer-Encoding: identity\r\n")),
    SLICE(POST("Transfer-Encoding: gzip\r\n")),
    SLICE(POST("Transfer-Encoding: gzip, chunked\r\n")),
    SLICE(POST("Transfer-Encoding: chunked, gzip\r\n")),
    SLICE(POST("Transfer-Encoding: chunked, chunked\r\n")),
    SLICE(POST("Transfer-Encoding: chunked,\r\n")),
    SLICE(POST("Transfer-Encoding: ,chunked\r\n")),
    SLICE(POST("Transfer-Encoding: xchunked\r\n")),
    SLICE(POST("Transfer-Encoding: chunkedx\r\n")),
    SLICE(POST("Transfer-Encoding: chunked;q=1\r\n")),
    SLICE(POST("Transfer-Encoding: \"chunked\"\r\n")),
    SLICE(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
    SLICE(POST("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n")),
    SLICE(POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
    SLICE(POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
    SLICE(POST("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")),
    SLICE(POST("Content-Length: 5\r\nTransfer-Encoding: identity\r\n")),
    SLICE("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
    /* Expect. */
    SLICE(POST("Expect:\r\n")),
    SLICE(POST("Expect: 200-ok\r\n")),
    SLICE(POST("Expect: 100-continue, x\r\n")),
    SLICE(POST("Expect: 100-continue\r\nExpect: 100-continue\r\n")),
    /* Another protocol. */
    SLICE(POST("HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n")),
    /* Bytes after the head. */
    SLICE("GET / HTTP/1.1\r\nHost: a\r\nX"),
};

static void odd_requests_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(odd_heads); i++)
        check_request(odd_heads[i], false);
}

static void a_head_cut_short_is_never_sound(void **state) {
    (void)state;
    static const char head[] = "POST /containers/create?name=x HTTP/1.1\r\nHost: docker\r\n"
                               "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n";
    for (size_t len = 0; len < sizeof head - 1; len++)
        check_request(slice_of(head, len), false);
    check_request(SLICE(head), true);
}

/* Each byte value at each place of a small head: what is accepted has no control byte in it, and no
 * line that another reader could see where this one does not. */
static void no_byte_slips_into_an_accepted_head(void **state) {
    (void)state;
    static const char sound[] = "GET /a HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n";
    char head[sizeof sound];
    for (size_t at = 0; at < sizeof sound - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct arena arena = {0};
            struct http_request request;
            memcpy(head, sound, sizeof sound);
            head[at] = (char)byte;
            if (http_request_parse(slice_of(head, sizeof sound - 1), &request, &arena) == NULL) {
                bool text = byte >= 0x20 && byte != 0x7f;
                assert_true(text || byte == '\t' || head[at] == sound[at]);
                assert_true((byte != '\r' && byte != '\n') || head[at] == sound[at]);
                assert_int_equal(request.judged.header_count, 2);
                assert_int_equal(request.framing.kind, FRAMING_NONE);
            }
            arena_reset(&arena);
        }
    }
}

static void the_number_of_header_lines_is_bounded(void **state) {
    (void)state;
    static char head[16384];
    for (size_t count = HTTP_MAX_HEADERS - 1; count <= HTTP_MAX_HEADERS + 2; count++) {
        size_t len = (size_t)sprintf(head, LINE "Host: a\r\n");
        for (size_t i = 1; i < count; i++)
            len += (size_t)sprintf(head + len, "X-%zu: %zu\r\n", i, i);
        len += (size_t)sprintf(head + len, "\r\n");
        check_request(slice_of(head, len), count <= HTTP_MAX_HEADERS);

        len = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\n");
        for (size_t i = 0; i < count; i++)
            len += (size_t)sprintf(head + len, "X-%zu:\r\n", i);
        len += (size_t)sprintf(head + len, "\r\n");
        struct arena arena = {0};
        struct http_request request = {0};
        struct http_response response;
        const char *fault = http_response_parse(slice_of(head, len), &request, FILTER_HIJACK_NONE,
                                                &response, &arena);
        assert_int_equal(fault == NULL, count <= HTTP_MAX_HEADERS);
        arena_reset(&arena);
    }
}

static void a_request_is_taken_apart(void **state) {
    (void)state;
    struct arena arena = {0};
    struct http_request request;
    struct slice head = SLICE("POST /v1.41/x?a=%20b HTTP/1.1\r\nHost:docker\r\nX-Empty:\r\n"
                              "x-Pad: \t one two\t \r\nContent-Length: 42\r\n\r\n");
    assert_null(http_request_parse(head, &request, &arena));
    const struct filter_request *judged = &request.judged;
    assert_true(slice_equal(judged->method, SLICE("POST")));
    assert_true(slice_equal(judged->target, SLICE("/v1.41/x?a=%20b")));
    static const struct filter_header expected[] = {
        {SLICE("Host"), SLICE("docker")},
        {SLICE("X-Empty"), SLICE("")},
        {SLICE("x-Pad"), SLICE("one two")},
        {SLICE("Content-Length"), SLICE("42")},
    };
    assert_int_equal(judged->header_count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(slice_equal(judged->headers[i].name, expected[i].name));
        assert_true(slice_equal(judged->headers[i].value, expected[i].value));
    }
    /* What is judged is what is sent: the very bytes. */
    assert_ptr_equal(judged->method.data, head.data);
    assert_ptr_equal(judged->target.data, head.data + 5);
    assert_true(judged->may_have_body);
    assert_int_equal(request.framing.kind, FRAMING_LENGTH);
    assert_int_equal(request.framing.left, 42);
    arena_reset(&arena);
}

static void bodies_and_connections_of_requests(void **state) {
    (void)state;
    static const struct {
        struct slice head;
        enum framing_kind kind;
        uint64_t length;
        bool body, keep_alive, expects, is_head;
    } cases[] = {
        {SLICE(FIELDS("")), FRAMING_NONE, 0, false, true, false, false},
        {SLICE(POST("")), FRAMING_NONE, 0, false, true, false, false},
        {SLICE("HEAD / HTTP/1.1" HEAD_REST), FRAMING_NONE, 0, false, true, false, true},
        {SLICE(POST("Content-Length: 0\r\n")), FRAMING_LENGTH, 0, false, true, false, false},
        {SLICE(POST("Content-Length: 1\r\n")), FRAMING_LENGTH, 1, true, true, false, false},
        {SLICE(POST("Content-Length: 999999999999999999\r\n")), FRAMING_LENGTH,
         UINT64_C(999999999999999999), true, true, false, false},
        {SLICE(FIELDS("Content-Length: 7\r\n")), FRAMING_LENGTH, 7, true, true, false, false},
        {SLICE(POST("Transfer-Encoding: Chunked\r\n")), FRAMING_CHUNKED, 0, true, true, false,
         false},
        {SLICE(POST("Expect: 100-continue\r\nContent-Length: 3\r\n")), FRAMING_LENGTH, 3, true,
         true, true, false},
        {SLICE(FIELDS("Connection: close\r\n")), FRAMING_NONE, 0, false, false, false, false},
        {SLICE(FIELDS("connection: Close\r\n")), FRAMING_NONE, 0, false, false, false, false},
        {SLICE(FIELDS("Connection: keep-alive, close\r\n")), FRAMING_NONE, 0, false, false, false,
         false},
        {SLICE(FIELDS("Connection: Upgrade ,\tclose ,x\r\n")), FRAMING_NONE, 0, false, false, false,
         false},
        {SLICE(FIELDS("Connection: x\r\nConnection: close\r\n")), FRAMING_NONE, 0, false, false,
         false, false},
        {SLICE(FIELDS("Connection: closed\r\n")), FRAMING_NONE, 0, false, true, false, false},
        {SLICE(FIELDS("Connection: Upgrade\r\nUpgrade: tcp\r\n")), FRAMING_NONE, 0, false, true,
         false, false},
        {SLICE(FIELDS("X-Connection: close\r\n")), FRAMING_NONE, 0, false, true, false, false},
        {SLICE("GET / HTTP/1.0\r\n\r\n"), FRAMING_NONE, 0, false, false, false, false},
        {SLICE("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), FRAMING_NONE, 0, false, false,
         false, false},
        {SLICE("POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\n"), FRAMING_LENGTH, 9, true, false,
         false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct http_request request;
        assert_null(http_request_parse(cases[i].head, &request, &arena));
        assert_int_equal(request.framing.kind, cases[i].kind);
        if (cases[i].kind == FRAMING_LENGTH)
            assert_true(request.framing.left == cases[i].length);
        assert_int_equal(request.framing.done, !cases[i].body);
        assert_int_equal(request.judged.may_have_body, cases[i].body);
        assert_int_equal(request.keep_alive, cases[i].keep_alive);
        assert_int_equal(request.expects_continue, cases[i].expects);
        assert_int_equal(request.is_head, cases[i].is_head);
        arena_reset(&arena);
    }
}

static void reasons_are_named(void **state) {
    (void)state;
    static const unsigned statuses[] = {400, 403, 408, 413, 417, 431, 500, 502, 503, 504};
    for (size_t i = 0; i < COUNT(statuses); i++)
        assert_string_not_equal(http_reason(statuses[i]), http_reason(999));
    assert_string_equal(http_reason(403), "Forbidden");
    assert_string_equal(http_reason(502), "Bad Gateway");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_head_is_found_however_it_comes),
        cmocka_unit_test(no_byte_is_searched_twice),
        cmocka_unit_test(sound_requests_pass),
        cmocka_unit_test(odd_requests_are_refused),
        cmocka_unit_test(a_head_cut_short_is_never_sound),
        cmocka_unit_test(no_byte_slips_into_an_accepted_head),
        cmocka_unit_test(the_number_of_header_lines_is_bounded),
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(bodies_and_connections_of_requests),
        cmocka_unit_test(reasons_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
