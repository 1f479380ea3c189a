/* libFuzzer entry over the judge of bodies. The first byte picks the rule set and the preset; the
 * rest is the body. Beyond memory safety it checks what every finding promises. */
#include <stdint.h>
#include <stdlib.h>

#include "filter/body_rules.h"
#include "filter/json.h"
#include "filter/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_finding(struct body_finding finding, struct arena *arena) {
    require(finding.rule != NULL);
    require(finding.decision == FILTER_ALLOW || finding.decision == FILTER_DENY ||
            finding.decision == FILTER_BAD_REQUEST);
    require((finding.reason == NULL) == (finding.decision == FILTER_ALLOW));
    if (finding.reason == NULL)
        return;
    require(strlen(finding.reason) < 600);
    /* Valid UTF-8 without control characters is just what the inside of a JSON string may be, but
     * for the two characters that need an escape. */
    char *copy = arena_printf(arena, "{\"r\":\"%s\"}", finding.reason);
    require(copy != NULL);
    for (char *at = copy + 6; at < copy + strlen(copy) - 2; at++)
        if (*at == '"' || *at == '\\')
            *at = '_';
    struct json_error error;
    require(json_check_object(slice_from_string(copy), &error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct filter_policy policies[2] = {{.preset = FILTER_BLOCKLIST},
                                               {.preset = FILTER_ALLOWLIST}};
    for (size_t i = 0; i < 2 && policies[i].binds.count == 0; i++) {
        char error[256];
        require(bind_list_add(&policies[i].binds, "/workspace/**", false, error, sizeof error) ==
                0);
    }
    if (size == 0)
        return 0;
    static const enum body_rule_set sets[] = {
        BODY_CONTAINER_CREATE, BODY_VOLUME_CREATE, BODY_NETWORK_CREATE, BODY_NETWORK_CONNECT,
        BODY_JSON_ANY,         BODY_EXEC_CREATE,   BODY_EXEC_START,     BODY_CONTAINER_UPDATE,
    };
    enum body_rule_set rules = sets[data[0] / 2 % (sizeof sets / sizeof sets[0])];
    struct slice body = slice_of((const char *)data + 1, size - 1);

    struct arena arena = {0};
    check_finding(body_rules_judge(&policies[data[0] % 2], rules, body, &arena), &arena);

    /* The strict pass and cJSON never differ in what is JSON. */
    struct json_error error;
    bool valid = json_check_object(body, &error);
    struct arena tree = {0};
    cJSON *object = json_parse_object(body, &tree, &error);
    require(valid == (object != NULL));
    arena_reset(&tree);
    arena_reset(&arena);
    return 0;
}
