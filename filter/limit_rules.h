/* Memory, processes and processors that a policy requires to be limited, or caps. Nothing is
 * rewritten: a client that has to name a limit names one. */
#ifndef DIND_PROXY_FILTER_LIMIT_RULES_H
#define DIND_PROXY_FILTER_LIMIT_RULES_H

#include "filter/fields.h"

/* The rows of moby's Resources (api/types/container/hostconfig.go) that only limit: each passes by
 * itself. The engine only looks up the numbers of the block devices named in Blkio fields. */
#define LIMIT_FIELDS                                                                               \
    FIELD("BlkioDeviceReadBps", FIELD_ANY), FIELD("BlkioDeviceReadIOps", FIELD_ANY),               \
        FIELD("BlkioDeviceWriteBps", FIELD_ANY), FIELD("BlkioDeviceWriteIOps", FIELD_ANY),         \
        FIELD("BlkioWeight", FIELD_ANY), FIELD("BlkioWeightDevice", FIELD_ANY),                    \
        FIELD("CpuCount", FIELD_ANY), FIELD("CpuPercent", FIELD_ANY),                              \
        FIELD("CpuPeriod", FIELD_ANY), FIELD("CpuQuota", FIELD_ANY),                               \
        FIELD("CpuRealtimePeriod", FIELD_ANY), FIELD("CpuRealtimeRuntime", FIELD_ANY),             \
        FIELD("CpuShares", FIELD_ANY), FIELD("CpusetCpus", FIELD_ANY),                             \
        FIELD("CpusetMems", FIELD_ANY), FIELD("IOMaximumBandwidth", FIELD_ANY),                    \
        FIELD("IOMaximumIOps", FIELD_ANY), FIELD("KernelMemory", FIELD_ANY),                       \
        FIELD("KernelMemoryTCP", FIELD_ANY), FIELD("Memory", FIELD_ANY),                           \
        FIELD("MemoryReservation", FIELD_ANY), FIELD("MemorySwap", FIELD_ANY),                     \
        FIELD("MemorySwappiness", FIELD_ANY), FIELD("NanoCpus", FIELD_ANY),                        \
        FIELD("PidsLimit", FIELD_ANY), FIELD("Ulimits", FIELD_ANY)

table_judge limits_judge_create;    /* a HostConfig */
table_judge limits_judge_container; /* the whole body of a create: it has a HostConfig if need be */
table_judge limits_judge_update;    /* the Resources of an update: what is absent stays as it was */

#endif
