#include "filter/endpoint_table.h"

#include <stdbool.h>

#include "filter/endpoints.h"
#include "filter/presets.h"

static const enum filter_preset presets[] = {FILTER_BLOCKLIST, FILTER_ALLOWLIST, FILTER_READ_ONLY,
                                             FILTER_CI_RUNNER};
enum { PRESETS = sizeof presets / sizeof *presets };

/* The keys by which what a call asks for is judged. */
static const struct {
    enum body_rule_set body;
    head_rule *head;
    const char *keys;
} judged_by[] = {
    {BODY_CONTAINER_CREATE, NULL, "`create`, `limits`"},
    {BODY_CONTAINER_UPDATE, NULL, "`limits`, `create`"},
    {BODY_EXEC_CREATE, NULL, "`exec`"},
    {BODY_NONE, head_rule_image_create, "`images.pull`"},
    {BODY_NONE, head_rule_image_push, "`images.push`"},
    {BODY_NONE, head_rule_build, "`build`"},
    {BODY_NONE, head_rule_session, "`build.session-deny`"},
};

static const char *keys_of(const struct endpoint *endpoint) {
    for (size_t i = 0; i < sizeof judged_by / sizeof *judged_by; i++)
        if ((judged_by[i].body != BODY_NONE && judged_by[i].body == endpoint->body) ||
            (judged_by[i].head != NULL && judged_by[i].head == endpoint->head))
            return judged_by[i].keys;
    return NULL;
}

static const char *word_of(const struct endpoint *endpoint, enum endpoint_verdict verdict) {
    switch (verdict) {
    case ENDPOINT_REFUSE:
        return "no";
    case ENDPOINT_BUILDKIT:
        return "inspected";
    case ENDPOINT_PASS:
        break;
    }
    return endpoint->head != NULL || endpoint->body != BODY_NONE ? "judged" : "yes";
}

static void print_row(FILE *file, const struct endpoint *endpoint) {
    bool refused = false;
    (void)fprintf(file, "| `%s` | %s |", endpoint->route, endpoint_class_name(endpoint->class));
    for (size_t i = 0; i < PRESETS; i++) {
        const struct filter_settings settings = {.preset = presets[i]};
        bool denied;
        enum endpoint_verdict verdict = preset_verdict(&settings, endpoint, &denied);
        refused = refused || verdict == ENDPOINT_REFUSE;
        (void)fprintf(file, " %s |", word_of(endpoint, verdict));
    }
    const char *keys = keys_of(endpoint);
    (void)fprintf(file, " `endpoints.%s`%s%s%s |\n", refused ? "allow" : "deny",
                  endpoint->blocklist == ENDPOINT_BUILDKIT ? ", `build.buildkit`" : "",
                  keys != NULL ? ", " : "", keys != NULL ? keys : "");
}

void endpoint_table_print(FILE *file) {
    (void)fputs("| call | class |", file);
    for (size_t i = 0; i < PRESETS; i++)
        (void)fprintf(file, " %s |", preset_name(presets[i]));
    (void)fputs(" keys that change it |\n| --- | --- |", file);
    for (size_t i = 0; i < PRESETS; i++)
        (void)fputs(" --- |", file);
    (void)fputs(" --- |\n", file);
    for (size_t i = 0; i < endpoint_count; i++)
        print_row(file, &endpoints[i]);
}
