#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/listener.h"

/* A folder of its own for each test. */
struct fixture {
    char folder[32];
    char path[64]; /* of a socket in it */
    struct config config;
    struct listener_set set;
    struct error error;
};

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/test_listener.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/s", fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    listener_close(&fixture->set);
    (void)unlink(fixture->path);
    /* Fails if a temporary name was left behind. */
    int result = rmdir(fixture->folder);
    free(fixture);
    return result;
}

static struct config_listener *add(struct fixture *fixture, const char *url, mode_t mode) {
    struct config_listener *listener = &fixture->config.listeners[fixture->config.listener_count++];
    *listener = (struct config_listener){.mode = mode, .owner = (uid_t)-1, .group = (gid_t)-1};
    if (address_parse(url, 0, &listener->address, &fixture->error) != 0)
        fail_msg("%s", fixture->error.text);
    return listener;
}

static struct config_listener *add_unix(struct fixture *fixture, mode_t mode) {
    char url[128];
    (void)snprintf(url, sizeof url, "unix://%s", fixture->path);
    return add(fixture, url, mode);
}

static void must_open(struct fixture *fixture) {
    if (listener_open(&fixture->config, &fixture->set, &fixture->error) != 0)
        fail_msg("%s", fixture->error.text);
}

static void must_fail(struct fixture *fixture, const char *part) {
    assert_int_equal(listener_open(&fixture->config, &fixture->set, &fixture->error), -1);
    assert_int_equal(fixture->set.count, 0);
    if (strstr(fixture->error.text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", fixture->error.text, part);
}

/* A plain unix socket at `path`, listening if `backlog` is not negative. */
static int raw_socket(const char *path, int type, int backlog) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static in_port_t port_of(int fd) {
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(address.sin_family, AF_INET);
    return address.sin_port;
}

static void test_unix_opens(void **state) {
    struct fixture *fixture = *state;
    const struct config_listener *listener = add_unix(fixture, 0640);
    struct stat status;
    must_open(fixture);
    assert_int_equal(fixture->set.count, 1);
    int fd = fixture->set.entries[0].fd;
    assert_ptr_equal(fixture->set.entries[0].config, listener);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | 0640);

    int client = connect_unix(fixture->path);
    int server = accept(fd, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(close(server), 0);
    assert_int_equal(close(client), 0);

    listener_close(&fixture->set);
    assert_int_equal(fixture->set.count, 0);
    assert_int_equal(stat(fixture->path, &status), -1);
    assert_int_equal(errno, ENOENT);
}

/* The umask takes nothing from the mode that was asked for, and stays as it was. */
static void test_unix_mode_and_umask(void **state) {
    struct fixture *fixture = *state;
    struct stat status;
    add_unix(fixture, 0666);
    mode_t before = umask(077);
    must_open(fixture);
    assert_int_equal(umask(before), 077);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0666);
}

static void test_unix_owner(void **state) {
    struct fixture *fixture = *state;
    struct config_listener *listener = add_unix(fixture, 0600);
    struct stat status;
    listener->owner = 12345;
    listener->group = 54321;
    if (geteuid() != 0) {
        must_fail(fixture, "cannot give it to user 12345, group 54321");
        return;
    }
    must_open(fixture);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_uid, 12345);
    assert_int_equal(status.st_gid, 54321);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_dead_socket_is_replaced(void **state) {
    struct fixture *fixture = *state;
    struct stat before, after;
    add_unix(fixture, 0660);
    int fd = raw_socket(fixture->path, SOCK_STREAM, 1);
    assert_int_equal(stat(fixture->path, &before), 0);
    assert_int_equal(close(fd), 0);
    must_open(fixture);
    assert_int_equal(stat(fixture->path, &after), 0);
    assert_int_equal(close(connect_unix(fixture->path)), 0);
}

static void test_live_socket_is_left_alone(void **state) {
    struct fixture *fixture = *state;
    add_unix(fixture, 0660);
    int fd = raw_socket(fixture->path, SOCK_STREAM, 1);
    must_fail(fixture, "another process is listening");
    assert_int_equal(close(connect_unix(fixture->path)), 0);
    assert_int_equal(close(fd), 0);
}

/* A full queue answers EAGAIN, which is a sign of life. */
static void test_busy_socket_is_left_alone(void **state) {
    struct fixture *fixture = *state;
    add_unix(fixture, 0660);
    int fd = raw_socket(fixture->path, SOCK_STREAM, 0);
    int client = connect_unix(fixture->path);
    must_fail(fixture, "another process is listening");
    assert_int_equal(close(client), 0);
    assert_int_equal(close(fd), 0);
}

static void test_datagram_socket_is_left_alone(void **state) {
    struct fixture *fixture = *state;
    struct stat status;
    add_unix(fixture, 0660);
    int fd = raw_socket(fixture->path, SOCK_DGRAM, -1);
    must_fail(fixture, "another process is listening");
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(close(fd), 0);
}

static void test_other_files_are_left_alone(void **state) {
    struct fixture *fixture = *state;
    struct stat status;
    char target[64];
    add_unix(fixture, 0660);

    assert_int_equal(close(open(fixture->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    must_fail(fixture, "not a socket");
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(unlink(fixture->path), 0);

    /* Not even a link to a dead socket is followed. */
    (void)snprintf(target, sizeof target, "%s/t", fixture->folder);
    assert_int_equal(close(raw_socket(target, SOCK_STREAM, 1)), 0);
    assert_int_equal(symlink(target, fixture->path), 0);
    must_fail(fixture, "not a socket");
    assert_int_equal(lstat(fixture->path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(unlink(target), 0);
}

static void test_missing_folder(void **state) {
    struct fixture *fixture = *state;
    char url[128];
    (void)snprintf(url, sizeof url, "unix://%s/none/s", fixture->folder);
    add(fixture, url, 0660);
    must_fail(fixture, "No such file or directory");
    assert_non_null(strstr(fixture->error.text, "/none/"));
}

static void test_long_path(void **state) {
    struct fixture *fixture = *state;
    char folder[100], url[300];
    /* The longest path that a socket can have, in a folder with room for a temporary name. */
    (void)snprintf(folder, sizeof folder, "%s/%0*d", fixture->folder, 60, 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    int fill = 107 - (int)strlen(folder) - 1;
    (void)snprintf(url, sizeof url, "unix://%s/%0*d", folder, fill, 0);
    add(fixture, url, 0660);
    must_open(fixture);
    assert_int_equal(strlen(fixture->config.listeners[0].address.path), 107);
    listener_close(&fixture->set);
    assert_int_equal(rmdir(folder), 0);

    /* And a folder that leaves too little. */
    fixture->config.listener_count = 0;
    (void)snprintf(url, sizeof url, "unix:///%0*d/s", 104, 0);
    add(fixture, url, 0660);
    must_fail(fixture, "too long");
}

/* What somebody else has put there since is not ours to remove. */
static void test_foreign_file_survives_closing(void **state) {
    struct fixture *fixture = *state;
    struct stat status;
    add_unix(fixture, 0660);
    must_open(fixture);
    assert_int_equal(unlink(fixture->path), 0);
    int fd = raw_socket(fixture->path, SOCK_STREAM, 1);
    listener_close(&fixture->set);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(close(fd), 0);
}

static void test_tcp_opens(void **state) {
    struct fixture *fixture = *state;
    add(fixture, "tcp://127.0.0.1", 0);
    must_open(fixture);
    assert_int_equal(fixture->set.count, 1);
    int fd = fixture->set.entries[0].fd, on = 0, accepting = 0;
    socklen_t length = sizeof on;
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &length), 0);
    assert_int_equal(on, 1);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &length), 0);
    assert_int_equal(accepting, 1);
    assert_int_not_equal(port_of(fd), 0);
}

static void test_tcp_ipv6_only(void **state) {
    struct fixture *fixture = *state;
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), only = 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t length = sizeof only;
    bool missing = probe < 0 || bind(probe, (struct sockaddr *)&any, sizeof any) != 0;
    if (probe >= 0)
        (void)close(probe);
    if (missing)
        skip();
    add(fixture, "tcp://[::1]", 0);
    must_open(fixture);
    assert_int_equal(
        getsockopt(fixture->set.entries[0].fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length), 0);
    assert_int_equal(only, 1);
}

static void test_tcp_name(void **state) {
    struct fixture *fixture = *state;
    add(fixture, "tcp://localhost", 0);
    must_open(fixture);
    assert_true(fixture->set.count >= 1);
}

static void test_tcp_port_taken(void **state) {
    struct fixture *fixture = *state;
    add_unix(fixture, 0660);
    add(fixture, "tcp://127.0.0.1", 0);
    must_open(fixture);

    struct fixture *other = calloc(1, sizeof *other);
    struct stat status;
    assert_non_null(other);
    (void)snprintf(other->path, sizeof other->path, "%s/other", fixture->folder);
    (void)add_unix(other, 0660);
    struct config_listener *taken = add(other, "tcp://127.0.0.1", 0);
    taken->address.port = ntohs(port_of(fixture->set.entries[1].fd));
    must_fail(other, "in use");
    /* All or none: the unix socket that was opened first is gone again. */
    assert_int_equal(stat(other->path, &status), -1);
    free(other);
}

static void test_plain_tcp_needs_loopback(void **state) {
    struct fixture *fixture = *state;
    static const char *const urls[] = {"tcp://0.0.0.0", "tcp://[::]", "tcp://192.0.2.1",
                                       "tcp://[2001:db8::1]"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        fixture->config.listener_count = 0;
        struct config_listener *listener = add(fixture, urls[i], 0);
        must_fail(fixture, "not loopback");
        assert_int_equal(listener_check(&fixture->config, &fixture->error), -1);
        listener->tls = true;
        assert_int_equal(listener_check(&fixture->config, &fixture->error), 0);
        listener->tls = false;
        fixture->config.insecure_plain_tcp = true;
        assert_int_equal(listener_check(&fixture->config, &fixture->error), 0);
        fixture->config.insecure_plain_tcp = false;
    }
    fixture->config.listener_count = 0;
    fixture->config.insecure_plain_tcp = true;
    add(fixture, "tcp://0.0.0.0", 0);
    must_open(fixture);
}

static void test_check_opens_nothing(void **state) {
    struct fixture *fixture = *state;
    struct stat status;
    add_unix(fixture, 0660);
    add(fixture, "tcp://127.0.0.1", 0);
    assert_int_equal(listener_check(&fixture->config, &fixture->error), 0);
    assert_int_equal(stat(fixture->path, &status), -1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_unix_opens),
        TEST(test_unix_mode_and_umask),
        TEST(test_unix_owner),
        TEST(test_dead_socket_is_replaced),
        TEST(test_live_socket_is_left_alone),
        TEST(test_busy_socket_is_left_alone),
        TEST(test_datagram_socket_is_left_alone),
        TEST(test_other_files_are_left_alone),
        TEST(test_missing_folder),
        TEST(test_long_path),
        TEST(test_foreign_file_survives_closing),
        TEST(test_tcp_opens),
        TEST(test_tcp_ipv6_only),
        TEST(test_tcp_name),
        TEST(test_tcp_port_taken),
        TEST(test_plain_tcp_needs_loopback),
        TEST(test_check_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
