/* Splitting text at a separator, as Go's strings.Split does: "a,,b" has an empty second part, and
 * the empty text has one part, which is empty. */
#ifndef DIND_PROXY_FILTER_SPLIT_H
#define DIND_PROXY_FILTER_SPLIT_H

#include <stdbool.h>

#include "filter/slice.h"

struct splitter {
    struct slice rest;
    char separator;
    bool ended;
};

static inline struct splitter split_start(struct slice text, char separator) {
    return (struct splitter){.rest = text, .separator = separator};
}

/* Fills `*part`, which points into the text. False when there is no further part. */
static inline bool split_next(struct splitter *splitter, struct slice *part) {
    if (splitter->ended)
        return false;
    struct slice rest = splitter->rest;
    size_t len = slice_index(rest, splitter->separator);
    *part = slice_first(rest, len);
    splitter->ended = len == rest.len;
    splitter->rest = slice_from(rest, len + 1);
    return true;
}

#endif
