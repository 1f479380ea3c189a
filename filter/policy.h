/* What a policy holds. Visible inside filter/ only: everyone else has filter.h's opaque type. */
#ifndef DIND_PROXY_FILTER_POLICY_H
#define DIND_PROXY_FILTER_POLICY_H

#include <stdbool.h>

#include "filter/bind.h"
#include "filter/endpoint_index.h"
#include "filter/filter.h"

enum {
    /* Where the endpoint table begins; older versions have routes and body meanings of their own,
     * and no engine since 25.0 serves them by default. */
    POLICY_LOWEST_MINOR = 24,
};

struct policy_verdict {
    enum endpoint_verdict verdict;
    bool denied; /* by name */
};

/* Immutable once filter_policy_new returned it, so threads share it without locks. */
struct filter_policy {
    enum filter_preset preset; /* the column of the tables: FILTER_BLOCKLIST or FILTER_ALLOWLIST */
    const char *preset_name;   /* for people; static */
    bool closed;               /* what no row names is refused, reading too */
    bool lenient;              /* never refuses by a head: filter_judge_form */
    bool ownership;            /* its client sees only what it made: filter/ownership.md */
    enum filter_buildkit buildkit;
    unsigned session_deny;
    struct filter_build build;
    bool allow_unknown;
    unsigned api_floor_minor; /* never 0 */
    struct endpoint_index *index;
    struct bind_list binds;          /* host folders that are opened */
    struct policy_verdict *verdicts; /* by the place in `endpoints` */
    struct arena memory;             /* what the words below stand in */
    struct filter_create create;
    struct filter_images images;
    struct filter_exec exec;
    struct filter_limits limits;
};

#endif
