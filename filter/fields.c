#include "filter/fields.h"

#include <cjson/cJSON.h>

#include "filter/glob.h"
#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/remedy.h"

struct body_finding finding_allow(void) {
    return (struct body_finding){.decision = FILTER_ALLOW, .rule = "body.allowed"};
}

struct body_finding finding_deny(const char *rule, const char *reason) {
    return (struct body_finding){.decision = FILTER_DENY,
                                 .rule = rule,
                                 .reason = reason != NULL ? reason : "this is not allowed"};
}

struct body_finding finding_deny_switch(const char *rule, const char *reason, const char *key) {
    struct body_finding finding = finding_deny(rule, reason);
    if (key != NULL)
        finding.remedy = remedy_switch(key);
    return finding;
}

struct body_finding finding_bad_request(const char *rule, const char *reason) {
    return (struct body_finding){.decision = FILTER_BAD_REQUEST,
                                 .rule = rule,
                                 .reason = reason != NULL ? reason : "the body is malformed"};
}

struct body_finding finding_no_memory(void) {
    return finding_bad_request("body.memory", "the body is too large to be judged now; try later");
}

struct slice fields_text(const cJSON *string) {
    return slice_from_string(string->valuestring);
}

const cJSON *fields_first_string(const cJSON *strings) {
    return cJSON_IsString(strings) ? strings : strings->child;
}

const cJSON *fields_next_string(const cJSON *strings, const cJSON *current) {
    return cJSON_IsString(strings) ? NULL : current->next;
}

const cJSON *fields_member(const cJSON *object, struct slice name) {
    for (const cJSON *member = object->child; member != NULL; member = member->next)
        if (json_key_is(slice_from_string(member->string), name))
            return cJSON_IsNull(member) ? NULL : member;
    return NULL;
}

struct slice fields_member_string(const cJSON *object, struct slice name) {
    const cJSON *member = fields_member(object, name);
    return cJSON_IsString(member) ? fields_text(member) : SLICE("");
}

static struct body_finding check_keys(const struct field_context *context, const cJSON *object,
                                      bool fold) {
    struct slice duplicate = {0};
    switch (json_check_keys(object, fold, context->arena, &duplicate)) {
    case JSON_KEYS_UNIQUE:
        return finding_allow();
    case JSON_KEYS_DUPLICATE:
        return finding_bad_request(
            "body.duplicate-key",
            arena_printf(context->arena, "the key %s occurs twice in one JSON object; send it once",
                         quote(context->arena, duplicate)));
    case JSON_KEYS_NO_MEMORY:
    default:
        return finding_no_memory();
    }
}

/* Whatever no table describes: its objects may be structs, so their keys must not fold together. */
static struct body_finding check_unknown(const struct field_context *context, const cJSON *value) {
    struct body_finding finding = finding_allow();
    if (cJSON_IsObject(value))
        finding = check_keys(context, value, true);
    /* Only objects and lists have children. */
    for (const cJSON *child = value->child; child != NULL && finding.decision == FILTER_ALLOW;
         child = child->next)
        if (child->child != NULL)
            finding = check_unknown(context, child);
    return finding;
}

static bool holds_only_objects(const cJSON *value) {
    for (const cJSON *child = value->child; child != NULL; child = child->next)
        if (!cJSON_IsObject(child))
            return false;
    return true;
}

static bool holds_only_strings(const cJSON *value) {
    for (const cJSON *child = value->child; child != NULL; child = child->next)
        if (!cJSON_IsString(child))
            return false;
    return true;
}

/* What the value had to be, NULL when it is that. A list of structs may not hold null, which Go
 * would read as an empty struct; a map of struct pointers may. */
static const char *type_mismatch(const struct field *field, const cJSON *value) {
    switch (field->type) {
    case FIELD_ANY:
        return NULL;
    case FIELD_BOOL:
        return cJSON_IsBool(value) ? NULL : "true or false";
    case FIELD_NUMBER:
        return cJSON_IsNumber(value) ? NULL : "a number";
    case FIELD_STRING:
        return cJSON_IsString(value) ? NULL : "a string";
    case FIELD_STRINGS:
        return cJSON_IsString(value) || (cJSON_IsArray(value) && holds_only_strings(value))
                   ? NULL
                   : "a list of strings";
    case FIELD_LIST:
        if (!cJSON_IsArray(value))
            return "a list";
        return field->members == NULL || holds_only_objects(value) ? NULL : "a list of objects";
    case FIELD_OBJECT:
    case FIELD_MAP:
        return cJSON_IsObject(value) ? NULL : "an object";
    case FIELD_TEXTS:
        return cJSON_IsObject(value) && holds_only_strings(value) ? NULL : "an object of strings";
    default:
        return "something else";
    }
}

/* The objects inside a list or map. */
static struct body_finding judge_inside(const struct field_context *context,
                                        const struct field *field, const cJSON *value) {
    struct body_finding finding = finding_allow();
    for (const cJSON *child = value->child; child != NULL && finding.decision == FILTER_ALLOW;
         child = child->next) {
        if (field->members == NULL || cJSON_IsNull(child))
            finding = check_unknown(context, child);
        else if (cJSON_IsObject(child))
            finding = fields_judge(context, field->members, child);
        else
            finding = finding_bad_request("body.type", arena_printf(context->arena,
                                                                    "%.*s must hold objects only",
                                                                    SLICE_ARGS(field->name)));
    }
    return finding;
}

static const void *opening(const struct field_context *context, const struct field *field) {
    return (const char *)context->policy + field->opened;
}

bool field_opens(const struct field_context *context, const struct field *field,
                 struct slice word) {
    if (field->key == NULL || field->is_switch)
        return false;
    const struct filter_words *words = opening(context, field);
    for (size_t i = 0; i < words->count; i++)
        if (glob_matches(slice_from_string(words->items[i]), word))
            return true;
    return false;
}

struct body_finding field_deny_word(const struct field_context *context, const struct field *field,
                                    struct slice word, const char *reason) {
    struct body_finding finding = finding_deny(field->rule, reason);
    if (field->key != NULL)
        finding.remedy = remedy_word(context->arena, field->key, word);
    return finding;
}

/* What a switch opens is not looked at; what it does not, it would. */
static struct body_finding judge_field(const struct field_context *context,
                                       const struct field *field, const cJSON *value) {
    const bool *open = field->is_switch ? opening(context, field) : NULL;
    if (open != NULL && *open)
        return finding_allow();
    struct body_finding finding = field->judge(context, field, value);
    if (open != NULL && finding.decision == FILTER_DENY)
        finding.remedy = remedy_switch(field->key);
    return finding;
}

static struct body_finding judge_value(const struct field_context *context,
                                       const struct field *field, const cJSON *value) {
    struct body_finding finding = finding_allow();
    switch (field->type) {
    case FIELD_OBJECT:
        if (field->members != NULL)
            finding = fields_judge(context, field->members, value);
        else
            finding = check_unknown(context, value);
        break;
    case FIELD_MAP:
    case FIELD_TEXTS:
        finding = check_keys(context, value, false);
        if (finding.decision == FILTER_ALLOW)
            finding = judge_inside(context, field, value);
        break;
    case FIELD_LIST:
        finding = judge_inside(context, field, value);
        break;
    case FIELD_ANY:
        finding = check_unknown(context, value);
        break;
    case FIELD_BOOL:
    case FIELD_NUMBER:
    case FIELD_STRING:
    case FIELD_STRINGS:
    default:
        break;
    }
    if (finding.decision == FILTER_ALLOW && field->judge != NULL)
        finding = judge_field(context, field, value);
    return finding;
}

static const struct field *find_field(const struct field_table *table, struct slice key) {
    /* What folds beyond ASCII's case is rare; of other keys, most names differ by their length. */
    bool ascii = slice_is_ascii(key);
    for (; table != NULL; table = table->also)
        for (size_t i = 0; i < table->count; i++)
            if (ascii ? slice_equal_ignoring_case(key, table->fields[i].name)
                      : json_key_is(key, table->fields[i].name))
                return &table->fields[i];
    return NULL;
}

/* What an absent field would decode to: clients print such fields without meaning anything. */
static bool is_zero(const cJSON *value) {
    if (cJSON_IsString(value))
        return value->valuestring[0] == '\0';
    if (cJSON_IsNumber(value))
        return !(value->valuedouble < 0) && !(value->valuedouble > 0);
    if (cJSON_IsArray(value) || cJSON_IsObject(value))
        return value->child == NULL;
    return !cJSON_IsTrue(value);
}

/* The engine ignores fields it does not know, but it may know ones that these tables do not yet. */
static struct body_finding judge_unknown(const struct field_context *context,
                                         const struct field_table *table, const cJSON *member) {
    struct body_finding finding = check_unknown(context, member);
    bool strict = table->strict || context->policy->preset == FILTER_ALLOWLIST;
    if (finding.decision != FILTER_ALLOW || !strict || is_zero(member))
        return finding;
    return finding_deny(
        table->unknown_rule,
        arena_printf(context->arena, "the field %s of %s is not known to this policy; drop it",
                     quote(context->arena, slice_from_string(member->string)), table->name));
}

struct body_finding fields_judge(const struct field_context *context,
                                 const struct field_table *table, const cJSON *object) {
    struct body_finding finding = check_keys(context, object, true);
    for (const cJSON *member = object->child; member != NULL && finding.decision == FILTER_ALLOW;
         member = member->next) {
        const struct field *field = find_field(table, slice_from_string(member->string));
        if (field == NULL) {
            finding = judge_unknown(context, table, member);
            continue;
        }
        if (cJSON_IsNull(member)) /* Go leaves the field as it was: absent */
            continue;
        const char *expected = type_mismatch(field, member);
        if (expected == NULL)
            finding = judge_value(context, field, member);
        else
            finding =
                finding_bad_request("body.type", arena_printf(context->arena, "%.*s must be %s",
                                                              SLICE_ARGS(field->name), expected));
    }
    if (finding.decision == FILTER_ALLOW && table->whole != NULL)
        finding = table->whole(context, object);
    return finding;
}

struct body_finding field_judge_not_true(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    (void)context;
    return cJSON_IsFalse(value) ? finding_allow() : finding_deny(field->rule, field->reason);
}

struct body_finding field_judge_empty(const struct field_context *context,
                                      const struct field *field, const cJSON *value) {
    (void)context;
    return is_zero(value) ? finding_allow() : finding_deny(field->rule, field->reason);
}

struct body_finding field_judge_null(const struct field_context *context, const struct field *field,
                                     const cJSON *value) {
    (void)context;
    (void)value;
    return finding_deny(field->rule, field->reason);
}

struct body_finding field_judge_words(const struct field_context *context,
                                      const struct field *field, const cJSON *value) {
    for (const char *const *word = field->words; *word != NULL; word++)
        if (strcmp(value->valuestring, *word) == 0)
            return finding_allow();
    struct slice text = fields_text(value);
    if (field_opens(context, field, text))
        return finding_allow();
    return field_deny_word(context, field, text,
                           arena_printf(context->arena, "%.*s %s is not allowed; %s",
                                        SLICE_ARGS(field->name), quote(context->arena, text),
                                        field->reason));
}
