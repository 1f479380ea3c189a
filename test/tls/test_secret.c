#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "proxy/sandbox_build.h"
#include "tls/secret.h"

/* The kernel's flags of the mapping at an address (proc(5), smaps, VmFlags). */
static void read_flags(const void *address, char *flags, size_t size) {
    char line[512];
    bool within = false;
    FILE *maps = fopen("/proc/self/smaps", "re");
    assert_non_null(maps);
    flags[0] = '\0';
    while (flags[0] == '\0' && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            within = (uintptr_t)address >= begin && (uintptr_t)address < end;
        else if (within && strncmp(line, "VmFlags:", 8) == 0)
            (void)snprintf(flags, size, "%s", line + 8);
    }
    (void)fclose(maps);
    assert_true(flags[0] != '\0');
}

static void locked_and_not_dumped(void **state) {
    (void)state;
    char flags[512];
    struct rlimit limit;
    unsigned char *secret = tls_secret_new(5000);
    assert_non_null(secret);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(secret[i], 0);
    read_flags(secret, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    /* The sanitizers' mlock does nothing. */
    if (limit.rlim_cur >= 65536 && !SANDBOX_SANITIZED)
        assert_non_null(strstr(flags, " lo"));
    tls_secret_free(secret, 5000);
}

static void nothing(void **state) {
    (void)state;
    tls_secret_free(NULL, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locked_and_not_dumped),
        cmocka_unit_test(nothing),
    };
    return cmocka_run_group_tests_name("tls.secret", tests, NULL, NULL);
}
