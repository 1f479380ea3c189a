/* Listening sockets that the service manager opened for us: the protocol of sd_listen_fds(3),
 * without its library. */
#ifndef DIND_PROXY_PROXY_ACTIVATION_H
#define DIND_PROXY_PROXY_ACTIVATION_H

#include "proxy/config.h"
#include "proxy/error.h"
#include "proxy/listener.h"

/* Adds to `set` the sockets that were passed and that an ADDRESS_FD listener asks for: all of them
 * (no name), all that bear its name in LISTEN_FDNAMES, or the one with its number. Each becomes
 * close-on-exec and non-blocking, and its entry gets an address of its own, that it is bound to.
 *
 * LISTEN_FDS counts only if LISTEN_PID is our own process. An error: a listener for which nothing
 * was passed, a socket that no listener or two listeners ask for, and what is no listening stream
 * socket of the unix or the internet family. 0, or -1 with `error` filled. */
int activation_open(const struct config *config, struct listener_set *set, struct error *error);

#endif
