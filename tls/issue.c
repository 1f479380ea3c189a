#include "tls/issue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tls/wolf.h"
#include <wolfssl/wolfcrypt/sha256.h>

enum { KEY_ID = 20, SERIAL = 16, DER_SIZE = 10 << 10 };

#define VERSION_3 "\x02\x01\x02"
/* AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 section 3.2). */
#define ECDSA_SHA256 "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
/* SubjectPublicKeyInfo of a point on P-256 (RFC 5480 section 2), up to the point itself. */
#define P256_KEY                                                                                   \
    "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" \
    "\x03\x42\x00"
#define OID_COMMON_NAME "\x55\x04\x03"
/* id-ce 14, 15, 17, 19, 35 and 37 (RFC 5280 section 4.2.1). */
#define OID_SUBJECT_KEY_ID     "\x55\x1d\x0e"
#define OID_KEY_USAGE          "\x55\x1d\x0f"
#define OID_ALT_NAME           "\x55\x1d\x11"
#define OID_BASIC_CONSTRAINTS  "\x55\x1d\x13"
#define OID_AUTHORITY_KEY_ID   "\x55\x1d\x23"
#define OID_EXTENDED_KEY_USAGE "\x55\x1d\x25"

#define PUT(der, literal) tls_der_put(der, literal, sizeof(literal) - 1)

/* What an extension says, and whether whoever does not know it must refuse the certificate. */
struct profile {
    const char *basic_constraints;
    const char *key_usage;
    const char *extended_key_usage; /* NULL: none */
    size_t basic_constraints_len;
    size_t key_usage_len;
    size_t extended_key_usage_len;
};

#define TEXT(member, literal) .member = (literal), .member##_len = sizeof(literal) - 1

static const struct profile profiles[] = {
    /* CA:TRUE, pathlen:0; keyCertSign and cRLSign. */
    [TLS_ROLE_AUTHORITY] = {TEXT(basic_constraints, "\x30\x06\x01\x01\xff\x02\x01\x00"),
                            TEXT(key_usage, "\x03\x02\x01\x06")},
    /* CA:FALSE; digitalSignature; id-kp 1 and 2 (RFC 5280 section 4.2.1.12). */
    [TLS_ROLE_SERVER] = {TEXT(basic_constraints, "\x30\x00"), TEXT(key_usage, "\x03\x02\x07\x80"),
                         TEXT(extended_key_usage,
                              "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")},
    [TLS_ROLE_CLIENT] = {TEXT(basic_constraints, "\x30\x00"), TEXT(key_usage, "\x03\x02\x07\x80"),
                         TEXT(extended_key_usage,
                              "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")},
};

/* What is taken over from the issuer. */
struct authority {
    unsigned char name[512]; /* the content of its subject's SEQUENCE, byte for byte */
    size_t name_len;
    unsigned char key_id[KEY_ID];
    bool has_key_id;
};

/* RFC 7093 section 2, method 1: the left-most 160 bits of the SHA-256 of the public key's bits. */
static int compute_key_id(const unsigned char point[TLS_EC_POINT], unsigned char id[KEY_ID]) {
    unsigned char digest[WC_SHA256_DIGEST_SIZE];
    if (wc_Sha256Hash(point, TLS_EC_POINT, digest) != 0)
        return -1;
    memcpy(id, digest, KEY_ID);
    return 0;
}

/* wolfSSL replaces a key identifier of another length than 20 bytes by its hash, which no verifier
 * would find in the CA's certificate: so look whether it stands there. */
static void find_key_id(const DerBuffer *der, const DecodedCert *cert,
                        struct authority *authority) {
    static const char head[] = OID_SUBJECT_KEY_ID "\x04\x16\x04\x14";
    unsigned char wanted[sizeof head - 1 + KEY_ID];
    memcpy(wanted, head, sizeof head - 1);
    memcpy(wanted + sizeof head - 1, cert->extSubjKeyId, KEY_ID);
    authority->has_key_id = memmem(der->buffer, der->length, wanted, sizeof wanted) != NULL;
    memcpy(authority->key_id, cert->extSubjKeyId, KEY_ID);
}

static int read_authority(const struct tls_issuer *issuer, struct authority *authority) {
    DerBuffer *der = NULL;
    if (wc_PemToDer(issuer->certificate, (long)issuer->certificate_len, CERT_TYPE, &der, NULL, NULL,
                    NULL) != 0) {
        wc_FreeDer(&der);
        return -1;
    }
    DecodedCert cert;
    wc_InitDecodedCert(&cert, der->buffer, der->length, NULL);
    int result = wc_ParseCert(&cert, CERT_TYPE, NO_VERIFY, NULL);
    if (result == 0 && cert.subjectRawLen > 0 &&
        (size_t)cert.subjectRawLen <= sizeof authority->name) {
        authority->name_len = (size_t)cert.subjectRawLen;
        memcpy(authority->name, cert.subjectRaw, authority->name_len);
        find_key_id(der, &cert, authority);
    } else {
        result = -1;
    }
    wc_FreeDecodedCert(&cert);
    wc_FreeDer(&der);
    return result;
}

static void put_name(struct tls_der *der, const char *common_name) {
    size_t end = der->at;
    tls_der_value(der, TLS_DER_UTF8_STRING, common_name, strlen(common_name));
    tls_der_value(der, TLS_DER_OID, OID_COMMON_NAME, sizeof OID_COMMON_NAME - 1);
    tls_der_wrap(der, TLS_DER_SEQUENCE, end);
    tls_der_wrap(der, TLS_DER_SET, end);
    tls_der_wrap(der, TLS_DER_SEQUENCE, end);
}

/* Makes an extension of what has been written since `end`. */
static void wrap_extension(struct tls_der *der, const char *oid, bool critical, size_t end) {
    tls_der_wrap(der, TLS_DER_OCTET_STRING, end);
    if (critical)
        tls_der_value(der, TLS_DER_BOOLEAN, "\xff", 1);
    tls_der_value(der, TLS_DER_OID, oid, sizeof OID_KEY_USAGE - 1);
    tls_der_wrap(der, TLS_DER_SEQUENCE, end);
}

static void put_extension(struct tls_der *der, const char *oid, bool critical, const char *bytes,
                          size_t len) {
    size_t end = der->at;
    tls_der_put(der, bytes, len);
    wrap_extension(der, oid, critical, end);
}

static void put_extensions(struct tls_der *der, const struct tls_subject *subject,
                           const unsigned char key_id[KEY_ID], const struct authority *authority) {
    const struct profile *profile = &profiles[subject->role];
    size_t begin = der->at, end = begin;
    if (authority->has_key_id) {
        tls_der_value(der, TLS_DER_CONTEXT | 0, authority->key_id, KEY_ID);
        tls_der_wrap(der, TLS_DER_SEQUENCE, end);
        wrap_extension(der, OID_AUTHORITY_KEY_ID, false, end);
    }
    end = der->at;
    tls_der_value(der, TLS_DER_OCTET_STRING, key_id, KEY_ID);
    wrap_extension(der, OID_SUBJECT_KEY_ID, false, end);
    if (subject->name_count > 0) {
        end = der->at;
        for (size_t i = subject->name_count; i > 0; i--)
            tls_alt_name_encode(&subject->names[i - 1], der);
        tls_der_wrap(der, TLS_DER_SEQUENCE, end);
        wrap_extension(der, OID_ALT_NAME, false, end);
    }
    if (profile->extended_key_usage != NULL)
        put_extension(der, OID_EXTENDED_KEY_USAGE, false, profile->extended_key_usage,
                      profile->extended_key_usage_len);
    put_extension(der, OID_KEY_USAGE, true, profile->key_usage, profile->key_usage_len);
    put_extension(der, OID_BASIC_CONSTRAINTS, true, profile->basic_constraints,
                  profile->basic_constraints_len);
    tls_der_wrap(der, TLS_DER_SEQUENCE, begin);
    tls_der_wrap(der, TLS_DER_CONTEXT_CONSTRUCTED | 3, begin);
}

static int put_serial(struct tls_der *der) {
    unsigned char serial[SERIAL];
    if (getrandom(serial, sizeof serial, 0) != (ssize_t)sizeof serial)
        return -1;
    /* Positive and without leading zeroes: 126 random bits. */
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
    tls_der_value(der, TLS_DER_INTEGER, serial, sizeof serial);
    return 0;
}

/* TBSCertificate, last field first. */
static int put_body(struct tls_der *der, const struct tls_subject *subject,
                    const unsigned char point[TLS_EC_POINT], const struct authority *authority,
                    const unsigned char key_id[KEY_ID]) {
    size_t begin = der->at;
    put_extensions(der, subject, key_id, authority);
    tls_der_put(der, point, TLS_EC_POINT);
    PUT(der, P256_KEY);
    put_name(der, subject->common_name);
    size_t end = der->at;
    tls_der_time(der, subject->not_after);
    tls_der_time(der, subject->not_before);
    tls_der_wrap(der, TLS_DER_SEQUENCE, end);
    if (authority->name_len > 0)
        tls_der_value(der, TLS_DER_SEQUENCE, authority->name, authority->name_len);
    else
        put_name(der, subject->common_name);
    PUT(der, ECDSA_SHA256);
    if (put_serial(der) != 0)
        return -1;
    end = der->at;
    PUT(der, VERSION_3);
    tls_der_wrap(der, TLS_DER_CONTEXT_CONSTRUCTED | 0, end);
    tls_der_wrap(der, TLS_DER_SEQUENCE, begin);
    return der->failed ? -1 : 0;
}

/* Signs the body that stands between der->at and `end`, and makes a certificate of both: the
 * signature belongs behind the body, so all is written once more in `out`. */
static int sign(const struct tls_der *body, size_t end, struct tls_ec_key *key,
                struct tls_der *out) {
    unsigned char digest[WC_SHA256_DIGEST_SIZE], signature[TLS_EC_SIGNATURE];
    size_t signature_len = 0;
    if (wc_Sha256Hash(body->bytes + body->at, (word32)(end - body->at), digest) != 0 ||
        tls_ec_key_sign(key, digest, signature, &signature_len) != 0)
        return -1;
    size_t begin = out->at;
    tls_der_put(out, signature, signature_len);
    tls_der_byte(out, 0); /* no unused bits */
    tls_der_wrap(out, TLS_DER_BIT_STRING, begin);
    PUT(out, ECDSA_SHA256);
    tls_der_put(out, body->bytes + body->at, end - body->at);
    tls_der_wrap(out, TLS_DER_SEQUENCE, begin);
    return out->failed ? -1 : 0;
}

static void free_bytes(unsigned char **bytes) {
    free(*bytes);
}

int tls_issue(const struct tls_subject *subject, struct tls_ec_key *key,
              const struct tls_issuer *issuer, char pem[TLS_ISSUE_PEM]) {
    size_t name_len = strlen(subject->common_name);
    unsigned char point[TLS_EC_POINT], key_id[KEY_ID];
    struct authority authority = {0};
    if (name_len == 0 || name_len > TLS_ISSUE_NAME_MAX || tls_ec_key_point(key, point) != 0 ||
        compute_key_id(point, key_id) != 0)
        return -1;
    if (issuer != NULL) {
        if (read_authority(issuer, &authority) != 0)
            return -1;
    } else {
        memcpy(authority.key_id, key_id, KEY_ID);
        authority.has_key_id = true;
    }

    __attribute__((cleanup(free_bytes))) unsigned char *bytes = malloc((size_t)2 * DER_SIZE);
    if (bytes == NULL)
        return -1;
    struct tls_der body = {bytes, DER_SIZE, false};
    struct tls_der all = {bytes + DER_SIZE, DER_SIZE, false};
    if (put_body(&body, subject, point, &authority, key_id) != 0 ||
        sign(&body, DER_SIZE, issuer != NULL ? issuer->key : key, &all) != 0)
        return -1;
    int len = wc_DerToPem(all.bytes + all.at, (word32)(DER_SIZE - all.at), (byte *)pem,
                          TLS_ISSUE_PEM - 1, CERT_TYPE);
    if (len <= 0)
        return -1;
    pem[len] = '\0';
    return len;
}
