#include "proxy/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/cleanup.h"

/* Up to `size` bytes; how many there were, or -1 with errno. */
static ssize_t read_all(int fd, char *text, size_t size) {
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, text + length, size - length);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0)
            length += (size_t)got;
    }
    return (ssize_t)length;
}

static struct filter_rules *load(const char *path, struct error *error) {
    struct stat status;
    /* Non-blocking, lest a FIFO keep us waiting. */
    __attribute__((cleanup(cleanup_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        (void)error_set(error, "--policy-file %s: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        (void)error_set(error, "--policy-file %s: not a regular file", path);
        return NULL;
    }
    /* One byte more than may be, to tell too long from just long enough. */
    __attribute__((cleanup(cleanup_text))) char *text = malloc(POLICY_FILE_MAX + 1);
    if (text == NULL) {
        (void)error_set(error, "out of memory");
        return NULL;
    }
    ssize_t length = read_all(fd, text, POLICY_FILE_MAX + 1);
    if (length < 0) {
        (void)error_set(error, "--policy-file %s: %s", path, strerror(errno));
        return NULL;
    }
    if (length > POLICY_FILE_MAX) {
        (void)error_set(error, "--policy-file %s: longer than 1 MiB", path);
        return NULL;
    }
    return filter_rules_parse(slice_of(text, (size_t)length), path, error->text,
                              sizeof error->text);
}

struct filter_rules *policy_file_load(const struct config *config, struct error *error) {
    if (config->policy_file != NULL)
        return load(config->policy_file, error);
    return filter_rules_new(&config->filter, error->text, sizeof error->text);
}
