/* What is given up, tried by children that have given it up. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/sandbox_build.h"
#include "proxy/sandbox_landlock.h"
#include "proxy/sandbox_paths.h"
#include "proxy/sandbox_privileges.h"

struct fixture {
    char folder[40];
    char secret[64];  /* a file in a folder that nothing was planned of */
    char wanted[64];  /* a file that is to be read */
    char link[64];    /* to `secret`, in the folder of `wanted` */
    char written[64]; /* a file that is to be written, in another folder */
    struct sandbox_paths paths;
};

static void make_folder(const struct fixture *fixture, const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const struct fixture *fixture, char *path, size_t size, const char *name) {
    (void)snprintf(path, size, "%s/%s", fixture->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/test_sandbox.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    make_folder(fixture, "other");
    make_folder(fixture, "read");
    make_folder(fixture, "write");
    make_file(fixture, fixture->secret, sizeof fixture->secret, "other/secret");
    make_file(fixture, fixture->wanted, sizeof fixture->wanted, "read/wanted");
    make_file(fixture, fixture->written, sizeof fixture->written, "write/log");
    (void)snprintf(fixture->link, sizeof fixture->link, "%s/read/link", fixture->folder);
    assert_int_equal(symlink(fixture->secret, fixture->link), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    char command[80];
    sandbox_paths_free(&fixture->paths);
    (void)snprintf(command, sizeof command, "rm -r %s", fixture->folder);
    int result = system(command); // NOLINT: a folder of our own
    free(fixture);
    return result;
}

static void plan(struct fixture *fixture, enum sandbox_use use, const char *path) {
    struct error error;
    assert_int_equal(sandbox_paths_add(&fixture->paths, use, path, &error), 0);
}

/* The exit status of a child that runs `act`: 0 if all was as it should be, else a line number. */
static void in_child(struct fixture *fixture, int (*act)(struct fixture *fixture)) {
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(act(fixture));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0)
        fail_msg("the check %d of the child failed", WEXITSTATUS(status));
}

#define CHECK(number, condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return number;                                                                         \
    } while (0)

static void paths(void **state) {
    struct fixture *fixture = *state;
    plan(fixture, SANDBOX_READ, NULL);
    assert_int_equal(fixture->paths.count, 0);
    plan(fixture, SANDBOX_READ, fixture->link);
    plan(fixture, SANDBOX_REMOVE, "/run.sock");
    plan(fixture, SANDBOX_CONNECT, "here");
    assert_int_equal(fixture->paths.count, 3);
    assert_true(strstr(fixture->paths.entries[0].folder, "/read") != NULL);
    assert_true(strstr(fixture->paths.entries[0].real_folder, "/other") != NULL);
    assert_string_equal(fixture->paths.entries[1].folder, "/");
    assert_null(fixture->paths.entries[1].real_folder);
    assert_string_equal(fixture->paths.entries[2].folder, ".");
}

/* --- Landlock */

static bool opens(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static int behind_landlock(struct fixture *fixture) {
    char text[200], made[80], moved[80];
    const struct sandbox_network network = {.ports = {53}, .count = 1};
    plan(fixture, SANDBOX_READ, fixture->wanted);
    plan(fixture, SANDBOX_WRITE, fixture->written);
    plan(fixture, SANDBOX_READ, "/no/such/folder/file");
    CHECK(1, sandbox_no_new_privileges(text, sizeof text));
    CHECK(2, sandbox_landlock_enter(&fixture->paths, &network, text, sizeof text));
    CHECK(3, opens(fixture->wanted, O_RDONLY));
    CHECK(4, !opens(fixture->wanted, O_WRONLY) && errno == EACCES);
    /* What the files are is no matter: others may have come in their place. */
    CHECK(5, unlink(fixture->wanted) != 0 && errno == EACCES);
    /* The sanitizers' reports need to read. */
    CHECK(6, SANDBOX_SANITIZED || (!opens(fixture->secret, O_RDONLY) && errno == EACCES));
    CHECK(7, SANDBOX_SANITIZED || (!opens(fixture->link, O_RDONLY) && errno == EACCES));
    CHECK(8, SANDBOX_SANITIZED || !opens("/etc/passwd", O_RDONLY));
    CHECK(9, !opens(fixture->secret, O_WRONLY) && errno == EACCES);
    CHECK(10, opens(fixture->written, O_WRONLY | O_APPEND | O_CREAT));
    (void)snprintf(made, sizeof made, "%s/write/new", fixture->folder);
    (void)snprintf(moved, sizeof moved, "%s/write/moved", fixture->folder);
    CHECK(11, opens(made, O_WRONLY | O_CREAT | O_EXCL));
    CHECK(12, rename(made, moved) == 0 && unlink(moved) == 0);
    (void)snprintf(made, sizeof made, "%s/read/new", fixture->folder);
    CHECK(13, !opens(made, O_WRONLY | O_CREAT) && errno == EACCES);
    return 0;
}

static void landlock(void **state) {
    char text[200];
    if (sandbox_landlock_version(text, sizeof text) == 0) {
        print_message("Landlock cannot be tried here: %s\n", text);
        skip();
    }
    in_child(*state, behind_landlock);
}

static int with_a_link(struct fixture *fixture) {
    char text[200];
    const struct sandbox_network network = {.count = 0};
    plan(fixture, SANDBOX_READ, fixture->link);
    CHECK(1, sandbox_no_new_privileges(text, sizeof text));
    CHECK(2, sandbox_landlock_enter(&fixture->paths, &network, text, sizeof text));
    CHECK(3, opens(fixture->link, O_RDONLY));
    return 0;
}

static void landlock_follows_a_link_that_was_planned(void **state) {
    char text[200];
    if (sandbox_landlock_version(text, sizeof text) == 0) {
        print_message("Landlock cannot be tried here: %s\n", text);
        skip();
    }
    in_child(*state, with_a_link);
}

/* --- privileges */

static uint64_t effective(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct words[2] = {{0}};
    if (syscall(SYS_capget, &header, words) != 0)
        return UINT64_MAX;
    return (uint64_t)words[1].effective << 32 | words[0].effective | words[0].permitted;
}

static int give_up_all(struct fixture *fixture) {
    char text[200] = "";
    plan(fixture, SANDBOX_READ, fixture->wanted);
    CHECK(1, sandbox_no_capabilities(&fixture->paths, text, sizeof text));
    CHECK(2, effective() == 0 && text[0] == '\0');
    CHECK(3, sandbox_no_capabilities(&fixture->paths, text, sizeof text)); /* once more */
    return 0;
}

static void no_capabilities(void **state) {
    in_child(*state, give_up_all);
}

static int keep_one(struct fixture *fixture) {
    char text[200] = "";
    plan(fixture, SANDBOX_READ, fixture->wanted);
    CHECK(1, chown(fixture->wanted, 12345, 12345) == 0);
    CHECK(2, !sandbox_no_capabilities(&fixture->paths, text, sizeof text));
    CHECK(3, strstr(text, "CAP_DAC_OVERRIDE") != NULL && strstr(text, fixture->wanted) != NULL);
    CHECK(4, effective() == 1ULL << CAP_DAC_OVERRIDE);
    CHECK(5, opens(fixture->wanted, O_RDONLY));
    return 0;
}

static void files_of_others_stay_readable(void **state) {
    if ((effective() & (1ULL << CAP_DAC_OVERRIDE)) == 0 || geteuid() != 0) {
        print_message("only root can have files of others\n");
        skip();
    }
    in_child(*state, keep_one);
}

static int give_up_dumps(struct fixture *fixture) {
    char text[200] = "";
    struct rlimit limit = {1, 1};
    (void)fixture;
    CHECK(1, sandbox_no_core_dumps(text, sizeof text));
    CHECK(2, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    CHECK(3, getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0);
    CHECK(4, sandbox_no_core_dumps(text, sizeof text));
    return 0;
}

static void no_core_dumps(void **state) {
    in_child(*state, give_up_dumps);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths, setup, teardown),
        cmocka_unit_test_setup_teardown(landlock, setup, teardown),
        cmocka_unit_test_setup_teardown(landlock_follows_a_link_that_was_planned, setup, teardown),
        cmocka_unit_test_setup_teardown(no_capabilities, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_others_stay_readable, setup, teardown),
        cmocka_unit_test_setup_teardown(no_core_dumps, setup, teardown),
    };
    return cmocka_run_group_tests_name("proxy.sandbox", tests, NULL, NULL);
}
