/* The doors that `dind-proxy doctor` tries. */
#ifndef DIND_PROXY_PROXY_DOCTOR_DOORS_H
#define DIND_PROXY_PROXY_DOCTOR_DOORS_H

#include "proxy/doctor.h"
#include "proxy/doctor_door.h"

enum { DOCTOR_MAX_DOORS = 256 };

/* Zero-initialised is ready for use. Big. */
struct doctor_doors {
    struct doctor_door list[DOCTOR_MAX_DOORS];
    size_t count;
    bool full; /* there were more */
};

/* Adds the proxy's door, those at the engine's names, gateways and neighbours, and the sockets that
 * are usual. Names are resolved at the same time, within a few of the settings' timeouts. */
void doctor_doors_collect(const struct doctor_settings *settings, struct doctor_doors *doors);

/* Adds a unix socket, unless it is there already. */
void doctor_doors_add_socket(struct doctor_doors *doors, const char *given, bool is_proxy);

/* Default gateways and the like, from the text of /proc/net/route (proc_net(5)): IPv4 addresses in
 * network order. Returns how many there were, at most `size`. */
size_t doctor_gateways_v4(const char *text, unsigned *addresses, size_t size);

/* The same from /proc/net/ipv6_route. */
struct doctor_gateway_v6 {
    unsigned char address[16];
    char interface[16];
};
size_t doctor_gateways_v6(const char *text, struct doctor_gateway_v6 *gateways, size_t size);

#endif
