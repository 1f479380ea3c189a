#include "filter/presets.h"

#include "filter/glob.h"

enum { MOST_PATTERNS = 8 };

/* Patterns over routes; the unused ones are NULL. */
static const struct preset {
    enum filter_preset preset;
    enum filter_preset base;
    const char *name;
    const char *keep[MOST_PATTERNS]; /* what of the base's calls pass; none: all */
    const char *drop[MOST_PATTERNS]; /* but for these */
    const char *add[MOST_PATTERNS];  /* and what passes besides */
} presets[] = {
    {FILTER_BLOCKLIST, FILTER_BLOCKLIST, "blocklist", {NULL}, {NULL}, {NULL}},
    {FILTER_ALLOWLIST, FILTER_ALLOWLIST, "allowlist", {NULL}, {NULL}, {NULL}},
    /* The websocket form of attach is a GET that carries standard input. */
    {FILTER_READ_ONLY,
     FILTER_ALLOWLIST,
     "read-only",
     {"GET *", "HEAD *"},
     {"GET /containers/{name}/attach/ws"},
     {NULL}},
    /* Runners keep a job's container alive and run its steps by exec, which is bound by what that
     * container may, as exec.privileged stays off; and they snapshot it. Both reach only containers
     * of this engine, as attach and start do. Copying into containers, changing their limits and
     * prune stay out: nothing that a runner needs, and each reaches further. */
    {FILTER_CI_RUNNER,
     FILTER_ALLOWLIST,
     "ci-runner",
     {NULL},
     {NULL},
     {"POST /containers/{name}/exec", "POST /exec/{name}/start", "POST /exec/{name}/resize",
      "POST /commit"}},
};

static const struct preset *find(enum filter_preset preset) {
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (presets[i].preset == preset)
            return &presets[i];
    return NULL;
}

const char *preset_name(enum filter_preset preset) {
    const struct preset *found = find(preset);
    return found != NULL ? found->name : NULL;
}

enum filter_preset preset_base(enum filter_preset preset) {
    const struct preset *found = find(preset);
    return found != NULL ? found->base : FILTER_ALLOWLIST;
}

void preset_set_defaults(struct filter_settings *settings) {
    settings->build.deny_frontends = preset_base(settings->preset) == FILTER_ALLOWLIST;
}

/* Whether a pattern over routes names this row. The rows of HEAD follow those of GET, as requests
 * do (endpoint_match.h). */
static bool pattern_names(struct slice pattern, const struct endpoint *endpoint) {
    struct slice route = slice_from_string(endpoint->route);
    struct slice get = SLICE("GET ");
    struct slice head = SLICE("HEAD ");
    if (glob_matches(pattern, route))
        return true;
    return slice_starts_with(pattern, get) && slice_starts_with(route, head) &&
           glob_matches(slice_from(pattern, get.len), slice_from(route, head.len));
}

static bool names(const char *const patterns[], const struct endpoint *endpoint) {
    for (size_t i = 0; i < MOST_PATTERNS && patterns[i] != NULL; i++)
        if (pattern_names(slice_from_string(patterns[i]), endpoint))
            return true;
    return false;
}

static bool words_name(const struct filter_words *words, const struct endpoint *endpoint) {
    for (size_t i = 0; i < words->count; i++)
        if (pattern_names(slice_from_string(words->items[i]), endpoint))
            return true;
    return false;
}

/* What a row that is named comes to: what BuildKit's setting decides it goes on deciding. */
static enum endpoint_verdict opened(const struct endpoint *endpoint) {
    return endpoint->blocklist == ENDPOINT_BUILDKIT ? ENDPOINT_BUILDKIT : ENDPOINT_PASS;
}

static enum endpoint_verdict by_preset(enum filter_preset name, const struct endpoint *endpoint) {
    const struct preset *preset = find(name);
    if (preset == NULL || names(preset->drop, endpoint))
        return ENDPOINT_REFUSE;
    if (names(preset->add, endpoint))
        return opened(endpoint);
    if (preset->keep[0] != NULL && !names(preset->keep, endpoint))
        return ENDPOINT_REFUSE;
    return preset->base == FILTER_ALLOWLIST ? endpoint->allowlist : endpoint->blocklist;
}

enum endpoint_verdict preset_verdict(const struct filter_settings *settings,
                                     const struct endpoint *endpoint, bool *denied) {
    const struct filter_endpoints *changes = &settings->endpoints;
    *denied = words_name(&changes->deny, endpoint);
    if (*denied)
        return ENDPOINT_REFUSE;
    if (words_name(&changes->allow, endpoint))
        return opened(endpoint);
    if (changes->only.given)
        return words_name(&changes->only, endpoint) ? opened(endpoint) : ENDPOINT_REFUSE;
    return by_preset(settings->preset, endpoint);
}

const char *preset_check_pattern(struct slice pattern, struct near *near) {
    for (size_t i = 0; i < endpoint_count; i++)
        if (pattern_names(pattern, &endpoints[i]))
            return NULL;
    for (size_t i = 0; i < endpoint_count; i++)
        near_offer(near, endpoints[i].route);
    return "names no route";
}
