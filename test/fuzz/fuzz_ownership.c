/* Ownership: targets and bodies of clients, and answers that an engine may give. The first byte
 * says which. What is accepted is well-formed after its change as well, and bears the owner. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "filter/json.h"
#include "filter/ownership.h"
#include "filter/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

static bool holds(struct slice text, const char *part) {
    return text.len > 0 && memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static const struct filter_policy *the_policy(void) {
    static struct filter_policy *policy;
    char error[256];
    if (policy == NULL)
        policy =
            filter_policy_new(&(struct filter_settings){.ownership = true}, error, sizeof error);
    require(policy != NULL);
    return policy;
}

static bool begin(const char *method, struct slice target, struct arena *arena,
                  struct ownership_plan *plan) {
    struct filter_request request = {.method = slice_from_string(method), .target = target};
    struct ownership_finding finding =
        ownership_head(the_policy(), &request, SLICE("team-a"), arena, plan);
    require(finding.decision == FILTER_ALLOW || (finding.rule != NULL && finding.reason != NULL));
    return finding.decision == FILTER_ALLOW;
}

/* All names are inside of what they were read of; with ids in their place it is well-formed yet. */
static void finish(struct ownership_plan *plan, struct arena *arena) {
    static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    require(plan->ref_count <= OWNERSHIP_MAX_REFS);
    for (size_t i = 0; i < plan->ref_count; i++) {
        struct ownership_ref *ref = &plan->refs[i];
        struct slice text = ref->place == OWNERSHIP_IN_BODY ? plan->body : plan->target;
        require(ref->place == OWNERSHIP_NOWHERE ||
                (ref->at <= text.len && ref->len <= text.len - ref->at));
        struct slice path;
        struct slice body;
        if (ownership_question(ref, arena, &path, &body)) {
            struct target target;
            require(target_parse(path, arena, &target) == TARGET_OK || holds(path, "%"));
            require(!holds(path, " ") && !holds(path, "\r") && !holds(path, "?"));
        }
        require(ownership_missing(ref, arena) != NULL);
        ref->id = slice_of(id, sizeof id - 1);
    }
    require(ownership_apply(plan, arena));
    struct target target;
    require(target_parse(plan->target, arena, &target) == TARGET_OK);
    struct json_error error;
    require(!plan->body_given || json_check_object(plan->body, &error));
}

static void try_head(const char *method, struct slice target, struct arena *arena) {
    struct ownership_plan plan;
    if (!begin(method, target, arena, &plan))
        return;
    if (plan.scope == OWNERSHIP_LIST)
        require(holds(plan.target, "jailoc.owner%3Dteam-a"));
    finish(&plan, arena);
}

static void try_body(const char *target, struct slice body, struct arena *arena) {
    struct ownership_plan plan;
    require(begin("POST", slice_from_string(target), arena, &plan) && plan.wants_body);
    struct ownership_finding finding = ownership_body(&plan, body, arena);
    if (finding.decision != FILTER_ALLOW) {
        require(finding.rule != NULL && finding.reason != NULL);
        return;
    }
    if (plan.scope != OWNERSHIP_NETWORK_MEMBER)
        require(holds(plan.body, "\"jailoc.owner\":\"team-a\""));
    finish(&plan, arena);
}

static void try_answer(const char *method, const char *target, struct slice answer,
                       struct arena *arena) {
    struct ownership_plan plan;
    require(begin(method, slice_from_string(target), arena, &plan) && plan.ref_count == 1);
    if (ownership_answer(&plan, 0, answer, arena) == OWNERSHIP_OWN)
        require(answer.len > 0 && plan.refs[0].id.len > 0);
    require(plan.ref_count <= OWNERSHIP_MAX_REFS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char *copy = malloc(size);
    require(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    struct slice text = slice_of(copy, size - 1);
    struct arena arena = {0};
    switch (data[0] % 10) {
    case 0:
        try_head("GET", text, &arena);
        break;
    case 1:
        try_head("POST", text, &arena);
        break;
    case 2:
        try_body("/containers/create", text, &arena);
        break;
    case 3:
        try_body("/networks/create", text, &arena);
        break;
    case 4:
        try_body("/volumes/create", text, &arena);
        break;
    case 5:
        try_body("/networks/bridge/connect", text, &arena);
        break;
    case 6:
        try_answer("POST", "/containers/x/start", text, &arena);
        break;
    case 7:
        try_answer("GET", "/networks/x", text, &arena);
        break;
    case 8:
        try_answer("GET", "/volumes/x", text, &arena);
        break;
    default:
        try_answer("GET", "/exec/x/json", text, &arena);
        break;
    }
    arena_reset(&arena);
    free(copy);
    return 0;
}
