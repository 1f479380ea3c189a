#include "filter/learn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/policy_keys.h"

enum { MOST_SECTIONS = 2, MOST_ROUNDS = 256 };

struct item {
    const struct policy_key *key;
    struct slice value; /* JSON */
};

struct learn {
    struct filter_rules *rules; /* of the items below */
    struct arena memory;        /* of their values */
    size_t count;
    size_t bytes;
    struct item items[LEARN_MAX_ITEMS];
};

/* Where no list at all would mean everything, there is an empty one from the start, and a switch
 * that is on by default is off. */
static bool is_closed_first(const struct policy_key *key) {
    static const char *const paths[] = {"endpoints.only", "create.images", "images.pull",
                                        "images.push", "exec.commands"};
    if (key->kind == POLICY_DENIAL)
        return true;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(key->path, paths[i]) == 0)
            return true;
    return false;
}

/* --- the text --- */

static size_t count_of(const struct learn *learn, const struct policy_key *key) {
    size_t count = 0;
    for (size_t i = 0; i < learn->count; i++)
        count += learn->items[i].key == key;
    return count;
}

static void indent(FILE *out, size_t depth) {
    (void)fprintf(out, "\n%*s", (int)(2 * depth), "");
}

static void print_value(FILE *out, const struct learn *learn, const struct policy_key *key,
                        size_t depth) {
    bool list = policy_key_is_list(key->path);
    size_t count = count_of(learn, key);
    const char *separator = "";
    if (list)
        (void)fputs("[", out);
    else if (count == 0)
        (void)fputs("false", out);
    for (size_t i = 0; i < learn->count; i++) {
        if (learn->items[i].key != key)
            continue;
        (void)fputs(separator, out);
        separator = ",";
        if (list)
            indent(out, depth + 1);
        (void)fprintf(out, "%.*s", SLICE_ARGS(learn->items[i].value));
    }
    if (list && count > 0)
        indent(out, depth);
    if (list)
        (void)fputs("]", out);
}

/* The sections of a path, without the last word, which is returned. */
static struct slice split_path(const char *path, struct slice sections[MOST_SECTIONS],
                               size_t *count) {
    struct slice rest = slice_from_string(path);
    *count = 0;
    for (size_t length; *count < MOST_SECTIONS && (length = slice_index(rest, '.')) < rest.len;) {
        sections[(*count)++] = slice_first(rest, length);
        rest = slice_from(rest, length + 1);
    }
    return rest;
}

/* Where the printing stands. */
struct place {
    struct slice sections[MOST_SECTIONS];
    size_t depth;
};

static void close_to(FILE *out, struct place *place, size_t depth) {
    while (place->depth > depth) {
        indent(out, place->depth);
        (void)fputs("}", out);
        place->depth--;
    }
}

/* Closes and opens objects so that `key` can stand there. The table has the keys of a section next
 * to each other. */
static void print_key(FILE *out, const struct learn *learn, const struct policy_key *key,
                      struct place *place) {
    struct slice sections[MOST_SECTIONS];
    size_t count;
    struct slice name = split_path(key->path, sections, &count);
    size_t same = 0;
    while (same < count && same < place->depth &&
           slice_equal(sections[same], place->sections[same]))
        same++;
    close_to(out, place, same);
    bool first = false; /* after an opened object, no comma */
    while (place->depth < count) {
        (void)fputs(first ? "" : ",", out);
        indent(out, place->depth + 1);
        (void)fprintf(out, "\"%.*s\": {", SLICE_ARGS(sections[place->depth]));
        place->sections[place->depth] = sections[place->depth];
        place->depth++;
        first = true;
    }
    (void)fputs(first ? "" : ",", out);
    indent(out, place->depth + 1);
    (void)fprintf(out, "\"%.*s\": ", SLICE_ARGS(name));
    print_value(out, learn, key, place->depth + 1);
}

char *learn_text(const struct learn *learn, size_t *length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    struct place place = {.depth = 0};
    if (out == NULL)
        return NULL;
    (void)fputs("{\n  \"schema\": 1,\n  \"preset\": \"allowlist\"", out);
    for (size_t i = 0; i < policy_key_count; i++)
        if (count_of(learn, &policy_keys[i]) > 0 || is_closed_first(&policy_keys[i]))
            print_key(out, learn, &policy_keys[i], &place);
    close_to(out, &place, 0);
    (void)fputs("\n}\n", out);
    bool failed = ferror(out) != 0;
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}

struct filter_rules *learn_rules(const struct learn *learn, char *error, size_t error_size) {
    size_t length = 0;
    char *text = learn_text(learn, &length);
    if (text == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return NULL;
    }
    struct filter_rules *rules =
        filter_rules_parse(slice_of(text, length), "the learned policy", error, error_size);
    free(text);
    return rules;
}

/* --- learning --- */

struct learn *learn_new(char *error, size_t error_size) {
    struct learn *learn = calloc(1, sizeof *learn);
    if (learn == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return NULL;
    }
    learn->rules = learn_rules(learn, error, error_size);
    if (learn->rules != NULL)
        return learn;
    learn_free(learn);
    return NULL;
}

void learn_free(struct learn *learn) {
    if (learn == NULL)
        return;
    filter_rules_free(learn->rules);
    arena_reset(&learn->memory);
    free(learn);
}

/* All routes are in one list, which refuses the others. */
static const struct policy_key *key_of(const struct filter_remedy *remedy) {
    if (remedy->key == NULL)
        return NULL;
    const char *path = strcmp(remedy->key, "endpoints.allow") == 0 ? "endpoints.only" : remedy->key;
    return policy_key_find(slice_from_string(path));
}

static bool is_there(const struct learn *learn, const struct policy_key *key, struct slice value) {
    bool list = policy_key_is_list(key->path);
    for (size_t i = 0; i < learn->count; i++)
        if (learn->items[i].key == key && (!list || slice_equal(learn->items[i].value, value)))
            return true;
    return false;
}

/* Adds one item, if the policy is still one with it; false: there is no room, or it is not. */
static bool add(struct learn *learn, const struct policy_key *key, struct slice value) {
    char error[256];
    if (value.len > LEARN_MAX_VALUE || learn->count == LEARN_MAX_ITEMS ||
        learn->bytes + value.len > LEARN_MAX_BYTES || is_there(learn, key, value))
        return false;
    /* Kept only once it does: what does not comes again and again, and the arena only grows. */
    learn->items[learn->count++] = (struct item){key, value};
    struct filter_rules *rules = learn_rules(learn, error, sizeof error);
    struct slice kept = rules != NULL ? arena_copy(&learn->memory, value) : slice_of(NULL, 0);
    if (kept.data == NULL) {
        filter_rules_free(rules);
        learn->count--;
        return false;
    }
    learn->items[learn->count - 1].value = kept;
    learn->bytes += kept.len;
    filter_rules_free(learn->rules);
    learn->rules = rules;
    return true;
}

/* What is learned from: a request with its body, or a call. */
struct subject {
    const struct filter_request *request;
    struct slice body;
    const struct grpc_call *call;
};

static struct filter_verdict judge_call(const struct filter_policy *policy,
                                        const struct grpc_call *call, struct arena *arena) {
    struct grpc_verdict verdict =
        call->has_message
            ? grpc_judge_message(policy, call->path, call->message, arena)
            : grpc_judge_head(policy, call->path, call->headers, call->header_count, arena);
    return (struct filter_verdict){
        /* Its message comes as a call of its own. */
        .decision = verdict.decision == FILTER_NEED_BODY ? FILTER_ALLOW : verdict.decision,
        .rule = verdict.rule,
        .reason = verdict.reason,
        .remedy = verdict.remedy,
    };
}

static struct filter_verdict judge(const struct learn *learn, const struct subject *subject,
                                   struct arena *arena) {
    const struct filter_policy *policy = filter_rules_find(learn->rules, NULL)->policy;
    if (subject->call != NULL)
        return judge_call(policy, subject->call, arena);
    struct filter_verdict verdict = filter_judge_head(policy, subject->request, arena);
    if (verdict.decision == FILTER_NEED_BODY)
        verdict = filter_judge_body(policy, subject->request, subject->body, arena);
    return verdict;
}

static struct learn_result learn_subject(struct learn *learn, const struct subject *subject,
                                         struct arena *arena, learn_added *added, void *context) {
    struct learn_result result = {0};
    for (int round = 0; round < MOST_ROUNDS; round++) {
        struct filter_verdict verdict = judge(learn, subject, arena);
        if (verdict.decision == FILTER_ALLOW)
            return result;
        const struct policy_key *key =
            verdict.decision == FILTER_DENY ? key_of(&verdict.remedy) : NULL;
        if (key != NULL && !add(learn, key, verdict.remedy.value))
            key = NULL;
        if (key == NULL) {
            result.rule = verdict.rule;
            result.reason = verdict.reason;
            return result;
        }
        result.added++;
        added(context, key->path, verdict.remedy.value);
    }
    result.rule = "learn.rounds";
    result.reason = "the request needs too much at a time";
    return result;
}

struct learn_result learn_request(struct learn *learn, const struct filter_request *request,
                                  struct slice body, struct arena *arena, learn_added *added,
                                  void *context) {
    const struct subject subject = {.request = request, .body = body};
    return learn_subject(learn, &subject, arena, added, context);
}

struct learn_result learn_call(struct learn *learn, const struct grpc_call *call,
                               struct arena *arena, learn_added *added, void *context) {
    const struct subject subject = {.call = call};
    return learn_subject(learn, &subject, arena, added, context);
}
