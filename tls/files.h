/* Reads certificate and key files whole, and says in words what is wrong with them. */
#ifndef DIND_PROXY_TLS_FILES_H
#define DIND_PROXY_TLS_FILES_H

#include <stddef.h>

#include "tls/tls.h"

/* Owned bytes, with a NUL after the last one that `len` does not count. */
struct tls_file {
    unsigned char *data;
    size_t len;
    size_t room; /* of `data`, which is tls/secret.h's */
};

enum tls_file_kind {
    TLS_FILE_CERTIFICATE,
    TLS_FILE_KEY, /* secret: refused when others can read it */
    TLS_FILE_AUTHORITY,
};

/* Such as "certificate file", for sentences; static. */
const char *tls_file_kind_name(enum tls_file_kind kind);

/* Reads a regular file (or a symbolic link to one) of at most 1 MiB that must hold PEM of that
 * kind. 0, or -1 with `error` filled and `file` empty. */
int tls_file_read(const char *path, enum tls_file_kind kind, struct tls_file *file,
                  struct tls_error *error);

/* Wipes and frees; an empty one is fine. For use as a cleanup attribute too. */
void tls_file_wipe(struct tls_file *file);

#endif
