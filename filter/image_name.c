#include "filter/image_name.h"

#include "filter/ascii.h"
#include "filter/glob.h"

static const struct slice hub = SLICE("docker.io");

static const char *find_last(struct slice text, char wanted) {
    return text.len > 0 ? memrchr(text.data, wanted, text.len) : NULL;
}

/* Cuts off the digest, then the tag. */
static void cut_version(struct slice *text, struct image_name *name) {
    size_t sign = slice_index(*text, '@');
    name->digest = slice_from(*text, sign + 1);
    *text = slice_first(*text, sign);
    const char *slash = find_last(*text, '/');
    const char *colon = find_last(*text, ':');
    if (colon != NULL && (slash == NULL || colon > slash)) {
        name->tag = slice_from(*text, (size_t)(colon - text->data) + 1);
        *text = slice_first(*text, (size_t)(colon - text->data));
    }
}

/* Whether what stands in front of the first slash is a registry and no part of a path. */
static bool is_domain(struct slice first) {
    return memchr(first.data, '.', first.len) != NULL ||
           memchr(first.data, ':', first.len) != NULL ||
           memchr(first.data, '*', first.len) != NULL || slice_equal(first, SLICE("localhost"));
}

/* Name or pattern. False when memory is out. */
static bool split(struct slice text, struct arena *arena, struct image_name *name) {
    *name = (struct image_name){0};
    cut_version(&text, name);
    size_t slash = slice_index(text, '/');
    struct slice first = slice_first(text, slash < text.len ? slash : 0);
    name->domain = hub;
    name->path = text;
    if (first.len > 0 && is_domain(first)) {
        name->domain = slice_equal(first, SLICE("index.docker.io")) ? hub : first;
        name->path = slice_from(text, first.len + 1);
    }
    bool official = slice_equal(name->domain, hub) && name->path.len > 0 &&
                    name->path.data[0] != '*' && find_last(name->path, '/') == NULL;
    if (official) {
        const char *whole = arena_printf(arena, "library/%.*s", SLICE_ARGS(name->path));
        name->path = slice_from_string(whole != NULL ? whole : "");
        return whole != NULL;
    }
    return true;
}

/* Of letters, digits and the characters of `others`. */
static bool consists_of(struct slice text, const char *others, bool upper) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool letter = ascii_is_alphanumeric(c) && (upper || c < 'A' || c > 'Z');
        if (!letter && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return true;
}

static bool is_tag(struct slice text) {
    enum { LONGEST = 128 };
    return text.len > 0 && text.len <= LONGEST && consists_of(text, "_.-", true) &&
           text.data[0] != '.' && text.data[0] != '-';
}

static bool is_digest(struct slice text) {
    size_t colon = slice_index(text, ':');
    return colon > 0 && colon < text.len && text.data[text.len - 1] != ':' &&
           consists_of(text, "_.:+=-", true);
}

/* An end that announces a tag or a digest, and has none. */
static bool breaks_off(struct slice text) {
    return text.data[text.len - 1] == ':' || text.data[text.len - 1] == '@';
}

bool image_name_parse(struct slice text, struct arena *arena, struct image_name *name) {
    enum { LONGEST = 512 };
    if (text.len == 0 || text.len > LONGEST || !split(text, arena, name))
        return false;
    return !breaks_off(text) && name->path.len > 0 && consists_of(name->domain, ".:-[]", true) &&
           consists_of(name->path, "._-/", false) && (name->tag.len == 0 || is_tag(name->tag)) &&
           (name->digest.len == 0 || is_digest(name->digest));
}

bool image_name_add_tag(struct image_name *name, struct slice tag) {
    if (tag.len == 0)
        return true;
    if (is_digest(tag)) {
        /* Of two the engine would take this one. */
        name->digest = tag;
        name->tag = SLICE("");
        return true;
    }
    name->tag = tag;
    return is_tag(tag);
}

bool image_name_may_be_id(struct slice text) {
    struct slice algorithm = SLICE("sha256:");
    enum { LONGEST = 64 };
    if (slice_starts_with(text, algorithm))
        return true;
    for (size_t i = 0; i < text.len; i++)
        if ((text.data[i] < '0' || text.data[i] > '9') &&
            (text.data[i] < 'a' || text.data[i] > 'f'))
            return false;
    return text.len > 0 && text.len <= LONGEST;
}

bool image_name_pattern_is_valid(struct slice text) {
    struct arena arena = {0};
    struct image_name name;
    bool valid = text.len > 0 && split(text, &arena, &name) && !breaks_off(text) &&
                 name.path.len > 0 && consists_of(name.domain, ".:-[]*", true) &&
                 consists_of(name.path, "._-/*", false) && consists_of(name.tag, "_.-*", true) &&
                 consists_of(name.digest, "_.:+=-*", true);
    arena_reset(&arena);
    return valid;
}

static bool is_any(const char *pattern) {
    return pattern[strspn(pattern, "*")] == '\0';
}

bool image_name_any(const struct filter_words *patterns) {
    for (size_t i = 0; i < patterns->count; i++)
        if (is_any(patterns->items[i]))
            return true;
    return false;
}

static bool versions_match(const struct image_name *pattern, const struct image_name *name) {
    if (pattern->digest.len > 0)
        return name->digest.len > 0 && glob_matches(pattern->digest, name->digest) &&
               (pattern->tag.len == 0 || glob_matches(pattern->tag, name->tag));
    return pattern->tag.len == 0 ||
           (name->digest.len == 0 && glob_matches(pattern->tag, name->tag));
}

bool image_name_is_listed(const struct filter_words *patterns, const struct image_name *name) {
    bool listed = image_name_any(patterns);
    struct arena arena = {0};
    for (size_t i = 0; i < patterns->count && !listed; i++) {
        struct image_name pattern;
        listed = split(slice_from_string(patterns->items[i]), &arena, &pattern) &&
                 glob_matches(pattern.domain, name->domain) &&
                 glob_matches(pattern.path, name->path) && versions_match(&pattern, name);
    }
    arena_reset(&arena);
    return listed;
}

const char *image_name_text(const struct image_name *name, struct arena *arena) {
    return arena_printf(arena, "%.*s/%.*s%s%.*s%s%.*s", SLICE_ARGS(name->domain),
                        SLICE_ARGS(name->path), name->tag.len > 0 ? ":" : "", SLICE_ARGS(name->tag),
                        name->digest.len > 0 ? "@" : "", SLICE_ARGS(name->digest));
}
