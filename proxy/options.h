/* The command line and the environment, read into a configuration. */
#ifndef DIND_PROXY_PROXY_OPTIONS_H
#define DIND_PROXY_PROXY_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

#include "proxy/config.h"
#include "proxy/error.h"

enum command {
    COMMAND_RUN,
    COMMAND_EXPLAIN,
    COMMAND_CERTS,
    COMMAND_DOCTOR,
    COMMAND_IMPORT_ENV,
    COMMAND_STATUS,
    COMMAND_ENDPOINTS,
    COMMAND_CHECK_CONFIG,
    COMMAND_HEALTHCHECK,
    COMMAND_VERSION,
    COMMAND_HELP,
};

enum { OPTIONS_LIMIT = 48, OPTIONS_MAX_ARGUMENTS = 3 };

/* What a listener's "tls" parameter said. */
enum listener_tls { LISTENER_TLS_UNSAID, LISTENER_TLS_ON, LISTENER_TLS_OFF };

struct option_set;

/* Must stay where it was filled: the configuration points into itself. */
struct options {
    enum command command;
    int argc; /* what it was read from, borrowed, with the next two: for a reload */
    char *const *argv;
    char *const *environment;
    const char *program;                          /* "dind-proxy" or "jailoc system dind-proxy" */
    const char *arguments[OPTIONS_MAX_ARGUMENTS]; /* of the command; borrowed from argv */
    size_t argument_count;
    const struct option_set *set; /* the options that the command takes; static */
    struct config config;

    /* Who set each option of the table, such as "--tls-key", "DIND_PROXY_TLS_KEY" or
     * "DOCKER_CERT_PATH/key.pem"; NULL where the default stands. Static strings. */
    const char *sources[OPTIONS_LIMIT];
    enum listener_tls listener_tls[CONFIG_MAX_LISTENERS];
};

/* Reads the command line, then DIND_PROXY_*, then for the upstream hop DOCKER_HOST,
 * DOCKER_CERT_PATH and DOCKER_TLS_VERIFY, then the defaults: the first to name an option wins, an
 * empty variable names nothing. `environment` is as environ. Opens no file but the user database.
 * 0, or -1 with `error` filled; free with options_free in either case. */
int options_parse(int argc, char *const argv[], char *const environment[], struct options *options,
                  struct error *error);
void options_free(struct options *options);

/* How to name an option in a message: as its source does, or "--name" where the default stands.
 * `field` is the offset in struct config. */
const char *options_name(const struct options *options, size_t field);

/* The text of --help: the program's, or that of the command whose options are a set of their own.
 */
void options_help(const struct options *options, FILE *stream);

/* Every option with its value in effect and who set it, one a line, for --check-config. */
void options_print(const struct options *options, FILE *stream);

#endif
