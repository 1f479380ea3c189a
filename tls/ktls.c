#include "tls/ktls.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* Both are kernel ABI that not every C library's headers know. */
#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const struct {
    const char *name;
    size_t key_size;
} ciphers[KTLS_CIPHERS] = {
    [KTLS_AES_128_GCM] = {"AES-128-GCM", 16},
    [KTLS_AES_256_GCM] = {"AES-256-GCM", 32},
    [KTLS_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", 32},
};

size_t ktls_key_size(enum ktls_cipher cipher) {
    return ciphers[cipher].key_size;
}

const char *ktls_cipher_name(enum ktls_cipher cipher) {
    return ciphers[cipher].name;
}

int ktls_attach(int fd) {
    static const char name[] = "tls";
    return setsockopt(fd, IPPROTO_TCP, TCP_ULP, name, sizeof name);
}

static void write_sequence(unsigned char *to, uint64_t sequence) {
    for (size_t i = 0; i < 8; i++)
        to[i] = (unsigned char)(sequence >> (56 - 8 * i));
}

enum { GCM_SALT = TLS_CIPHER_AES_GCM_128_SALT_SIZE, GCM_NONCE = TLS_CIPHER_AES_GCM_128_IV_SIZE };
_Static_assert(GCM_SALT == TLS_CIPHER_AES_GCM_256_SALT_SIZE &&
                   GCM_NONCE == TLS_CIPHER_AES_GCM_256_IV_SIZE,
               "both key sizes have the same nonces");

/* AES-GCM's nonce is a salt of four bytes and eight more, which TLS 1.3 derives too and TLS 1.2
 * counts. Starting at the record's number, it goes on where user space left off. */
static void write_gcm_nonce(const struct ktls_keys *keys, unsigned char *salt,
                            unsigned char *nonce) {
    memcpy(salt, keys->iv, GCM_SALT);
    if (keys->version == KTLS_TLS13)
        memcpy(nonce, keys->iv + GCM_SALT, GCM_NONCE);
    else
        write_sequence(nonce, keys->sequence);
}

int ktls_install(int fd, enum ktls_direction direction, const struct ktls_keys *keys) {
    union {
        struct tls_crypto_info head;
        struct tls12_crypto_info_aes_gcm_128 gcm_128;
        struct tls12_crypto_info_aes_gcm_256 gcm_256;
        struct tls12_crypto_info_chacha20_poly1305 chacha;
    } info = {0};
    socklen_t size = 0;
    info.head.version = keys->version == KTLS_TLS13 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
    switch (keys->cipher) {
    case KTLS_AES_128_GCM:
        info.head.cipher_type = TLS_CIPHER_AES_GCM_128;
        size = sizeof info.gcm_128;
        memcpy(info.gcm_128.key, keys->key, sizeof info.gcm_128.key);
        write_gcm_nonce(keys, info.gcm_128.salt, info.gcm_128.iv);
        write_sequence(info.gcm_128.rec_seq, keys->sequence);
        break;
    case KTLS_AES_256_GCM:
        info.head.cipher_type = TLS_CIPHER_AES_GCM_256;
        size = sizeof info.gcm_256;
        memcpy(info.gcm_256.key, keys->key, sizeof info.gcm_256.key);
        write_gcm_nonce(keys, info.gcm_256.salt, info.gcm_256.iv);
        write_sequence(info.gcm_256.rec_seq, keys->sequence);
        break;
    case KTLS_CHACHA20_POLY1305:
        info.head.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
        size = sizeof info.chacha;
        memcpy(info.chacha.key, keys->key, sizeof info.chacha.key);
        memcpy(info.chacha.iv, keys->iv, sizeof info.chacha.iv);
        write_sequence(info.chacha.rec_seq, keys->sequence);
        break;
    case KTLS_CIPHERS:
        errno = EINVAL;
        return -1;
    }
    int result = setsockopt(fd, SOL_TLS, direction == KTLS_SEND ? TLS_TX : TLS_RX, &info, size);
    int error = errno;
    explicit_bzero(&info, sizeof info);
    errno = error;
    return result;
}

ssize_t ktls_receive(int fd, void *buffer, size_t size, int flags, unsigned char *type) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(unsigned char))];
    } control = {0};
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    *type = KTLS_DATA;
    ssize_t got = recvmsg(fd, &message, flags);
    if (got < 0)
        return got;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_TLS &&
        header->cmsg_type == TLS_GET_RECORD_TYPE && header->cmsg_len == CMSG_LEN(sizeof *type))
        *type = *CMSG_DATA(header);
    return got;
}

ssize_t ktls_send(int fd, unsigned char type, const void *bytes, size_t size) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(unsigned char))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_SET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(sizeof type);
    *CMSG_DATA(header) = type;
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}
