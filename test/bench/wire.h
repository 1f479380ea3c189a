/* One end of a connection for the benchmark's programs: a unix socket, or mutual TLS over loopback.
 * Blocking, and no more than a load generator needs. */
#ifndef DIND_PROXY_TEST_BENCH_WIRE_H
#define DIND_PROXY_TEST_BENCH_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { WIRE_BUFFER = 65536 };

/* Where to listen or connect: "unix:PATH" or "tls:PORT:DIRECTORY". The directory holds ca.pem,
 * cert.pem and key.pem; the port is one of 127.0.0.1. */
struct wire_address {
    struct sockaddr_storage sockaddr;
    socklen_t len;
    SSL_CTX *tls; /* NULL: plain */
};

struct wire {
    int fd;
    SSL *tls;
    size_t start, end; /* what `buffer` holds */
    char buffer[WIRE_BUFFER];
};

/* Says what went wrong and ends the process. */
__attribute__((noreturn, format(printf, 1, 2))) void wire_die(const char *format, ...);

/* Parses an address; ends the process when it is wrong. */
void wire_address_parse(const char *text, bool server, struct wire_address *address);

/* A listening socket, replacing what a unix socket's path held; ends the process on failure. */
int wire_listen(const struct wire_address *address);

/* A connected socket before TLS, or -1 with errno. */
int wire_connect_socket(const struct wire_address *address);

/* Takes over a connected socket and shakes hands; NULL when the peer does not. */
struct wire *wire_open(const struct wire_address *address, int fd, bool server);

/* Says close_notify where there is TLS, and closes. */
void wire_close(struct wire *wire);

/* False at the peer's end or on an error. */
bool wire_write(struct wire *wire, const void *bytes, size_t len);

/* Reads some more into the buffer after moving what is held to its front. False at the end, on an
 * error and when the buffer is full. */
bool wire_fill(struct wire *wire);

/* Reads a message's head and takes it out of the buffer. It ends in NUL instead of its last line
 * feed and is valid until the next call; NULL at the end. */
char *wire_head(struct wire *wire);

/* The head's field, with its name spelled as given ("content-length:"), ignoring case; NULL when it
 * is not there. What follows runs to the end of the head. */
const char *wire_field(const char *head, const char *name);

/* Reads the body that the head announces and counts its payload. False when it is cut or broken. */
bool wire_skip_body(struct wire *wire, const char *head, uint64_t *payload);

/* The next `len` bytes, at most WIRE_BUFFER, taken out of the buffer and valid until the next call;
 * NULL at the end. */
const char *wire_take(struct wire *wire, size_t len);

/* HTTP/2 (RFC 9113), as far as a call of gRPC takes it. */
enum { H2_DATA = 0, H2_HEADERS = 1, H2_SETTINGS = 4, H2_WINDOW_UPDATE = 8 };
enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4 };
#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

struct wire_frame {
    uint32_t len, stream;
    uint8_t type, flags;
};

/* Writes a frame's head of 9 bytes; where it ends. */
char *wire_put_frame(char *to, struct wire_frame frame);
/* Reads a frame's head; false at the end. Its payload follows. */
bool wire_next_frame(struct wire *wire, struct wire_frame *frame);
void wire_put_u32(char *to, uint32_t value);
/* Reads and throws away; false at the end. */
bool wire_skip(struct wire *wire, uint64_t len);

/* Sends a body of `size` bytes in the writes that Go's net/http makes of 32 KiB pieces: with
 * `chunked` a chunk each, the size line and the first of it through a buffer of 4 KiB. */
bool wire_send_body(struct wire *wire, bool chunked, uint64_t size);

#endif
