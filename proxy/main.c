#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/command.h"
#include "proxy/server.h"
#include "tls/tls.h"

/* Were one of the first three closed, a client's socket could get its number, and the log or an
 * error message would be written to that client. */
static int open_standard_streams(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd)
            return -1;
    return 0;
}

/* The options come from where they came from at the start, and name files whose content may be
 * another by now. */
static struct ruleset *load(const void *context, struct error *error) {
    const struct options *first = context;
    struct options again;
    struct ruleset *set = NULL;
    if (options_parse(first->argc, first->argv, first->environment, &again, error) == 0 &&
        command_validate_rules(&again, error) == 0)
        set = ruleset_new(&again.config, error);
    options_free(&again);
    return set;
}

static int run(const struct options *options) {
    const struct server_source source = {load, options};
    struct error error = {""};
    if (command_validate(options, &error) != 0)
        return command_fail(EXIT_STATUS_USAGE, &error);
    if (server_run(&options->config, &source, &error) != 0)
        return command_fail(EXIT_STATUS_FAILED, &error);
    return EXIT_STATUS_OK;
}

static int with_tls(const struct options *options, int (*command)(const struct options *options)) {
    struct error error = {""};
    if (tls_global_init() != 0) {
        (void)error_set(&error, "cannot initialise the TLS library");
        return command_fail(EXIT_STATUS_FAILED, &error);
    }
    int status = command(options);
    tls_global_cleanup();
    return status;
}

static int dispatch(const struct options *options) {
    switch (options->command) {
    case COMMAND_RUN:
        return with_tls(options, run);
    case COMMAND_CHECK_CONFIG:
        return with_tls(options, command_check_config);
    case COMMAND_HEALTHCHECK:
        return with_tls(options, command_healthcheck);
    case COMMAND_IMPORT_ENV:
        return command_import_env(options);
    case COMMAND_STATUS:
        return command_status(options);
    case COMMAND_EXPLAIN:
        return command_explain(options);
    case COMMAND_ENDPOINTS:
        return command_endpoints();
    case COMMAND_CERTS:
        return with_tls(options, command_certs);
    case COMMAND_DOCTOR:
        return with_tls(options, command_doctor);
    case COMMAND_VERSION:
        return command_version();
    case COMMAND_HELP:
        options_help(options, stdout);
        return EXIT_STATUS_OK;
    }
    return EXIT_STATUS_USAGE;
}

int main(int argc, char *argv[]) {
    struct options options;
    struct error error = {""};

    if (open_standard_streams() != 0)
        return EXIT_STATUS_FAILED;
    /* A peer that has gone, and a file that may not grow, are errors from write(2), not the end of
     * the process. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        return EXIT_STATUS_FAILED;

    int status = options_parse(argc, argv, environ, &options, &error) == 0
                     ? dispatch(&options)
                     : command_fail(EXIT_STATUS_USAGE, &error);
    options_free(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)error_set(&error, "cannot write to standard output: %s", strerror(errno));
        return command_fail(EXIT_STATUS_FAILED, &error);
    }
    return status;
}
