#include "tls/ec_key.h"

#include <stdlib.h>
#include <string.h>

#include "tls/wolf.h"
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

enum { SCALAR = 32 };

struct tls_ec_key {
    WC_RNG random; /* also blinds the scalar multiplication */
    ecc_key key;
};

void tls_ec_key_free(struct tls_ec_key *key) {
    if (key == NULL)
        return;
    (void)wc_ecc_free(&key->key);
    (void)wc_FreeRng(&key->random);
    explicit_bzero(key, sizeof *key);
    free(key);
}

static struct tls_ec_key *new_key(void) {
    struct tls_ec_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return NULL;
    if (wc_InitRng(&key->random) != 0) {
        free(key);
        return NULL;
    }
    if (wc_ecc_init(&key->key) != 0 || wc_ecc_set_rng(&key->key, &key->random) != 0) {
        tls_ec_key_free(key);
        return NULL;
    }
    return key;
}

struct tls_ec_key *tls_ec_key_generate(void) {
    struct tls_ec_key *key = new_key();
    if (key == NULL)
        return NULL;
    if (wc_ecc_make_key_ex(&key->random, SCALAR, &key->key, ECC_SECP256R1) != 0 ||
        wc_ecc_check_key(&key->key) != 0) {
        tls_ec_key_free(key);
        return NULL;
    }
    return key;
}

static int decode(struct tls_ec_key *key, const unsigned char *pem, size_t len) {
    if (len > 1 << 20)
        return -1;
    DerBuffer *der = NULL;
    word32 index = 0;
    int result = wc_PemToDer(pem, (long)len, PRIVATEKEY_TYPE, &der, NULL, NULL, NULL);
    if (result == 0)
        result = wc_EccPrivateKeyDecode(der->buffer, &index, &key->key, der->length);
    wc_FreeDer(&der); /* wipes private keys */
    if (result != 0 || key->key.dp == NULL || key->key.dp->id != ECC_SECP256R1)
        return -1;
    return wc_ecc_make_pub_ex(&key->key, NULL, &key->random) == 0 &&
                   wc_ecc_check_key(&key->key) == 0
               ? 0
               : -1;
}

struct tls_ec_key *tls_ec_key_read(const unsigned char *pem, size_t len) {
    struct tls_ec_key *key = new_key();
    if (key == NULL)
        return NULL;
    if (decode(key, pem, len) != 0) {
        tls_ec_key_free(key);
        return NULL;
    }
    return key;
}

int tls_ec_key_point(struct tls_ec_key *key, unsigned char point[TLS_EC_POINT]) {
    word32 len = TLS_EC_POINT;
    return wc_ecc_export_x963(&key->key, point, &len) == 0 && len == TLS_EC_POINT ? 0 : -1;
}

int tls_ec_key_write(struct tls_ec_key *key, char pem[TLS_EC_PEM]) {
    /* PrivateKeyInfo with an ECPrivateKey in it (RFC 5958 section 2, RFC 5915 section 3). For one
     * curve every length is fixed. */
    static const unsigned char head[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                         0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                         0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                         0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, SCALAR};
    static const unsigned char middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00};
    unsigned char der[sizeof head + SCALAR + sizeof middle + TLS_EC_POINT];
    unsigned char *scalar = der + sizeof head;
    word32 len = SCALAR;

    memcpy(der, head, sizeof head);
    memcpy(scalar + SCALAR, middle, sizeof middle);
    int result = wc_ecc_export_private_only(&key->key, scalar, &len);
    if (result == 0 && len == SCALAR && tls_ec_key_point(key, scalar + SCALAR + sizeof middle) == 0)
        result = wc_DerToPem(der, sizeof der, (byte *)pem, TLS_EC_PEM - 1, PKCS8_PRIVATEKEY_TYPE);
    else
        result = -1;
    explicit_bzero(der, sizeof der);
    if (result <= 0)
        return -1;
    pem[result] = '\0';
    return result;
}

int tls_ec_key_sign(struct tls_ec_key *key, const unsigned char digest[TLS_EC_DIGEST],
                    unsigned char signature[TLS_EC_SIGNATURE], size_t *len) {
    word32 size = TLS_EC_SIGNATURE;
    if (wc_ecc_sign_hash(digest, TLS_EC_DIGEST, signature, &size, &key->random, &key->key) != 0)
        return -1;
    *len = size;
    return 0;
}
