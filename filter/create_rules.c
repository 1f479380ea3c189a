#include "filter/create_rules.h"

#include "filter/create_judges.h"
#include "filter/image_name.h"
#include "filter/limit_rules.h"
#include "filter/mount_rules.h"
#include "filter/network_rules.h"
#include "filter/policy.h"
#include "filter/volume_rules.h"

static const char *const empty_only[] = {"", NULL};
static const char *const ipc_modes[] = {"", "none", "private", "shareable", NULL};
static const char *const cgroup_namespaces[] = {"", "private", NULL};
static const char *const runtimes[] = {"", "runc", NULL};
/* Drivers that keep the log in the engine's own files; all others make the daemon dial out or write
 * to the host. */
static const char *const log_drivers[] = {"", "json-file", "local", "none", NULL};

static const struct field log_config_fields[] = {
    FIELD_WORDS_OPENED("Type", log_drivers, "create.log-driver",
                       "use the log driver json-file, local or none", "create.log-drivers",
                       create.log_drivers),
    FIELD("Config", FIELD_TEXTS),
};
static const struct field_table log_config_table = {
    .name = "LogConfig",
    .fields = log_config_fields,
    .count = FIELD_COUNT(log_config_fields),
    .unknown_rule = "create.unknown-field",
};

static const struct field host_config_fields[] = {
    /* Powers over the host. */
    FIELD_SWITCHED("Privileged", FIELD_BOOL, field_judge_not_true, "create.privileged",
                   "privileged containers are not allowed; drop --privileged", "create.privileged",
                   create.privileged),
    FIELD_JUDGED("CapAdd", FIELD_STRINGS, create_judge_cap_add, "create.cap-add", NULL),
    FIELD("CapDrop", FIELD_STRINGS),
    /* Some engines of API 1.40 read a full list here, in place of CapAdd and CapDrop. */
    FIELD_JUDGED("Capabilities", FIELD_STRINGS, create_judge_cap_add, "create.cap-add", NULL),
    FIELD_OPENED("SecurityOpt", FIELD_STRINGS, create_judge_security_opt, "create.security-opt",
                 NULL, "create.security-options", create.security_options),
    FIELD_OPENED("MaskedPaths", FIELD_LIST, create_judge_system_paths, "create.masked-paths",
                 "choosing which paths are masked is not allowed; drop "
                 "--security-opt systempaths=unconfined",
                 "create.security-options", create.security_options),
    FIELD_OPENED("ReadonlyPaths", FIELD_LIST, create_judge_system_paths, "create.readonly-paths",
                 "choosing which paths are read-only is not allowed; drop "
                 "--security-opt systempaths=unconfined",
                 "create.security-options", create.security_options),
    FIELD_OPENED("Devices", FIELD_LIST, create_judge_devices, "create.devices",
                 "devices of the host are not allowed; drop --device", "create.devices",
                 create.devices),
    FIELD_SWITCHED("DeviceRequests", FIELD_LIST, field_judge_empty, "create.device-requests",
                   "device requests are not allowed; drop --gpus and CDI devices",
                   "create.device-requests", create.device_requests),
    FIELD_JUDGED("DeviceCgroupRules", FIELD_STRINGS, field_judge_empty,
                 "create.device-cgroup-rules",
                 "device rules are not allowed; drop --device-cgroup-rule"),
    FIELD_OPENED("CgroupParent", FIELD_STRING, create_judge_cgroup_parent, "create.cgroup-parent",
                 NULL, "create.cgroup-parents", create.cgroup_parents),
    FIELD_WORDS_OPENED("Runtime", runtimes, "create.runtime",
                       "use the default runtime, drop --runtime", "create.runtimes",
                       create.runtimes),
    FIELD_OPENED("Annotations", FIELD_MAP, create_judge_annotations, "create.annotations", NULL,
                 "create.annotations", create.annotations),
    FIELD_OPENED("Sysctls", FIELD_TEXTS, create_judge_sysctls, "create.sysctls", NULL,
                 "create.sysctls", create.sysctls),
    /* Not escapes, but both make the kernel kill the engine before the container. */
    FIELD_JUDGED("OomScoreAdj", FIELD_NUMBER, create_judge_oom_score, "create.oom-score",
                 "a negative OOM score puts the container before the engine and is not allowed; "
                 "use --oom-score-adj 0 or more"),
    FIELD_JUDGED("OomKillDisable", FIELD_BOOL, field_judge_not_true, "create.oom-kill-disable",
                 "containers that the OOM killer spares are not allowed; drop --oom-kill-disable"),
    FIELD_JUDGED("LxcConf", FIELD_ANY, field_judge_empty, "create.lxc-conf",
                 "LXC settings are not allowed; drop LxcConf"),
    /* Engines 1.13 to 17.04 bind this file of the host into the container (moby v1.13.1,
     * daemon/oci_linux.go); it never stood in the API's documentation. */
    FIELD_JUDGED("InitPath", FIELD_ANY, field_judge_empty, "create.init-path",
                 "an init program of the host is not allowed; drop InitPath and use --init"),

    /* Namespaces. */
    FIELD_OPENED("NetworkMode", FIELD_STRING, network_judge_mode, "create.network-host", NULL,
                 "create.network-modes", create.network_modes),
    FIELD_WORDS_OPENED("PidMode", empty_only, "create.pid-mode",
                       "processes of the host or of other containers are out of bounds, drop --pid",
                       "create.pid-modes", create.pid_modes),
    FIELD_WORDS_OPENED("IpcMode", ipc_modes, "create.ipc-mode",
                       "use private or shareable with --ipc", "create.ipc-modes", create.ipc_modes),
    FIELD_WORDS_OPENED("UTSMode", empty_only, "create.uts-mode", "drop --uts", "create.uts-modes",
                       create.uts_modes),
    FIELD_WORDS_OPENED("UsernsMode", empty_only, "create.userns-mode", "drop --userns",
                       "create.userns-modes", create.userns_modes),
    FIELD_WORDS_OPENED("CgroupnsMode", cgroup_namespaces, "create.cgroupns-mode",
                       "use private with --cgroupns", "create.cgroupns-modes",
                       create.cgroupns_modes),
    FIELD_WORDS("Cgroup", empty_only, "create.cgroup", "drop Cgroup"),

    /* Files of the host and of other containers. */
    FIELD_JUDGED("Binds", FIELD_STRINGS, mount_judge_binds, "create.bind", NULL),
    FIELD_MEMBERS_JUDGED("Mounts", FIELD_LIST, mount_table, mount_judge_mounts,
                         "create.mount-type"),
    FIELD_SWITCHED("VolumesFrom", FIELD_STRINGS, field_judge_empty, "create.volumes-from",
                   "mounts of other containers are not allowed; drop --volumes-from and name the "
                   "volumes",
                   "create.volumes-from", create.volumes_from),
    FIELD_WORDS("VolumeDriver", volume_drivers, "create.volume-driver",
                "use the local volume driver, drop --volume-driver"),
    FIELD_JUDGED("Tmpfs", FIELD_TEXTS, create_judge_tmpfs, "create.tmpfs", NULL),
    FIELD_JUDGED("StorageOpt", FIELD_MAP, create_judge_storage, "create.storage-opt", NULL),
    FIELD_MEMBERS_JUDGED("LogConfig", FIELD_OBJECT, log_config_table, create_judge_log_options,
                         "create.log-options"),

    /* Nothing to judge: limits, names, ports, and what only clients or Windows read. */
    LIMIT_FIELDS,
    FIELD("AutoRemove", FIELD_BOOL),
    FIELD("ConsoleSize", FIELD_ANY),
    FIELD("ContainerIDFile", FIELD_ANY),
    FIELD("DiskQuota", FIELD_ANY),
    FIELD("Dns", FIELD_ANY),
    FIELD("DnsOptions", FIELD_ANY),
    FIELD("DnsSearch", FIELD_ANY),
    FIELD("ExtraHosts", FIELD_ANY),
    FIELD("GroupAdd", FIELD_ANY),
    FIELD("Init", FIELD_BOOL),
    FIELD("Isolation", FIELD_ANY),
    FIELD("Links", FIELD_ANY),
    FIELD("PortBindings", FIELD_MAP),
    FIELD("PublishAllPorts", FIELD_BOOL),
    FIELD("ReadonlyRootfs", FIELD_BOOL),
    FIELD("RestartPolicy", FIELD_ANY),
    FIELD("ShmSize", FIELD_ANY),
};
static const struct field_table host_config_table = {
    .name = "HostConfig",
    .fields = host_config_fields,
    .count = FIELD_COUNT(host_config_fields),
    .unknown_rule = "create.unknown-field",
    .whole = limits_judge_create,
};

/* The engine makes a container of no image where none is named. */
static struct body_finding judge_container(const struct field_context *context,
                                           const cJSON *object) {
    const struct filter_words *images = &context->policy->create.images;
    if (images->given && !image_name_any(images) &&
        fields_member_string(object, SLICE("Image")).len == 0)
        return finding_deny("create.image", "a container of no image is not allowed where only "
                                            "some images are; name one that the policy names");
    return limits_judge_container(context, object);
}

static const struct field config_fields[] = {
    FIELD_MEMBERS("HostConfig", FIELD_OBJECT, host_config_table),
    FIELD_MEMBERS("NetworkingConfig", FIELD_OBJECT, networking_config_table),
    FIELD_JUDGED("Volumes", FIELD_MAP, mount_judge_volumes, "create.bind", NULL),
    FIELD("ArgsEscaped", FIELD_ANY),
    FIELD("AttachStderr", FIELD_BOOL),
    FIELD("AttachStdin", FIELD_BOOL),
    FIELD("AttachStdout", FIELD_BOOL),
    FIELD("Cmd", FIELD_ANY),
    FIELD("Cpuset", FIELD_ANY),
    FIELD("Domainname", FIELD_STRING),
    FIELD("Entrypoint", FIELD_ANY),
    FIELD("Env", FIELD_ANY),
    FIELD("ExposedPorts", FIELD_MAP),
    FIELD("Healthcheck", FIELD_OBJECT),
    FIELD("Hostname", FIELD_STRING),
    FIELD_JUDGED("Image", FIELD_STRING, create_judge_image, "create.image", NULL),
    FIELD("Labels", FIELD_MAP),
    FIELD("MacAddress", FIELD_STRING),
    FIELD("NetworkDisabled", FIELD_BOOL),
    FIELD("OnBuild", FIELD_ANY),
    FIELD("OpenStdin", FIELD_BOOL),
    FIELD("PortSpecs", FIELD_ANY),
    FIELD("PublishService", FIELD_ANY),
    FIELD("Shell", FIELD_ANY),
    FIELD("StdinOnce", FIELD_BOOL),
    FIELD("StopSignal", FIELD_STRING),
    FIELD("StopTimeout", FIELD_ANY),
    FIELD("Tty", FIELD_BOOL),
    FIELD("User", FIELD_STRING),
    FIELD("WorkingDir", FIELD_STRING),
};
const struct field_table container_create_table = {
    .name = "the container",
    .fields = config_fields,
    .count = FIELD_COUNT(config_fields),
    .also = &host_config_table,
    .unknown_rule = "create.unknown-field",
    .whole = judge_container,
};
