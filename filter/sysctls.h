/* Which kernel parameters a container may set for itself. */
#ifndef DIND_PROXY_FILTER_SYSCTLS_H
#define DIND_PROXY_FILTER_SYSCTLS_H

#include <stdbool.h>

#include "filter/slice.h"

/* Whether `name` is of plain elements, parted by single dots: no path could be read into it. */
bool sysctl_is_plain(struct slice name);

/* Whether `name` belongs to the container's own network namespace: "net." and plain elements. */
bool sysctl_is_network(struct slice name);

/* Whether `name` belongs to a namespace that every container has of its own: network or IPC
 * (ipc_namespaces(7), network_namespaces(7); the same set runc accepts). */
bool sysctl_is_namespaced(struct slice name);

#endif
