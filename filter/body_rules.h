/* Judges the body of a request by the set of rules its endpoint names.
 *
 * The body is first validated as text exactly as the engine's decoder would read it
 * (filter/json.h); then each member that matters is looked at through a table. Nothing here changes
 * a body: what was judged is what is sent. */
#ifndef DIND_PROXY_FILTER_BODY_RULES_H
#define DIND_PROXY_FILTER_BODY_RULES_H

#include "filter/arena.h"
#include "filter/filter.h"
#include "filter/slice.h"

struct filter_policy;

enum body_rule_set {
    BODY_NONE,          /* nothing to judge, anything passes */
    BODY_MUST_BE_EMPTY, /* not a single byte: POST /containers/{id}/start */
    BODY_JSON_ANY,      /* one strict JSON object, nothing in it to judge */
    BODY_CONTAINER_CREATE,
    BODY_VOLUME_CREATE,
    BODY_NETWORK_CREATE,
    BODY_NETWORK_CONNECT,
    BODY_CONTAINER_UPDATE,
    BODY_EXEC_CREATE,
    BODY_EXEC_START,
};

/* `decision` is FILTER_ALLOW, FILTER_DENY or FILTER_BAD_REQUEST. `rule` is static and never NULL.
 * `reason` is NULL when allowed, else a sentence without full stop and rule id that says what to
 * change: valid UTF-8 without control bytes, static or in the arena. */
struct body_finding {
    enum filter_decision decision;
    const char *rule;
    const char *reason;
    struct filter_remedy remedy; /* of a refusal that a key of the policy would lift */
};

/* Judges all of `body`, the payload without transfer coding. Running out of memory is a bad
 * request: what cannot be judged does not pass. `policy` may not be NULL. */
struct body_finding body_rules_judge(const struct filter_policy *policy, enum body_rule_set rules,
                                     struct slice body, struct arena *arena);

#endif
