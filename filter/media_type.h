/* Content-Type, as far as it changes what the engine does with a body. */
#ifndef DIND_PROXY_FILTER_MEDIA_TYPE_H
#define DIND_PROXY_FILTER_MEDIA_TYPE_H

#include "filter/slice.h"

enum media_type {
    MEDIA_TYPE_MISSING, /* an empty value; the engine takes it for no Content-Type at all */
    MEDIA_TYPE_JSON,    /* application/json, with or without parameters */
    MEDIA_TYPE_FORM,    /* a form: on many routes the engine lets it override the query */
    MEDIA_TYPE_OTHER,
    MEDIA_TYPE_MALFORMED, /* not exactly type/subtype *( ; name=value ) of RFC 9110 section 8.3.1 */
};

/* Stricter than Go's mime.ParseMediaType, which the engine uses: it names a type even where the
 * parameters are malformed, so anything malformed must be refused rather than taken for OTHER. */
enum media_type media_type_parse(struct slice value);

#endif
