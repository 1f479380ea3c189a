/* Memory for what must not get out: locked against swapping where the limit (RLIMIT_MEMLOCK)
 * allows, left out of core dumps, wiped when it is given back. */
#ifndef DIND_PROXY_TLS_SECRET_H
#define DIND_PROXY_TLS_SECRET_H

#include <stddef.h>

/* Whole pages of zeros; NULL when memory is out. */
void *tls_secret_new(size_t size);

/* `size` as it was asked for. NULL is allowed. */
void tls_secret_free(void *secret, size_t size);

#endif
