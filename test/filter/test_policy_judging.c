/* Both sides of every key of a policy file: what it opens or refuses, and what holds without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "filter/endpoints.h"
#include "filter/policy_keys.h"
#include "filter/presets.h"
#include "filter/rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CREATE "POST /containers/create"
#define UPDATE "POST /containers/x/update"
#define EXEC   "POST /containers/x/exec"

/* A policy is the inside of a file, without its braces and its schema. */
static struct filter_rules *make(const char *policy) {
    char text[2048];
    char error[512] = "";
    (void)snprintf(text, sizeof text, "{\"schema\":1%s%s}", *policy != '\0' ? "," : "", policy);
    struct filter_rules *rules =
        filter_rules_parse(slice_from_string(text), "p", error, sizeof error);
    if (rules == NULL)
        fail_msg("%s\n  gave %s", text, error);
    return rules;
}

static struct filter_verdict judge(const struct filter_rules *rules, const char *request,
                                   const char *body, struct arena *arena) {
    static const struct filter_header headers[] = {
        {SLICE("Content-Type"), SLICE("application/json")}};
    const char *space = strchr(request, ' ');
    const struct filter_request made = {
        .method = slice_of(request, (size_t)(space - request)),
        .target = slice_from_string(space + 1),
        .headers = headers,
        .header_count = body != NULL,
        .may_have_body = body != NULL,
    };
    const struct filter_policy *policy = filter_rules_find(rules, NULL)->policy;
    struct filter_verdict verdict = filter_judge_head(policy, &made, arena);
    if (verdict.decision == FILTER_NEED_BODY)
        verdict = filter_judge_body(policy, &made, slice_from_string(body), arena);
    return verdict;
}

/* NULL as the rule: it passes. */
static void expect(const char *policy, const char *request, const char *body, const char *rule,
                   enum filter_decision refusal) {
    struct arena arena = {0};
    struct filter_rules *rules = make(policy);
    struct filter_verdict verdict = judge(rules, request, body, &arena);
    enum filter_decision decision = rule == NULL ? FILTER_ALLOW : refusal;
    if (verdict.decision != decision || (rule != NULL && strcmp(verdict.rule, rule) != 0))
        fail_msg("under %s\n  %s %s\n  gave %d %s: %s\n  not %d %s", policy, request,
                 body != NULL ? body : "", (int)verdict.decision, verdict.rule,
                 verdict.reason != NULL ? verdict.reason : "-", (int)decision,
                 rule != NULL ? rule : "-");
    arena_reset(&arena);
    filter_rules_free(rules);
}

/* Refused without the key, and with it let through; the refusal names the key. */
static const struct opening {
    const char *key;
    const char *without; /* the policy before; mostly empty */
    const char *with;
    const char *request;
    const char *body;
    const char *rule;
    const char *remedy; /* the value; NULL: it names no key, or another way */
} openings[] = {
    {"unknown-endpoints", "", "\"unknown-endpoints\":\"allow\"", "POST /new", NULL,
     "endpoint.unlisted", "\"allow\""},
    {"api-floor", "\"api-floor\":\"1.40\"", "\"api-floor\":\"1.30\"", "GET /v1.30/info", NULL,
     "request.version", "\"1.30\""},
    {"endpoints.allow", "", "\"endpoints\":{\"allow\":[\"POST /containers/{name}/exec\"]}", EXEC,
     "{\"Cmd\":[\"sh\"]}", "endpoint.exec-create", "\"POST /containers/{name}/exec\""},
    {"endpoints.allow", "\"endpoints\":{\"only\":[\"GET *\"]}",
     "\"endpoints\":{\"only\":[\"GET *\"],\"allow\":[\"DELETE /containers/*\"]}",
     "DELETE /containers/x", NULL, "endpoint.container-remove", "\"DELETE /containers/{name}\""},
    {"create.privileged", "", "\"create\":{\"privileged\":true}", CREATE,
     "{\"HostConfig\":{\"Privileged\":true}}", "create.privileged", "true"},
    {"create.capabilities", "", "\"create\":{\"capabilities\":[\"cap_net_admin\"]}", CREATE,
     "{\"HostConfig\":{\"CapAdd\":[\"NET_ADMIN\"]}}", "create.cap-add", "\"NET_ADMIN\""},
    {"create.capabilities", "", "\"create\":{\"capabilities\":[\"SYS_ADMIN\"]}", CREATE,
     "{\"CapAdd\":\"cap_sys_admin\"}", "create.cap-add", "\"SYS_ADMIN\""},
    {"create.capabilities", "\"create\":{\"capabilities\":[\"NET_ADMIN\"]}",
     "\"create\":{\"capabilities\":[\"ALL\"]}", CREATE, "{\"HostConfig\":{\"CapAdd\":[\"all\"]}}",
     "create.cap-add", "\"ALL\""},
    {"create.binds", "", "\"create\":{\"binds\":[\"/srv\"]}", CREATE,
     "{\"HostConfig\":{\"Binds\":[\"/srv/../srv/:/x\"]}}", "create.bind", "\"/srv\""},
    {"create.binds", "\"create\":{\"binds\":[{\"path\":\"/srv\",\"read-only\":true}]}",
     "\"create\":{\"binds\":[{\"path\":\"/srv\",\"read-only\":true},\"/srv/**\"]}", CREATE,
     "{\"HostConfig\":{\"Binds\":[\"/srv:/x:z\"]}}", "create.bind", "\"/srv\""},
    {"create.binds", "", "\"create\":{\"binds\":[{\"path\":\"/srv\",\"read-only\":true}]}", CREATE,
     "{\"HostConfig\":{\"Binds\":[\"/srv:/x:z,ro\"]}}", "create.bind",
     "{\"path\":\"/srv\",\"read-only\":true}"},
    {"create.binds", "\"create\":{\"binds\":[{\"path\":\"/srv\"}]}",
     "\"create\":{\"binds\":[{\"path\":\"/srv/**\",\"read-only\":true}]}", CREATE,
     "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv/a\",\"ReadOnly\":true}]}}",
     "create.bind", "{\"path\":\"/srv/a\",\"read-only\":true}"},
    {"create.binds", "\"create\":{\"binds\":[{\"path\":\"/srv\",\"read-only\":true}]}",
     "\"create\":{\"binds\":[\"/srv\"]}", CREATE,
     "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv\",\"ReadOnly\":true,"
     "\"BindOptions\":{\"ReadOnlyNonRecursive\":true}}]}}",
     "create.bind", "\"/srv\""},
    {"create.devices", "", "\"create\":{\"devices\":[\"/dev/fu*\"]}", CREATE,
     "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/"
     "fuse\",\"CgroupPermissions\":\"rwm\"}]}}",
     "create.devices", "\"/dev/fuse\""},
    {"create.devices", "\"create\":{\"devices\":[\"/dev/snd/*\"]}",
     "\"create\":{\"devices\":[\"/dev/sda\"]}", CREATE,
     "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/sda\"}]}}", "create.devices",
     "\"/dev/sda\""},
    {"create.device-requests", "", "\"create\":{\"device-requests\":true}", CREATE,
     "{\"HostConfig\":{\"DeviceRequests\":[{\"Count\":-1}]}}", "create.device-requests", "true"},
    {"create.security-options", "", "\"create\":{\"security-options\":[\"seccomp=unconfined\"]}",
     CREATE, "{\"HostConfig\":{\"SecurityOpt\":[\"seccomp=unconfined\"]}}", "create.security-opt",
     "\"seccomp=unconfined\""},
    {"create.security-options", "",
     "\"create\":{\"security-options\":[\"systempaths=unconfined\"]}", CREATE,
     "{\"HostConfig\":{\"MaskedPaths\":[],\"ReadonlyPaths\":[]}}", "create.masked-paths",
     "\"systempaths=unconfined\""},
    {"create.network-modes", "", "\"create\":{\"network-modes\":[\"host\"]}", CREATE,
     "{\"HostConfig\":{\"NetworkMode\":\"host\"},\"NetworkingConfig\":{\"EndpointsConfig\":{"
     "\"host\":{}}}}",
     "create.network-host", "\"host\""},
    {"create.pid-modes", "", "\"create\":{\"pid-modes\":[\"container:*\"]}", CREATE,
     "{\"HostConfig\":{\"PidMode\":\"container:x\"}}", "create.pid-mode", "\"container:x\""},
    {"create.ipc-modes", "", "\"create\":{\"ipc-modes\":[\"host\"]}", CREATE,
     "{\"HostConfig\":{\"IpcMode\":\"host\"}}", "create.ipc-mode", "\"host\""},
    {"create.uts-modes", "", "\"create\":{\"uts-modes\":[\"host\"]}", CREATE,
     "{\"HostConfig\":{\"UTSMode\":\"host\"}}", "create.uts-mode", "\"host\""},
    {"create.userns-modes", "", "\"create\":{\"userns-modes\":[\"host\"]}", CREATE,
     "{\"HostConfig\":{\"UsernsMode\":\"host\"}}", "create.userns-mode", "\"host\""},
    {"create.cgroupns-modes", "", "\"create\":{\"cgroupns-modes\":[\"host\"]}", CREATE,
     "{\"HostConfig\":{\"CgroupnsMode\":\"host\"}}", "create.cgroupns-mode", "\"host\""},
    {"create.cgroup-parents", "", "\"create\":{\"cgroup-parents\":[\"/jobs/*\"]}", CREATE,
     "{\"HostConfig\":{\"CgroupParent\":\"/jobs/1\"}}", "create.cgroup-parent", "\"/jobs/1\""},
    {"create.runtimes", "", "\"create\":{\"runtimes\":[\"runsc\"]}", CREATE,
     "{\"HostConfig\":{\"Runtime\":\"runsc\"}}", "create.runtime", "\"runsc\""},
    {"create.sysctls", "", "\"create\":{\"sysctls\":[\"vm.*\"]}", CREATE,
     "{\"HostConfig\":{\"Sysctls\":{\"vm.swappiness\":\"1\"}}}", "create.sysctls",
     "\"vm.swappiness\""},
    {"create.log-drivers", "", "\"create\":{\"log-drivers\":[\"syslog\"]}", CREATE,
     "{\"HostConfig\":{\"LogConfig\":{\"Type\":\"syslog\",\"Config\":{\"syslog-address\":\"x\"}}}}",
     "create.log-driver", "\"syslog\""},
    {"create.annotations", "", "\"create\":{\"annotations\":[\"com.acme.*\"]}", CREATE,
     "{\"HostConfig\":{\"Annotations\":{\"com.acme.a\":\"1\"}}}", "create.annotations",
     "\"com.acme.a\""},
    {"create.volumes-from", "", "\"create\":{\"volumes-from\":true}", CREATE,
     "{\"HostConfig\":{\"VolumesFrom\":[\"x\"]}}", "create.volumes-from", "true"},
    {"create.images", "\"create\":{\"images\":[]}", "\"create\":{\"images\":[\"alpine\"]}", CREATE,
     "{\"Image\":\"alpine\"}", "create.image", "\"docker.io/library/alpine:latest\""},
    {"create.images", "\"create\":{\"images\":[\"alpine\"]}",
     "\"create\":{\"images\":[\"alpine\",\"busybox:1\"]}", CREATE,
     "{\"Image\":\"alpine\",\"HostConfig\":{\"Mounts\":[{\"Type\":\"image\",\"Source\":\"busybox:"
     "1\","
     "\"Target\":\"/x\"}]}}",
     "create.image", "\"docker.io/library/busybox:1\""},
    {"images.pull", "\"images\":{\"pull\":[]}", "\"images\":{\"pull\":[\"team/*\"]}",
     "POST /images/create?fromImage=team/app&tag=1", NULL, "image.pull",
     "\"docker.io/team/app:1\""},
    {"images.push", "\"images\":{\"push\":[\"ghcr.io/acme/*\"]}",
     "\"images\":{\"push\":[\"reg.acme.com:5000/*\"]}",
     "POST /images/reg.acme.com:5000/app/push?tag=1", NULL, "image.push",
     "\"reg.acme.com:5000/app:1\""},
    {"exec.commands", "\"preset\":\"ci-runner\",\"exec\":{\"commands\":[]}",
     "\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"sh\",\"-c\",\"*\"]]}", EXEC,
     "{\"Cmd\":[\"sh\",\"-c\",\"a\\\"b\"]}", "exec.command", "[\"sh\",\"-c\",\"a\\\"b\"]"},
    {"exec.variables", "\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"sh\"]]}",
     "\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"sh\"]],\"variables\":[\"CI\",\"JOB_*\"]}",
     EXEC, "{\"Cmd\":[\"sh\"],\"Env\":[\"JOB_A=b\",\"\",\"CI=a=b\",\"CI\"]}", "exec.env",
     "\"JOB_A\""},
    {"exec.privileged", "\"preset\":\"ci-runner\"",
     "\"preset\":\"ci-runner\",\"exec\":{\"privileged\":true}", EXEC,
     "{\"Cmd\":[\"sh\"],\"Privileged\":true}", "exec.privileged", "true"},
    {"build.buildkit", "\"build\":{\"buildkit\":\"deny\"}", "\"build\":{\"buildkit\":\"inspect\"}",
     "POST /grpc", NULL, "endpoint.grpc", "\"inspect\""},
    {"limits.memory.required", "\"limits\":{\"memory\":{\"required\":true}}",
     "\"limits\":{\"memory\":{\"required\":false}}", CREATE, "{\"HostConfig\":{}}",
     "create.limit-memory", "false"},
    {"limits.memory.max", "\"limits\":{\"memory\":{\"max\":\"1m\"}}",
     "\"limits\":{\"memory\":{\"max\":1048577}}", CREATE, "{\"HostConfig\":{\"Memory\":1048577}}",
     "create.limit-memory", "1048577"},
    {"limits.pids.required", "\"limits\":{\"pids\":{\"required\":true}}",
     "\"limits\":{\"pids\":{\"required\":false}}", CREATE, "{\"HostConfig\":{\"PidsLimit\":-1}}",
     "create.limit-pids", "false"},
    {"limits.pids.max", "\"limits\":{\"pids\":{\"max\":9}}", "\"limits\":{\"pids\":{\"max\":10}}",
     CREATE, "{\"HostConfig\":{\"PidsLimit\":10}}", "create.limit-pids", "10"},
    {"limits.cpus.required", "\"limits\":{\"cpus\":{\"required\":true}}",
     "\"limits\":{\"cpus\":{\"required\":false}}", CREATE, "{\"HostConfig\":{\"NanoCpus\":0}}",
     "create.limit-cpus", "false"},
    {"limits.cpus.max", "\"limits\":{\"cpus\":{\"max\":1.5}}",
     "\"limits\":{\"cpus\":{\"max\":1.500000001}}", CREATE,
     "{\"HostConfig\":{\"NanoCpus\":1500000001}}", "create.limit-cpus", "1.500000001"},
    {"limits.cpus.max", "\"limits\":{\"cpus\":{\"max\":1}}", "\"limits\":{\"cpus\":{\"max\":2}}",
     CREATE, "{\"HostConfig\":{\"CpuQuota\":20000,\"CpuPeriod\":10000}}", "create.limit-cpus", "2"},
};

static void what_a_key_opens_is_refused_without_it(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(openings); i++) {
        const struct opening *it = &openings[i];
        bool bad = strcmp(it->rule, "request.version") == 0;
        assert_non_null(policy_key_find(slice_from_string(it->key)));
        expect(it->without, it->request, it->body, it->rule,
               bad ? FILTER_BAD_REQUEST : FILTER_DENY);
        expect(it->with, it->request, it->body, NULL, FILTER_DENY);

        struct arena arena = {0};
        struct filter_rules *rules = make(it->without);
        struct filter_verdict verdict = judge(rules, it->request, it->body, &arena);
        if (verdict.remedy.key == NULL)
            fail_msg("%s: no remedy", it->key);
        assert_string_equal(verdict.remedy.key, it->key);
        if (!slice_equal(verdict.remedy.value, slice_from_string(it->remedy)))
            fail_msg("%s: the remedy is %.*s, not %s", it->key, SLICE_ARGS(verdict.remedy.value),
                     it->remedy);
        arena_reset(&arena);
        filter_rules_free(rules);
    }
}

/* The refusal by a remedy that is followed is gone. */
static void a_remedy_lifts_its_refusal(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(openings); i++) {
        const struct opening *it = &openings[i];
        char policy[1024];
        bool list = policy_key_is_list(it->key);
        const char *open = list ? "[" : "";
        const char *close = list ? "]" : "";
        const char *point = strchr(it->key, '.');
        const char *preset =
            strstr(it->without, "ci-runner") != NULL ? "\"preset\":\"ci-runner\"," : "";
        /* MaskedPaths comes with a second refusal that the same word lifts. */
        if (point == NULL)
            (void)snprintf(policy, sizeof policy, "\"%s\":%s", it->key, it->remedy);
        else if (strchr(point + 1, '.') == NULL)
            (void)snprintf(policy, sizeof policy, "%s\"%.*s\":{\"%s\":%s%s%s}", preset,
                           (int)(point - it->key), it->key, point + 1, open, it->remedy, close);
        else
            continue; /* numbers, which the table above has on both sides */
        if (strstr(it->body != NULL ? it->body : "", "busybox") == NULL)
            expect(policy, it->request, it->body, NULL, FILTER_DENY);
    }
}

static void every_key_has_both_sides(void **state) {
    (void)state;
    /* Tested elsewhere: clients and their objects, and what builds may. */
    static const char *const elsewhere[] = {"schema",        "clients", "other-clients",
                                            "ownership",     "preset",  "endpoints.only",
                                            "endpoints.deny"};
    for (size_t i = 0; i < policy_key_count; i++) {
        const char *path = policy_keys[i].path;
        bool found = strncmp(path, "build.", 6) == 0;
        for (size_t j = 0; j < COUNT(openings); j++)
            found = found || strcmp(openings[j].key, path) == 0;
        for (size_t j = 0; j < COUNT(elsewhere); j++)
            found = found || strcmp(elsewhere[j], path) == 0;
        if (!found)
            fail_msg("%s has no test", path);
    }
}

/* What no key, or not this one, opens. */
static const struct {
    const char *policy;
    const char *request;
    const char *body;
    const char *rule;
    enum filter_decision decision;
} near_misses[] = {
    {"\"endpoints\":{\"deny\":[\"GET /info\"],\"allow\":[\"*\"]}", "GET /info", NULL,
     "endpoint.info", FILTER_DENY},
    {"\"endpoints\":{\"deny\":[\"GET /_ping\"]}", "HEAD /_ping", NULL, "endpoint.ping",
     FILTER_DENY},
    {"\"endpoints\":{\"only\":[\"GET /info\"]}", "GET /version", NULL, "endpoint.version",
     FILTER_DENY},
    {"\"endpoints\":{\"only\":[\"GET /info\"]}", "GET /new", NULL, "endpoint.unlisted",
     FILTER_DENY},
    {"\"endpoints\":{\"only\":[]}", "GET /info", NULL, "endpoint.info", FILTER_DENY},
    {"\"endpoints\":{\"only\":[\"*\"]},\"build\":{\"buildkit\":\"deny\"}", "POST /session", NULL,
     "endpoint.session", FILTER_DENY},
    {"\"preset\":\"allowlist\",\"unknown-endpoints\":\"allow\"", "GET /new", NULL,
     "endpoint.unlisted", FILTER_DENY},
    {"\"create\":{\"binds\":[\"/srv\"]}", CREATE, "{\"HostConfig\":{\"Binds\":[\"/srv/a:/x\"]}}",
     "create.bind", FILTER_DENY},
    {"\"create\":{\"binds\":[\"/srv/**\"]}", CREATE,
     "{\"HostConfig\":{\"Binds\":[\"/srv/docker.sock:/x\"]}}", "create.bind", FILTER_DENY},
    {"\"create\":{\"binds\":[{\"path\":\"/srv\",\"read-only\":true}]}", CREATE,
     "{\"HostConfig\":{\"Binds\":[\"/srv:/x:rw\"]}}", "create.bind", FILTER_DENY},
    {"\"create\":{\"binds\":[{\"path\":\"/srv\",\"read-only\":true}]}", CREATE,
     "{\"Volumes\":{\"/srv:/x\":{}}}", "create.bind", FILTER_DENY},
    {"\"create\":{\"binds\":[{\"path\":\"/srv\",\"read-only\":true}]}", CREATE,
     "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/"
     "srv\",\"ReadOnly\":false}]}}",
     "create.bind", FILTER_DENY},
    {"\"create\":{\"devices\":[\"/dev/snd/*\"]}", CREATE,
     "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/snd/../sda\"}]}}", "create.devices",
     FILTER_DENY},
    {"\"create\":{\"devices\":[\"*\"]}", CREATE, "{\"HostConfig\":{\"Devices\":[\"/dev/sda\"]}}",
     "create.devices", FILTER_DENY},
    {"\"create\":{\"devices\":[\"*\"]}", CREATE,
     "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/sda\",\"New\":1}]}}",
     "create.unknown-field", FILTER_DENY},
    {"\"create\":{\"cgroup-parents\":[\"/jobs/*\"]}", CREATE,
     "{\"HostConfig\":{\"CgroupParent\":\"/jobs/../x\"}}", "create.cgroup-parent", FILTER_DENY},
    {"\"create\":{\"sysctls\":[\"vm.*\"]}", CREATE,
     "{\"HostConfig\":{\"Sysctls\":{\"vm./../kernel/x\":\"1\"}}}", "create.sysctls", FILTER_DENY},
    {"\"create\":{\"log-drivers\":[\"syslog\"]}", CREATE,
     "{\"HostConfig\":{\"LogConfig\":{\"Type\":\"\",\"Config\":{\"syslog-address\":\"x\"}}}}",
     "create.log-options", FILTER_DENY},
    {"\"create\":{\"capabilities\":[\"NET_ADMIN\"]}", CREATE,
     "{\"HostConfig\":{\"CapAdd\":[\"NET_ADMIN\",\"SYS_PTRACE\"]}}", "create.cap-add", FILTER_DENY},
    {"\"create\":{\"privileged\":true}", CREATE,
     "{\"HostConfig\":{\"Privileged\":true,\"PidMode\":\"host\"}}", "create.pid-mode", FILTER_DENY},
    {"\"create\":{\"images\":[\"alpine:3.*\"]}", CREATE, "{\"Image\":\"alpine\"}", "create.image",
     FILTER_DENY},
    {"\"create\":{\"images\":[\"alpine\"]}", CREATE, "{\"Image\":\"\"}", "create.image",
     FILTER_DENY},
    {"\"create\":{\"images\":[]}", CREATE, "{\"Cmd\":[\"/x\"]}", "create.image", FILTER_DENY},
    {"\"create\":{\"images\":[\"alpine\"]}", CREATE, "{\"Image\":\"evil.io/library/alpine\"}",
     "create.image", FILTER_DENY},
    {"\"create\":{\"images\":[\"alpine\",\"docker.io/*\"]}", CREATE, "{\"Image\":\"cafe\"}",
     "create.image", FILTER_DENY},
    {"\"create\":{\"images\":[\"docker.io/*\"]}", CREATE, "{\"Image\":\"sha256:cafe\"}",
     "create.image", FILTER_DENY},
    {"\"images\":{\"pull\":[\"alpine:3\"]}", "POST /images/create?fromImage=alpine", NULL,
     "image.pull", FILTER_DENY},
    {"\"images\":{\"pull\":[\"alpine:3\"]}", "POST /images/create?fromImage=alpine@sha256:00&tag=3",
     NULL, "image.pull", FILTER_DENY},
    {"\"images\":{\"pull\":[\"alpine:3\"]}", "POST /images/create?fromImage=alpine&tag=3&tag=4",
     NULL, "request.query", FILTER_BAD_REQUEST},
    {"\"images\":{\"push\":[\"alpine\"]}", "POST /images/alpine/push?tag=%zz", NULL,
     "request.query", FILTER_BAD_REQUEST},
    {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"ls\"]]}", EXEC,
     "{\"Cmd\":[\"ls\",\"-l\"]}", "exec.command", FILTER_DENY},
    {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"ls\",\"*\",\"**\"]]}", EXEC,
     "{\"Cmd\":[\"ls\"]}", "exec.command", FILTER_DENY},
    {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"ls\",\"**\"]]}", EXEC,
     "{\"Cmd\":[\"ls\"],\"Env\":[\"LD_PRELOAD=x\"]}", "exec.env", FILTER_DENY},
    {"\"preset\":\"ci-runner\"", EXEC, "{\"Cmd\":\"ls\"}", "body.type", FILTER_BAD_REQUEST},
    {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"ls\"]],\"variables\":[\"A\"]}", EXEC,
     "{\"Cmd\":[\"ls\"],\"Env\":[\"A=b\",\"LD_PRELOAD\"]}", "exec.env", FILTER_DENY},
    {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"ls\"]],\"variables\":[\"A\"]}", EXEC,
     "{\"Cmd\":[\"ls\"],\"Env\":[\"AB=A\"]}", "exec.env", FILTER_DENY},
    {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"ls\"]],\"variables\":[\"A\"]}", EXEC,
     "{\"Cmd\":[\"ls\"],\"Env\":[\"=A\"]}", "exec.env", FILTER_DENY},
    {"\"preset\":\"ci-runner\"", EXEC, "{}", "exec.command", FILTER_BAD_REQUEST},
    {"\"preset\":\"ci-runner\"", EXEC, "{\"Cmd\":null}", "exec.command", FILTER_BAD_REQUEST},
    {"\"preset\":\"ci-runner\"", EXEC, "{\"Cmd\":[\"ls\"],\"CapAdd\":[\"ALL\"]}",
     "exec.unknown-field", FILTER_DENY},
    {"\"preset\":\"ci-runner\"", EXEC, "{\"Cmd\":[\"ls\"],\"cmd\":[\"sh\"]}", "body.duplicate-key",
     FILTER_BAD_REQUEST},
    {"\"preset\":\"ci-runner\"", EXEC, NULL, "request.body-missing", FILTER_BAD_REQUEST},
    {"\"endpoints\":{\"allow\":[\"POST /exec/*\"]}", "POST /exec/x/start", "{\"Privileged\":true}",
     "exec.unknown-field", FILTER_DENY},
    {"\"endpoints\":{\"allow\":[\"* /containers/*\"]}", UPDATE, "{\"Devices\":[{}]}",
     "update.devices", FILTER_DENY},
    {"\"endpoints\":{\"allow\":[\"* /containers/*\"]}", UPDATE, "{\"Privileged\":true}",
     "update.unknown-field", FILTER_DENY},
    {"\"endpoints\":{\"allow\":[\"* /containers/*\"]},\"limits\":{\"memory\":{\"max\":\"1m\"}}",
     UPDATE, "{\"Memory\":1048577}", "create.limit-memory", FILTER_DENY},
    {"\"endpoints\":{\"allow\":[\"* /containers/*\"]},\"limits\":{\"memory\":{\"max\":\"1m\"}}",
     UPDATE, "{\"MemorySwap\":-1}", "create.limit-memory", FILTER_DENY},
    {"\"endpoints\":{\"allow\":[\"* /containers/*\"]},\"limits\":{\"pids\":{\"max\":5}}", UPDATE,
     "{\"PidsLimit\":0}", "create.limit-pids", FILTER_DENY},
    {"\"endpoints\":{\"allow\":[\"* /containers/*\"]},\"limits\":{\"cpus\":{\"max\":5}}", UPDATE,
     "{\"CpuPeriod\":1000}", "create.limit-cpus", FILTER_DENY},
    {"\"endpoints\":{\"allow\":[\"* /containers/*\"]},\"limits\":{\"cpus\":{\"max\":5}}", UPDATE,
     "{\"CpuQuota\":1000}", "create.limit-cpus", FILTER_DENY},
    {"\"limits\":{\"memory\":{\"max\":\"1m\"}}", CREATE, "{}", "create.limit-memory", FILTER_DENY},
    {"\"limits\":{\"memory\":{\"max\":\"1m\"}}", CREATE, "{\"HostConfig\":{\"Memory\":0}}",
     "create.limit-memory", FILTER_DENY},
    {"\"limits\":{\"memory\":{\"max\":\"1m\"}}", CREATE, "{\"HostConfig\":{\"Memory\":-1}}",
     "create.limit-memory", FILTER_DENY},
    {"\"limits\":{\"memory\":{\"max\":\"1m\"}}", CREATE, "{\"Memory\":5}", "create.limit-memory",
     FILTER_DENY},
    {"\"limits\":{\"memory\":{\"max\":\"1m\"}}", CREATE,
     "{\"Memory\":9999999,\"HostConfig\":{\"Memory\":5}}", "create.limit-memory", FILTER_DENY},
    {"\"limits\":{\"memory\":{\"max\":\"1m\"}}", CREATE,
     "{\"HostConfig\":{\"Memory\":5,\"MemorySwap\":-1}}", "create.limit-memory", FILTER_DENY},
    {"\"limits\":{\"memory\":{\"max\":\"1m\"}}", CREATE, "{\"HostConfig\":{\"Memory\":\"5\"}}",
     "body.type", FILTER_BAD_REQUEST},
    {"\"limits\":{\"cpus\":{\"max\":1}}", CREATE, "{\"HostConfig\":{\"CpuQuota\":100001}}",
     "create.limit-cpus", FILTER_DENY},
    {"\"limits\":{\"cpus\":{\"max\":1}}", CREATE,
     "{\"HostConfig\":{\"CpuQuota\":-1,\"NanoCpus\":5}}", "create.limit-cpus", FILTER_DENY},
    {"\"limits\":{\"cpus\":{\"required\":true}}", CREATE, "{\"HostConfig\":{\"CpuPeriod\":1000}}",
     "create.limit-cpus", FILTER_DENY},
};

static void near_misses_stay_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(near_misses); i++)
        expect(near_misses[i].policy, near_misses[i].request, near_misses[i].body,
               near_misses[i].rule, near_misses[i].decision);
}

static void what_is_opened_passes(void **state) {
    (void)state;
    static const struct {
        const char *policy;
        const char *request;
        const char *body;
    } cases[] = {
        {"\"endpoints\":{\"only\":[\"GET /_ping\"]}", "HEAD /_ping", NULL},
        {"\"endpoints\":{\"only\":[\"GET /info\"]},\"unknown-endpoints\":\"allow\"", "GET /new",
         NULL},
        {"\"preset\":\"ci-runner\"", EXEC,
         "{\"Cmd\":[\"env\"],\"Env\":[\"A=b\"],\"User\":\"root\"}"},
        {"\"preset\":\"ci-runner\"", "POST /exec/x/start",
         "{\"Detach\":false,\"Tty\":true,\"ConsoleSize\":[1,2]}"},
        {"\"preset\":\"ci-runner\"", "POST /exec/x/resize?h=1&w=1", NULL},
        {"\"preset\":\"ci-runner\"", "POST /commit?container=x", NULL},
        {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"ls\",\"**\"]]}", EXEC,
         "{\"Cmd\":[\"ls\",\"-l\",\"/\"],\"Env\":null}"},
        {"\"preset\":\"ci-runner\",\"exec\":{\"commands\":[[\"**\"]]}", EXEC,
         "{\"Cmd\":[\"x\"],\"Env\":[\"A=b\"]}"},
        {"\"endpoints\":{\"allow\":[\"POST /containers/{name}/update\"]}", UPDATE,
         "{\"Memory\":1,\"CpuShares\":2,\"RestartPolicy\":{\"Name\":\"always\"},\"Devices\":[]}"},
        {"\"endpoints\":{\"allow\":[\"* /containers/*\"]},\"limits\":{\"memory\":{\"max\":\"1m\"},"
         "\"pids\":{\"max\":1},\"cpus\":{\"max\":1}}",
         UPDATE, "{\"CpuShares\":2}"},
        {"\"endpoints\":{\"allow\":[\"* /containers/*\"]},\"limits\":{\"cpus\":{\"max\":1}}",
         UPDATE, "{\"CpuQuota\":1000,\"CpuPeriod\":1000}"},
        {"\"limits\":{\"memory\":{\"max\":\"1m\"},\"pids\":{\"max\":1},\"cpus\":{\"max\":1}}",
         CREATE,
         "{\"Memory\":0,\"HostConfig\":{\"Memory\":1048576,\"MemorySwap\":2097152,\"PidsLimit\":1,"
         "\"CpuQuota\":100000}}"},
        {"\"images\":{\"pull\":[\"*\"]}", "POST /images/create?fromSrc=-&repo=x", NULL},
        {"\"images\":{\"pull\":[\"alpine\"]}", "POST /images/create?fromImage=alpine", NULL},
        {"\"images\":{\"pull\":[\"alpine\"]}",
         "POST /images/create?fromImage=docker.io/library/alpine&tag=sha256:00ff", NULL},
        {"\"create\":{\"images\":[\"*\"]}", CREATE, "{\"Image\":\"sha256:cafe\"}"},
        {"\"create\":{\"images\":[\"cafe\"]}", CREATE, "{\"Image\":\"cafe:latest\"}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect(cases[i].policy, cases[i].request, cases[i].body, NULL, FILTER_DENY);
}

static bool passes(enum filter_preset preset, const struct endpoint *endpoint) {
    const struct filter_settings settings = {.preset = preset};
    bool denied;
    return preset_verdict(&settings, endpoint, &denied) != ENDPOINT_REFUSE;
}

/* Whatever is added to the tables, read-only reads, and neither preset opens more of the engine's
 * host than the blocklist but by exec. */
static void presets_keep_their_word(void **state) {
    (void)state;
    size_t reads = 0;
    size_t added = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        const struct endpoint *row = &endpoints[i];
        bool safe = strncmp(row->route, "GET ", 4) == 0 || strncmp(row->route, "HEAD ", 5) == 0;
        bool reading = row->class == ENDPOINT_READ || row->class == ENDPOINT_STREAM;
        bool allowed = row->allowlist != ENDPOINT_REFUSE;
        assert_int_equal(passes(FILTER_READ_ONLY, row),
                         safe && reading && row->hijack == FILTER_HIJACK_NONE && allowed);
        reads += passes(FILTER_READ_ONLY, row);
        if (allowed) {
            assert_true(passes(FILTER_CI_RUNNER, row));
            continue;
        }
        if (!passes(FILTER_CI_RUNNER, row))
            continue;
        added++;
        bool exec = strstr(row->route, "exec") != NULL;
        assert_true(exec || row->blocklist == ENDPOINT_PASS);
    }
    assert_int_equal(added, 4);
    assert_true(reads > 25);
}

static void without_a_policy_everything_is_refused(void **state) {
    (void)state;
    struct arena arena = {0};
    const struct filter_request request = {.method = SLICE("GET"), .target = SLICE("/_ping")};
    struct filter_verdict verdicts[] = {filter_judge_head(NULL, &request, &arena),
                                        filter_judge_body(NULL, &request, SLICE(""), &arena)};
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        assert_int_equal(verdicts[i].decision, FILTER_DENY);
        assert_string_equal(verdicts[i].rule, "client.unknown");
        assert_non_null(verdicts[i].reason);
        assert_null(verdicts[i].remedy.key);
    }
    arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_key_opens_is_refused_without_it),
        cmocka_unit_test(a_remedy_lifts_its_refusal),
        cmocka_unit_test(every_key_has_both_sides),
        cmocka_unit_test(near_misses_stay_refused),
        cmocka_unit_test(what_is_opened_passes),
        cmocka_unit_test(presets_keep_their_word),
        cmocka_unit_test(without_a_policy_everything_is_refused),
    };
    return cmocka_run_group_tests_name("policy_judging", tests, NULL, NULL);
}
