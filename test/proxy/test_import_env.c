#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/import_env.h"

static const struct endpoint *route(const char *text) {
    for (size_t i = 0; i < endpoint_count; i++)
        if (strcmp(endpoints[i].route, text) == 0)
            return &endpoints[i];
    fail_msg("there is no route %s", text);
    return NULL;
}

static void set(struct import_env *env, const char *name, const char *value) {
    enum import_name kind;
    struct error error;
    assert_int_equal(import_env_set(env, name, value, &kind, &error), 0);
    assert_int_equal(kind, IMPORT_SWITCH);
}

static void expect(const struct import_env *env, const char *text, bool allowed) {
    if (import_env_allows(env, route(text)) != allowed)
        fail_msg("%s is %s", text, allowed ? "refused" : "allowed");
}

static void defaults(void **state) {
    (void)state;
    for (int dialect = IMPORT_TECNATIVA; dialect <= IMPORT_LINUXSERVER; dialect++) {
        struct import_env env;
        size_t allowed = 0;
        import_env_init(&env, (enum import_dialect)dialect);
        expect(&env, "GET /_ping", true);
        expect(&env, "HEAD /_ping", true);
        expect(&env, "GET /version", true);
        expect(&env, "GET /events", true);
        for (size_t i = 0; i < endpoint_count; i++)
            allowed += import_env_allows(&env, &endpoints[i]);
        assert_int_equal(allowed, 4);
    }
}

static void actions_and_methods(void **state) {
    static const char start[] = "POST /containers/{name}/start";
    struct import_env env;
    (void)state;
    import_env_init(&env, IMPORT_TECNATIVA);
    set(&env, "ALLOW_START", "1");
    expect(&env, start, false);
    set(&env, "POST", "1");
    expect(&env, start, true);
    expect(&env, "POST /containers/{name}/stop", false);
    expect(&env, "POST /containers/create", false);
    import_env_init(&env, IMPORT_LINUXSERVER);
    set(&env, "ALLOW_START", "1");
    expect(&env, start, true);
    set(&env, "CONTAINERS", "1");
    expect(&env, "GET /containers/{name}/stats", true);
    expect(&env, "GET /containers/{name}/logs", false);
    expect(&env, "GET /containers/{name}/top", false);
    set(&env, "ALLOW_LOGS", "1");
    expect(&env, "GET /containers/{name}/logs", true);
    import_env_init(&env, IMPORT_TECNATIVA_METHODS);
    set(&env, "CONTAINERS", "1");
    set(&env, "POST", "1");
    expect(&env, start, true);
    expect(&env, "POST /containers/{name}/exec", false);
    expect(&env, "DELETE /containers/{name}", false);
    set(&env, "DELETE", "1");
    expect(&env, "DELETE /containers/{name}", true);
}

static void names_and_values(void **state) {
    struct import_env env;
    enum import_name kind;
    struct error error;
    (void)state;
    import_env_init(&env, IMPORT_TECNATIVA);
    assert_int_equal(import_env_set(&env, "LOG_LEVEL", "info", &kind, &error), 0);
    assert_int_equal(kind, IMPORT_OTHER_SETTING);
    assert_int_equal(import_env_set(&env, "DELETE", "1", &kind, &error), 0);
    assert_int_equal(kind, IMPORT_FOREIGN_SWITCH);
    assert_int_equal(import_env_set(&env, "DELETED", "yes", &kind, &error), 0);
    assert_int_equal(kind, IMPORT_UNKNOWN);
    assert_int_equal(import_env_set(&env, "PING", "yes", &kind, &error), -1);
    assert_string_equal(error.text, "PING=yes: must be 0 or 1");
    set(&env, "PING", "");
    expect(&env, "GET /_ping", false);
}

static void no_route_of_the_past(void **state) {
    struct import_env env;
    (void)state;
    import_env_init(&env, IMPORT_TECNATIVA);
    set(&env, "CONTAINERS", "1");
    set(&env, "POST", "1");
    expect(&env, "POST /containers/{name}/copy", false);
    expect(&env, "* /debug/{name}", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(actions_and_methods),
        cmocka_unit_test(names_and_values),
        cmocka_unit_test(no_route_of_the_past),
    };
    return cmocka_run_group_tests_name("proxy.import_env", tests, NULL, NULL);
}
