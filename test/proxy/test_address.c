#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/address.h"

static void test_unix(void **state) {
    struct address address;
    struct error error;
    char text[200];
    (void)state;
    assert_int_equal(address_parse("unix:///run/docker.sock", 1, &address, &error), 0);
    assert_int_equal(address.kind, ADDRESS_UNIX);
    assert_string_equal(address.path, "/run/docker.sock");
    assert_string_equal(address_format(&address, text, sizeof text), "unix:///run/docker.sock");
    assert_false(address_is_loopback(&address));
}

static void test_unix_length(void **state) {
    struct address address;
    struct error error;
    char url[200];
    (void)state;
    /* sun_path has 108 bytes, one of them for the NUL. */
    (void)snprintf(url, sizeof url, "unix:///%0106d", 0);
    assert_int_equal(address_parse(url, 0, &address, &error), 0);
    assert_int_equal(strlen(address.path), 107);
    (void)snprintf(url, sizeof url, "unix:///%0107d", 0);
    assert_int_equal(address_parse(url, 0, &address, &error), -1);
    assert_non_null(strstr(error.text, "108 bytes long"));
}

struct tcp_case {
    const char *url;
    const char *host;
    uint16_t port;
    bool loopback;
    const char *formatted;
};

static void test_tcp(void **state) {
    static const struct tcp_case cases[] = {
        {"tcp://127.0.0.1:2375", "127.0.0.1", 2375, true, "tcp://127.0.0.1:2375"},
        {"tcp://127.9.9.9", "127.9.9.9", 99, true, "tcp://127.9.9.9:99"},
        {"tcp://0.0.0.0:1", "0.0.0.0", 1, false, "tcp://0.0.0.0:1"},
        {"tcp://128.0.0.1:1", "128.0.0.1", 1, false, "tcp://128.0.0.1:1"},
        {"tcp://localhost:65535", "localhost", 65535, true, "tcp://localhost:65535"},
        {"tcp://LocalHost", "LocalHost", 99, true, "tcp://LocalHost:99"},
        {"tcp://localhost.example", "localhost.example", 99, false, "tcp://localhost.example:99"},
        {"tcp://127.0.0.1.example", "127.0.0.1.example", 99, false, "tcp://127.0.0.1.example:99"},
        {"tcp://docker:2375/", "docker", 2375, false, "tcp://docker:2375"},
        {"tcp://[::1]:2376", "::1", 2376, true, "tcp://[::1]:2376"},
        {"tcp://[::1]", "::1", 99, true, "tcp://[::1]:99"},
        {"tcp://[::]:2376", "::", 2376, false, "tcp://[::]:2376"},
        {"tcp://[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, true, "tcp://[::ffff:127.0.0.1]:1"},
        {"tcp://[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1", 1, false, "tcp://[::ffff:10.0.0.1]:1"},
        {"tcp://[fe80::1%eth0]:1", "fe80::1%eth0", 1, false, "tcp://[fe80::1%eth0]:1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address address;
        struct error error = {""};
        char text[300];
        if (address_parse(cases[i].url, 99, &address, &error) != 0)
            fail_msg("%s: %s", cases[i].url, error.text);
        assert_int_equal(address.kind, ADDRESS_TCP);
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        assert_string_equal(address_format(&address, text, sizeof text), cases[i].formatted);
        if (address_is_loopback(&address) != cases[i].loopback)
            fail_msg("loopback: %s", cases[i].url);
    }
}

static void test_malformed(void **state) {
    static const char *const urls[] = {
        "",
        "docker.sock",
        "/run/docker.sock",
        "unix://",
        "unix:///",
        "unix://run/docker.sock",
        "unix:///run/",
        "UNIX:///run/x",
        "ssh://host",
        "http://host",
        "fd://",
        "npipe:////./pipe/docker_engine",
        "tcp://",
        "tcp://:2375",
        "tcp:///",
        "tcp://host:",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:99999999999999999999",
        "tcp://host:+1",
        "tcp://host: 1",
        "tcp://host:1x",
        "tcp://host:1/path",
        "tcp://host/path",
        "tcp://ho st",
        "tcp://user@host",
        "tcp://::1:2375",
        "tcp://[::1",
        "tcp://[]:1",
        "tcp://[localhost]:1",
        "tcp://[127.0.0.1]:1",
        "tcp://[::1]2375",
        "tcp://[::1%]:1",
        "tcp://[::1%a/b]:1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct address address;
        struct error error = {""};
        if (address_parse(urls[i], 99, &address, &error) != -1)
            fail_msg("accepted: %s", urls[i]);
        if (error.text[0] == '\0')
            fail_msg("no error: %s", urls[i]);
    }
}

static void test_host_length(void **state) {
    struct address address;
    struct error error;
    char url[400];
    (void)state;
    (void)snprintf(url, sizeof url, "tcp://%0255d:1", 0);
    assert_int_equal(address_parse(url, 0, &address, &error), 0);
    (void)snprintf(url, sizeof url, "tcp://%0256d:1", 0);
    assert_int_equal(address_parse(url, 0, &address, &error), -1);
}

static void test_format_cuts(void **state) {
    struct address address;
    struct error error;
    char text[8];
    (void)state;
    assert_int_equal(address_parse("tcp://example:1", 0, &address, &error), 0);
    assert_string_equal(address_format(&address, text, sizeof text), "tcp://e");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unix),        cmocka_unit_test(test_unix_length),
        cmocka_unit_test(test_tcp),         cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_host_length), cmocka_unit_test(test_format_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
