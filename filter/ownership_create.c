/* The objects that the creation of a container names. */
#include "filter/json_span.h"
#include "filter/ownership_parts.h"

static const char two_readings[] =
    "the body holds a key twice, or something else than the engine reads there; send each once";

struct reader {
    struct ownership_plan *plan;
    struct arena *arena;
};

static struct ownership_finding bad(void) {
    return ownership_bad("ownership.body", two_readings);
}

/* `string` is the whole JSON string whose text is `before`, the name, `after`. */
static struct ownership_finding add(const struct reader *reader, enum ownership_kind kind,
                                    struct slice string, struct slice before, struct slice name,
                                    struct slice after) {
    if (name.len == 0)
        return bad();
    return ownership_add(
        reader->plan, (struct ownership_ref){.kind = kind,
                                             .name = name,
                                             .place = OWNERSHIP_IN_BODY,
                                             .at = (size_t)(string.data - reader->plan->body.data),
                                             .len = string.len,
                                             .before = before,
                                             .after = after});
}

/* A network keeps its name in the body: clients look for it in what they have made, and compose
 * takes a container that is on a network of another name for one that has to be connected. */
static struct ownership_finding add_network(const struct reader *reader, struct slice name) {
    return ownership_is_built_in(name)
               ? ownership_allow()
               : ownership_add(reader->plan,
                               (struct ownership_ref){.kind = OWNERSHIP_A_NETWORK, .name = name});
}

/* --- strings, by the field that they stand in --- */

typedef struct ownership_finding string_rule(const struct reader *reader, struct slice string,
                                             struct slice text);

/* Other modes than a container's are the policy's affair. */
static struct ownership_finding read_mode(const struct reader *reader, struct slice string,
                                          struct slice text) {
    struct slice container = SLICE("container:");
    if (!slice_starts_with(text, container))
        return ownership_allow();
    return add(reader, OWNERSHIP_A_CONTAINER, string, container, slice_from(text, container.len),
               SLICE(""));
}

static struct ownership_finding read_network_mode(const struct reader *reader, struct slice string,
                                                  struct slice text) {
    return slice_starts_with(text, SLICE("container:")) ? read_mode(reader, string, text)
                                                        : add_network(reader, text);
}

/* "NAME" or "NAME:ro". */
static struct ownership_finding read_volumes_from(const struct reader *reader, struct slice string,
                                                  struct slice text) {
    size_t name = slice_index(text, ':');
    return add(reader, OWNERSHIP_A_CONTAINER, string, SLICE(""), slice_first(text, name),
               slice_from(text, name));
}

/* "NAME", "NAME:ALIAS", or as an inspection shows it "/NAME:/CONTAINER/ALIAS", which is read so
 * only with the leading slash (moby, opts.ParseLink). */
static struct ownership_finding read_link(const struct reader *reader, struct slice string,
                                          struct slice text) {
    size_t end = slice_index(text, ':');
    struct slice name = slice_first(text, end);
    struct slice alias = end < text.len ? slice_from(text, end + 1) : name;
    if (slice_starts_with(name, SLICE("/")))
        for (size_t slash; (slash = slice_index(alias, '/')) < alias.len;)
            alias = slice_from(alias, slash + 1);
    char *after = arena_printf(reader->arena, ":%.*s", SLICE_ARGS(alias));
    if (after == NULL)
        return ownership_no_memory();
    return add(reader, OWNERSHIP_A_CONTAINER, string, SLICE(""), name, slice_from_string(after));
}

static char *volume_body(const struct reader *reader, struct slice name, struct slice driver,
                         struct slice options, struct slice labels) {
    struct slice text = json_encode(name, reader->arena);
    if (text.data == NULL)
        return NULL;
    return arena_printf(reader->arena, "{\"Name\":%.*s,\"Driver\":%.*s,\"DriverOpts\":%.*s,%.*s}",
                        SLICE_ARGS(text), SLICE_ARGS(driver), SLICE_ARGS(options),
                        SLICE_ARGS(labels));
}

/* A volume is made, with its label, before the container would do it without. `labels` is an object
 * with the member "Labels" alone. */
static struct ownership_finding add_volume(const struct reader *reader, struct slice name,
                                           struct slice driver, struct slice options,
                                           struct slice labels) {
    struct slice labelled;
    struct ownership_finding finding =
        ownership_label(reader->plan, labels, reader->arena, &labelled);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    char *body = volume_body(reader, name, driver, options,
                             slice_first(slice_from(labelled, 1), labelled.len - 2));
    if (body == NULL)
        return ownership_no_memory();
    return ownership_add(reader->plan, (struct ownership_ref){.kind = OWNERSHIP_A_VOLUME,
                                                              .name = name,
                                                              .make = slice_from_string(body)});
}

/* "SOURCE:TARGET" or "SOURCE:TARGET:OPTIONS"; what begins with a slash is a folder. */
static struct ownership_finding read_bind(const struct reader *reader, struct slice string,
                                          struct slice text) {
    (void)string;
    size_t source = slice_index(text, ':');
    if (slice_starts_with(text, SLICE("/")))
        return ownership_allow();
    if (source == 0 || source == text.len)
        return bad();
    return add_volume(reader, slice_first(text, source), SLICE("\"\""), SLICE("null"), SLICE("{}"));
}

/* --- mounts --- */

/* A member of an object that may be absent or null, and is as `empty` says then. */
static bool member_or(struct slice object, struct slice key, struct slice empty,
                      struct slice *value) {
    *value = empty;
    if (json_is_null(object))
        return true;
    enum json_member found = json_find(object, key, false, value);
    if (found == JSON_MEMBER_FOUND && json_is_null(*value))
        *value = empty;
    return found != JSON_MEMBER_BAD;
}

static struct ownership_finding read_mount(const struct reader *reader, struct slice mount) {
    const struct slice null = SLICE("null");
    struct slice type;
    struct slice source;
    struct slice options;
    struct slice labels;
    struct slice driver;
    struct slice name;
    struct slice settings;
    if (!member_or(mount, SLICE("Type"), SLICE("\"\""), &type) ||
        !member_or(mount, SLICE("Source"), SLICE("\"\""), &source) ||
        !member_or(mount, SLICE("VolumeOptions"), null, &options) ||
        !json_decode(type, reader->arena, &type) || !json_decode(source, reader->arena, &source) ||
        !member_or(options, SLICE("Labels"), null, &labels) ||
        !member_or(options, SLICE("DriverConfig"), null, &driver) ||
        !member_or(driver, SLICE("Name"), SLICE("\"\""), &name) ||
        !member_or(driver, SLICE("Options"), null, &settings))
        return bad();
    if (slice_equal(type, SLICE("bind")) || slice_equal(type, SLICE("tmpfs")) ||
        slice_equal(type, SLICE("image")))
        return ownership_allow();
    char *holder = arena_printf(reader->arena, "{\"Labels\":%.*s}", SLICE_ARGS(labels));
    struct slice unused;
    if (holder == NULL)
        return ownership_no_memory();
    /* An anonymous one stays without a label, and must not get somebody else's. */
    if (source.len == 0)
        return ownership_label(reader->plan, slice_from_string(holder), reader->arena, &unused);
    return add_volume(reader, source, name, settings, slice_from_string(holder));
}

/* --- fields --- */

static const struct string_field {
    struct slice name;
    string_rule *read;
    bool list; /* a list of strings, or one bare string as some engines accept */
} string_fields[] = {
    {{"NetworkMode", 11}, read_network_mode, false},
    {{"PidMode", 7}, read_mode, false},
    {{"IpcMode", 7}, read_mode, false},
    {{"UTSMode", 7}, read_mode, false},
    {{"UsernsMode", 10}, read_mode, false},
    {{"CgroupnsMode", 12}, read_mode, false},
    {{"Cgroup", 6}, read_mode, false},
    {{"VolumesFrom", 11}, read_volumes_from, true},
    {{"Links", 5}, read_link, true},
    {{"Binds", 5}, read_bind, true},
};

static struct ownership_finding read_string(const struct reader *reader,
                                            const struct string_field *field, struct slice value) {
    struct slice text;
    if (!json_decode(value, reader->arena, &text))
        return bad();
    return text.len == 0 ? ownership_allow() : field->read(reader, value, text);
}

static struct ownership_finding read_field(const struct reader *reader, struct slice object,
                                           const struct string_field *field) {
    struct slice value;
    struct slice key;
    struct slice each;
    struct ownership_finding finding = ownership_allow();
    if (!member_or(object, field->name, SLICE("null"), &value))
        return bad();
    if (json_is_null(value))
        return finding;
    if (!field->list || json_is_string(value))
        return read_string(reader, field, value);
    if (!json_is_list(value))
        return bad();
    struct json_walk walk = json_walk_start(value);
    while (finding.decision == FILTER_ALLOW && json_walk_next(&walk, &key, &each))
        finding = read_string(reader, field, each);
    return walk.bad ? bad() : finding;
}

static struct ownership_finding read_mounts(const struct reader *reader, struct slice object) {
    struct slice list;
    struct slice key;
    struct slice mount;
    struct ownership_finding finding = ownership_allow();
    if (!member_or(object, SLICE("Mounts"), SLICE("[]"), &list) || !json_is_list(list))
        return bad();
    struct json_walk walk = json_walk_start(list);
    while (finding.decision == FILTER_ALLOW && json_walk_next(&walk, &key, &mount))
        finding = read_mount(reader, mount);
    return walk.bad ? bad() : finding;
}

/* HostConfig, or the top level, where old engines read its fields too. */
static struct ownership_finding read_host_config(const struct reader *reader, struct slice object) {
    for (size_t i = 0; i < sizeof string_fields / sizeof string_fields[0]; i++) {
        struct ownership_finding finding = read_field(reader, object, &string_fields[i]);
        if (finding.decision != FILTER_ALLOW)
            return finding;
    }
    return read_mounts(reader, object);
}

/* One network by its name, and by the id that the engine prefers to it (moby, getNetworkID). */
static struct ownership_finding read_endpoint(const struct reader *reader, struct slice key,
                                              struct slice endpoint) {
    struct slice name;
    struct slice id;
    struct slice text;
    if (!json_decode(key, reader->arena, &name) || name.len == 0)
        return bad();
    struct ownership_finding finding = add_network(reader, name);
    if (finding.decision != FILTER_ALLOW || json_is_null(endpoint))
        return finding;
    if (!member_or(endpoint, SLICE("NetworkID"), SLICE("\"\""), &id) ||
        !json_decode(id, reader->arena, &text))
        return bad();
    return text.len == 0 ? finding
                         : add(reader, OWNERSHIP_A_NETWORK, id, SLICE(""), text, SLICE(""));
}

static struct ownership_finding read_endpoints(const struct reader *reader, struct slice object) {
    struct slice config;
    struct slice endpoints;
    struct slice key;
    struct slice endpoint;
    struct ownership_finding finding = ownership_allow();
    if (!member_or(object, SLICE("NetworkingConfig"), SLICE("null"), &config) ||
        !member_or(config, SLICE("EndpointsConfig"), SLICE("{}"), &endpoints) ||
        !json_is_object(endpoints))
        return bad();
    struct json_walk walk = json_walk_start(endpoints);
    while (finding.decision == FILTER_ALLOW && json_walk_next(&walk, &key, &endpoint))
        finding = read_endpoint(reader, key, endpoint);
    return walk.bad ? bad() : finding;
}

struct ownership_finding ownership_create(struct ownership_plan *plan, struct arena *arena) {
    const struct reader reader = {plan, arena};
    struct slice object = json_value(plan->body);
    struct slice host_config;
    if (!member_or(object, SLICE("HostConfig"), SLICE("null"), &host_config))
        return bad();
    struct ownership_finding finding = read_host_config(&reader, object);
    if (finding.decision == FILTER_ALLOW && !json_is_null(host_config))
        finding = read_host_config(&reader, host_config);
    return finding.decision == FILTER_ALLOW ? read_endpoints(&reader, object) : finding;
}
