/* Build requests: Solve of BuildKit's Control service (api/services/control/control.proto) and of
 * its frontend gateway (frontend/gateway/pb/gateway.proto). */
#ifndef DIND_PROXY_FILTER_SOLVE_RULES_H
#define DIND_PROXY_FILTER_SOLVE_RULES_H

#include "filter/message.h"

extern const struct message_table solve_control_table;
extern const struct message_table solve_gateway_table;

#endif
