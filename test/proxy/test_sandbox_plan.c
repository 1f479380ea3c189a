#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/options.h"
#include "proxy/sandbox.h"
#include "proxy/sandbox_bpf.h"

struct fixture {
    struct options options;
    struct sandbox sandbox;
};

static void plan(struct fixture *fixture, int argc, char *argv[], bool abstract) {
    char *environment[] = {NULL};
    struct error error = {""};
    if (options_parse(argc, argv, environment, &fixture->options, &error) != 0 ||
        sandbox_plan(&fixture->sandbox, &fixture->options.config, abstract, &error) != 0)
        fail_msg("%s", error.text);
}

static void end(struct fixture *fixture) {
    sandbox_free(&fixture->sandbox);
    options_free(&fixture->options);
}

static bool planned(const struct fixture *fixture, enum sandbox_use use, const char *path) {
    for (size_t i = 0; i < fixture->sandbox.paths.count; i++)
        if (fixture->sandbox.paths.entries[i].use == use &&
            strcmp(fixture->sandbox.paths.entries[i].path, path) == 0)
            return true;
    return false;
}

static void unix_on_both_hops(void **state) {
    struct fixture fixture = {0};
    char *argv[] = {"dind-proxy",       "--listen",         "unix:///a/l.sock",
                    "--upstream",       "unix:///b/e.sock", "--metrics",
                    "unix:///c/m.sock", "--sandbox",        "require"};
    (void)state;
    plan(&fixture, sizeof argv / sizeof *argv, argv, true);
    assert_int_equal(fixture.sandbox.mode, SANDBOX_REQUIRE);
    assert_int_equal(fixture.sandbox.paths.count, 3);
    assert_true(planned(&fixture, SANDBOX_REMOVE, "/a/l.sock"));
    assert_true(planned(&fixture, SANDBOX_CONNECT, "/b/e.sock"));
    assert_true(planned(&fixture, SANDBOX_REMOVE, "/c/m.sock"));
    assert_int_equal(fixture.sandbox.network.count, 0);
    assert_true(fixture.sandbox.network.abstract);
    assert_int_equal(fixture.sandbox.calls, 0);
    struct error error;
    assert_int_equal(sandbox_plan_write(&fixture.sandbox, "/d/audit.log", &error), 0);
    assert_true(planned(&fixture, SANDBOX_WRITE, "/d/audit.log"));
    assert_int_equal(fixture.sandbox.calls, SANDBOX_WHEN_WRITES);
    end(&fixture);
}

static void tls_on_both_hops(void **state) {
    struct fixture fixture = {0};
    char *argv[] = {"dind-proxy",  "--listen",      "tcp://127.0.0.1:2376", "--tls-cert",
                    "/s/cert.pem", "--tls-key",     "/s/key.pem",           "--tls-client-ca",
                    "/s/ca.pem",   "--upstream",    "tcp://dind:2377",      "--upstream-tls-ca",
                    "/e/ca.pem",   "--health-cert", "/h/cert.pem",          "--health-key",
                    "/h/key.pem"};
    static const char *const files[] = {"/s/cert.pem", "/s/key.pem",      "/s/ca.pem",
                                        "/e/ca.pem",   "/h/cert.pem",     "/h/key.pem",
                                        "/etc/hosts",  "/etc/resolv.conf"};
    (void)state;
    plan(&fixture, sizeof argv / sizeof *argv, argv, false);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_true(planned(&fixture, SANDBOX_READ, files[i]));
    assert_int_equal(fixture.sandbox.paths.count, sizeof files / sizeof *files);
    assert_int_equal(fixture.sandbox.network.count, 2);
    assert_int_equal(fixture.sandbox.network.ports[0], 2377);
    assert_int_equal(fixture.sandbox.network.ports[1], 53);
    assert_int_equal(fixture.sandbox.calls, SANDBOX_WHEN_TCP);
    end(&fixture);
}

static void an_audit_log(void **state) {
    struct fixture file = {0}, descriptor = {0};
    char *argv[] = {"dind-proxy", "--audit-log", "/d/audit.log"};
    char *other[] = {"dind-proxy", "--audit-log", "fd:9"};
    (void)state;
    plan(&file, 3, argv, false);
    assert_true(planned(&file, SANDBOX_WRITE, "/d/audit.log"));
    assert_int_equal(file.sandbox.calls, SANDBOX_WHEN_WRITES);
    end(&file);
    plan(&descriptor, 3, other, false);
    assert_false(planned(&descriptor, SANDBOX_WRITE, "fd:9"));
    assert_int_equal(descriptor.sandbox.calls, 0);
    end(&descriptor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unix_on_both_hops),
        cmocka_unit_test(tls_on_both_hops),
        cmocka_unit_test(an_audit_log),
    };
    return cmocka_run_group_tests_name("proxy.sandbox_plan", tests, NULL, NULL);
}
