#include "proxy/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

bool journal_is(int fd, const char *stream) {
    uintmax_t device = 0;
    uintmax_t inode = 0;
    char rest = '\0';
    struct stat status;
    if (stream == NULL || sscanf(stream, "%ju:%ju%c", &device, &inode, &rest) != 2)
        return false;
    return fstat(fd, &status) == 0 && status.st_dev == (dev_t)device &&
           status.st_ino == (ino_t)inode;
}
