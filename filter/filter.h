/* The judge: a request's head, then where needed its body, in; a verdict out.
 *
 * Pure: no sockets, no clock, no global state. A policy does not change once built and may be used
 * by any number of threads at once. */
#ifndef DIND_PROXY_FILTER_FILTER_H
#define DIND_PROXY_FILTER_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/openings.h"
#include "filter/slice.h"

struct filter_header {
    struct slice name;
    struct slice value; /* without surrounding white space */
};

struct filter_request {
    struct slice method; /* case-sensitive, as on the wire */
    struct slice target; /* the request-target exactly as on the wire */
    const struct filter_header *headers;
    size_t header_count;
    /* The framing announces a body that is or may be non-empty: a Content-Length above 0, or
     * Transfer-Encoding: chunked. */
    bool may_have_body;
};

/* Where a policy starts from. The latter two are the allowlist, changed (filter/presets.c). */
enum filter_preset { FILTER_BLOCKLIST, FILTER_ALLOWLIST, FILTER_READ_ONLY, FILTER_CI_RUNNER };
enum filter_buildkit {
    FILTER_BUILDKIT_DENY,
    FILTER_BUILDKIT_OPAQUE,  /* tunnels that nobody looks into */
    FILTER_BUILDKIT_INSPECT, /* the calls in /grpc are judged (filter/grpc.h) */
};
/* What a build session may not offer the engine; bits of filter_settings.session_deny. */
enum filter_session {
    FILTER_SESSION_SECRETS = 1,
    FILTER_SESSION_SSH = 2,
    FILTER_SESSION_AUTH = 4,
};

/* What a build may have beyond an ordinary one, and what of an ordinary one it may not have. It
 * holds for the classic builder's query and for the calls in /grpc alike. */
struct filter_build {
    bool network_host;       /* the engine's network: --network=host, RUN --network=host */
    bool insecure;           /* RUN --security=insecure */
    bool remote_contexts;    /* Git repositories and URLs that the engine fetches */
    bool deny_add_hosts;     /* --add-host */
    bool deny_outputs;       /* results elsewhere than in the engine's image store */
    bool deny_cache_imports; /* --cache-from */
    bool deny_cache_exports; /* --cache-to */
    bool deny_frontends;     /* frontend images of one's own */
};

struct filter_settings {
    enum filter_preset preset;
    enum filter_buildkit buildkit;
    unsigned session_deny; /* of enum filter_session; 0 denies nothing */
    struct filter_build build;
    bool allow_unknown;       /* --allow-unknown-endpoints: unlisted mutating endpoints pass */
    unsigned api_floor_minor; /* lowest accepted API version 1.N; 0 means the default, 24 */
    /* --allow-bind values: "/dir" opens that folder itself, "/dir/" followed by two stars it and
     * all below. */
    const char *const *allow_binds;
    size_t allow_bind_count;
    struct filter_endpoints endpoints;
    struct filter_create create;
    struct filter_images images;
    struct filter_exec exec;
    struct filter_limits limits;
    bool ownership; /* objects are marked with the client that made them (filter/rules.h) */
};

struct filter_policy;

/* Builds a policy; copies what it needs of `settings`. NULL on a setting that makes no sense or
 * when memory is out, with a sentence that names it in `error`. Free with filter_policy_free. */
struct filter_policy *filter_policy_new(const struct filter_settings *settings, char *error,
                                        size_t error_size);
void filter_policy_free(struct filter_policy *policy);

enum filter_decision {
    FILTER_ALLOW,       /* forward the request as it is */
    FILTER_NEED_BODY,   /* gather the whole body, then ask filter_judge_body */
    FILTER_DENY,        /* answer 403 */
    FILTER_BAD_REQUEST, /* answer 400: not what a client sends, or not what the engine would read */
};

/* What an endpoint's connection turns into when the engine hijacks it. The answer must say just
 * that: a tunnel into anything else could carry requests that nobody judges. */
enum filter_hijack {
    FILTER_HIJACK_NONE,
    FILTER_HIJACK_RAW,       /* 101 with Upgrade: tcp, or 200 with a raw stream type */
    FILTER_HIJACK_WEBSOCKET, /* 101 with Upgrade: websocket */
    FILTER_HIJACK_H2C,       /* 101 with Upgrade: h2c */
    FILTER_HIJACK_GRPC,      /* the same, and the gRPC calls in it are to be judged */
};

/* What would lift a refusal: a key of the policy file, and what to put there. */
struct filter_remedy {
    const char *key;    /* static, such as "create.capabilities"; NULL: no key would */
    struct slice value; /* JSON: the element to add to a list, or the value; in the arena */
};

struct filter_verdict {
    enum filter_decision decision;
    /* A stable identifier of the rule that decided, such as "create.privileged"; a string with
     * static lifetime, never NULL. */
    const char *rule;
    /* For deny and bad request: a sentence for people, without the rule, saying what to change.
     * Lives in the arena or statically. NULL otherwise. Valid UTF-8 without control bytes. */
    const char *reason;
    /* The endpoint's class in the table ("read", "write", "stream", "hijack", "danger", "unknown"),
     * static; never NULL. */
    const char *endpoint_class;
    /* The endpoint's route pattern ("POST /containers/{name}/attach"), static; NULL if unlisted. */
    const char *endpoint;
    /* The engine may answer this request by hijacking the connection. */
    enum filter_hijack hijack;
    struct filter_remedy remedy; /* of a refusal */
};

/* Judges a request by its head alone. Without a policy (NULL: who asks is nobody that any was
 * written for) everything is refused. Anything not exactly understood is FILTER_BAD_REQUEST. */
struct filter_verdict filter_judge_head(const struct filter_policy *policy,
                                        const struct filter_request *request, struct arena *arena);

/* Judges the form of a head alone, as if nothing were refused: FILTER_BAD_REQUEST for what is not
 * understood, else FILTER_ALLOW or FILTER_NEED_BODY, with what the route may turn into. For whoever
 * lets a request pass that was refused. FILTER_DENY only without a policy. */
struct filter_verdict filter_judge_form(const struct filter_policy *policy,
                                        const struct filter_request *request, struct arena *arena);

/* Judges a request whose head gave FILTER_NEED_BODY. `body` is the payload with any transfer coding
 * removed, all of it. Never returns FILTER_NEED_BODY. */
struct filter_verdict filter_judge_body(const struct filter_policy *policy,
                                        const struct filter_request *request, struct slice body,
                                        struct arena *arena);

#endif
