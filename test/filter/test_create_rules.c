#include "body_cases.h"

#include <stdio.h>

#include "filter/capabilities.h"
#include "filter/json.h"
#include "filter/sysctls.h"

static struct filter_policy policy;
static struct filter_policy allowlist = {.preset = FILTER_ALLOWLIST};

static int open_workspace(void **state) {
    (void)state;
    char error[256];
    return bind_list_add(&policy.binds, "/workspace/**", false, error, sizeof error);
}

static int close_workspace(void **state) {
    (void)state;
    bind_list_clear(&policy.binds);
    return 0;
}

/* `body` is what stands between HostConfig's braces. It must give the same in HostConfig, and at
 * the top where old engines read it. */
static void assert_host_config(const struct body_case *cases, size_t count) {
    static const struct {
        const char *before, *after;
    } forms[] = {
        {"{\"Image\":\"i\",\"HostConfig\":{", "}}"},
        {"{\"Image\":\"i\",", "}"},
        {"{", ",\"hostconfig\":null}"},
        {"{\"ho\xC5\xBFt\\u0063onfig\":{\"NetworkMode\":\"none\"},", "}"},
    };
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < COUNT(forms); k++) {
            char body[2048];
            int len = snprintf(body, sizeof body, "%s%s%s", forms[k].before, cases[i].body,
                               forms[k].after);
            assert_true(len > 0 && (size_t)len < sizeof body);
            assert_finding(&policy, BODY_CONTAINER_CREATE, body, cases[i].decision, cases[i].rule);
        }
    }
}

#define HOST_CONFIG_TEST(name, ...)                                                                \
    static void name(void **state) {                                                               \
        (void)state;                                                                               \
        static const struct body_case cases[] = {__VA_ARGS__};                                     \
        assert_host_config(cases, COUNT(cases));                                                   \
    }

HOST_CONFIG_TEST(privileged, {"\"Privileged\":true", DENY("create.privileged")},
                 {"\"privileged\":true", DENY("create.privileged")},
                 {"\"PRIVILEGED\" : true", DENY("create.privileged")},
                 {"\"Privile\\u0067ed\":true", DENY("create.privileged")},
                 {"\"Privileged\":false", ALLOW}, {"\"Privileged\":null", ALLOW},
                 {"\"Privileged\":\"true\"", BAD("body.type")},
                 {"\"Privileged\":1", BAD("body.type")},
                 {"\"Privileged\":[true]", BAD("body.type")},
                 {"\"Privileged\":{}", BAD("body.type")},
                 {"\"Privileged\":false,\"Privileged\":true", BAD("body.duplicate-key")},
                 {"\"Privileged\":true,\"Privileged\":null", BAD("body.duplicate-key")},
                 {"\"Privileged\":false,\"privileged\":false", BAD("body.duplicate-key")},
                 {"\"Privileged \":true", ALLOW}, /* no field of the engine's */
                 {"\"\":true", ALLOW})

HOST_CONFIG_TEST(capabilities, {"\"CapAdd\":null", ALLOW}, {"\"CapAdd\":[]", ALLOW},
                 {"\"CapAdd\":[\"CHOWN\",\"CAP_NET_BIND_SERVICE\",\"setuid\",\"cap_Kill\"]", ALLOW},
                 {"\"CapAdd\":\"CHOWN\"", ALLOW},
                 {"\"CapAdd\":[\"CHOWN\",\"SYS_ADMIN\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":\"SYS_ADMIN\"", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"ALL\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"all\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"CAP_ALL\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"NET_RAW\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"MKNOD\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"cap_sys_ptrace\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"CAP_CAP_CHOWN\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\" CHOWN\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"CAP_\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[\"\\u017fYS_ADMIN\"]", DENY("create.cap-add")},
                 {"\"CapAdd\":[null]", BAD("body.type")},
                 {"\"CapAdd\":[[\"CHOWN\"]]", BAD("body.type")},
                 {"\"CapAdd\":{}", BAD("body.type")}, {"\"CapAdd\":true", BAD("body.type")},
                 {"\"capadd\":[\"SYS_ADMIN\"]", DENY("create.cap-add")},
                 {"\"Capabilities\":[\"SYS_ADMIN\"]", DENY("create.cap-add")},
                 {"\"Capabilities\":[\"CHOWN\"]", ALLOW},
                 {"\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"NET_BIND_SERVICE\"]", ALLOW},
                 {"\"CapDrop\":\"ALL\"", ALLOW}, {"\"CapDrop\":7", BAD("body.type")})

HOST_CONFIG_TEST(
    namespaces, {"\"NetworkMode\":\"host\"", DENY("create.network-host")},
    {"\"networkmode\":\"host\"", DENY("create.network-host")},
    {"\"Networ\\u212aMode\":\"host\"", DENY("create.network-host")},
    {"\"NetworkMode\":\"default\"", ALLOW}, {"\"NetworkMode\":\"bridge\"", ALLOW},
    {"\"NetworkMode\":\"none\"", ALLOW}, {"\"NetworkMode\":\"\"", ALLOW},
    {"\"NetworkMode\":\"ci_default\"", ALLOW},
    {"\"NetworkMode\":\"Host\"", ALLOW}, /* a network of that name */
    {"\"NetworkMode\":\"hosts\"", ALLOW}, {"\"NetworkMode\":\"container:web1\"", ALLOW},
    {"\"NetworkMode\":[\"host\"]", BAD("body.type")},
    {"\"PidMode\":\"host\"", DENY("create.pid-mode")},
    {"\"PidMode\":\"container:web1\"", DENY("create.pid-mode")},
    {"\"PidMode\":\"HOST\"", DENY("create.pid-mode")}, {"\"PidMode\":\"\"", ALLOW},
    {"\"PidMode\":true", BAD("body.type")}, {"\"IpcMode\":\"host\"", DENY("create.ipc-mode")},
    {"\"IpcMode\":\"container:web1\"", DENY("create.ipc-mode")},
    {"\"IpcMode\":\"shareable\"", ALLOW}, {"\"IpcMode\":\"private\"", ALLOW},
    {"\"IpcMode\":\"none\"", ALLOW}, {"\"IpcMode\":\"\"", ALLOW},
    {"\"UTSMode\":\"host\"", DENY("create.uts-mode")},
    {"\"utsmode\":\"host\"", DENY("create.uts-mode")}, {"\"UTSMode\":\"\"", ALLOW},
    {"\"UsernsMode\":\"host\"", DENY("create.userns-mode")},
    {"\"U\\u017fern\\u017fMode\":\"host\"", DENY("create.userns-mode")},
    {"\"UsernsMode\":\"\"", ALLOW}, {"\"CgroupnsMode\":\"host\"", DENY("create.cgroupns-mode")},
    {"\"CgroupnsMode\":\"private\"", ALLOW}, {"\"CgroupnsMode\":\"\"", ALLOW},
    {"\"Cgroup\":\"container:web1\"", DENY("create.cgroup")}, {"\"Cgroup\":\"\"", ALLOW},
    {"\"CgroupParent\":\"/../../x\"", DENY("create.cgroup-parent")},
    {"\"CgroupParent\":\"x\"", DENY("create.cgroup-parent")}, {"\"CgroupParent\":\"\"", ALLOW})

HOST_CONFIG_TEST(devices, {"\"Devices\":[{\"PathOnHost\":\"/dev/sda\"}]", DENY("create.devices")},
                 {"\"Devices\":[null]", DENY("create.devices")},
                 {"\"Devices\":[{\"a\":1,\"A\":2}]", BAD("body.duplicate-key")},
                 {"\"Devices\":[]", ALLOW}, {"\"Devices\":null", ALLOW},
                 {"\"Devices\":{}", BAD("body.type")},
                 {"\"Devices\":\"/dev/sda\"", BAD("body.type")},
                 {"\"DeviceRequests\":[{\"Driver\":\"cdi\"}]", DENY("create.device-requests")},
                 {"\"DeviceRequests\":[]", ALLOW},
                 {"\"DeviceCgroupRules\":[\"a *:* rwm\"]", DENY("create.device-cgroup-rules")},
                 {"\"DeviceCgroupRules\":\"a *:* rwm\"", DENY("create.device-cgroup-rules")},
                 {"\"DeviceCgroupRules\":[]", ALLOW})

HOST_CONFIG_TEST(security_options, {"\"SecurityOpt\":null", ALLOW}, {"\"SecurityOpt\":[]", ALLOW},
                 {"\"SecurityOpt\":[\"no-new-privileges\"]", ALLOW},
                 {"\"SecurityOpt\":[\"no-new-privileges:true\"]", ALLOW},
                 {"\"SecurityOpt\":[\"no-new-privileges=true\"]", ALLOW},
                 {"\"SecurityOpt\":\"no-new-privileges\"", ALLOW},
                 {"\"SecurityOpt\":[\"apparmor=docker-default\"]", ALLOW},
                 {"\"SecurityOpt\":[\"no-new-privileges=false\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"no-new-privileges:false\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"seccomp=unconfined\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"seccomp:unconfined\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"seccomp=builtin\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"seccomp={}\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"seccomp=\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"apparmor=unconfined\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"apparmor=\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"label=disable\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"label:type:spc_t\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"disable\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"systempaths=unconfined\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"writable-cgroups\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"writable-cgroups=true\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":\"seccomp=unconfined\"", DENY("create.security-opt")},
                 {"\"SecurityOpt\":[\"no-new-privileges\",\"seccomp=unconfined\"]",
                  DENY("create.security-opt")},
                 {"\"\\u017fecurityOpt\":[\"seccomp=unconfined\"]", DENY("create.security-opt")},
                 {"\"SecurityOpt\":{\"seccomp\":\"unconfined\"}", BAD("body.type")},
                 {"\"MaskedPaths\":[]", DENY("create.masked-paths")},
                 {"\"MaskedPaths\":[\"/proc/kcore\"]", DENY("create.masked-paths")},
                 {"\"MaskedPaths\":null", ALLOW}, {"\"MaskedPaths\":\"\"", BAD("body.type")},
                 {"\"ReadonlyPaths\":[]", DENY("create.readonly-paths")},
                 {"\"ReadonlyPaths\":null", ALLOW})

HOST_CONFIG_TEST(
    binds, {"\"Binds\":null", ALLOW}, {"\"Binds\":[]", ALLOW},
    {"\"Binds\":[\"data:/data\",\"etc:/x:ro\",\"a.b-c_d:/y:rw,z\"]", ALLOW},
    {"\"Binds\":[\"/anonymous\"]", ALLOW},
    {"\"Binds\":[\"/workspace:/w\",\"/workspace/a:/x:ro,Z,rprivate\"]", ALLOW},
    {"\"Binds\":\"/workspace:/w\"", ALLOW}, {"\"Binds\":[\"/:/x\"]", DENY("create.bind")},
    {"\"Binds\":\"/:/x\"", DENY("create.bind")}, {"\"Binds\":[\"//:/x\"]", DENY("create.bind")},
    {"\"Binds\":[\"data:/d\",\"/etc:/x:ro\"]", DENY("create.bind")},
    {"\"Binds\":[\"\\/etc:/x\"]", DENY("create.bind")},
    {"\"Binds\":[\"/workspace/../etc:/x\"]", DENY("create.bind")},
    {"\"Binds\":[\"/var/run/docker.sock:/s\"]", DENY("create.bind")},
    {"\"Binds\":[\"/home/x:/x\"]", DENY("create.bind")},
    {"\"Binds\":[\"/etc:rw\"]", DENY("create.bind")},
    {"\"Binds\":[\"/etc:\"]", DENY("create.bind")},
    {"\"binds\":[\"/etc:/x\"]", DENY("create.bind")},
    {"\"Bind\\u017f\":[\"/etc:/x\"]", DENY("create.bind")},
    {"\"Binds\":[\"./x:/y\"]", DENY("create.bind")},
    {"\"Binds\":[\"../x:/y\"]", DENY("create.bind")},
    {"\"Binds\":[\"~/x:/y\"]", DENY("create.bind")},
    {"\"Binds\":[\"a/b:/y\"]", DENY("create.bind")},
    {"\"Binds\":[\"\\\\etc:/y\"]", DENY("create.bind")},
    {"\"Binds\":[\" /etc:/y\"]", DENY("create.bind")},
    {"\"Binds\":[\"\"]", BAD("create.bind-form")}, {"\"Binds\":[\":/x\"]", BAD("create.bind-form")},
    {"\"Binds\":[\"/etc:/x:ro:z\"]", BAD("create.bind-form")},
    {"\"Binds\":[\"data:/x:ro:\"]", BAD("create.bind-form")},
    {"\"Binds\":[\"/workspace:/w:shared\"]", DENY("create.bind-options")},
    {"\"Binds\":[\"/workspace:/w:ro,rshared\"]", DENY("create.bind-options")},
    {"\"Binds\":[\"/workspace:/w:rslave\"]", DENY("create.bind-options")},
    {"\"Binds\":[\"/workspace:/w:RO\"]", DENY("create.bind-options")},
    {"\"Binds\":[\"/workspace:/w:ro,\"]", DENY("create.bind-options")},
    {"\"Binds\":[\"/workspace:/w:\"]", ALLOW}, /* no options */
    {"\"Binds\":[7]", BAD("body.type")}, {"\"Binds\":[null]", BAD("body.type")},
    {"\"Binds\":{\"/\":\"/x\"}", BAD("body.type")},
    {"\"VolumesFrom\":[\"abc:ro\"]", DENY("create.volumes-from")},
    {"\"VolumesFrom\":\"abc\"", DENY("create.volumes-from")}, {"\"VolumesFrom\":[]", ALLOW},
    {"\"VolumesFrom\":null", ALLOW}, {"\"VolumeDriver\":\"rexray\"", DENY("create.volume-driver")},
    {"\"VolumeDriver\":\"Local\"", DENY("create.volume-driver")},
    {"\"VolumeDriver\":\"local\"", ALLOW}, {"\"VolumeDriver\":\"\"", ALLOW})

#define MOUNT(fields) "\"Mounts\":[{\"Target\":\"/t\"," fields "}]"
#define DRIVER(options)                                                                            \
    MOUNT("\"Type\":\"volume\",\"VolumeOptions\":{\"DriverConfig\":" options "}")

HOST_CONFIG_TEST(
    mounts, {"\"Mounts\":null", ALLOW}, {"\"Mounts\":[]", ALLOW},
    {"\"Mounts\":[null]", BAD("body.type")}, {"\"Mounts\":{}", BAD("body.type")},
    {MOUNT("\"Type\":\"tmpfs\""), ALLOW},
    {MOUNT("\"Type\":\"tmpfs\",\"TmpfsOptions\":{\"SizeBytes\":1,\"Options\":[[\"noexec\"]]}"),
     ALLOW},
    {MOUNT("\"Type\":\"image\",\"Source\":\"busybox:1\""), ALLOW},
    {MOUNT("\"Type\":\"volume\""), ALLOW},
    {MOUNT("\"Type\":\"volume\",\"Source\":\"data\""), ALLOW},
    {MOUNT("\"Type\":\"volume\",\"Source\":\"data\",\"VolumeOptions\":{\"Subpath\":\"a\"}"), ALLOW},
    {MOUNT("\"Type\":\"volume\",\"Source\":\"/etc\""), DENY("create.mount-source")},
    {MOUNT("\"Type\":\"volume\",\"Source\":\"../x\""), DENY("create.mount-source")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/workspace/src\",\"ReadOnly\":true"), ALLOW},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/workspace\",\"BindOptions\":{\"NonRecursive\":true,"
           "\"CreateMountpoint\":true,\"Propagation\":\"rprivate\"}"),
     ALLOW},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/etc\""), DENY("create.bind")},
    {MOUNT("\"type\":\"bind\",\"source\":\"/\""), DENY("create.bind")},
    {MOUNT("\"Type\":\"bind\",\"\\u017fource\":\"/\""), DENY("create.bind")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/run/docker.sock\""), DENY("create.bind")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/home/x\""), DENY("create.bind")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"etc\""), DENY("create.mount-source")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"\\\\etc\""), DENY("create.mount-source")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"\""), DENY("create.mount-source")},
    {MOUNT("\"Type\":\"bind\""), DENY("create.mount-source")},
    {MOUNT("\"Type\":\"bind\",\"Source\":null"), DENY("create.mount-source")},
    {MOUNT("\"Type\":\"Bind\",\"Source\":\"/workspace\""), DENY("create.mount-type")},
    {MOUNT("\"Type\":\"npipe\",\"Source\":\"/x\""), DENY("create.mount-type")},
    {MOUNT("\"Type\":\"cluster\",\"Source\":\"x\""), DENY("create.mount-type")},
    {MOUNT("\"Type\":\"\""), DENY("create.mount-type")},
    {MOUNT("\"Type\":null"), DENY("create.mount-type")},
    {MOUNT("\"Source\":\"/\""), DENY("create.mount-type")}, {MOUNT("\"Type\":7"), BAD("body.type")},
    {MOUNT("\"Type\":\"bind\",\"Source\":[]"), BAD("body.type")},
    {MOUNT("\"Type\":\"tmpfs\",\"type\":\"bind\",\"Source\":\"/\""), BAD("body.duplicate-key")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/workspace\",\"source\":\"/\""),
     BAD("body.duplicate-key")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/workspace\",\"BindOptions\":{\"Propagation\":"
           "\"rshared\"}"),
     DENY("create.mount-propagation")},
    {MOUNT("\"Type\":\"bind\",\"Source\":\"/workspace\",\"BindOptions\":{\"propagation\":"
           "\"slave\"}"),
     DENY("create.mount-propagation")},
    {MOUNT("\"Type\":\"tmpfs\",\"BindOptions\":{\"Propagation\":\"shared\"}"),
     DENY("create.mount-propagation")},
    {DRIVER("{\"Name\":\"local\",\"Options\":{\"type\":\"none\",\"o\":\"bind\",\"device\":\"/\"}}"),
     DENY("create.mount-options")},
    {DRIVER("{\"Options\":{\"type\":\"ext4\",\"device\":\"/dev/vda\"}}"),
     DENY("create.mount-options")},
    {DRIVER("{\"name\":\"local\",\"option\\u017f\":{\"o\":\"bind\",\"device\":\"/\"}}"),
     DENY("create.mount-options")},
    {DRIVER("{\"Name\":\"local\",\"Options\":{\"type\":\"tmpfs\",\"device\":\"tmpfs\"}}"), ALLOW},
    {DRIVER("{\"Name\":\"local\",\"Options\":{}}"), ALLOW},
    {DRIVER("{\"Name\":\"\",\"Options\":null}"), ALLOW}, {DRIVER("null"), ALLOW},
    {DRIVER("{\"Name\":\"rexray\"}"), DENY("create.mount-driver")},
    {DRIVER("{\"Options\":{\"device\":7}}"), BAD("body.type")},
    {DRIVER("{\"Options\":{\"o\":\"size=1\",\"o\":\"bind\"}}"), BAD("body.duplicate-key")},
    {"\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/a\"},{\"Type\":\"bind\",\"Source\":\"/\"}]",
     DENY("create.bind")})

HOST_CONFIG_TEST(
    runtime_and_logs, {"\"Runtime\":\"io.containerd.kata.v2\"", DENY("create.runtime")},
    {"\"Runtime\":\"/bin/sh\"", DENY("create.runtime")}, {"\"Runtime\":\"runc\"", ALLOW},
    {"\"Runtime\":\"\"", ALLOW}, {"\"Runtime\":null", ALLOW},
    {"\"LogConfig\":{\"Type\":\"syslog\",\"Config\":{}}", DENY("create.log-driver")},
    {"\"LogConfig\":{\"type\":\"fluentd\"}", DENY("create.log-driver")},
    {"\"LogConfig\":{\"Type\":\"journald\"}", DENY("create.log-driver")},
    {"\"LogConfig\":{\"Type\":\"gelf\"}", DENY("create.log-driver")},
    {"\"LogConfig\":{\"Type\":\"JSON-file\"}", DENY("create.log-driver")},
    {"\"LogConfig\":{\"Type\":\"\",\"Config\":{\"syslog-address\":\"tcp://x\"}}",
     DENY("create.log-options")},
    {"\"LogConfig\":{\"Type\":\"\",\"Config\":null}", ALLOW},
    {"\"LogConfig\":{\"Type\":\"local\",\"Config\":{\"max-size\":\"1m\","
     "\"max-file\":\"3\",\"mode\":\"non-blocking\"}}",
     ALLOW},
    {"\"LogConfig\":{\"Type\":\"json-file\"}", ALLOW}, {"\"LogConfig\":{\"Type\":\"none\"}", ALLOW},
    {"\"LogConfig\":null", ALLOW}, {"\"LogConfig\":\"syslog\"", BAD("body.type")},
    {"\"LogConfig\":{\"Type\":\"local\",\"TYPE\":\"syslog\"}", BAD("body.duplicate-key")},
    {"\"Annotations\":{\"org.systemd.property.DeviceAllow\":\"x\"}", DENY("create.annotations")},
    {"\"Annotations\":{\"run.oci.handler\":\"krun\"}", DENY("create.annotations")},
    {"\"Annotations\":{\"\":\"x\"}", DENY("create.annotations")},
    {"\"Annotations\":{\"org.opencontainers.image.title\":\"x\"}", ALLOW},
    {"\"Annotations\":{}", ALLOW}, {"\"Annotations\":null", ALLOW},
    {"\"LxcConf\":[{\"Key\":\"a\"}]", DENY("create.lxc-conf")}, {"\"LxcConf\":[]", ALLOW},
    {"\"Init\":true,\"InitPath\":\"/bin/busybox\"", DENY("create.init-path")},
    {"\"init\":true,\"initPath\":\"/x\"", DENY("create.init-path")}, {"\"InitPath\":\"\"", ALLOW},
    {"\"InitPath\":null", ALLOW})

HOST_CONFIG_TEST(
    kernel_parameters, {"\"Sysctls\":null", ALLOW}, {"\"Sysctls\":{}", ALLOW},
    {"\"Sysctls\":{\"net.core.somaxconn\":\"1024\",\"net.ipv4.ip_forward\":\"1\"}", ALLOW},
    {"\"Sysctls\":{\"kernel.shmmax\":\"1\",\"kernel.sem\":\"1 1 1 1\",\"fs.mqueue.msg_max\":\"1\"}",
     ALLOW},
    {"\"Sysctls\":{\"kernel.core_pattern\":\"|/x\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"kernel.core_pattern\":\"|/x\",\"net.ipv4.ip_forward\":\"1\"}",
     DENY("create.sysctls")},
    {"\"Sysctls\":{\"kernel/core_pattern\":\"|/x\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"net/ipv4/ip_forward\":\"1\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"net.ipv4/../../kernel/core_pattern\":\"|/x\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"net...kernel.core_pattern\":\"|/x\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"net.\":\"1\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"net\":\"1\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"Net.core.somaxconn\":\"1\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"kernel.shm\":\"1\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"vm.overcommit_memory\":\"1\"}", DENY("create.sysctls")},
    {"\"\\u017fy\\u017fctl\\u017f\":{\"vm.swappiness\":\"1\"}", DENY("create.sysctls")},
    {"\"Sysctls\":{\"net.core.somaxconn\":1}", BAD("body.type")},
    {"\"Sysctls\":[\"vm.swappiness=1\"]", BAD("body.type")},
    {"\"Sysctls\":{\"net.a\":\"1\",\"net.a\":\"2\"}", BAD("body.duplicate-key")},
    {"\"Sysctls\":{\"net.a\":\"1\",\"net.A\":\"2\"}", ALLOW})

HOST_CONFIG_TEST(resources, {"\"OomScoreAdj\":500", ALLOW}, {"\"OomScoreAdj\":0", ALLOW},
                 {"\"OomScoreAdj\":-0", ALLOW}, {"\"OomScoreAdj\":-1", DENY("create.oom-score")},
                 {"\"OomScoreAdj\":-1e300", DENY("create.oom-score")},
                 {"\"OomScoreAdj\":\"-1\"", BAD("body.type")},
                 {"\"OomScoreAdj\":-1e999", BAD("body.json")},
                 {"\"OomKillDisable\":true", DENY("create.oom-kill-disable")},
                 {"\"OomKillDisable\":false", ALLOW}, {"\"OomKillDisable\":null", ALLOW},
                 {"\"StorageOpt\":{\"size\":\"10G\"}", ALLOW},
                 {"\"StorageOpt\":{\"dm.x\":\"1\"}", DENY("create.storage-opt")},
                 {"\"Tmpfs\":{\"/tmp\":\"\",\"/run\":\"rw,noexec,size=65536k,mode=1777\"}", ALLOW},
                 {"\"Tmpfs\":{\"/x\":\"rbind\"}", DENY("create.tmpfs")},
                 {"\"Tmpfs\":{\"/x\":\"size=1m,shared\"}", DENY("create.tmpfs")},
                 {"\"Tmpfs\":{\"/x\":\"size=/etc\"}", DENY("create.tmpfs")},
                 {"\"Tmpfs\":{\"/x\":\",\"}", DENY("create.tmpfs")},
                 {"\"Memory\":67108864,\"NanoCpus\":1500000000,\"PidsLimit\":200,"
                  "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1,\"Hard\":2}]",
                  ALLOW},
                 {"\"BlkioDeviceReadBps\":[{\"Path\":\"/dev/sda\",\"Rate\":1}]", ALLOW},
                 {"\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"1\"}],"
                  "\"81/tcp\":null}",
                  ALLOW},
                 {"\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"hostip\":\"\"}]}",
                  BAD("body.duplicate-key")},
                 {"\"RestartPolicy\":{\"Name\":\"always\",\"name\":\"no\"}",
                  BAD("body.duplicate-key")})

static void top_level_fields(void **state) {
    (void)state;
    static const struct body_case cases[] = {
        {"{}", ALLOW},
        {"{\"HostConfig\":null}", ALLOW},
        {"{\"HostConfig\":{}}\n", ALLOW},
        {"{\"HostConfig\":[]}", BAD("body.type")},
        {"{\"HostConfig\":\"\"}", BAD("body.type")},
        {"{\"HostConfig\":{\"Privileged\":true},\"HostConfig\":{}}", BAD("body.duplicate-key")},
        {"{\"HostConfig\":{},\"hostConfig\":{\"Privileged\":true}}", BAD("body.duplicate-key")},
        {"{\"HostConfig\":{},\"Ho\xC5\xBFtConfig\":{}}", BAD("body.duplicate-key")},
        {"{\"hostconfig\":{\"privileged\":true}}", DENY("create.privileged")},
        /* HostConfig within HostConfig is no field. */
        {"{\"HostConfig\":{\"HostConfig\":{\"Privileged\":true}}}", ALLOW},
        {"{\"Labels\":{\"Privileged\":\"true\",\"Team\":\"a\",\"team\":\"b\"}}", ALLOW},
        {"{\"Labels\":{\"a\":\"1\",\"a\":\"2\"}}", BAD("body.duplicate-key")},
        {"{\"Labels\":{},\"labels\":{}}", BAD("body.duplicate-key")},
        {"{\"ExposedPorts\":{\"80/tcp\":{},\"80/TCP\":{}}}", ALLOW},
        {"{\"Volumes\":{\"/data\":{},\"/Data\":{}}}", ALLOW},
        {"{\"Volumes\":{\"data:/x\":{}}}", ALLOW},
        {"{\"Volumes\":{\"/etc:/x\":{}}}", DENY("create.bind")},
        {"{\"volumes\":{\"/:/x:ro\":{}}}", DENY("create.bind")},
        {"{\"Cmd\":\"true\",\"Entrypoint\":[\"a\"],\"Env\":[\"A=1\"]}", ALLOW},
        {"{\"Zork\":true,\"HostConfig\":{\"New\":{\"a\":[1,{\"b\":null}]}}}", ALLOW},
        {"{\"Zork\":{\"a\":[{\"b\":1,\"B\":2}]}}", BAD("body.duplicate-key")},
        {"{\"Zork\":1,\"zork\":2}", BAD("body.duplicate-key")},
        {"{\"Healthcheck\":{\"Test\":[\"NONE\"],\"test\":[]}}", BAD("body.duplicate-key")},
        {"{\"Image\":7}", BAD("body.type")},
        {"{\"x\":1e999}", BAD("body.json")},
        {"", BAD("body.json")},
        {"null", BAD("body.json")},
        {"[{\"HostConfig\":{\"Privileged\":true}}]", BAD("body.json")},
    };
    assert_cases(&policy, BODY_CONTAINER_CREATE, cases, COUNT(cases));
}

#define ENDPOINT(name, fields)                                                                     \
    "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"" name "\":" fields "}}}"

static void networking_config(void **state) {
    (void)state;
    static const struct body_case cases[] = {
        {"{\"NetworkingConfig\":null}", ALLOW},
        {"{\"NetworkingConfig\":{\"EndpointsConfig\":null}}", ALLOW},
        {ENDPOINT("ci", "null"), ALLOW},
        {ENDPOINT("ci", "{\"IPAMConfig\":{},\"Aliases\":[\"a\"],\"DriverOpts\":null}"), ALLOW},
        {ENDPOINT("ci", "{},\"CI\":{}"), ALLOW},
        {ENDPOINT("ci", "{},\"ci\":{}"), BAD("body.duplicate-key")},
        {ENDPOINT("host", "{}"), DENY("create.network-host")},
        {ENDPOINT("\\u0068ost", "null"), DENY("create.network-host")},
        {ENDPOINT("ci", "{},\"host\":{}"), DENY("create.network-host")},
        {ENDPOINT("HOST", "{}"), ALLOW},
        {ENDPOINT("ci", "[]"), BAD("body.type")},
        {ENDPOINT("ci", "{\"Aliases\":[],\"aliases\":[]}"), BAD("body.duplicate-key")},
        {ENDPOINT("ci", "{\"DriverOpts\":{\"com.docker.network.endpoint.sysctls\":"
                        "\"net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.x=0\"}}"),
         ALLOW},
        {ENDPOINT("ci", "{\"DriverOpts\":{\"com.docker.network.endpoint.ifname\":\"eth7\"}}"),
         ALLOW},
        {ENDPOINT("ci", "{\"driveropts\":{\"com.docker.network.endpoint.sysctls\":"
                        "\"net.ipv4.conf.IFNAME.x=1,kernel.core_pattern=1\"}}"),
         DENY("network.endpoint-options")},
        {ENDPOINT("ci", "{\"DriverOpts\":{\"com.docker.network.endpoint.sysctls\":\"net.a\"}}"),
         DENY("network.endpoint-options")},
        {ENDPOINT("ci", "{\"DriverOpts\":{\"com.docker.network.endpoint.sysctls\":\"\"}}"),
         DENY("network.endpoint-options")},
        {ENDPOINT("ci", "{\"DriverOpts\":{\"com.docker.network.portmap\":\"x\"}}"),
         DENY("network.endpoint-options")},
        {"{\"networkingconfig\":{\"endpointsconfig\":{\"host\":{}}}}", DENY("create.network-host")},
        {"{\"NetworkingConfig\":{\"EndpointsConfig\":[]}}", BAD("body.type")},
    };
    assert_cases(&policy, BODY_CONTAINER_CREATE, cases, COUNT(cases));
}

static void allowlist_refuses_unknown_fields(void **state) {
    (void)state;
    static const struct body_case cases[] = {
        {"{\"Zork\":true}", DENY("create.unknown-field")},
        {"{\"HostConfig\":{\"New\":{\"a\":1}}}", DENY("create.unknown-field")},
        {"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"tmpfs\",\"New\":1}]}}",
         DENY("create.unknown-field")},
        {"{\"Zork\":false,\"A\":0,\"B\":\"\",\"C\":[],\"D\":{},\"E\":null}", ALLOW},
        {"{\"Image\":\"i\",\"Labels\":{\"Zork\":\"1\"},\"HostConfig\":{\"Memory\":1}}", ALLOW},
        {"{\"HostConfig\":{\"Binds\":[\"/workspace:/w\"]}}", DENY("create.bind")},
    };
    assert_cases(&allowlist, BODY_CONTAINER_CREATE, cases, COUNT(cases));
}

static void reasons_quote_little_of_the_request(void **state) {
    (void)state;
    static char body[100000];
    memset(body, 'A', sizeof body - 1);
    static const char start[] = "{\"HostConfig\":{\"CapAdd\":[\"\\u001b\\n";
    memcpy(body, start, sizeof start - 1);
    memcpy(body + sizeof body - 6, "\"]}}", 5);
    assert_finding(&policy, BODY_CONTAINER_CREATE, body, DENY("create.cap-add"));
}

/* As many members as the bounds allow must not take time out of proportion. */
static void many_members_are_judged(void **state) {
    (void)state;
    enum { MEMBERS = JSON_MAX_VALUES - 16 };
    static char body[MEMBERS * 24 + 64];
    size_t used = (size_t)snprintf(body, sizeof body, "{\"Image\":\"i\"");
    for (int i = 0; i < MEMBERS; i++)
        used += (size_t)snprintf(body + used, sizeof body - used, ",\"BlkioDevice%d\":0", i);
    memcpy(body + used, "}", 2);
    assert_finding(&policy, BODY_CONTAINER_CREATE, body, ALLOW);
}

static void capability_names(void **state) {
    (void)state;
    assert_true(capability_may_be_added(SLICE("cap_AUDIT_write")));
    assert_true(capability_may_be_added(SLICE("SYS_CHROOT")));
    assert_false(capability_may_be_added(SLICE("SYS_CHROO")));
    assert_false(capability_may_be_added(SLICE("SYS_CHROOTX")));
    assert_false(capability_may_be_added(SLICE("CAP_SYS_TIME")));
    assert_false(capability_may_be_added(SLICE("")));
}

static void sysctl_names(void **state) {
    (void)state;
    assert_true(sysctl_is_network(SLICE("net.ipv4.conf.eth-0_1.rp_filter")));
    assert_false(sysctl_is_network(SLICE("kernel.sem")));
    assert_true(sysctl_is_namespaced(SLICE("kernel.sem")));
    assert_false(sysctl_is_namespaced(SLICE("kernel.sem.x")));
    assert_false(sysctl_is_namespaced(SLICE("fs.mqueue.")));
    assert_false(sysctl_is_namespaced(SLICE("")));
}

/* What is on a list of allowed words passes: a word lost from one would stop ordinary work. */
static void whole_lists_pass(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "\"CapAdd\":[\"AUDIT_WRITE\",\"CHOWN\",\"DAC_OVERRIDE\",\"FOWNER\",\"FSETID\",\"KILL\","
        "\"NET_BIND_SERVICE\",\"SETFCAP\",\"SETGID\",\"SETPCAP\",\"SETUID\",\"SYS_CHROOT\"]",
        "\"Sysctls\":{\"kernel.msgmax\":\"1\",\"kernel.msgmnb\":\"1\",\"kernel.msgmni\":\"1\","
        "\"kernel.sem\":\"1 1 1 1\",\"kernel.shm_rmid_forced\":\"1\",\"kernel.shmall\":\"1\","
        "\"kernel.shmmax\":\"1\",\"kernel.shmmni\":\"1\"}",
        "\"SecurityOpt\":[\"no-new-privileges\",\"no-new-privileges=true\","
        "\"no-new-privileges:true\",\"no-new-privileges=1\",\"no-new-privileges:1\","
        "\"apparmor=docker-default\",\"apparmor:docker-default\"]",
        "\"LogConfig\":{\"Config\":{\"compress\":\"true\",\"env\":\"a\",\"env-regex\":\"a\","
        "\"labels\":\"a\",\"labels-regex\":\"a\",\"max-buffer-size\":\"1m\",\"max-file\":\"2\","
        "\"max-size\":\"1m\",\"mode\":\"non-blocking\",\"tag\":\"a\"}}",
        "\"Tmpfs\":{\"/a\":\"ro,rw,exec,noexec,suid,nosuid,dev,nodev,sync,async,atime,noatime,"
        "nodiratime,relatime,strictatime,defaults\",\"/b\":\"size=50%,nr_blocks=1,nr_inodes=1,"
        "mode=1777,uid=0,gid=0,huge=never\"}",
        "\"Binds\":[\"v:/x:ro\",\"v:/x:rw,z\",\"v:/x:Z,nocopy\",\"v:/x:private\","
        "\"/workspace:/x:rprivate\",\"/workspace:/x:consistent\",\"/workspace:/x:cached\","
        "\"/workspace:/x:delegated\"]",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        const struct body_case passes = {bodies[i], ALLOW};
        assert_host_config(&passes, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(privileged),
        cmocka_unit_test(capabilities),
        cmocka_unit_test(namespaces),
        cmocka_unit_test(devices),
        cmocka_unit_test(security_options),
        cmocka_unit_test(binds),
        cmocka_unit_test(mounts),
        cmocka_unit_test(runtime_and_logs),
        cmocka_unit_test(kernel_parameters),
        cmocka_unit_test(resources),
        cmocka_unit_test(top_level_fields),
        cmocka_unit_test(networking_config),
        cmocka_unit_test(allowlist_refuses_unknown_fields),
        cmocka_unit_test(reasons_quote_little_of_the_request),
        cmocka_unit_test(many_members_are_judged),
        cmocka_unit_test(capability_names),
        cmocka_unit_test(sysctl_names),
        cmocka_unit_test(whole_lists_pass),
    };
    return cmocka_run_group_tests(tests, open_workspace, close_workspace);
}
