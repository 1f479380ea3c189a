/* The JSON texts that builds come with, inside a query or a frontend attribute. */
#include "filter/build_rules.h"

#include <cjson/cJSON.h>

#include "filter/fields.h"

/* Go structs of two fields each: BuildKit's CacheOptionsEntry, the API's ImageBuildOutput. */
static const struct field entry_fields[] = {
    FIELD("Type", FIELD_STRING),
    FIELD("Attrs", FIELD_TEXTS),
};
static const struct field_table entry_table = {.name = "entry",
                                               .fields = entry_fields,
                                               .count = FIELD_COUNT(entry_fields),
                                               .unknown_rule = "buildkit.unknown-key"};

typedef struct body_finding entry_judge(const struct message_context *context, const cJSON *entry);

static struct body_finding malformed(const struct message_context *context,
                                     const struct json_error *error) {
    return finding_bad_request("buildkit.json",
                               arena_printf(context->arena,
                                            "a build's JSON is not plain: %s (at byte "
                                            "%zu)",
                                            error->what, error->offset));
}

/* Every element of a list of objects. A null would be an empty pointer to the engine. */
static struct body_finding judge_list(const struct message_context *context, struct slice text,
                                      entry_judge *judge) {
    const struct field_context fields = {.policy = context->policy, .arena = context->arena};
    struct arena tree = {0};
    struct json_error error;
    struct body_finding finding = finding_allow();
    const cJSON *list = json_parse_list(text, &tree, &error);
    if (list == NULL)
        finding = malformed(context, &error);
    for (const cJSON *entry = list != NULL ? list->child : NULL;
         entry != NULL && finding.decision == FILTER_ALLOW; entry = entry->next) {
        if (!cJSON_IsObject(entry))
            finding = finding_bad_request("buildkit.json", "a list in a build's JSON must hold "
                                                           "objects alone");
        else
            finding = fields_judge(&fields, &entry_table, entry);
        if (finding.decision == FILTER_ALLOW)
            finding = judge(context, entry);
    }
    arena_reset(&tree);
    return finding;
}

static struct body_finding judge_cache_entry(const struct message_context *context,
                                             const cJSON *entry) {
    return build_judge_cache(context, BUILD_CACHE_IMPORT,
                             fields_member_string(entry, SLICE("Type")));
}

static struct body_finding judge_output_entry(const struct message_context *context,
                                              const cJSON *entry) {
    struct body_finding finding =
        build_judge_output(context, fields_member_string(entry, SLICE("Type")));
    const cJSON *options = fields_member(entry, SLICE("Attrs"));
    for (const cJSON *option = options != NULL ? options->child : NULL;
         option != NULL && finding.decision == FILTER_ALLOW; option = option->next)
        finding = build_judge_output_option(context, slice_from_string(option->string),
                                            fields_text(option));
    return finding;
}

struct body_finding build_judge_cache_list(const struct message_context *context,
                                           struct slice text) {
    return judge_list(context, text, judge_cache_entry);
}

struct body_finding build_judge_output_list(const struct message_context *context,
                                            struct slice text) {
    return judge_list(context, text, judge_output_entry);
}

/* A Go map: keys are exact. BUILDKIT_SYNTAX names a frontend image (BuildKit,
 * frontend/dockerfile/builder). */
struct body_finding build_judge_arguments(const struct message_context *context,
                                          struct slice text) {
    struct arena tree = {0};
    struct json_error error;
    struct body_finding finding = finding_allow();
    const cJSON *arguments = json_parse_object(text, &tree, &error);
    if (arguments == NULL)
        finding = malformed(context, &error);
    for (const cJSON *argument = arguments != NULL ? arguments->child : NULL; argument != NULL;
         argument = argument->next)
        if (!build_allows_frontends(context->policy) &&
            slice_equal(slice_from_string(argument->string), SLICE("BUILDKIT_SYNTAX")))
            finding =
                finding_deny_switch("buildkit.frontend-source",
                                    "a frontend image of one's own is not allowed; leave the build "
                                    "argument BUILDKIT_SYNTAX out",
                                    "build.frontends");
    arena_reset(&tree);
    return finding;
}
