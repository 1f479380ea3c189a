/* Which versions and ciphers the kernel takes: asked with real sockets, since neither its version
 * nor its configuration is certain to tell (modules, containers, seccomp filters). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/ktls.h"

static void close_descriptor(const int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
}

#define AUTO_CLOSE __attribute__((cleanup(close_descriptor)))

/* Takes it from its variable, so that it outlives that. */
static int keep(int *fd) {
    int kept = *fd;
    *fd = -1;
    return kept;
}

/* One end of a loopback connection; the other end, in `*peer`, keeps it open. -1 with errno. */
static int connected_socket(int *peer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *any = (struct sockaddr *)&address;
    socklen_t size = sizeof address;
    AUTO_CLOSE int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_CLOSE int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || client < 0 || bind(listener, any, size) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, any, &size) < 0 || connect(client, any, size) < 0)
        return -1;
    *peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*peer < 0)
        return -1;
    return keep(&client);
}

/* 0, or the errno of what failed. Nothing is ever sent, so any keys will do. */
static int try_cipher(enum ktls_version version, enum ktls_cipher cipher) {
    const struct ktls_keys keys = {.version = version, .cipher = cipher};
    AUTO_CLOSE int peer = -1;
    AUTO_CLOSE int fd = connected_socket(&peer);
    if (fd < 0 || ktls_attach(fd) < 0 || ktls_install(fd, KTLS_SEND, &keys) < 0 ||
        ktls_install(fd, KTLS_RECEIVE, &keys) < 0)
        return errno;
    return 0;
}

void ktls_probe(struct ktls_support *support) {
    *support = (struct ktls_support){0};
    bool any = false;
    for (int version = 0; version < KTLS_VERSIONS; version++) {
        for (int cipher = 0; cipher < KTLS_CIPHERS; cipher++) {
            int error = try_cipher((enum ktls_version)version, (enum ktls_cipher)cipher);
            support->takes[version][cipher] = error == 0;
            any = any || error == 0;
            if (support->error == 0)
                support->error = error;
        }
    }
    if (any)
        support->error = 0;
}
