#include <stdio.h>
#include <string.h>

#include "proxy/command.h"
#include "proxy/health_probe.h"

/* The easiest to talk to first: without TLS, and of those a unix socket. */
static const struct config_listener *choose(const struct config *config) {
    static const struct {
        enum address_kind kind;
        bool tls;
    } order[] = {
        {ADDRESS_UNIX, false}, {ADDRESS_TCP, false}, {ADDRESS_UNIX, true}, {ADDRESS_TCP, true}};
    for (size_t n = 0; n < sizeof order / sizeof *order; n++)
        for (size_t i = 0; i < config->listener_count; i++)
            if (config->listeners[i].address.kind == order[n].kind &&
                config->listeners[i].tls == order[n].tls)
                return &config->listeners[i];
    return NULL;
}

static void free_context(struct tls_context **context) {
    if (*context != NULL)
        tls_context_free(*context);
}

static int ping(struct health_probe *probe, const char *url, struct error *error) {
    int status = 0;
    if (health_probe_ping(probe, &status, error) != 0)
        return -1;
    if (status != 200)
        return error_set(error, "GET /_ping was answered with %d", status);
    printf("healthy: %s answers GET /_ping\n", url);
    return 0;
}

static int check(const struct config *config, const struct config_listener *listener,
                 struct health_probe *probe, const char *url, struct error *error) {
    if (!listener->tls)
        return health_probe_dial(probe, listener, config->health_timeout, error) == 0
                   ? ping(probe, url, error)
                   : -1;

    struct tls_error reason = {""};
    const struct tls_files files = {
        config->health_certificate, config->health_key,
        config->health_authority != NULL ? config->health_authority : config->server_tls.authority};
    /* No name: the certificate is made out for the name that clients use, and we dial loopback. */
    __attribute__((cleanup(free_context))) struct tls_context *context =
        tls_client_context(&files, NULL, &reason);
    if (context == NULL)
        return error_set(error, "%s", reason.text);
    if (health_probe_dial(probe, listener, config->health_timeout, error) != 0)
        return -1;
    int result;
    if (config->health_certificate != NULL) {
        result = health_probe_handshake(probe, context, error);
        if (result == 0)
            result = ping(probe, url, error);
    } else {
        result = health_probe_hello(probe, context, error);
        if (result == 0)
            printf("healthy: %s begins a TLS handshake; with --health-cert and --health-key the "
                   "engine would be asked too\n",
                   url);
    }
    /* The session must go before the context that it came from. */
    health_probe_close(probe);
    return result;
}

int command_healthcheck(const struct options *options) {
    const struct config *config = &options->config;
    const struct config_listener *listener = choose(config);
    struct health_probe probe = {.fd = -1};
    struct error reason = {""}, error = {""};
    char url[512];

    if (listener == NULL) {
        (void)error_set(&error, "only the service manager knows where fd:// listens; give --listen "
                                "the address that it has");
        return command_fail(EXIT_STATUS_USAGE, &error);
    }
    (void)address_format(&listener->address, url, sizeof url);
    int result = check(config, listener, &probe, url, &reason);
    health_probe_close(&probe);
    if (result == 0)
        return EXIT_STATUS_OK;
    (void)error_set(&error, "not healthy: %s: %s", url, reason.text);
    return command_fail(EXIT_STATUS_FAILED, &error);
}
