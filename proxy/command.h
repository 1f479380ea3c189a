/* What the program can be asked to do besides running. Each prints for people, and returns the
 * exit status. */
#ifndef DIND_PROXY_PROXY_COMMAND_H
#define DIND_PROXY_PROXY_COMMAND_H

#include "proxy/error.h"
#include "proxy/options.h"

/* The exit statuses that --help documents. */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILED = 1, /* a failure while running, "denied", "not healthy" */
    EXIT_STATUS_USAGE = 2,  /* command line, environment or key material; "bad request" */
};

/* Judges one request by the configured policy, without any network. */
int command_explain(const struct options *options);

/* Validates all that can be without opening a socket, and prints the values in effect. */
int command_check_config(const struct options *options);

/* Asks a running proxy for /_ping through the first listener that can be used. */
int command_healthcheck(const struct options *options);

/* Makes and renews certificates, or reports on them. */
int command_certs(const struct options *options);

/* Looks for ways round the proxy, from where it is run. */
int command_doctor(const struct options *options);

/* Prints the policy that another socket proxy's switches stand for. */
int command_import_env(const struct options *options);

/* Asks a running proxy for its metrics, at --metrics, and prints them for people. */
int command_status(const struct options *options);

/* Prints what every preset makes of every call (filter/endpoints.md). */
int command_endpoints(void);

int command_version(void);

/* Checks what a reload can change: the policy, files, keys and certificates. It does not wait for
 * the network. tls_global_init must have been called. 0, or -1 with `error` naming the option. */
int command_validate_rules(const struct options *options, struct error *error);

/* Checks what parsing alone cannot: files, keys and certificates, the policy, and that listeners
 * resolve. tls_global_init must have been called. 0, or -1 with `error` naming the option. */
int command_validate(const struct options *options, struct error *error);

/* "dind-proxy: <text>" on standard error; returns `status`. */
int command_fail(enum exit_status status, const struct error *error);

#endif
