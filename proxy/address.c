#include "proxy/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "filter/ascii.h"

static bool is_name_character(char c) {
    return ascii_is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
}

static int parse_path(const char *url, const char *path, struct address *address,
                      struct error *error) {
    size_t length = strlen(path);
    if (path[0] != '/' || length < 2 || path[length - 1] == '/')
        return error_set(error,
                         "\"%.200s\" needs the absolute path of a socket, as in "
                         "unix:///run/docker.sock",
                         url);
    if (length >= sizeof address->path)
        return error_set(error, "the path is %zu bytes long; a socket's can have %zu at most",
                         length, sizeof address->path - 1);
    address->kind = ADDRESS_UNIX;
    memcpy(address->path, path, length + 1);
    return 0;
}

/* `text` is what follows the colon, up to `end`. */
static bool parse_port(const char *text, const char *end, uint16_t *port) {
    unsigned value = 0;
    if (text == end || end - text > 5)
        return false;
    for (; text < end; text++) {
        if (!ascii_is_digit(*text))
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    *port = (uint16_t)value;
    return value >= 1 && value <= UINT16_MAX;
}

/* An IPv6 address, perhaps with a zone as in fe80::1%eth0 (RFC 4007 section 11). */
static bool is_ipv6(const char *host) {
    char number[INET6_ADDRSTRLEN];
    size_t length = strcspn(host, "%");
    struct in6_addr unused;
    if (length >= sizeof number)
        return false;
    memcpy(number, host, length);
    number[length] = '\0';
    if (inet_pton(AF_INET6, number, &unused) != 1)
        return false;
    if (host[length] == '\0')
        return true;
    const char *zone = host + length + 1;
    if (*zone == '\0')
        return false;
    for (; *zone != '\0'; zone++)
        if (!is_name_character(*zone))
            return false;
    return true;
}

static int parse_host_port(const char *url, const char *text, uint16_t default_port,
                           struct address *address, struct error *error) {
    const char *end = text + strlen(text);
    /* Many a DOCKER_HOST ends so. */
    if (end > text && end[-1] == '/')
        end--;

    bool bracketed = *text == '[';
    const char *colon = strchr(text, ':');
    if (!bracketed && colon != NULL && strchr(colon + 1, ':') != NULL)
        return error_set(error, "an IPv6 address needs brackets, as in tcp://[::1]:2376");
    const char *host = bracketed ? text + 1 : text;
    const char *host_end = host;
    if (bracketed) {
        while (host_end < end && *host_end != ']')
            host_end++;
        if (host_end == end)
            return error_set(error, "\"%.200s\" has no closing bracket", url);
    } else {
        while (host_end < end && is_name_character(*host_end))
            host_end++;
    }

    size_t length = (size_t)(host_end - host);
    if (length == 0)
        return error_set(error, "\"%.200s\" has no host; 0.0.0.0 or [::] stands for all", url);
    if (length >= sizeof address->host)
        return error_set(error, "the host name in \"%.200s\" is too long", url);
    memcpy(address->host, host, length);
    address->host[length] = '\0';
    if (bracketed && !is_ipv6(address->host))
        return error_set(error, "\"%.100s\" is not an IPv6 address", address->host);

    const char *rest = bracketed ? host_end + 1 : host_end;
    address->kind = ADDRESS_TCP;
    address->port = default_port;
    if (rest == end)
        return 0;
    if (*rest == ':' && parse_port(rest + 1, end, &address->port))
        return 0;
    if (*rest == ':')
        return error_set(error, "\"%.200s\" needs a port from 1 to 65535", url);
    return error_set(error, "\"%.200s\" has an unexpected \"%c\" after the host", url, *rest);
}

int address_parse(const char *url, uint16_t default_port, struct address *address,
                  struct error *error) {
    static const char unix_scheme[] = "unix://";
    static const char tcp_scheme[] = "tcp://";

    *address = (struct address){0};
    if (strncmp(url, unix_scheme, sizeof unix_scheme - 1) == 0)
        return parse_path(url, url + sizeof unix_scheme - 1, address, error);
    if (strncmp(url, tcp_scheme, sizeof tcp_scheme - 1) == 0)
        return parse_host_port(url, url + sizeof tcp_scheme - 1, default_port, address, error);
    return error_set(error, "\"%.200s\" is neither unix:///path nor tcp://host:port", url);
}

static const char descriptor_scheme[] = "fd://";

bool address_is_descriptor(const char *url) {
    return strncmp(url, descriptor_scheme, sizeof descriptor_scheme - 1) == 0;
}

int address_parse_descriptor(const char *url, struct address *address, struct error *error) {
    const char *name = url + sizeof descriptor_scheme - 1;
    *address = (struct address){.kind = ADDRESS_FD};
    size_t length = strlen(name);
    if (length >= sizeof address->host)
        return error_set(error, "the name is too long");
    for (const char *c = name; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == ':')
            return error_set(error, "\"%.200s\" is no name of a passed socket", name);
    memcpy(address->host, name, length + 1);
    return 0;
}

const char *address_format(const struct address *address, char *text, size_t size) {
    if (address->kind == ADDRESS_UNIX)
        (void)snprintf(text, size, "unix://%s", address->path);
    else if (address->kind == ADDRESS_FD)
        (void)snprintf(text, size, "%s%s", descriptor_scheme, address->host);
    else if (strchr(address->host, ':') != NULL)
        (void)snprintf(text, size, "tcp://[%s]:%u", address->host, (unsigned)address->port);
    else
        (void)snprintf(text, size, "tcp://%s:%u", address->host, (unsigned)address->port);
    return text;
}

bool address_is_loopback(const struct address *address) {
    struct in_addr v4;
    struct in6_addr v6;

    if (address->kind != ADDRESS_TCP)
        return false;
    if (strcasecmp(address->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, address->host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, address->host, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}
