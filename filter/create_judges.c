#include "filter/create_judges.h"

#include <cjson/cJSON.h>

#include "filter/capabilities.h"
#include "filter/quote.h"
#include "filter/sysctls.h"
#include "filter/tmpfs.h"

static bool is_one_of(struct slice text, const struct slice *allowed, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (slice_equal(text, allowed[i]))
            return true;
    return false;
}

struct body_finding create_judge_cap_add(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    for (const cJSON *name = fields_first_string(value); name != NULL;
         name = fields_next_string(value, name)) {
        if (!capability_may_be_added(fields_text(name)))
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "adding the capability %s is not allowed; drop it "
                                             "from --cap-add",
                                             quote(context->arena, fields_text(name))));
    }
    return finding_allow();
}

/* The engine's own parser: moby, daemon/daemon_unix.go, parseSecurityOpt. "=" and the older ":"
 * part name and value. Turning no-new-privileges off would undo a default set in daemon.json, and
 * so would naming a seccomp profile, even the built-in one. */
struct body_finding create_judge_security_opt(const struct field_context *context,
                                              const struct field *field, const cJSON *value) {
    static const struct slice allowed[] = {
        SLICE("no-new-privileges"),       SLICE("no-new-privileges=true"),
        SLICE("no-new-privileges:true"),  SLICE("no-new-privileges=1"),
        SLICE("no-new-privileges:1"),     SLICE("apparmor=docker-default"),
        SLICE("apparmor:docker-default"),
    };
    for (const cJSON *option = fields_first_string(value); option != NULL;
         option = fields_next_string(value, option)) {
        if (!is_one_of(fields_text(option), allowed, FIELD_COUNT(allowed)))
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "the security option %s is not allowed; only "
                                             "no-new-privileges is, drop it from --security-opt",
                                             quote(context->arena, fields_text(option))));
    }
    return finding_allow();
}

struct body_finding create_judge_sysctls(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    for (const cJSON *sysctl = value->child; sysctl != NULL; sysctl = sysctl->next) {
        struct slice name = slice_from_string(sysctl->string);
        if (!sysctl_is_namespaced(name))
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "the sysctl %s is not the container's own and not "
                                             "allowed; use only net.*, kernel.shm*, kernel.msg*, "
                                             "kernel.sem and fs.mqueue.*",
                                             quote(context->arena, name)));
    }
    return finding_allow();
}

/* Options of json-file and local. With an empty driver name the engine's default driver reads
 * them, which may be one that dials out, so its options must not pass either. */
struct body_finding create_judge_log_options(const struct field_context *context,
                                             const struct field *field, const cJSON *value) {
    static const struct slice allowed[] = {
        SLICE("compress"), SLICE("env"),          SLICE("env-regex"),
        SLICE("labels"),   SLICE("labels-regex"), SLICE("max-buffer-size"),
        SLICE("max-file"), SLICE("max-size"),     SLICE("mode"),
        SLICE("tag"),
    };
    for (const cJSON *option = value->child; option != NULL; option = option->next) {
        struct slice name = slice_from_string(option->string);
        if (!is_one_of(name, allowed, FIELD_COUNT(allowed)))
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "the log option %s is not allowed; use only those of "
                                             "the json-file and local drivers",
                                             quote(context->arena, name)));
    }
    return finding_allow();
}

/* Annotations go to the runtime as they are, and runtimes act on more of them with every release
 * (runc: org.systemd.property.*, bundle, org.criu.config; crun: run.oci.*). Image metadata
 * (OCI image specification, annotations.md) is only ever read by people. */
struct body_finding create_judge_annotations(const struct field_context *context,
                                             const struct field *field, const cJSON *value) {
    for (const cJSON *annotation = value->child; annotation != NULL;
         annotation = annotation->next) {
        struct slice name = slice_from_string(annotation->string);
        if (!slice_starts_with(name, SLICE("org.opencontainers.image.")))
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "the annotation %s may steer the runtime and is not "
                                             "allowed; use a label",
                                             quote(context->arena, name)));
    }
    return finding_allow();
}

struct body_finding create_judge_storage(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    for (const cJSON *option = value->child; option != NULL; option = option->next) {
        struct slice name = slice_from_string(option->string);
        if (!slice_equal(name, SLICE("size")))
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "the storage option %s is not allowed; only size is",
                                             quote(context->arena, name)));
    }
    return finding_allow();
}

struct body_finding create_judge_tmpfs(const struct field_context *context,
                                       const struct field *field, const cJSON *value) {
    for (const cJSON *mount = value->child; mount != NULL; mount = mount->next) {
        if (!tmpfs_options_are_harmless(fields_text(mount)))
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "the tmpfs options %s are not allowed; use only size, "
                                             "mode, uid, gid, nr_inodes and mount flags",
                                             quote(context->arena, fields_text(mount))));
    }
    return finding_allow();
}

struct body_finding create_judge_oom_score(const struct field_context *context,
                                           const struct field *field, const cJSON *value) {
    (void)context;
    return value->valuedouble < 0 ? finding_deny(field->rule, field->reason) : finding_allow();
}
