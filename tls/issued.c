#include "tls/issued.h"

#include <stdio.h>
#include <string.h>

#include "tls/certificate.h"
#include "tls/wolf.h"
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/sha256.h>

static const char *const fitness_texts[] = {
    [TLS_FIT] = "it is good",
    [TLS_UNFIT_DAMAGED] = "it is damaged",
    [TLS_UNFIT_ISSUER] = "it does not come from this CA",
    [TLS_UNFIT_KEY] = "it does not belong to the key",
    [TLS_UNFIT_ROLE] = "it is for another use",
    [TLS_UNFIT_NAMES] = "it has other names",
    [TLS_UNFIT_EARLY] = "it is not valid yet",
    [TLS_UNFIT_EXPIRED] = "it has expired",
};

const char *tls_fitness_text(enum tls_fitness fitness) {
    return fitness_texts[fitness];
}

/* A decoded certificate and the bytes that it points into. */
struct decoded {
    DerBuffer *der;
    DecodedCert cert;
    bool parsed;
};

static void free_decoded(struct decoded *decoded) {
    if (decoded->parsed)
        wc_FreeDecodedCert(&decoded->cert);
    wc_FreeDer(&decoded->der);
}

static int decode(const unsigned char *pem, size_t len, struct decoded *decoded) {
    if (len > 1 << 20 ||
        wc_PemToDer(pem, (long)len, CERT_TYPE, &decoded->der, NULL, NULL, NULL) != 0)
        return -1;
    wc_InitDecodedCert(&decoded->cert, decoded->der->buffer, decoded->der->length, NULL);
    decoded->parsed = true;
    return wc_ParseCert(&decoded->cert, CERT_TYPE, NO_VERIFY, NULL) == 0 ? 0 : -1;
}

static void copy_name(const char *text, int len, char name[TLS_ISSUE_NAME_MAX + 1]) {
    name[0] = '\0';
    if (text == NULL || len <= 0 || len > TLS_ISSUE_NAME_MAX ||
        memchr(text, '\0', (size_t)len) != NULL)
        return;
    memcpy(name, text, (size_t)len);
    name[len] = '\0';
}

static void read_issuer(const DecodedCert *cert, char name[TLS_ISSUED_NAME]) {
    static const char head[] = "/CN=";
    const char *text = cert->issuer;
    if (strncmp(text, head, sizeof head - 1) == 0 && strchr(text + 1, '/') == NULL)
        text += sizeof head - 1;
    (void)snprintf(name, TLS_ISSUED_NAME, "%.*s", TLS_ISSUED_NAME - 1, text);
}

static int read_facts(const DecodedCert *cert, struct tls_issued *issued) {
    copy_name(cert->subjectCN, cert->subjectCNLen, issued->common_name);
    read_issuer(cert, issued->issuer_name);
    return tls_certificate_date(cert->beforeDate, cert->beforeDateLen, &issued->not_before) == 0 &&
                   tls_certificate_date(cert->afterDate, cert->afterDateLen, &issued->not_after) ==
                       0
               ? 0
               : -1;
}

int tls_issued_read(const unsigned char *pem, size_t len, struct tls_issued *issued) {
    __attribute__((cleanup(free_decoded))) struct decoded decoded = {0};
    *issued = (struct tls_issued){0};
    return decode(pem, len, &decoded) == 0 ? read_facts(&decoded.cert, issued) : -1;
}

static int read_point(const DecodedCert *cert, unsigned char point[TLS_EC_POINT]) {
    ecc_key key;
    word32 index = 0, len = TLS_EC_POINT;
    int result = -1;
    if (cert->keyOID != ECDSAk || wc_ecc_init(&key) != 0)
        return -1;
    if (wc_EccPublicKeyDecode(cert->publicKey, &index, &key, cert->pubKeySize) == 0 &&
        key.dp != NULL && key.dp->id == ECC_SECP256R1 &&
        wc_ecc_export_x963(&key, point, &len) == 0 && len == TLS_EC_POINT)
        result = 0;
    (void)wc_ecc_free(&key);
    return result;
}

int tls_issued_point(const unsigned char *pem, size_t len, unsigned char point[TLS_EC_POINT]) {
    __attribute__((cleanup(free_decoded))) struct decoded decoded = {0};
    return decode(pem, len, &decoded) == 0 ? read_point(&decoded.cert, point) : -1;
}

static bool is_signed_by(const DecodedCert *cert, const unsigned char authority[TLS_EC_POINT]) {
    unsigned char digest[WC_SHA256_DIGEST_SIZE];
    ecc_key key;
    int verified = 0;
    if (cert->signatureOID != CTC_SHA256wECDSA || cert->sigIndex <= cert->certBegin ||
        wc_Sha256Hash(cert->source + cert->certBegin, cert->sigIndex - cert->certBegin, digest) !=
            0 ||
        wc_ecc_init(&key) != 0)
        return false;
    if (wc_ecc_import_x963_ex(authority, TLS_EC_POINT, &key, ECC_SECP256R1) != 0 ||
        wc_ecc_verify_hash(cert->signature, cert->sigLength, digest, sizeof digest, &verified,
                           &key) != 0)
        verified = 0;
    (void)wc_ecc_free(&key);
    return verified == 1;
}

static bool has_role(const DecodedCert *cert, enum tls_role role) {
    static const unsigned char usages[] = {
        [TLS_ROLE_SERVER] = EXTKEYUSE_SERVER_AUTH, [TLS_ROLE_CLIENT] = EXTKEYUSE_CLIENT_AUTH};
    if (role == TLS_ROLE_AUTHORITY)
        return cert->isCA &&
               (!cert->extKeyUsageSet || (cert->extKeyUsage & KEYUSE_KEY_CERT_SIGN) != 0);
    return !cert->isCA &&
           (!cert->extKeyUsageSet || (cert->extKeyUsage & KEYUSE_DIGITAL_SIG) != 0) &&
           (!cert->extExtKeyUsageSet ||
            (cert->extExtKeyUsage & (usages[role] | EXTKEYUSE_ANY)) != 0);
}

static bool same_name(const DNS_entry *entry, const struct tls_alt_name *name) {
    if (entry->name == NULL || entry->len <= 0)
        return false;
    size_t len = (size_t)entry->len;
    if (name->address_len > 0)
        return entry->type == ASN_IP_TYPE && len == name->address_len &&
               memcmp(entry->name, name->address, len) == 0;
    return entry->type == ASN_DNS_TYPE && len == strlen(name->text) &&
           memcmp(entry->name, name->text, len) == 0;
}

static bool has_names(const DecodedCert *cert, const struct tls_subject *wanted) {
    char common_name[TLS_ISSUE_NAME_MAX + 1];
    copy_name(cert->subjectCN, cert->subjectCNLen, common_name);
    if (strcmp(common_name, wanted->common_name) != 0)
        return false;
    size_t found = 0;
    for (size_t i = 0; i < wanted->name_count; i++) {
        const DNS_entry *entry = cert->altNames;
        while (entry != NULL && !same_name(entry, &wanted->names[i]))
            entry = entry->next;
        if (entry == NULL)
            return false;
    }
    for (const DNS_entry *entry = cert->altNames; entry != NULL; entry = entry->next)
        found++;
    return found == wanted->name_count;
}

enum tls_fitness tls_issued_check(const unsigned char *pem, size_t len,
                                  const struct tls_subject *wanted,
                                  const unsigned char point[TLS_EC_POINT],
                                  const unsigned char authority[TLS_EC_POINT], time_t now) {
    __attribute__((cleanup(free_decoded))) struct decoded decoded = {0};
    unsigned char own[TLS_EC_POINT];
    struct tls_issued issued;
    const DecodedCert *cert = &decoded.cert;
    if (decode(pem, len, &decoded) != 0 || read_facts(cert, &issued) != 0)
        return TLS_UNFIT_DAMAGED;
    if (!is_signed_by(cert, authority))
        return TLS_UNFIT_ISSUER;
    if (read_point(cert, own) != 0 || memcmp(own, point, TLS_EC_POINT) != 0)
        return TLS_UNFIT_KEY;
    if (!has_role(cert, wanted->role))
        return TLS_UNFIT_ROLE;
    if (!has_names(cert, wanted))
        return TLS_UNFIT_NAMES;
    if (now < issued.not_before)
        return TLS_UNFIT_EARLY;
    return now > issued.not_after ? TLS_UNFIT_EXPIRED : TLS_FIT;
}
