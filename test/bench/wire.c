#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { GO_COPY = 32768, GO_BUFFER = 4096, BACKLOG = 1024 };

void wire_die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static const unsigned char alpn[] = "\x08http/1.1";

static int choose_protocol(SSL *tls, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *user) {
    (void)tls;
    (void)user;
    unsigned char *chosen = NULL;
    int found = SSL_select_next_proto(&chosen, out_len, alpn, sizeof alpn - 1, in, in_len);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *new_context(const char *directory, bool server) {
    char authority[4096], certificate[4096], key[4096];
    snprintf(authority, sizeof authority, "%s/ca.pem", directory);
    snprintf(certificate, sizeof certificate, "%s/cert.pem", directory);
    snprintf(key, sizeof key, "%s/key.pem", directory);
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (context == NULL || SSL_CTX_load_verify_locations(context, authority, NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        wire_die("cannot use the certificate, key and CA in %s", directory);
    /* The cipher that Go prefers where the processor has AES: the same for every contender. */
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1)
        wire_die("OpenSSL lacks TLS 1.3 with AES-128-GCM");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    if (server) {
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
        SSL_CTX_set_session_id_context(context, (const unsigned char *)"bench", 5);
    } else {
        SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1);
    }
    return context;
}

void wire_address_parse(const char *text, bool server, struct wire_address *address) {
    *address = (struct wire_address){0};
    if (strncmp(text, "unix:", 5) == 0) {
        struct sockaddr_un *where = (struct sockaddr_un *)&address->sockaddr;
        if (strlen(text + 5) >= sizeof where->sun_path)
            wire_die("%s is too long", text);
        where->sun_family = AF_UNIX;
        strcpy(where->sun_path, text + 5);
        address->len = sizeof *where;
        return;
    }
    char *directory = NULL;
    unsigned long port = strncmp(text, "tls:", 4) == 0 ? strtoul(text + 4, &directory, 10) : 0;
    if (port == 0 || port > 65535 || *directory != ':')
        wire_die("%s is neither unix:PATH nor tls:PORT:DIRECTORY", text);
    struct sockaddr_in *where = (struct sockaddr_in *)&address->sockaddr;
    where->sin_family = AF_INET;
    where->sin_port = htons((uint16_t)port);
    where->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->len = sizeof *where;
    address->tls = new_context(directory + 1, server);
}

static void tune(int fd, const struct wire_address *address) {
    int on = 1;
    if (address->sockaddr.ss_family == AF_INET)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int wire_listen(const struct wire_address *address) {
    int on = 1;
    int fd = socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        wire_die("socket: %s", strerror(errno));
    if (address->sockaddr.ss_family == AF_UNIX)
        (void)unlink(((const struct sockaddr_un *)&address->sockaddr)->sun_path);
    else
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&address->sockaddr, address->len) < 0 ||
        listen(fd, BACKLOG) < 0)
        wire_die("cannot listen: %s", strerror(errno));
    return fd;
}

int wire_connect_socket(const struct wire_address *address) {
    int fd = socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address->sockaddr, address->len) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

struct wire *wire_open(const struct wire_address *address, int fd, bool server) {
    struct wire *wire = malloc(sizeof *wire);
    if (wire == NULL)
        wire_die("out of memory");
    wire->fd = fd;
    wire->tls = NULL;
    wire->start = wire->end = 0;
    tune(fd, address);
    if (address->tls == NULL)
        return wire;
    wire->tls = SSL_new(address->tls);
    if (wire->tls != NULL && SSL_set_fd(wire->tls, fd) == 1 &&
        (server ? SSL_accept(wire->tls) : SSL_connect(wire->tls)) == 1)
        return wire;
    SSL_free(wire->tls);
    close(fd);
    free(wire);
    return NULL;
}

void wire_close(struct wire *wire) {
    if (wire->tls != NULL) {
        (void)SSL_shutdown(wire->tls);
        SSL_free(wire->tls);
    }
    close(wire->fd);
    free(wire);
}

bool wire_write(struct wire *wire, const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        size_t put = 0;
        if (wire->tls != NULL) {
            if (SSL_write_ex(wire->tls, at, len, &put) != 1)
                return false;
        } else {
            ssize_t sent = send(wire->fd, at, len, MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0)
                return false;
            put = (size_t)sent;
        }
        at += put;
        len -= put;
    }
    return true;
}

bool wire_fill(struct wire *wire) {
    if (wire->start > 0) {
        memmove(wire->buffer, wire->buffer + wire->start, wire->end - wire->start);
        wire->end -= wire->start;
        wire->start = 0;
    }
    size_t room = WIRE_BUFFER - wire->end;
    size_t got = 0;
    if (room == 0)
        return false;
    if (wire->tls != NULL) {
        if (SSL_read_ex(wire->tls, wire->buffer + wire->end, room, &got) != 1)
            return false;
    } else {
        ssize_t n;
        do
            n = recv(wire->fd, wire->buffer + wire->end, room, 0);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
            return false;
        got = (size_t)n;
    }
    wire->end += got;
    return true;
}

char *wire_head(struct wire *wire) {
    while (true) {
        char *held = wire->buffer + wire->start;
        char *end = memmem(held, wire->end - wire->start, "\r\n\r\n", 4);
        if (end != NULL) {
            end[3] = '\0';
            wire->start += (size_t)(end - held) + 4;
            return held;
        }
        if (!wire_fill(wire))
            return NULL;
    }
}

const char *wire_field(const char *head, const char *name) {
    const char *found = strcasestr(head, name);
    return found == NULL || found == head || found[-1] != '\n' ? NULL : found + strlen(name);
}

/* Drops `count` bytes, reading them if they are not there yet. */
static bool skip(struct wire *wire, uint64_t count) {
    while (count > 0) {
        if (wire->start == wire->end && !wire_fill(wire))
            return false;
        size_t held = wire->end - wire->start;
        size_t taken = count < held ? (size_t)count : held;
        wire->start += taken;
        count -= taken;
    }
    return true;
}

static bool skip_chunked(struct wire *wire, uint64_t *payload) {
    while (true) {
        char *line = wire->buffer + wire->start;
        char *end = memchr(line, '\n', wire->end - wire->start);
        if (end == NULL) {
            if (!wire_fill(wire))
                return false;
            continue;
        }
        char *digits_end = NULL;
        uint64_t size = strtoull(line, &digits_end, 16);
        if (digits_end == line || *digits_end != '\r')
            return false;
        wire->start += (size_t)(end - line) + 1;
        if (!skip(wire, size + 2))
            return false;
        if (size == 0)
            return true;
        *payload += size;
    }
}

bool wire_skip_body(struct wire *wire, const char *head, uint64_t *payload) {
    *payload = 0;
    /* Reading moves the buffer and with it the head. */
    const char *length = wire_field(head, "content-length:");
    uint64_t size = length == NULL ? 0 : strtoull(length, NULL, 10);
    if (wire_field(head, "transfer-encoding:") != NULL)
        return skip_chunked(wire, payload);
    *payload = size;
    return skip(wire, size);
}

static bool send_chunk(struct wire *wire, const char *bytes, size_t size) {
    char front[GO_BUFFER];
    size_t line = (size_t)snprintf(front, sizeof front, "%zx\r\n", size);
    size_t first = size < sizeof front - line ? size : sizeof front - line;
    memcpy(front + line, bytes, first);
    return wire_write(wire, front, line + first) &&
           (first == size || wire_write(wire, bytes + first, size - first)) &&
           wire_write(wire, "\r\n", 2);
}

bool wire_send_body(struct wire *wire, bool chunked, uint64_t size) {
    static const char bytes[GO_COPY];
    while (size > 0) {
        size_t piece = size < sizeof bytes ? (size_t)size : sizeof bytes;
        if (!(chunked ? send_chunk(wire, bytes, piece) : wire_write(wire, bytes, piece)))
            return false;
        size -= piece;
    }
    return !chunked || wire_write(wire, "0\r\n\r\n", 5);
}

const char *wire_take(struct wire *wire, size_t len) {
    while (wire->end - wire->start < len)
        if (!wire_fill(wire))
            return NULL;
    const char *taken = wire->buffer + wire->start;
    wire->start += len;
    return taken;
}

bool wire_skip(struct wire *wire, uint64_t len) {
    while (len > 0) {
        if (wire->start == wire->end && !wire_fill(wire))
            return false;
        size_t held = wire->end - wire->start;
        size_t part = len < held ? (size_t)len : held;
        wire->start += part;
        len -= part;
    }
    return true;
}

void wire_put_u32(char *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (char)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const char *from) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | (unsigned char)from[i];
    return value;
}

char *wire_put_frame(char *to, struct wire_frame frame) {
    wire_put_u32(to, frame.len << 8 | frame.type);
    to[4] = (char)frame.flags;
    wire_put_u32(to + 5, frame.stream);
    return to + 9;
}

bool wire_next_frame(struct wire *wire, struct wire_frame *frame) {
    const char *head = wire_take(wire, 9);
    if (head == NULL)
        return false;
    uint32_t first = get_u32(head);
    *frame = (struct wire_frame){.len = first >> 8,
                                 .type = (uint8_t)first,
                                 .flags = (uint8_t)head[4],
                                 .stream = get_u32(head + 5)};
    return true;
}
