/* What the parts of ownership share; nobody else includes this. */
#ifndef DIND_PROXY_FILTER_OWNERSHIP_PARTS_H
#define DIND_PROXY_FILTER_OWNERSHIP_PARTS_H

#include "filter/ownership.h"
#include "filter/target.h"

/* A change of a text: `len` bytes at `at` become `text`. */
struct text_edit {
    size_t at, len;
    struct slice text;
};

/* The text with all changes made, which do not overlap and are in any order (it sorts them). Its
 * data is NULL when memory is out. */
struct slice ownership_edit(struct slice text, struct text_edit *edits, size_t count,
                            struct arena *arena);

struct ownership_finding ownership_allow(void);
struct ownership_finding ownership_deny(const char *rule, const char *reason);
struct ownership_finding ownership_bad(const char *rule, const char *reason);
struct ownership_finding ownership_no_memory(void);

/* Adds an object to the plan; bad when there are too many. */
struct ownership_finding ownership_add(struct ownership_plan *plan, struct ownership_ref ref);

/* `text` with all bytes but letters, digits and those in `kept` as %XX. Its data is NULL when
 * memory is out. */
struct slice ownership_escape(struct slice text, const char *kept, struct arena *arena);

/* Networks that every engine has, and words that stand for one: all clients may use them as far as
 * the policy allows. */
bool ownership_is_built_in(struct slice network);

/* "jailoc.owner=OWNER" between quotes. Its data is NULL when memory is out. */
struct slice ownership_label_filter(const struct ownership_plan *plan, struct arena *arena);

/* The query's part of ownership_head, by the plan's scope; `target` is parsed from plan->target. */
struct ownership_finding ownership_query(struct ownership_plan *plan, const struct target *target,
                                         struct arena *arena);

/* The change of an object that puts the owner's label into its "Labels", which may be absent or
 * null. Denied if it has that label already. */
struct ownership_finding ownership_label(const struct ownership_plan *plan, struct slice object,
                                         struct arena *arena, struct text_edit *edit);

/* The objects that a container's creation names in plan->body. */
struct ownership_finding ownership_create(struct ownership_plan *plan, struct arena *arena);

#endif
