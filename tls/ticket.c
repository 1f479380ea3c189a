#include "tls/ticket.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <wolfssl/wolfcrypt/aes.h>

#include "tls/secret.h"
#include "tls/session.h"

/* What is sealed: wolfSSL's own state, then this trailer of fixed size, so that a ticket's length
 * tells nothing of the name in it. */
enum {
    NAME_MAX_LENGTH = 112,   /* of the name and the alternative names together */
    TRAILER_EXPIRES = 0,     /* 8 bytes, seconds since 1970, big-endian */
    TRAILER_NAME_LENGTH = 8, /* 1 byte */
    TRAILER_ALT_LENGTH = 9,  /* 1 byte */
    TRAILER_NAME = 10,       /* then the alternative names, then zeros */
    TRAILER_SIZE = TRAILER_NAME + NAME_MAX_LENGTH,
    NONCE_SIZE = 12,
    TAG_SIZE = 16,
    KEY_SIZE = 32,
};

#if WOLFSSL_TICKET_EXTRA_PADDING_SZ < 122
#error "wolfSSL must be built with -DWOLFSSL_TICKET_EXTRA_PADDING_SZ=128"
#endif

/* Both zero: no key. */
struct sealing_key {
    unsigned char name[WOLFSSL_TICKET_NAME_SZ];
    unsigned char secret[KEY_SIZE];
    time_t born; /* by CLOCK_BOOTTIME */
};

struct tls_ticket_keys {
    pthread_mutex_t lock;
    struct sealing_key current;
    struct sealing_key previous;
};

static int random_bytes(void *bytes, size_t size) {
    /* Up to 256 bytes come whole or not at all (getrandom(2)). */
    ssize_t got;
    do
        got = getrandom(bytes, size, 0);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)size ? 0 : -1;
}

static time_t uptime(void) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

static int new_key(struct sealing_key *key) {
    struct sealing_key fresh = {.born = uptime()};
    if (random_bytes(fresh.name, sizeof fresh.name) != 0 ||
        random_bytes(fresh.secret, sizeof fresh.secret) != 0)
        return -1;
    *key = fresh;
    explicit_bzero(&fresh, sizeof fresh);
    return 0;
}

struct tls_ticket_keys *tls_ticket_keys_new(void) {
    struct tls_ticket_keys *keys = tls_secret_new(sizeof *keys);
    if (keys == NULL)
        return NULL;
    if (pthread_mutex_init(&keys->lock, NULL) != 0) {
        tls_secret_free(keys, sizeof *keys);
        return NULL;
    }
    if (new_key(&keys->current) != 0) {
        tls_ticket_keys_free(keys);
        return NULL;
    }
    return keys;
}

void tls_ticket_keys_free(struct tls_ticket_keys *keys) {
    if (keys == NULL)
        return;
    (void)pthread_mutex_destroy(&keys->lock);
    tls_secret_free(keys, sizeof *keys);
}

/* A key that has lived its time becomes the previous one, and one that has lived twice that is
 * forgotten: from then on nobody can open what was recorded under it. Called with the lock held. */
static void rotate(struct tls_ticket_keys *keys) {
    time_t now = uptime();
    if (keys->previous.born != 0 && now - keys->previous.born >= 2 * TLS_TICKET_LIFETIME)
        explicit_bzero(&keys->previous, sizeof keys->previous);
    if (now - keys->current.born < TLS_TICKET_LIFETIME)
        return;
    struct sealing_key old = keys->current;
    if (new_key(&keys->current) == 0 && now - old.born < 2 * TLS_TICKET_LIFETIME)
        keys->previous = old;
    explicit_bzero(&old, sizeof old);
}

/* Copies the key to seal with (`name` NULL) or the one of that name; false when there is none. */
static bool get_key(struct tls_ticket_keys *keys, const unsigned char *name,
                    struct sealing_key *key) {
    bool found = true;
    (void)pthread_mutex_lock(&keys->lock);
    rotate(keys);
    if (name == NULL || memcmp(name, keys->current.name, sizeof keys->current.name) == 0)
        *key = keys->current;
    else if (keys->previous.born != 0 &&
             memcmp(name, keys->previous.name, sizeof keys->previous.name) == 0)
        *key = keys->previous;
    else
        found = false;
    (void)pthread_mutex_unlock(&keys->lock);
    return found;
}

static void write_trailer(unsigned char *trailer, const struct tls_identity *identity) {
    memset(trailer, 0, TRAILER_SIZE);
    const char *name = identity->name != NULL ? identity->name : "";
    size_t length = strlen(name);
    size_t alt_length = identity->alt_size;
    bool fits = length <= NAME_MAX_LENGTH && alt_length <= NAME_MAX_LENGTH - length;
    /* Names too long to carry make a ticket that has expired already. */
    uint64_t expires = identity->expires > 0 && fits ? (uint64_t)identity->expires : 0;
    if (expires == 0)
        length = alt_length = 0;
    for (size_t i = 0; i < 8; i++)
        trailer[TRAILER_EXPIRES + i] = (unsigned char)(expires >> (56 - 8 * i));
    trailer[TRAILER_NAME_LENGTH] = (unsigned char)length;
    trailer[TRAILER_ALT_LENGTH] = (unsigned char)alt_length;
    memcpy(trailer + TRAILER_NAME, name, length);
    if (alt_length > 0)
        memcpy(trailer + TRAILER_NAME + length, identity->alt_names, alt_length);
}

/* Takes the identity over into the session; false when it has expired or contradicts another
 * ticket of the same handshake. */
static bool read_trailer(const unsigned char *trailer, struct tls_session *session) {
    uint64_t expires = 0;
    for (size_t i = 0; i < 8; i++)
        expires = expires << 8 | trailer[TRAILER_EXPIRES + i];
    size_t length = trailer[TRAILER_NAME_LENGTH];
    size_t alt_length = trailer[TRAILER_ALT_LENGTH];
    if (length > NAME_MAX_LENGTH || alt_length > NAME_MAX_LENGTH - length ||
        expires <= (uint64_t)time(NULL))
        return false;
    char name[NAME_MAX_LENGTH + 1] = {0};
    memcpy(name, trailer + TRAILER_NAME, length);
    /* A client may offer several tickets, and does not say which one before it is chosen. Two of
     * different owners would let one pass for the other in the log. */
    struct tls_identity *known = &session->identity;
    const unsigned char *alt_names = trailer + TRAILER_NAME + length;
    if (known->proof == TLS_PROOF_TICKET)
        return known->expires == (time_t)expires && known->name != NULL &&
               strcmp(known->name, name) == 0 && known->alt_size == alt_length &&
               (alt_length == 0 || memcmp(known->alt_names, alt_names, alt_length) == 0);
    if (tls_identity_set(known, name, (time_t)expires, TLS_PROOF_TICKET) != 0)
        return false;
    if (alt_length == 0)
        return true;
    known->alt_names = malloc(alt_length);
    if (known->alt_names == NULL) {
        tls_identity_clear(known);
        return false;
    }
    memcpy(known->alt_names, alt_names, alt_length);
    known->alt_size = alt_length;
    return true;
}

/* AES-256-GCM in place, bound to the key's name and the nonce. 0 or wolfCrypt's error. */
static int crypt_ticket(const struct sealing_key *key, const unsigned char *nonce,
                        unsigned char *tag, bool seal, unsigned char *bytes, int len) {
    Aes aes;
    int result = wc_AesInit(&aes, NULL, INVALID_DEVID);
    if (result != 0)
        return result;
    result = wc_AesGcmSetKey(&aes, key->secret, KEY_SIZE);
    if (result == 0 && seal)
        result = wc_AesGcmEncrypt(&aes, bytes, bytes, (word32)len, nonce, NONCE_SIZE, tag, TAG_SIZE,
                                  key->name, sizeof key->name);
    else if (result == 0)
        result = wc_AesGcmDecrypt(&aes, bytes, bytes, (word32)len, nonce, NONCE_SIZE, tag, TAG_SIZE,
                                  key->name, sizeof key->name);
    wc_AesFree(&aes);
    return result;
}

/* wolfSSL's SessionTicketEncCb: `*out_len` comes in as the room in `ticket` when sealing. */
static int seal_or_open(WOLFSSL *ssl, unsigned char name[WOLFSSL_TICKET_NAME_SZ],
                        unsigned char iv[WOLFSSL_TICKET_IV_SZ],
                        unsigned char mac[WOLFSSL_TICKET_MAC_SZ], int seal, unsigned char *ticket,
                        int in_len, int *out_len, void *user_context) {
    struct tls_ticket_keys *keys = user_context;
    struct tls_session *session = wolfSSL_GetIOReadCtx(ssl);
    struct sealing_key key;
    int result = seal ? WOLFSSL_TICKET_RET_FATAL : WOLFSSL_TICKET_RET_REJECT;
    if (session == NULL || !get_key(keys, seal ? NULL : name, &key))
        return result;
    if (seal && in_len >= 0 && in_len + TRAILER_SIZE <= *out_len) {
        write_trailer(ticket + in_len, &session->identity);
        memcpy(name, key.name, sizeof key.name);
        memset(iv, 0, WOLFSSL_TICKET_IV_SZ);
        memset(mac, 0, WOLFSSL_TICKET_MAC_SZ);
        *out_len = in_len + TRAILER_SIZE;
        if (random_bytes(iv, NONCE_SIZE) == 0 &&
            crypt_ticket(&key, iv, mac, true, ticket, *out_len) == 0)
            result = WOLFSSL_TICKET_RET_OK;
    } else if (!seal && in_len > TRAILER_SIZE &&
               crypt_ticket(&key, iv, mac, false, ticket, in_len) == 0) {
        *out_len = in_len - TRAILER_SIZE;
        if (read_trailer(ticket + *out_len, session))
            result = WOLFSSL_TICKET_RET_OK;
        else
            explicit_bzero(ticket, (size_t)in_len);
    }
    explicit_bzero(&key, sizeof key);
    return result;
}

int tls_ticket_install(WOLFSSL_CTX *context, struct tls_ticket_keys *keys) {
    if (wolfSSL_CTX_set_TicketEncCb(context, seal_or_open) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_TicketEncCtx(context, keys) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_TicketHint(context, TLS_TICKET_LIFETIME) != WOLFSSL_SUCCESS)
        return -1;
    return 0;
}
