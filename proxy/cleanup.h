/* What __attribute__((cleanup)) calls as a variable goes out of scope. */
#ifndef DIND_PROXY_PROXY_CLEANUP_H
#define DIND_PROXY_PROXY_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A descriptor; -1 is none. */
static inline void cleanup_fd(const int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
}

/* Memory of malloc(3) without secrets. */
static inline void cleanup_text(char **text) {
    free(*text);
}

/* A stream; NULL is none, and standard input stays open. */
static inline void cleanup_file(FILE **file) {
    if (*file != NULL && *file != stdin)
        (void)fclose(*file);
}

#endif
