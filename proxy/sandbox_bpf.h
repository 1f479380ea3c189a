/* Writes a table of permitted system calls as a program for the kernel's filter (seccomp(2)). Pure:
 * installs nothing. */
#ifndef DIND_PROXY_PROXY_SANDBOX_BPF_H
#define DIND_PROXY_PROXY_SANDBOX_BPF_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

enum { SANDBOX_CONDITIONS = 3, SANDBOX_BPF_LIMIT = 2048 };

/* (argument & mask) == value, of the lower half of the argument: what is checked here are int and
 * flag arguments, of which the kernel reads no more. */
struct sandbox_condition {
    unsigned argument; /* 0 to 5 */
    uint32_t mask;     /* 0: no condition, and none behind it */
    uint32_t value;
};

/* A call is permitted if all conditions of any row with its number hold. */
struct sandbox_call {
    uint32_t number; /* SYS_… of this architecture */
    unsigned when;   /* enum sandbox_when, joined; 0: always */
    struct sandbox_condition conditions[SANDBOX_CONDITIONS];
};

enum sandbox_when {
    SANDBOX_WHEN_TCP = 1 << 0,    /* the engine is not at a unix socket */
    SANDBOX_WHEN_WRITES = 1 << 1, /* files are written */
    SANDBOX_WHEN_SELF = 1 << 2,   /* always; the first condition's value is our process id */
};

struct sandbox_bpf {
    size_t count;
    struct sock_filter program[SANDBOX_BPF_LIMIT];
};

/* Of the rows, in their order, those whose `when` is within `wanted`. Whatever else is called, or
 * called in the manner of another architecture, ends the process. 0, or -1 if the program would be
 * longer than SANDBOX_BPF_LIMIT, or is for an architecture that is not known. */
int sandbox_bpf_write(struct sandbox_bpf *bpf, const struct sandbox_call *calls, size_t count,
                      unsigned wanted);

#endif
