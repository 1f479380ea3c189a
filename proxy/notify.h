/* Telling the service manager how we are: the datagrams of sd_notify(3), without its library.
 *
 * The manager names a unix datagram socket in NOTIFY_SOCKET; a datagram holds lines "NAME=value".
 */
#ifndef DIND_PROXY_PROXY_NOTIFY_H
#define DIND_PROXY_PROXY_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proxy/error.h"

struct notify {
    int fd; /* -1: nobody asked to be told */
    struct sockaddr_un address;
    socklen_t length;
    uint64_t watchdog; /* milliseconds within which WATCHDOG=1 is expected; 0: it is not */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_watchdog_enabled(3)) and makes the
 * socket. Without NOTIFY_SOCKET there is no one to tell, which is no error. The environment must
 * not change meanwhile. 0, or -1 with `error` filled. */
int notify_open(struct notify *notify, struct error *error);

/* Sends "READY=1" or the like; nothing where nobody asked. Waits for a manager that is busy, at
 * most a second. 0, or -1 with errno. */
int notify_send(const struct notify *notify, const char *state);

void notify_close(struct notify *notify);

#endif
