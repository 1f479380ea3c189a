#include "filter/capabilities.h"

#include <stddef.h>

/* Docker's default set (moby, oci/caps/defaults.go): adding one of these back after dropping all is
 * common hardening. NET_RAW (forged packets on dind's bridges) and MKNOD (device nodes) are
 * defaults too, but nobody who names them is hardening. */
static const struct slice addable[] = {
    SLICE("AUDIT_WRITE"), SLICE("CHOWN"),   SLICE("DAC_OVERRIDE"),     SLICE("FOWNER"),
    SLICE("FSETID"),      SLICE("KILL"),    SLICE("NET_BIND_SERVICE"), SLICE("SETFCAP"),
    SLICE("SETGID"),      SLICE("SETPCAP"), SLICE("SETUID"),           SLICE("SYS_CHROOT"),
};

/* Of Linux 6.1 (include/uapi/linux/capability.h), and Docker's word for all of them. */
static const char *const known[] = {
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
};

static struct slice without_prefix(struct slice name) {
    static const struct slice prefix = SLICE("CAP_");
    return slice_equal_ignoring_case(slice_first(name, prefix.len), prefix)
               ? slice_from(name, prefix.len)
               : name;
}

bool capability_may_be_added(struct slice name) {
    name = without_prefix(name);
    for (size_t i = 0; i < sizeof addable / sizeof addable[0]; i++)
        if (slice_equal_ignoring_case(name, addable[i]))
            return true;
    return false;
}

bool capability_is_opened(const struct filter_words *opened, struct slice name) {
    name = without_prefix(name);
    for (size_t i = 0; i < opened->count; i++) {
        struct slice word = without_prefix(slice_from_string(opened->items[i]));
        if (slice_equal_ignoring_case(word, SLICE("ALL")) || slice_equal_ignoring_case(word, name))
            return true;
    }
    return false;
}

const char *capability_name(struct slice name) {
    name = without_prefix(name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (slice_equal_ignoring_case(name, slice_from_string(known[i])))
            return known[i];
    return NULL;
}

bool capability_is_known(struct slice name) {
    return capability_name(name) != NULL;
}

void capability_offer(struct near *near) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        near_offer(near, known[i]);
}
