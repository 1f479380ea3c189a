#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/notify.h"

/* The manager's end of the socket. */
struct fixture {
    char folder[32];
    char path[64];
    int manager;
    struct notify notify;
    struct error error;
};

static int bind_manager(const struct sockaddr_un *address, socklen_t length) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)address, length), 0);
    return fd;
}

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/test_notify.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/s", fixture->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, fixture->path, strlen(fixture->path) + 1);
    fixture->manager = bind_manager(&address, sizeof address);
    fixture->notify.fd = -1;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    notify_close(&fixture->notify);
    close(fixture->manager);
    (void)unlink(fixture->path);
    int result = rmdir(fixture->folder);
    free(fixture);
    return result;
}

static void set(const char *name, const char *value) {
    assert_int_equal(setenv(name, value, 1), 0);
}

static void expect_datagram(int fd, const char *text) {
    char data[128];
    ssize_t got = recv(fd, data, sizeof data, MSG_DONTWAIT);
    assert_int_equal(got, (ssize_t)strlen(text));
    assert_memory_equal(data, text, strlen(text));
}

static void nobody_asked(void **state) {
    struct fixture *fixture = *state;
    set("WATCHDOG_USEC", "1000000"); /* without a socket there is no one to tell */
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    assert_int_equal(fixture->notify.fd, -1);
    assert_int_equal(fixture->notify.watchdog, 0);
    assert_int_equal(notify_send(&fixture->notify, "READY=1"), 0);
}

static void by_path(void **state) {
    struct fixture *fixture = *state;
    set("NOTIFY_SOCKET", fixture->path);
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    assert_int_equal(notify_send(&fixture->notify, "READY=1"), 0);
    assert_int_equal(notify_send(&fixture->notify, "WATCHDOG=1"), 0);
    expect_datagram(fixture->manager, "READY=1");
    expect_datagram(fixture->manager, "WATCHDOG=1");
    assert_int_equal(fixture->notify.watchdog, 0);
}

static void by_abstract_name(void **state) {
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int length = snprintf(name, sizeof name, "@test_notify.%d", (int)getpid());
    memcpy(address.sun_path, name, (size_t)length);
    address.sun_path[0] = '\0';
    int manager = bind_manager(
        &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length));
    set("NOTIFY_SOCKET", name);
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    assert_int_equal(notify_send(&fixture->notify, "STOPPING=1"), 0);
    expect_datagram(manager, "STOPPING=1");
    close(manager);
}

static void watchdog(void **state) {
    struct fixture *fixture = *state;
    char pid[32];
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    set("NOTIFY_SOCKET", fixture->path);
    set("WATCHDOG_USEC", "30000000");
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    assert_int_equal(fixture->notify.watchdog, 30000);
    notify_close(&fixture->notify);
    set("WATCHDOG_PID", pid);
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    assert_int_equal(fixture->notify.watchdog, 30000);
    notify_close(&fixture->notify);
    set("WATCHDOG_PID", "1"); /* our parent's */
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    assert_int_equal(fixture->notify.watchdog, 0);
}

static void bad_values(void **state) {
    struct fixture *fixture = *state;
    char too_long[200];
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    const char *const sockets[] = {"relative", "@", "/", "vsock:2:1", too_long};
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++) {
        set("NOTIFY_SOCKET", sockets[i]);
        assert_int_equal(notify_open(&fixture->notify, &fixture->error), -1);
        assert_non_null(strstr(fixture->error.text, "NOTIFY_SOCKET"));
    }
    const char *const times[] = {"x", "-1", "1s", " 1", "99999999999999999999999"};
    set("NOTIFY_SOCKET", fixture->path);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        set("WATCHDOG_USEC", times[i]);
        assert_int_equal(notify_open(&fixture->notify, &fixture->error), -1);
        assert_non_null(strstr(fixture->error.text, "WATCHDOG_USEC"));
    }
}

/* A manager that is gone is the caller's to report, not a reason to wait or to end. */
static void manager_gone(void **state) {
    struct fixture *fixture = *state;
    set("NOTIFY_SOCKET", fixture->path);
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(notify_send(&fixture->notify, "READY=1"), -1);
    assert_int_equal(errno, ENOENT);
}

/* One that does not read is waited for, but not for ever. */
static void manager_busy(void **state) {
    struct fixture *fixture = *state;
    set("NOTIFY_SOCKET", fixture->path);
    assert_int_equal(notify_open(&fixture->notify, &fixture->error), 0);
    int result = 0;
    for (int i = 0; i < 100000 && result == 0; i++)
        result = notify_send(&fixture->notify, "WATCHDOG=1");
    assert_int_equal(result, -1);
    assert_int_equal(errno, EAGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nobody_asked), TEST(by_path),      TEST(by_abstract_name), TEST(watchdog),
        TEST(bad_values),   TEST(manager_gone), TEST(manager_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
