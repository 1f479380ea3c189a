/* The request-target, read as the engine reads it or not at all.
 *
 * The engine is written in Go: net/url percent-decodes the path once, the router answers 301 to a
 * path that is not clean, then matches the decoded path with an optional leading version segment.
 * Everything that another reader could read differently is refused, because no ordinary client
 * sends it. One escape that some do send is read: of a slash in the name of an image, behind
 * /images/ or /distribution/. */
#ifndef DIND_PROXY_FILTER_TARGET_H
#define DIND_PROXY_FILTER_TARGET_H

#include <stdbool.h>

#include "filter/arena.h"
#include "filter/slice.h"

struct target {
    bool versioned;
    unsigned minor;     /* N of a leading /v1.N; 0 when not versioned */
    struct slice path;  /* decoded, without the version; begins with a slash */
    struct slice query; /* raw, without the question mark; empty when there is none */
};

enum {
    /* More digits than any engine will ever have: a plain bound, so that the number cannot
     * overflow. Versions newer than we know pass; the engine itself refuses what it lacks. */
    TARGET_MAX_MINOR = 9999,
};

enum target_status {
    TARGET_OK,
    TARGET_BAD_FORM,    /* not an origin-form target in plain ASCII (RFC 9112 section 3.2.1) */
    TARGET_BAD_PATH,    /* escapes or segments that the engine would rewrite or decode */
    TARGET_BAD_VERSION, /* begins like a version segment but is not /v1.N in plain decimal */
    TARGET_NO_MEMORY,
};

/* Parses `raw`, the request-target as on the wire. `target` is filled on TARGET_OK only; its slices
 * point into `raw` or the arena. */
enum target_status target_parse(struct slice raw, struct arena *arena, struct target *target);

/* A static sentence that says what to change; NULL for TARGET_OK. */
const char *target_reason(enum target_status status);

#endif
