#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "proxy/option_table.h"
#include "proxy/option_value.h"
#include "proxy/sandbox.h"
#include "proxy/sandbox_bpf.h"

enum { DNS_PORT = 53 };

/* The options whose files are written; some take the name of an open descriptor in a file's place.
 */
static const struct written {
    const char *flag;
    bool or_descriptor;
} written[] = {{"--audit-log", true}, {"--learn-file", false}};

/* NULL: the option's file is only read. */
static const struct written *find_written(const struct option *option) {
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        if (strcmp(option->flag, written[i].flag) == 0)
            return &written[i];
    return NULL;
}

static bool is_descriptor(const char *file) {
    return strcmp(file, "stderr") == 0 || strcmp(file, "stdout") == 0 ||
           strncmp(file, "fd:", 3) == 0;
}

static int plan_file(struct sandbox *sandbox, const struct option *option, const char *file,
                     struct error *error) {
    const struct written *writes = find_written(option);
    if (writes == NULL)
        return sandbox_paths_add(&sandbox->paths, SANDBOX_READ, file, error);
    if (writes->or_descriptor && is_descriptor(file))
        return 0;
    return sandbox_plan_write(sandbox, file, error);
}

/* A reload reads all of them, so all of them count that any option names. */
static int plan_files(struct sandbox *sandbox, const struct config *config, struct error *error) {
    for (size_t i = 0; i < option_count; i++) {
        const char *const *file = (const void *)((const char *)config + option_table[i].field);
        if (option_table[i].kind == &option_kind_file && *file != NULL &&
            plan_file(sandbox, &option_table[i], *file, error) != 0)
            return -1;
    }
    return 0;
}

static int plan_socket(struct sandbox *sandbox, const struct config_listener *listener,
                       struct error *error) {
    return listener->address.kind == ADDRESS_UNIX
               ? sandbox_paths_add(&sandbox->paths, SANDBOX_REMOVE, listener->address.path, error)
               : 0;
}

/* What the C library reads to look a name up. Their folders are what counts, and where links lead:
 * one that is managed by somebody else is often a link. */
static int plan_names(struct sandbox *sandbox, struct error *error) {
    static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (sandbox_paths_add(&sandbox->paths, SANDBOX_READ, files[i], error) != 0)
            return -1;
    return 0;
}

int sandbox_plan(struct sandbox *sandbox, const struct config *config, bool abstract,
                 struct error *error) {
    struct sandbox_network *network = &sandbox->network;
    sandbox->mode = (enum sandbox_mode)config->sandbox;
    network->abstract = abstract;
    if (plan_files(sandbox, config, error) != 0)
        return -1;
    for (size_t i = 0; i < config->listener_count; i++)
        if (plan_socket(sandbox, &config->listeners[i], error) != 0)
            return -1;
    if (config->metrics_on && plan_socket(sandbox, &config->metrics, error) != 0)
        return -1;
    if (config->upstream.kind == ADDRESS_UNIX)
        return sandbox_paths_add(&sandbox->paths, SANDBOX_CONNECT, config->upstream.path, error);
    sandbox->calls |= SANDBOX_WHEN_TCP;
    network->ports[network->count++] = config->upstream.port;
    network->ports[network->count++] = DNS_PORT;
    return plan_names(sandbox, error);
}

int sandbox_plan_write(struct sandbox *sandbox, const char *path, struct error *error) {
    sandbox->calls |= SANDBOX_WHEN_WRITES;
    return sandbox_paths_add(&sandbox->paths, SANDBOX_WRITE, path, error);
}
