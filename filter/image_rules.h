/* Which images a client may run, pull and push. */
#ifndef DIND_PROXY_FILTER_IMAGE_RULES_H
#define DIND_PROXY_FILTER_IMAGE_RULES_H

#include "filter/body_rules.h"
#include "filter/openings.h"

/* One use of images: what it is held to, and how a refusal is told. */
struct image_use {
    const struct filter_words *patterns; /* of the policy */
    const char *key;                     /* theirs */
    const char *rule;
    const char *deed;        /* "running" */
    bool by_id;              /* the engine takes an id for a name here */
    struct slice tag;        /* given apart from the name; empty: none */
    struct slice absent_tag; /* what the engine takes where there is none; empty: all of them */
};

/* Judges the image that a request names. Where the policy names none for this use, any passes;
 * where it does, what cannot be told apart does not. */
struct body_finding image_rules_judge(const struct image_use *use, struct slice name,
                                      struct arena *arena);

#endif
