/* The benchmark's client. Every answer is checked: a proxy that loses bytes gets no figures.
 *
 *   bench-load ADDRESS upload|download chunked|length BYTES
 *   bench-load ADDRESS session|grpc context BYTES
 *   bench-load ADDRESS ping|create|connect COUNT CONNECTIONS
 *   bench-load ADDRESS idle COUNT      says "ready", then holds them until standard input ends
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

enum { CREATE_BODY = 4096 };

static struct wire_address address;

#define CLIENT_FIELDS "Host: docker\r\nUser-Agent: Docker-Client/20.10.24 (linux)\r\n"

static struct wire *dial(void) {
    int fd = wire_connect_socket(&address);
    if (fd < 0)
        wire_die("connect: %s", strerror(errno));
    struct wire *wire = wire_open(&address, fd, false);
    if (wire == NULL)
        wire_die("the TLS handshake failed");
    return wire;
}

/* Reads an answer's head and insists on its status. */
static char *expect(struct wire *wire, const char *status) {
    char *head = wire_head(wire);
    if (head == NULL)
        wire_die("the connection ended before the answer");
    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || strncmp(head + 9, status, strlen(status)) != 0)
        wire_die("expected %s, got: %s%.*s", status, head, (int)(wire->end - wire->start),
                 wire->buffer + wire->start);
    return head;
}

static void send_or_die(struct wire *wire, const char *bytes, size_t len) {
    if (!wire_write(wire, bytes, len))
        wire_die("the connection ended while sending");
}

static void upload(bool chunked, uint64_t size) {
    char text[512];
    char framing[64] = "Transfer-Encoding: chunked";
    if (!chunked)
        snprintf(framing, sizeof framing, "Content-Length: %llu", (unsigned long long)size);
    struct wire *wire = dial();
    int len = snprintf(text, sizeof text,
                       "POST /v1.41/images/load?quiet=1 HTTP/1.1\r\n" CLIENT_FIELDS "%s\r\n"
                       "Content-Type: application/x-tar\r\n\r\n",
                       framing);
    send_or_die(wire, text, (size_t)len);
    if (!wire_send_body(wire, chunked, size))
        wire_die("the connection ended within the upload");
    char *head = expect(wire, "200");
    uint64_t body = 0;
    const char *length = wire_field(head, "content-length:");
    size_t want = length == NULL ? 0 : (size_t)strtoull(length, NULL, 10);
    while (wire->end - wire->start < want && wire_fill(wire))
        ;
    if (wire->end - wire->start < want ||
        sscanf(wire->buffer + wire->start, "{\"bytes\":%lu}", &body) != 1 || body != size)
        wire_die("the engine got %lu bytes of %lu", body, size);
    wire_close(wire);
}

static void download(bool chunked, uint64_t size) {
    char text[512];
    struct wire *wire = dial();
    int len = snprintf(text, sizeof text,
                       "GET /v1.41/images/get?names=%s-%llu HTTP/1.1\r\n" CLIENT_FIELDS "\r\n",
                       chunked ? "chunked" : "length", (unsigned long long)size);
    send_or_die(wire, text, (size_t)len);
    char *head = expect(wire, "200");
    uint64_t got = 0;
    if (!wire_skip_body(wire, head, &got) || got != size)
        wire_die("got %lu bytes of %lu", got, size);
    wire_close(wire);
}

static void open_h2(struct wire *wire, const char *target) {
    char text[512];
    int len = snprintf(text, sizeof text,
                       "POST %s HTTP/1.1\r\n" CLIENT_FIELDS
                       "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
                       target);
    send_or_die(wire, text, (size_t)len);
    (void)expect(wire, "101");
}

enum { FRAME = 16384, WRITE = 32768 }; /* as gRPC for Go sends: two frames a write */

/* A build's context in its session: opaque bytes, as a plain tunnel sees them. */
static void session(uint64_t size) {
    static char bytes[WRITE];
    struct wire *wire = dial();
    open_h2(wire, "/session");
    send_or_die(wire, (const char *)&size, sizeof size);
    for (uint64_t left = size; left > 0;) {
        size_t part = left < WRITE ? (size_t)left : WRITE;
        send_or_die(wire, bytes, part);
        left -= part;
    }
    const char *told = wire_take(wire, sizeof size);
    if (told == NULL || memcmp(told, &size, sizeof size) != 0)
        wire_die("the engine did not get the %llu bytes", (unsigned long long)size);
    wire_close(wire);
}

static char *put_literal(char *to, const char *name, const char *value) {
    *to++ = 0;
    for (const char *const *text = (const char *const[]){name, value, NULL}; *text != NULL;
         text++) {
        size_t len = strlen(*text);
        *to++ = (char)len; /* below 127 */
        memcpy(to, *text, len);
        to += len;
    }
    return to;
}

/* The same as a call of Control/Session within /grpc. */
static void grpc(uint64_t size) {
    static char bytes[WRITE + 2 * 9];
    char text[512];
    struct wire_frame frame;
    struct wire *wire = dial();
    open_h2(wire, "/grpc");
    memcpy(text, H2_PREFACE, sizeof H2_PREFACE - 1);
    char *end =
        wire_put_frame(text + sizeof H2_PREFACE - 1, (struct wire_frame){.type = H2_SETTINGS});
    char *head = end;
    end = wire_put_frame(head, (struct wire_frame){0});
    *end++ = (char)0x83; /* :method POST */
    *end++ = (char)0x86; /* :scheme http */
    end = put_literal(end, ":path", "/moby.buildkit.v1.Control/Session");
    end = put_literal(end, "content-type", "application/grpc");
    end = put_literal(end, "te", "trailers");
    (void)wire_put_frame(head, (struct wire_frame){.len = (uint32_t)(end - head - 9),
                                                   .type = H2_HEADERS,
                                                   .flags = H2_END_HEADERS,
                                                   .stream = 1});
    send_or_die(wire, text, (size_t)(end - text));
    /* With that the engine takes all that comes. */
    do
        if (!wire_next_frame(wire, &frame) || !wire_skip(wire, frame.len))
            wire_die("the engine gave no credit");
    while (frame.type != H2_WINDOW_UPDATE);
    for (uint64_t left = size; left > 0;) {
        end = bytes;
        for (int i = 0; i < WRITE / FRAME && left > 0; i++) {
            uint32_t part = left < FRAME ? (uint32_t)left : FRAME;
            left -= part;
            uint8_t flags = left == 0 ? H2_END_STREAM : 0;
            end = part + wire_put_frame(
                             end, (struct wire_frame){.len = part, .flags = flags, .stream = 1});
        }
        send_or_die(wire, bytes, (size_t)(end - bytes));
    }
    while (wire_next_frame(wire, &frame) && frame.type != H2_DATA)
        if (!wire_skip(wire, frame.len))
            break;
    const char *told = wire_take(wire, sizeof size);
    if (told == NULL || memcmp(told, &size, sizeof size) != 0)
        wire_die("the engine did not get the %llu bytes", (unsigned long long)size);
    wire_close(wire);
}

static void exchange(struct wire *wire, const char *request, size_t len, const char *status) {
    uint64_t size = 0;
    send_or_die(wire, request, len);
    if (!wire_skip_body(wire, expect(wire, status), &size) || size == 0)
        wire_die("the answer's body was cut");
}

static const char ping[] = "GET /_ping HTTP/1.1\r\n" CLIENT_FIELDS "\r\n";

/* What `docker run` sends, filled up with environment variables to 4 KiB. */
static size_t create_request(char *text, size_t room) {
    char body[CREATE_BODY + 1];
    static const char tail[] =
        "\"LAST=1\"],\"Cmd\":[\"make\",\"-j2\",\"test\"],\"Image\":\"alpine:3.20\","
        "\"WorkingDir\":\"/src\",\"Labels\":{\"com.example.job\":\"4711\"},\"HostConfig\":{"
        "\"Binds\":[\"cache:/cache\"],\"NetworkMode\":\"default\",\"AutoRemove\":true,"
        "\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"Memory\":536870912,"
        "\"CapAdd\":null,\"CapDrop\":[\"NET_RAW\"],\"Privileged\":false,\"LogConfig\":{\"Type\":"
        "\"json-file\",\"Config\":{}},\"PidMode\":\"\",\"IpcMode\":\"\"},"
        "\"NetworkingConfig\":{\"EndpointsConfig\":{}}}";
    size_t len = (size_t)snprintf(body, sizeof body,
                                  "{\"Hostname\":\"\",\"AttachStdout\":true,\"Tty\":false,"
                                  "\"Env\":[");
    for (unsigned i = 0; len + sizeof tail + 64 < CREATE_BODY; i++)
        len += (size_t)snprintf(body + len, sizeof body - len,
                                "\"CI_VARIABLE_%03u=value of the variable\",", i);
    len += (size_t)snprintf(body + len, sizeof body - len, "%s", tail);
    memset(body + len, ' ', CREATE_BODY - len);
    body[CREATE_BODY - 1] = '\n';
    int head = snprintf(text, room,
                        "POST /v1.41/containers/create?name=job HTTP/1.1\r\n" CLIENT_FIELDS
                        "Content-Length: %d\r\nContent-Type: application/json\r\n\r\n",
                        CREATE_BODY);
    memcpy(text + head, body, CREATE_BODY);
    return (size_t)head + CREATE_BODY;
}

struct share {
    pthread_t thread;
    const char *request;
    size_t len;
    const char *status;
    bool reconnect;
    unsigned long count;
};

static void *run_share(void *argument) {
    struct share *share = argument;
    struct wire *wire = NULL;
    for (unsigned long i = 0; i < share->count; i++) {
        if (wire == NULL)
            wire = dial();
        exchange(wire, share->request, share->len, share->status);
        if (share->reconnect) {
            wire_close(wire);
            wire = NULL;
        }
    }
    if (wire != NULL)
        wire_close(wire);
    return NULL;
}

static void requests(const char *kind, unsigned long count, unsigned long connections) {
    static char create[CREATE_BODY + 1024];
    struct share shares[64];
    bool creates = strcmp(kind, "create") == 0;
    size_t create_len = create_request(create, sizeof create);
    if (connections == 0 || connections > sizeof shares / sizeof shares[0])
        wire_die("1 to 64 connections");
    for (unsigned long i = 0; i < connections; i++) {
        shares[i] = (struct share){.request = creates ? create : ping,
                                   .len = creates ? create_len : sizeof ping - 1,
                                   .status = creates ? "201" : "200",
                                   .reconnect = strcmp(kind, "connect") == 0,
                                   .count = count / connections};
        if (pthread_create(&shares[i].thread, NULL, run_share, &shares[i]) != 0)
            wire_die("cannot start a thread");
    }
    for (unsigned long i = 0; i < connections; i++)
        (void)pthread_join(shares[i].thread, NULL);
}

/* Opens hijacked streams and uses each once in both directions, so that what a stream needs only
 * while bytes flow has been taken and must have been given back. */
static void idle(unsigned long count) {
    static const char attach[] =
        "POST /v1.41/containers/job/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n" CLIENT_FIELDS
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n";
    struct wire **wires = calloc(count, sizeof(struct wire *));
    if (wires == NULL)
        wire_die("out of memory");
    for (unsigned long i = 0; i < count; i++) {
        struct wire *wire = wires[i] = dial();
        send_or_die(wire, attach, sizeof attach - 1);
        (void)expect(wire, "101");
        send_or_die(wire, "hello\n", 6);
        while (wire->end - wire->start < 6)
            if (!wire_fill(wire))
                wire_die("the stream ended before its echo");
    }
    char waste;
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &waste, 1) > 0)
        ;
    for (unsigned long i = 0; i < count; i++)
        wire_close(wires[i]);
    free(wires);
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc < 4)
        wire_die("usage: bench-load ADDRESS WHAT …; see the head of its source");
    (void)signal(SIGPIPE, SIG_IGN);
    wire_address_parse(argv[1], false, &address);
    double start = seconds(CLOCK_MONOTONIC);
    const char *what = argv[2];
    if (strcmp(what, "idle") == 0)
        idle(strtoul(argv[3], NULL, 10));
    else if (argc != 5)
        wire_die("%s takes two arguments", what);
    else if (strcmp(what, "upload") == 0)
        upload(strcmp(argv[3], "chunked") == 0, strtoull(argv[4], NULL, 10));
    else if (strcmp(what, "download") == 0)
        download(strcmp(argv[3], "chunked") == 0, strtoull(argv[4], NULL, 10));
    else if (strcmp(what, "session") == 0)
        session(strtoull(argv[4], NULL, 10));
    else if (strcmp(what, "grpc") == 0)
        grpc(strtoull(argv[4], NULL, 10));
    else
        requests(what, strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - start, seconds(CLOCK_PROCESS_CPUTIME_ID));
    return 0;
}
