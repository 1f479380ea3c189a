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

bool capability_may_be_added(struct slice name) {
    static const struct slice prefix = SLICE("CAP_");
    if (slice_equal_ignoring_case(slice_first(name, prefix.len), prefix))
        name = slice_from(name, prefix.len);
    for (size_t i = 0; i < sizeof addable / sizeof addable[0]; i++)
        if (slice_equal_ignoring_case(name, addable[i]))
            return true;
    return false;
}
