#include "filter/mount_rules.h"

#include <cjson/cJSON.h>

#include "filter/bind.h"
#include "filter/create_judges.h"
#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/remedy.h"
#include "filter/split.h"
#include "filter/volume_rules.h"

/* The folder itself, as the engine reads its name, and no more of it than is asked for. */
static struct filter_remedy remedy_of(struct slice source, bool read_only, struct arena *arena) {
    static const char key[] = "create.binds";
    struct filter_remedy remedy = remedy_word(arena, key, bind_clean(source, arena));
    if (remedy.key == NULL || !read_only)
        return remedy;
    return remedy_json(
        key, arena_printf(arena, "{\"path\":%.*s,\"read-only\":true}", SLICE_ARGS(remedy.value)));
}

static struct body_finding judge_source(const struct field_context *context, const char *rule,
                                        struct slice source, bool read_only) {
    const char *reason = NULL;
    switch (bind_list_judge(&context->policy->binds, source, read_only, context->arena, &reason)) {
    case BIND_OPEN:
        return finding_allow();
    case BIND_NO_MEMORY:
        return finding_no_memory();
    case BIND_NOT_OPEN:
    case BIND_READ_ONLY: {
        struct body_finding finding = finding_deny(rule, reason);
        finding.remedy = remedy_of(source, read_only, context->arena);
        return finding;
    }
    case BIND_REFUSED:
    default:
        return finding_deny(rule, reason);
    }
}

static struct body_finding judge_volume_name(const struct field_context *context, const char *rule,
                                             struct slice name) {
    if (volume_name_is_valid(name))
        return finding_allow();
    return finding_deny(rule, arena_printf(context->arena,
                                           "%s is neither an absolute path nor a volume's name; "
                                           "use a plain volume name",
                                           quote(context->arena, name)));
}

static bool has_option(struct slice options, struct slice wanted) {
    struct splitter splitter = split_start(options, ',');
    struct slice option;
    while (split_next(&splitter, &option))
        if (slice_equal(option, wanted))
            return true;
    return false;
}

/* Options after the second colon. Propagation other than private lets mounts cross between the
 * container and the host. */
static bool bind_options_are_harmless(struct slice options) {
    static const struct slice allowed[] = {
        SLICE("ro"),      SLICE("rw"),        SLICE("z"),      SLICE("Z"),
        SLICE("private"), SLICE("rprivate"),  SLICE("nocopy"), SLICE("consistent"),
        SLICE("cached"),  SLICE("delegated"),
    };
    if (options.len == 0)
        return true;
    struct splitter splitter = split_start(options, ',');
    struct slice option;
    while (split_next(&splitter, &option)) {
        bool known = false;
        for (size_t i = 0; i < FIELD_COUNT(allowed) && !known; i++)
            known = slice_equal(option, allowed[i]);
        if (!known)
            return false;
    }
    return true;
}

static struct body_finding judge_bind(const struct field_context *context,
                                      const struct field *field, struct slice bind) {
    struct slice parts[3];
    size_t count = 0;
    struct splitter splitter = split_start(bind, ':');
    while (count < FIELD_COUNT(parts) && split_next(&splitter, &parts[count]))
        count++;
    if (!splitter.ended)
        return finding_bad_request("create.bind-form",
                                   arena_printf(context->arena,
                                                "the bind %s has too many parts; write "
                                                "source:target:options",
                                                quote(context->arena, bind)));
    if (parts[0].len == 0)
        return finding_bad_request("create.bind-form",
                                   "a bind has no source; write source:target:options");
    if (count == 1) /* a path in the container, for a volume without a name */
        return finding_allow();

    if (count == 3 && !bind_options_are_harmless(parts[2]))
        return finding_deny("create.bind-options",
                            arena_printf(context->arena,
                                         "the bind options %s are not allowed; use only ro, rw, z, "
                                         "Z, nocopy and private propagation",
                                         quote(context->arena, parts[2])));
    if (parts[0].data[0] == '/')
        return judge_source(context, field->rule, parts[0],
                            count == 3 && has_option(parts[2], SLICE("ro")));
    return judge_volume_name(context, field->rule, parts[0]);
}

struct body_finding mount_judge_binds(const struct field_context *context,
                                      const struct field *field, const cJSON *value) {
    struct body_finding finding = finding_allow();
    for (const cJSON *bind = fields_first_string(value);
         bind != NULL && finding.decision == FILTER_ALLOW; bind = fields_next_string(value, bind))
        finding = judge_bind(context, field, fields_text(bind));
    return finding;
}

struct body_finding mount_judge_volumes(const struct field_context *context,
                                        const struct field *field, const cJSON *value) {
    struct body_finding finding = finding_allow();
    for (const cJSON *volume = value->child; volume != NULL && finding.decision == FILTER_ALLOW;
         volume = volume->next)
        finding = judge_bind(context, field, slice_from_string(volume->string));
    return finding;
}

static bool is_true(const cJSON *object, struct slice name) {
    return cJSON_IsTrue(fields_member(object, name));
}

/* Read-only with all that is mounted below, as far as the client can say so: engines before 25.0,
 * kernels before 5.12, and newer engines for an API below 1.44 (moby, container_routes.go) leave
 * what is below writable in any case. */
static bool is_read_only(const cJSON *mount) {
    const cJSON *options = fields_member(mount, SLICE("BindOptions"));
    return is_true(mount, SLICE("ReadOnly")) &&
           (options == NULL || !is_true(options, SLICE("ReadOnlyNonRecursive")));
}

/* Options and source of one mount; the options' own rows in mount_table are judged already. An
 * image or a tmpfs brings nothing of the host with it: an image's files are what `run` could read
 * as well, and the engine resolves sub-paths of volumes and images without leaving them. */
static struct body_finding judge_mount(const struct field_context *context,
                                       const struct field *field, const cJSON *mount) {
    struct slice type = fields_member_string(mount, SLICE("Type"));
    struct slice source = fields_member_string(mount, SLICE("Source"));
    static const struct field image = {.rule = "create.image"};
    if (slice_equal(type, SLICE("image")) && source.len > 0)
        return create_judge_image(context, &image, fields_member(mount, SLICE("Source")));
    if (slice_equal(type, SLICE("tmpfs")) || slice_equal(type, SLICE("image")))
        return finding_allow();
    if (slice_equal(type, SLICE("volume")))
        return source.len == 0 ? finding_allow()
                               : judge_volume_name(context, "create.mount-source", source);
    if (slice_equal(type, SLICE("bind"))) {
        if (source.len == 0 || source.data[0] != '/')
            return finding_deny("create.mount-source",
                                arena_printf(context->arena,
                                             "the bind source %s is not allowed; use an absolute "
                                             "path",
                                             quote(context->arena, source)));
        return judge_source(context, "create.bind", source, is_read_only(mount));
    }
    return finding_deny(field->rule, arena_printf(context->arena,
                                                  "mounts of type %s are not allowed; use volume, "
                                                  "tmpfs or image",
                                                  quote(context->arena, type)));
}

struct body_finding mount_judge_mounts(const struct field_context *context,
                                       const struct field *field, const cJSON *value) {
    struct body_finding finding = finding_allow();
    for (const cJSON *mount = value->child; mount != NULL && finding.decision == FILTER_ALLOW;
         mount = mount->next)
        finding = judge_mount(context, field, mount);
    return finding;
}

static const char *const private_propagation[] = {"", "private", "rprivate", NULL};

static const struct field bind_options_fields[] = {
    FIELD_WORDS("Propagation", private_propagation, "create.mount-propagation",
                "mounts must stay in the container, drop bind-propagation"),
    FIELD("NonRecursive", FIELD_BOOL),
    FIELD("CreateMountpoint", FIELD_BOOL),
    FIELD("ReadOnlyNonRecursive", FIELD_BOOL),
    FIELD("ReadOnlyForceRecursive", FIELD_BOOL),
};
static const struct field_table bind_options_table = {
    .name = "BindOptions",
    .fields = bind_options_fields,
    .count = FIELD_COUNT(bind_options_fields),
    .unknown_rule = "create.unknown-field",
};

static const struct field driver_config_fields[] = {
    FIELD_WORDS("Name", volume_drivers, "create.mount-driver", "use the local volume driver"),
    FIELD_JUDGED("Options", FIELD_TEXTS, volume_judge_local_options, "create.mount-options",
                 "volume options that mount something of the host are not allowed; drop volume-opt "
                 "or use type=tmpfs with device=tmpfs and plain tmpfs options"),
};
static const struct field_table driver_config_table = {
    .name = "DriverConfig",
    .fields = driver_config_fields,
    .count = FIELD_COUNT(driver_config_fields),
    .unknown_rule = "create.unknown-field",
};

static const struct field volume_options_fields[] = {
    FIELD("NoCopy", FIELD_BOOL),
    FIELD("Labels", FIELD_MAP),
    FIELD("Subpath", FIELD_STRING),
    FIELD_MEMBERS("DriverConfig", FIELD_OBJECT, driver_config_table),
};
static const struct field_table volume_options_table = {
    .name = "VolumeOptions",
    .fields = volume_options_fields,
    .count = FIELD_COUNT(volume_options_fields),
    .unknown_rule = "create.unknown-field",
};

static const struct field mount_fields[] = {
    FIELD("Type", FIELD_STRING),
    FIELD("Source", FIELD_STRING),
    FIELD("Target", FIELD_STRING),
    FIELD("ReadOnly", FIELD_BOOL),
    FIELD("Consistency", FIELD_STRING),
    FIELD_MEMBERS("BindOptions", FIELD_OBJECT, bind_options_table),
    FIELD_MEMBERS("VolumeOptions", FIELD_OBJECT, volume_options_table),
    FIELD("ImageOptions", FIELD_OBJECT),
    FIELD("TmpfsOptions", FIELD_OBJECT),
    FIELD("ClusterOptions", FIELD_OBJECT),
};
const struct field_table mount_table = {
    .name = "a mount",
    .fields = mount_fields,
    .count = FIELD_COUNT(mount_fields),
    .unknown_rule = "create.unknown-field",
};
