#include "proxy/sandbox_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all architectures. Not every libc has the call. */
enum { FACCESSAT2 = 439 };

/* The folder part, owned; NULL when memory is out. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int sandbox_paths_add(struct sandbox_paths *paths, enum sandbox_use use, const char *path,
                      struct error *error) {
    if (path == NULL)
        return 0;
    struct sandbox_path *grown =
        realloc(paths->entries, (paths->count + 1) * sizeof paths->entries[0]);
    if (grown == NULL)
        return error_set(error, "out of memory");
    paths->entries = grown;
    struct sandbox_path *entry = &grown[paths->count++];
    *entry = (struct sandbox_path){.use = use, .path = strdup(path), .folder = folder_of(path)};
    if (entry->path == NULL || entry->folder == NULL)
        return error_set(error, "out of memory");
    char *real = use == SANDBOX_REMOVE ? NULL : realpath(path, NULL);
    if (real != NULL)
        entry->real_folder = folder_of(real);
    free(real);
    return 0;
}

/* By the effective rights, as opening would be. What cannot be asked counts as permitted. */
static bool permitted(const char *path, int mode) {
    return syscall(FACCESSAT2, AT_FDCWD, path, mode, AT_EACCESS) == 0 || errno != EACCES;
}

bool sandbox_path_permitted(const struct sandbox_path *path) {
    switch (path->use) {
    case SANDBOX_READ:
        return permitted(path->path, R_OK);
    case SANDBOX_WRITE:
        return permitted(path->path, W_OK) && permitted(path->folder, W_OK | X_OK);
    case SANDBOX_REMOVE:
        return permitted(path->folder, W_OK | X_OK);
    case SANDBOX_CONNECT:
        return permitted(path->path, W_OK);
    }
    return true;
}

void sandbox_paths_free(struct sandbox_paths *paths) {
    for (size_t i = 0; i < paths->count; i++) {
        free(paths->entries[i].path);
        free(paths->entries[i].folder);
        free(paths->entries[i].real_folder);
    }
    free(paths->entries);
    *paths = (struct sandbox_paths){0};
}
