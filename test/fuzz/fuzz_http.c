/* Heads of requests and responses. Whatever is accepted must read the same by a plain split at
 * CRLF, and its framing must be what the lines say: anything else is a way to smuggle.
 *
 * The input: one byte of switches, then the bytes from the wire. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESPONSE = 1, TO_HEAD = 2, HIJACKS = 4 };

static void require(bool truth) {
    if (!truth)
        abort();
}

/* The end is found in the same place however the bytes come. */
static size_t find_end(struct slice wire) {
    size_t seen = 0;
    size_t whole = http_head_end(wire, &seen);
    seen = 0;
    size_t end = 0;
    for (size_t len = 0; len <= wire.len && end == 0; len++) {
        end = http_head_end(slice_first(wire, len), &seen);
        require(end == 0 || end == len);
    }
    require(end == whole);
    return whole;
}

static struct slice take_line(struct slice *rest) {
    const char *lf = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    require(lf != NULL && lf > rest->data && lf[-1] == '\r');
    struct slice line = slice_first(*rest, (size_t)(lf - 1 - rest->data));
    require(memchr(line.data, '\r', line.len) == NULL && memchr(line.data, '\0', line.len) == NULL);
    *rest = slice_from(*rest, line.len + 2);
    return line;
}

static size_t count_lines(struct slice rest, const char *name, struct slice *value) {
    size_t count = 0;
    for (struct slice line = take_line(&rest); line.len > 0; line = take_line(&rest)) {
        const char *colon = memchr(line.data, ':', line.len);
        require(colon != NULL);
        struct slice found = slice_first(line, (size_t)(colon - line.data));
        require(found.len > 0 && found.data[found.len - 1] != ' ' && found.data[0] != ' ');
        if (name == NULL) {
            count++;
        } else if (slice_equal_ignoring_case(found, slice_from_string(name))) {
            count++;
            *value = slice_trim(slice_from(line, found.len + 1));
        }
    }
    return count;
}

static void check_framing(struct slice lines, const struct framing *framing, bool bodiless) {
    struct slice value = {0};
    size_t lengths = count_lines(lines, "Content-Length", &value);
    size_t codings = count_lines(lines, "Transfer-Encoding", &value);
    require(lengths + codings <= 1);
    if (bodiless) {
        require(framing->kind == FRAMING_NONE && framing->done);
    } else if (codings == 1) {
        require(framing->kind == FRAMING_CHUNKED && !framing->done);
        require(slice_equal_ignoring_case(value, SLICE("chunked")));
    } else if (lengths == 1) {
        char digits[32] = "";
        char *end = NULL;
        require(framing->kind == FRAMING_LENGTH && value.len > 0 && value.len < sizeof digits);
        memcpy(digits, value.data, value.len);
        require(digits[0] >= '0' && digits[0] <= '9');
        require(framing->left == strtoull(digits, &end, 10) && *end == '\0');
        require(framing->done == (framing->left == 0));
    } else {
        require(framing->kind == FRAMING_NONE || framing->kind == FRAMING_UNTIL_CLOSE);
    }
}

static void check_request(struct slice head, const struct http_request *request) {
    const struct filter_request *judged = &request->judged;
    struct slice lines = head;
    struct slice first = take_line(&lines);
    struct slice version = slice_from(first, judged->method.len + judged->target.len + 1);
    require(judged->method.data == first.data && judged->method.len > 0);
    require(judged->target.data == first.data + judged->method.len + 1 && judged->target.len > 0);
    require(slice_equal(version, SLICE(" HTTP/1.1")) || slice_equal(version, SLICE(" HTTP/1.0")));
    bool http_1_0 = slice_equal(version, SLICE(" HTTP/1.0"));

    struct slice rest = lines;
    require(count_lines(lines, NULL, NULL) == judged->header_count);
    require(judged->header_count <= HTTP_MAX_HEADERS);
    for (size_t i = 0; i < judged->header_count; i++) {
        struct slice line = take_line(&rest);
        struct slice name = judged->headers[i].name;
        require(slice_equal(name, slice_first(line, name.len)) && line.data[name.len] == ':');
        require(slice_equal(judged->headers[i].value, slice_trim(slice_from(line, name.len + 1))));
    }
    struct slice value = {0};
    size_t hosts = count_lines(lines, "Host", &value);
    require(hosts == 1 || (hosts == 0 && http_1_0));
    require(request->framing.kind != FRAMING_UNTIL_CLOSE);
    check_framing(lines, &request->framing, false);
    require(judged->may_have_body == !request->framing.done);
    require(!(http_1_0 && (request->keep_alive || request->framing.kind == FRAMING_CHUNKED)));
    size_t expects = count_lines(lines, "Expect", &value);
    require(expects == (request->expects_continue ? 1u : 0u));
    require(request->is_head == slice_equal(judged->method, SLICE("HEAD")));
}

static void check_response(struct slice head, const struct http_response *response,
                           uint8_t switches) {
    struct slice lines = head;
    struct slice first = take_line(&lines);
    unsigned status = response->status;
    require(slice_starts_with(first, SLICE("HTTP/1.1 ")) ||
            slice_starts_with(first, SLICE("HTTP/1.0 ")));
    require(status >= 100 && status <= 599 && first.len >= 12);
    require(strtoul((char[]){first.data[9], first.data[10], first.data[11], '\0'}, NULL, 10) ==
            status);
    if (response->hijack) {
        enum filter_hijack hijack = (enum filter_hijack)(switches / HIJACKS % 4);
        require(hijack != FILTER_HIJACK_NONE);
        require(status == 101 || (status == 200 && hijack == FILTER_HIJACK_RAW));
        require(response->framing.kind == FRAMING_UNTIL_CLOSE && !response->keep_alive);
        require(!response->interim);
        return;
    }
    require(status != 101);
    require(response->interim == (status < 200));
    bool bodiless = switches & TO_HEAD || status < 200 || status == 204 || status == 304;
    check_framing(lines, &response->framing, bodiless);
    require(!(response->keep_alive && response->framing.kind == FRAMING_UNTIL_CLOSE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct slice wire = slice_of((const char *)data + 1, size - 1);
    size_t end = find_end(wire);
    if (end == 0)
        return 0;
    /* A copy of its own, so that a read past the end is noticed. */
    char *copy = malloc(end);
    require(copy != NULL);
    memcpy(copy, wire.data, end);
    struct slice head = slice_of(copy, end);
    struct arena arena = {0};
    if (data[0] & RESPONSE) {
        struct http_request request = {.is_head = (data[0] & TO_HEAD) != 0};
        struct http_response response;
        if (http_response_parse(head, &request, (enum filter_hijack)(data[0] / HIJACKS % 4),
                                &response, &arena) == NULL)
            check_response(head, &response, data[0]);
    } else {
        struct http_request request;
        if (http_request_parse(head, &request, &arena) == NULL)
            check_request(head, &request);
    }
    arena_reset(&arena);
    free(copy);
    return 0;
}
