/* What a process can give up of its rights with prctl(2), capset(2) and setrlimit(2). Each says in
 * `text` what is in force, or why it is not. */
#ifndef DIND_PROXY_PROXY_SANDBOX_PRIVILEGES_H
#define DIND_PROXY_PROXY_SANDBOX_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/sandbox_paths.h"

/* No program that is executed gives more rights than there are. */
bool sandbox_no_new_privileges(char *text, size_t size);

/* Neither core dumps nor debuggers of the same user get at the memory, where keys are. Other limits
 * that can be lowered without harm are lowered too. */
bool sandbox_no_core_dumps(char *text, size_t size);

/* Of the calling thread and those that it starts from now on, for ever. Where one of the paths
 * could not be used any more without the right to pass over file modes (root with files of somebody
 * else's), that right alone is kept, and the answer is false. */
bool sandbox_no_capabilities(const struct sandbox_paths *paths, char *text, size_t size);

#endif
