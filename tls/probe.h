/* A TLS client that talks to whoever answers, without asking who that is. It is there to find out
 * what lies behind a port, as an attacker would; nothing secret may be sent through it. */
#ifndef DIND_PROXY_TLS_PROBE_H
#define DIND_PROXY_TLS_PROBE_H

#include <stddef.h>

#include "tls/pair.h"
#include "tls/tls.h"

struct tls_probe;

/* `fd` is borrowed: a connected non-blocking stream socket that outlives the probe. The client
 * certificate and its key are shown when asked for; where `certificate.data` is NULL there is none.
 * NULL when they cannot be used or memory is out. */
struct tls_probe *tls_probe_new(int fd, struct tls_pem certificate, struct tls_pem key);
void tls_probe_free(struct tls_probe *probe);

/* As those of struct tls_session, but for TLS_EOF, which also stands for TLS_TRUNCATED. */
enum tls_status tls_probe_handshake(struct tls_probe *probe);
enum tls_status tls_probe_write(struct tls_probe *probe, const void *buffer, size_t size,
                                size_t *put);
enum tls_status tls_probe_read(struct tls_probe *probe, void *buffer, size_t size, size_t *got);

/* The name of the fatal alert that the other side sent, such as "unknown_ca"; NULL if none. Static.
 */
const char *tls_probe_alert(struct tls_probe *probe);

#endif
