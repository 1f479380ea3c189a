/* One connection of `dind-proxy doctor`, plain or TLS, within a deadline. */
#ifndef DIND_PROXY_PROXY_DOCTOR_TALK_H
#define DIND_PROXY_PROXY_DOCTOR_TALK_H

#include <stddef.h>
#include <sys/socket.h>

#include "tls/probe.h"

/* A certificate and its key, to be shown when asked for. */
struct doctor_identity {
    const char *folder;
    struct tls_pem certificate; /* `data` NULL: none is shown */
    struct tls_pem key;
};

enum doctor_talk_result {
    DOCTOR_TALK_OK,
    DOCTOR_TALK_CLOSED,  /* no connection came about; `reason` says why */
    DOCTOR_TALK_REFUSED, /* TLS was spoken, and ended with an alert, which `reason` names */
    DOCTOR_TALK_NO_TLS,  /* connected, but no TLS came back */
    DOCTOR_TALK_SILENT,  /* connected, but nothing came back in time */
};

/* Connects, sends `request`, and reads until the other side ends, `size` bytes are there or
 * `timeout` (milliseconds, for all of it) is over: what came until then counts. `identity` NULL:
 * plain; else TLS. `*got` is how much there is; `reason` is static or of strerror(3). */
enum doctor_talk_result doctor_talk(const struct sockaddr *address, socklen_t length,
                                    const struct doctor_identity *identity, unsigned timeout,
                                    const void *request, size_t request_len, char *answer,
                                    size_t size, size_t *got, const char **reason);

#endif
