#include "proxy/http_rewrite.h"

#include <stdbool.h>
#include <stdio.h>

/* The line at the front, its CR LF included. */
static struct slice first_line(struct slice text) {
    return slice_first(text, slice_index(text, '\n') + 1);
}

/* Trailer names fields of a chunked body (RFC 9110 section 6.6.2), which there is none of then. */
static bool frames_body(struct slice line) {
    static const struct slice names[] = {SLICE("Content-Length:"), SLICE("Transfer-Encoding:"),
                                         SLICE("Trailer:")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_equal_ignoring_case(slice_first(line, names[i].len), names[i]))
            return true;
    return false;
}

static void put(char *out, size_t *used, struct slice text) {
    if (text.len > 0)
        memcpy(out + *used, text.data, text.len);
    *used += text.len;
}

struct slice http_rewrite(struct slice head, struct slice target, const struct slice *body,
                          struct arena *arena, size_t *head_len) {
    char length[48] = "";
    if (body != NULL)
        (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", body->len);
    char *out =
        arena_alloc(arena, head.len + target.len + sizeof length + (body != NULL ? body->len : 0));
    size_t used = 0;
    if (out == NULL)
        return slice_of(NULL, 0);
    /* "METHOD SP target SP HTTP/1.x", with exactly these spaces. */
    struct slice line = first_line(head);
    size_t method = slice_index(line, ' ') + 1;
    struct slice after = slice_from(line, method);
    put(out, &used, slice_first(line, method));
    put(out, &used, target);
    put(out, &used, slice_from(after, slice_index(after, ' ')));
    struct slice rest = slice_from(head, line.len);
    while (rest.len > 2) {
        line = first_line(rest);
        if (body == NULL || !frames_body(line))
            put(out, &used, line);
        rest = slice_from(rest, line.len);
    }
    put(out, &used, slice_from_string(length));
    put(out, &used, SLICE("\r\n"));
    *head_len = used;
    if (body != NULL)
        put(out, &used, *body);
    return slice_of(out, used);
}
