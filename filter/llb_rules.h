/* Build graphs (BuildKit's LLB: solver/pb/ops.proto): what each step of one may ask for. */
#ifndef DIND_PROXY_FILTER_LLB_RULES_H
#define DIND_PROXY_FILTER_LLB_RULES_H

#include "filter/message.h"

/* A field that holds a Definition. */
message_rule llb_rule_definition;

/* An entry of a map from strings to Definitions. */
message_rule llb_rule_definitions;

#endif
