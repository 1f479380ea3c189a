/* The judge of gRPC calls: what filter.h is for HTTP requests, for the streams inside /grpc.
 *
 * Pure. A call is judged by its head (path and headers), and where its method takes a build by its
 * one message. */
#ifndef DIND_PROXY_FILTER_GRPC_H
#define DIND_PROXY_FILTER_GRPC_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/filter.h"

enum {
    GRPC_MAX_MESSAGE = 4 * 1024 * 1024, /* bytes of a judged message: gRPC's own default limit */
    GRPC_PREFIX = 5,                    /* in front of every message: compressed flag, length */
};

/* As filter.h's verdict: FILTER_NEED_BODY asks for the whole message. */
struct grpc_verdict {
    enum filter_decision decision;
    const char *rule;   /* static */
    const char *reason; /* NULL when allowed; in the arena or static */
    struct filter_remedy remedy;
};

/* A call as it was judged: by its head, or by its message, which is then all of it that is here. */
struct grpc_call {
    struct slice path;
    const struct filter_header *headers;
    size_t header_count;
    bool has_message;
    struct slice message; /* without its prefix */
};

/* `headers` are the regular ones; the pseudo headers but `path` are the caller's to check. */
struct grpc_verdict grpc_judge_head(const struct filter_policy *policy, struct slice path,
                                    const struct filter_header *headers, size_t count,
                                    struct arena *arena);

/* `message` without its prefix, of a call that gave FILTER_NEED_BODY. */
struct grpc_verdict grpc_judge_message(const struct filter_policy *policy, struct slice path,
                                       struct slice message, struct arena *arena);

/* The same path as a static string, for what counts calls; NULL if no method is known by it. */
const char *grpc_known_path(struct slice path);

#endif
