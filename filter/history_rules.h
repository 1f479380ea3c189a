/* The engine's records of builds (BuildKit, api/services/control/control.proto). */
#ifndef DIND_PROXY_FILTER_HISTORY_RULES_H
#define DIND_PROXY_FILTER_HISTORY_RULES_H

#include "filter/message.h"

/* Control/ListenBuildHistory, of a client with ownership: of one build alone.
 *
 * Whoever knows the reference of a build that is at work can take part in it: the engine finds the
 * build of an LLBBridge call by a header with that reference and asks for nothing else (BuildKit,
 * control/gateway), and steps that come in so get their secrets, ssh agent and contexts of the
 * session of the client that the build is of. References are random, and this call would list them.
 */
extern const struct message_table history_table;

#endif
