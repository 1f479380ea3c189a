#include "filter/policy_read.h"

#include <stdarg.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "filter/json_place.h"
#include "filter/policy.h"
#include "filter/policy_keys.h"
#include "filter/policy_value.h"
#include "filter/presets.h"
#include "filter/quote.h"

struct filter_settings policy_defaults(void) {
    return (struct filter_settings){.preset = FILTER_BLOCKLIST,
                                    .buildkit = FILTER_BUILDKIT_INSPECT,
                                    .api_floor_minor = POLICY_LOWEST_MINOR};
}

const cJSON *policy_member(const cJSON *object, const char *name) {
    for (const cJSON *member = object->child; member != NULL; member = member->next)
        if (strcmp(member->string, name) == 0)
            return member;
    return NULL;
}

bool policy_fail(const struct policy_reader *reader, const cJSON *value, bool key,
                 const char *format, ...) {
    struct json_place place = json_place_of(reader->text, reader->root, value, key);
    int length = snprintf(reader->error, reader->error_size, "%s:%zu:%zu: ", reader->file,
                          place.line, place.column);
    if (length < 0 || (size_t)length >= reader->error_size)
        return false;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reader->error + length, reader->error_size - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

bool policy_check_duplicates(const struct policy_reader *reader, const cJSON *object) {
    struct slice duplicate = {0};
    struct arena arena = {0};
    enum json_keys keys = json_check_keys(object, false, &arena, &duplicate);
    bool sound = keys == JSON_KEYS_UNIQUE;
    if (keys == JSON_KEYS_NO_MEMORY)
        (void)policy_fail(reader, object, false, "memory is out");
    if (keys == JSON_KEYS_DUPLICATE) {
        const cJSON *second = NULL;
        for (const cJSON *member = object->child; member != NULL; member = member->next)
            if (slice_equal(slice_from_string(member->string), duplicate))
                second = member;
        (void)policy_fail(reader, second, true, "the key %s comes twice; give it once",
                          quote(&arena, duplicate));
    }
    arena_reset(&arena);
    return sound;
}

/* `path` is the section's own, without a point at its end. */
static bool fail_unknown(const struct policy_reader *reader, const cJSON *member,
                         struct slice section, bool outermost) {
    struct arena arena = {0};
    const char *shown = quote(&arena, slice_from_string(member->string));
    const char *where =
        section.len == 0 ? "" : arena_printf(&arena, " in \"%.*s\"", SLICE_ARGS(section));
    const struct policy_key *top = policy_key_find(slice_from_string(member->string));
    struct near near = near_start(member->string);
    policy_key_offer(&near, section);
    if (where == NULL)
        where = "";
    if (section.len == 0 && !outermost && top != NULL)
        (void)policy_fail(reader, member, true, "the key %s belongs to the whole file", shown);
    else if (near.best != NULL)
        (void)policy_fail(reader, member, true, "unknown key %s%s; did you mean \"%s\"?", shown,
                          where, near.best);
    else
        (void)policy_fail(reader, member, true,
                          "unknown key %s%s; the policy's documentation has "
                          "all keys",
                          shown, where);
    arena_reset(&arena);
    return false;
}

/* The members of one section. Recursion is as deep as the table's paths. */
static bool read_section(const struct policy_reader *reader, const cJSON *object,
                         struct slice section, bool outermost, struct filter_settings *settings) {
    if (!policy_check_duplicates(reader, object))
        return false;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        char path[128];
        int length = snprintf(path, sizeof path, "%.*s%s%s", SLICE_ARGS(section),
                              section.len > 0 ? "." : "", member->string);
        struct slice name = slice_from_string(path);
        bool whole = length > 0 && (size_t)length < sizeof path;
        /* A point in a name would be taken for a section's. */
        whole = whole && strchr(member->string, '.') == NULL;
        const struct policy_key *key = whole ? policy_key_find(name) : NULL;
        bool is_top = key != NULL && key->kind == POLICY_TOP;
        if (key != NULL && (!is_top || outermost)) {
            if (!is_top && !policy_value_read(reader, key, member, settings))
                return false;
        } else if (key == NULL && whole && policy_key_is_section(name)) {
            if (!cJSON_IsObject(member))
                return policy_fail(reader, member, false, "\"%s\" must be an object", path);
            if (!read_section(reader, member, name, outermost, settings))
                return false;
        } else {
            return fail_unknown(reader, member, section, outermost);
        }
    }
    return true;
}

bool policy_read(const struct policy_reader *reader, const cJSON *object, bool outermost,
                 struct filter_settings *settings) {
    /* Wherever it stands, what the other keys change is what it says. */
    const cJSON *preset = policy_member(object, "preset");
    if (preset != NULL) {
        *settings = policy_defaults();
        if (!policy_value_read(reader, policy_key_find(SLICE("preset")), preset, settings))
            return false;
        preset_set_defaults(settings);
    }
    return read_section(reader, object, SLICE(""), outermost, settings);
}
