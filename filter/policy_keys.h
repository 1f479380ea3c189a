/* The keys of a policy file, a row each. Reading, printing and the tests of the documentation all
 * go by this table. */
#ifndef DIND_PROXY_FILTER_POLICY_KEYS_H
#define DIND_PROXY_FILTER_POLICY_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/near.h"
#include "filter/slice.h"

enum policy_kind {
    POLICY_TOP,      /* of the whole file; read where clients are (filter/rules.c) */
    POLICY_SWITCH,   /* bool */
    POLICY_DENIAL,   /* bool, true in the file being false in the settings */
    POLICY_VERDICT,  /* bool: "allow" or "deny" */
    POLICY_CHOICE,   /* one of `choices`: an enum */
    POLICY_BITS,     /* a list of `choices`: bits of an unsigned */
    POLICY_VERSION,  /* "1.N": the N, unsigned */
    POLICY_WORDS,    /* a list of strings: struct filter_words */
    POLICY_BINDS,    /* struct filter_binds */
    POLICY_COMMANDS, /* a list of lists of strings: struct filter_exec */
    POLICY_BYTES,    /* "8g" or a number: uint64_t */
    POLICY_COUNT,    /* a number: uint64_t */
    POLICY_CPUS,     /* a number such as 1.5: uint64_t, billionths */
};

struct policy_choice {
    const char *word; /* NULL ends the list */
    unsigned value;
};

/* Finds fault with an item of a list: a sentence's end, such as "is no capability"; NULL: none.
 * The nearest thing that would do is offered to `near`. */
typedef const char *policy_item_check(struct slice item, struct near *near);

struct policy_key {
    const char *path; /* with its sections: "create.capabilities" */
    enum policy_kind kind;
    size_t offset; /* in struct filter_settings */
    const struct policy_choice *choices;
    policy_item_check *check; /* NULL: any item that is not empty */
    /* How an item that passed is kept: static; NULL: as it is. */
    const char *(*normal)(struct slice item);
};

extern const struct policy_key policy_keys[];
extern const size_t policy_key_count;

/* The row of exactly that path; NULL if there is none. */
const struct policy_key *policy_key_find(struct slice path);

/* Whether `path` is a section: an object of further keys. */
bool policy_key_is_section(struct slice path);

/* Whether the value of this key is a list, so that something can be added to it. */
bool policy_key_is_list(const char *path);

/* Offers `near` the names that may stand in a section (empty: the outermost). */
void policy_key_offer(struct near *near, struct slice section);

#endif
