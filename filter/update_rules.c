#include "filter/update_rules.h"

#include "filter/create_judges.h"
#include "filter/limit_rules.h"
#include "filter/policy.h"

static const struct field update_fields[] = {
    FIELD_OPENED("CgroupParent", FIELD_STRING, create_judge_cgroup_parent, "update.cgroup-parent",
                 NULL, "create.cgroup-parents", create.cgroup_parents),
    FIELD_OPENED("Devices", FIELD_LIST, create_judge_devices, "update.devices",
                 "devices of the host are not allowed; drop Devices", "create.devices",
                 create.devices),
    FIELD_SWITCHED("DeviceRequests", FIELD_LIST, field_judge_empty, "update.device-requests",
                   "device requests are not allowed; drop DeviceRequests", "create.device-requests",
                   create.device_requests),
    FIELD_JUDGED("DeviceCgroupRules", FIELD_STRINGS, field_judge_empty,
                 "update.device-cgroup-rules",
                 "device rules are not allowed; drop DeviceCgroupRules"),
    FIELD_JUDGED("OomKillDisable", FIELD_BOOL, field_judge_not_true, "update.oom-kill-disable",
                 "containers that the OOM killer spares are not allowed; drop OomKillDisable"),
    LIMIT_FIELDS,
    FIELD("RestartPolicy", FIELD_OBJECT),
};
const struct field_table container_update_table = {
    .name = "the update",
    .fields = update_fields,
    .count = FIELD_COUNT(update_fields),
    .unknown_rule = "update.unknown-field",
    .strict = true,
    .whole = limits_judge_update,
};
