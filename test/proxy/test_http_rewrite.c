/* A changed request has the old one's head but for the target, and one framing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/http.h"
#include "proxy/http_rewrite.h"

static void check(const char *head, const char *target, const char *body, const char *expected) {
    struct arena arena = {0};
    struct http_request request;
    struct slice payload = body == NULL ? slice_of(NULL, 0) : slice_from_string(body);
    size_t head_len = 0;
    assert_null(http_request_parse(slice_from_string(head), &request, &arena));
    struct slice text = http_rewrite(slice_from_string(head), slice_from_string(target),
                                     body == NULL ? NULL : &payload, &arena, &head_len);
    char shown[1024];
    snprintf(shown, sizeof shown, "%.*s", SLICE_ARGS(text));
    assert_string_equal(shown, expected);
    assert_int_equal(head_len, text.len - payload.len);
    assert_null(http_request_parse(slice_first(text, head_len), &request, &arena));
    if (body != NULL)
        assert_int_equal(request.framing.left, payload.len);
    arena_reset(&arena);
}

static void only_the_target_changes(void **state) {
    (void)state;
    check("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", "/c", NULL, "GET /c HTTP/1.1\r\nHost: x\r\n\r\n");
    check("PUT /a HTTP/1.1\r\nhost:x\r\ntransfer-encoding: chunked\r\nX:  y \r\n\r\n",
          "/longer/one", NULL,
          "PUT /longer/one HTTP/1.1\r\nhost:x\r\ntransfer-encoding: chunked\r\nX:  y \r\n\r\n");
    check("GET /a HTTP/1.0\r\n\r\n", "/b", NULL, "GET /b HTTP/1.0\r\n\r\n");
}

static void a_body_has_one_framing(void **state) {
    (void)state;
    check("POST /a HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\nX: y\r\n\r\n", "/a", "{\"b\":1}",
          "POST /a HTTP/1.1\r\nHost: x\r\nX: y\r\nContent-Length: 7\r\n\r\n{\"b\":1}");
    check("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: Z\r\nHost: x\r\n\r\n", "/b",
          "", "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    /* Names that only begin alike stay. */
    check("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length-X: 2\r\nX-Trailer: z\r\n\r\n", "/a", "x",
          "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length-X: 2\r\nX-Trailer: z\r\n"
          "Content-Length: 1\r\n\r\nx");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_target_changes),
        cmocka_unit_test(a_body_has_one_framing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
