/* What may be run in a container that runs already. The routes are open only where a policy opens
 * them. */
#ifndef DIND_PROXY_FILTER_EXEC_RULES_H
#define DIND_PROXY_FILTER_EXEC_RULES_H

#include "filter/fields.h"

/* POST /containers/{name}/exec (Docker API ContainerExec, moby api/types/container/exec.go). Both
 * tables are strict: what they do not know is refused under any preset. */
extern const struct field_table exec_create_table;
/* POST /exec/{name}/start (ExecStart). */
extern const struct field_table exec_start_table;

#endif
