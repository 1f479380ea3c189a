/* The folder of the socket may be shared with those whom the proxy guards against, so nothing here
 * follows a symbolic link that somebody could plant beside it: the mode is set on the socket before
 * bind(2) gives it a name, the owner on the very file that was made. */
#include "proxy/listener_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/cleanup.h"

static struct sockaddr_un socket_address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _Static_assert(sizeof address.sun_path == sizeof((struct address *)0)->path, "same room");
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

/* A name in the same folder that nobody can guess. It is short, since the folder's name and it have
 * to fit into a socket address together. */
static int temporary_path(const char *path, char *temporary, size_t size, struct error *error) {
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* 32 */
    unsigned char random[8];
    char name[sizeof random + 2] = ".";
    int folder = (int)(strrchr(path, '/') - path) + 1;

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set(error, "cannot read random bytes: %s", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++)
        name[i + 1] = digits[random[i] % 32];
    int length = snprintf(temporary, size, "%.*s%s", folder, path, name);
    if (length < 0 || (size_t)length >= size)
        return error_set(error, "%s: the folder's name is too long for a socket by %d bytes", path,
                         length - (int)size + 1);
    return 0;
}

/* Whether somebody listens at `path`: ECONNREFUSED is a dead socket's answer (unix(7)). */
static int probe(const char *path, bool *live, struct error *error) {
    struct sockaddr_un address = socket_address(path);
    __attribute__((cleanup(cleanup_fd))) int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(error, "%s: cannot make a socket: %s", path, strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN ||
        errno == EPROTOTYPE)
        *live = true;
    else if (errno == ECONNREFUSED || errno == ENOENT)
        *live = false;
    else
        return error_set(error, "%s: cannot tell whether the socket there is in use: %s", path,
                         strerror(errno));
    return 0;
}

/* Makes the place free: removes a dead socket, and refuses anything else. */
static int clear_path(const char *path, struct error *error) {
    struct stat before, after;
    bool live = false;
    if (lstat(path, &before) != 0)
        return errno == ENOENT ? 0 : error_set(error, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(before.st_mode))
        return error_set(error, "%s: exists and is not a socket; it is left alone", path);
    if (probe(path, &live, error) != 0)
        return -1;
    if (live)
        return error_set(error, "%s: another process is listening there", path);
    /* Another proxy may have replaced it meanwhile. */
    if (lstat(path, &after) != 0)
        return errno == ENOENT ? 0 : error_set(error, "%s: %s", path, strerror(errno));
    if (after.st_dev != before.st_dev || after.st_ino != before.st_ino)
        return error_set(error, "%s: another process is listening there", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return error_set(error, "%s: cannot remove the dead socket: %s", path, strerror(errno));
    return 0;
}

/* bind(2) gives the file the mode of the socket less the umask. */
static int bind_with_mode(int fd, const char *path, mode_t mode, struct error *error) {
    struct sockaddr_un address = socket_address(path);
    if (fchmod(fd, mode) != 0)
        return error_set(error, "%s: cannot set the mode: %s", path, strerror(errno));
    mode_t mask = umask(0);
    int result = bind(fd, (const struct sockaddr *)&address, sizeof address);
    int saved = errno;
    (void)umask(mask);
    return result == 0 ? 0
                       : error_set(error, "cannot create a socket in %.*s: %s",
                                   (int)(strrchr(path, '/') - path) + 1, path, strerror(saved));
}

/* Sets the owner and remembers which file it is. */
static int settle_file(const char *path, struct listener *listener, struct error *error) {
    const struct config_listener *config = listener->config;
    struct stat status;
    __attribute__((cleanup(cleanup_fd))) int file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0)
        return error_set(error, "%s: %s", config->address.path, strerror(errno));
    if (!S_ISSOCK(status.st_mode) || (status.st_mode & 0777) != config->mode)
        return error_set(error, "%s: the new socket was replaced or has not the mode %04o",
                         config->address.path, (unsigned)config->mode);
    if ((config->owner != (uid_t)-1 || config->group != (gid_t)-1) &&
        fchownat(file, "", config->owner, config->group, AT_EMPTY_PATH) != 0)
        return error_set(error, "%s: cannot give it to user %d, group %d: %s", config->address.path,
                         (int)config->owner, (int)config->group, strerror(errno));
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return 0;
}

/* Gives the socket its final name, which must be free. */
static int publish(const char *temporary, const char *path, struct error *error) {
    /* By number, since not every libc has the function. */
    if (syscall(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    /* Some file systems know no RENAME_NOREPLACE, some sandboxes no renameat2. */
    if ((errno == EINVAL || errno == ENOSYS) && rename(temporary, path) == 0)
        return 0;
    return errno == EEXIST ? error_set(error, "%s: another process is listening there", path)
                           : error_set(error, "%s: %s", path, strerror(errno));
}

static int open_at(const char *temporary, struct listener *listener, struct error *error) {
    const char *path = listener->config->address.path;
    if (bind_with_mode(listener->fd, temporary, listener->config->mode, error) != 0)
        return -1;
    /* Listening comes after the owner is set: until then connect(2) is refused. */
    int result = settle_file(temporary, listener, error);
    if (result == 0 && listen(listener->fd, SOMAXCONN) != 0)
        result = error_set(error, "%s: %s", path, strerror(errno));
    if (result == 0)
        result = clear_path(path, error);
    if (result == 0)
        result = publish(temporary, path, error);
    if (result != 0)
        (void)unlink(temporary);
    return result;
}

int listener_open_unix(const struct config_listener *config, struct listener *listener,
                       struct error *error) {
    const char *path = config->address.path;
    char temporary[sizeof config->address.path];

    if (temporary_path(path, temporary, sizeof temporary, error) != 0 ||
        /* Once more when all is ready; here, so that a mistake leaves no trace. */
        clear_path(path, error) != 0)
        return -1;
    *listener = (struct listener){.config = config, .remove = true};
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return error_set(error, "%s: cannot make a socket: %s", path, strerror(errno));
    if (open_at(temporary, listener, error) == 0)
        return 0;
    (void)close(listener->fd);
    listener->fd = -1;
    return -1;
}

void listener_remove_unix(const struct listener *listener) {
    const char *path = listener->config->address.path;
    struct stat status;
    if (lstat(path, &status) == 0 && status.st_dev == listener->device &&
        status.st_ino == listener->inode)
        (void)unlink(path);
}
