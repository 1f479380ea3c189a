/* TLS over a non-blocking socket, by wolfSSL. Knows nothing of what the bytes mean. */
#ifndef DIND_PROXY_TLS_TLS_H
#define DIND_PROXY_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* One sentence for people that names the file or the peer's fault; never key material. */
struct tls_error {
    char text[512];
};

/* Once per process before anything else here, from one thread; 0 or -1. */
int tls_global_init(void);
void tls_global_cleanup(void);
/* wolfSSL's version, such as "5.7.2"; static. */
const char *tls_library_version(void);

/* Certificates, key, trust and settings of one hop. Unchanging once built; any thread may start
 * sessions from it. */
struct tls_context;

struct tls_files {
    const char *certificate; /* PEM chain, leaf first; NULL: none (client role only) */
    const char *key;         /* PEM; not readable by others (mode & 0007), else refused */
    const char *authority;   /* PEM bundle that the peer's certificate must chain to */
};

/* Server role: TLS 1.2 and 1.3, ALPN http/1.1 only, a client certificate required and verified; an
 * extended key usage in it must allow client authentication. NULL with `error` filled: unreadable
 * or malformed file, key that does not match, is encrypted or is open to everybody, own certificate
 * expired or not valid yet, anything but CA certificates in the bundle. */
struct tls_context *tls_server_context(const struct tls_files *files, struct tls_error *error);

/* Client role: TLS 1.2 and 1.3, offers ALPN http/1.1; the peer must chain to `authority` and, where
 * `server_name` is not NULL, be valid for that DNS name or IP address by its subject alternative
 * names; its common name is not looked at (RFC 9525 section 2). */
struct tls_context *tls_client_context(const struct tls_files *files, const char *server_name,
                                       struct tls_error *error);
/* Kernel TLS: once a handshake is done, the kernel takes over sealing and opening records, so that
 * data can be spliced. */
enum tls_kernel_mode {
    TLS_KERNEL_OFF,     /* wolfSSL does it all; a new context is so */
    TLS_KERNEL_AUTO,    /* wherever the kernel takes the session's keys */
    TLS_KERNEL_REQUIRE, /* a session whose keys it does not take fails */
};
/* For the sessions started from then on. Before the context is shared between threads. */
void tls_context_set_kernel(struct tls_context *context, enum tls_kernel_mode mode);

/* Whether the running kernel takes the ciphers that both roles prefer, in either TLS version. Fills
 * `text` with which it takes, or with why none. Opens a loopback connection; blocks for a moment.
 */
bool tls_kernel_available(char *text, size_t size);

/* When its own certificate ends, seconds since the epoch; 0 if it has none. */
time_t tls_context_expiry(const struct tls_context *context);

/* Whether both verify their peers with the same bundle, byte for byte. */
bool tls_context_same_authority(const struct tls_context *a, const struct tls_context *b);

/* Sessions started from it live on. Tickets it gave out are worth nothing from then on. */
void tls_context_free(struct tls_context *context);

/* Holds the newest session ticket (TLS 1.3 only) of one client context, so that the next handshake
 * is short. One per thread and context; zero-initialised is ready for use. */
struct tls_resumption {
    void *session;
};
void tls_resumption_clear(struct tls_resumption *resumption);

/* One connection. Used by one thread at a time. */
struct tls_session;

/* `fd` is borrowed: a connected non-blocking stream socket that outlives the session. `resumption`
 * (client role, may be NULL) is borrowed too and must outlive the session. NULL when memory is out,
 * with `error` filled. */
struct tls_session *tls_session_new(struct tls_context *context, int fd,
                                    struct tls_resumption *resumption, struct tls_error *error);
/* Wipes the keys. Sends nothing. */
void tls_session_free(struct tls_session *session);

enum tls_status {
    TLS_OK,
    TLS_WANT_READ,  /* call again when the socket is readable */
    TLS_WANT_WRITE, /* call again when the socket is writable */
    TLS_EOF,        /* the peer ended its direction with close_notify */
    TLS_TRUNCATED,  /* the peer ended its direction without one */
    TLS_FAILED,     /* the connection is of no more use */
};

/* Drives the handshake: OK, WANT_READ, WANT_WRITE or FAILED. Never reads past it; on TLS_OK the
 * socket has taken all that was to be sent. In TLS 1.3 a server that refuses our certificate says
 * so only to the first tls_read. */
enum tls_status tls_handshake(struct tls_session *session, struct tls_error *error);

/* Reads up to `size` bytes; on TLS_OK `*got` is at least 1. TLS_WANT_WRITE cannot be returned once
 * the handshake is over except for post-handshake messages (answers to key updates that the socket
 * does not take); treat it as such. */
enum tls_status tls_read(struct tls_session *session, void *buffer, size_t size, size_t *got,
                         struct tls_error *error);

/* Writes up to `size` bytes; on TLS_OK `*put` is at least 1 and may be less than `size`. After
 * TLS_WANT_WRITE the caller must call again with the same bytes at the front of the buffer and at
 * least the same size (the address may differ). After TLS_FAILED because the socket takes no more,
 * tls_read still gives what the peer had sent. */
enum tls_status tls_write(struct tls_session *session, const void *buffer, size_t size, size_t *put,
                          struct tls_error *error);

/* Sends close_notify, once: OK, WANT_WRITE or FAILED. Reading goes on. */
enum tls_status tls_close_write(struct tls_session *session, struct tls_error *error);

/* Whether the kernel does that direction: the socket's own bytes are plain then, for splice(2). The
 * client role begins to read so after the first data, when the server's tickets have come by. */
bool tls_kernel_reads(const struct tls_session *session);
bool tls_kernel_writes(const struct tls_session *session);

/* As tls_read, without taking the bytes; only where tls_kernel_reads. */
enum tls_status tls_peek(struct tls_session *session, void *buffer, size_t size, size_t *got,
                         struct tls_error *error);

/* Moves up to `size` bytes from the socket into a pipe; only where tls_kernel_reads. Statuses are
 * those of tls_read, but TLS_WANT_READ may also mean that the pipe is full. */
enum tls_status tls_splice_read(struct tls_session *session, int pipe_end, size_t size, size_t *got,
                                struct tls_error *error);

/* Moves up to `size` bytes from a pipe into the socket; only where tls_kernel_writes. Statuses are
 * those of tls_write. */
enum tls_status tls_splice_write(struct tls_session *session, int pipe_end, size_t size,
                                 size_t *put, struct tls_error *error);

/* After TLS_FAILED of an established session: whether the peer broke the protocol, refused to go on
 * or changed its keys where that cannot be followed, rather than that the connection was lost. */
bool tls_peer_at_fault(const struct tls_session *session);

/* The decrypted bytes that a read would give without touching the socket. While it is not 0 the
 * socket need not become readable for tls_read to succeed. */
size_t tls_pending(const struct tls_session *session);

/* The common name of the peer's certificate, empty if it has none or none was sent; lives as long
 * as the session. UTF-8 as in the certificate: whoever logs it must escape it. */
const char *tls_peer_name(struct tls_session *session);
/* Server role: the subject alternative names of the peer's certificate as text, `*size` bytes in
 * which each ends with a NUL (tls/certificate.h says which); lives as long as the session. A
 * certificate with more of them is refused. */
enum { TLS_ALT_NAMES = 64, TLS_ALT_NAMES_SIZE = 4096 };
const char *tls_peer_alt_names(const struct tls_session *session, size_t *size);
/* Such as "TLSv1.3" and "TLS13-AES128-GCM-SHA256"; static or the session's. */
const char *tls_version_name(struct tls_session *session);
const char *tls_cipher_name(struct tls_session *session);
/* The handshake was shortened by a ticket. */
bool tls_resumed(struct tls_session *session);

#endif
