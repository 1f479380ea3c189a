/* A session's way from wolfSSL into the kernel: which keys, which record numbers, and when. */
#include "tls/session.h"

#include <errno.h>
#include <string.h>
#include <wolfssl/wolfcrypt/kdf.h>
#include <wolfssl/wolfcrypt/sha512.h>

#include "tls/reason.h"

static int note_secret(WOLFSSL *wolf, int id, const unsigned char *secret, int size, void *user) {
    (void)wolf;
    struct tls_session *session = user;
    struct tls_secrets *secrets = &session->kernel.secrets;
    if (size < 0 || size > TLS_MAX_SECRET)
        return BAD_FUNC_ARG;
    if (id == CLIENT_TRAFFIC_SECRET)
        memcpy(secrets->client, secret, (size_t)size);
    if (id == SERVER_TRAFFIC_SECRET)
        memcpy(secrets->server, secret, (size_t)size);
    return 0;
}

int tls_handoff_prepare(struct tls_session *session) {
    if (session->context->kernel == TLS_KERNEL_OFF)
        return 0;
    return wolfSSL_set_tls13_secret_cb(session->wolf, note_secret, session) == WOLFSSL_SUCCESS ? 0
                                                                                               : -1;
}

/* The version and the cipher in the kernel's terms; false for what it could never take. */
static bool find_cipher(struct tls_session *session) {
    struct tls_kernel *kernel = &session->kernel;
    switch (wolfSSL_version(session->wolf)) {
    case TLS1_2_VERSION:
        kernel->version = KTLS_TLS12;
        break;
    case TLS1_3_VERSION:
        kernel->version = KTLS_TLS13;
        break;
    default:
        return false;
    }
    int bulk = wolfSSL_GetBulkCipher(session->wolf);
    int key_size = wolfSSL_GetKeySize(session->wolf);
    for (int cipher = 0; cipher < KTLS_CIPHERS; cipher++) {
        int wanted = cipher == KTLS_CHACHA20_POLY1305 ? wolfssl_chacha : wolfssl_aes_gcm;
        if (bulk == wanted && key_size == (int)ktls_key_size((enum ktls_cipher)cipher)) {
            kernel->cipher = (enum ktls_cipher)cipher;
            return true;
        }
    }
    return false;
}

static bool is_clients(const struct tls_session *session, enum ktls_direction direction) {
    return session->context->server == (direction == KTLS_RECEIVE);
}

/* What wolfSSL seals or opens the next record with. */
static int get_keys(struct tls_session *session, enum ktls_direction direction,
                    struct ktls_keys *keys) {
    WOLFSSL *wolf = session->wolf;
    bool client = is_clients(session, direction);
    const unsigned char *key =
        client ? wolfSSL_GetClientWriteKey(wolf) : wolfSSL_GetServerWriteKey(wolf);
    const unsigned char *iv =
        client ? wolfSSL_GetClientWriteIV(wolf) : wolfSSL_GetServerWriteIV(wolf);
    word64 sequence = 0;
    /* Both return 1 for the number 0, which is no error. */
    int result = direction == KTLS_SEND ? wolfSSL_GetSequenceNumber(wolf, &sequence)
                                        : wolfSSL_GetPeerSequenceNumber(wolf, &sequence);
    if (key == NULL || iv == NULL || result < 0) {
        errno = EINVAL;
        return -1;
    }
    *keys = (struct ktls_keys){
        .version = session->kernel.version,
        .cipher = session->kernel.cipher,
        .sequence = sequence,
    };
    memcpy(keys->key, key, ktls_key_size(keys->cipher));
    memcpy(keys->iv, iv, sizeof keys->iv);
    return 0;
}

static int give_direction(struct tls_session *session, enum ktls_direction direction) {
    struct ktls_keys keys;
    int result = get_keys(session, direction, &keys);
    if (result == 0)
        result = ktls_install(session->transport.fd, direction, &keys);
    int error = errno;
    explicit_bzero(&keys, sizeof keys);
    errno = error;
    return result;
}

/* wolfSSL has no more part in this session; most of what a connection holds is its. */
static void dismiss_wolf(struct tls_session *session) {
    wolfSSL_free(session->wolf);
    session->wolf = NULL;
}

/* A server sends its tickets right after the handshake, as records that look like any other. Those
 * the client role leaves to wolfSSL, and the kernel begins with the record after the first data. */
static bool may_read(const struct tls_session *session) {
    bool client_waits = !session->context->server && !session->transport.counts_idle;
    return !client_waits && wolfSSL_pending(session->wolf) == 0 &&
           tls_transport_at_boundary(&session->transport);
}

static int hand_over(struct tls_session *session) {
    struct tls_kernel *kernel = &session->kernel;
    if (!kernel->attached) {
        if (!find_cipher(session)) {
            errno = EINVAL;
            return -1;
        }
        if (ktls_attach(session->transport.fd) < 0)
            return -1;
        kernel->attached = true;
    }
    if (!kernel->writes) {
        if (give_direction(session, KTLS_SEND) < 0)
            return -1;
        kernel->writes = true;
        session->transport.detached = true;
    }
    if (!may_read(session))
        return 0;
    if (give_direction(session, KTLS_RECEIVE) < 0)
        return -1;
    kernel->reads = true;
    dismiss_wolf(session);
    return 0;
}

enum tls_status tls_handoff(struct tls_session *session, struct tls_error *error) {
    enum tls_kernel_mode mode = session->context->kernel;
    if (mode == TLS_KERNEL_OFF || session->kernel.reads || session->kernel.refused)
        return TLS_OK;
    if (hand_over(session) == 0)
        return TLS_OK;
    if (mode == TLS_KERNEL_REQUIRE)
        return tls_session_fail(session, error, "the kernel does not take its keys (%s, %s): %s",
                                session->version_name, session->cipher_name, strerror(errno));
    /* What the kernel did take stays there; the rest is wolfSSL's for good. */
    session->kernel.refused = true;
    return TLS_OK;
}

static int expand(unsigned char *to, size_t size, const unsigned char *secret, size_t secret_size,
                  const char *label, int digest) {
    static const unsigned char protocol[] = "tls13 ";
    return wc_Tls13_HKDF_Expand_Label(to, (word32)size, secret, (word32)secret_size, protocol,
                                      sizeof protocol - 1, (const unsigned char *)label,
                                      (word32)strlen(label), NULL, 0, digest);
}

int tls_handoff_next_keys(struct tls_session *session, enum ktls_direction direction,
                          struct ktls_keys *keys) {
    const struct tls_kernel *kernel = &session->kernel;
    bool long_hash = kernel->cipher == KTLS_AES_256_GCM;
    int digest = long_hash ? WC_SHA384 : WC_SHA256;
    size_t size = long_hash ? WC_SHA384_DIGEST_SIZE : WC_SHA256_DIGEST_SIZE;
    unsigned char *secret = is_clients(session, direction) ? session->kernel.secrets.client
                                                           : session->kernel.secrets.server;
    unsigned char next[TLS_MAX_SECRET];
    *keys = (struct ktls_keys){.version = kernel->version, .cipher = kernel->cipher};
    int result = expand(next, size, secret, size, "traffic upd", digest);
    if (result == 0)
        result = expand(keys->key, ktls_key_size(kernel->cipher), next, size, "key", digest);
    if (result == 0)
        result = expand(keys->iv, sizeof keys->iv, next, size, "iv", digest);
    if (result == 0)
        memcpy(secret, next, size);
    explicit_bzero(next, sizeof next);
    return result;
}
