/* A judged request with another target or another body: the text anew, as one framing. */
#ifndef DIND_PROXY_PROXY_HTTP_REWRITE_H
#define DIND_PROXY_PROXY_HTTP_REWRITE_H

#include <stddef.h>

#include "filter/arena.h"
#include "filter/slice.h"

/* `head` has passed http_request_parse. All of it stays as it is but the target, and, where `body`
 * is not NULL, what frames the body: a Content-Length of ours takes the place of all such lines,
 * and the body follows. `*head_len` is where it begins. In the arena; its data is NULL when memory
 * is out. */
struct slice http_rewrite(struct slice head, struct slice target, const struct slice *body,
                          struct arena *arena, size_t *head_len);

#endif
