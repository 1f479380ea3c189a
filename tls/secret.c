#include "tls/secret.h"

#include <string.h>
#include <sys/mman.h>

void *tls_secret_new(size_t size) {
    void *secret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret == MAP_FAILED)
        return NULL;
    /* Each as far as it goes: without the one it may be swapped, without the other dumped. */
    (void)mlock(secret, size);
    (void)madvise(secret, size, MADV_DONTDUMP);
    return secret;
}

void tls_secret_free(void *secret, size_t size) {
    if (secret == NULL)
        return;
    explicit_bzero(secret, size);
    (void)munmap(secret, size); /* unlocks it */
}
