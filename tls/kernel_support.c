/* What the running kernel's TLS can do, for people. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tls/ktls.h"
#include "tls/tls.h"

static const char *explain(int error) {
    switch (error) {
    case ENOENT:
        return "the kernel has no TLS, or its module is not loaded (modprobe tls)";
    case EPERM:
    case EACCES:
        return "setting it up is not permitted here (a seccomp filter?)";
    default:
        return strerror(error);
    }
}

bool tls_kernel_available(char *text, size_t size) {
    struct ktls_support support;
    ktls_probe(&support);
    if (support.error != 0) {
        snprintf(text, size, "%s", explain(support.error));
        return false;
    }
    static const char *const versions[KTLS_VERSIONS] = {"TLS 1.2", "TLS 1.3"};
    size_t used = 0;
    for (int version = 0; version < KTLS_VERSIONS; version++) {
        const char *separator = version == 0 ? "" : "; ";
        for (int cipher = 0; cipher < KTLS_CIPHERS && used < size; cipher++) {
            if (!support.takes[version][cipher])
                continue;
            const char *before = separator[0] == ',' ? "" : versions[version];
            int length =
                snprintf(text + used, size - used, "%s%s%s%s", separator, before,
                         before[0] == '\0' ? "" : ": ", ktls_cipher_name((enum ktls_cipher)cipher));
            used += length > 0 ? (size_t)length : 0;
            separator = ", ";
        }
    }
    return support.takes[KTLS_TLS13][KTLS_AES_128_GCM] &&
           support.takes[KTLS_TLS12][KTLS_AES_128_GCM];
}
