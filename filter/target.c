#include "filter/target.h"

#include <stddef.h>

#include "filter/ascii.h"
#include "filter/percent.h"

/* RFC 3986 section 2.3. */
static bool is_unreserved(char c) {
    return ascii_is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* What may stand unescaped in a path: RFC 3986's pchar without the escapes, and the slash. */
static bool is_path_character(char c) {
    return is_unreserved(c) || c == '/' || (c != '\0' && strchr("!$&'()*+,;=:@", c) != NULL);
}

/* Printable ASCII without the fragment's mark: the engine reads '#' and what follows as path, most
 * others drop it. */
static bool is_target_character(char c) {
    return c > ' ' && c < 0x7f && c != '#';
}

/* A decoded byte that no client has to escape, or that would change how the path splits or prints.
 * An escaped '%' would make a second decoding matter. Bytes above ASCII are fine: no route has any,
 * so they can only be part of a name. */
static bool is_odd_escape(int byte) {
    return byte < 0x20 || byte == 0x7f || byte == '/' || byte == '%' ||
           (byte < 0x80 && is_unreserved((char)byte));
}

/* Where in a raw path the name of an image may begin: behind /images/ or /distribution/, which only
 * a version may precede, all in plain characters. raw.len if nowhere. */
static size_t image_name_start(struct slice raw) {
    static const struct slice prefixes[] = {{"/images/", 8}, {"/distribution/", 14}};
    struct slice version = SLICE("/v1.");
    size_t at = 0;
    if (slice_starts_with(raw, version))
        for (at = version.len; at < raw.len && ascii_is_digit(raw.data[at]);)
            at++;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (slice_starts_with(slice_from(raw, at), prefixes[i]))
            return at + prefixes[i].len;
    return raw.len;
}

/* Decodes `raw` once; false for bytes and escapes that are refused. `out` holds raw.len bytes. */
static bool decode_path(struct slice raw, char *out, size_t *length) {
    /* docker-java, which Testcontainers for Java is built on, escapes the slashes in the names of
     * images. The engine decodes a path before it routes it, so it cannot tell them from plain
     * ones, nor need we: such a path stays one of an image however it is read. At the end of the
     * path an escaped slash is no part of a name. */
    size_t name = image_name_start(raw);
    size_t used = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.data[i] != '%') {
            if (!is_path_character(raw.data[i]))
                return false;
            out[used++] = raw.data[i];
            continue;
        }
        int byte = percent_decode_at(raw, i);
        bool slash_in_name = byte == '/' && i >= name && raw.len - i > 3;
        if (byte < 0 || (is_odd_escape(byte) && !slash_in_name))
            return false;
        out[used++] = (char)(unsigned char)byte;
        i += 2;
    }
    *length = used;
    return true;
}

/* The engine's router redirects a path that path.Clean would change. A trailing slash stays. */
static bool is_clean(struct slice path) {
    size_t start = 1; /* of the segment, after the leading slash */
    for (size_t i = 1; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/')
            continue;
        struct slice segment = slice_of(path.data + start, i - start);
        bool last = i == path.len;
        if ((segment.len == 0 && !last) || slice_equal(segment, SLICE(".")) ||
            slice_equal(segment, SLICE("..")))
            return false;
        start = i + 1;
    }
    return true;
}

/* A decimal number without leading zeros; -1 for anything else or beyond TARGET_MAX_MINOR. */
static int parse_decimal(struct slice digits) {
    if (digits.len == 0 || (digits.len > 1 && digits.data[0] == '0'))
        return -1;
    int value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (!ascii_is_digit(digits.data[i]))
            return -1;
        value = value * 10 + (digits.data[i] - '0');
        if (value > TARGET_MAX_MINOR)
            return -1;
    }
    return value;
}

/* Takes a leading version segment off target->path. The engine takes any /v[0-9.]+ for one and
 * compares the parts as numbers; there never was another major version than 1. */
static enum target_status split_version(struct target *target) {
    struct slice path = target->path;
    if (path.len < 3 || path.data[1] != 'v' ||
        !(ascii_is_digit(path.data[2]) || path.data[2] == '.'))
        return TARGET_OK;

    struct slice rest = slice_from(path, 1);
    struct slice segment = slice_first(rest, slice_index(rest, '/'));
    struct slice prefix = SLICE("v1.");
    if (segment.len == rest.len || !slice_starts_with(segment, prefix))
        return TARGET_BAD_VERSION;
    int minor = parse_decimal(slice_from(segment, prefix.len));
    if (minor < 0)
        return TARGET_BAD_VERSION;

    target->versioned = true;
    target->minor = (unsigned)minor;
    target->path = slice_from(rest, segment.len);
    return TARGET_OK;
}

enum target_status target_parse(struct slice raw, struct arena *arena, struct target *target) {
    /* Only the origin form, and never "//", which some readers take for an authority. */
    if (raw.len == 0 || raw.data[0] != '/')
        return TARGET_BAD_FORM;
    for (size_t i = 0; i < raw.len; i++)
        if (!is_target_character(raw.data[i]))
            return TARGET_BAD_FORM;

    struct target result = {0};
    struct slice raw_path = slice_first(raw, slice_index(raw, '?'));
    result.query = slice_from(raw, raw_path.len + 1);

    char *decoded = arena_alloc(arena, raw_path.len);
    if (!decoded)
        return TARGET_NO_MEMORY;
    size_t length;
    if (!decode_path(raw_path, decoded, &length))
        return TARGET_BAD_PATH;
    result.path = slice_of(decoded, length);
    if (!is_clean(result.path))
        return TARGET_BAD_PATH;

    enum target_status status = split_version(&result);
    if (status == TARGET_OK)
        *target = result;
    return status;
}

const char *target_reason(enum target_status status) {
    switch (status) {
    case TARGET_OK:
        return NULL;
    case TARGET_BAD_FORM:
        return "the request target must be a path that begins with a slash, in printable ASCII "
               "and without '#'";
    case TARGET_BAD_PATH:
        return "the request path must be in its plain form: no empty or dot segments, and percent "
               "escapes only for characters that need them";
    case TARGET_BAD_VERSION:
        return "the API version in the path must have the form /v1.N, such as /v1.41";
    case TARGET_NO_MEMORY:
        break;
    }
    return "the proxy is out of memory; try again later";
}
