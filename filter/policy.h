/* What a policy holds. Visible inside filter/ only: everyone else has filter.h's opaque type. */
#ifndef DIND_PROXY_FILTER_POLICY_H
#define DIND_PROXY_FILTER_POLICY_H

#include <stdbool.h>

#include "filter/bind.h"
#include "filter/endpoint_index.h"
#include "filter/filter.h"

/* Immutable once filter_policy_new returned it, so threads share it without locks. */
struct filter_policy {
    enum filter_preset preset;
    enum filter_buildkit buildkit;
    unsigned session_deny;
    struct filter_build build;
    bool allow_unknown;
    unsigned api_floor_minor; /* never 0 */
    struct endpoint_index *index;
    struct bind_list binds; /* host folders that --allow-bind opened */
};

#endif
