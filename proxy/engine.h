/* Where the engine is: its addresses, resolved off the workers.
 *
 * A worker never waits for DNS. The name is resolved once at start and again, by a thread of its
 * own, whenever a worker could not connect: in a compose project the engine's container may come up
 * later than the proxy, or come back at another address. */
#ifndef DIND_PROXY_PROXY_ENGINE_H
#define DIND_PROXY_PROXY_ENGINE_H

#include <stddef.h>
#include <sys/socket.h>

#include "proxy/address.h"
#include "proxy/error.h"

enum { ENGINE_MAX_ADDRESSES = 4 };

struct engine_address {
    struct sockaddr_storage sockaddr;
    socklen_t len;
};

struct engine;

/* Resolves for the first time; a name that does not resolve yet is no error. NULL with `error` when
 * memory is out. There is one engine a process and it lives as long as the process: its thread may
 * be inside the resolver when everything else has ended. */
struct engine *engine_open(const struct address *address, struct error *error);

/* Starts the thread that resolves again, if there is a name. 0, or -1 with `error`. */
int engine_start(struct engine *engine, struct error *error);

/* Copies the current addresses; returns how many there are. Any thread; never blocks on DNS. */
size_t engine_addresses(struct engine *engine, struct engine_address *addresses);

/* Asks for the name to be resolved again, soon. Any thread; returns at once. */
void engine_refresh(struct engine *engine);

#endif
