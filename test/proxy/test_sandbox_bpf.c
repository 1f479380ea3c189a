/* What the generated filters do, asked of the kernel: each case is tried by a child that has
 * installed one. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/sandbox_bpf.h"
#include "proxy/sandbox_build.h"
#include "proxy/sandbox_calls.h"
#include "proxy/sandbox_seccomp.h"

static bool can_filter(void) {
    char text[200];
    if (sandbox_seccomp_available(text, sizeof text))
        return true;
    print_message("no filter can be tried here: %s\n", text);
    return false;
}

/* Leaves at once, without what a sanitizer would do first. */
_Noreturn static void leave(int status) {
    for (;;)
        (void)syscall(SYS_exit_group, status);
}

/* The wait status of a child that calls `act` under a filter of the rows. */
static int under(const struct sandbox_call *calls, size_t count, unsigned wanted,
                 void (*act)(void)) {
    static struct sandbox_bpf bpf;
    char text[200];
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* The rows may ask for the process that the filter is for. */
        if (sandbox_bpf_write(&bpf, calls, count, wanted) != 0 ||
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            !sandbox_seccomp_install(&bpf, text, sizeof text))
            leave(99);
        act();
        leave(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void passes(int status) {
    if (WIFSIGNALED(status))
        fail_msg("died of signal %d", WTERMSIG(status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void dies(int status) {
    if (WIFEXITED(status))
        fail_msg("ended with status %d", WEXITSTATUS(status));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* --- small tables */

static void nothing(void) {}

static void get_parent(void) {
    (void)syscall(SYS_getppid);
}

static void shape(void **state) {
    (void)state;
    const struct sandbox_call calls[] = {
        {.number = SYS_exit_group},
        {.number = SYS_getppid, .when = SANDBOX_WHEN_TCP},
    };
    struct sandbox_bpf without, with;
    assert_int_equal(sandbox_bpf_write(&without, calls, 2, 0), 0);
    assert_int_equal(sandbox_bpf_write(&with, calls, 2, SANDBOX_WHEN_TCP | SANDBOX_WHEN_WRITES), 0);
    assert_int_equal(with.count, without.count + 2);
    const struct sock_filter *last = &with.program[with.count - 1];
    assert_int_equal(last->code, BPF_RET | BPF_K);
    assert_int_equal(last->k, 0x80000000u); /* SECCOMP_RET_KILL_PROCESS */
}

static void too_long(void **state) {
    (void)state;
    static struct sandbox_call calls[SANDBOX_BPF_LIMIT];
    static struct sandbox_bpf bpf;
    assert_int_equal(sandbox_bpf_write(&bpf, calls, SANDBOX_BPF_LIMIT, 0), -1);
}

static void what_is_listed_passes(void **state) {
    (void)state;
    const struct sandbox_call calls[] = {{.number = SYS_getppid}, {.number = SYS_exit_group}};
    if (!can_filter())
        skip();
    passes(under(calls, 2, 0, get_parent));
    passes(under(&calls[1], 1, 0, nothing));
    dies(under(&calls[1], 1, 0, get_parent));
}

static void rows_of_another_case_do_not_count(void **state) {
    (void)state;
    const struct sandbox_call calls[] = {{.number = SYS_getppid, .when = SANDBOX_WHEN_WRITES},
                                         {.number = SYS_exit_group}};
    if (!can_filter())
        skip();
    passes(under(calls, 2, SANDBOX_WHEN_WRITES, get_parent));
    dies(under(calls, 2, 0, get_parent));
    dies(under(calls, 2, SANDBOX_WHEN_TCP, get_parent));
}

static void signal_ourselves(void) {
    (void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0);
}

static void signal_our_parent(void) {
    (void)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static void conditions(void **state) {
    (void)state;
    const struct sandbox_call calls[] = {
        {.number = SYS_socket,
         .conditions = {{0, UINT32_MAX, AF_UNIX}, {1, 0xf, SOCK_STREAM}, {2, UINT32_MAX, 0}}},
        {.number = SYS_tgkill, .when = SANDBOX_WHEN_SELF, .conditions = {{0, UINT32_MAX, 0}}},
        {.number = SYS_socket, .conditions = {{0, UINT32_MAX, AF_INET}}},
        {.number = SYS_getpid},
        {.number = SYS_gettid},
        {.number = SYS_getppid},
        {.number = SYS_exit_group},
    };
    if (!can_filter())
        skip();
    passes(under(calls, 7, 0, signal_ourselves));
    dies(under(calls, 7, 0, signal_our_parent));
}

/* --- the table that the proxy runs under */

enum { ALL = SANDBOX_WHEN_TCP | SANDBOX_WHEN_WRITES };

#define CASE(name, ...)                                                                            \
    static void name(void) {                                                                       \
        __VA_ARGS__;                                                                               \
    }

CASE(read_only_open, (void)syscall(SYS_openat, AT_FDCWD, "/etc/hosts", O_RDONLY | O_CLOEXEC))
CASE(writing_open, (void)syscall(SYS_openat, AT_FDCWD, "/nowhere", O_WRONLY | O_CLOEXEC))
CASE(creating_open, (void)syscall(SYS_openat, AT_FDCWD, "/nowhere/x", O_RDONLY | O_CREAT, 0600))
CASE(run, (void)syscall(SYS_execve, "/nowhere", NULL, NULL))
CASE(run_at, (void)syscall(SYS_execveat, AT_FDCWD, "/nowhere", NULL, NULL, 0))
CASE(split, (void)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
CASE(split_anew, (void)syscall(SYS_clone3, NULL, 0))
CASE(debug, (void)syscall(SYS_ptrace, 0, 0, 0, 0))
CASE(become_dumpable, (void)syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0))
CASE(new_namespace, (void)syscall(SYS_unshare, 0))
CASE(mount_something, (void)syscall(SYS_mount, NULL, NULL, NULL, 0, NULL))
CASE(load_a_program, (void)syscall(SYS_bpf, 0, NULL, 0))
CASE(make_keys, (void)syscall(SYS_keyctl, 0, 0, 0, 0, 0))
CASE(fast_rings, (void)syscall(SYS_io_uring_setup, 1, NULL))
CASE(hidden_file, (void)syscall(SYS_memfd_create, "x", 0))
CASE(other_memory, (void)syscall(SYS_process_vm_writev, 0, NULL, 0, NULL, 0, 0))
CASE(kill_another, (void)syscall(SYS_kill, getppid(), 0))
CASE(change_user, (void)syscall(SYS_setuid, 0))
CASE(data_memory,
     (void)syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
CASE(code_memory,
     (void)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
CASE(make_code, (void)syscall(SYS_mprotect, NULL, 0, PROT_READ | PROT_EXEC))
CASE(unix_socket, (void)syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))
CASE(internet_socket, (void)syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
CASE(several_paths_socket, (void)syscall(SYS_socket, AF_INET, SOCK_STREAM, 262 /* MPTCP */))
CASE(messages_socket, (void)syscall(SYS_socket, AF_INET6, SOCK_STREAM, 132 /* SCTP */))
CASE(connecting_send, (void)syscall(SYS_sendto, -1, "", 0, MSG_FASTOPEN, NULL, 0))
CASE(connecting_message, (void)syscall(SYS_sendmsg, -1, NULL, MSG_FASTOPEN))
CASE(connecting_messages, (void)syscall(SYS_sendmmsg, -1, NULL, 0, MSG_FASTOPEN))
CASE(plain_send, (void)syscall(SYS_sendto, -1, "", 0, MSG_NOSIGNAL, NULL, 0))
CASE(plain_message, (void)syscall(SYS_sendmsg, -1, NULL, MSG_NOSIGNAL))
CASE(datagram_socket, (void)syscall(SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP))
CASE(echo_socket, (void)syscall(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP))
CASE(raw_socket, (void)syscall(SYS_socket, AF_INET, SOCK_RAW, 1))
CASE(packet_socket, (void)syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0))
CASE(route_socket, (void)syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0))
CASE(audit_socket, (void)syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 9))
CASE(kernel_crypto, (void)syscall(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0))
CASE(queue_length, (void)syscall(SYS_ioctl, -1, 0x5411 /* SIOCOUTQ */, NULL))
CASE(push_into_terminal, (void)syscall(SYS_ioctl, -1, 0x5412 /* TIOCSTI */, NULL))
CASE(no_delay, (void)syscall(SYS_setsockopt, -1, 6, 1, NULL, 0))
CASE(attach_program, (void)syscall(SYS_setsockopt, -1, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0))
/* What the C library asks for the zone of a name server, and of the engine. */
CASE(zone_of_an_address, (void)if_nametoindex("lo"))
CASE(long_answer_of_a_name_server, (void)syscall(SYS_setsockopt, -1, IPPROTO_TCP, 30, NULL, 0))
CASE(give_up, raise(SIGABRT))

#if defined(__x86_64__)
CASE(foreign_manner, (void)syscall(0x40000000 | SYS_getpid)) /* of x32 */
#endif

struct case_of {
    const char *name;
    void (*act)(void);
    unsigned wanted;
    bool allowed, sanitized; /* without, and with sanitizers in the build */
};

#define ROW(act, wanted, allowed, sanitized)                                                       \
    { #act, act, wanted, allowed, sanitized }

static const struct case_of cases[] = {
    ROW(read_only_open, 0, true, true),
    ROW(writing_open, 0, false, true),
    ROW(writing_open, SANDBOX_WHEN_WRITES, true, true),
    ROW(creating_open, 0, false, true),
    ROW(creating_open, SANDBOX_WHEN_TCP, false, true),
    ROW(run, ALL, false, false),
    ROW(run_at, ALL, false, false),
    ROW(split, ALL, false, true),
    ROW(split_anew, ALL, false, true),
    ROW(debug, ALL, false, true),
    ROW(become_dumpable, ALL, false, true),
    ROW(new_namespace, ALL, false, false),
    ROW(mount_something, ALL, false, false),
    ROW(load_a_program, ALL, false, false),
    ROW(make_keys, ALL, false, false),
    ROW(fast_rings, ALL, false, false),
    ROW(hidden_file, ALL, false, false),
    ROW(other_memory, ALL, false, false),
    ROW(kill_another, ALL, false, true),
    ROW(change_user, ALL, false, false),
    ROW(data_memory, 0, true, true),
    ROW(code_memory, ALL, false, true),
    ROW(make_code, ALL, false, true),
    ROW(unix_socket, 0, true, true),
    ROW(internet_socket, 0, false, false),
    ROW(internet_socket, SANDBOX_WHEN_TCP, true, true),
    ROW(several_paths_socket, ALL, false, false),
    ROW(messages_socket, ALL, false, false),
    ROW(connecting_send, ALL, false, false),
#ifdef __GLIBC__
    ROW(connecting_message, ALL, false, false),
#else
    ROW(connecting_message, ALL, true, true), /* see the table */
#endif
    ROW(connecting_messages, ALL, false, false),
    ROW(plain_send, 0, true, true),
    ROW(plain_message, 0, true, true),
    ROW(datagram_socket, 0, false, false),
    ROW(datagram_socket, SANDBOX_WHEN_TCP, true, true),
    ROW(echo_socket, ALL, false, false),
    ROW(raw_socket, ALL, false, false),
    ROW(packet_socket, ALL, false, false),
    ROW(route_socket, 0, false, false),
    ROW(route_socket, SANDBOX_WHEN_TCP, true, true),
    ROW(audit_socket, ALL, false, false),
    ROW(kernel_crypto, ALL, false, false),
    ROW(queue_length, 0, true, true),
    ROW(push_into_terminal, ALL, false, false),
    ROW(no_delay, 0, true, true),
    ROW(attach_program, ALL, false, false),
    ROW(zone_of_an_address, SANDBOX_WHEN_TCP, true, true),
    ROW(long_answer_of_a_name_server, SANDBOX_WHEN_TCP, true, true),
#if defined(__x86_64__)
    ROW(foreign_manner, ALL, false, false),
#endif
};

static void the_table(void **state) {
    (void)state;
    if (!can_filter())
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct case_of *one = &cases[i];
        int status = under(sandbox_calls, sandbox_call_count, one->wanted, one->act);
        bool expected = SANDBOX_SANITIZED ? one->sanitized : one->allowed;
        print_message("%s\n", one->name);
        if (expected && !(WIFEXITED(status) || WIFSIGNALED(status)))
            fail_msg("%s: status %d", one->name, status);
        if (expected)
            passes(status);
        else
            dies(status);
    }
}

/* A crash has to look like one. */
static void an_abort_is_an_abort(void **state) {
    (void)state;
    if (!can_filter())
        skip();
    int status = under(sandbox_calls, sandbox_call_count, 0, give_up);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape),
        cmocka_unit_test(too_long),
        cmocka_unit_test(what_is_listed_passes),
        cmocka_unit_test(rows_of_another_case_do_not_count),
        cmocka_unit_test(conditions),
        cmocka_unit_test(the_table),
        cmocka_unit_test(an_abort_is_an_abort),
    };
    return cmocka_run_group_tests_name("proxy.sandbox_bpf", tests, NULL, NULL);
}
