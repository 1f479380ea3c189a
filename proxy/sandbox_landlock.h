/* Which files and ports the process may still open: Landlock
 * (Documentation/userspace-api/landlock.rst of the kernel), as far as the running kernel has it. */
#ifndef DIND_PROXY_PROXY_SANDBOX_LANDLOCK_H
#define DIND_PROXY_PROXY_SANDBOX_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/sandbox_paths.h"

enum { SANDBOX_PORTS = 2 };

struct sandbox_network {
    uint16_t ports[SANDBOX_PORTS]; /* that may be connected to */
    size_t count;
    bool abstract; /* an abstract unix socket of others is talked to: the service manager's */
};

/* The interface's version, 0 if there is none; `text` says then why. */
int sandbox_landlock_version(char *text, size_t size);

/* For the calling thread and those that it starts from now on, for ever. A folder that is not there
 * stays closed. `text` says how much it is, or why it is not. */
bool sandbox_landlock_enter(const struct sandbox_paths *paths,
                            const struct sandbox_network *network, char *text, size_t size);

#endif
