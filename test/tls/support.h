/* What the tests of tls/ share: throw-away certificates, sockets, and openssl(1) as the other
 * side. */
#ifndef DIND_PROXY_TEST_TLS_SUPPORT_H
#define DIND_PROXY_TEST_TLS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tls/ktls.h"
#include "tls/tls.h"

#define SHARED __attribute__((unused)) static

enum { DEADLINE_SECONDS = 30, PATH_SIZE = 512 };

SHARED char support_folder[64];

SHARED double support_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A path below the test's own folder, in one of a few buffers used in turn. */
__attribute__((format(printf, 1, 2))) SHARED char *support_path(const char *format, ...) {
    static char buffers[16][PATH_SIZE];
    static unsigned next;
    char *text = buffers[next++ % 16];
    int used = snprintf(text, PATH_SIZE, "%s/", support_folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, PATH_SIZE - (size_t)used, format, arguments);
    va_end(arguments);
    return text;
}

/* Runs a shell command; its wait status. */
SHARED int support_status(const char *command) {
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    pid_t pid;
    int status = -1;
    if (posix_spawnp(&pid, "sh", NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

SHARED void support_run(const char *command) {
    int status = support_status(command);
    if (status != 0)
        fail_msg("`%s` ended with %d", command, status);
}

/* Group setup: certificates for both hops of both kinds, in "ec/" and "rsa/". */
SHARED int support_set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    strcpy(support_folder, "/tmp/dind-proxy-tls.XXXXXX");
    if (mkdtemp(support_folder) == NULL || tls_global_init() != 0)
        return -1;
    char command[2 * PATH_SIZE];
    snprintf(command, sizeof command, "tools/test-certs %s/ec && tools/test-certs --rsa %s/rsa",
             support_folder, support_folder);
    return support_status(command) == 0 ? 0 : -1;
}

SHARED int support_tear_down(void **state) {
    (void)state;
    tls_global_cleanup();
    char command[2 * PATH_SIZE];
    snprintf(command, sizeof command, "rm -rf %s", support_folder);
    return support_status(command) == 0 ? 0 : -1;
}

/* The files of one of the folders that tools/test-certs makes. */
SHARED struct tls_files support_files(const char *kind, const char *who) {
    return (struct tls_files){.certificate = support_path("%s/%s/cert.pem", kind, who),
                              .key = support_path("%s/%s/key.pem", kind, who),
                              .authority = support_path("%s/%s/ca.pem", kind, who)};
}

/* Whether this kernel has TLS. Contexts then use it, so that the same tests see both worlds:
 * sockets of TCP go to the kernel, those of support_pair cannot. */
SHARED bool support_has_kernel(void) {
    static int known = -1;
    char text[256];
    if (known < 0)
        known = tls_kernel_available(text, sizeof text);
    /* Inside the virtual machine that is made for it a silent fallback would be a failure. */
    if (!known && getenv("KTLS_VM") != NULL)
        fail_msg("kernel TLS is missing: %s", text);
    return known != 0;
}

SHARED struct tls_context *support_kernel(struct tls_context *context) {
    tls_context_set_kernel(context, support_has_kernel() ? TLS_KERNEL_AUTO : TLS_KERNEL_OFF);
    return context;
}

/* Whether the kernel takes this session's cipher: of those of ours only ChaCha20 is a module of its
 * own that some lack. */
SHARED bool support_takes(struct tls_session *session) {
    static struct ktls_support support;
    static bool known;
    if (!known)
        ktls_probe(&support);
    known = true;
    enum ktls_version version =
        strcmp(tls_version_name(session), "TLSv1.3") == 0 ? KTLS_TLS13 : KTLS_TLS12;
    bool chacha = strstr(tls_cipher_name(session), "CHACHA20") != NULL;
    return support_has_kernel() && (!chacha || support.takes[version][KTLS_CHACHA20_POLY1305]);
}

SHARED struct tls_context *support_server(const char *kind, const char *who) {
    struct tls_files files = support_files(kind, who);
    struct tls_error error = {0};
    struct tls_context *context = tls_server_context(&files, &error);
    if (context == NULL)
        fail_msg("server context: %s", error.text);
    return context;
}

SHARED struct tls_context *support_client(const char *kind, const char *who, const char *name) {
    struct tls_files files = support_files(kind, who);
    struct tls_error error = {0};
    struct tls_context *context = tls_client_context(&files, name, &error);
    if (context == NULL)
        fail_msg("client context: %s", error.text);
    return context;
}

SHARED void support_non_blocking(int fd) {
    assert_int_not_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), -1);
}

/* A listening socket on some loopback port. */
SHARED int support_listen(int *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

SHARED int support_connect(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    support_non_blocking(fd);
    return fd;
}

/* Waits for a connection, but not for ever. */
SHARED int support_accept(int listener) {
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, DEADLINE_SECONDS * 1000), 1);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

/* Two connected non-blocking sockets; `buffer` > 0 makes their buffers tiny. */
SHARED void support_pair(int fds[2], int buffer) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2 && buffer > 0; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    }
}

/* Two connected sockets of TCP. */
SHARED void support_tcp_pair(int fds[2]) {
    int port = 0;
    int listener = support_listen(&port);
    fds[0] = support_connect(port);
    assert_true(fds[0] >= 0);
    fds[1] = support_accept(listener);
    close(listener);
}

/* Waits until the socket is ready for what `status` asks for. */
SHARED void support_wait(int fd, enum tls_status status) {
    assert_true(status == TLS_WANT_READ || status == TLS_WANT_WRITE);
    struct pollfd wait = {.fd = fd, .events = (short)(status == TLS_WANT_READ ? POLLIN : POLLOUT)};
    if (poll(&wait, 1, DEADLINE_SECONDS * 1000) != 1)
        fail_msg("the other side did nothing for %d seconds", DEADLINE_SECONDS);
}

SHARED enum tls_status support_handshake(struct tls_session *session, int fd,
                                         struct tls_error *error) {
    enum tls_status status;
    while ((status = tls_handshake(session, error)) != TLS_OK && status != TLS_FAILED)
        support_wait(fd, status);
    return status;
}

/* Reads until `size` bytes are there or the direction ends; returns the last status. */
SHARED enum tls_status support_read(struct tls_session *session, int fd, char *buffer, size_t size,
                                    size_t *total, struct tls_error *error) {
    *total = 0;
    enum tls_status status = TLS_OK;
    while (*total < size) {
        size_t got = 0;
        status = tls_read(session, buffer + *total, size - *total, &got, error);
        if (status == TLS_WANT_READ || status == TLS_WANT_WRITE)
            support_wait(fd, status);
        else if (status != TLS_OK)
            break;
        *total += got;
    }
    return status;
}

SHARED void support_write(struct tls_session *session, int fd, const char *bytes, size_t size) {
    struct tls_error error = {0};
    while (size > 0) {
        size_t put = 0;
        enum tls_status status = tls_write(session, bytes, size, &put, &error);
        if (status == TLS_FAILED)
            fail_msg("write: %s", error.text);
        if (status != TLS_OK)
            support_wait(fd, status);
        bytes += put;
        size -= put;
    }
}

/* Both ends of a handshake in one thread, until both know. */
SHARED void support_shake(struct tls_session *client, struct tls_session *server,
                          enum tls_status status[2], struct tls_error error[2]) {
    struct tls_session *sessions[2] = {client, server};
    status[0] = status[1] = TLS_WANT_READ;
    for (double end = support_now() + DEADLINE_SECONDS; support_now() < end;) {
        bool over = true;
        for (int i = 0; i < 2; i++) {
            if (status[i] != TLS_OK && status[i] != TLS_FAILED)
                status[i] = tls_handshake(sessions[i], &error[i]);
            over = over && (status[i] == TLS_OK || status[i] == TLS_FAILED);
        }
        /* A side that failed says nothing more; whoever waits for it will wait for ever. */
        if (over || status[1] == TLS_FAILED)
            return;
    }
    fail_msg("the handshake did not end");
}

struct support_child {
    pid_t pid;
    int input;  /* its stdin */
    int output; /* its stdout and stderr */
};

/* Starts openssl(1) with these arguments (NULL at the end, the program's name not among them). */
SHARED struct support_child support_openssl(const char *const arguments[]) {
    char *argv[64] = {(char *)"openssl"};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(i < 60);
        argv[i + 1] = (char *)arguments[i];
    }
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    struct support_child child = {.input = in[1], .output = out[0]};
    assert_int_equal(posix_spawnp(&child.pid, "openssl", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    return child;
}

/* Reads the child's output until it holds `wanted` (NULL: until its end), at most `size` - 1. */
SHARED bool support_expect(struct support_child *child, const char *wanted, char *text,
                           size_t size) {
    size_t used = strlen(text);
    double end = support_now() + DEADLINE_SECONDS;
    while (wanted == NULL || strstr(text, wanted) == NULL) {
        struct pollfd wait = {.fd = child->output, .events = POLLIN};
        if (used + 1 >= size || support_now() > end || poll(&wait, 1, 1000) < 0)
            return false;
        if (wait.revents == 0)
            continue;
        ssize_t got = read(child->output, text + used, size - 1 - used);
        if (got <= 0)
            return wanted == NULL && got == 0;
        used += (size_t)got;
        text[used] = '\0';
    }
    return true;
}

SHARED void support_stop(struct support_child *child) {
    if (child->input >= 0)
        close(child->input);
    close(child->output);
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
}

#endif
