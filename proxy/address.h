/* Where to listen or connect: unix:///path and tcp://host:port; and fd://name, a socket that the
 * service manager passes. */
#ifndef DIND_PROXY_PROXY_ADDRESS_H
#define DIND_PROXY_PROXY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proxy/error.h"

enum address_kind { ADDRESS_UNIX, ADDRESS_TCP, ADDRESS_FD };

struct address {
    enum address_kind kind;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* unix: absolute, NUL-terminated */
    char host[256];                                         /* tcp: name or address, no brackets;
                                                             * fd: name, number or nothing */
    uint16_t port;                                          /* tcp, host byte order */
};

/* Parses "unix:///path" or "tcp://host:port" ("tcp://[::1]:2376" for IPv6; a missing port is
 * `default_port`, an empty host is an error). 0, or -1 with `error` filled. */
int address_parse(const char *url, uint16_t default_port, struct address *address,
                  struct error *error);

/* Whether the URL begins with fd://, which only a listener's can. */
bool address_is_descriptor(const char *url);

/* Parses "fd://", "fd://name" (of 255 characters at most, as FileDescriptorName= allows: printable
 * ASCII without colon) and "fd://number". 0, or -1 with `error` filled. */
int address_parse_descriptor(const char *url, struct address *address, struct error *error);

/* Writes the URL form, NUL-terminated and cut to fit, and returns `text`. */
const char *address_format(const struct address *address, char *text, size_t size);

/* A literal loopback address, or the name localhost: what never leaves this network namespace. */
bool address_is_loopback(const struct address *address);

#endif
