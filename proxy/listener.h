/* The sockets that clients connect to, opened once at start. */
#ifndef DIND_PROXY_PROXY_LISTENER_H
#define DIND_PROXY_PROXY_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proxy/config.h"
#include "proxy/error.h"

/* More than CONFIG_MAX_LISTENERS, because a name may stand for several addresses. */
enum { LISTENER_MAX = 64 };

struct listener {
    int fd;                               /* listening, non-blocking, close-on-exec */
    const struct config_listener *config; /* borrowed from the configuration, or &own */
    struct config_listener own;           /* fd: with the address that the socket is bound to */
    bool remove;                          /* unix: the file is ours to remove on closing */
    dev_t device;                         /* unix: which file that is */
    ino_t inode;
};

/* Zero-initialised is ready for use. */
struct listener_set {
    struct listener entries[LISTENER_MAX];
    size_t count;
};

/* Resolves every tcp listener's host and refuses plain TCP on an address that is not loopback,
 * unless the configuration says that it is meant. Opens nothing. May wait for DNS. 0 or -1. */
int listener_check(const struct config *config, struct error *error);

/* Fills `error` with why this plain listener is refused; returns -1. */
int listener_refuse_plain(const struct config_listener *listener, struct error *error);

/* Checks as listener_check does, then opens them all, or none. A unix socket appears under its name
 * only once it listens and has its final mode and owner; a dead socket found there is replaced, a
 * live one or anything else is an error. Changes the umask for a moment, so no other thread may
 * run. Sockets that the service manager passed are taken over. The set must stay where it is while
 * the configurations in it are in use, and `config` must outlive it. 0, or -1 with `error` filled.
 */
int listener_open(const struct config *config, struct listener_set *set, struct error *error);

/* Opens one plain listener, of the kinds tcp and unix, whatever its address. As listener_open. */
int listener_open_plain(const struct config_listener *listener, struct listener_set *set,
                        struct error *error);

/* Closes all, and removes each unix socket's file if it is still the one that was made. */
void listener_close(struct listener_set *set);

#endif
