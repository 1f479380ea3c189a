/* Writes policies as a policy file has them (filter/policy.md). */
#ifndef DIND_PROXY_FILTER_POLICY_PRINT_H
#define DIND_PROXY_FILTER_POLICY_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "filter/filter.h"
#include "filter/slice.h"

/* An object of JSON under way: where it goes, and what stands before its next member. */
struct policy_printer {
    FILE *file;
    unsigned depth; /* of objects and lists */
    bool empty;     /* nothing stands yet in the innermost */
};

/* Opens an object or a list: '{' or '['. Closing takes '}' or ']'. */
void policy_print_open(struct policy_printer *printer, char bracket);
void policy_print_close(struct policy_printer *printer, char bracket);

/* Begins a member, or with a NULL name an item: whatever follows is its value. */
void policy_print_item(struct policy_printer *printer, const char *name);

/* A string, quoted. */
void policy_print_text(struct policy_printer *printer, struct slice text);

/* The keys of one policy with their values, but for those that were not given and mean something
 * else then than any value would. Reading them after "preset" gives the same settings. */
void policy_print_keys(struct policy_printer *printer, const struct filter_settings *settings);

#endif
