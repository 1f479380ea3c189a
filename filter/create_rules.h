/* What a container may be: the body of POST /containers/create. */
#ifndef DIND_PROXY_FILTER_CREATE_RULES_H
#define DIND_PROXY_FILTER_CREATE_RULES_H

#include "filter/fields.h"

/* Config with HostConfig and NetworkingConfig inside (moby, api/types/container/config.go and
 * hostconfig.go, API 1.24 to 1.56), and HostConfig's fields once more at the top, where engines up
 * to 26 read them (moby, runconfig/config_unix.go of those). */
extern const struct field_table container_create_table;

#endif
