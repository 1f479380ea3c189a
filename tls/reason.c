#include "tls/reason.h"

#include <stdarg.h>
#include <stdio.h>

#include "tls/wolf.h"

int tls_error_set(struct tls_error *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (error != NULL && vsnprintf(error->text, sizeof error->text, format, arguments) < 0)
        error->text[0] = '\0';
    va_end(arguments);
    return -1;
}

struct sentence {
    int code;
    const char *text;
};

static const struct sentence code_sentences[] = {
    {NO_PEER_CERT, "it presented no certificate"},
    {ASN_NO_SIGNER_E, "its certificate is signed by no trusted CA"},
    {ASN_SELF_SIGNED_E, "its certificate is self-signed and not trusted"},
    {ASN_SIG_CONFIRM_E, "the signature on its certificate does not verify"},
    {ASN_SIG_HASH_E, "its certificate is signed with an unsupported digest"},
    {ASN_SIG_KEY_E, "its certificate is signed with an unsupported kind of key"},
    {ASN_AFTER_DATE_E, "its certificate has expired"},
    {ASN_BEFORE_DATE_E, "its certificate is not valid yet"},
    {ASN_NAME_INVALID_E, "its certificate breaks its CA's name constraints"},
    {ASN_PATHLEN_INV_E, "its certificate chain is longer than a CA in it allows"},
    {ASN_PATHLEN_SIZE_E, "its certificate chain is longer than a CA in it allows"},
    {ASN_CRIT_EXT_E, "its certificate has an unknown critical extension"},
    {ASN_PARSE_E, "its certificate is malformed"},
    {MAX_CHAIN_ERROR, "its certificate chain is too long"},
    {KEYUSE_SIGNATURE_E, "its certificate's key usage does not allow signatures"},
    {KEYUSE_ENCIPHER_E, "its certificate's key usage does not allow key encipherment"},
    {EXTKEYUSE_AUTH_E, "its certificate's extended key usage does not allow this role"},
    {RSA_KEY_SIZE_E, "its RSA key is shorter than 2048 bits"},
    {ECC_KEY_SIZE_E, "its elliptic-curve key is too short"},
    {VERSION_ERROR, "it offers no protocol version this side accepts (TLS 1.2 or 1.3)"},
    {UNSUPPORTED_SUITE, "it shares no cipher suite with this side"},
    {BAD_KEY_SHARE_DATA, "it shares no key-exchange group with this side"},
    {MATCH_SUITE_ERROR, "it shares no cipher suite or group with this side"},
    {UNKNOWN_ALPN_PROTOCOL_NAME_E, "it does not accept http/1.1 in ALPN"},
    {VERIFY_MAC_ERROR, "a record was damaged or forged"},
    {DECRYPT_ERROR, "a record was damaged or forged"},
    {AES_GCM_AUTH_E, "a record was damaged or forged"},
    {MAC_CMP_FAILED_E, "a record was damaged or forged"},
    {VERIFY_FINISHED_ERROR, "its handshake does not verify"},
    {VERIFY_SIGN_ERROR, "it does not hold the key of its certificate"},
    {SIG_VERIFY_E, "it does not hold the key of its certificate"},
    {BAD_BINDER, "its session ticket does not verify"},
    {OUT_OF_ORDER_E, "it sent a handshake message out of order"},
    {DUPLICATE_MSG_E, "it sent a handshake message twice"},
    {UNKNOWN_RECORD_TYPE, "it sent bytes that are not TLS"},
    {SECURE_RENEGOTIATION_E, "it tried to renegotiate"},
    {MEMORY_E, "out of memory"},
    {MEMORY_ERROR, "out of memory"},
};

const char *tls_reason_for_code(int code) {
    for (size_t i = 0; i < sizeof code_sentences / sizeof code_sentences[0]; i++)
        if (code_sentences[i].code == code)
            return code_sentences[i].text;
    return NULL;
}

const char *tls_library_reason(int code) {
    const char *text = wolfSSL_ERR_reason_error_string((unsigned long)-code);
    return text != NULL ? text : "unknown error";
}

/* RFC 8446 section 6 and appendix B.2; RFC 7301 section 3.2 for the last. */
static const struct sentence alert_names[] = {
    {0, "close_notify"},
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {22, "record_overflow"},
    {40, "handshake_failure"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {112, "unrecognized_name"},
    {113, "bad_certificate_status_response"},
    {115, "unknown_psk_identity"},
    {116, "certificate_required"},
    {120, "no_application_protocol"},
};

const char *tls_alert_name(int alert) {
    for (size_t i = 0; i < sizeof alert_names / sizeof alert_names[0]; i++)
        if (alert_names[i].code == alert)
            return alert_names[i].text;
    return NULL;
}
