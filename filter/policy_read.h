/* Reads the keys of a policy file into settings. */
#ifndef DIND_PROXY_FILTER_POLICY_READ_H
#define DIND_PROXY_FILTER_POLICY_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/filter.h"
#include "filter/json.h"

/* One file while it is read. */
struct policy_reader {
    struct slice text;
    const char *file;   /* its name */
    const cJSON *root;  /* of `text` */
    struct arena *keep; /* where settings find what they point to */
    char *error;
    size_t error_size;
};

/* What holds where a policy says nothing. */
struct filter_settings policy_defaults(void);

/* Puts the keys of `object` over `settings`; "preset" makes them start afresh. `outermost`: the
 * object is the whole file, where the keys of POLICY_TOP may stand; they are passed over. False
 * with the error written. */
bool policy_read(const struct policy_reader *reader, const cJSON *object, bool outermost,
                 struct filter_settings *settings);

/* The member of that exact name; NULL if there is none. */
const cJSON *policy_member(const cJSON *object, const char *name);

/* Writes "FILE:LINE:COLUMN: …" about a value, or with `key` about its name; returns false. */
__attribute__((format(printf, 4, 5))) bool policy_fail(const struct policy_reader *reader,
                                                       const cJSON *value, bool key,
                                                       const char *format, ...);

/* Fails where two members have the same name. */
bool policy_check_duplicates(const struct policy_reader *reader, const cJSON *object);

#endif
