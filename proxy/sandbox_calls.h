/* The system calls that the running proxy needs. */
#ifndef DIND_PROXY_PROXY_SANDBOX_CALLS_H
#define DIND_PROXY_PROXY_SANDBOX_CALLS_H

#include "proxy/sandbox_bpf.h"

extern const struct sandbox_call sandbox_calls[];
extern const size_t sandbox_call_count;

#endif
