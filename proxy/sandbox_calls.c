#include "proxy/sandbox_calls.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "proxy/sandbox_build.h"

/* Of headers that are older than the kernels it runs on. */
#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

enum { TLS_SEND_KEYS = 1, TLS_RECEIVE_KEYS = 2, SOCKET_TYPE_BITS = 0xf };

/* Rows of the table: a call with any arguments; with arguments that have none of the bits; with
 * arguments that are equal. */
#define ANY(name)                                                                                  \
    { .number = SYS_##name }
#define WITHOUT(name, position, bits)                                                              \
    {                                                                                              \
        .number = SYS_##name, .conditions = { {position, bits, 0} }                                \
    }
#define EQUAL(name, position, wanted)                                                              \
    {                                                                                              \
        .number = SYS_##name, .conditions = { {position, UINT32_MAX, wanted} }                     \
    }
#define OPTION(level, name)                                                                        \
    {                                                                                              \
        .number = SYS_setsockopt, .conditions = { {1, UINT32_MAX, level}, {2, UINT32_MAX, name} }  \
    }
#define WHEN(condition, name)                                                                      \
    { .number = SYS_##name, .when = SANDBOX_WHEN_##condition }
#define SOCKET(condition, family, type, protocol)                                                  \
    {                                                                                              \
        .number = SYS_socket, .when = (condition), .conditions = {                                 \
            {0, UINT32_MAX, family},                                                               \
            {1, SOCKET_TYPE_BITS, type},                                                           \
            {2, UINT32_MAX, protocol}                                                              \
        }                                                                                          \
    }

/* What opening for anything but reading has among its flags. O_TMPFILE holds O_DIRECTORY, which is
 * for reading. */
#define OPEN_CHANGES (O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

/* The most frequent ones first: kernels before 5.11 walk through them one by one at each call. */
const struct sandbox_call sandbox_calls[] = {
    /* Moving bytes. */
    ANY(splice),
    ANY(recvfrom),
    WITHOUT(sendto, 3, MSG_FASTOPEN), /* connects, and no Landlock sees it */
    ANY(recvmsg),
#ifdef __GLIBC__
    WITHOUT(sendmsg, 2, MSG_FASTOPEN),
#else
    ANY(sendmsg), /* musl from 1.2.4 has that flag, for an answer too long for UDP */
#endif
    ANY(read),
    ANY(write),
    ANY(writev), /* the log's and stdio's */
    ANY(readv),
    ANY(shutdown),
    ANY(close),

/* Waiting: workers, the acceptor, metrics, locks, the log's naps. */
#ifdef SYS_epoll_wait
    ANY(epoll_wait),
#endif
    ANY(epoll_pwait),
    ANY(epoll_ctl),
    ANY(futex),
#ifdef SYS_poll
    ANY(poll),
#endif
    ANY(ppoll),
    ANY(nanosleep),
    ANY(clock_nanosleep),
    ANY(sched_yield),
    ANY(restart_syscall), /* a wait goes on after the process was stopped and continued */

    /* Connections: accepted, made to the engine and to name servers, and tuned. */
    ANY(accept4),
    ANY(connect),
    ANY(getsockname),
    ANY(getsockopt),
    /* Landlock's ports are those of TCP proper, so MPTCP and SCTP are not let by. */
    SOCKET(0, AF_UNIX, SOCK_STREAM, 0),
    SOCKET(SANDBOX_WHEN_TCP, AF_INET, SOCK_STREAM, 0),
    SOCKET(SANDBOX_WHEN_TCP, AF_INET6, SOCK_STREAM, 0),
    OPTION(SOL_SOCKET, SO_KEEPALIVE),
    OPTION(SOL_SOCKET, SO_LINGER),
    OPTION(IPPROTO_TCP, TCP_NODELAY),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(IPPROTO_TCP, TCP_ULP), /* kernel TLS */
    OPTION(SOL_TLS, TLS_SEND_KEYS),
    OPTION(SOL_TLS, TLS_RECEIVE_KEYS),
    EQUAL(ioctl, 1, SIOCOUTQ), /* whether a peer has taken all */
    EQUAL(ioctl, 1, SIOCOUTQNSD),

    /* Pipes for splice. */
    ANY(pipe2),
    EQUAL(fcntl, 1, F_SETPIPE_SZ),
    EQUAL(fcntl, 1, F_GETPIPE_SZ),
    EQUAL(fcntl, 1, F_GETFL),
    EQUAL(fcntl, 1, F_SETFL),
    EQUAL(fcntl, 1, F_GETFD),
    EQUAL(fcntl, 1, F_SETFD),

    /* The engine's name, looked up by the C library: name servers, its files, and which families
     * this machine has an address of. */
    SOCKET(SANDBOX_WHEN_TCP, AF_INET, SOCK_DGRAM, 0),
    SOCKET(SANDBOX_WHEN_TCP, AF_INET, SOCK_DGRAM, IPPROTO_UDP), /* musl's */
    SOCKET(SANDBOX_WHEN_TCP, AF_INET6, SOCK_DGRAM, 0),
    SOCKET(SANDBOX_WHEN_TCP, AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
    SOCKET(SANDBOX_WHEN_TCP, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
    WHEN(TCP, bind),
    {.number = SYS_sendmmsg, .when = SANDBOX_WHEN_TCP, .conditions = {{3, MSG_FASTOPEN, 0}}},
    WHEN(TCP, uname),
    OPTION(IPPROTO_IP, IP_RECVERR),
    OPTION(IPPROTO_IPV6, IPV6_RECVERR),
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_CONNECT), /* musl from 1.2.4, for an answer too long for UDP */
    EQUAL(ioctl, 1, FIONREAD),
    /* The zone of a link-local address, the engine's or a name server's, to its number
     * (if_nametoindex(3)): asked of a socket of whatever kind. */
    SOCKET(SANDBOX_WHEN_TCP, AF_UNIX, SOCK_DGRAM, 0),
    EQUAL(ioctl, 1, SIOCGIFINDEX),

    /* Files, for reading: certificates, keys and policies at a reload, and the C library's. */
    WITHOUT(openat, 2, OPEN_CHANGES),
#ifdef SYS_open
    WITHOUT(open, 1, OPEN_CHANGES),
#endif
    ANY(fstat),
    ANY(newfstatat),
#ifdef SYS_stat
    ANY(stat),
    ANY(lstat),
#endif
#ifdef SYS_access
    ANY(access),
#endif
    ANY(faccessat),
    ANY(lseek),
    EQUAL(ioctl, 1, TIOCGWINSZ), /* stdio asks whether a stream is a terminal */
    EQUAL(ioctl, 1, TCGETS),

/* Sockets of ours leave no file behind. */
#ifdef SYS_unlink
    ANY(unlink),
#endif
    ANY(unlinkat),

    /* Files that are written, where there are any: appended to, or put in place of an older one. */
    WHEN(WRITES, openat),
#ifdef SYS_open
    WHEN(WRITES, open),
#endif
#ifdef SYS_rename
    WHEN(WRITES, rename),
#endif
#ifdef SYS_renameat
    WHEN(WRITES, renameat),
#endif
    WHEN(WRITES, renameat2),
    WHEN(WRITES, fsync),
    WHEN(WRITES, fdatasync),
    WHEN(WRITES, fchmod),
    WHEN(WRITES, ftruncate),

    /* Memory that is never both written to and executed, for no more of it is executed at all. */
    WITHOUT(mmap, 2, PROT_EXEC),
    WITHOUT(mprotect, 2, PROT_EXEC),
    ANY(munmap),
    ANY(mremap),
    ANY(madvise),
    ANY(brk),
    ANY(mlock), /* keys */
    ANY(munlock),

    /* The time where the kernel gives it by calls alone, and random bytes. */
    ANY(clock_gettime),
    ANY(gettimeofday),
#ifdef SYS_time
    ANY(time),
#endif
    ANY(getrandom),

    /* Who and where we are: messages to the service manager, abort, the C library's arenas. */
    ANY(getpid),
    ANY(gettid),
    ANY(sched_getaffinity),
    ANY(sysinfo),

    /* Signals: a reload and the end are waited for; abort blocks and raises. */
    ANY(rt_sigtimedwait),
    ANY(rt_sigprocmask),
    ANY(rt_sigaction),
    ANY(rt_sigreturn),
    {.number = SYS_tgkill, .when = SANDBOX_WHEN_SELF, .conditions = {{0, UINT32_MAX, 0}}},
#ifndef __GLIBC__
    EQUAL(tkill, 1, SIGABRT), /* musl's abort; it names a thread alone, which may be anybody's */
#endif

    /* The beginning of threads that were started a moment before, and the end of all. */
    ANY(set_robust_list),
    ANY(rseq),
    ANY(exit),
    ANY(exit_group),

#if SANDBOX_SANITIZED
    /* The sanitizers' own: memory, their reports with names of functions from files, and the leak
     * check, which looks at all threads from a process of its own. */
    ANY(mmap),
    ANY(mprotect),
    ANY(prctl),
    ANY(ptrace),
    ANY(clone),
    ANY(clone3),
    ANY(wait4),
    ANY(getppid),
    ANY(tgkill),
    ANY(kill),
    ANY(sigaltstack),
    ANY(getdents64),
    ANY(readlinkat),
    ANY(pipe2),
    ANY(dup),
    ANY(dup3),
    ANY(openat),
    ANY(prlimit64),
    ANY(getrusage),
    ANY(process_vm_readv),
    ANY(sched_getparam),
    ANY(sched_getscheduler),
    ANY(uname),
    ANY(getuid),
    ANY(geteuid),
    ANY(getgid),
    ANY(getegid),
#ifdef SYS_readlink
    ANY(readlink),
    ANY(open),
    ANY(pipe),
    ANY(fork),
    ANY(arch_prctl),
    ANY(getdents),
#endif
#endif
};

const size_t sandbox_call_count = sizeof sandbox_calls / sizeof *sandbox_calls;
