#include "filter/rules.h"

#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "filter/ascii.h"
#include "filter/client_match.h"
#include "filter/json_place.h"
#include "filter/near.h"
#include "filter/policy_print.h"
#include "filter/policy_read.h"
#include "filter/presets.h"
#include "filter/quote.h"

enum {
    MAX_CLIENTS = 256,
    MAX_NAME = 64, /* bytes: a name ends up in labels and lines */
};

struct rules_entry {
    struct client_match match;
    struct filter_settings settings;
    struct filter_client client;
    struct filter_policy *policy; /* owned; client.policy is the same */
};

struct filter_rules {
    struct arena memory; /* what the settings and names stand in */
    bool of_file;        /* which the settings still tell */
    struct rules_entry others;
    struct rules_entry *entries;
    size_t count;
};

/* --- making them --- */

/* Makes the policy of an entry whose settings are known. */
static bool complete(struct rules_entry *entry, char *error, size_t error_size) {
    entry->policy = filter_policy_new(&entry->settings, error, error_size);
    entry->client.policy = entry->policy;
    entry->client.ownership = entry->settings.ownership;
    return entry->policy != NULL;
}

struct filter_rules *filter_rules_new(const struct filter_settings *settings, char *error,
                                      size_t error_size) {
    struct filter_rules *rules = calloc(1, sizeof *rules);
    if (rules == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return NULL;
    }
    rules->others.settings = *settings;
    preset_set_defaults(&rules->others.settings);
    bool sound = complete(&rules->others, error, error_size);
    /* They point to what the caller owns. */
    rules->others.settings = (struct filter_settings){0};
    if (sound)
        return rules;
    filter_rules_free(rules);
    return NULL;
}

void filter_rules_free(struct filter_rules *rules) {
    if (rules == NULL)
        return;
    filter_policy_free(rules->others.policy);
    for (size_t i = 0; i < rules->count; i++)
        filter_policy_free(rules->entries[i].policy);
    free(rules->entries);
    arena_reset(&rules->memory);
    free(rules);
}

/* --- reading a file --- */

static bool fail_out_of_memory(const struct policy_reader *reader, const cJSON *value) {
    return policy_fail(reader, value, false, "memory is out");
}

static bool read_schema(const struct policy_reader *reader) {
    const cJSON *schema = policy_member(reader->root, "schema");
    if (schema == NULL)
        return policy_fail(reader, reader->root, false,
                           "the policy names no schema; begin it with \"schema\": 1");
    bool known = cJSON_IsNumber(schema) && schema->valuedouble <= 1 && schema->valuedouble >= 1;
    return known || policy_fail(reader, schema, false, "the only schema known here is 1");
}

/* Names become parts of labels and metrics, and are what a lock on objects is made of. */
static bool is_plain_name(struct slice name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!ascii_is_alphanumeric(c) && (i == 0 || (c != '.' && c != '_' && c != '-')))
            return false;
    }
    return name.len > 0 && name.len <= MAX_NAME;
}

static bool read_name(const struct policy_reader *reader, struct filter_rules *rules,
                      const cJSON *value, struct rules_entry *entry) {
    if (!cJSON_IsString(value) || !is_plain_name(slice_from_string(value->valuestring)))
        return policy_fail(reader, value, false,
                           "a client's name must be of letters, digits, '.', '_' and '-', %d at "
                           "most",
                           MAX_NAME);
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->entries[i].client.name, value->valuestring) == 0)
            return policy_fail(reader, value, false, "two clients have the name \"%s\"",
                               value->valuestring);
    entry->client.name = arena_printf(reader->keep, "%s", value->valuestring);
    return entry->client.name != NULL || fail_out_of_memory(reader, value);
}

static bool fail_client_key(const struct policy_reader *reader, const cJSON *member) {
    struct near near = near_start(member->string);
    near_offer(&near, "name");
    near_offer(&near, "match");
    near_offer(&near, "policy");
    struct arena arena = {0};
    const char *key = quote(&arena, slice_from_string(member->string));
    if (near.best != NULL)
        (void)policy_fail(reader, member, true, "unknown key %s of a client; did you mean \"%s\"?",
                          key, near.best);
    else
        (void)policy_fail(reader, member, true,
                          "unknown key %s of a client; there are \"name\", \"match\" and "
                          "\"policy\"",
                          key);
    arena_reset(&arena);
    return false;
}

static bool read_client(const struct policy_reader *reader, struct filter_rules *rules,
                        const cJSON *object, struct rules_entry *entry) {
    if (!cJSON_IsObject(object))
        return policy_fail(reader, object, false, "\"clients\" must hold objects");
    if (!policy_check_duplicates(reader, object))
        return false;
    for (const cJSON *member = object->child; member != NULL; member = member->next)
        if (strcmp(member->string, "name") != 0 && strcmp(member->string, "match") != 0 &&
            strcmp(member->string, "policy") != 0)
            return fail_client_key(reader, member);
    const cJSON *name = policy_member(object, "name");
    const cJSON *match = policy_member(object, "match");
    const cJSON *policy = policy_member(object, "policy");
    if (name == NULL || match == NULL)
        return policy_fail(reader, object, false, "a client needs a \"name\" and a \"match\"");
    if (policy != NULL && !cJSON_IsObject(policy))
        return policy_fail(reader, policy, false, "\"policy\" must be an object");
    entry->settings = rules->others.settings;
    return read_name(reader, rules, name, entry) &&
           client_match_read(reader, match, &entry->match) &&
           (policy == NULL || policy_read(reader, policy, false, &entry->settings));
}

static bool read_clients(const struct policy_reader *reader, struct filter_rules *rules) {
    const cJSON *clients = policy_member(reader->root, "clients");
    if (clients == NULL)
        return true;
    if (!cJSON_IsArray(clients))
        return policy_fail(reader, clients, false, "\"clients\" must be a list");
    size_t count = (size_t)cJSON_GetArraySize(clients);
    if (count > MAX_CLIENTS)
        return policy_fail(reader, clients, false, "there may be %d clients at most", MAX_CLIENTS);
    rules->entries = calloc(count + 1, sizeof *rules->entries);
    if (rules->entries == NULL)
        return fail_out_of_memory(reader, clients);
    for (const cJSON *client = clients->child; client != NULL; client = client->next) {
        struct rules_entry *entry = &rules->entries[rules->count];
        if (!read_client(reader, rules, client, entry))
            return false;
        rules->count++;
        if (!complete(entry, reader->error, reader->error_size))
            return false;
    }
    return true;
}

/* Everybody else's policy is the file's own, or none. */
static bool read_others(const struct policy_reader *reader, struct filter_rules *rules) {
    const cJSON *others = policy_member(reader->root, "other-clients");
    bool deny =
        others != NULL && cJSON_IsString(others) && strcmp(others->valuestring, "deny") == 0;
    if (others != NULL && !deny &&
        (!cJSON_IsString(others) || strcmp(others->valuestring, "allow") != 0))
        return policy_fail(reader, others, false,
                           "\"other-clients\" takes one of: \"allow\", \"deny\"");
    if (deny && rules->count == 0)
        return policy_fail(reader, others, false,
                           "\"other-clients\" would refuse everybody, as there are no \"clients\"");
    return deny || complete(&rules->others, reader->error, reader->error_size);
}

static bool read_file(const struct policy_reader *reader, struct filter_rules *rules) {
    rules->of_file = true;
    rules->others.settings = policy_defaults();
    return policy_read(reader, reader->root, true, &rules->others.settings) &&
           read_schema(reader) && read_clients(reader, rules) && read_others(reader, rules);
}

struct filter_rules *filter_rules_parse(struct slice text, const char *file, char *error,
                                        size_t error_size) {
    struct json_error fault;
    struct arena tree = {0};
    struct filter_rules *rules = calloc(1, sizeof *rules);
    const cJSON *root = rules != NULL ? json_parse_object(text, &tree, &fault) : NULL;
    bool sound = false;
    if (rules == NULL) {
        (void)snprintf(error, error_size, "out of memory");
    } else if (root == NULL) {
        struct json_place place = json_place_at(text, fault.offset);
        (void)snprintf(error, error_size, "%s:%zu:%zu: this is not plain JSON: %s", file,
                       place.line, place.column, fault.what);
    } else {
        const struct policy_reader reader = {.text = text,
                                             .file = file,
                                             .root = root,
                                             .keep = &rules->memory,
                                             .error = error,
                                             .error_size = error_size};
        sound = read_file(&reader, rules);
    }
    arena_reset(&tree);
    if (sound)
        return rules;
    filter_rules_free(rules);
    return NULL;
}

/* --- printing them --- */

static void print_client(struct policy_printer *printer, const struct rules_entry *entry) {
    policy_print_item(printer, NULL);
    policy_print_open(printer, '{');
    policy_print_item(printer, "name");
    policy_print_text(printer, slice_from_string(entry->client.name));
    policy_print_item(printer, "match");
    client_match_print(printer, &entry->match);
    policy_print_item(printer, "policy");
    policy_print_open(printer, '{');
    policy_print_keys(printer, &entry->settings);
    policy_print_close(printer, '}');
    policy_print_close(printer, '}');
}

char *filter_rules_print(const struct filter_rules *rules) {
    char *text = NULL;
    size_t length = 0;
    struct policy_printer printer = {.file = NULL};
    if (!rules->of_file || (printer.file = open_memstream(&text, &length)) == NULL)
        return NULL;
    policy_print_open(&printer, '{');
    policy_print_item(&printer, "schema");
    (void)fputs("1", printer.file);
    policy_print_keys(&printer, &rules->others.settings);
    if (rules->count > 0) {
        policy_print_item(&printer, "clients");
        policy_print_open(&printer, '[');
        for (size_t i = 0; i < rules->count; i++)
            print_client(&printer, &rules->entries[i]);
        policy_print_close(&printer, ']');
        policy_print_item(&printer, "other-clients");
        (void)fputs(rules->others.policy != NULL ? "\"allow\"" : "\"deny\"", printer.file);
    }
    policy_print_close(&printer, '}');
    (void)fputc('\n', printer.file);
    bool failed = ferror(printer.file) != 0;
    if (fclose(printer.file) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}

/* --- using them --- */

bool filter_rules_tell_apart(const struct filter_rules *rules) {
    return rules->count > 0;
}

const struct filter_client *filter_rules_select(const struct filter_rules *rules,
                                                const struct filter_identity *identity) {
    for (size_t i = 0; i < rules->count; i++)
        if (client_match_holds(&rules->entries[i].match, identity))
            return &rules->entries[i].client;
    return &rules->others.client;
}

const struct filter_client *filter_rules_find(const struct filter_rules *rules, const char *name) {
    if (name == NULL)
        return &rules->others.client;
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->entries[i].client.name, name) == 0)
            return &rules->entries[i].client;
    return NULL;
}
