#include <cjson/cJSON.h>
#include <llhttp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "proxy/command.h"
#include "proxy/sandbox_landlock.h"
#include "proxy/sandbox_seccomp.h"
#include "tls/tls.h"

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

int command_version(void) {
    printf("dind-proxy %s\n", DIND_PROXY_VERSION);
    printf("wolfSSL %s\n", tls_library_version());
    printf("cJSON %s\n", cJSON_Version());
    printf("llhttp %d.%d.%d\n", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
    printf("nghttp2 %s\n", nghttp2_version(0)->version_str);
#ifdef __GLIBC__
    printf("glibc %s\n", gnu_get_libc_version());
#else
    printf("musl libc\n"); /* the one that says nothing of itself */
#endif
    char kernel_tls[256];
    bool available = tls_kernel_available(kernel_tls, sizeof kernel_tls);
    printf("kernel TLS%s %s\n", available ? ":" : " is not available:", kernel_tls);
    char reason[256] = "";
    int landlock = sandbox_landlock_version(reason, sizeof reason);
    if (landlock > 0)
        printf("Landlock version %d\n", landlock);
    else
        printf("Landlock is not available: %s\n", reason);
    if (sandbox_seccomp_available(reason, sizeof reason))
        printf("seccomp is available\n");
    else
        printf("seccomp is not available: %s\n", reason);
    return EXIT_STATUS_OK;
}
