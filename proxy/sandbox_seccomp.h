/* The kernel's filter of system calls. */
#ifndef DIND_PROXY_PROXY_SANDBOX_SECCOMP_H
#define DIND_PROXY_PROXY_SANDBOX_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/sandbox_bpf.h"

/* Whether this kernel has what sandbox_seccomp_install needs; `text` says why not. */
bool sandbox_seccomp_available(char *text, size_t size);

/* For all threads of the process, for ever. No new privileges must have been given up before, or
 * CAP_SYS_ADMIN be there. `text` says why not. */
bool sandbox_seccomp_install(const struct sandbox_bpf *bpf, char *text, size_t size);

#endif
