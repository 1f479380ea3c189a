#include "proxy/hpack.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

struct hpack_decoder {
    nghttp2_hd_inflater *inflater;
};

struct hpack_decoder *hpack_decoder_new(void) {
    struct hpack_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder != NULL && nghttp2_hd_inflate_new(&decoder->inflater) != 0) {
        free(decoder);
        return NULL;
    }
    return decoder;
}

void hpack_decoder_free(struct hpack_decoder *decoder) {
    if (decoder == NULL)
        return;
    nghttp2_hd_inflate_del(decoder->inflater);
    free(decoder);
}

/* RFC 9113 section 8.2: lower case, and no byte that HTTP/1 would read as something else. */
static bool is_name(struct slice name) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     (c != '\0' && strchr(others, c) != NULL);
        if (!plain)
            return false;
    }
    return name.len > 0;
}

static bool is_value(struct slice value) {
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] == '\0' || value.data[i] == '\r' || value.data[i] == '\n')
            return false;
    return slice_trim(value).len == value.len;
}

/* Of HTTP/1's connection alone; section 8.2.2. */
static bool is_connection_header(struct slice name) {
    static const char *const names[] = {"connection", "keep-alive",        "proxy-connection",
                                        "upgrade",    "transfer-encoding", "host"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_equal(name, slice_from_string(names[i])))
            return true;
    return false;
}

static const char *take_pseudo(struct hpack_request *request, struct filter_header header) {
    static const char *const names[] = {":method", ":scheme", ":path", ":authority"};
    bool known = false;
    if (request->count > 0)
        return "a pseudo header follows an ordinary one";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        known = known || slice_equal(header.name, slice_from_string(names[i]));
    if (!known)
        return "an unknown pseudo header";
    for (size_t i = 0; i < request->pseudo_count; i++)
        if (slice_equal(request->pseudo[i].name, header.name))
            return "a pseudo header comes twice";
    request->pseudo[request->pseudo_count++] = header;
    return NULL;
}

static const char *take(struct hpack_request *request, struct filter_header header) {
    if (!is_value(header.value))
        return "a header's value is malformed";
    if (slice_starts_with(header.name, SLICE(":")))
        return take_pseudo(request, header);
    if (!is_name(header.name))
        return "a header's name is malformed";
    if (is_connection_header(header.name))
        return "a header belongs to HTTP/1";
    if (slice_equal(header.name, SLICE("te")) && !slice_equal(header.value, SLICE("trailers")))
        return "a header belongs to HTTP/1";
    if (request->count == HPACK_MAX_HEADERS)
        return "too many headers";
    request->headers[request->count++] = header;
    return NULL;
}

static const char *check(struct hpack_request *request) {
    bool post = false;
    bool scheme = false;
    for (size_t i = 0; i < request->pseudo_count; i++) {
        const struct filter_header *header = &request->pseudo[i];
        if (slice_equal(header->name, SLICE(":method")))
            post = slice_equal(header->value, SLICE("POST"));
        if (slice_equal(header->name, SLICE(":scheme")))
            scheme = header->value.len > 0;
        if (slice_equal(header->name, SLICE(":path")))
            request->path = header->value;
    }
    return post && scheme && request->path.len > 0 ? NULL : "this is no gRPC call";
}

const char *hpack_decode(struct hpack_decoder *decoder, struct slice block,
                         struct hpack_request *request, struct arena *arena) {
    size_t decoded = 0;
    *request = (struct hpack_request){0};
    while (true) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(decoder->inflater, &nv, &flags,
                                              (const uint8_t *)block.data, block.len, 1);
        if (used < 0)
            return "a header block cannot be decoded";
        block = slice_from(block, (size_t)used);
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            decoded += nv.namelen + nv.valuelen;
            if (decoded > HPACK_MAX_DECODED)
                return "the headers are too long";
            struct filter_header header = {
                arena_copy(arena, slice_of((const char *)nv.name, nv.namelen)),
                arena_copy(arena, slice_of((const char *)nv.value, nv.valuelen))};
            if (header.name.data == NULL || header.value.data == NULL)
                return "out of memory";
            const char *fault = take(request, header);
            if (fault != NULL)
                return fault;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
        if (used == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT))
            return "a header block is cut short";
    }
    if (nghttp2_hd_inflate_end_headers(decoder->inflater) != 0)
        return "a header block cannot be decoded";
    return check(request);
}
