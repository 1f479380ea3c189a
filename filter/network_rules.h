/* What a network may be, and how a container may join one. */
#ifndef DIND_PROXY_FILTER_NETWORK_RULES_H
#define DIND_PROXY_FILTER_NETWORK_RULES_H

#include "filter/fields.h"

/* The body of POST /networks/create (moby, api/types/network/network_types.go). */
extern const struct field_table network_create_table;

/* The body of POST /networks/{id}/connect (moby, api/types/network/connect_request.go). */
extern const struct field_table network_connect_table;

/* NetworkingConfig of container create: how the container joins its networks. */
extern const struct field_table networking_config_table;

/* FIELD_STRING: the name of a network, or another NetworkMode. Only the very word "host" shares the
 * engine's network namespace; every other spelling is a network's name. */
field_judge network_judge_mode;

#endif
