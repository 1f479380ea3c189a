/* The policies of one configuration, and which of them a client is held to.
 *
 * Pure and unchanging once made, like a policy. */
#ifndef DIND_PROXY_FILTER_RULES_H
#define DIND_PROXY_FILTER_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/filter.h"
#include "filter/slice.h"

struct filter_rules;

/* One policy for everybody. Copies what it needs of `settings`. NULL with a sentence in `error`.
 * Free with filter_rules_free. */
struct filter_rules *filter_rules_new(const struct filter_settings *settings, char *error,
                                      size_t error_size);

/* Reads the text of a policy file (filter/policy.md). `file` is its name, for messages. NULL with
 * "FILE:LINE:COLUMN: what is wrong" in `error`. Keeps nothing of what it is given. */
struct filter_rules *filter_rules_parse(struct slice text, const char *file, char *error,
                                        size_t error_size);

/* The policies in effect, every key with its value, as a policy file that would be read as the
 * same. NULL when memory is out, or when they are not from a file; else to be freed. */
char *filter_rules_print(const struct filter_rules *rules);

/* NULL is allowed. */
void filter_rules_free(struct filter_rules *rules);

/* Who sends a request, as far as that was proved. What is not known is empty. */
struct filter_identity {
    struct slice common_name;      /* of the client's certificate */
    const struct slice *alt_names; /* its subject alternative names */
    size_t alt_name_count;
    bool has_peer; /* behind a unix socket: uid and gid are known */
    uint32_t uid;
    uint32_t gid;
    struct slice listener; /* as --listen names it, without parameters: "unix:///run/a.sock" */
};

/* One of those whom the policies tell apart. Lives as long as the rules. */
struct filter_client {
    const char *name;                   /* of the entry of "clients"; NULL: everybody else */
    const struct filter_policy *policy; /* NULL: everything is refused */
    bool ownership;                     /* what it makes is marked as its own */
};

/* False: there is one policy for everybody, and no need to find out who asks. */
bool filter_rules_tell_apart(const struct filter_rules *rules);

/* The first client whose every condition holds, else everybody else; never NULL. */
const struct filter_client *filter_rules_select(const struct filter_rules *rules,
                                                const struct filter_identity *identity);

/* The client of that name; NULL if there is none. With NULL: everybody else. */
const struct filter_client *filter_rules_find(const struct filter_rules *rules, const char *name);

#endif
