#include "filter/bind.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/quote.h"
#include "filter/split.h"

/* Never bound, nor anything below, nor what holds them, even inside an opened tree: what runs the
 * engine, what it keeps, and what the kernel shows of itself. */
static const struct slice sensitive_paths[] = {
    SLICE("/bin"),
    SLICE("/boot"),
    SLICE("/certs"), /* where dind keeps its TLS keys */
    SLICE("/dev"),
    SLICE("/etc"),
    SLICE("/lib"),
    SLICE("/lib32"),
    SLICE("/lib64"),
    SLICE("/libx32"),
    SLICE("/proc"),
    SLICE("/root"),
    SLICE("/run"),
    SLICE("/sbin"),
    SLICE("/sys"),
    SLICE("/usr"),
    SLICE("/var/lib/buildkit"),
    SLICE("/var/lib/cni"),
    SLICE("/var/lib/containerd"),
    SLICE("/var/lib/docker"),
    SLICE("/var/lib/kubelet"),
    SLICE("/var/run"),
    SLICE("/var/spool/cron"),
};

/* Names of the engine's and containerd's sockets, wherever they are. */
static const struct slice socket_names[] = {SLICE("docker.sock"), SLICE("containerd.sock")};

/* Whether `path` is `folder` or below it; both clean and absolute. */
static bool is_within(struct slice path, struct slice folder) {
    if (folder.len == 1)
        return true;
    return slice_starts_with(path, folder) &&
           (path.len == folder.len || path.data[folder.len] == '/');
}

struct slice bind_clean(struct slice path, struct arena *arena) {
    char *out = arena_alloc(arena, path.len + 2);
    if (out == NULL)
        return (struct slice){NULL, 0};

    bool rooted = path.len > 0 && path.data[0] == '/';
    size_t used = 0;
    if (rooted)
        out[used++] = '/';
    size_t floor = used; /* what ".." cannot remove: the root, or leading ".." elements */

    struct splitter splitter = split_start(path, '/');
    struct slice element;
    while (split_next(&splitter, &element)) {
        if (element.len == 0 || slice_equal(element, SLICE(".")))
            continue;
        if (slice_equal(element, SLICE(".."))) {
            if (used > floor) {
                while (used > floor && out[used - 1] != '/')
                    used--;
                if (used > floor)
                    used--; /* the slash before the removed element */
                continue;
            }
            if (rooted)
                continue;
        }
        if (used > 0 && out[used - 1] != '/')
            out[used++] = '/';
        memcpy(out + used, element.data, element.len);
        used += element.len;
        if (slice_equal(element, SLICE("..")))
            floor = used;
    }
    if (used == 0)
        out[used++] = '.';
    out[used] = '\0';
    return slice_of(out, used);
}

enum bind_danger bind_path_danger(struct slice clean) {
    struct splitter splitter = split_start(clean, '/');
    struct slice element;
    while (split_next(&splitter, &element)) {
        for (size_t i = 0; i < sizeof socket_names / sizeof socket_names[0]; i++)
            if (slice_equal(element, socket_names[i]))
                return BIND_DOCKER_SOCKET;
    }
    for (size_t i = 0; i < sizeof sensitive_paths / sizeof sensitive_paths[0]; i++) {
        if (is_within(clean, sensitive_paths[i]))
            return BIND_SENSITIVE;
        if (is_within(sensitive_paths[i], clean))
            return BIND_SENSITIVE_PARENT;
    }
    return BIND_HARMLESS;
}

static int refuse_spec(char *error, size_t error_size, const char *spec, const char *why) {
    /* Cut long values: the sentence's end is what helps. */
    (void)snprintf(error, error_size, "--allow-bind %.200s: %s", spec, why);
    return -1;
}

/* Takes the stars off the end. */
static struct slice folder_of(struct slice spec, bool *tree) {
    *tree = slice_ends_with(spec, SLICE("/**"));
    return *tree ? slice_first(spec, spec.len > 3 ? spec.len - 3 : 1) : spec;
}

const char *bind_spec_fault(struct slice spec) {
    bool tree;
    struct slice path = folder_of(spec, &tree);
    if (path.len == 0 || path.data[0] != '/')
        return "the path must be absolute";

    struct arena arena = {0};
    struct slice clean = bind_clean(path, &arena);
    bool is_clean = slice_equal(clean, path);
    enum bind_danger danger = clean.data != NULL ? bind_path_danger(clean) : BIND_HARMLESS;
    bool no_memory = clean.data == NULL;
    arena_reset(&arena);
    if (no_memory)
        return "memory is out";
    if (!is_clean)
        return "the path must be clean: no '.', '..', '//' or slash at its end";
    if (memchr(path.data, '*', path.len) != NULL)
        return "the only pattern is two stars as the last element";
    if (danger == BIND_SENSITIVE_PARENT)
        return "the path holds a sensitive path of the engine's host";
    return danger != BIND_HARMLESS ? "the path is a sensitive one of the engine's host" : NULL;
}

int bind_list_add(struct bind_list *list, const char *spec, bool read_only, char *error,
                  size_t error_size) {
    const char *fault = bind_spec_fault(slice_from_string(spec));
    if (fault != NULL)
        return refuse_spec(error, error_size, spec, fault);
    bool tree;
    struct slice path = folder_of(slice_from_string(spec), &tree);
    if (list->count >= SIZE_MAX / sizeof *list->folders - 1)
        return refuse_spec(error, error_size, spec, "memory is out");
    char *copy = strndup(path.data, path.len);
    struct bind_folder *folders =
        copy != NULL ? realloc(list->folders, (list->count + 1) * sizeof *folders) : NULL;
    if (folders == NULL) {
        free(copy);
        return refuse_spec(error, error_size, spec, "memory is out");
    }
    folders[list->count] = (struct bind_folder){.path = copy, .tree = tree, .read_only = read_only};
    list->folders = folders;
    list->count++;
    return 0;
}

void bind_list_clear(struct bind_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->folders[i].path);
    free(list->folders);
    *list = (struct bind_list){0};
}

/* BIND_OPEN, BIND_READ_ONLY or BIND_NOT_OPEN. Of several folders the most lenient counts. */
static enum bind_verdict find_opening(const struct bind_list *list, struct slice clean,
                                      bool read_only) {
    enum bind_verdict verdict = BIND_NOT_OPEN;
    for (size_t i = 0; i < list->count; i++) {
        const struct bind_folder *opened = &list->folders[i];
        struct slice folder = slice_from_string(opened->path);
        if (!slice_equal(clean, folder) && !(opened->tree && is_within(clean, folder)))
            continue;
        if (read_only || !opened->read_only)
            return BIND_OPEN;
        verdict = BIND_READ_ONLY;
    }
    return verdict;
}

enum bind_verdict bind_list_judge(const struct bind_list *list, struct slice source, bool read_only,
                                  struct arena *arena, const char **reason) {
    static const char no_memory[] = "the request is too large to be judged";
    struct slice clean = bind_clean(source, arena);
    if (clean.data == NULL) {
        *reason = no_memory;
        return BIND_NO_MEMORY;
    }

    const char *shown = quote(arena, clean);
    const char *text;
    enum bind_verdict verdict = BIND_REFUSED;
    switch (bind_path_danger(clean)) {
    case BIND_DOCKER_SOCKET:
        text = arena_printf(arena,
                            "binding the engine's socket %s is not allowed; do without it (for "
                            "Testcontainers set TESTCONTAINERS_RYUK_DISABLED=true)",
                            shown);
        break;
    case BIND_SENSITIVE:
        text = arena_printf(
            arena, "binding the sensitive host path %s is not allowed; use a named volume", shown);
        break;
    case BIND_SENSITIVE_PARENT:
        text = arena_printf(arena,
                            "binding %s is not allowed as it holds sensitive host paths; use a "
                            "named volume",
                            shown);
        break;
    case BIND_HARMLESS:
    default:
        verdict = find_opening(list, clean, read_only);
        if (verdict == BIND_OPEN)
            return BIND_OPEN;
        text = arena_printf(arena,
                            verdict == BIND_READ_ONLY
                                ? "binding the host path %s is allowed read-only; add :ro "
                                  "(or readonly to --mount)"
                                : "binding the host path %s is not allowed; use a named volume, or "
                                  "have the folder opened with --allow-bind",
                            shown);
        break;
    }
    *reason = text != NULL ? text : no_memory;
    return verdict;
}
