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
    struct text_edit edit;
    struct ownership_finding finding = ownership_label(reader->plan, labels, reader->arena, &edit);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    struct slice labelled = ownership_edit(labels, &edit, 1, reader->arena);
    if (labelled.data == NULL)
        return ownership_no_memory();
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

/* --- members --- */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The members of an object that may be absent; those that are absent or null are "null". */
static bool find_fields(struct slice object, struct json_field *fields, size_t count) {
    bool there = object.len > 0 && !json_is_null(object);
    if (there && !json_find_fields(object, false, fields, count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!there || fields[i].value.data == NULL)
            fields[i].value = SLICE("null");
    return true;
}

/* A string that may be absent; empty then. */
static bool decode(struct slice value, struct arena *arena, struct slice *text) {
    *text = slice_of("", 0);
    return json_is_null(value) || json_decode(value, arena, text);
}

/* --- mounts --- */

static struct ownership_finding read_mount(const struct reader *reader, struct slice mount) {
    struct json_field fields[] = {
        {.name = SLICE("Type")}, {.name = SLICE("Source")}, {.name = SLICE("VolumeOptions")}};
    struct json_field options[] = {{.name = SLICE("Labels")}, {.name = SLICE("DriverConfig")}};
    struct json_field driver[] = {{.name = SLICE("Name")}, {.name = SLICE("Options")}};
    struct slice type;
    struct slice source;
    if (!find_fields(mount, fields, COUNT(fields)) ||
        !find_fields(fields[2].value, options, COUNT(options)) ||
        !find_fields(options[1].value, driver, COUNT(driver)) ||
        !decode(fields[0].value, reader->arena, &type) ||
        !decode(fields[1].value, reader->arena, &source))
        return bad();
    if (slice_equal(type, SLICE("bind")) || slice_equal(type, SLICE("tmpfs")) ||
        slice_equal(type, SLICE("image")))
        return ownership_allow();
    char *holder = arena_printf(reader->arena, "{\"Labels\":%.*s}", SLICE_ARGS(options[0].value));
    struct text_edit unused;
    if (holder == NULL)
        return ownership_no_memory();
    /* An anonymous one stays without a label, and must not get somebody else's. */
    if (source.len == 0)
        return ownership_label(reader->plan, slice_from_string(holder), reader->arena, &unused);
    struct slice name = json_is_null(driver[0].value) ? SLICE("\"\"") : driver[0].value;
    return add_volume(reader, source, name, driver[1].value, slice_from_string(holder));
}

static struct ownership_finding read_mounts(const struct reader *reader, struct slice list) {
    struct slice key;
    struct slice mount;
    struct ownership_finding finding = ownership_allow();
    if (json_is_null(list))
        return finding;
    if (!json_is_list(list))
        return bad();
    struct json_walk walk = json_walk_start(list);
    while (finding.decision == FILTER_ALLOW && json_walk_next(&walk, &key, &mount))
        finding = read_mount(reader, mount);
    return walk.bad ? bad() : finding;
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

static struct ownership_finding read_field(const struct reader *reader,
                                           const struct string_field *field, struct slice value) {
    struct slice key;
    struct slice each;
    struct ownership_finding finding = ownership_allow();
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

/* One network by its name, and by the id that the engine prefers to it (moby, getNetworkID). */
static struct ownership_finding read_endpoint(const struct reader *reader, struct slice key,
                                              struct slice endpoint) {
    struct json_field id[] = {{.name = SLICE("NetworkID")}};
    struct slice name;
    struct slice text;
    if (!json_decode(key, reader->arena, &name) || name.len == 0)
        return bad();
    struct ownership_finding finding = add_network(reader, name);
    if (finding.decision != FILTER_ALLOW)
        return finding;
    if (!find_fields(endpoint, id, COUNT(id)) || !decode(id[0].value, reader->arena, &text))
        return bad();
    return text.len == 0
               ? finding
               : add(reader, OWNERSHIP_A_NETWORK, id[0].value, SLICE(""), text, SLICE(""));
}

static struct ownership_finding read_endpoints(const struct reader *reader, struct slice config) {
    struct json_field endpoints[] = {{.name = SLICE("EndpointsConfig")}};
    struct slice key;
    struct slice endpoint;
    struct ownership_finding finding = ownership_allow();
    if (!find_fields(config, endpoints, COUNT(endpoints)))
        return bad();
    if (json_is_null(endpoints[0].value))
        return finding;
    if (!json_is_object(endpoints[0].value))
        return bad();
    struct json_walk walk = json_walk_start(endpoints[0].value);
    while (finding.decision == FILTER_ALLOW && json_walk_next(&walk, &key, &endpoint))
        finding = read_endpoint(reader, key, endpoint);
    return walk.bad ? bad() : finding;
}

/* What stands in HostConfig, or at the top level, where old engines read its fields too; the latter
 * has the last two besides. */
enum { MOUNTS = COUNT(string_fields), HOST_CONFIG, NETWORKING_CONFIG, FIELDS };

static struct ownership_finding read_fields(const struct reader *reader, struct slice object,
                                            struct json_field *fields) {
    for (size_t i = 0; i < COUNT(string_fields); i++)
        fields[i].name = string_fields[i].name;
    fields[MOUNTS].name = SLICE("Mounts");
    fields[HOST_CONFIG].name = SLICE("HostConfig");
    fields[NETWORKING_CONFIG].name = SLICE("NetworkingConfig");
    if (!find_fields(object, fields, FIELDS))
        return bad();
    for (size_t i = 0; i < COUNT(string_fields); i++) {
        struct ownership_finding finding = read_field(reader, &string_fields[i], fields[i].value);
        if (finding.decision != FILTER_ALLOW)
            return finding;
    }
    return read_mounts(reader, fields[MOUNTS].value);
}

struct ownership_finding ownership_create(struct ownership_plan *plan, struct arena *arena) {
    const struct reader reader = {plan, arena};
    struct json_field fields[FIELDS];
    struct json_field nested[FIELDS];
    struct ownership_finding finding = read_fields(&reader, json_value(plan->body), fields);
    if (finding.decision == FILTER_ALLOW)
        finding = read_fields(&reader, fields[HOST_CONFIG].value, nested);
    return finding.decision == FILTER_ALLOW
               ? read_endpoints(&reader, fields[NETWORKING_CONFIG].value)
               : finding;
}
