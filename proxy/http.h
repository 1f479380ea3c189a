/* HTTP/1 message heads: the grammar is llhttp's, the strictness ours.
 *
 * A head is judged and forwarded as the same bytes, so every form that two parsers could read
 * differently is an error here (RFC 9112 sections 2.2, 3, 5.1, 6.3). */
#ifndef DIND_PROXY_PROXY_HTTP_H
#define DIND_PROXY_PROXY_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/filter.h"
#include "filter/slice.h"
#include "proxy/framing.h"

enum { HTTP_MAX_HEADERS = 100 };

/* The length of the head at the front of `data`, its empty line included, or 0 when that has not
 * come yet. Also ends at an empty line made of a bare LF, for the parser to refuse. `*seen` is
 * where the last call on the same data stopped (0 at first), so that no byte is searched twice. */
size_t http_head_end(struct slice data, size_t *seen);

struct http_request {
    struct filter_request judged; /* method, target, headers: what the filter sees */
    struct framing framing;       /* of the body */
    bool keep_alive;              /* HTTP/1.1 and no Connection: close */
    bool expects_continue;        /* Expect: 100-continue */
    bool is_head;                 /* the response will have no body */
};

/* Parses a whole head. NULL when it is in order, else a sentence that says what is wrong; static.
 * The slices of `request` point into `head`; the header array lives in the arena. */
const char *http_request_parse(struct slice head, struct http_request *request,
                               struct arena *arena);

struct http_response {
    unsigned status;
    struct framing framing; /* of the body */
    bool keep_alive;        /* the engine's connection may serve another request afterwards */
    bool interim;           /* 1xx other than 101: another head follows */
    bool hijack; /* the engine's own hijack answer: the connection is a tunnel from here */
};

/* The same for the head of a response to `request`. `hijack` is the filter's word on what the
 * request's endpoint may turn the connection into; any other 101 is an error. */
const char *http_response_parse(struct slice head, const struct http_request *request,
                                enum filter_hijack hijack, struct http_response *response,
                                struct arena *arena);

/* The reason phrase of the statuses that the proxy itself answers with; static. */
const char *http_reason(unsigned status);

#endif
