#include "filter/sysctls.h"

#include <stddef.h>

#include "filter/ascii.h"

/* Letters, digits, '_' and '-' in elements parted by single dots. The name becomes a path below
 * /proc/sys, so nothing that could be read as another path passes, a slash least of all. */
bool sysctl_is_plain(struct slice name) {
    bool after_dot = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool word = ascii_is_alphanumeric(c) || c == '_' || c == '-';
        if (!word && (c != '.' || after_dot))
            return false;
        after_dot = c == '.';
    }
    return !after_dot;
}

bool sysctl_is_network(struct slice name) {
    return slice_starts_with(name, SLICE("net.")) && sysctl_is_plain(name);
}

bool sysctl_is_namespaced(struct slice name) {
    static const struct slice ipc[] = {
        SLICE("kernel.msgmax"), SLICE("kernel.msgmnb"),          SLICE("kernel.msgmni"),
        SLICE("kernel.sem"),    SLICE("kernel.shm_rmid_forced"), SLICE("kernel.shmall"),
        SLICE("kernel.shmmax"), SLICE("kernel.shmmni"),
    };
    if (sysctl_is_network(name))
        return true;
    for (size_t i = 0; i < sizeof ipc / sizeof ipc[0]; i++)
        if (slice_equal(name, ipc[i]))
            return true;
    return slice_starts_with(name, SLICE("fs.mqueue.")) && sysctl_is_plain(name);
}
