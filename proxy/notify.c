#include "proxy/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Start-up has one thread, so the plain look-up will do. */
static const char *variable(const char *name) {
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
    return value != NULL && *value != '\0' ? value : NULL;
}

/* A whole decimal number. */
static int read_number(const char *text, uint64_t *number) {
    char *end = NULL;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return -1;
    *number = value;
    return 0;
}

/* A path, or with '@' in front a name in the abstract namespace (unix(7)), whose first byte is NUL
 * and which ends where the address does. */
static int read_address(const char *text, struct notify *notify, struct error *error) {
    size_t length = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || length < 2)
        return error_set(error, "NOTIFY_SOCKET=%.160s is neither a path nor an abstract name",
                         text);
    if (length >= sizeof notify->address.sun_path)
        return error_set(error, "NOTIFY_SOCKET=%.160s is too long for a socket", text);
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->address.sun_path, text, length);
    notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    else
        notify->length++; /* with its NUL */
    return 0;
}

static int read_watchdog(struct notify *notify, struct error *error) {
    const char *time = variable("WATCHDOG_USEC");
    const char *process = variable("WATCHDOG_PID");
    uint64_t microseconds = 0, pid = 0;
    if (time == NULL)
        return 0;
    if (process != NULL && read_number(process, &pid) != 0)
        return error_set(error, "WATCHDOG_PID=%.32s is no number", process);
    if (process != NULL && pid != (uint64_t)getpid())
        return 0; /* meant for another process, which passed its environment on */
    if (read_number(time, &microseconds) != 0)
        return error_set(error, "WATCHDOG_USEC=%.32s is no number", time);
    notify->watchdog = microseconds / 1000;
    return 0;
}

int notify_open(struct notify *notify, struct error *error) {
    const struct timeval patience = {.tv_sec = 1};
    const char *text = variable("NOTIFY_SOCKET");
    *notify = (struct notify){.fd = -1};
    if (text == NULL)
        return 0;
    if (read_address(text, notify, error) != 0 || read_watchdog(notify, error) != 0)
        return -1;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0)
        return error_set(error, "cannot make a socket for NOTIFY_SOCKET: %s", strerror(errno));
    if (setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0)
        return 0;
    (void)error_set(error, "cannot set up the socket for NOTIFY_SOCKET: %s", strerror(errno));
    notify_close(notify);
    return -1;
}

int notify_send(const struct notify *notify, const char *state) {
    ssize_t sent;
    if (notify->fd < 0)
        return 0;
    do
        sent = sendto(notify->fd, state, strlen(state), MSG_NOSIGNAL,
                      (const struct sockaddr *)&notify->address, notify->length);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

void notify_close(struct notify *notify) {
    if (notify->fd >= 0)
        (void)close(notify->fd);
    notify->fd = -1;
}
