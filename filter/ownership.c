#include "filter/ownership.h"

#include <stdlib.h>

#include "filter/ascii.h"
#include "filter/endpoint_index.h"
#include "filter/json_span.h"
#include "filter/ownership_parts.h"
#include "filter/policy.h"

/* --- findings --- */

struct ownership_finding ownership_allow(void) {
    return (struct ownership_finding){.decision = FILTER_ALLOW};
}

struct ownership_finding ownership_deny(const char *rule, const char *reason) {
    return (struct ownership_finding){FILTER_DENY, rule, reason};
}

struct ownership_finding ownership_bad(const char *rule, const char *reason) {
    return (struct ownership_finding){FILTER_BAD_REQUEST, rule, reason};
}

struct ownership_finding ownership_no_memory(void) {
    return ownership_bad("ownership.memory", "the proxy is out of memory; try again later");
}

/* --- owners --- */

struct slice ownership_escape(struct slice text, const char *kept, struct arena *arena) {
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(arena, 3 * text.len + 1);
    size_t used = 0;
    if (out == NULL)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (ascii_is_alphanumeric((char)c) || (c != '\0' && strchr(kept, c) != NULL)) {
            out[used++] = (char)c;
            continue;
        }
        out[used++] = '%';
        out[used++] = digits[c >> 4];
        out[used++] = digits[c & 15];
    }
    return slice_of(out, used);
}

/* No owner needs an escape, wherever its name is put. */
static struct slice owner_named(const char *prefix, struct slice name, struct arena *arena) {
    struct slice escaped = ownership_escape(name, "._-@", arena);
    char *text =
        escaped.data == NULL ? NULL : arena_printf(arena, "%s%.*s", prefix, SLICE_ARGS(escaped));
    return text == NULL ? slice_of(NULL, 0) : slice_from_string(text);
}

struct slice ownership_of(const struct filter_client *client,
                          const struct filter_identity *identity, struct arena *arena) {
    /* From this length on a common name may have been cut, and two of them look alike. */
    enum { CUT = 255 };
    if (client->name != NULL)
        return owner_named("", slice_from_string(client->name), arena);
    if (identity->common_name.len > 0)
        return identity->common_name.len < CUT ? owner_named("cn:", identity->common_name, arena)
                                               : slice_of(NULL, 0);
    if (!identity->has_peer)
        return slice_of(NULL, 0);
    char *text = arena_printf(arena, "uid:%u", (unsigned)identity->uid);
    return text == NULL ? slice_of(NULL, 0) : slice_from_string(text);
}

/* --- parts --- */

struct ownership_finding ownership_add(struct ownership_plan *plan, struct ownership_ref ref) {
    if (plan->ref_count == plan->ref_room)
        return ownership_bad("ownership.objects",
                             "the request names too many containers, networks and volumes");
    plan->refs[plan->ref_count++] = ref;
    return ownership_allow();
}

bool ownership_is_built_in(struct slice network) {
    static const struct slice names[] = {SLICE(""), SLICE("default"), SLICE("bridge"),
                                         SLICE("none"), SLICE("host")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_equal(network, names[i]))
            return true;
    return false;
}

struct slice ownership_label_filter(const struct ownership_plan *plan, struct arena *arena) {
    char *text = arena_printf(arena, "\"" OWNERSHIP_LABEL "=%.*s\"", SLICE_ARGS(plan->owner));
    return text == NULL ? slice_of(NULL, 0) : slice_from_string(text);
}

static int compare_edits(const void *a, const void *b) {
    const struct text_edit *left = a;
    const struct text_edit *right = b;
    return (left->at > right->at) - (left->at < right->at);
}

struct slice ownership_edit(struct slice text, struct text_edit *edits, size_t count,
                            struct arena *arena) {
    size_t size = text.len + 1;
    for (size_t i = 0; i < count; i++)
        size += edits[i].text.len;
    char *out = arena_alloc(arena, size);
    size_t used = 0;
    size_t from = 0;
    if (out == NULL)
        return slice_of(NULL, 0);
    if (count > 1)
        qsort(edits, count, sizeof *edits, compare_edits);
    for (size_t i = 0; i <= count; i++) {
        size_t until = i < count ? edits[i].at : text.len;
        if (until > from)
            memcpy(out + used, text.data + from, until - from);
        used += until - from;
        if (i == count)
            break;
        if (edits[i].text.len > 0)
            memcpy(out + used, edits[i].text.data, edits[i].text.len);
        used += edits[i].text.len;
        from = until + edits[i].len;
    }
    return slice_of(out, used);
}

/* --- the head --- */

static enum ownership_scope scope_of(const struct endpoint *endpoint) {
    size_t place = (size_t)(endpoint - endpoints);
    if (place >= ownership_row_count || strcmp(ownership_rows[place].route, endpoint->route) != 0)
        return OWNERSHIP_REFUSED;
    return ownership_rows[place].scope;
}

/* The kind of what stands in the path. False: there is nothing. */
static bool path_kind(enum ownership_scope scope, enum ownership_kind *kind) {
    switch (scope) {
    case OWNERSHIP_CONTAINER:
    case OWNERSHIP_CONTAINER_START:
        *kind = OWNERSHIP_A_CONTAINER;
        return true;
    case OWNERSHIP_NETWORK:
    case OWNERSHIP_NETWORK_MEMBER:
        *kind = OWNERSHIP_A_NETWORK;
        return true;
    case OWNERSHIP_VOLUME:
        *kind = OWNERSHIP_A_VOLUME;
        return true;
    case OWNERSHIP_EXEC:
        *kind = OWNERSHIP_AN_EXEC;
        return true;
    case OWNERSHIP_REFUSED:
    case OWNERSHIP_SHARED:
    case OWNERSHIP_LIST:
    case OWNERSHIP_COMMIT:
    case OWNERSHIP_BUILD:
    case OWNERSHIP_CREATE_CONTAINER:
    case OWNERSHIP_CREATE_NETWORK:
    case OWNERSHIP_CREATE_VOLUME:
        break;
    }
    return false;
}

/* Where the name stands in the raw target. What stands around it has no escapes: target_parse takes
 * none of unreserved characters. */
static struct ownership_ref path_ref(const struct ownership_plan *plan, const struct target *target,
                                     const struct endpoint *endpoint, struct slice name) {
    struct endpoint_route route = endpoint_route_parse(endpoint->route);
    struct slice raw = plan->target;
    size_t end = slice_index(raw, '?');
    size_t version = 0;
    if (target->versioned)
        for (version = 1; raw.data[version] != '/';)
            version++;
    struct ownership_ref ref = {.name = name, .place = OWNERSHIP_IN_TARGET};
    ref.at = version + route.prefix.len;
    ref.len = end - route.tail.len - ref.at;
    (void)path_kind(plan->scope, &ref.kind);
    /* Volumes and execs have one name, which is their id. */
    if (ref.kind == OWNERSHIP_A_VOLUME || ref.kind == OWNERSHIP_AN_EXEC)
        ref.place = OWNERSHIP_NOWHERE;
    ref.joins = plan->scope == OWNERSHIP_CONTAINER_START;
    return ref;
}

static bool wants_body(enum ownership_scope scope) {
    return scope == OWNERSHIP_NETWORK_MEMBER || scope == OWNERSHIP_CREATE_CONTAINER ||
           scope == OWNERSHIP_CREATE_NETWORK || scope == OWNERSHIP_CREATE_VOLUME;
}

/* How many objects a request may come to name. A stream keeps its plan for as long as it lasts, so
 * there is no more room than its route can need. */
static size_t room_for(enum ownership_scope scope, const struct target *target) {
    if (wants_body(scope) || scope == OWNERSHIP_CONTAINER_START ||
        (scope == OWNERSHIP_LIST && slice_equal(target->path, SLICE("/containers/json"))))
        return OWNERSHIP_MAX_REFS;
    return 2; /* an exec and its container */
}

static struct ownership_finding refuse_endpoint(const struct endpoint *endpoint,
                                                struct arena *arena) {
    const char *reason =
        arena_printf(arena,
                     "%s shows or changes what belongs to other clients of this engine; do without "
                     "it",
                     endpoint == NULL ? "an endpoint that is not known here" : endpoint->route);
    return reason == NULL ? ownership_no_memory() : ownership_deny("ownership.endpoint", reason);
}

/* Chooses the row that the request is held to. All that match have to agree on whose it is. */
static struct ownership_finding choose(const struct filter_policy *policy, struct slice method,
                                       const struct target *target, struct arena *arena,
                                       const struct endpoint **chosen, struct slice *name) {
    struct endpoint_matches matches = endpoint_matches_start(policy->index, method, target->path);
    const struct endpoint *endpoint;
    struct slice each;
    *chosen = NULL;
    while ((endpoint = endpoint_matches_next(&matches, &each)) != NULL) {
        enum ownership_kind kind;
        enum ownership_scope scope = scope_of(endpoint);
        if (scope == OWNERSHIP_REFUSED)
            return refuse_endpoint(endpoint, arena);
        /* "/networks/" is the list; no object has an empty name. */
        if (path_kind(scope, &kind) && each.len == 0 && *chosen != NULL)
            continue;
        if (*chosen != NULL &&
            (scope_of(*chosen) != scope || (path_kind(scope, &kind) && !slice_equal(*name, each))))
            return ownership_bad("ownership.ambiguous",
                                 "the path can be read as that of several objects; name it by id");
        *chosen = endpoint;
        *name = each;
    }
    return *chosen == NULL ? refuse_endpoint(NULL, arena) : ownership_allow();
}

struct ownership_finding ownership_head(const struct filter_policy *policy,
                                        const struct filter_request *request, struct slice owner,
                                        struct arena *arena, struct ownership_plan *plan) {
    struct target target;
    const struct endpoint *endpoint;
    struct slice name;
    *plan = (struct ownership_plan){
        .owner = owner, .scope = OWNERSHIP_SHARED, .target = request->target};
    enum target_status status = target_parse(request->target, arena, &target);
    if (status != TARGET_OK)
        return ownership_bad("request.target", target_reason(status));
    struct ownership_finding finding =
        choose(policy, request->method, &target, arena, &endpoint, &name);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    plan->scope = scope_of(endpoint);
    plan->ref_room = room_for(plan->scope, &target);
    plan->refs = arena_alloc(arena, plan->ref_room * sizeof *plan->refs);
    if (plan->refs == NULL)
        return ownership_no_memory();
    plan->wants_body = wants_body(plan->scope);
    enum ownership_kind kind;
    if (!path_kind(plan->scope, &kind))
        return ownership_query(plan, &target, arena);
    if (name.len == 0)
        return ownership_bad("ownership.name", "the path names no object");
    if (plan->scope == OWNERSHIP_NETWORK_MEMBER && ownership_is_built_in(name))
        return ownership_allow();
    return ownership_add(plan, path_ref(plan, &target, endpoint, name));
}

/* --- the end --- */

bool ownership_apply(struct ownership_plan *plan, struct arena *arena) {
    struct text_edit target[OWNERSHIP_MAX_REFS];
    struct text_edit body[OWNERSHIP_MAX_REFS];
    size_t in_target = 0;
    size_t in_body = 0;
    for (size_t i = 0; i < plan->ref_count; i++) {
        const struct ownership_ref *ref = &plan->refs[i];
        if (ref->place == OWNERSHIP_IN_TARGET) {
            target[in_target++] = (struct text_edit){ref->at, ref->len, ref->id};
        } else if (ref->place == OWNERSHIP_IN_BODY) {
            char *whole = arena_printf(arena, "%.*s%.*s%.*s", SLICE_ARGS(ref->before),
                                       SLICE_ARGS(ref->id), SLICE_ARGS(ref->after));
            struct slice text =
                whole == NULL ? slice_of(NULL, 0) : json_encode(slice_from_string(whole), arena);
            if (text.data == NULL)
                return false;
            body[in_body++] = (struct text_edit){ref->at, ref->len, text};
        }
    }
    if (in_target > 0)
        plan->target = ownership_edit(plan->target, target, in_target, arena);
    if (in_body > 0)
        plan->body = ownership_edit(plan->body, body, in_body, arena);
    return plan->target.data != NULL && (in_body == 0 || plan->body.data != NULL);
}
