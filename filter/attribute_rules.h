/* Frontend attributes: what a build client tells the frontend that reads the Dockerfile (BuildKit,
 * frontend/dockerui and frontend/gateway). */
#ifndef DIND_PROXY_FILTER_ATTRIBUTE_RULES_H
#define DIND_PROXY_FILTER_ATTRIBUTE_RULES_H

#include "filter/message.h"

/* An entry of the map from keys to values. */
message_rule attribute_rule;

#endif
