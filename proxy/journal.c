#include "proxy/journal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A decimal number that ends with `end`; `*text` is then behind that. */
static bool read_number(const char **text, char end, uintmax_t *number) {
    char *rest = NULL;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    *number = strtoumax(*text, &rest, 10);
    if (errno != 0 || *rest != end)
        return false;
    *text = rest + 1;
    return true;
}

bool journal_is(int fd, const char *stream) {
    uintmax_t device = 0;
    uintmax_t inode = 0;
    struct stat status;
    if (stream == NULL || !read_number(&stream, ':', &device) ||
        !read_number(&stream, '\0', &inode))
        return false;
    return fstat(fd, &status) == 0 && status.st_dev == (dev_t)device &&
           status.st_ino == (ino_t)inode;
}
