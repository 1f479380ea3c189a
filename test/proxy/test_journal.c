#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/journal.h"

/* JOURNAL_STREAM as systemd would write it for the descriptor, and as it would not. */
static void it_is_told_by_device_and_inode(void **state) {
    (void)state;
    static const struct {
        const char *form;
        int more; /* than the inode */
        bool is;
    } cases[] = {
        {"%ju:%ju", 0, true},
        {"%ju:%ju", 1, false},
        {"%ju:%ju ", 0, false},
        {"%ju:%jux", 0, false},
        {" %ju:%ju", 0, false},
        {"%ju %ju", 0, false},
        {"%ju", 0, false},
        {"%ju:%ju:1", 0, false},
        {"-%ju:%ju", 0, false},
        {"", 0, false},
        {":", 0, false},
        {"999%ju:%ju", 0, false},
        {"%ju:999999999999999999999999%ju", 0, false},
    };
    int fd = memfd_create("journal", 0);
    struct stat status;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char stream[128];
        (void)snprintf(stream, sizeof stream, cases[i].form, (uintmax_t)status.st_dev,
                       (uintmax_t)status.st_ino + (uintmax_t)cases[i].more);
        if (journal_is(fd, stream) != cases[i].is)
            fail_msg("%s", stream);
    }
    assert_false(journal_is(fd, NULL));
    close(fd);
    char stream[128];
    (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    assert_false(journal_is(fd, stream));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_told_by_device_and_inode)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
