#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proxy/cleanup.h"
#include "proxy/command.h"
#include "proxy/listener.h"
#include "proxy/policy_file.h"
#include "tls/tls.h"

#define FIELD(member) offsetof(struct config, member)

enum { FILES = 3 };

/* One hop's files, with the options that they came from. */
struct hop {
    struct tls_files files;
    size_t certificate, key, authority; /* fields of struct config */
};

static int check_file(const struct options *options, size_t field, const char *path, bool secret,
                      struct error *error) {
    struct stat status;
    if (path == NULL)
        return 0;
    const char *name = options_name(options, field);
    /* Non-blocking, lest a FIFO keep us waiting. */
    __attribute__((cleanup(cleanup_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_set(error, "%s %s: %s", name, path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, "%s %s: not a regular file", name, path);
    if (secret && (status.st_mode & 0007) != 0)
        return error_set(error, "%s %s: open to everybody (mode %04o); chmod 0600 it", name, path,
                         (unsigned)(status.st_mode & 0777));
    return 0;
}

/* Puts the option's name before a sentence of the TLS library's. */
static int tls_failure(const struct options *options, const struct hop *hop,
                       const struct tls_error *reason, struct error *error) {
    const char *const paths[FILES] = {hop->files.key, hop->files.certificate, hop->files.authority};
    const size_t fields[FILES] = {hop->key, hop->certificate, hop->authority};
    for (size_t i = 0; i < FILES; i++)
        if (paths[i] != NULL && strstr(reason->text, paths[i]) != NULL)
            return error_set(error, "%s: %s", options_name(options, fields[i]), reason->text);
    return error_set(error, "%s: %s", options_name(options, hop->certificate), reason->text);
}

static int check_hop(const struct options *options, const struct hop *hop, bool server,
                     const char *name, struct error *error) {
    struct tls_error reason = {""};
    if (check_file(options, hop->certificate, hop->files.certificate, false, error) != 0 ||
        check_file(options, hop->key, hop->files.key, true, error) != 0 ||
        check_file(options, hop->authority, hop->files.authority, false, error) != 0)
        return -1;
    struct tls_context *context = server ? tls_server_context(&hop->files, &reason)
                                         : tls_client_context(&hop->files, name, &reason);
    if (context == NULL)
        return tls_failure(options, hop, &reason, error);
    tls_context_free(context);
    return 0;
}

static int check_tls(const struct options *options, struct error *error) {
    const struct config *config = &options->config;
    const struct hop clients = {config->server_tls, FIELD(server_tls.certificate),
                                FIELD(server_tls.key), FIELD(server_tls.authority)};
    const struct hop engine = {config->upstream_files, FIELD(upstream_files.certificate),
                               FIELD(upstream_files.key), FIELD(upstream_files.authority)};
    bool own = config->health_authority != NULL;
    const struct hop health = {{config->health_certificate, config->health_key,
                                own ? config->health_authority : config->server_tls.authority},
                               FIELD(health_certificate),
                               FIELD(health_key),
                               own ? FIELD(health_authority) : FIELD(server_tls.authority)};
    bool listening = false;
    for (size_t i = 0; i < config->listener_count; i++)
        listening = listening || config->listeners[i].tls;

    if (listening && check_hop(options, &clients, true, NULL, error) != 0)
        return -1;
    if (listening && config->health_certificate != NULL &&
        check_hop(options, &health, false, NULL, error) != 0)
        return -1;
    const char *name =
        config->upstream_name != NULL ? config->upstream_name : config->upstream.host;
    return config->upstream_tls ? check_hop(options, &engine, false, name, error) : 0;
}

int command_validate_rules(const struct options *options, struct error *error) {
    const char *file = options->config.policy_file;
    if (check_file(options, FIELD(policy_file), file, false, error) != 0)
        return -1;
    struct filter_rules *rules = policy_file_load(&options->config, error);
    if (rules == NULL)
        return -1;
    filter_rules_free(rules);
    return check_tls(options, error);
}

int command_validate(const struct options *options, struct error *error) {
    if (command_validate_rules(options, error) != 0)
        return -1;
    struct error detail = {""};
    if (listener_check(&options->config, &detail) != 0)
        return error_set(error, "%s: %s", options_name(options, FIELD(listeners)), detail.text);
    return 0;
}

/* The policy in effect, behind the options; as a file of its own it would be read as the same. */
static int print_policy(const struct options *options) {
    struct error error = {""};
    struct filter_rules *rules = policy_file_load(&options->config, &error);
    char *text = rules != NULL ? filter_rules_print(rules) : NULL;
    bool printed = text != NULL && printf("%s", text) >= 0;
    if (rules != NULL && text == NULL)
        (void)error_set(&error, "out of memory");
    filter_rules_free(rules);
    free(text);
    return printed ? EXIT_STATUS_OK : command_fail(EXIT_STATUS_USAGE, &error);
}

int command_check_config(const struct options *options) {
    struct error error = {""};
    if (command_validate(options, &error) != 0)
        return command_fail(EXIT_STATUS_USAGE, &error);
    options_print(options, stdout);
    return options->config.policy_file != NULL ? print_policy(options) : EXIT_STATUS_OK;
}
