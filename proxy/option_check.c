#include "proxy/option_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PORT_PLAIN = 2375, PORT_TLS = 2376 };

#define FIELD(member) offsetof(struct config, member)

const char *options_name(const struct options *options, size_t field) {
    const struct option *option = option_for(field);
    if (option == NULL)
        return "";
    const char *source = options->sources[option - option_table];
    return source != NULL ? source : option->flag;
}

static bool was_given(const struct options *options, size_t field) {
    const struct option *option = option_for(field);
    return option != NULL && options->sources[option - option_table] != NULL;
}

/* The folder that the docker CLI takes certificates from; empty if none can be found. */
static void docker_certificates(char *const environment[], char *folder, size_t size) {
    static const char *const variables[] = {"DOCKER_CERT_PATH", "DOCKER_CONFIG"};
    folder[0] = '\0';
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = option_environment(environment, variables[i]);
        if (value != NULL) {
            (void)snprintf(folder, size, "%s", value);
            return;
        }
    }
    const char *home = option_environment(environment, "HOME");
    if (home != NULL)
        (void)snprintf(folder, size, "%s/.docker", home);
}

/* The docker CLI takes all three from one folder; we do not mix them with files given by name. As
 * with the CLI, a client certificate or key that is not there is not used. */
static int docker_tls(struct options *options, char *const environment[], struct error *error) {
    static const struct {
        const char *name;
        size_t field;
        const char *source;
        bool optional;
    } files[] = {
        {"ca.pem", FIELD(upstream_files.authority), "DOCKER_CERT_PATH/ca.pem", false},
        {"cert.pem", FIELD(upstream_files.certificate), "DOCKER_CERT_PATH/cert.pem", true},
        {"key.pem", FIELD(upstream_files.key), "DOCKER_CERT_PATH/key.pem", true},
    };
    char folder[4000], path[4096];

    if (option_environment(environment, "DOCKER_TLS_VERIFY") == NULL &&
        option_environment(environment, "DOCKER_CERT_PATH") == NULL)
        return 0;
    docker_certificates(environment, folder, sizeof folder);
    if (folder[0] == '\0')
        return error_set(error, "DOCKER_TLS_VERIFY is set, but neither DOCKER_CERT_PATH nor HOME "
                                "says where the certificates are");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        if (files[i].optional && access(path, F_OK) != 0 && errno == ENOENT)
            continue;
        if (option_apply(option_for(files[i].field), path, files[i].source, options, error) != 0)
            return -1;
    }
    return 0;
}

/* Names the first option that is given, for a message; NULL if none is. */
static const char *any_given(const struct options *options, const size_t fields[], size_t count) {
    for (size_t i = 0; i < count; i++)
        if (was_given(options, fields[i]))
            return options_name(options, fields[i]);
    return NULL;
}

static const size_t server_fields[] = {FIELD(server_tls.certificate), FIELD(server_tls.key),
                                       FIELD(server_tls.authority)};
static const size_t upstream_fields[] = {
    FIELD(upstream_files.authority), FIELD(upstream_files.certificate), FIELD(upstream_files.key)};

enum { FILES = 3 };

static int check_upstream(struct options *options, char *const environment[], struct error *error) {
    struct config *config = &options->config;
    const char *host = option_environment(environment, "DOCKER_HOST");
    if (host != NULL && !was_given(options, FIELD(upstream)) &&
        option_apply(option_for(FIELD(upstream)), host, "DOCKER_HOST", options, error) != 0)
        return -1;

    bool tcp = config->upstream.kind == ADDRESS_TCP;
    if (tcp && any_given(options, upstream_fields, FILES) == NULL &&
        docker_tls(options, environment, error) != 0)
        return -1;

    const struct tls_files *files = &config->upstream_files;
    const char *given = any_given(options, upstream_fields, FILES);
    if (given != NULL && !tcp)
        return error_set(error, "%s: the engine is at a unix socket, where there is no TLS", given);
    if (given != NULL && files->authority == NULL)
        return error_set(error,
                         "%s needs --upstream-tls-ca too: without it anybody could pose as "
                         "the engine",
                         given);
    if (files->certificate != NULL && files->key == NULL)
        return error_set(error, "%s needs --upstream-tls-key too",
                         options_name(options, FIELD(upstream_files.certificate)));
    if (files->key != NULL && files->certificate == NULL)
        return error_set(error, "%s needs --upstream-tls-cert too",
                         options_name(options, FIELD(upstream_files.key)));
    if (given == NULL && config->upstream_name != NULL)
        return error_set(error, "%s needs --upstream-tls-ca too",
                         options_name(options, FIELD(upstream_name)));
    config->upstream_tls = given != NULL;
    if (tcp && config->upstream.port == 0)
        config->upstream.port = config->upstream_tls ? PORT_TLS : PORT_PLAIN;
    return 0;
}

static int missing_server_file(const struct options *options, const char *url,
                               struct error *error) {
    static const char *const purposes[] = {"the proxy's certificate", "its key",
                                           "the CA of the clients"};
    for (size_t i = 0; i < FILES; i++)
        if (!was_given(options, server_fields[i]))
            return error_set(error, "%s %s has TLS: it needs %s (%s) too",
                             options_name(options, FIELD(listeners)), url, purposes[i],
                             option_for(server_fields[i])->flag);
    return 0;
}

static int check_listeners(struct options *options, struct error *error) {
    struct config *config = &options->config;
    const char *name = options_name(options, FIELD(listeners));
    bool files = any_given(options, server_fields, FILES) != NULL;
    char url[512];

    for (size_t i = 0; i < config->listener_count; i++) {
        struct config_listener *listener = &config->listeners[i];
        enum listener_tls said = options->listener_tls[i];
        bool tcp = listener->address.kind == ADDRESS_TCP;
        /* A passed socket may be either; with TLS where it can be is the safer guess. */
        bool wants = listener->address.kind != ADDRESS_UNIX;
        listener->tls = said == LISTENER_TLS_UNSAID ? wants && files : said == LISTENER_TLS_ON;
        if (tcp && listener->address.port == 0)
            listener->address.port = listener->tls ? PORT_TLS : PORT_PLAIN;

        (void)address_format(&listener->address, url, sizeof url);
        if (listener->tls && missing_server_file(options, url, error) != 0)
            return -1;
        /* Names are judged once they are resolved, in listener_check. */
    }
    if (config->listener_count == 0)
        return error_set(error, "%s names no address", name);
    return 0;
}

/* A proxy that forwards to itself would answer nothing until it has no sockets left. */
static int check_loop(const struct options *options, struct error *error) {
    const struct config *config = &options->config;
    char mine[512], engine[512];
    (void)address_format(&config->upstream, engine, sizeof engine);
    for (size_t i = 0; i < config->listener_count; i++)
        if (strcmp(address_format(&config->listeners[i].address, mine, sizeof mine), engine) == 0)
            return error_set(error, "%s and %s are the same: %s",
                             options_name(options, FIELD(listeners)),
                             options_name(options, FIELD(upstream)), mine);
    return 0;
}

/* Names are not resolved: what is no loopback address by its looks is refused. */
static int check_metrics(const struct options *options, struct error *error) {
    const struct config *config = &options->config;
    char url[512];
    if (!config->metrics_on || config->metrics.address.kind == ADDRESS_UNIX ||
        config->metrics_beyond_loopback || address_is_loopback(&config->metrics.address))
        return 0;
    return error_set(error,
                     "%s %s is not a loopback address, so whoever reaches it could read the "
                     "metrics; give --metrics-beyond-loopback if that is meant",
                     options_name(options, FIELD(metrics)),
                     address_format(&config->metrics.address, url, sizeof url));
}

static int check_health(const struct options *options, struct error *error) {
    const struct config *config = &options->config;
    if (config->health_certificate != NULL && config->health_key == NULL)
        return error_set(error, "%s needs --health-key too",
                         options_name(options, FIELD(health_certificate)));
    if (config->health_key != NULL && config->health_certificate == NULL)
        return error_set(error, "%s needs --health-cert too",
                         options_name(options, FIELD(health_key)));
    return 0;
}

/* What a policy file says, options must not say differently. */
static int check_policy(const struct options *options, struct error *error) {
    static const size_t fields[] = {FIELD(filter.preset),        FIELD(filter.buildkit),
                                    FIELD(filter.session_deny),  FIELD(filter.allow_binds),
                                    FIELD(filter.allow_unknown), FIELD(filter.api_floor_minor)};
    const char *given = any_given(options, fields, sizeof fields / sizeof *fields);
    if (options->config.explain_as != NULL && options->command != COMMAND_EXPLAIN)
        return error_set(error, "%s is for the command explain",
                         options_name(options, FIELD(explain_as)));
    if (options->config.policy_file == NULL || given == NULL)
        return 0;
    return error_set(error, "%s and %s cannot be joined: the file says what the policy is",
                     options_name(options, FIELD(policy_file)), given);
}

static int check_mode(const struct options *options, struct error *error) {
    const struct config *config = &options->config;
    if (config->mode == CONFIG_LEARN && config->learn_file == NULL)
        return error_set(error, "%s learn needs --learn-file: where to write what is learned",
                         options_name(options, FIELD(mode)));
    if (config->mode != CONFIG_LEARN && config->learn_file != NULL)
        return error_set(error, "%s is of use with --mode learn only",
                         options_name(options, FIELD(learn_file)));
    return 0;
}

int option_check(struct options *options, char *const environment[], struct error *error) {
    /* Explaining takes the policy alone; asking for health, the listeners; for the status, the
     * metrics. What else the
     * environment of that shell may say is no matter. */
    if (check_policy(options, error) != 0)
        return -1;
    if (options->command == COMMAND_EXPLAIN || options->command == COMMAND_ENDPOINTS)
        return 0;
    if (check_metrics(options, error) != 0)
        return -1;
    if (options->command == COMMAND_STATUS)
        return options->config.metrics_on
                   ? 0
                   : error_set(error, "status needs --metrics: where the proxy serves them");
    if (check_listeners(options, error) != 0 || check_health(options, error) != 0)
        return -1;
    if (options->command == COMMAND_HEALTHCHECK)
        return 0;
    if (check_upstream(options, environment, error) != 0 || check_mode(options, error) != 0)
        return -1;
    return check_loop(options, error);
}
