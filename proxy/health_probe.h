/* One connection of --healthcheck: dials a listener of ours, within a deadline. */
#ifndef DIND_PROXY_PROXY_HEALTH_PROBE_H
#define DIND_PROXY_PROXY_HEALTH_PROBE_H

#include <stdint.h>

#include "proxy/config.h"
#include "proxy/error.h"
#include "tls/tls.h"

struct health_probe {
    int fd;                      /* -1: none */
    int64_t deadline;            /* CLOCK_MONOTONIC, in milliseconds */
    struct tls_session *session; /* NULL: plain */
};

/* Connects. A host that stands for all addresses is dialled on loopback. 0 or -1. */
int health_probe_dial(struct health_probe *probe, const struct config_listener *listener,
                      unsigned timeout, struct error *error);

/* Starts a session of `context` on the connection and drives the handshake to its end. 0 or -1. */
int health_probe_handshake(struct health_probe *probe, struct tls_context *context,
                           struct error *error);

/* Sends a ClientHello and waits for the first byte of the answer: 0 if that is the type of a
 * handshake record, for then a TLS server is at work; else -1. */
int health_probe_hello(struct health_probe *probe, struct tls_context *context,
                       struct error *error);

/* Sends GET /_ping and reads the status line; its code in `*status`. 0 or -1. */
int health_probe_ping(struct health_probe *probe, int *status, struct error *error);

void health_probe_close(struct health_probe *probe);

#endif
