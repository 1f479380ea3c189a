/* Memory, processes and processors that a policy requires to be limited, or caps. Nothing is
 * rewritten: a client that has to name a limit names one. */
#ifndef DIND_PROXY_FILTER_LIMIT_RULES_H
#define DIND_PROXY_FILTER_LIMIT_RULES_H

#include "filter/fields.h"

table_judge limits_judge_create;    /* a HostConfig */
table_judge limits_judge_container; /* the whole body of a create: it has a HostConfig if need be */
table_judge limits_judge_update;    /* the Resources of an update: what is absent stays as it was */

#endif
