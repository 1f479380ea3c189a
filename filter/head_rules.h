/* What can be judged of a request before its body: its path's name and its query. */
#ifndef DIND_PROXY_FILTER_HEAD_RULES_H
#define DIND_PROXY_FILTER_HEAD_RULES_H

#include "filter/arena.h"
#include "filter/filter.h"
#include "filter/query.h"
#include "filter/slice.h"

struct head_context {
    const struct filter_policy *policy;
    const struct filter_request *request;
    const struct query *query;
    struct slice name; /* what the route's {name} matched, decoded; empty if it has none */
    struct arena *arena;
};

/* `decision` is FILTER_ALLOW, FILTER_DENY or FILTER_BAD_REQUEST. `rule` is static, `reason` too or
 * in the arena; both are NULL when allowed. */
struct head_finding {
    enum filter_decision decision;
    const char *rule;
    const char *reason;
    struct filter_remedy remedy; /* of a refusal that a key of the policy would lift */
};

typedef struct head_finding head_rule(const struct head_context *context);

/* POST /build: Docker API ImageBuild. */
head_rule head_rule_build;
/* POST /images/create: a pull, or an import from the body but not from a URL (ImageCreate). */
head_rule head_rule_image_create;
/* POST /images/{name}/push: which images (ImagePush). */
head_rule head_rule_image_push;
/* GET /containers/{name}/top: arguments that keep ps to the container (ContainerTop). */
head_rule head_rule_container_top;
/* POST /containers/{name}/start: no checkpoint (ContainerStart, experimental parameters). */
head_rule head_rule_container_start;
/* POST /networks/{name}/connect: not the network "host". */
head_rule head_rule_network_connect;

/* POST /session: what the client offers the engine. */
head_rule head_rule_session;

/* Why a request that needs BuildKit is refused, with what to do. */
extern const char head_rules_buildkit_reason[];

#endif
