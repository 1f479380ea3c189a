#include "proxy/cert_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "proxy/cleanup.h"

enum { MAX_SIZE = 1 << 20 };

/* mkdir(2) with exactly this mode. */
static int make_folder(const char *path, mode_t mode, struct error *error) {
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? 0 : error_set(error, "%s: %s", path, strerror(errno));
    if (chmod(path, mode) != 0)
        return error_set(error, "%s: cannot set the mode: %s", path, strerror(errno));
    return 0;
}

static int make_folders(const char *path, mode_t mode, struct error *error) {
    char above[PATH_MAX];
    struct stat status;
    if (stat(path, &status) == 0)
        return 0; /* what it is shows when it is opened */
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        (void)snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
        if (make_folder(above, 0755, error) != 0)
            return -1;
    }
    return make_folder(path, mode, error);
}

int cert_folder_open(const char *path, mode_t mode, struct cert_folder *folder,
                     struct error *error) {
    folder->fd = -1;
    int length = snprintf(folder->path, sizeof folder->path, "%s", path);
    if (length <= 0 || (size_t)length >= sizeof folder->path)
        return error_set(error, "the folder's name is empty or too long");
    if (mode != 0 && make_folders(path, mode, error) != 0)
        return -1;
    folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0 && !(errno == ENOENT && mode == 0))
        return error_set(error, "%s: %s", path, strerror(errno));
    return 0;
}

void cert_folder_close(struct cert_folder *folder) {
    cleanup_fd(&folder->fd);
    folder->fd = -1;
}

int cert_folder_lock(const struct cert_folder *folder, unsigned seconds, struct error *error) {
    enum { TRIES_A_SECOND = 20 };
    const struct timespec pause = {.tv_nsec = 1000000000 / TRIES_A_SECOND};
    for (unsigned tries = seconds * TRIES_A_SECOND;; tries--) {
        if (flock(folder->fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set(error, "%s: cannot lock it: %s", folder->path, strerror(errno));
        if (tries == 0)
            return error_set(error, "%s: another run has held the lock for %u s", folder->path,
                             seconds);
        (void)nanosleep(&pause, NULL);
    }
}

void cert_file_wipe(struct cert_file *file) {
    if (file->data != NULL)
        explicit_bzero(file->data, file->len);
    free(file->data);
    *file = (struct cert_file){0};
}

static int read_all(int fd, const struct cert_folder *folder, const char *name,
                    struct cert_file *file, struct error *error) {
    size_t size = (size_t)file->status.st_size;
    file->data = calloc(1, size + 1);
    if (file->data == NULL)
        return error_set(error, "out of memory");
    while (file->len < size) {
        ssize_t got = read(fd, file->data + file->len, size - file->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(error, "%s/%s: %s", folder->path, name, strerror(errno));
        if (got == 0)
            break;
        file->len += (size_t)got;
    }
    file->data[file->len] = '\0';
    return 0;
}

int cert_file_read(const struct cert_folder *folder, const char *name, bool follow,
                   struct cert_file *file, struct error *error) {
    *file = (struct cert_file){0};
    if (folder->fd < 0)
        return 0;
    /* Without O_NONBLOCK a FIFO would stop us for ever. */
    __attribute__((cleanup(cleanup_fd))) int fd = openat(
        folder->fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 && (errno == ELOOP || errno == ENXIO)) {
        file->odd = true;
        return 0;
    }
    if (fd < 0 || fstat(fd, &file->status) != 0)
        return error_set(error, "%s/%s: %s", folder->path, name, strerror(errno));
    if (!S_ISREG(file->status.st_mode) || file->status.st_size > MAX_SIZE) {
        file->odd = true;
        return 0;
    }
    if (read_all(fd, folder, name, file, error) != 0) {
        cert_file_wipe(file);
        return -1;
    }
    return 0;
}

/* Who a file shall belong to; (uid_t)-1 and (gid_t)-1 where that is left to the kernel. */
static struct certs_owner decide_owner(const struct certs_owner *owner,
                                       const struct cert_file *old) {
    struct certs_owner result = *owner;
    if (old != NULL && old->data != NULL) {
        if (result.user == (uid_t)-1)
            result.user = old->status.st_uid;
        if (result.group == (gid_t)-1)
            result.group = old->status.st_gid;
    }
    return result;
}

static int set_owner(int fd, const struct certs_owner *wanted, const char *folder, const char *name,
                     struct error *error) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set(error, "%s/%s: %s", folder, name, strerror(errno));
    if ((wanted->user == (uid_t)-1 || wanted->user == status.st_uid) &&
        (wanted->group == (gid_t)-1 || wanted->group == status.st_gid))
        return 0;
    if (fchown(fd, wanted->user, wanted->group) != 0)
        return error_set(error, "%s/%s: cannot give it to %d:%d: %s", folder, name,
                         (int)wanted->user, (int)wanted->group, strerror(errno));
    return 0;
}

static int write_all(int fd, const unsigned char *data, size_t len) {
    while (len > 0) {
        ssize_t put = write(fd, data, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        len -= (size_t)put;
    }
    return 0;
}

static int fill(int fd, const struct cert_folder *folder, const char *name, const void *data,
                size_t len, mode_t mode, const struct certs_owner *owner, struct error *error) {
    /* The owner first: whoever may not be given the file shall not find a key in it, and fchown(2)
     * may take bits of the mode away. */
    if (set_owner(fd, owner, folder->path, name, error) != 0)
        return -1;
    if (fchmod(fd, mode) != 0 || write_all(fd, data, len) != 0 || fsync(fd) != 0)
        return error_set(error, "%s/%s: cannot write: %s", folder->path, name, strerror(errno));
    return 0;
}

int cert_file_write(const struct cert_folder *folder, const char *name, const void *data,
                    size_t len, mode_t mode, const struct certs_owner *owner,
                    const struct cert_file *old, struct error *error) {
    char temporary[64];
    struct certs_owner wanted = decide_owner(owner, old);
    (void)snprintf(temporary, sizeof temporary, ".%s.new", name);
    /* Left behind by a run that was killed; the lock says that no other is at it. */
    if (unlinkat(folder->fd, temporary, 0) != 0 && errno != ENOENT)
        return error_set(error, "%s/%s: %s", folder->path, temporary, strerror(errno));
    __attribute__((cleanup(cleanup_fd))) int fd =
        openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, "%s: cannot make a file in it: %s", folder->path, strerror(errno));
    int result = fill(fd, folder, name, data, len, mode, &wanted, error);
    if (result == 0 && renameat(folder->fd, temporary, folder->fd, name) != 0)
        result =
            error_set(error, "%s/%s: cannot replace it: %s", folder->path, name, strerror(errno));
    if (result != 0)
        (void)unlinkat(folder->fd, temporary, 0);
    /* The name itself must survive a power failure too. */
    else if (fsync(folder->fd) != 0)
        result = error_set(error, "%s: %s", folder->path, strerror(errno));
    return result;
}

int cert_file_settle(const struct cert_folder *folder, const char *name,
                     const struct cert_file *file, mode_t allowed, mode_t needed,
                     const struct certs_owner *owner, bool dry, bool *changed,
                     struct error *error) {
    mode_t mode = file->status.st_mode & 07777;
    mode_t wanted = (mode & allowed) | needed;
    *changed = mode != wanted || (owner->user != (uid_t)-1 && owner->user != file->status.st_uid) ||
               (owner->group != (gid_t)-1 && owner->group != file->status.st_gid);
    if (!*changed || dry)
        return 0;
    __attribute__((cleanup(cleanup_fd))) int fd =
        openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return error_set(error, "%s/%s: %s", folder->path, name, strerror(errno));
    if (set_owner(fd, owner, folder->path, name, error) != 0)
        return -1;
    if (fchmod(fd, wanted) != 0)
        return error_set(error, "%s/%s: cannot set the mode: %s", folder->path, name,
                         strerror(errno));
    return 0;
}

int cert_file_remove(const struct cert_folder *folder, const char *name, struct error *error) {
    if (unlinkat(folder->fd, name, 0) != 0 && errno != ENOENT)
        return error_set(error, "%s/%s: cannot remove it: %s", folder->path, name, strerror(errno));
    return 0;
}
