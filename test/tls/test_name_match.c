#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tls/name_match.h"

static void dns_names(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *host;
        bool matches;
    } cases[] = {
        {"dind", "dind", true},
        {"DIND.Example.ORG", "dind.example.org", true},
        {"dind.example.org", "dind.example.org.", true},
        {"dind.example.org.", "dind.example.org", false},
        {"dind", "dind2", false},
        {"dind2", "dind", false},
        {"*.example.org", "a.example.org", true},
        {"*.example.org", "A.EXAMPLE.org.", true},
        {"*.example.org", "a.b.example.org", false},
        {"*.example.org", "example.org", false},
        {"*.example.org", ".example.org", false},
        {"*.org", "example.org", false},
        {"*", "example", false},
        {"*.", "example.", false},
        {"a*.example.org", "ab.example.org", false},
        {"a.*.org", "a.b.org", false},
        {"*.example.org", "*.example.org", false},
        {"", "a", false},
        {"a", "", false},
        {"a", ".", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (tls_name_matches_dns(cases[i].pattern, strlen(cases[i].pattern), cases[i].host) !=
            cases[i].matches)
            fail_msg("\"%s\" for \"%s\"", cases[i].pattern, cases[i].host);
}

static void dns_name_with_nul_matches_nothing(void **state) {
    (void)state;
    static const char pattern[] = "dind\0.evil.example";
    assert_false(tls_name_matches_dns(pattern, sizeof pattern - 1, "dind"));
}

static void addresses(void **state) {
    (void)state;
    const unsigned char v4[] = {127, 0, 0, 1};
    const unsigned char v6[16] = {[15] = 1};
    assert_true(tls_name_matches_address(v4, sizeof v4, "127.0.0.1"));
    assert_false(tls_name_matches_address(v4, sizeof v4, "127.0.0.2"));
    assert_true(tls_name_matches_address(v6, sizeof v6, "::1"));
    assert_true(tls_name_matches_address(v6, sizeof v6, "0:0:0:0:0:0:0:1"));
    assert_false(tls_name_matches_address(v6, sizeof v6, "127.0.0.1"));
    assert_false(tls_name_matches_address(v6, 4, "0.0.0.1"));
    assert_false(tls_name_matches_address(v4, sizeof v4, "localhost"));
    assert_true(tls_name_is_address("10.0.0.1"));
    assert_true(tls_name_is_address("fe80::1"));
    assert_false(tls_name_is_address("[::1]"));
    assert_false(tls_name_is_address("10.0.0"));
    assert_false(tls_name_is_address("dind"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dns_names),
        cmocka_unit_test(dns_name_with_nul_matches_nothing),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
