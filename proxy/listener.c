#include "proxy/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/activation.h"
#include "proxy/listener_unix.h"

static void free_addresses(struct addrinfo **addresses) {
    if (*addresses != NULL)
        freeaddrinfo(*addresses);
}

static int resolve(const struct address *address, struct addrinfo **addresses,
                   struct error *error) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    int result = getaddrinfo(address->host, port, &hints, addresses);
    if (result == 0)
        return 0;
    *addresses = NULL;
    return error_set(error, "cannot listen on %s: %s", address->host,
                     result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));
}

static bool is_loopback(const struct sockaddr *socket_address) {
    if (socket_address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)socket_address;
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    }
    if (socket_address->sa_family == AF_INET6) {
        const struct in6_addr *v6 =
            &((const struct sockaddr_in6 *)(const void *)socket_address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
    return false;
}

int listener_refuse_plain(const struct config_listener *listener, struct error *error) {
    char url[512];
    return error_set(error,
                     "%s would be plain TCP on an address that is not loopback, open to "
                     "whoever reaches it; give --tls-cert, --tls-key and --tls-client-ca, "
                     "or --insecure-plain-tcp if that is meant",
                     address_format(&listener->address, url, sizeof url));
}

/* On the addresses that will be bound, since a name may stand for any. */
static int check_plain(bool plain_is_meant, const struct config_listener *listener,
                       const struct addrinfo *addresses, struct error *error) {
    if (listener->tls || plain_is_meant)
        return 0;
    for (; addresses != NULL; addresses = addresses->ai_next)
        if (!is_loopback(addresses->ai_addr))
            return listener_refuse_plain(listener, error);
    return 0;
}

int listener_check(const struct config *config, struct error *error) {
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->address.kind != ADDRESS_TCP)
            continue;
        __attribute__((cleanup(free_addresses))) struct addrinfo *addresses = NULL;
        if (resolve(&listener->address, &addresses, error) != 0 ||
            check_plain(config->insecure_plain_tcp, listener, addresses, error) != 0)
            return -1;
    }
    return 0;
}

/* A listening socket, or -1 with errno. */
static int open_tcp(const struct addrinfo *address) {
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    address->ai_protocol);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        /* So that [::] and 0.0.0.0 are two listeners whatever the sysctl says (RFC 3493, 5.3). */
        (address->ai_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* Where IPv6 is off, localhost still resolves to ::1: that is no fault of the configuration. */
static bool is_missing_family(int code) {
    return code == EAFNOSUPPORT || code == EADDRNOTAVAIL;
}

static int open_name(bool plain_is_meant, const struct config_listener *listener,
                     struct listener_set *set, struct error *error) {
    __attribute__((cleanup(free_addresses))) struct addrinfo *addresses = NULL;
    char url[512];
    size_t before = set->count;
    int failure = 0;

    if (resolve(&listener->address, &addresses, error) != 0 ||
        check_plain(plain_is_meant, listener, addresses, error) != 0)
        return -1;
    (void)address_format(&listener->address, url, sizeof url);
    for (const struct addrinfo *a = addresses; a != NULL; a = a->ai_next) {
        if (set->count == LISTENER_MAX)
            return error_set(error, "cannot listen on %s: more than %d sockets", url, LISTENER_MAX);
        int fd = open_tcp(a);
        if (fd >= 0) {
            set->entries[set->count++] = (struct listener){.fd = fd, .config = listener};
            continue;
        }
        failure = errno;
        if (!is_missing_family(failure))
            return error_set(error, "cannot listen on %s: %s", url, strerror(failure));
    }
    if (set->count == before)
        return error_set(error, "cannot listen on %s: %s", url, strerror(failure));
    return 0;
}

static int open_one(bool plain_is_meant, const struct config_listener *listener,
                    struct listener_set *set, struct error *error) {
    if (listener->address.kind == ADDRESS_FD)
        return 0; /* activation_open has them */
    if (listener->address.kind == ADDRESS_TCP)
        return open_name(plain_is_meant, listener, set, error);
    if (set->count == LISTENER_MAX)
        return error_set(error, "more than %d listening sockets", LISTENER_MAX);
    if (listener_open_unix(listener, &set->entries[set->count], error) != 0)
        return -1;
    set->count++;
    return 0;
}

int listener_open(const struct config *config, struct listener_set *set, struct error *error) {
    if (listener_check(config, error) != 0)
        return -1;
    if (activation_open(config, set, error) != 0) {
        listener_close(set);
        return -1;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        if (open_one(config->insecure_plain_tcp, &config->listeners[i], set, error) != 0) {
            listener_close(set);
            return -1;
        }
    }
    return 0;
}

int listener_open_plain(const struct config_listener *listener, struct listener_set *set,
                        struct error *error) {
    if (open_one(true, listener, set, error) == 0)
        return 0;
    listener_close(set);
    return -1;
}

void listener_close(struct listener_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        struct listener *listener = &set->entries[i];
        if (listener->remove)
            listener_remove_unix(listener);
        (void)close(listener->fd);
        listener->fd = -1;
    }
    set->count = 0;
}
