/* A client's header blocks: decoded, checked, and encoded anew for the engine.
 *
 * The client's encoder and the decoder here share a dynamic table. What goes to the engine uses
 * none, so a stream that is refused leaves no trace in the engine's. */
#ifndef DIND_PROXY_PROXY_HPACK_H
#define DIND_PROXY_PROXY_HPACK_H

#include <stddef.h>

#include "filter/arena.h"
#include "filter/filter.h"
#include "filter/slice.h"

enum {
    HPACK_MAX_HEADERS = 100,
    HPACK_MAX_DECODED = 64 * 1024, /* bytes of a block's names and values */
};

struct hpack_decoder;

/* NULL when memory is out. Free with hpack_decoder_free (NULL is nothing to free). */
struct hpack_decoder *hpack_decoder_new(void);
void hpack_decoder_free(struct hpack_decoder *decoder);

struct hpack_request {
    struct slice path;
    struct filter_header headers[HPACK_MAX_HEADERS]; /* pseudo headers are not among them */
    size_t count;
    struct filter_header pseudo[4];
    size_t pseudo_count;
};

/* Decodes one whole block into `request`, whose slices live in the arena. NULL if it is a request's
 * head as gRPC sends it, else what is wrong; static. After a fault the decoder is out of step. */
const char *hpack_decode(struct hpack_decoder *decoder, struct slice block,
                         struct hpack_request *request, struct arena *arena);

#endif
