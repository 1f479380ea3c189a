/* What a client offers the engine in a build session: secrets, its ssh agent, its registry logins.
 */
#ifndef DIND_PROXY_FILTER_SESSION_RULES_H
#define DIND_PROXY_FILTER_SESSION_RULES_H

#include <stddef.h>

#include "filter/body_rules.h"
#include "filter/filter.h"

/* Judges the headers that name the methods on offer (X-Docker-Expose-Session-Grpc-Method). */
struct body_finding session_rules_judge(const struct filter_policy *policy,
                                        const struct filter_header *headers, size_t count);

#endif
