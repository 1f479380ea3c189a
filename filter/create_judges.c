#include "filter/create_judges.h"

#include <cjson/cJSON.h>

#include "filter/bind.h"
#include "filter/capabilities.h"
#include "filter/glob.h"
#include "filter/image_rules.h"
#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/remedy.h"
#include "filter/split.h"
#include "filter/sysctls.h"
#include "filter/tmpfs.h"

struct body_finding create_judge_cap_add(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    for (const cJSON *name = fields_first_string(value); name != NULL;
         name = fields_next_string(value, name)) {
        struct slice text = fields_text(name);
        if (capability_may_be_added(text) ||
            capability_is_opened(&context->policy->create.capabilities, text))
            continue;
        struct body_finding finding = finding_deny(
            field->rule, arena_printf(context->arena,
                                      "adding the capability %s is not allowed; drop it from "
                                      "--cap-add",
                                      quote(context->arena, text)));
        const char *plain = capability_name(text);
        if (plain != NULL)
            finding.remedy =
                remedy_word(context->arena, "create.capabilities", slice_from_string(plain));
        return finding;
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
        struct slice text = fields_text(option);
        if (!slice_is_one_of(text, allowed, FIELD_COUNT(allowed)) &&
            !field_opens(context, field, text))
            return field_deny_word(context, field, text,
                                   arena_printf(context->arena,
                                                "the security option %s is not allowed; only "
                                                "no-new-privileges is, drop it from --security-opt",
                                                quote(context->arena, text)));
    }
    return finding_allow();
}

struct body_finding create_judge_sysctls(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    for (const cJSON *sysctl = value->child; sysctl != NULL; sysctl = sysctl->next) {
        struct slice name = slice_from_string(sysctl->string);
        bool opened = sysctl_is_plain(name) && field_opens(context, field, name);
        if (!sysctl_is_namespaced(name) && !opened)
            return field_deny_word(context, field, name,
                                   arena_printf(context->arena,
                                                "the sysctl %s is not the container's own and not "
                                                "allowed; use only net.*, kernel.shm*, "
                                                "kernel.msg*, kernel.sem and fs.mqueue.*",
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
    const cJSON *options = fields_member(value, SLICE("Config"));
    struct slice driver = fields_member_string(value, SLICE("Type"));
    /* Those of a driver that the policy opens by name are its operator's affair. */
    const struct filter_words *opened = &context->policy->create.log_drivers;
    for (size_t i = 0; i < opened->count && driver.len > 0; i++)
        if (glob_matches(slice_from_string(opened->items[i]), driver))
            return finding_allow();
    if (options == NULL)
        return finding_allow();
    for (const cJSON *option = options->child; option != NULL; option = option->next) {
        struct slice name = slice_from_string(option->string);
        if (!slice_is_one_of(name, allowed, FIELD_COUNT(allowed)))
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
        if (!slice_starts_with(name, SLICE("org.opencontainers.image.")) &&
            !field_opens(context, field, name))
            return field_deny_word(context, field, name,
                                   arena_printf(context->arena,
                                                "the annotation %s may steer the runtime and is "
                                                "not allowed; use a label",
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

static bool climbs(struct slice path) {
    struct splitter splitter = split_start(path, '/');
    struct slice element;
    while (split_next(&splitter, &element))
        if (slice_equal(element, SLICE("..")))
            return true;
    return false;
}

/* A path below the cgroups' root, or a systemd slice; ".." would lead a pattern astray. */
struct body_finding create_judge_cgroup_parent(const struct field_context *context,
                                               const struct field *field, const cJSON *value) {
    struct slice text = fields_text(value);
    if (text.len == 0 || (!climbs(text) && field_opens(context, field, text)))
        return finding_allow();
    struct body_finding finding = field_deny_word(
        context, field, text,
        arena_printf(context->arena, "CgroupParent %s is not allowed; drop --cgroup-parent",
                     quote(context->arena, text)));
    if (climbs(text))
        finding.remedy = remedy_none();
    return finding;
}

static bool is_clean(struct slice path, struct arena *arena) {
    return path.len > 0 && path.data[0] == '/' && slice_equal(bind_clean(path, arena), path);
}

static const struct field device_fields[] = {
    FIELD("PathOnHost", FIELD_STRING),
    FIELD("PathInContainer", FIELD_STRING),
    FIELD("CgroupPermissions", FIELD_STRING),
};
static const struct field_table device_table = {
    .name = "a device",
    .fields = device_fields,
    .count = FIELD_COUNT(device_fields),
    .unknown_rule = "create.unknown-field",
    .strict = true,
};

/* A folder stands for all devices in it, as the engine has it. */
struct body_finding create_judge_devices(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    for (const cJSON *device = value->child; device != NULL; device = device->next) {
        struct slice path =
            cJSON_IsObject(device) ? fields_member_string(device, SLICE("PathOnHost")) : SLICE("");
        bool clean = is_clean(path, context->arena);
        if (!clean || !field_opens(context, field, path)) {
            struct body_finding finding = field_deny_word(context, field, path, field->reason);
            if (!clean)
                finding.remedy = remedy_none();
            return finding;
        }
        struct body_finding finding = fields_judge(context, &device_table, device);
        if (finding.decision != FILTER_ALLOW)
            return finding;
    }
    return finding_allow();
}

/* What the docker CLI makes of --security-opt systempaths=unconfined. */
struct body_finding create_judge_system_paths(const struct field_context *context,
                                              const struct field *field, const cJSON *value) {
    struct slice option = SLICE("systempaths=unconfined");
    (void)value;
    return field_opens(context, field, option)
               ? finding_allow()
               : field_deny_word(context, field, option, field->reason);
}

struct body_finding create_judge_image(const struct field_context *context,
                                       const struct field *field, const cJSON *value) {
    const struct image_use use = {
        .patterns = &context->policy->create.images,
        .key = "create.images",
        .rule = field->rule,
        .deed = "using",
        .by_id = true,
        .absent_tag = SLICE("latest"),
    };
    struct slice name = fields_text(value);
    return name.len == 0 ? finding_allow() : image_rules_judge(&use, name, context->arena);
}
