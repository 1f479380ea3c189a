/* Whether what is written somewhere goes to the service manager's journal. */
#ifndef DIND_PROXY_PROXY_JOURNAL_H
#define DIND_PROXY_PROXY_JOURNAL_H

#include <stdbool.h>

/* True if `fd` is what JOURNAL_STREAM names by device and inode (systemd.exec(5)); `stream` is that
 * variable's value, NULL if it is not set. */
bool journal_is(int fd, const char *stream);

#endif
