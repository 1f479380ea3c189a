/* Whose an object is: what a request has to be changed to, and what has to be asked of the engine
 * first, so that each client sees and reaches its own containers, networks, volumes and execs only.
 *
 * Pure: this says which objects a request names; asking the engine whose they are is the caller's.
 * It says nothing about what the policy allows. The steps of a caller:
 *
 *   ownership_head       the target as it is to be (lists get a filter), the objects it names
 *   (judge the head with that target; get the body if the plan or the judge wants it)
 *   ownership_body       the body as it is to be (what is made gets its label), the objects it
 * names (judge the changed body) ownership_answer     for each object of the plan: is it the
 * client's own? It may add others. ownership_apply      puts the ids that the engine gave in place
 * of the names (judge the final request) */
#ifndef DIND_PROXY_FILTER_OWNERSHIP_H
#define DIND_PROXY_FILTER_OWNERSHIP_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/filter.h"
#include "filter/rules.h"
#include "filter/slice.h"

/* The label that tells whose an object is. */
#define OWNERSHIP_LABEL "jailoc.owner"

/* How a route is held to a client's own objects. */
enum ownership_scope {
    OWNERSHIP_REFUSED,          /* would show or change what is others', or is not known */
    OWNERSHIP_SHARED,           /* nobody's, or all clients' together: images, the build cache */
    OWNERSHIP_LIST,             /* gets a filter by the label */
    OWNERSHIP_CONTAINER,        /* the path's {name} is a container, */
    OWNERSHIP_CONTAINER_START,  /* which joins its networks now, */
    OWNERSHIP_NETWORK,          /* a network, */
    OWNERSHIP_NETWORK_MEMBER,   /* a network, or a built-in one, and the body names a container, */
    OWNERSHIP_VOLUME,           /* a volume, */
    OWNERSHIP_EXEC,             /* an exec */
    OWNERSHIP_COMMIT,           /* the query's container is one */
    OWNERSHIP_BUILD,            /* the query's networkmode may be a network */
    OWNERSHIP_CREATE_CONTAINER, /* the body gets the label and names others */
    OWNERSHIP_CREATE_NETWORK,   /* the body gets the label */
    OWNERSHIP_CREATE_VOLUME,
};

struct ownership_row {
    const char *route; /* as in filter/endpoints.c, in that order */
    enum ownership_scope scope;
};
extern const struct ownership_row ownership_rows[];
extern const size_t ownership_row_count;

enum ownership_kind {
    OWNERSHIP_A_CONTAINER,
    OWNERSHIP_A_NETWORK,
    OWNERSHIP_A_VOLUME,
    OWNERSHIP_AN_EXEC,
};

enum ownership_place { OWNERSHIP_NOWHERE, OWNERSHIP_IN_TARGET, OWNERSHIP_IN_BODY };

/* An object that the request names. */
struct ownership_ref {
    enum ownership_kind kind;
    struct slice name; /* as the client calls it, decoded */
    /* What its id is put in the place of: bytes of the target or the body. NOWHERE: the name stays.
     * In a body that is a whole JSON string, and `before` and `after` are what stands around the
     * name in it. */
    enum ownership_place place;
    size_t at, len;
    struct slice before, after;
    bool joins;        /* a container that is about to join its networks: they have to be own too */
    struct slice exec; /* the exec whose container this is; what is missing is the exec then */
    struct slice make; /* volume: the body to create it with if there is none; else empty */
    struct slice id;   /* the engine's answer; empty until then */
};

enum { OWNERSHIP_MAX_REFS = 64 };

struct ownership_plan {
    struct slice owner;
    enum ownership_scope scope;
    bool wants_body; /* ownership_body is to be called with it */
    bool body_given;
    struct slice target; /* as it is to be */
    struct slice body;   /* the same, where body_given */
    struct ownership_ref *refs;
    size_t ref_count, ref_room; /* at most OWNERSHIP_MAX_REFS */
};

struct ownership_finding {
    enum filter_decision decision; /* ALLOW, DENY or BAD_REQUEST */
    const char *rule;              /* static; NULL when allowed */
    const char *reason;            /* as in struct filter_verdict */
};

/* The owner that a client's objects are marked with: its name in the policy file, else
 * "cn:<common name>", else "uid:<uid>", with bytes other than letters, digits and "._-@" as %XX.
 * Empty if it has none of these, or memory is out: it must be refused. */
struct slice ownership_of(const struct filter_client *client,
                          const struct filter_identity *identity, struct arena *arena);

/* Begins a plan for a request whose owner is known. `policy` only lends its index of routes. */
struct ownership_finding ownership_head(const struct filter_policy *policy,
                                        const struct filter_request *request, struct slice owner,
                                        struct arena *arena, struct ownership_plan *plan);

/* `body` is the payload. Where nothing of it is changed plan->body is still the same slice. */
struct ownership_finding ownership_body(struct ownership_plan *plan, struct slice body,
                                        struct arena *arena);

/* What to ask the engine for `ref`: a GET of `*path`, or a POST to it of `*body` where that is not
 * empty. False: no object has that name, or memory is out. */
bool ownership_question(const struct ownership_ref *ref, struct arena *arena, struct slice *path,
                        struct slice *body);

enum ownership_answer {
    OWNERSHIP_OWN,
    OWNERSHIP_NOT_OWN,
    OWNERSHIP_UNCLEAR, /* the answer is not what an engine says */
};

/* The engine's answer 200 or 201 to the question for plan->refs[index]. */
enum ownership_answer ownership_answer(struct ownership_plan *plan, size_t index,
                                       struct slice answer, struct arena *arena);

/* What the engine says of an object that does not exist, in the arena; NULL when memory is out. */
const char *ownership_missing(const struct ownership_ref *ref, struct arena *arena);

/* Puts the ids into plan->target and plan->body. False when memory is out. */
bool ownership_apply(struct ownership_plan *plan, struct arena *arena);

#endif
