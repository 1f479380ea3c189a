/* What of the host and of volumes a container may mount: Binds, Mounts and Volumes. */
#ifndef DIND_PROXY_FILTER_MOUNT_RULES_H
#define DIND_PROXY_FILTER_MOUNT_RULES_H

#include "filter/fields.h"

/* One element of HostConfig.Mounts (moby, api/types/mount/mount.go). */
extern const struct field_table mount_table;

/* FIELD_LIST of mount_table's objects: binds only of opened folders, and volumes. */
field_judge mount_judge_mounts;

/* FIELD_STRINGS: "source:target:options", "source:target" or "target", read as the engine reads
 * them (moby, daemon/volume/mounts/linux_parser.go). */
field_judge mount_judge_binds;

/* FIELD_MAP: the keys of Config.Volumes. The engine checks them with the parser of Binds, so they
 * are judged like Binds. */
field_judge mount_judge_volumes;

#endif
