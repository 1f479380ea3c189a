/* Finds the word that a mistyped one was probably meant to be. */
#ifndef DIND_PROXY_FILTER_NEAR_H
#define DIND_PROXY_FILTER_NEAR_H

#include <stddef.h>

enum { NEAR_MAX = 64 }; /* bytes; longer words are near to nothing */

struct near {
    const char *word;
    const char *best; /* NULL: none was near */
    size_t best_distance;
};

/* `word` has to outlive the search. */
struct near near_start(const char *word);

/* Offers a word; the nearest of all that were offered stays in `best`, the first of several. */
void near_offer(struct near *near, const char *candidate);

/* The same, with `letters` in place of the candidate's own, such as those behind its dashes. */
void near_offer_as(struct near *near, const char *candidate, const char *letters);

#endif
