/* Certificate files: read with suspicion, replaced in one step, locked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/cert_files.h"
#include "proxy/certs_run.h"

static const struct certs_owner nobody = {(uid_t)-1, (gid_t)-1};
static char top[64];

static int set_up(void **state) {
    (void)state;
    strcpy(top, "/tmp/dind-proxy-certs.XXXXXX");
    return mkdtemp(top) != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

static const char *below(const char *name) {
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", top, name);
    return path;
}

static mode_t mode_of(const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static struct cert_folder open_folder(const char *name) {
    struct cert_folder folder;
    struct error error = {""};
    assert_int_equal(cert_folder_open(below(name), 0755, &folder, &error), 0);
    return folder;
}

static void folders(void **state) {
    (void)state;
    struct cert_folder folder;
    struct error error = {""};
    mode_t mask = umask(0777);
    assert_int_equal(cert_folder_open(below("a/b/c"), 0700, &folder, &error), 0);
    (void)umask(mask);
    assert_true(folder.fd >= 0);
    cert_folder_close(&folder);
    assert_int_equal(mode_of(below("a")), 0755);
    assert_int_equal(mode_of(below("a/b")), 0755);
    assert_int_equal(mode_of(below("a/b/c")), 0700);
    /* One that is there keeps its mode. */
    assert_int_equal(chmod(below("a/b/c"), 0750), 0);
    assert_int_equal(cert_folder_open(below("a/b/c"), 0700, &folder, &error), 0);
    cert_folder_close(&folder);
    assert_int_equal(mode_of(below("a/b/c")), 0750);
    /* Without leave to make it. */
    assert_int_equal(cert_folder_open(below("nowhere"), 0, &folder, &error), 0);
    assert_int_equal(folder.fd, -1);
    /* A file in the way. */
    int fd = open(below("file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(cert_folder_open(below("file"), 0755, &folder, &error), -1);
    assert_int_equal(cert_folder_open(below("file/x"), 0755, &folder, &error), -1);
    assert_int_equal(cert_folder_open("", 0755, &folder, &error), -1);
}

static void write_and_read(void **state) {
    (void)state;
    struct cert_folder folder = open_folder("w");
    struct cert_file file, again;
    struct error error = {""};
    assert_int_equal(cert_file_read(&folder, "x", false, &file, &error), 0);
    assert_null(file.data);
    assert_false(file.odd);
    assert_int_equal(cert_file_write(&folder, "x", "one", 3, 0600, &nobody, NULL, &error), 0);
    assert_int_equal(cert_file_read(&folder, "x", false, &file, &error), 0);
    assert_string_equal((char *)file.data, "one");
    assert_int_equal(file.len, 3);
    assert_int_equal(mode_of(below("w/x")), 0600);
    /* Another inode: who has the old file open goes on reading that. */
    assert_int_equal(cert_file_write(&folder, "x", "three", 5, 0640, &nobody, &file, &error), 0);
    assert_int_equal(cert_file_read(&folder, "x", false, &again, &error), 0);
    assert_string_equal((char *)again.data, "three");
    assert_int_not_equal(file.status.st_ino, again.status.st_ino);
    cert_file_wipe(&file);
    cert_file_wipe(&again);
    /* A folder in the way cannot be replaced, and nothing is left behind. */
    assert_int_equal(mkdir(below("w/folder"), 0755), 0);
    assert_int_equal(cert_file_write(&folder, "folder", "x", 1, 0600, &nobody, NULL, &error), -1);
    assert_int_equal(access(below("w/.folder.new"), F_OK), -1);
    assert_int_equal(cert_file_read(&folder, "folder", false, &file, &error), 0);
    assert_true(file.odd);
    assert_int_equal(cert_file_remove(&folder, "x", &error), 0);
    assert_int_equal(cert_file_remove(&folder, "x", &error), 0);
    cert_folder_close(&folder);
}

static void odd_files(void **state) {
    (void)state;
    struct cert_folder folder = open_folder("odd");
    struct cert_file file;
    struct error error = {""};
    assert_int_equal(symlink("/etc/passwd", below("odd/link")), 0);
    assert_int_equal(mkfifo(below("odd/fifo"), 0600), 0);
    assert_int_equal(cert_file_read(&folder, "link", false, &file, &error), 0);
    assert_true(file.odd && file.data == NULL);
    assert_int_equal(cert_file_read(&folder, "fifo", false, &file, &error), 0);
    assert_true(file.odd && file.data == NULL);
    assert_int_equal(cert_file_read(&folder, "link", true, &file, &error), 0);
    assert_non_null(file.data);
    cert_file_wipe(&file);
    int fd = open(below("odd/big"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    close(fd);
    assert_int_equal(cert_file_read(&folder, "big", false, &file, &error), 0);
    assert_true(file.odd && file.data == NULL);
    cert_folder_close(&folder);
}

static void settle(void **state) {
    (void)state;
    struct cert_folder folder = open_folder("s");
    struct cert_file file;
    struct error error = {""};
    static const struct {
        mode_t before, allowed, needed, after;
    } cases[] = {
        {0644, 0640, 0400, 0640},  {0640, 0640, 0400, 0640}, {0040, 0640, 0400, 0440},
        {0666, 0644, 0644, 0644},  {0600, 0644, 0644, 0644}, {0400, 0600, 0400, 0400},
        {04755, 0640, 0400, 0640},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool changed = false;
        assert_int_equal(cert_file_write(&folder, "x", "x", 1, 0600, &nobody, NULL, &error), 0);
        assert_int_equal(chmod(below("s/x"), 0600), 0);
        assert_int_equal(cert_file_read(&folder, "x", false, &file, &error), 0);
        assert_int_equal(chmod(below("s/x"), cases[i].before), 0);
        assert_int_equal(stat(below("s/x"), &file.status), 0);
        if (geteuid() != 0 && (cases[i].before & 0400) == 0) {
            cert_file_wipe(&file);
            continue; /* only root can open what it may not read */
        }
        assert_int_equal(cert_file_settle(&folder, "x", &file, cases[i].allowed, cases[i].needed,
                                          &nobody, true, &changed, &error),
                         0);
        assert_int_equal(changed, cases[i].before != cases[i].after);
        assert_int_equal(mode_of(below("s/x")), cases[i].before);
        assert_int_equal(cert_file_settle(&folder, "x", &file, cases[i].allowed, cases[i].needed,
                                          &nobody, false, &changed, &error),
                         0);
        assert_int_equal(mode_of(below("s/x")), cases[i].after);
        cert_file_wipe(&file);
    }
    cert_folder_close(&folder);
}

static void locks(void **state) {
    (void)state;
    struct cert_folder one = open_folder("l"), two = open_folder("l");
    struct error error = {""};
    assert_int_equal(cert_folder_lock(&one, 0, &error), 0);
    assert_int_equal(cert_folder_lock(&two, 0, &error), -1);
    assert_non_null(strstr(error.text, "another run"));
    cert_folder_close(&one);
    assert_int_equal(cert_folder_lock(&two, 0, &error), 0);
    cert_folder_close(&two);
}

static void due(void **state) {
    (void)state;
    const struct tls_issued issued = {.not_before = 1000, .not_after = 1000 + 300};
    assert_false(certs_is_due(&issued, 1000));
    assert_false(certs_is_due(&issued, 1200));
    assert_true(certs_is_due(&issued, 1201));
    assert_true(certs_is_due(&issued, 1301));
    assert_true(certs_is_due(&issued, 9999));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders), cmocka_unit_test(write_and_read), cmocka_unit_test(odd_files),
        cmocka_unit_test(settle),  cmocka_unit_test(locks),          cmocka_unit_test(due),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
