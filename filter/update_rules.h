/* POST /containers/{name}/update (Docker API ContainerUpdate), where a policy opens it: limits and
 * the restart policy, and nothing else. */
#ifndef DIND_PROXY_FILTER_UPDATE_RULES_H
#define DIND_PROXY_FILTER_UPDATE_RULES_H

#include "filter/fields.h"

/* The fields of moby's Resources and RestartPolicy (api/types/container/hostconfig.go). Strict. */
extern const struct field_table container_update_table;

#endif
