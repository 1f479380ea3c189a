#include "filter/volume_rules.h"

#include <cjson/cJSON.h>

#include "filter/ascii.h"
#include "filter/tmpfs.h"

const char *const volume_drivers[] = {"", "local", NULL};

bool volume_name_is_valid(struct slice name) {
    if (name.len == 0 || !ascii_is_alphanumeric(name.data[0]))
        return false;
    for (size_t i = 1; i < name.len; i++)
        if (!ascii_is_alphanumeric(name.data[i]) && name.data[i] != '_' && name.data[i] != '.' &&
            name.data[i] != '-')
            return false;
    return true;
}

struct body_finding volume_judge_local_options(const struct field_context *context,
                                               const struct field *field, const cJSON *value) {
    (void)context;
    bool mounts = false;
    bool tmpfs = false;
    bool harmless = true;
    for (const cJSON *option = value->child; option != NULL; option = option->next) {
        struct slice key = slice_from_string(option->string);
        struct slice text = fields_text(option);
        /* "size" is a quota on the volume's own folder and mounts nothing. */
        if (slice_equal(key, SLICE("size"))) {
            harmless = harmless && tmpfs_value_is_plain(text);
            continue;
        }
        mounts = true;
        if (slice_equal(key, SLICE("type")))
            tmpfs = slice_equal(text, SLICE("tmpfs"));
        else if (slice_equal(key, SLICE("device")))
            harmless =
                harmless && (slice_equal(text, SLICE("tmpfs")) || slice_equal(text, SLICE("none")));
        else if (slice_equal(key, SLICE("o")))
            harmless = harmless && tmpfs_options_are_harmless(text);
        else
            harmless = false;
    }
    if (harmless && (tmpfs || !mounts))
        return finding_allow();
    return finding_deny(field->rule, field->reason);
}

static const struct field volume_create_fields[] = {
    FIELD("Name", FIELD_STRING),
    FIELD("Labels", FIELD_MAP),
    FIELD_WORDS("Driver", volume_drivers, "volume.driver", "use the local volume driver"),
    FIELD_JUDGED(
        "DriverOpts", FIELD_TEXTS, volume_judge_local_options, "volume.options",
        "volume options that mount something of the host are not allowed; use a plain volume or "
        "type=tmpfs with device=tmpfs and plain tmpfs options"),
    FIELD_JUDGED("ClusterVolumeSpec", FIELD_OBJECT, field_judge_null, "volume.cluster",
                 "cluster volumes are not allowed; use a plain volume"),
};

const struct field_table volume_create_table = {
    .name = "the volume",
    .fields = volume_create_fields,
    .count = FIELD_COUNT(volume_create_fields),
    .unknown_rule = "volume.unknown-field",
};
