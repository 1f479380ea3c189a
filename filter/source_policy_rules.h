/* Source policies: rules by which a client has the sources of a build allowed, refused or replaced
 * (BuildKit, sourcepolicy/pb/policy.proto). */
#ifndef DIND_PROXY_FILTER_SOURCE_POLICY_RULES_H
#define DIND_PROXY_FILTER_SOURCE_POLICY_RULES_H

#include "filter/message.h"

/* A field that holds a Policy. */
message_rule source_policy_rule;

#endif
