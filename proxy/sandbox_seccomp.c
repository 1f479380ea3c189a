#include "proxy/sandbox_seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *explain(int error) {
    switch (error) {
    case ENOSYS:
        return "this kernel, or what stands for it here, has no seccomp(2)";
    case EPERM:
    case EACCES:
        return "it is not permitted here";
    default:
        return strerror(error);
    }
}

bool sandbox_seccomp_available(char *text, size_t size) {
    const uint32_t action = SECCOMP_RET_KILL_PROCESS;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
        return true;
    (void)snprintf(text, size, "%s",
                   errno == EOPNOTSUPP || errno == EINVAL
                       ? "this kernel (before 4.14) cannot end a whole process by it"
                       : explain(errno));
    return false;
}

bool sandbox_seccomp_install(const struct sandbox_bpf *bpf, char *text, size_t size) {
    const struct sock_fprog program = {
        .len = (unsigned short)bpf->count,
        .filter = (struct sock_filter *)(uintptr_t)bpf->program,
    };
    if (!sandbox_seccomp_available(text, size))
        return false;
    long result =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (result == 0)
        return true;
    /* With TSYNC a positive result is the thread that could not be given it (seccomp(2)). */
    if (result > 0)
        (void)snprintf(text, size, "thread %ld has another filter", result);
    else
        (void)snprintf(text, size, "%s", explain(errno));
    return false;
}
