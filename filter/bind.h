/* Which folders of the engine's host a container may bind.
 *
 * All comparison is lexical, on whole path elements, after the cleaning dockerd does (Go's
 * path.Clean). Lexical checks cannot see symbolic links, which dockerd follows: a folder should be
 * opened only where nobody untrusted can write. */
#ifndef DIND_PROXY_FILTER_BIND_H
#define DIND_PROXY_FILTER_BIND_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/arena.h"
#include "filter/slice.h"

struct bind_folder {
    char *path;     /* absolute, clean, NUL-terminated; owned by the list */
    bool tree;      /* the folder and all below, not only the folder itself */
    bool read_only; /* only where the container cannot write to it */
};

/* The opened folders. Zero-initialised is an empty list. Read-only use is thread-safe. */
struct bind_list {
    struct bind_folder *folders;
    size_t count;
};

/* What is wrong with the path of a bind that a policy opens, as the end of a sentence that begins
 * with it; NULL: nothing. Only a path that is absolute and clean, and neither sensitive nor a
 * parent of what is, can be opened. */
const char *bind_spec_fault(struct slice spec);

/* Opens what an --allow-bind value or a policy names: "/dir" that folder itself, "/dir/" followed
 * by two stars it and all below. Returns 0; or -1 with a sentence in `error` when bind_spec_fault
 * finds one, or when memory is out. The list is then unchanged. */
int bind_list_add(struct bind_list *list, const char *spec, bool read_only, char *error,
                  size_t error_size);

/* Frees what the list holds and leaves it empty. */
void bind_list_clear(struct bind_list *list);

/* Go's path.Clean (https://pkg.go.dev/path#Clean) into the arena: one slash between elements, "."
 * gone, ".." applied, no trailing slash; "." for the empty path. data is NULL when memory is out.
 */
struct slice bind_clean(struct slice path, struct arena *arena);

/* What a clean absolute path is to the engine's host. */
enum bind_danger {
    BIND_HARMLESS,
    BIND_SENSITIVE,        /* a sensitive path or something below it */
    BIND_SENSITIVE_PARENT, /* holds a sensitive path */
    BIND_DOCKER_SOCKET,    /* the engine's own socket */
};
enum bind_danger bind_path_danger(struct slice clean);

enum bind_verdict { BIND_OPEN, BIND_NOT_OPEN, BIND_READ_ONLY, BIND_REFUSED, BIND_NO_MEMORY };

/* Judges the source of a bind as the client sent it, which must begin with a slash. `read_only`:
 * the container cannot write to it, and BIND_READ_ONLY is the answer where that would be needed.
 * For any other answer than BIND_OPEN `*reason` is a sentence as struct body_finding has it. */
enum bind_verdict bind_list_judge(const struct bind_list *list, struct slice source, bool read_only,
                                  struct arena *arena, const char **reason);

#endif
