#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "filter/endpoint_match.h"
#include "filter/endpoints.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_slice(struct slice s, const char *expected) {
    assert_int_equal(s.len, strlen(expected));
    if (s.len > 0)
        assert_memory_equal(s.data, expected, s.len);
}

static void every_row_is_well_formed(void **state) {
    (void)state;
    static const char *const methods[] = {"*", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < endpoint_count; i++) {
        const struct endpoint *row = &endpoints[i];
        print_message("%s\n", row->route);
        size_t method = strcspn(row->route, " ");
        bool known = false;
        for (size_t j = 0; j < COUNT(methods); j++)
            known = known ||
                    (strlen(methods[j]) == method && strncmp(methods[j], row->route, method) == 0);
        assert_true(known);
        assert_int_equal(row->route[method + 1], '/');

        /* Placeholders are {name}, at most once, or {id}. */
        size_t names = 0;
        for (const char *at = strchr(row->route, '{'); at; at = strchr(at + 1, '{')) {
            bool name = strncmp(at, "{name}", 6) == 0;
            assert_true(name || strncmp(at, "{id}", 4) == 0);
            names += name;
        }
        assert_true(names <= 1);

        assert_memory_equal(row->rule, "endpoint.", 9);
        assert_true(strspn(row->rule + 9, "abcdefghijklmnopqrstuvwxyz-") == strlen(row->rule + 9));
        assert_true(row->since >= 24 || row->until != 0);
        assert_true(row->until == 0 || row->until >= row->since);
        assert_int_not_equal(row->class, ENDPOINT_UNKNOWN);
        /* Where the allowlist is looser than the blocklist, a line is wrong. */
        if (row->blocklist == ENDPOINT_REFUSE)
            assert_int_equal(row->allowlist, ENDPOINT_REFUSE);
        /* A hijack is what the class says, and the other way round, unless nobody gets there. */
        if (row->blocklist != ENDPOINT_REFUSE)
            assert_int_equal(row->hijack != FILTER_HIJACK_NONE, row->class == ENDPOINT_HIJACK);
        /* Nothing dangerous passes unjudged. */
        if (row->class == ENDPOINT_DANGER && row->blocklist == ENDPOINT_PASS)
            assert_int_not_equal(row->body, BODY_NONE);
        /* A refusal in the default policy says itself what to do. */
        if (row->blocklist == ENDPOINT_REFUSE)
            assert_non_null(row->reason);
        if (row->reason) {
            size_t length = strlen(row->reason);
            assert_true(length > 20);
            assert_int_not_equal(row->reason[length - 1], '.');
            for (size_t j = 0; j < length; j++)
                assert_true(row->reason[j] >= ' ' && row->reason[j] < 0x7f);
        }
    }
}

static void routes_are_listed_once(void **state) {
    (void)state;
    for (size_t i = 0; i < endpoint_count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(endpoints[i].route, endpoints[j].route);
}

static void paths_match_exactly(void **state) {
    (void)state;
    static const struct {
        const char *route;
        const char *path;
        const char *name; /* NULL: no match */
    } cases[] = {
        {"GET /info", "/info", ""},
        {"GET /info", "/info/", NULL},
        {"GET /info", "/inf", NULL},
        {"GET /info", "/Info", NULL},
        {"GET /info", "/infox", NULL},
        {"GET /networks/", "/networks/", ""},
        {"GET /networks/", "/networks", NULL},
        {"GET /c/{name}/json", "/c/a/json", "a"},
        {"GET /c/{name}/json", "/c/a/b/json", "a/b"},
        {"GET /c/{name}/json", "/c/json/json", "json"},
        {"GET /c/{name}/json", "/c/a/json/json", "a/json"},
        {"GET /c/{name}/json", "/c//json", ""},
        {"GET /c/{name}/json", "/c/json", NULL},
        {"GET /c/{name}/json", "/c/a/json/", NULL},
        {"GET /c/{name}/json", "/c/a/jsonx", NULL},
        {"GET /c/{name}/json", "/c/ajson", NULL},
        {"GET /c/{name}", "/c/", ""},
        {"GET /c/{name}", "/c/a/b/c", "a/b/c"},
        {"GET /c/{name}", "/c", NULL},
        {"GET /c/{name}", "/d/a", NULL},
        {"GET /s/{id}", "/s/a", ""},
        {"GET /s/{id}", "/s/", NULL},
        {"GET /s/{id}", "/s/a/b", NULL},
        {"POST /s/{id}/update", "/s/a/update", ""},
        {"POST /s/{id}/update", "/s//update", NULL},
        {"POST /s/{id}/update", "/s/a/b/update", NULL},
        {"DELETE /c/{id}/p/{id}", "/c/a/p/b", ""},
        {"DELETE /c/{id}/p/{id}", "/c/p/p/p", ""},
        {"DELETE /c/{id}/p/{id}", "/c/a/p/", NULL},
        {"DELETE /c/{id}/p/{id}", "/c/a/p/b/c", NULL},
        {"OPTIONS /{name}", "/", ""},
        {"OPTIONS /{name}", "/a/b", "a/b"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice name;
        print_message("%s : %s\n", cases[i].route, cases[i].path);
        bool matches =
            endpoint_path_matches(cases[i].route, slice_from_string(cases[i].path), &name);
        assert_int_equal(matches, cases[i].name != NULL);
        assert_slice(name, cases[i].name ? cases[i].name : "");
    }
}

static void methods_match_exactly_but_for_head_and_any(void **state) {
    (void)state;
    assert_true(endpoint_method_matches("GET /x", SLICE("GET")));
    assert_true(endpoint_method_matches("GET /x", SLICE("HEAD")));
    assert_true(endpoint_method_matches("* /x", SLICE("PATCH")));
    assert_false(endpoint_method_matches("HEAD /x", SLICE("GET")));
    assert_false(endpoint_method_matches("POST /x", SLICE("HEAD")));
    assert_false(endpoint_method_matches("POST /x", SLICE("post")));
    assert_false(endpoint_method_matches("POST /x", SLICE("POS")));
    assert_false(endpoint_method_matches("POST /x", SLICE("POSTS")));
    assert_false(endpoint_method_matches("POST /x", SLICE("*")));
}

/* The route of the nth row that a request falls under, NULL if there are fewer. */
static const char *nth_route(const char *method, const char *path, size_t n) {
    size_t next = 0;
    struct slice name;
    const struct endpoint *row = NULL;
    for (size_t i = 0; i <= n; i++)
        row = endpoint_next_match(slice_from_string(method), slice_from_string(path), &next, &name);
    return row ? row->route : NULL;
}

static void requests_fall_under_the_rows_they_should(void **state) {
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        const char *rows[3]; /* in order, up to NULL */
    } cases[] = {
        {"GET", "/_ping", {"GET /_ping"}},
        {"HEAD", "/_ping", {"HEAD /_ping", "GET /_ping"}},
        {"GET", "/containers/json", {"GET /containers/json"}},
        {"GET", "/containers/json/json", {"GET /containers/{name}/json"}},
        {"POST", "/containers/create", {"POST /containers/create"}},
        {"POST", "/containers/create/start", {"POST /containers/{name}/start"}},
        {"POST", "/containers/x/exec/start", {"POST /containers/{name}/start"}},
        {"POST", "/containers/x/start/exec", {"POST /containers/{name}/exec"}},
        {"POST", "/containers/prune", {"POST /containers/prune"}},
        {"GET", "/containers/a/attach/ws", {"GET /containers/{name}/attach/ws"}},
        {"DELETE",
         "/containers/a/checkpoints/c",
         {"DELETE /containers/{name}", "DELETE /containers/{id}/checkpoints/{id}"}},
        {"DELETE", "/containers/a/b/checkpoints/c", {"DELETE /containers/{name}"}},
        {"GET", "/networks/", {"GET /networks/", "GET /networks/{name}"}},
        {"GET", "/images/a/b:c/json", {"GET /images/{name}/json"}},
        {"GET", "/images/get/get", {"GET /images/{name}/get"}},
        {"GET", "/debug/vars", {"* /debug/{name}"}},
        {"POST", "/debug/pprof/", {"* /debug/{name}"}},
        {"OPTIONS", "/containers/create", {"OPTIONS /{name}"}},
        {"OPTIONS", "/debug/vars", {"OPTIONS /{name}", "* /debug/{name}"}},
        {"POST", "/moby.buildkit.v1.Control/Solve", {"POST /moby.buildkit.v1.Control/{name}"}},
        {"POST", "/containers/create/", {NULL}},
        {"POST", "/Containers/Create", {NULL}},
        {"PUT", "/containers/create", {NULL}},
        {"GET", "/session", {NULL}},
        {"GET", "/services/a/b", {NULL}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s %s\n", cases[i].method, cases[i].path);
        for (size_t n = 0; n < COUNT(cases[i].rows); n++) {
            const char *route = nth_route(cases[i].method, cases[i].path, n);
            if (!cases[i].rows[n]) {
                assert_null(route);
                break;
            }
            assert_non_null(route);
            assert_string_equal(route, cases[i].rows[n]);
        }
    }
}

static void classes_have_names(void **state) {
    (void)state;
    assert_string_equal(endpoint_class_name(ENDPOINT_READ), "read");
    assert_string_equal(endpoint_class_name(ENDPOINT_WRITE), "write");
    assert_string_equal(endpoint_class_name(ENDPOINT_STREAM), "stream");
    assert_string_equal(endpoint_class_name(ENDPOINT_HIJACK), "hijack");
    assert_string_equal(endpoint_class_name(ENDPOINT_DANGER), "danger");
    assert_string_equal(endpoint_class_name(ENDPOINT_UNKNOWN), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_well_formed),
        cmocka_unit_test(routes_are_listed_once),
        cmocka_unit_test(paths_match_exactly),
        cmocka_unit_test(methods_match_exactly_but_for_head_and_any),
        cmocka_unit_test(requests_fall_under_the_rows_they_should),
        cmocka_unit_test(classes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
