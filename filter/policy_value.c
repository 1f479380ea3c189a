#include "filter/policy_value.h"

#include <stdio.h>

#include <cjson/cJSON.h>

#include "filter/bind.h"
#include "filter/fields.h"
#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/target.h"

static bool no_memory(const struct policy_reader *reader, const cJSON *value) {
    return policy_fail(reader, value, false, "memory is out");
}

/* "… must be a, b or c" is told with what the choices are. */
static bool fail_choice(const struct policy_reader *reader, const struct policy_key *key,
                        const cJSON *value, const struct policy_choice *choices) {
    char known[160] = "";
    struct near near = near_start(cJSON_IsString(value) ? value->valuestring : "");
    for (const struct policy_choice *choice = choices; choice->word != NULL; choice++) {
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s\"%s\"", used > 0 ? ", " : "",
                       choice->word);
        near_offer(&near, choice->word);
    }
    if (near.best == NULL)
        return policy_fail(reader, value, false, "\"%s\" takes one of: %s", key->path, known);
    return policy_fail(reader, value, false, "\"%s\" takes one of: %s; did you mean \"%s\"?",
                       key->path, known, near.best);
}

static bool find_choice(const struct policy_choice *choices, const cJSON *value, unsigned *result) {
    for (; choices->word != NULL; choices++) {
        if (cJSON_IsString(value) && strcmp(value->valuestring, choices->word) == 0) {
            *result = choices->value;
            return true;
        }
    }
    return false;
}

static bool read_switch(const struct policy_reader *reader, const struct policy_key *key,
                        const cJSON *value, bool *target) {
    if (!cJSON_IsBool(value))
        return policy_fail(reader, value, false, "\"%s\" must be true or false", key->path);
    *target = (cJSON_IsTrue(value) != 0) != (key->kind == POLICY_DENIAL);
    return true;
}

static bool read_verdict(const struct policy_reader *reader, const struct policy_key *key,
                         const cJSON *value, bool *target) {
    static const struct policy_choice verdicts[] = {{"deny", false}, {"allow", true}, {NULL, 0}};
    unsigned found;
    if (!find_choice(verdicts, value, &found))
        return fail_choice(reader, key, value, verdicts);
    *target = found != 0;
    return true;
}

_Static_assert(sizeof(enum filter_preset) == sizeof(unsigned) &&
                   sizeof(enum filter_buildkit) == sizeof(unsigned),
               "read_choice writes either");

static bool read_choice(const struct policy_reader *reader, const struct policy_key *key,
                        const cJSON *value, void *target) {
    unsigned found;
    if (!find_choice(key->choices, value, &found))
        return fail_choice(reader, key, value, key->choices);
    memcpy(target, &found, sizeof found);
    return true;
}

static bool read_bits(const struct policy_reader *reader, const struct policy_key *key,
                      const cJSON *value, unsigned *target) {
    *target = 0;
    if (!cJSON_IsArray(value))
        return policy_fail(reader, value, false, "\"%s\" must be a list of strings", key->path);
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        unsigned bit;
        if (!find_choice(key->choices, item, &bit))
            return fail_choice(reader, key, item, key->choices);
        *target |= bit;
    }
    return true;
}

static bool read_version(const struct policy_reader *reader, const struct policy_key *key,
                         const cJSON *value, unsigned *target) {
    struct slice text = cJSON_IsString(value) ? fields_text(value) : SLICE("");
    unsigned minor = 0;
    bool valid = slice_starts_with(text, SLICE("1.")) && text.len >= 3 && text.len <= 6 &&
                 text.data[2] != '0';
    for (size_t i = 2; valid && i < text.len; i++) {
        valid = text.data[i] >= '0' && text.data[i] <= '9';
        minor = minor * 10 + (unsigned)(text.data[i] - '0');
    }
    if (!valid || minor < POLICY_LOWEST_MINOR || minor > TARGET_MAX_MINOR)
        return policy_fail(reader, value, false,
                           "\"%s\" must be an API version from \"1.%d\" to \"1.%d\"", key->path,
                           POLICY_LOWEST_MINOR, TARGET_MAX_MINOR);
    *target = minor;
    return true;
}

static bool check_item(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *item) {
    if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
        return policy_fail(reader, item, false, "\"%s\" must hold strings that are not empty",
                           key->path);
    if (key->check == NULL)
        return true;
    struct near near = near_start(item->valuestring);
    const char *fault = key->check(fields_text(item), &near);
    if (fault == NULL)
        return true;
    struct arena arena = {0};
    const char *shown = quote(&arena, fields_text(item));
    if (near.best == NULL)
        (void)policy_fail(reader, item, false, "%s %s", shown, fault);
    else
        (void)policy_fail(reader, item, false, "%s %s; did you mean \"%s\"?", shown, fault,
                          near.best);
    arena_reset(&arena);
    return false;
}

/* A list of strings that are checked already. */
static bool keep_words(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *value, struct filter_words *target) {
    size_t count = (size_t)cJSON_GetArraySize(value);
    const char **items = arena_alloc(reader->keep, count * sizeof *items + 1);
    if (items == NULL)
        return no_memory(reader, value);
    size_t used = 0;
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        items[used] = key->normal != NULL ? key->normal(fields_text(item))
                                          : arena_printf(reader->keep, "%s", item->valuestring);
        if (items[used++] == NULL)
            return no_memory(reader, value);
    }
    *target = (struct filter_words){.items = items, .count = count, .given = true};
    return true;
}

static bool read_words(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *value, struct filter_words *target) {
    if (!cJSON_IsArray(value))
        return policy_fail(reader, value, false, "\"%s\" must be a list of strings", key->path);
    for (const cJSON *item = value->child; item != NULL; item = item->next)
        if (!check_item(reader, key, item))
            return false;
    return keep_words(reader, key, value, target);
}

/* {"path": …, "read-only": …} */
static bool read_bind_object(const struct policy_reader *reader, const struct policy_key *key,
                             const cJSON *item, const cJSON **path, struct filter_bind *bind) {
    if (!policy_check_duplicates(reader, item))
        return false;
    for (const cJSON *member = item->child; member != NULL; member = member->next) {
        struct near near = near_start(member->string);
        near_offer(&near, "path");
        near_offer(&near, "read-only");
        if (strcmp(member->string, "path") == 0)
            *path = member;
        else if (strcmp(member->string, "read-only") != 0)
            return near.best != NULL
                       ? policy_fail(reader, member, true,
                                     "unknown key in \"%s\"; did you mean \"%s\"?", key->path,
                                     near.best)
                       : policy_fail(reader, member, true,
                                     "unknown key in \"%s\"; there are \"path\" and \"read-only\"",
                                     key->path);
        else if (!cJSON_IsBool(member))
            return policy_fail(reader, member, false, "\"read-only\" must be true or false");
        else
            bind->read_only = cJSON_IsTrue(member) != 0;
    }
    return *path != NULL || policy_fail(reader, item, false, "the bind has no \"path\"");
}

static bool read_bind(const struct policy_reader *reader, const struct policy_key *key,
                      const cJSON *item, struct filter_bind *bind) {
    const cJSON *path = cJSON_IsString(item) ? item : NULL;
    *bind = (struct filter_bind){0};
    if (cJSON_IsObject(item) && !read_bind_object(reader, key, item, &path, bind))
        return false;
    if (path == NULL || !cJSON_IsString(path))
        return policy_fail(reader, path != NULL ? path : item, false,
                           "\"%s\" must hold paths, or objects with a \"path\"", key->path);
    const char *fault = bind_spec_fault(fields_text(path));
    if (fault != NULL)
        return policy_fail(reader, path, false, "\"%.200s\": %s", path->valuestring, fault);
    bind->path = arena_printf(reader->keep, "%s", path->valuestring);
    return bind->path != NULL || no_memory(reader, item);
}

static bool read_binds(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *value, struct filter_binds *target) {
    if (!cJSON_IsArray(value))
        return policy_fail(reader, value, false, "\"%s\" must be a list", key->path);
    size_t count = (size_t)cJSON_GetArraySize(value);
    struct filter_bind *items = arena_alloc(reader->keep, count * sizeof *items + 1);
    if (items == NULL)
        return no_memory(reader, value);
    const cJSON *item = value->child;
    for (size_t i = 0; i < count; i++, item = item->next)
        if (!read_bind(reader, key, item, &items[i]))
            return false;
    *target = (struct filter_binds){.items = items, .count = count};
    return true;
}

static bool read_commands(const struct policy_reader *reader, const struct policy_key *key,
                          const cJSON *value, struct filter_exec *target) {
    if (!cJSON_IsArray(value))
        return policy_fail(reader, value, false, "\"%s\" must be a list of lists of strings",
                           key->path);
    size_t count = (size_t)cJSON_GetArraySize(value);
    struct filter_words *commands = arena_alloc(reader->keep, count * sizeof *commands + 1);
    if (commands == NULL)
        return no_memory(reader, value);
    const cJSON *command = value->child;
    for (size_t i = 0; i < count; i++, command = command->next) {
        if (!cJSON_IsArray(command) || command->child == NULL)
            return policy_fail(reader, command, false,
                               "\"%s\" must hold lists of the arguments' patterns, such as "
                               "[\"sh\", \"-c\", \"*\"]",
                               key->path);
        for (const cJSON *argument = command->child; argument != NULL; argument = argument->next)
            if (!cJSON_IsString(argument))
                return policy_fail(reader, argument, false,
                                   "\"%s\" must hold lists of strings, each an argument's pattern",
                                   key->path);
        if (!keep_words(reader, key, command, &commands[i]))
            return false;
    }
    target->commands = commands;
    target->command_count = count;
    target->commands_given = true;
    return true;
}

/* --- numbers --- */

static const double MOST_EXACT = 9007199254740992.0; /* 2^53: whole numbers up to it are exact */

static bool is_whole(const cJSON *value) {
    return cJSON_IsNumber(value) && value->valuedouble >= 1 && value->valuedouble <= MOST_EXACT &&
           value->valuedouble - (double)(uint64_t)value->valuedouble <= 0;
}

/* "512m", "8g", as the docker CLI has them: 1k is 1024. */
static bool parse_bytes(struct slice text, uint64_t *bytes) {
    static const char units[] = "bkmgt";
    uint64_t number = 0;
    size_t i = 0;
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        if (number > (UINT64_C(1) << 53) / 10)
            return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (i == 0 || number == 0 || text.len - i > 1)
        return false;
    unsigned shift = 0;
    if (i < text.len) {
        const char *unit = strchr(units, slice_ascii_lower(text.data[i]));
        if (unit == NULL || *unit == '\0')
            return false;
        shift = 10 * (unsigned)(unit - units);
    }
    if (number > (UINT64_C(1) << 53) >> shift)
        return false;
    *bytes = number << shift;
    return true;
}

static bool read_bytes(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *value, uint64_t *target) {
    if (cJSON_IsString(value) && parse_bytes(fields_text(value), target))
        return true;
    if (!is_whole(value))
        return policy_fail(reader, value, false,
                           "\"%s\" must be a size such as \"512m\" or \"8g\", or bytes", key->path);
    *target = (uint64_t)value->valuedouble;
    return true;
}

static bool read_count(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *value, uint64_t *target) {
    if (!is_whole(value))
        return policy_fail(reader, value, false, "\"%s\" must be a whole number above 0",
                           key->path);
    *target = (uint64_t)value->valuedouble;
    return true;
}

static bool read_cpus(const struct policy_reader *reader, const struct policy_key *key,
                      const cJSON *value, uint64_t *target) {
    static const double billion = 1e9;
    static const double most = 1e6; /* processors */
    if (!cJSON_IsNumber(value) || value->valuedouble * billion < 1 || value->valuedouble > most)
        return policy_fail(reader, value, false, "\"%s\" must be a number above 0, such as 1.5",
                           key->path);
    *target = (uint64_t)(value->valuedouble * billion + 0.5);
    return true;
}

bool policy_value_read(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *value, struct filter_settings *settings) {
    void *target = (char *)settings + key->offset;
    switch (key->kind) {
    case POLICY_SWITCH:
    case POLICY_DENIAL:
        return read_switch(reader, key, value, target);
    case POLICY_VERDICT:
        return read_verdict(reader, key, value, target);
    case POLICY_CHOICE:
        return read_choice(reader, key, value, target);
    case POLICY_BITS:
        return read_bits(reader, key, value, target);
    case POLICY_VERSION:
        return read_version(reader, key, value, target);
    case POLICY_WORDS:
        return read_words(reader, key, value, target);
    case POLICY_BINDS:
        return read_binds(reader, key, value, target);
    case POLICY_COMMANDS:
        return read_commands(reader, key, value, target);
    case POLICY_BYTES:
        return read_bytes(reader, key, value, target);
    case POLICY_COUNT:
        return read_count(reader, key, value, target);
    case POLICY_CPUS:
        return read_cpus(reader, key, value, target);
    case POLICY_TOP:
        break;
    }
    return true;
}
