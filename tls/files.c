#include "tls/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/reason.h"
#include "tls/secret.h"

/* Some room is for what a file may grow by between being looked at and being read. */
enum { MAX_FILE_SIZE = 1 << 20, MARGIN = 4096 };

static const char *const kind_names[] = {
    [TLS_FILE_CERTIFICATE] = "certificate file",
    [TLS_FILE_KEY] = "key file",
    [TLS_FILE_AUTHORITY] = "CA file",
};

const char *tls_file_kind_name(enum tls_file_kind kind) {
    return kind_names[kind];
}

void tls_file_wipe(struct tls_file *file) {
    tls_secret_free(file->data, file->room);
    *file = (struct tls_file){0};
}

static void close_descriptor(const int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
}

static int check_mode(const char *path, enum tls_file_kind kind, const struct stat *status,
                      struct tls_error *error) {
    const char *name = kind_names[kind];
    if (!S_ISREG(status->st_mode))
        return tls_error_set(error, "%s %s is not a regular file", name, path);
    if (status->st_size > MAX_FILE_SIZE)
        return tls_error_set(error, "%s %s is larger than 1 MiB", name, path);
    if (kind == TLS_FILE_KEY && (status->st_mode & 0007) != 0)
        return tls_error_set(error,
                             "%s %s is open to every user of this machine (mode %04o): "
                             "chmod 0600 %s",
                             name, path, (unsigned)(status->st_mode & 07777), path);
    return 0;
}

/* Reads until the end. */
static int read_all(int fd, const char *path, enum tls_file_kind kind, struct tls_file *file,
                    struct tls_error *error) {
    while (file->len < file->room) {
        ssize_t got = read(fd, file->data + file->len, file->room - file->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return tls_error_set(error, "cannot read %s %s: %s", kind_names[kind], path,
                                 strerror(errno));
        if (got == 0) {
            file->data[file->len] = '\0';
            return 0;
        }
        file->len += (size_t)got;
    }
    return tls_error_set(error, "%s %s grows while it is read", kind_names[kind], path);
}

static int check_pem(const char *path, enum tls_file_kind kind, const struct tls_file *file,
                     struct tls_error *error) {
    const char *text = (const char *)file->data;
    const char *name = kind_names[kind];
    if (file->len == 0)
        return tls_error_set(error, "%s %s is empty", name, path);
    if (memchr(text, '\0', file->len) != NULL)
        return tls_error_set(error, "%s %s is binary; PEM is wanted", name, path);
    if (kind != TLS_FILE_KEY) {
        if (strstr(text, "-----BEGIN CERTIFICATE-----") == NULL &&
            strstr(text, "-----BEGIN X509 CERTIFICATE-----") == NULL)
            return tls_error_set(error, "%s %s holds no certificate in PEM form", name, path);
        return 0;
    }
    if (strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") != NULL ||
        strstr(text, "Proc-Type: 4,ENCRYPTED") != NULL)
        return tls_error_set(error,
                             "%s %s is encrypted with a passphrase: give the key without one "
                             "(openssl pkey -in … -out …)",
                             name, path);
    if (strstr(text, "PRIVATE KEY-----") == NULL)
        return tls_error_set(error, "%s %s holds no private key in PEM form", name, path);
    return 0;
}

int tls_file_read(const char *path, enum tls_file_kind kind, struct tls_file *file,
                  struct tls_error *error) {
    *file = (struct tls_file){0};
    const char *name = kind_names[kind];
    /* Without O_NONBLOCK a FIFO under that name would stop the start for ever. */
    __attribute__((cleanup(close_descriptor))) int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return tls_error_set(error, "cannot open %s %s: %s", name, path, strerror(errno));
    struct stat status;
    if (fstat(fd, &status) != 0)
        return tls_error_set(error, "cannot examine %s %s: %s", name, path, strerror(errno));
    if (check_mode(path, kind, &status, error) != 0)
        return -1;
    file->room = (size_t)status.st_size + MARGIN;
    file->data = tls_secret_new(file->room);
    if (file->data == NULL)
        return tls_error_set(error, "out of memory for %s %s", name, path);
    if (read_all(fd, path, kind, file, error) != 0 || check_pem(path, kind, file, error) != 0) {
        tls_file_wipe(file);
        return -1;
    }
    return 0;
}
