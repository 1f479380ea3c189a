/* Every route of the Docker Engine API, 1.24 to the newest, as a table to be audited line by line.
 *
 * Taken from the engine's routers (moby, daemon/server/router, formerly api/server/router). */
#ifndef DIND_PROXY_FILTER_ENDPOINTS_H
#define DIND_PROXY_FILTER_ENDPOINTS_H

#include <stddef.h>

#include "filter/body_rules.h"
#include "filter/filter.h"
#include "filter/head_rules.h"

enum endpoint_class {
    ENDPOINT_READ,
    ENDPOINT_WRITE,
    ENDPOINT_STREAM, /* long or bulky, one way or both */
    ENDPOINT_HIJACK, /* may turn the connection into a raw stream */
    ENDPOINT_DANGER, /* may reach the engine's host */
    ENDPOINT_UNKNOWN,
};

enum endpoint_verdict {
    ENDPOINT_PASS, /* as far as head_rule and body find nothing */
    ENDPOINT_REFUSE,
    ENDPOINT_BUILDKIT, /* as --buildkit says */
};

struct endpoint {
    /* Method ("*" for any), space, path pattern. In it {name} is any run of bytes, slashes
     * included, even an empty one (the engine's {name:.*}); {id} is one non-empty path element. */
    const char *route;
    /* The rule named in a verdict for this route, unless a more specific one decided. */
    const char *rule;
    /* First and last API version 1.N that has the route; until 0 is still there. Documentation:
     * engines route most paths whatever version the client names, so every row always counts. */
    unsigned since;
    unsigned until;
    enum endpoint_class class;
    enum endpoint_verdict blocklist;
    enum endpoint_verdict allowlist;
    enum filter_hijack hijack; /* the engine may take the connection over */
    head_rule *head;           /* NULL: nothing to judge before the body */
    enum body_rule_set body;   /* BODY_NONE: the body is passed on unread */
    const char *reason;        /* of a refusal; NULL where a general sentence does */
};

extern const struct endpoint endpoints[];
extern const size_t endpoint_count;

/* "read", "write", …: static. */
const char *endpoint_class_name(enum endpoint_class class);

#endif
