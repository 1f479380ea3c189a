/* What is asked of the engine, and what its answers say. */
#include "filter/json_span.h"
#include "filter/ownership_parts.h"

enum { MAX_NAME = 512 };

/* --- questions --- */

/* A name that can stand in a path as it is, slashes and all: with empty or dot elements the engine
 * would read another path. */
static bool fits_path(struct slice name) {
    if (name.len == 0 || name.len > MAX_NAME)
        return false;
    for (size_t i = 0, start = 0; i <= name.len; i++) {
        if (i < name.len && ((unsigned char)name.data[i] < 0x20 || name.data[i] == 0x7f))
            return false;
        if (i < name.len && name.data[i] != '/')
            continue;
        struct slice element = slice_of(name.data + start, i - start);
        if (element.len == 0 || slice_equal(element, SLICE(".")) ||
            slice_equal(element, SLICE("..")))
            return false;
        start = i + 1;
    }
    return true;
}

bool ownership_question(const struct ownership_ref *ref, struct arena *arena, struct slice *path,
                        struct slice *body) {
    static const struct {
        const char *before, *after;
    } paths[] = {
        [OWNERSHIP_A_CONTAINER] = {"/containers/", "/json"},
        [OWNERSHIP_A_NETWORK] = {"/networks/", ""},
        [OWNERSHIP_A_VOLUME] = {"/volumes/", ""},
        [OWNERSHIP_AN_EXEC] = {"/exec/", "/json"},
    };
    struct slice name = ref->name;
    *body = ref->make;
    /* "/NAME" is how an inspection shows a container's name. */
    if (ref->kind == OWNERSHIP_A_CONTAINER && slice_starts_with(name, SLICE("/")))
        name = slice_from(name, 1);
    if (!fits_path(name))
        return false;
    struct slice escaped = ownership_escape(name, "-._~/", arena);
    const char *text = escaped.data == NULL ? NULL
                       : body->len > 0      ? "/volumes/create"
                                       : arena_printf(arena, "%s%.*s%s", paths[ref->kind].before,
                                                      SLICE_ARGS(escaped), paths[ref->kind].after);
    if (text == NULL)
        return false;
    *path = slice_from_string(text);
    return true;
}

const char *ownership_missing(const struct ownership_ref *ref, struct arena *arena) {
    static const struct {
        const char *before, *after;
    } words[] = {
        [OWNERSHIP_A_CONTAINER] = {"No such container: ", ""},
        [OWNERSHIP_A_NETWORK] = {"network ", " not found"},
        [OWNERSHIP_A_VOLUME] = {"get ", ": no such volume"},
        [OWNERSHIP_AN_EXEC] = {"No such exec instance: ", ""},
    };
    enum ownership_kind kind = ref->exec.len > 0 ? OWNERSHIP_AN_EXEC : ref->kind;
    struct slice name = slice_first(ref->exec.len > 0 ? ref->exec : ref->name, MAX_NAME);
    char *text =
        arena_printf(arena, "%s%.*s%s", words[kind].before, SLICE_ARGS(name), words[kind].after);
    /* No object's name has others. */
    for (char *c = text; c != NULL && *c != '\0'; c++)
        if (*c < ' ' || *c == 0x7f)
            *c = '?';
    return text;
}

/* --- answers --- */

/* The engine writes each key once and as documented. */
static struct slice member(struct slice object, struct slice key) {
    struct slice value;
    return json_find(object, key, true, &value) == JSON_MEMBER_FOUND ? value : slice_of(NULL, 0);
}

static struct slice text_member(struct slice object, struct slice key, struct arena *arena) {
    struct slice text;
    return json_decode(member(object, key), arena, &text) ? text : slice_of(NULL, 0);
}

static bool is_id(struct slice text) {
    enum { ID_LEN = 64 };
    for (size_t i = 0; i < text.len; i++)
        if (!((text.data[i] >= '0' && text.data[i] <= '9') ||
              (text.data[i] >= 'a' && text.data[i] <= 'f')))
            return false;
    return text.len == ID_LEN;
}

static enum ownership_answer judge_labels(const struct ownership_plan *plan, struct slice labels,
                                          struct arena *arena) {
    if (json_is_null(labels))
        return OWNERSHIP_NOT_OWN;
    if (!json_is_object(labels))
        return OWNERSHIP_UNCLEAR;
    struct slice owner = text_member(labels, SLICE(OWNERSHIP_LABEL), arena);
    return owner.len > 0 && slice_equal(owner, plan->owner) ? OWNERSHIP_OWN : OWNERSHIP_NOT_OWN;
}

/* The networks that a container joins when it starts, as the engine will look them up: by id where
 * it has one (moby, getNetworkID). A name may be another network's by now. */
static bool add_networks(struct ownership_plan *plan, struct slice settings, struct arena *arena) {
    struct slice networks = member(settings, SLICE("Networks"));
    struct slice key;
    struct slice endpoint;
    if (json_is_null(networks))
        return true;
    struct json_walk walk = json_walk_start(networks);
    while (json_walk_next(&walk, &key, &endpoint)) {
        struct ownership_ref ref = {.kind = OWNERSHIP_A_NETWORK};
        if (!json_decode(key, arena, &ref.name))
            return false;
        if (ownership_is_built_in(ref.name))
            continue;
        struct slice id = text_member(endpoint, SLICE("NetworkID"), arena);
        if (id.len > 0)
            ref.name = id;
        if (ownership_add(plan, ref).decision != FILTER_ALLOW)
            return false;
    }
    return !walk.bad && walk.list == false;
}

enum ownership_answer ownership_answer(struct ownership_plan *plan, size_t index,
                                       struct slice answer, struct arena *arena) {
    enum { IDENTITY, CONFIG, NETWORK_SETTINGS, LABELS };
    struct ownership_ref *ref = &plan->refs[index];
    struct json_field fields[] = {
        [IDENTITY] = {.name = ref->kind == OWNERSHIP_AN_EXEC    ? SLICE("ContainerID")
                              : ref->kind == OWNERSHIP_A_VOLUME ? SLICE("Name")
                                                                : SLICE("Id")},
        [CONFIG] = {.name = SLICE("Config")},
        [NETWORK_SETTINGS] = {.name = SLICE("NetworkSettings")},
        [LABELS] = {.name = SLICE("Labels")},
    };
    struct slice id;
    if (!json_find_fields(json_value(answer), true, fields, sizeof fields / sizeof fields[0]) ||
        !json_decode(fields[IDENTITY].value, arena, &id) ||
        (ref->kind == OWNERSHIP_A_VOLUME ? !slice_equal(id, ref->name) : !is_id(id)))
        return OWNERSHIP_UNCLEAR;
    ref->id = id;
    enum ownership_answer found;
    switch (ref->kind) {
    case OWNERSHIP_A_CONTAINER:
        found = judge_labels(plan, member(fields[CONFIG].value, SLICE("Labels")), arena);
        return found == OWNERSHIP_OWN && ref->joins &&
                       !add_networks(plan, fields[NETWORK_SETTINGS].value, arena)
                   ? OWNERSHIP_UNCLEAR
                   : found;
    case OWNERSHIP_AN_EXEC:
        /* It is its container's; but to the client it is the exec that is not there. */
        return ownership_add(plan, (struct ownership_ref){.kind = OWNERSHIP_A_CONTAINER,
                                                          .name = id,
                                                          .exec = ref->name})
                           .decision == FILTER_ALLOW
                   ? OWNERSHIP_OWN
                   : OWNERSHIP_UNCLEAR;
    case OWNERSHIP_A_NETWORK:
    case OWNERSHIP_A_VOLUME:
        break;
    }
    return judge_labels(plan, fields[LABELS].value, arena);
}
