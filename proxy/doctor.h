/* `dind-proxy doctor`: tries every way past the proxy that it can think of. proxy/doctor.md says
 * what it cannot see. */
#ifndef DIND_PROXY_PROXY_DOCTOR_H
#define DIND_PROXY_PROXY_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/address.h"

enum { DOCTOR_MAX_NAMES = 16, DOCTOR_MAX_PORTS = 16 };

struct doctor_strings {
    char *list[DOCTOR_MAX_NAMES]; /* owned */
    size_t count;
};

struct doctor_settings {
    bool has_proxy;
    bool strict; /* what is reachable counts as open, whatever it asks for */
    struct address proxy;
    struct doctor_strings engines;
    struct doctor_strings certificates; /* folders with cert.pem and key.pem */
    struct address probes[DOCTOR_MAX_NAMES];
    size_t probe_count;
    uint16_t ports[DOCTOR_MAX_PORTS];
    size_t port_count;
    unsigned timeout; /* milliseconds, of each attempt */
};

void doctor_settings_free(struct doctor_settings *settings);

#endif
