/* What to write into a policy file to lift a refusal (struct filter_remedy). */
#ifndef DIND_PROXY_FILTER_REMEDY_H
#define DIND_PROXY_FILTER_REMEDY_H

#include "filter/arena.h"
#include "filter/filter.h"
#include "filter/slice.h"

/* No key would lift it. */
struct filter_remedy remedy_none(void);

/* The switch `key` set to true. */
struct filter_remedy remedy_switch(const char *key);

/* `word` as JSON. None where it is empty, no UTF-8, or would stand for more than itself as a
 * pattern; or when memory is out. */
struct filter_remedy remedy_word(struct arena *arena, const char *key, struct slice word);

/* `json`, which lives in the arena or statically; none where it is NULL. */
struct filter_remedy remedy_json(const char *key, const char *json);

/* `text` as a JSON string; NULL where it is no UTF-8 or memory is out. In the arena. */
const char *remedy_quote(struct arena *arena, struct slice text);

#endif
