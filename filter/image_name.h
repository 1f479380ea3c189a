/* The names of images, read as Docker reads them (distribution/reference, normalize.go). */
#ifndef DIND_PROXY_FILTER_IMAGE_NAME_H
#define DIND_PROXY_FILTER_IMAGE_NAME_H

#include <stdbool.h>

#include "filter/arena.h"
#include "filter/openings.h"
#include "filter/slice.h"

/* "alpine:3" is docker.io, library/alpine, 3. What is not there is empty. */
struct image_name {
    struct slice domain;
    struct slice path;
    struct slice tag;
    struct slice digest; /* where there is one, it alone says which image it is */
};

/* Takes a name apart; points into it, into the arena, or to static text. False where it is none. */
bool image_name_parse(struct slice text, struct arena *arena, struct image_name *name);

/* Adds what a request says apart from the name, a tag or a digest; empty adds nothing. As the
 * engine does, a digest that is there stays. False where it is neither. */
bool image_name_add_tag(struct image_name *name, struct slice tag);

/* Whether `text` may be an image's id, whole or shortened: nobody can tell from it what it names.
 */
bool image_name_may_be_id(struct slice text);

/* Whether a policy's patterns name the image. A pattern is read like a name, with stars in its
 * parts: "alpine" is docker.io/library/alpine. Without tag and digest it names all of them; with a
 * tag it names nothing that is given by digest. "*" alone names everything. */
bool image_name_is_listed(const struct filter_words *patterns, const struct image_name *name);

/* Whether any name could be named by the pattern. One that breaks off ("alpine:") could not, as it
 * would name all tags where one was meant. */
bool image_name_pattern_is_valid(struct slice text);

/* Whether the patterns name everything, ids too. */
bool image_name_any(const struct filter_words *patterns);

/* The whole name, in the arena; NULL when memory is out. */
const char *image_name_text(const struct image_name *name, struct arena *arena);

#endif
