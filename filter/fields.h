/* Judges JSON objects by tables: one row a field, with its type and what it may hold.
 *
 * The tables name the fields of the engine's Go structs. Before anything in an object is looked at,
 * its keys are checked to be unique in the way its Go type demands, so that no two readers can
 * disagree on which value counts. */
#ifndef DIND_PROXY_FILTER_FIELDS_H
#define DIND_PROXY_FILTER_FIELDS_H

#include <stddef.h>

#include "filter/body_rules.h"
#include "filter/json.h"

enum field_type {
    FIELD_ANY,     /* not judged; objects inside count as structs */
    FIELD_BOOL,    /* true or false */
    FIELD_NUMBER,  /* a number */
    FIELD_STRING,  /* a string */
    FIELD_STRINGS, /* a list of strings, or one bare string as some engines accept */
    FIELD_LIST,    /* a list; of objects when the row has members */
    FIELD_OBJECT,  /* a Go struct: keys fold */
    FIELD_MAP,     /* a Go map: keys are exact; of objects when the row has members */
    FIELD_TEXTS,   /* a Go map of strings */
};

struct field;
struct field_table;

struct field_context {
    const struct filter_policy *policy;
    struct arena *arena;
};

/* Judges a value that is not null, of the row's type, and whose insides are already judged. */
typedef struct body_finding field_judge(const struct field_context *context,
                                        const struct field *field, const cJSON *value);

struct field {
    struct slice name;
    enum field_type type;
    bool is_switch;     /* `opened` is a bool, which opens everything; else filter_words */
    field_judge *judge; /* NULL: every value of the type passes */
    const char *rule;
    const char *reason;                /* see the judge */
    const char *const *words;          /* for field_judge_words: what is allowed, NULL at the end */
    const char *key;                   /* of the policy: opens more; static, NULL: none does */
    size_t opened;                     /* the key's offset in struct filter_policy */
    const struct field_table *members; /* of the object, or of each object in the list or map */
};

/* Judges a whole object, of which every field has passed. */
typedef struct body_finding table_judge(const struct field_context *context, const cJSON *object);

struct field_table {
    const char *name; /* as people know the struct: "HostConfig" */
    const struct field *fields;
    size_t count;
    const struct field_table *also; /* further fields of the same object, or NULL */
    const char *unknown_rule;       /* refuses unknown fields under the allowlist preset */
    bool strict;                    /* and under any other */
    table_judge *whole;             /* NULL: there is nothing to judge beyond the fields */
};

#define FIELD_NAME(literal)                                                                        \
    { (literal), sizeof(literal) - 1 }

/* Rows, so that tables read as tables. */
#define FIELD(n, t)                                                                                \
    { .name = FIELD_NAME(n), .type = (t) }
#define FIELD_JUDGED(n, t, j, r, why)                                                              \
    { .name = FIELD_NAME(n), .type = (t), .judge = (j), .rule = (r), .reason = (why) }
#define FIELD_WORDS(n, w, r, why)                                                                  \
    {                                                                                              \
        .name = FIELD_NAME(n), .type = FIELD_STRING, .judge = field_judge_words, .rule = (r),      \
        .reason = (why), .words = (w)                                                              \
    }
/* Opened by a key of the policy: a switch, or words. */
#define FIELD_SWITCHED(n, t, j, r, why, k, member)                                                 \
    {                                                                                              \
        .name = FIELD_NAME(n), .type = (t), .judge = (j), .rule = (r), .reason = (why),            \
        .key = (k), .opened = offsetof(struct filter_policy, member), .is_switch = true            \
    }
#define FIELD_OPENED(n, t, j, r, why, k, member)                                                   \
    {                                                                                              \
        .name = FIELD_NAME(n), .type = (t), .judge = (j), .rule = (r), .reason = (why),            \
        .key = (k), .opened = offsetof(struct filter_policy, member)                               \
    }
#define FIELD_WORDS_OPENED(n, w, r, why, k, member)                                                \
    {                                                                                              \
        .name = FIELD_NAME(n), .type = FIELD_STRING, .judge = field_judge_words, .rule = (r),      \
        .reason = (why), .words = (w), .key = (k),                                                 \
        .opened = offsetof(struct filter_policy, member)                                           \
    }
#define FIELD_MEMBERS(n, t, m)                                                                     \
    { .name = FIELD_NAME(n), .type = (t), .members = &(m) }
#define FIELD_MEMBERS_JUDGED(n, t, m, j, r)                                                        \
    { .name = FIELD_NAME(n), .type = (t), .judge = (j), .rule = (r), .members = &(m) }

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof(fields)[0])

/* Judges all of `object`. The first finding other than FILTER_ALLOW ends it. */
struct body_finding fields_judge(const struct field_context *context,
                                 const struct field_table *table, const cJSON *object);

/* The member of an object already judged that a Go struct's field `name` reads; NULL when it is
 * absent or null. */
const cJSON *fields_member(const cJSON *object, struct slice name);
/* The same for a string: empty when absent, null or no string. */
struct slice fields_member_string(const cJSON *object, struct slice name);

/* The text of a string value. Lives as long as the value. */
struct slice fields_text(const cJSON *string);

/* Walks a FIELD_STRINGS value: its first string, then the one after `current`; NULL at the end. */
const cJSON *fields_first_string(const cJSON *strings);
const cJSON *fields_next_string(const cJSON *strings, const cJSON *current);

/* Ready-made judges. `reason` of their rows is the whole sentence unless said otherwise. */
field_judge field_judge_not_true; /* FIELD_BOOL: only false */
field_judge field_judge_empty;    /* string, strings, list, object or map: only an empty one */
field_judge field_judge_null;     /* nothing but null */
/* FIELD_STRING: only one of `words`. `reason` is the advice after "<name> '<value>' is not
 * allowed; ". */
field_judge field_judge_words;

/* Whether the words or patterns of the row's key have `word`. */
bool field_opens(const struct field_context *context, const struct field *field, struct slice word);

/* A refusal that the row's key would lift by having `word` too. */
struct body_finding field_deny_word(const struct field_context *context, const struct field *field,
                                    struct slice word, const char *reason);

/* Findings. A reason of NULL (memory was out while it was written) becomes a general one. */
struct body_finding finding_allow(void);
struct body_finding finding_deny(const char *rule, const char *reason);
/* The same for a refusal that the switch `key` of a policy lifts; NULL: none does. */
struct body_finding finding_deny_switch(const char *rule, const char *reason, const char *key);
struct body_finding finding_bad_request(const char *rule, const char *reason);
struct body_finding finding_no_memory(void);

#endif
