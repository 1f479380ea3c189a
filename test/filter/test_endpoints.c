#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "filter/endpoint_index.h"
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
        struct endpoint_route route = endpoint_route_parse(cases[i].route);
        bool matches = endpoint_path_matches(&route, slice_from_string(cases[i].path), &name);
        assert_int_equal(matches, cases[i].name != NULL);
        assert_slice(name, cases[i].name ? cases[i].name : "");
    }
}

static bool method_matches(const char *text, const char *method) {
    struct endpoint_route route = endpoint_route_parse(text);
    return endpoint_method_matches(&route, slice_from_string(method));
}

static void methods_match_exactly_but_for_head_and_any(void **state) {
    (void)state;
    assert_true(method_matches("GET /x", "GET"));
    assert_true(method_matches("GET /x", "HEAD"));
    assert_true(method_matches("* /x", "PATCH"));
    assert_false(method_matches("HEAD /x", "GET"));
    assert_false(method_matches("POST /x", "HEAD"));
    assert_false(method_matches("POST /x", "post"));
    assert_false(method_matches("POST /x", "POS"));
    assert_false(method_matches("POST /x", "POSTS"));
    assert_false(method_matches("POST /x", "*"));
    assert_false(method_matches("POST /x", ""));
}

/* The route of the nth row that a request falls under, NULL if there are fewer. */
static const char *nth_route(const struct endpoint_index *index, const char *method,
                             const char *path, size_t n) {
    struct endpoint_matches matches =
        endpoint_matches_start(index, slice_from_string(method), slice_from_string(path));
    struct slice name;
    const struct endpoint *row = NULL;
    for (size_t i = 0; i <= n; i++)
        row = endpoint_matches_next(&matches, &name);
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
    struct endpoint_index *index = endpoint_index_new();
    assert_non_null(index);
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s %s\n", cases[i].method, cases[i].path);
        for (size_t n = 0; n < COUNT(cases[i].rows); n++) {
            const char *route = nth_route(index, cases[i].method, cases[i].path, n);
            if (!cases[i].rows[n]) {
                assert_null(route);
                break;
            }
            assert_non_null(route);
            assert_string_equal(route, cases[i].rows[n]);
        }
    }
    endpoint_index_free(index);
}

/* Asserts that the index finds the very rows that a walk through the whole table finds, in the same
 * order and with the same names. Returns how many. */
static size_t assert_index_is_complete(const struct endpoint_index *index, const char *method,
                                       const char *path) {
    struct endpoint_matches matches =
        endpoint_matches_start(index, slice_from_string(method), slice_from_string(path));
    struct slice found_name;
    size_t count = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        struct endpoint_route route = endpoint_route_parse(endpoints[i].route);
        struct slice name;
        if (!endpoint_method_matches(&route, slice_from_string(method)) ||
            !endpoint_path_matches(&route, slice_from_string(path), &name))
            continue;
        const struct endpoint *found = endpoint_matches_next(&matches, &found_name);
        if (found != &endpoints[i] || !slice_equal(found_name, name))
            fail_msg("%s %s: the index misses %s", method, path, endpoints[i].route);
        count++;
    }
    if (endpoint_matches_next(&matches, &found_name))
        fail_msg("%s %s: the index finds too much", method, path);
    return count;
}

/* The path of a route with every placeholder replaced. */
static void fill_in(const char *route, const char *name, char *path, size_t room) {
    size_t used = 0;
    for (const char *at = strchr(route, ' ') + 1; *at; at++) {
        bool placeholder = *at == '{';
        const char *text = placeholder ? name : at;
        size_t len = placeholder ? strlen(name) : 1;
        assert_true(used + len < room);
        memcpy(path + used, text, len);
        used += len;
        if (placeholder)
            at = strchr(at, '}');
    }
    path[used] = '\0';
}

static void the_index_misses_no_row(void **state) {
    (void)state;
    static const char *const methods[] = {"GET", "HEAD",    "POST",  "PUT",  "DELETE",
                                          "*",   "OPTIONS", "PATCH", "GETX", "PRI"};
    static const char *const names[] = {
        "a", "a/b", "", "json", "create", "{name}", "a/checkpoints/b"};
    static const char *const others[] = {
        "/",
        "/x",
        "/containers",
        "/containers/",
        "/container/json",
        "/containersx",
        "/debug",
        "/debug/",
        "/networks",
        "/networks/",
        "/{name}",
        "/{id}",
        "/v2/_catalog",
        "/images/json/",
        "/moby.buildkit.v1.Control",
        "//json",
    };
    struct endpoint_index *index = endpoint_index_new();
    assert_non_null(index);
    for (size_t m = 0; m < COUNT(methods); m++) {
        for (size_t i = 0; i < endpoint_count; i++) {
            for (size_t n = 0; n < COUNT(names); n++) {
                char path[128];
                fill_in(endpoints[i].route, names[n], path, sizeof path);
                size_t found = assert_index_is_complete(index, methods[m], path);
                /* The row itself at least, where an {id} may be what was filled in. */
                if (n == 0 && method_matches(endpoints[i].route, methods[m]))
                    assert_true(found > 0);
            }
        }
        for (size_t i = 0; i < COUNT(others); i++)
            assert_index_is_complete(index, methods[m], others[i]);
    }
    endpoint_index_free(index);
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
        cmocka_unit_test(the_index_misses_no_row),
        cmocka_unit_test(classes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
