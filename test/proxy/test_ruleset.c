#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proxy/ruleset.h"

/* Two workers' leases and the owner: the set goes with the last, which the sanitizers watch. */
static void the_last_to_let_go_frees_it(void **state) {
    (void)state;
    struct config config = {0};
    struct error error = {""};
    struct ruleset *set = ruleset_new(&config, &error);
    assert_non_null(set);
    assert_non_null(set->rules);
    assert_null(set->server_tls);
    assert_null(set->client_tls);
    struct lease *leases[] = {lease_new(set), lease_new(set)};
    assert_non_null(leases[0]);
    assert_non_null(leases[1]);
    assert_int_equal(atomic_load(&set->references), 3);
    assert_ptr_equal(lease_use(leases[0]), leases[0]);
    lease_end(leases[0]);
    assert_int_equal(atomic_load(&set->references), 3);
    lease_end(leases[0]);
    assert_int_equal(atomic_load(&set->references), 2);
    ruleset_release(set);
    assert_int_equal(atomic_load(&set->references), 1);
    assert_ptr_equal(leases[1]->set, set);
    lease_end(leases[1]);
    lease_end(NULL);
    ruleset_release(NULL);
}

static void a_missing_file_is_named(void **state) {
    (void)state;
    struct error error = {""};
    struct config listening = {
        .listeners = {{.tls = true}},
        .listener_count = 1,
        .server_tls = {"/nowhere/cert.pem", "/nowhere/key.pem", "/nowhere/ca.pem"},
    };
    assert_null(ruleset_new(&listening, &error));
    assert_non_null(strstr(error.text, "/nowhere/ca.pem"));
    struct config engine = {
        .upstream_tls = true,
        .upstream = {.host = "dind"},
        .upstream_files = {.authority = "/nowhere/engine.pem"},
    };
    assert_null(ruleset_new(&engine, &error));
    assert_non_null(strstr(error.text, "/nowhere/engine.pem"));
}

static void a_bad_policy_is_named(void **state) {
    (void)state;
    const char *const binds[] = {"relative"};
    struct error error = {""};
    struct config config = {.filter = {.allow_binds = binds, .allow_bind_count = 1}};
    assert_null(ruleset_new(&config, &error));
    assert_non_null(strstr(error.text, "relative"));
}

static int set_up(void **state) {
    (void)state;
    return tls_global_init();
}

static int tear_down(void **state) {
    (void)state;
    tls_global_cleanup();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_to_let_go_frees_it),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_bad_policy_is_named),
    };
    return cmocka_run_group_tests_name("ruleset", tests, set_up, tear_down);
}
