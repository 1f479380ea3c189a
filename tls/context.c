#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "tls/certificate.h"
#include "tls/files.h"
#include "tls/name_match.h"
#include "tls/reason.h"
#include "tls/session.h"

/* AEAD with forward secrecy only: what kernel TLS can take over too. */
#define SUITES_AES_128                                                                             \
    "TLS13-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
#define SUITES_AES_256                                                                             \
    "TLS13-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define SUITES_CHACHA20                                                                            \
    "TLS13-CHACHA20-POLY1305-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
static const char suites_with_aes[] = SUITES_AES_128 ":" SUITES_AES_256 ":" SUITES_CHACHA20;
static const char suites_without_aes[] = SUITES_CHACHA20 ":" SUITES_AES_128 ":" SUITES_AES_256;

/* AES-128-GCM is the fastest by far, in the kernel and in wolfSSL, where the processor has
 * instructions for it; where it has not, as on some small ARM boards, ChaCha20 is. */
static const char *preferred_suites(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") ? suites_with_aes
                                                                             : suites_without_aes;
#elif defined(__aarch64__)
    unsigned long wanted = HWCAP_AES | HWCAP_PMULL;
    return (getauxval(AT_HWCAP) & wanted) == wanted ? suites_with_aes : suites_without_aes;
#else
    return suites_with_aes;
#endif
}

enum { MIN_RSA_BITS = 2048, MIN_ECC_BITS = 256 };

int tls_global_init(void) {
    return wolfSSL_Init() == WOLFSSL_SUCCESS ? 0 : -1;
}

void tls_global_cleanup(void) {
    (void)wolfSSL_Cleanup();
}

const char *tls_library_version(void) {
    return wolfSSL_lib_version();
}

void tls_context_release(struct tls_context *context) {
    if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    wolfSSL_CTX_free(context->wolf);
    tls_ticket_keys_free(context->keys);
    free(context->server_name);
    free(context);
}

void tls_context_set_kernel(struct tls_context *context, enum tls_kernel_mode mode) {
    context->kernel = mode;
}

time_t tls_context_expiry(const struct tls_context *context) {
    return context->expires;
}

bool tls_context_same_authority(const struct tls_context *a, const struct tls_context *b) {
    return memcmp(a->authority, b->authority, sizeof a->authority) == 0;
}

void tls_context_free(struct tls_context *context) {
    if (context != NULL)
        tls_context_release(context);
}

/* What wolfSSL dislikes about a file, without a subject. */
static const char *file_problem(int code) {
    switch (code) {
    case ASN_AFTER_DATE_E:
        return "a certificate in it has expired";
    case ASN_BEFORE_DATE_E:
        return "a certificate in it is not valid yet";
    case NOT_CA_ERROR:
        return "a certificate in it does not belong to a CA (basic constraints)";
    case ASN_NO_PEM_HEADER:
        return "it is not in PEM form";
    default:
        return tls_library_reason(code);
    }
}

static int refuse_file(enum tls_file_kind kind, const char *path, int code,
                       struct tls_error *error) {
    return tls_error_set(error, "%s %s cannot be used: %s", tls_file_kind_name(kind), path,
                         file_problem(code));
}

/* Puts its end into `expires`. */
static int check_own_dates(const char *path, const struct tls_file *file, time_t *expires,
                           struct tls_error *error) {
    struct tls_certificate_facts facts;
    int code = tls_certificate_read_pem(file->data, file->len, &facts);
    if (code != 0)
        return refuse_file(TLS_FILE_CERTIFICATE, path, code, error);
    time_t now = time(NULL);
    *expires = facts.not_after;
    if (now >= facts.not_before && now <= facts.not_after)
        return 0;
    bool expired = now > facts.not_after;
    struct tm calendar = {0};
    char text[32] = "";
    (void)gmtime_r(expired ? &facts.not_after : &facts.not_before, &calendar);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &calendar);
    return tls_error_set(error, "the certificate in %s %s %s", path,
                         expired ? "expired at" : "is not valid before", text);
}

static int load_authority(struct tls_context *context, const char *path, struct tls_error *error) {
    __attribute__((cleanup(tls_file_wipe))) struct tls_file file = {0};
    if (tls_file_read(path, TLS_FILE_AUTHORITY, &file, error) != 0)
        return -1;
    int code = tls_certificate_check_authorities((const char *)file.data);
    if (code == 0)
        code = wolfSSL_CTX_load_verify_buffer(context->wolf, file.data, (long)file.len,
                                              WOLFSSL_FILETYPE_PEM);
    if (code == WOLFSSL_SUCCESS &&
        wc_Sha256Hash(file.data, (word32)file.len, context->authority) != 0)
        return tls_error_set(error, "wolfSSL cannot digest CA file %s", path);
    return code == WOLFSSL_SUCCESS ? 0 : refuse_file(TLS_FILE_AUTHORITY, path, code, error);
}

static int load_certificate(WOLFSSL_CTX *wolf, const char *path, time_t *expires,
                            struct tls_error *error) {
    __attribute__((cleanup(tls_file_wipe))) struct tls_file file = {0};
    if (tls_file_read(path, TLS_FILE_CERTIFICATE, &file, error) != 0 ||
        check_own_dates(path, &file, expires, error) != 0)
        return -1;
    int code = wolfSSL_CTX_use_certificate_chain_buffer(wolf, file.data, (long)file.len);
    return code == WOLFSSL_SUCCESS ? 0 : refuse_file(TLS_FILE_CERTIFICATE, path, code, error);
}

static int load_key(WOLFSSL_CTX *wolf, const struct tls_files *files, struct tls_error *error) {
    __attribute__((cleanup(tls_file_wipe))) struct tls_file file = {0};
    if (tls_file_read(files->key, TLS_FILE_KEY, &file, error) != 0)
        return -1;
    int code =
        wolfSSL_CTX_use_PrivateKey_buffer(wolf, file.data, (long)file.len, WOLFSSL_FILETYPE_PEM);
    if (code != WOLFSSL_SUCCESS)
        return refuse_file(TLS_FILE_KEY, files->key, code, error);
    if (wolfSSL_CTX_check_private_key(wolf) != WOLFSSL_SUCCESS)
        return tls_error_set(error, "key file %s does not belong to the certificate in %s",
                             files->key, files->certificate);
    return 0;
}

static int load_files(struct tls_context *context, const struct tls_files *files,
                      struct tls_error *error) {
    WOLFSSL_CTX *wolf = context->wolf;
    bool server = context->server;
    if (files->authority == NULL)
        return tls_error_set(error, "no CA file was given to verify the %s with",
                             server ? "clients" : "engine");
    if ((files->certificate == NULL) != (files->key == NULL))
        return tls_error_set(error, files->key == NULL
                                        ? "a certificate was given without its key file"
                                        : "a key was given without its certificate file");
    if (server && files->certificate == NULL)
        return tls_error_set(error, "no certificate file was given for the TLS listener");
    if (load_authority(context, files->authority, error) != 0)
        return -1;
    if (files->certificate == NULL)
        return 0;
    return load_certificate(wolf, files->certificate, &context->expires, error) != 0 ||
                   load_key(wolf, files, error) != 0
               ? -1
               : 0;
}

static int receive_callback(WOLFSSL *wolf, char *buffer, int size, void *user) {
    (void)wolf;
    struct tls_session *session = user;
    int got = tls_transport_receive(&session->transport, buffer, size);
    return got > 0 ? got : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int send_callback(WOLFSSL *wolf, char *bytes, int size, void *user) {
    (void)wolf;
    struct tls_session *session = user;
    int put = tls_transport_send(&session->transport, bytes, size);
    return put > 0 ? put : WOLFSSL_CBIO_ERR_WANT_WRITE;
}

static int set_protocol(WOLFSSL_CTX *wolf) {
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};
    if (wolfSSL_CTX_SetMinVersion(wolf, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_cipher_list(wolf, preferred_suites()) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(wolf, groups, sizeof groups / sizeof groups[0]) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinRsaKey_Sz(wolf, MIN_RSA_BITS) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinEccKey_Sz(wolf, MIN_ECC_BITS) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_group_messages(wolf) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_timeout(wolf, TLS_TICKET_LIFETIME) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_only_dhe_psk(wolf) != 0)
        return -1;
    /* The library's session cache is one for the whole process: it would take locks on every
     * handshake, and let a client into one context on the strength of another. */
    (void)wolfSSL_CTX_set_session_cache_mode(wolf, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_set_verify(wolf, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           tls_session_verify);
    wolfSSL_CTX_SetIORecv(wolf, receive_callback);
    wolfSSL_CTX_SetIOSend(wolf, send_callback);
    return 0;
}

static int set_server(struct tls_context *context) {
    context->keys = tls_ticket_keys_new();
    return context->keys == NULL ? -1 : tls_ticket_install(context->wolf, context->keys);
}

static int set_client(struct tls_context *context, const char *server_name) {
    /* No tickets of TLS 1.2 (wolfSSL_CTX_UseSessionTicket): once it has offered one, wolfSSL takes
     * a server that does not know it any more for one that breaks the protocol. */
    if (server_name == NULL)
        return 0;
    context->server_name = strdup(server_name);
    if (context->server_name == NULL)
        return -1;
    /* An address is not allowed in SNI, nor is a dot at the end (RFC 6066 section 3). */
    size_t len = strlen(server_name);
    if (len > 0 && server_name[len - 1] == '.')
        len--;
    if (tls_name_is_address(server_name) || len == 0 || len >= NI_MAXHOST)
        return 0;
    return wolfSSL_CTX_UseSNI(context->wolf, WOLFSSL_SNI_HOST_NAME, server_name,
                              (unsigned short)len) == WOLFSSL_SUCCESS
               ? 0
               : -1;
}

static struct tls_context *new_context(const struct tls_files *files, bool server,
                                       const char *server_name, struct tls_error *error) {
    struct tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        (void)tls_error_set(error, "out of memory for a TLS context");
        return NULL;
    }
    atomic_init(&context->references, 1);
    context->server = server;
    context->wolf =
        wolfSSL_CTX_new(server ? wolfSSLv23_server_method() : wolfSSLv23_client_method());
    if (context->wolf == NULL || set_protocol(context->wolf) != 0 ||
        (server ? set_server(context) : set_client(context, server_name)) != 0) {
        (void)tls_error_set(error, "wolfSSL cannot set up a TLS context");
        tls_context_release(context);
        return NULL;
    }
    if (load_files(context, files, error) != 0) {
        tls_context_release(context);
        return NULL;
    }
    return context;
}

struct tls_context *tls_server_context(const struct tls_files *files, struct tls_error *error) {
    return new_context(files, true, NULL, error);
}

struct tls_context *tls_client_context(const struct tls_files *files, const char *server_name,
                                       struct tls_error *error) {
    return new_context(files, false, server_name, error);
}
