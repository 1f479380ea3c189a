/* Build graphs (BuildKit's LLB: solver/pb/ops.proto): what each step of one may ask for. */
#ifndef DIND_PROXY_FILTER_LLB_RULES_H
#define DIND_PROXY_FILTER_LLB_RULES_H

#include "filter/message.h"

/* A field that holds a Definition. */
message_rule llb_rule_definition;

/* An entry of a map from names to Definitions: what a frontend works on (FrontendInputs). */
message_rule llb_rule_inputs;

/* Of a step, and of a container that runs like one: its network (NetMode), one of its further host
 * names (HostIP). */
message_rule llb_rule_network;
message_rule llb_rule_host;

#endif
