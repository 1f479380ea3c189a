#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/accounts.h"

static void names(void **state) {
    uid_t user = 1;
    gid_t group = 1;
    (void)state;
    for (int i = 0; i < 2; i++) { /* asked, then remembered */
        assert_true(account_user("root", &user));
        assert_int_equal(user, 0);
        assert_true(account_group("root", &group));
        assert_int_equal(group, 0);
        user = group = 1;
    }
    assert_false(account_user("nobody-knows", &user));
    assert_false(account_user("", &user));
    assert_false(account_group("nobody-knows", &group));
    assert_false(account_group("", &group));
    assert_int_equal(user, 1);
    assert_int_equal(group, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
    return cmocka_run_group_tests_name("proxy.accounts", tests, NULL, NULL);
}
