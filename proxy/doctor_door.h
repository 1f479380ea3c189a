/* A place where an engine may answer, and what is found there. */
#ifndef DIND_PROXY_PROXY_DOCTOR_DOOR_H
#define DIND_PROXY_PROXY_DOCTOR_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proxy/doctor_talk.h"

/* The more telling, the higher: of several attempts the highest counts. */
enum doctor_state {
    DOCTOR_CLOSED,
    DOCTOR_OTHER,
    DOCTOR_REFUSES,
    DOCTOR_PROXY,
    DOCTOR_OPEN,
};

struct doctor_door {
    char name[320]; /* such as "tcp://172.18.0.1:2376 (gateway)" */
    struct sockaddr_storage address;
    socklen_t length; /* 0: there is no address to try; `detail` says why */
    bool is_proxy;    /* where DOCKER_HOST leads */

    enum doctor_state state;
    char detail[256];
    bool engine_answers; /* DOCTOR_PROXY: through it, the engine answers too */
};

/* Tries the door: in plain, with TLS, and with TLS and each identity. Any thread; takes up to
 * `timeout` (milliseconds) for each connection. */
void doctor_try(struct doctor_door *door, const struct doctor_identity *identities, size_t count,
                unsigned timeout);

#endif
