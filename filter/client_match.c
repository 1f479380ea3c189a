#include "filter/client_match.h"

#include <stddef.h>

#include <cjson/cJSON.h>

#include "filter/glob.h"
#include "filter/near.h"
#include "filter/quote.h"

static const struct condition {
    const char *key;
    bool number;
    size_t offset; /* of the pattern or the number */
    size_t given;  /* of a number's flag */
} conditions[] = {
    {"common-name", false, offsetof(struct client_match, common_name), 0},
    {"alt-name", false, offsetof(struct client_match, alt_name), 0},
    {"listener", false, offsetof(struct client_match, listener), 0},
    {"uid", true, offsetof(struct client_match, uid), offsetof(struct client_match, has_uid)},
    {"gid", true, offsetof(struct client_match, gid), offsetof(struct client_match, has_gid)},
};

static bool read_pattern(const struct policy_reader *reader, const struct condition *condition,
                         const cJSON *value, struct client_match *match) {
    if (!cJSON_IsString(value) || value->valuestring[0] == '\0')
        return policy_fail(reader, value, false, "\"%s\" must be a string that is not empty",
                           condition->key);
    if (condition->offset == offsetof(struct client_match, listener) &&
        strchr(value->valuestring, '?') != NULL)
        return policy_fail(
            reader, value, false,
            "\"listener\" is named without parameters; leave out what is behind '?'");
    const char *copy = arena_printf(reader->keep, "%s", value->valuestring);
    memcpy((char *)match + condition->offset, &copy, sizeof copy);
    return copy != NULL || policy_fail(reader, value, false, "memory is out");
}

static bool read_number(const struct policy_reader *reader, const struct condition *condition,
                        const cJSON *value, struct client_match *match) {
    /* The highest stands for "none" in the system's own interfaces. */
    double number = cJSON_IsNumber(value) ? value->valuedouble : -1;
    if (number < 0 || number >= UINT32_MAX || number - (double)(uint32_t)number > 0)
        return policy_fail(reader, value, false, "\"%s\" must be a whole number from 0",
                           condition->key);
    uint32_t id = (uint32_t)number;
    bool given = true;
    memcpy((char *)match + condition->offset, &id, sizeof id);
    memcpy((char *)match + condition->given, &given, sizeof given);
    return true;
}

static bool read_condition(const struct policy_reader *reader, const cJSON *member,
                           struct client_match *match) {
    struct near near = near_start(member->string);
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct condition *condition = &conditions[i];
        if (strcmp(member->string, condition->key) == 0)
            return condition->number ? read_number(reader, condition, member, match)
                                     : read_pattern(reader, condition, member, match);
        near_offer(&near, condition->key);
    }
    struct arena arena = {0};
    const char *shown = quote(&arena, slice_from_string(member->string));
    if (near.best != NULL)
        (void)policy_fail(reader, member, true, "unknown key %s in \"match\"; did you mean \"%s\"?",
                          shown, near.best);
    else
        (void)policy_fail(reader, member, true,
                          "unknown key %s in \"match\"; there are common-name, alt-name, uid, gid "
                          "and listener",
                          shown);
    arena_reset(&arena);
    return false;
}

bool client_match_read(const struct policy_reader *reader, const cJSON *object,
                       struct client_match *match) {
    *match = (struct client_match){0};
    if (!cJSON_IsObject(object))
        return policy_fail(reader, object, false, "\"match\" must be an object");
    if (object->child == NULL)
        return policy_fail(reader, object, false,
                           "\"match\" names no condition; what is for everybody belongs outside of "
                           "\"clients\"");
    if (!policy_check_duplicates(reader, object))
        return false;
    for (const cJSON *member = object->child; member != NULL; member = member->next)
        if (!read_condition(reader, member, match))
            return false;
    return true;
}

void client_match_print(struct policy_printer *printer, const struct client_match *match) {
    policy_print_open(printer, '{');
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct condition *condition = &conditions[i];
        const void *place = (const char *)match + condition->offset;
        if (condition->number) {
            if (!*(const bool *)((const char *)match + condition->given))
                continue;
            policy_print_item(printer, condition->key);
            (void)fprintf(printer->file, "%u", (unsigned)*(const uint32_t *)place);
            continue;
        }
        const char *pattern;
        memcpy(&pattern, place, sizeof pattern);
        if (pattern == NULL)
            continue;
        policy_print_item(printer, condition->key);
        policy_print_text(printer, slice_from_string(pattern));
    }
    policy_print_close(printer, '}');
}

/* A pattern of stars alone fits the empty text of what is not known. */
static bool fits(const char *pattern, struct slice text) {
    return pattern == NULL || (text.len > 0 && glob_matches(slice_from_string(pattern), text));
}

static bool any_fits(const char *pattern, const struct slice *texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fits(pattern, texts[i]))
            return true;
    return pattern == NULL;
}

bool client_match_holds(const struct client_match *match, const struct filter_identity *identity) {
    return fits(match->common_name, identity->common_name) &&
           any_fits(match->alt_name, identity->alt_names, identity->alt_name_count) &&
           fits(match->listener, identity->listener) &&
           (!match->has_uid || (identity->has_peer && identity->uid == match->uid)) &&
           (!match->has_gid || (identity->has_peer && identity->gid == match->gid));
}
