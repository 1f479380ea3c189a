#include "body_cases.h"

#include "filter/quote.h"

static void paths_are_cleaned_as_in_go(void **state) {
    (void)state;
    /* The rules and most of the examples are those of https://pkg.go.dev/path#Clean. */
    static const struct {
        const char *path, *clean;
    } cases[] = {
        {"", "."},
        {".", "."},
        {"/", "/"},
        {"//", "/"},
        {"///a", "/a"},
        {"/a/", "/a"},
        {"/a//b", "/a/b"},
        {"/a/./b", "/a/b"},
        {"/a/../b", "/b"},
        {"/..", "/"},
        {"/../../a", "/a"},
        {"/a/b/..", "/a"},
        {"/a/..", "/"},
        {"/a/../..", "/"},
        {"/.a", "/.a"},
        {"/...", "/..."},
        {"/a/..b", "/a/..b"},
        {"a/b/..", "a"},
        {"a/..", "."},
        {"../a", "../a"},
        {"../../a", "../../a"},
        {"../a/..", ".."},
        {"a/../../b", "../b"},
        {"./a", "a"},
        {"/proc/.", "/proc"},
        {"/./proc", "/proc"},
        {"/w/../../etc/", "/etc"},
        {"..//..", "../.."},
        {"/a b/\xC3\xA9", "/a b/\xC3\xA9"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice clean = bind_clean(slice_from_string(cases[i].path), &arena);
        assert_non_null(clean.data);
        if (!slice_equal(clean, slice_from_string(cases[i].clean)))
            fail_msg("%s gave %.*s", cases[i].path, SLICE_ARGS(clean));
        arena_reset(&arena);
    }
}

static void specs_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *spec;
        const char *error; /* a part of it, NULL when it must pass */
    } cases[] = {
        {"/workspace", NULL},
        {"/workspace/**", NULL},
        {"/home/ci/**", NULL},
        {"/var/lib/ci", NULL},
        {"/procs", NULL},
        {"/data/etc", NULL},
        {"", "absolute"},
        {"**", "absolute"},
        {"workspace", "absolute"},
        {"./workspace", "absolute"},
        {"~/x", "absolute"},
        {"/workspace/", "clean"},
        {"//workspace", "clean"},
        {"/workspace/.", "clean"},
        {"/workspace/../x", "clean"},
        {"/workspace//**", "clean"},
        {"/work*", "pattern"},
        {"/workspace/*", "pattern"},
        {"/**/x", "pattern"},
        {"/workspace/**/**", "pattern"},
        {"/", "holds a sensitive"},
        {"/**", "holds a sensitive"},
        {"/var", "holds a sensitive"},
        {"/var/lib/**", "holds a sensitive"},
        {"/proc", "sensitive one"},
        {"/etc/ssl/**", "sensitive one"},
        {"/var/lib/docker/volumes", "sensitive one"},
        {"/run/docker.sock", "sensitive one"},
        {"/workspace/docker.sock", "sensitive one"},
        {"/certs/client", "sensitive one"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bind_list list = {0};
        char error[256] = "";
        int result = bind_list_add(&list, cases[i].spec, false, error, sizeof error);
        assert_int_equal(result, cases[i].error == NULL ? 0 : -1);
        assert_int_equal(list.count, cases[i].error == NULL ? 1 : 0);
        if (cases[i].error != NULL && strstr(error, cases[i].error) == NULL)
            fail_msg("%s gave: %s", cases[i].spec, error);
        bind_list_clear(&list);
        assert_null(list.folders);
    }
}

static void opened_folders_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        const char *source;
        enum bind_verdict verdict;
    } cases[] = {
        {"/workspace", BIND_OPEN},
        {"/workspace/", BIND_OPEN},
        {"/workspace/a/b", BIND_OPEN},
        {"/workspace/./a/../b", BIND_OPEN},
        {"/x/../workspace", BIND_OPEN},
        {"/workspace/proc", BIND_OPEN},
        {"/workspacex", BIND_NOT_OPEN},
        {"/workspac", BIND_NOT_OPEN},
        {"/Workspace", BIND_NOT_OPEN},
        {"/workspace/../other", BIND_NOT_OPEN},
        {"/srv/one", BIND_OPEN},
        {"/srv/one/two", BIND_NOT_OPEN},
        {"/srv", BIND_NOT_OPEN},
        {"/srv/one\\..\\two", BIND_NOT_OPEN},
        {"/workspace/docker.sock", BIND_REFUSED},
        {"/workspace/sub/docker.sock/x", BIND_REFUSED},
        {"/workspace/../etc", BIND_REFUSED},
        {"/workspace/..", BIND_REFUSED},
        {"/", BIND_REFUSED},
        {"/etcetera", BIND_NOT_OPEN},
    };
    struct bind_list list = {0};
    char error[256];
    assert_int_equal(bind_list_add(&list, "/workspace/**", false, error, sizeof error), 0);
    assert_int_equal(bind_list_add(&list, "/srv/one", false, error, sizeof error), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        const char *reason = NULL;
        enum bind_verdict verdict =
            bind_list_judge(&list, slice_from_string(cases[i].source), false, &arena, &reason);
        if (verdict != cases[i].verdict)
            fail_msg("%s gave %d: %s", cases[i].source, (int)verdict, reason ? reason : "-");
        assert_int_equal(reason == NULL, verdict == BIND_OPEN);
        arena_reset(&arena);
    }
    bind_list_clear(&list);
}

static void sensitive_paths_and_their_parents(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum bind_danger danger;
    } cases[] = {
        {"/", BIND_SENSITIVE_PARENT},
        {"/var", BIND_SENSITIVE_PARENT},
        {"/var/lib", BIND_SENSITIVE_PARENT},
        {"/var/spool", BIND_SENSITIVE_PARENT},
        {"/var/lib/docker", BIND_SENSITIVE},
        {"/var/lib/docker/overlay2", BIND_SENSITIVE},
        {"/var/lib/containerd", BIND_SENSITIVE},
        {"/var/run", BIND_SENSITIVE},
        {"/run", BIND_SENSITIVE},
        {"/run/containerd/x", BIND_SENSITIVE},
        {"/certs", BIND_SENSITIVE},
        {"/proc/1/root", BIND_SENSITIVE},
        {"/sys/fs/cgroup", BIND_SENSITIVE},
        {"/dev/sda", BIND_SENSITIVE},
        {"/etc", BIND_SENSITIVE},
        {"/root/.docker", BIND_SENSITIVE},
        {"/boot", BIND_SENSITIVE},
        {"/usr/local/bin", BIND_SENSITIVE},
        {"/lib/modules", BIND_SENSITIVE},
        {"/lib64", BIND_SENSITIVE},
        {"/lib32/x", BIND_SENSITIVE},
        {"/libx32", BIND_SENSITIVE},
        {"/bin/sh", BIND_SENSITIVE},
        {"/sbin", BIND_SENSITIVE},
        {"/var/lib/buildkit", BIND_SENSITIVE},
        {"/var/lib/cni/x", BIND_SENSITIVE},
        {"/var/lib/kubelet", BIND_SENSITIVE},
        {"/run/docker.sock", BIND_DOCKER_SOCKET},
        {"/var/run/docker.sock", BIND_DOCKER_SOCKET},
        {"/run/containerd/containerd.sock", BIND_DOCKER_SOCKET},
        {"/home/ci/docker.sock", BIND_DOCKER_SOCKET},
        {"/home/ci", BIND_HARMLESS},
        {"/var/lib/dockers", BIND_HARMLESS},
        {"/var/log", BIND_HARMLESS},
        {"/library", BIND_HARMLESS},
        {"/workspace/etc", BIND_HARMLESS},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (bind_path_danger(slice_from_string(cases[i].path)) != cases[i].danger)
            fail_msg("%s", cases[i].path);
}

static void socket_refusal_helps_testcontainers(void **state) {
    (void)state;
    struct arena arena = {0};
    struct bind_list list = {0};
    const char *reason = NULL;
    assert_int_equal(
        bind_list_judge(&list, SLICE("/var/run/../run/docker.sock"), false, &arena, &reason),
        BIND_REFUSED);
    assert_non_null(strstr(reason, "TESTCONTAINERS_RYUK_DISABLED=true"));
    arena_reset(&arena);
}

static void quoted_values_are_bounded_and_printable(void **state) {
    (void)state;
    struct arena arena = {0};
    assert_string_equal(quote(&arena, SLICE("")), "''");
    assert_string_equal(quote(&arena, (struct slice){NULL, 0}), "''");
    assert_string_equal(quote(&arena, SLICE("a b")), "'a b'");
    assert_string_equal(quote(&arena, SLICE("a\nb\x7F\x1B[0m")), "'a?b?"
                                                                 "?[0m'");
    assert_string_equal(quote(&arena, SLICE("\xC2\x85\xE2\x80\xA8")), "'?"
                                                                      "?'");
    assert_string_equal(quote(&arena, SLICE("m\xC3\xBC\xF0\x9F\x98\x80")),
                        "'m\xC3\xBC\xF0\x9F\x98\x80'");
    assert_string_equal(quote(&arena, SLICE("\xFF\xC3\xED\xA0\x80x")), "'?"
                                                                       "?"
                                                                       "?"
                                                                       "?"
                                                                       "?x'");

    char longest[QUOTE_MAX + 2];
    memset(longest, 'a', sizeof longest);
    const char *exact = quote(&arena, slice_of(longest, QUOTE_MAX));
    assert_int_equal(strlen(exact), QUOTE_MAX + 2);
    const char *cut = quote(&arena, slice_of(longest, QUOTE_MAX + 1));
    assert_int_equal(strlen(cut), QUOTE_MAX + 5);
    assert_string_equal(cut + QUOTE_MAX, "a'...");
    /* Never cut within a character. */
    memcpy(longest + QUOTE_MAX - 1, "\xC3\xBC", 2);
    cut = quote(&arena, slice_of(longest, QUOTE_MAX + 1));
    assert_int_equal(strlen(cut), QUOTE_MAX + 4);
    assert_string_equal(cut + QUOTE_MAX - 1, "a'...");
    arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_cleaned_as_in_go),
        cmocka_unit_test(specs_are_checked),
        cmocka_unit_test(opened_folders_and_nothing_else),
        cmocka_unit_test(sensitive_paths_and_their_parents),
        cmocka_unit_test(socket_refusal_helps_testcontainers),
        cmocka_unit_test(quoted_values_are_bounded_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
