#include "proxy/activation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/option_value.h"

enum { FIRST = 3 }; /* SD_LISTEN_FDS_START */

/* The sockets that were passed: descriptors FIRST, FIRST + 1, and so on. */
struct passed {
    int count;
    const char *names; /* with colons between them, as many as sockets; or NULL */
    bool taken[LISTENER_MAX];
};

/* Start-up has one thread, so the plain look-up will do. */
static const char *variable(const char *name) {
    return getenv(name); // NOLINT(concurrency-mt-unsafe)
}

static int read_environment(struct passed *passed, struct error *error) {
    const char *process = variable("LISTEN_PID"), *count = variable("LISTEN_FDS");
    uint64_t pid = 0, number = 0;
    *passed = (struct passed){.names = variable("LISTEN_FDNAMES")};
    if (process == NULL || count == NULL)
        return 0;
    if (!option_read_number(process, INT32_MAX, &pid))
        return error_set(error, "LISTEN_PID=%.32s is no process", process);
    if (pid != (uint64_t)getpid())
        return 0; /* meant for another process, which passed its environment on */
    if (!option_read_number(count, LISTENER_MAX, &number))
        return error_set(error, "LISTEN_FDS=%.32s: not a number up to %d", count, LISTENER_MAX);
    passed->count = (int)number;
    return 0;
}

/* The name of the socket at `index`; sd_listen_fds_with_names(3) calls one without "unknown". */
static void name_of(const struct passed *passed, int index, char *name, size_t size) {
    const char *at = passed->names;
    for (int i = 0; at != NULL && i < index; i++) {
        at = strchr(at, ':');
        if (at != NULL)
            at++;
    }
    if (at == NULL)
        (void)snprintf(name, size, "unknown");
    else
        (void)snprintf(name, size, "%.*s", (int)strcspn(at, ":"), at);
}

static bool is_wanted(const struct passed *passed, int index, const char *wanted) {
    char name[256]; /* the manager's limit (sd_pid_notify_with_fds(3), FDNAME) */
    uint64_t number;
    if (wanted[0] == '\0')
        return true;
    if (option_read_number(wanted, INT32_MAX, &number))
        return number == (uint64_t)index + FIRST;
    name_of(passed, index, name, sizeof name);
    return strcmp(name, wanted) == 0;
}

static int read_option(int fd, int option, int *value) {
    socklen_t length = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, option, value, &length);
}

/* Where the socket is bound. A unix socket without a path (unnamed or abstract) keeps its fd://. */
static int read_address(int fd, struct address *address, struct error *error) {
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    const struct sockaddr_un *local = (const void *)&bound;
    const struct sockaddr_in *v4 = (const void *)&bound;
    const struct sockaddr_in6 *v6 = (const void *)&bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0)
        return error_set(error, "descriptor %d: %s", fd, strerror(errno));
    switch (bound.ss_family) {
    case AF_UNIX:
        if (length > offsetof(struct sockaddr_un, sun_path) && local->sun_path[0] == '/') {
            /* The longest path has no NUL behind it (unix(7)). */
            size_t path_length = strnlen(local->sun_path, sizeof address->path - 1);
            address->kind = ADDRESS_UNIX;
            memcpy(address->path, local->sun_path, path_length);
            address->path[path_length] = '\0';
        }
        return 0;
    case AF_INET:
        address->kind = ADDRESS_TCP;
        address->port = ntohs(v4->sin_port);
        (void)inet_ntop(AF_INET, &v4->sin_addr, address->host, sizeof address->host);
        return 0;
    case AF_INET6:
        address->kind = ADDRESS_TCP;
        address->port = ntohs(v6->sin6_port);
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, address->host, sizeof address->host);
        return 0;
    default:
        return error_set(error, "descriptor %d is neither a unix nor an internet socket", fd);
    }
}

static int check_socket(int fd, struct error *error) {
    int type = 0, accepts = 0;
    if (read_option(fd, SO_TYPE, &type) != 0 || read_option(fd, SO_ACCEPTCONN, &accepts) != 0)
        return error_set(error, "descriptor %d: %s", fd, strerror(errno));
    if (type != SOCK_STREAM || !accepts)
        return error_set(
            error, "descriptor %d is not a listening stream socket (ListenStream=, Accept=no)", fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return error_set(error, "descriptor %d: %s", fd, strerror(errno));
    return 0;
}

static int take(const struct config *config, const struct config_listener *listener, int fd,
                struct listener_set *set, struct error *error) {
    if (set->count == LISTENER_MAX)
        return error_set(error, "more than %d listening sockets", LISTENER_MAX);
    struct listener *entry = &set->entries[set->count];
    *entry = (struct listener){.fd = fd, .own = *listener};
    if (check_socket(fd, error) != 0 || read_address(fd, &entry->own.address, error) != 0)
        return -1;
    if (entry->own.address.kind == ADDRESS_TCP && !entry->own.tls && !config->insecure_plain_tcp &&
        !address_is_loopback(&entry->own.address))
        return listener_refuse_plain(&entry->own, error);
    entry->config = &entry->own;
    set->count++;
    return 0;
}

static int open_listener(const struct config *config, const struct config_listener *listener,
                         struct passed *passed, struct listener_set *set, struct error *error) {
    const char *wanted = listener->address.host;
    bool any = false;
    for (int i = 0; i < passed->count; i++) {
        if (!is_wanted(passed, i, wanted))
            continue;
        if (passed->taken[i])
            return error_set(error, "fd://%s: descriptor %d is another listener's already", wanted,
                             i + FIRST);
        if (take(config, listener, i + FIRST, set, error) != 0)
            return -1;
        passed->taken[i] = any = true;
    }
    if (any)
        return 0;
    return error_set(error,
                     "fd://%s: the service manager has passed no such socket (LISTEN_FDS, "
                     "LISTEN_FDNAMES); is the .socket unit started?",
                     wanted);
}

int activation_open(const struct config *config, struct listener_set *set, struct error *error) {
    struct passed passed;
    char name[256];
    if (read_environment(&passed, error) != 0)
        return -1;
    for (size_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].address.kind == ADDRESS_FD &&
            open_listener(config, &config->listeners[i], &passed, set, error) != 0)
            return -1;
    /* Its clients would wait for ever. */
    for (int i = 0; i < passed.count; i++) {
        if (passed.taken[i])
            continue;
        name_of(&passed, i, name, sizeof name);
        return error_set(error,
                         "the service manager has passed a socket named \"%.64s\" that no "
                         "--listen asks for; fd:// asks for all",
                         name);
    }
    return 0;
}
