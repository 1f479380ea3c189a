/* Kernel TLS: the record layer of a connected TCP socket, in the kernel
 * (Documentation/networking/tls.rst). Knows sockets and keys, and nothing of handshakes. */
#ifndef DIND_PROXY_TLS_KTLS_H
#define DIND_PROXY_TLS_KTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Content types of records (RFC 8446 section 5.1). */
enum ktls_record { KTLS_ALERT = 21, KTLS_HANDSHAKE = 22, KTLS_DATA = 23 };

enum ktls_version { KTLS_TLS12, KTLS_TLS13, KTLS_VERSIONS };
enum ktls_cipher { KTLS_AES_128_GCM, KTLS_AES_256_GCM, KTLS_CHACHA20_POLY1305, KTLS_CIPHERS };
enum ktls_direction { KTLS_SEND, KTLS_RECEIVE };

enum { KTLS_MAX_KEY = 32, KTLS_IV = 12 };

/* What one direction's records are sealed with. Secret: wipe it after use. */
struct ktls_keys {
    enum ktls_version version;
    enum ktls_cipher cipher;
    unsigned char key[KTLS_MAX_KEY]; /* the cipher's own length of it: ktls_key_size */
    unsigned char iv[KTLS_IV];       /* of TLS 1.2's GCM only the first four bytes: the rest of its
                                        nonce stands in each record (RFC 5288 section 3) */
    uint64_t sequence;               /* of the next record */
};

size_t ktls_key_size(enum ktls_cipher cipher);

/* Such as "AES-128-GCM"; static. */
const char *ktls_cipher_name(enum ktls_cipher cipher);

/* Gets a socket ready to take keys; without any, it goes on as before. 0, or -1 with errno: ENOENT
 * where the kernel has no TLS (or may not load the module for us), ENOTCONN unless connected. */
int ktls_attach(int fd);

/* Gives one direction of an attached socket to the kernel. From then on bytes of that direction are
 * plain: write, sendfile and splice seal them, read and splice open them. Doing it again changes
 * the keys, from Linux 6.14 on; before, errno is EBUSY. 0, or -1 with errno. */
int ktls_install(int fd, enum ktls_direction direction, const struct ktls_keys *keys);

/* recvmsg with `flags`, and in `*type` the content type of what was read; a call never mixes two
 * types. A record that does not fit comes in pieces. 0 is FIN. */
ssize_t ktls_receive(int fd, void *buffer, size_t size, int flags, unsigned char *type);

/* Sends one record of another type than data. Bytes taken, or -1 with errno. */
ssize_t ktls_send(int fd, unsigned char type, const void *bytes, size_t size);

/* What the running kernel takes. */
struct ktls_support {
    bool takes[KTLS_VERSIONS][KTLS_CIPHERS]; /* in both directions */
    int error;                               /* why nothing at all, as an errno, or 0 */
};

/* Finds out, with throw-away keys on a loopback connection of its own. Blocks for a moment. */
void ktls_probe(struct ktls_support *support);

#endif
