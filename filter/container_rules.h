/* Containers that a build client makes outside a graph, to look into a step that failed:
 * NewContainer of BuildKit's frontend gateway (frontend/gateway/pb/gateway.proto). */
#ifndef DIND_PROXY_FILTER_CONTAINER_RULES_H
#define DIND_PROXY_FILTER_CONTAINER_RULES_H

#include "filter/message.h"

extern const struct message_table container_table;

#endif
