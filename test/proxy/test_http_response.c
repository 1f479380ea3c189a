/* Heads of responses; those of requests are in test_http.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/http.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { REFUSED = 0, SOUND = 1 };
enum { HIJACKS = FILTER_HIJACK_RAW, HIJACK_MASK = 15, TO_HEAD = 16 };

struct response_case {
    struct slice head;
    unsigned flags;
    int sound;
    enum framing_kind kind;
    uint64_t length;
    bool keep_alive, interim, hijack;
};

static void check_response(const struct response_case *c) {
    struct arena arena = {0};
    struct http_request request = {.is_head = (c->flags & TO_HEAD) != 0};
    struct http_response response;
    const char *fault = http_response_parse(
        c->head, &request, (enum filter_hijack)(c->flags & HIJACK_MASK), &response, &arena);
    if ((fault == NULL) != c->sound || (fault == NULL && response.hijack != c->hijack))
        print_error("%s: %.*s\n", fault == NULL ? "accepted" : fault, SLICE_ARGS(c->head));
    assert_int_equal(fault == NULL, c->sound);
    if (fault == NULL) {
        assert_int_equal(response.framing.kind, c->kind);
        if (c->kind == FRAMING_LENGTH)
            assert_true(response.framing.left == c->length);
        assert_int_equal(response.keep_alive, c->keep_alive);
        assert_int_equal(response.interim, c->interim);
        assert_int_equal(response.hijack, c->hijack);
    }
    arena_reset(&arena);
}

#define OK_HEAD(x)  SLICE("HTTP/1.1 200 OK\r\n" x "\r\n")
#define SWITCH(x)   SLICE("HTTP/1.1 101 UPGRADED\r\n" x "\r\n")
#define RAW         "Content-Type: application/vnd.docker.raw-stream\r\n"
#define MULTIPLEXED "Content-Type: application/vnd.docker.multiplexed-stream\r\n"
#define UPGRADE(x)  "Connection: Upgrade\r\nUpgrade: " x "\r\n"

static void bodies_of_responses(void **state) {
    (void)state;
    static const struct response_case cases[] = {
        {OK_HEAD("Content-Length: 5\r\n"), 0, SOUND, FRAMING_LENGTH, 5, true, false, false},
        {OK_HEAD("Content-Length: 0\r\n"), 0, SOUND, FRAMING_LENGTH, 0, true, false, false},
        {OK_HEAD("Transfer-Encoding: chunked\r\n"), 0, SOUND, FRAMING_CHUNKED, 0, true, false,
         false},
        {OK_HEAD(""), 0, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {OK_HEAD("Connection: close\r\n"), 0, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {OK_HEAD("Connection: close\r\nContent-Length: 5\r\n"), 0, SOUND, FRAMING_LENGTH, 5, false,
         false, false},
        {OK_HEAD("Connection: close\r\nTransfer-Encoding: chunked\r\n"), 0, SOUND, FRAMING_CHUNKED,
         0, false, false, false},
        {SLICE("HTTP/1.0 200 OK\r\n\r\n"), 0, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {SLICE("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), 0, SOUND, FRAMING_LENGTH, 5, false,
         false, false},
        {SLICE("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n"), 0, SOUND, FRAMING_LENGTH, 2,
         true, false, false},
        {SLICE("HTTP/1.1 599 \r\nContent-Length: 2\r\n\r\n"), 0, SOUND, FRAMING_LENGTH, 2, true,
         false, false},
        /* No body, whatever the header says. */
        {SLICE("HTTP/1.1 204 No Content\r\n\r\n"), 0, SOUND, FRAMING_NONE, 0, true, false, false},
        {SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), 0, SOUND, FRAMING_NONE, 0,
         true, false, false},
        {SLICE("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, SOUND,
         FRAMING_NONE, 0, true, false, false},
        {SLICE("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"), 0, SOUND, FRAMING_NONE, 0,
         false, false, false},
        {SLICE("HTTP/1.1 304 Not Modified\r\n\r\n"), 0, SOUND, FRAMING_NONE, 0, true, false, false},
        {SLICE("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), 0, SOUND, FRAMING_NONE, 0,
         true, false, false},
        {OK_HEAD("Content-Length: 5\r\n"), TO_HEAD, SOUND, FRAMING_NONE, 0, true, false, false},
        {OK_HEAD("Transfer-Encoding: chunked\r\n"), TO_HEAD, SOUND, FRAMING_NONE, 0, true, false,
         false},
        {OK_HEAD(""), TO_HEAD, SOUND, FRAMING_NONE, 0, true, false, false},
        {OK_HEAD("Connection: close\r\n"), TO_HEAD, SOUND, FRAMING_NONE, 0, false, false, false},
        /* Interim ones: another head follows. */
        {SLICE("HTTP/1.1 100 Continue\r\n\r\n"), 0, SOUND, FRAMING_NONE, 0, true, true, false},
        {SLICE("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), 0, SOUND, FRAMING_NONE, 0, true,
         true, false},
        {SLICE("HTTP/1.1 102 Processing\r\n\r\n"), HIJACKS, SOUND, FRAMING_NONE, 0, true, true,
         false},
        {SLICE("HTTP/1.1 199 x\r\n\r\n"), TO_HEAD, SOUND, FRAMING_NONE, 0, true, true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_response(&cases[i]);
}

static void odd_responses_are_refused(void **state) {
    (void)state;
    static const struct slice heads[] = {
        SLICE(""),
        SLICE("\r\nHTTP/1.1 200 OK\r\n\r\n"),
        SLICE("HTTP/1.1 200 OK\n\n"),
        SLICE("HTTP/1.1 200 OK\r\nX: a\n\r\n"),
        SLICE("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"),
        SLICE("HTTP/1.1 200 OK\r\nX : a\r\n\r\n"),
        SLICE("HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n"),
        SLICE("HTTP/1.1 200 O\x01K\r\n\r\n"),
        SLICE("HTTP/1.1 200 OK\r\nX: a\r\n"),
        SLICE("HTTP/1.1 20 OK\r\n\r\n"),
        SLICE("HTTP/1.1 2000 OK\r\n\r\n"),
        SLICE("HTTP/1.1 099 OK\r\n\r\n"),
        SLICE("HTTP/1.1 000 OK\r\n\r\n"),
        SLICE("HTTP/1.1 600 OK\r\n\r\n"),
        SLICE("HTTP/1.1 999 OK\r\n\r\n"),
        SLICE("HTTP/1.1 2x0 OK\r\n\r\n"),
        SLICE("HTTP/1.1  200 OK\r\n\r\n"),
        SLICE("HTTP/2.0 200 OK\r\n\r\n"),
        SLICE("HTTP/0.9 200 OK\r\n\r\n"),
        SLICE("HTTP/1.2 200 OK\r\n\r\n"),
        SLICE("ICY 200 OK\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        OK_HEAD("Content-Length: 5\r\nContent-Length: 5\r\n"),
        OK_HEAD("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        OK_HEAD("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        OK_HEAD("Content-Length: +5\r\n"),
        OK_HEAD("Content-Length: 5,5\r\n"),
        OK_HEAD("Content-Length:\r\n"),
        OK_HEAD("Content-Length: 99999999999999999999\r\n"),
        OK_HEAD("Transfer-Encoding: gzip, chunked\r\n"),
        OK_HEAD("Transfer-Encoding: identity\r\n"),
        OK_HEAD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        SLICE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    };
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct response_case refused = {.head = heads[i], .sound = REFUSED};
        check_response(&refused);
        refused.flags = HIJACKS;
        check_response(&refused);
        refused.flags = TO_HEAD;
        check_response(&refused);
    }
}

static void only_the_engines_own_answer_is_a_hijack(void **state) {
    (void)state;
    static const struct response_case cases[] = {
        /* 101, for a request that may hijack. */
        {SWITCH(RAW UPGRADE("tcp")), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, true},
        {SWITCH(UPGRADE("h2c")), FILTER_HIJACK_H2C, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false,
         true},
        {SWITCH(UPGRADE("websocket")), FILTER_HIJACK_WEBSOCKET, SOUND, FRAMING_UNTIL_CLOSE, 0,
         false, false, true},
        {SWITCH(UPGRADE("TCP")), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, true},
        {SWITCH("connection: keep-alive, upgrade\r\nupgrade: tcp\r\n"), HIJACKS, SOUND,
         FRAMING_UNTIL_CLOSE, 0, false, false, true},
        /* ... and what is not quite one. */
        {SWITCH(UPGRADE("tcp")), 0, REFUSED, 0, 0, false, false, false},
        {SWITCH(UPGRADE("h2c")), 0, REFUSED, 0, 0, false, false, false},
        {SWITCH(RAW), HIJACKS, REFUSED, 0, 0, false, false, false},
        {SWITCH(""), HIJACKS, REFUSED, 0, 0, false, false, false},
        {SWITCH("Upgrade: tcp\r\n"), HIJACKS, REFUSED, 0, 0, false, false, false},
        {SWITCH("Connection: close\r\nUpgrade: tcp\r\n"), HIJACKS, REFUSED, 0, 0, false, false,
         false},
        {SWITCH(UPGRADE("h2")), HIJACKS, REFUSED, 0, 0, false, false, false},
        {SWITCH(UPGRADE("tcp, h2c")), HIJACKS, REFUSED, 0, 0, false, false, false},
        {SWITCH(UPGRADE("tcp") "Upgrade: tcp\r\n"), HIJACKS, REFUSED, 0, 0, false, false, false},
        {SWITCH(UPGRADE("tcp") "Content-Length: 0\r\n"), HIJACKS, REFUSED, 0, 0, false, false,
         false},
        {SWITCH(UPGRADE("tcp") "Transfer-Encoding: chunked\r\n"), HIJACKS, REFUSED, 0, 0, false,
         false, false},
        /* 200 with a raw stream and no length. */
        {OK_HEAD(RAW), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, true},
        {OK_HEAD(MULTIPLEXED), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, true},
        {OK_HEAD("content-type: Application/vnd.Docker.raw-stream\r\n"), HIJACKS, SOUND,
         FRAMING_UNTIL_CLOSE, 0, false, false, true},
        /* Logs have the same type but are an ordinary, chunked body. */
        {OK_HEAD(RAW "Transfer-Encoding: chunked\r\n"), HIJACKS, SOUND, FRAMING_CHUNKED, 0, true,
         false, false},
        {OK_HEAD(RAW "Transfer-Encoding: chunked\r\n"), 0, SOUND, FRAMING_CHUNKED, 0, true, false,
         false},
        {OK_HEAD(MULTIPLEXED "Transfer-Encoding: chunked\r\n"), 0, SOUND, FRAMING_CHUNKED, 0, true,
         false, false},
        {OK_HEAD(RAW "Content-Length: 5\r\n"), HIJACKS, SOUND, FRAMING_LENGTH, 5, true, false,
         false},
        {OK_HEAD(MULTIPLEXED "Content-Length: 0\r\n"), HIJACKS, SOUND, FRAMING_LENGTH, 0, true,
         false, false},
        {OK_HEAD(RAW), 0, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {OK_HEAD(MULTIPLEXED), 0, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {OK_HEAD("Content-Type: application/json\r\n"), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0,
         false, false, false},
        {OK_HEAD("Content-Type: application/vnd.docker.raw-stream2\r\n"), HIJACKS, SOUND,
         FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {OK_HEAD(RAW RAW), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {OK_HEAD(""), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        {OK_HEAD(UPGRADE("tcp")), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0, false, false, false},
        /* Errors, in the same type or not, are none. */
        {SLICE("HTTP/1.1 404 Not Found\r\n" RAW "\r\n"), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0,
         false, false, false},
        {SLICE("HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\n" UPGRADE("tcp") "\r\n"), HIJACKS,
         SOUND, FRAMING_LENGTH, 5, true, false, false},
        {SLICE("HTTP/1.1 201 Created\r\n" RAW "\r\n"), HIJACKS, SOUND, FRAMING_UNTIL_CLOSE, 0,
         false, false, false},
        {SLICE("HTTP/1.1 204 No Content\r\n" RAW "\r\n"), HIJACKS, SOUND, FRAMING_NONE, 0, true,
         false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_response(&cases[i]);
}

/* The engine switches to what the endpoint is for, or the answer is none. */
static void each_endpoint_has_its_own_protocol(void **state) {
    (void)state;
    static const struct {
        enum filter_hijack hijack;
        struct slice head;
    } switches[] = {
        {FILTER_HIJACK_RAW, SWITCH(UPGRADE("tcp"))},
        {FILTER_HIJACK_WEBSOCKET, SWITCH(UPGRADE("websocket"))},
        {FILTER_HIJACK_H2C, SWITCH(UPGRADE("h2c"))},
    };
    for (size_t i = 0; i < COUNT(switches); i++) {
        for (size_t j = 0; j < COUNT(switches); j++) {
            const struct response_case c = {.head = switches[i].head,
                                            .flags = switches[j].hijack,
                                            .sound = i == j,
                                            .kind = FRAMING_UNTIL_CLOSE,
                                            .hijack = true};
            check_response(&c);
        }
        /* The answer without an upgrade exists for raw streams alone. */
        const struct response_case raw = {.head = OK_HEAD(RAW),
                                          .flags = switches[i].hijack,
                                          .sound = SOUND,
                                          .kind = FRAMING_UNTIL_CLOSE,
                                          .hijack = switches[i].hijack == FILTER_HIJACK_RAW};
        check_response(&raw);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_responses),
        cmocka_unit_test(odd_responses_are_refused),
        cmocka_unit_test(only_the_engines_own_answer_is_a_hijack),
        cmocka_unit_test(each_endpoint_has_its_own_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
