/* What of the file system a confined process still needs, and for what. */
#ifndef DIND_PROXY_PROXY_SANDBOX_PATHS_H
#define DIND_PROXY_PROXY_SANDBOX_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/error.h"

enum sandbox_use {
    SANDBOX_READ,    /* a file that is read again, perhaps another by then: at a reload */
    SANDBOX_WRITE,   /* a file that is written: appended to, truncated, or put in place by rename */
    SANDBOX_REMOVE,  /* a file of ours that is removed at the end */
    SANDBOX_CONNECT, /* a socket with that path is connected to */
};

struct sandbox_path {
    enum sandbox_use use;
    char *path;        /* as it was given */
    char *folder;      /* what it lies in; files come and go, so this is what is opened */
    char *real_folder; /* where a symbolic link led; NULL: the same */
};

/* Zero-initialised is ready for use. */
struct sandbox_paths {
    struct sandbox_path *entries;
    size_t count;
};

/* Copies `path`. NULL is allowed and adds nothing. 0, or -1 when memory is out. */
int sandbox_paths_add(struct sandbox_paths *paths, enum sandbox_use use, const char *path,
                      struct error *error);

/* Whether the process can, as it is now, do with the path what it will have to. */
bool sandbox_path_permitted(const struct sandbox_path *path);

void sandbox_paths_free(struct sandbox_paths *paths);

#endif
