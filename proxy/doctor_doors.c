#include "proxy/doctor_doors.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NAMES = DOCTOR_MAX_NAMES * 2 + 8, MAX_GATEWAYS = 16, RESOLVE_TIMEOUTS = 3 };

/* An address without a port. */
union host {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct doctor_door *add_door(struct doctor_doors *doors) {
    if (doors->count == DOCTOR_MAX_DOORS) {
        doors->full = true;
        return NULL;
    }
    return &doors->list[doors->count++];
}

static bool same_address(const struct doctor_door *door, const union host *host) {
    const struct sockaddr_storage *address = &door->address;
    if (door->length == 0 || address->ss_family != host->any.sa_family)
        return false;
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *other = (const struct sockaddr_in *)address;
        return other->sin_port == host->v4.sin_port &&
               other->sin_addr.s_addr == host->v4.sin_addr.s_addr;
    }
    const struct sockaddr_in6 *other = (const struct sockaddr_in6 *)address;
    return other->sin6_port == host->v6.sin6_port &&
           other->sin6_scope_id == host->v6.sin6_scope_id &&
           memcmp(&other->sin6_addr, &host->v6.sin6_addr, sizeof other->sin6_addr) == 0;
}

static void add_address(struct doctor_doors *doors, union host host, uint16_t port,
                        const char *label, bool is_proxy) {
    char text[INET6_ADDRSTRLEN] = "";
    bool v4 = host.any.sa_family == AF_INET;
    if (v4)
        host.v4.sin_port = htons(port);
    else
        host.v6.sin6_port = htons(port);
    for (size_t i = 0; i < doors->count; i++)
        if (same_address(&doors->list[i], &host))
            return;
    struct doctor_door *door = add_door(doors);
    if (door == NULL)
        return;
    (void)inet_ntop(host.any.sa_family,
                    v4 ? (const void *)&host.v4.sin_addr : (const void *)&host.v6.sin6_addr, text,
                    sizeof text);
    (void)snprintf(door->name, sizeof door->name, v4 ? "tcp://%s:%u (%s)" : "tcp://[%s]:%u (%s)",
                   text, (unsigned)port, label);
    memcpy(&door->address, &host, sizeof host);
    door->length = v4 ? sizeof host.v4 : sizeof host.v6;
    door->is_proxy = is_proxy;
}

static void add_host(const struct doctor_settings *settings, struct doctor_doors *doors,
                     union host host, const char *label) {
    for (size_t i = 0; i < settings->port_count; i++)
        add_address(doors, host, settings->ports[i], label, false);
}

/* Names. getaddrinfo(3) knows no deadline; so each has a thread, and one that is late is left
 * behind, together with its memory. */

struct resolution {
    const char *name; /* of the settings, or static */
    uint16_t port;    /* 0: all those of the settings */
    bool is_proxy;
    struct addrinfo *list;
    int code;
    pthread_t thread;
    bool started;
};

static void *resolve(void *argument) {
    struct resolution *resolution = argument;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    resolution->code = getaddrinfo(resolution->name, NULL, &hints, &resolution->list);
    return NULL;
}

static void add_unresolved(struct doctor_doors *doors, const struct resolution *resolution,
                           const char *reason) {
    struct doctor_door *door = add_door(doors);
    if (door == NULL)
        return;
    (void)snprintf(door->name, sizeof door->name, "%s", resolution->name);
    (void)snprintf(door->detail, sizeof door->detail, "the name does not resolve: %s", reason);
    door->is_proxy = resolution->is_proxy;
}

static void add_resolved(const struct doctor_settings *settings, struct doctor_doors *doors,
                         const struct resolution *resolution) {
    for (const struct addrinfo *item = resolution->list; item != NULL; item = item->ai_next) {
        union host host = {0};
        if (item->ai_addrlen > sizeof host)
            continue;
        memcpy(&host, item->ai_addr, item->ai_addrlen);
        if (resolution->port != 0)
            add_address(doors, host, resolution->port, resolution->name, resolution->is_proxy);
        else
            add_host(settings, doors, host, resolution->name);
    }
}

static void finish(const struct doctor_settings *settings, struct doctor_doors *doors,
                   struct resolution *resolution, const struct timespec *deadline) {
    if (!resolution->started) {
        add_unresolved(doors, resolution, "out of threads");
    } else if (pthread_timedjoin_np(resolution->thread, NULL, deadline) != 0) {
        (void)pthread_detach(resolution->thread);
        add_unresolved(doors, resolution, "no answer in time");
        return;
    } else if (resolution->code != 0) {
        add_unresolved(doors, resolution, gai_strerror(resolution->code));
    } else {
        add_resolved(settings, doors, resolution);
        freeaddrinfo(resolution->list);
    }
    free(resolution);
}

struct names {
    struct resolution *list[MAX_NAMES];
    size_t count;
};

static void add_name(struct names *names, const char *name, uint16_t port, bool is_proxy) {
    struct resolution *resolution = names->count < MAX_NAMES ? calloc(1, sizeof *resolution) : NULL;
    if (resolution == NULL)
        return;
    *resolution = (struct resolution){.name = name, .port = port, .is_proxy = is_proxy};
    names->list[names->count++] = resolution;
    resolution->started = pthread_create(&resolution->thread, NULL, resolve, resolution) == 0;
}

/* In the order in which they shall be shown. */
static void collect_names(const struct doctor_settings *settings, struct doctor_doors *doors) {
    struct names names = {.count = 0};
    struct timespec deadline = {0};
    if (settings->proxy.kind == ADDRESS_TCP)
        add_name(&names, settings->proxy.host, settings->proxy.port, true);
    for (size_t i = 0; i < settings->engines.count; i++)
        add_name(&names, settings->engines.list[i], 0, false);
    for (size_t i = 0; i < settings->probe_count; i++)
        if (settings->probes[i].kind == ADDRESS_TCP)
            add_name(&names, settings->probes[i].host, settings->probes[i].port, false);
    add_name(&names, "host.docker.internal", 0, false);
    add_name(&names, "172.17.0.1", 0, false); /* docker0, unless somebody moved it */
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    unsigned milliseconds = settings->timeout * RESOLVE_TIMEOUTS;
    deadline.tv_sec += milliseconds / 1000 + 1;
    for (size_t i = 0; i < names.count; i++)
        finish(settings, doors, names.list[i], &deadline);
}

/* Gateways and neighbours */

static size_t read_text(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "re");
    size_t got = file != NULL ? fread(text, 1, size - 1, file) : 0;
    text[got] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return got;
}

static void collect_gateways(const struct doctor_settings *settings, struct doctor_doors *doors) {
    static char text[64 << 10];
    unsigned v4[MAX_GATEWAYS];
    struct doctor_gateway_v6 v6[MAX_GATEWAYS];
    (void)read_text("/proc/net/route", text, sizeof text);
    size_t count = doctor_gateways_v4(text, v4, MAX_GATEWAYS);
    for (size_t i = 0; i < count; i++) {
        union host host = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = v4[i]}};
        add_host(settings, doors, host, "gateway");
    }
    (void)read_text("/proc/net/ipv6_route", text, sizeof text);
    count = doctor_gateways_v6(text, v6, MAX_GATEWAYS);
    for (size_t i = 0; i < count; i++) {
        union host host = {.v6 = {.sin6_family = AF_INET6}};
        memcpy(&host.v6.sin6_addr, v6[i].address, sizeof host.v6.sin6_addr);
        if (IN6_IS_ADDR_LINKLOCAL(&host.v6.sin6_addr))
            host.v6.sin6_scope_id = if_nametoindex(v6[i].interface);
        add_host(settings, doors, host, "gateway");
    }
}

/* The first address of a network of ours is the bridge's own with Docker, also on networks without
 * a route out. */
static void add_first(const struct doctor_settings *settings, struct doctor_doors *doors,
                      const struct ifaddrs *interface) {
    const struct sockaddr_in *own = (const struct sockaddr_in *)interface->ifa_addr;
    const struct sockaddr_in *netmask = (const struct sockaddr_in *)interface->ifa_netmask;
    if (netmask == NULL)
        return;
    uint32_t mask = ntohl(netmask->sin_addr.s_addr);
    if (mask > 0xfffffffc || mask < 0xff000000)
        return;
    uint32_t first = (ntohl(own->sin_addr.s_addr) & mask) + 1;
    union host host = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(first)}};
    add_host(settings, doors, host, "first address of a network");
}

static void add_first_v6(const struct doctor_settings *settings, struct doctor_doors *doors,
                         const struct ifaddrs *interface) {
    union host host = {0};
    const struct sockaddr_in6 *netmask = (const struct sockaddr_in6 *)interface->ifa_netmask;
    memcpy(&host.v6, interface->ifa_addr, sizeof host.v6);
    struct in6_addr *address = &host.v6.sin6_addr;
    /* Of link-local networks the first address means nothing. */
    if (netmask == NULL || IN6_IS_ADDR_LINKLOCAL(address) ||
        netmask->sin6_addr.s6_addr[sizeof address->s6_addr - 1] > 0xfc)
        return;
    for (size_t i = 0; i < sizeof address->s6_addr; i++)
        address->s6_addr[i] &= netmask->sin6_addr.s6_addr[i];
    address->s6_addr[sizeof address->s6_addr - 1] |= 1;
    add_host(settings, doors, host, "first address of a network");
}

static void collect_interfaces(const struct doctor_settings *settings, struct doctor_doors *doors) {
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0)
        return;
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        union host host = {0};
        if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0)
            continue;
        if (i->ifa_addr->sa_family == AF_INET)
            memcpy(&host.v4, i->ifa_addr, sizeof host.v4);
        else if (i->ifa_addr->sa_family == AF_INET6)
            memcpy(&host.v6, i->ifa_addr, sizeof host.v6);
        else
            continue;
        if ((i->ifa_flags & IFF_LOOPBACK) == 0 && i->ifa_addr->sa_family == AF_INET)
            add_first(settings, doors, i);
        else if ((i->ifa_flags & IFF_LOOPBACK) == 0)
            add_first_v6(settings, doors, i);
        add_host(settings, doors, host, "own address");
    }
    freeifaddrs(interfaces);
}

/* Sockets */

void doctor_doors_add_socket(struct doctor_doors *doors, const char *given, bool is_proxy) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char real[PATH_MAX];
    /* /var/run is /run on most systems: one socket is one door. */
    const char *path = realpath(given, real) != NULL ? real : given;
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        doors->full = true; /* it could be reached by a shorter way, which is not tried */
        return;
    }
    memcpy(address.sun_path, path, length + 1);
    for (size_t i = 0; i < doors->count; i++)
        if (doors->list[i].address.ss_family == AF_UNIX &&
            strcmp(((const struct sockaddr_un *)&doors->list[i].address)->sun_path, path) == 0)
            return;
    struct doctor_door *door = add_door(doors);
    if (door == NULL)
        return;
    (void)snprintf(door->name, sizeof door->name, "unix://%s", address.sun_path);
    memcpy(&door->address, &address, sizeof address);
    door->length = sizeof address;
    door->is_proxy = is_proxy;
}

static void collect_sockets(const struct doctor_settings *settings, struct doctor_doors *doors) {
    static const char *const usual[] = {
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/docker/containerd/containerd.sock",
        "/run/buildkit/buildkitd.sock",
        "/run/podman/podman.sock",
    };
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    if (settings->proxy.kind == ADDRESS_UNIX)
        doctor_doors_add_socket(doors, settings->proxy.path, true);
    for (size_t i = 0; i < settings->probe_count; i++)
        if (settings->probes[i].kind == ADDRESS_UNIX)
            doctor_doors_add_socket(doors, settings->probes[i].path, false);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        doctor_doors_add_socket(doors, usual[i], false);
    (void)snprintf(path, sizeof path, "/run/user/%u/docker.sock", (unsigned)getuid());
    doctor_doors_add_socket(doors, path, false);
}

void doctor_doors_collect(const struct doctor_settings *settings, struct doctor_doors *doors) {
    collect_names(settings, doors);
    collect_gateways(settings, doors);
    collect_interfaces(settings, doors);
    collect_sockets(settings, doors);
}
