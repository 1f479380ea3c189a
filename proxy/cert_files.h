/* Certificate and key files in a folder: read with suspicion, replaced in one step. */
#ifndef DIND_PROXY_PROXY_CERT_FILES_H
#define DIND_PROXY_PROXY_CERT_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "proxy/certs.h"
#include "proxy/error.h"

struct cert_folder {
    int fd; /* -1: it does not exist */
    char path[PATH_MAX];
};

/* Opens the folder. Where `mode` is not 0, it and all above it are made if they do not exist, with
 * that mode whatever the umask (those above it: 0755). Else one that does not exist is no error.
 * 0 or -1. */
int cert_folder_open(const char *path, mode_t mode, struct cert_folder *folder,
                     struct error *error);
void cert_folder_close(struct cert_folder *folder);

/* Takes the folder's lock (flock(2) on the folder itself, so that nothing is left lying about), and
 * waits up to `seconds` for it. It ends with cert_folder_close. 0 or -1. */
int cert_folder_lock(const struct cert_folder *folder, unsigned seconds, struct error *error);

struct cert_file {
    unsigned char *data; /* owned, with a NUL behind; NULL: there is none */
    size_t len;
    bool odd; /* something is there that is no regular file of a sane size: `data` is NULL */
    struct stat status;
};

/* Reads a file; one that is missing or odd is no error. Symbolic links are followed only where
 * `follow` says so: an agent that may write to its own folder must not have other files read. 0 or
 * -1. */
int cert_file_read(const struct cert_folder *folder, const char *name, bool follow,
                   struct cert_file *file, struct error *error);
/* Wipes and frees; for use as a cleanup attribute too. */
void cert_file_wipe(struct cert_file *file);

/* Puts new content in the file's place: written beside it, given owner and mode, synced, renamed.
 * Readers see the old file or the new one. Whom `owner` does not name stays who owns `old` (NULL:
 * there was none). 0 or -1. */
int cert_file_write(const struct cert_folder *folder, const char *name, const void *data,
                    size_t len, mode_t mode, const struct certs_owner *owner,
                    const struct cert_file *old, struct error *error);

/* Takes away what is not in `allowed` of the mode of a file that stays, adds `needed`, and gives it
 * to its owner. `*changed` says whether there was anything to do; nothing is done if `dry`. 0 or
 * -1. */
int cert_file_settle(const struct cert_folder *folder, const char *name,
                     const struct cert_file *file, mode_t allowed, mode_t needed,
                     const struct certs_owner *owner, bool dry, bool *changed, struct error *error);

/* Removes a file; a missing one is no error. 0 or -1. */
int cert_file_remove(const struct cert_folder *folder, const char *name, struct error *error);

#endif
