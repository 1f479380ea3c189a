/* The part of a body: the label on what is made, and the objects that a connection names. */
#include "filter/json.h"
#include "filter/json_span.h"
#include "filter/ownership_parts.h"

static const char two_readings[] =
    "the body holds a key twice, or something else than the engine reads there; send each once";

struct ownership_finding ownership_label(const struct ownership_plan *plan, struct slice object,
                                         struct arena *arena, struct text_edit *edit) {
    struct slice labels = {0};
    struct slice value;
    *edit = (struct text_edit){0};
    char *pair = arena_printf(arena, "\"" OWNERSHIP_LABEL "\":\"%.*s\"", SLICE_ARGS(plan->owner));
    if (pair == NULL)
        return ownership_no_memory();
    enum json_member there = json_find(object, SLICE("Labels"), false, &labels);
    if (there == JSON_MEMBER_BAD)
        return ownership_bad("ownership.labels", two_readings);
    const char *text = NULL;
    if (there == JSON_MEMBER_ABSENT) {
        text = arena_printf(arena, "\"Labels\":{%s}%s", pair, json_is_hollow(object) ? "" : ",");
        edit->at = 1;
    } else if (json_is_null(labels)) {
        text = arena_printf(arena, "{%s}", pair);
        edit->at = (size_t)(labels.data - object.data);
        edit->len = labels.len;
    } else {
        switch (json_find(labels, SLICE(OWNERSHIP_LABEL), true, &value)) {
        case JSON_MEMBER_ABSENT:
            break;
        case JSON_MEMBER_FOUND:
            return ownership_deny("ownership.label", "the label " OWNERSHIP_LABEL
                                                     " is set by the proxy alone; leave it out");
        case JSON_MEMBER_BAD:
            return ownership_bad("ownership.labels", two_readings);
        }
        text = arena_printf(arena, "%s%s", pair, json_is_hollow(labels) ? "" : ",");
        edit->at = (size_t)(labels.data - object.data) + 1;
    }
    if (text == NULL)
        return ownership_no_memory();
    edit->text = slice_from_string(text);
    return ownership_allow();
}

/* A member that is an object's name; empty where it is absent, null or "". `value` is where it
 * stands. */
static struct ownership_finding read_name(struct slice holder, struct slice key,
                                          struct arena *arena, struct slice *value,
                                          struct slice *name) {
    *name = slice_of("", 0);
    switch (json_find(holder, key, false, value)) {
    case JSON_MEMBER_ABSENT:
        return ownership_allow();
    case JSON_MEMBER_BAD:
        return ownership_bad("ownership.body", two_readings);
    case JSON_MEMBER_FOUND:
        break;
    }
    return json_is_null(*value) || json_decode(*value, arena, name)
               ? ownership_allow()
               : ownership_bad("ownership.body", two_readings);
}

/* A string of the body that is an object's name and nothing else. */
static struct ownership_finding add_string(struct ownership_plan *plan, struct slice holder,
                                           struct slice key, enum ownership_kind kind,
                                           struct arena *arena) {
    struct slice value;
    struct ownership_ref ref = {.kind = kind, .place = OWNERSHIP_IN_BODY};
    struct ownership_finding finding = read_name(holder, key, arena, &value, &ref.name);
    if (finding.decision != FILTER_ALLOW || ref.name.len == 0)
        return finding;
    ref.at = (size_t)(value.data - plan->body.data);
    ref.len = value.len;
    return ownership_add(plan, ref);
}

/* The bodies of connect and disconnect. Of an endpoint the engine prefers the network's id, where
 * there is one, to the network of the path (moby, getNetworkID). */
static struct ownership_finding read_member(struct ownership_plan *plan, struct arena *arena) {
    struct slice object = json_value(plan->body);
    struct slice endpoint;
    size_t before = plan->ref_count;
    struct ownership_finding finding =
        add_string(plan, object, SLICE("Container"), OWNERSHIP_A_CONTAINER, arena);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    if (plan->ref_count == before)
        return ownership_bad("ownership.name", "name the container in the body");
    switch (json_find(object, SLICE("EndpointConfig"), false, &endpoint)) {
    case JSON_MEMBER_ABSENT:
        return finding;
    case JSON_MEMBER_BAD:
        return ownership_bad("ownership.body", two_readings);
    case JSON_MEMBER_FOUND:
        break;
    }
    return json_is_null(endpoint)
               ? finding
               : add_string(plan, endpoint, SLICE("NetworkID"), OWNERSHIP_A_NETWORK, arena);
}

/* A volume with a name may be there already, as somebody else's: the engine would give it out. */
static struct ownership_finding read_volume(struct ownership_plan *plan, struct arena *arena) {
    struct slice value;
    struct ownership_ref ref = {.kind = OWNERSHIP_A_VOLUME, .make = plan->body};
    struct ownership_finding finding =
        read_name(json_value(plan->body), SLICE("Name"), arena, &value, &ref.name);
    return finding.decision != FILTER_ALLOW || ref.name.len == 0 ? finding
                                                                 : ownership_add(plan, ref);
}

struct ownership_finding ownership_body(struct ownership_plan *plan, struct slice body,
                                        struct arena *arena) {
    struct json_error error;
    if (!json_check_object(body, &error)) {
        const char *reason = arena_printf(arena, "the body is not plain JSON: %s (at byte %zu)",
                                          error.what, error.offset);
        return reason == NULL ? ownership_no_memory() : ownership_bad("body.json", reason);
    }
    plan->body_given = true;
    plan->body = body;
    if (plan->scope == OWNERSHIP_NETWORK_MEMBER)
        return read_member(plan, arena);
    struct slice object = json_value(body);
    struct text_edit edit;
    struct ownership_finding finding = ownership_label(plan, object, arena, &edit);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    edit.at += (size_t)(object.data - body.data);
    plan->body = ownership_edit(body, &edit, 1, arena);
    if (plan->body.data == NULL)
        return ownership_no_memory();
    if (plan->scope == OWNERSHIP_CREATE_CONTAINER)
        return ownership_create(plan, arena);
    return plan->scope == OWNERSHIP_CREATE_VOLUME ? read_volume(plan, arena) : finding;
}
