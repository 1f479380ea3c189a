/* The judges of container create's fields that more than a list of words decides. */
#ifndef DIND_PROXY_FILTER_CREATE_JUDGES_H
#define DIND_PROXY_FILTER_CREATE_JUDGES_H

#include "filter/fields.h"

/* Each passes what is said here, and what the key of its row opens. */
field_judge create_judge_cap_add;       /* FIELD_STRINGS: only capabilities of capabilities.h */
field_judge create_judge_security_opt;  /* FIELD_STRINGS: only what tightens */
field_judge create_judge_sysctls;       /* FIELD_TEXTS: only namespaced ones */
field_judge create_judge_log_options;   /* LogConfig: only of drivers that stay in the engine */
field_judge create_judge_annotations;   /* FIELD_MAP: only what no runtime acts upon */
field_judge create_judge_storage;       /* FIELD_MAP: only a size */
field_judge create_judge_tmpfs;         /* FIELD_TEXTS: the values are harmless options */
field_judge create_judge_oom_score;     /* FIELD_NUMBER: not negative; the whole sentence */
field_judge create_judge_cgroup_parent; /* FIELD_STRING: empty */
field_judge create_judge_devices;       /* FIELD_LIST: empty; the whole sentence */
field_judge create_judge_system_paths;  /* FIELD_LIST: null; the whole sentence */
field_judge create_judge_image;         /* FIELD_STRING: of the policy's images */

#endif
