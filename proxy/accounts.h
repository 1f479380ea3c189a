/* Users and groups by name. */
#ifndef DIND_PROXY_PROXY_ACCOUNTS_H
#define DIND_PROXY_PROXY_ACCOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/* False if there is none. What was found is remembered for the life of the process: at a reload the
 * options are read again, but then the process may be confined, and the look-up may take modules of
 * the C library that do what they like. The main thread only. */
bool account_user(const char *name, uid_t *user);
bool account_group(const char *name, gid_t *group);

#endif
