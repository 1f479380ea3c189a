#include "filter/near.h"

#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* How many letters must be changed, added, dropped or swapped with a neighbour (Damerau and
 * Levenshtein's distance, each place touched once) to get from one to the other. */
static size_t distance(const char *a, const char *b) {
    size_t rows[3][NEAR_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > NEAR_MAX || b_length > NEAR_MAX)
        return SIZE_MAX;

    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return row[b_length];
}

struct near near_start(const char *word) {
    /* A third of the letters wrong is no longer the same word. */
    return (struct near){.word = word, .best_distance = strlen(word) / 3 + 1};
}

void near_offer_as(struct near *near, const char *candidate, const char *letters) {
    size_t found = distance(near->word, letters);
    if (found < near->best_distance) {
        near->best_distance = found;
        near->best = candidate;
    }
}

void near_offer(struct near *near, const char *candidate) {
    near_offer_as(near, candidate, candidate);
}
