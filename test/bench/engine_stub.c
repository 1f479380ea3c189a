/* A Docker engine's wire behaviour and nothing behind it: what the benchmark's proxies forward to.
 * A thread a connection, as goroutines are in the real one.
 *
 *   engine-stub ADDRESS
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static struct wire_address address;

#define ENGINE_FIELDS                                                                              \
    "Api-Version: 1.41\r\nDocker-Experimental: false\r\nOstype: linux\r\n"                         \
    "Server: Docker/20.10.24 (linux)\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"

static bool answer(struct wire *wire, const char *status, const char *type, const char *body) {
    char message[1024];
    int len = snprintf(message, sizeof message,
                       "HTTP/1.1 %s\r\n" ENGINE_FIELDS "Content-Type: %s\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       status, type, strlen(body), body);
    return wire_write(wire, message, (size_t)len);
}

static bool answer_ping(struct wire *wire, const char *head) {
    uint64_t size;
    return wire_skip_body(wire, head, &size) &&
           answer(wire, "200 OK", "text/plain; charset=utf-8", "OK");
}

static bool answer_create(struct wire *wire, const char *head) {
    uint64_t size;
    return wire_skip_body(wire, head, &size) &&
           answer(wire, "201 Created", "application/json",
                  "{\"Id\":\"7f2a1c9e5b3d4f6089ab7f2a1c9e5b3d4f6089ab7f2a1c9e5b3d4f6089ab1234\","
                  "\"Warnings\":[]}\n");
}

static bool answer_load(struct wire *wire, const char *head) {
    char body[64];
    uint64_t size;
    if (!wire_skip_body(wire, head, &size))
        return false;
    snprintf(body, sizeof body, "{\"bytes\":%llu}\n", (unsigned long long)size);
    return answer(wire, "200 OK", "application/json", body);
}

/* The image's name says what is wanted: chunked-SIZE or length-SIZE. */
static bool answer_save(struct wire *wire, const char *head) {
    const char *name = strstr(head, "names=");
    if (name == NULL)
        return false;
    bool chunked = strncmp(name + 6, "chunked-", 8) == 0;
    uint64_t size = strtoull(name + 14 - (chunked ? 0 : 1), NULL, 10);
    char framing[64] = "Transfer-Encoding: chunked";
    if (!chunked)
        snprintf(framing, sizeof framing, "Content-Length: %llu", (unsigned long long)size);
    char message[1024];
    int len = snprintf(message, sizeof message,
                       "HTTP/1.1 200 OK\r\n" ENGINE_FIELDS "Content-Type: application/x-tar\r\n"
                       "%s\r\n\r\n",
                       framing);
    return wire_write(wire, message, (size_t)len) && wire_send_body(wire, chunked, size);
}

/* Hijacks, then says back what it hears. */
static bool answer_attach(struct wire *wire, const char *head) {
    static const char message[] =
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    (void)head;
    if (!wire_write(wire, message, sizeof message - 1))
        return false;
    while (wire->start < wire->end || wire_fill(wire)) {
        if (!wire_write(wire, wire->buffer + wire->start, wire->end - wire->start))
            return false;
        wire->start = wire->end = 0;
    }
    return false;
}

static const char to_h2[] = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/* The engine is the client in there; here it only counts. The first 8 bytes say how many follow. */
static bool answer_session(struct wire *wire, const char *head) {
    uint64_t size;
    (void)head;
    if (!wire_write(wire, to_h2, sizeof to_h2 - 1))
        return false;
    const char *told = wire_take(wire, sizeof size);
    if (told == NULL)
        return false;
    memcpy(&size, told, sizeof size);
    (void)(wire_skip(wire, size) && wire_write(wire, &size, sizeof size));
    return false;
}

/* One call, whose bytes are counted and told. Windows are as large as they can be, so that no more
 * credit is needed. */
static bool answer_grpc(struct wire *wire, const char *head) {
    enum { MOST = INT32_MAX, FIRST = 65535, INITIAL_WINDOW = 4 };
    char text[128];
    (void)head;
    memcpy(text, to_h2, sizeof to_h2 - 1);
    char *end =
        wire_put_frame(text + sizeof to_h2 - 1, (struct wire_frame){.len = 6, .type = H2_SETTINGS});
    *end++ = 0;
    *end++ = INITIAL_WINDOW;
    wire_put_u32(end, MOST);
    end = wire_put_frame(end + 4, (struct wire_frame){.len = 4, .type = H2_WINDOW_UPDATE});
    wire_put_u32(end, MOST - FIRST);
    if (!wire_write(wire, text, (size_t)(end + 4 - text)) ||
        !wire_skip(wire, sizeof H2_PREFACE - 1))
        return false;
    struct wire_frame frame;
    uint64_t size = 0;
    while (wire_next_frame(wire, &frame) && wire_skip(wire, frame.len)) {
        size += frame.type == H2_DATA ? frame.len : 0;
        if (frame.type != H2_DATA || !(frame.flags & H2_END_STREAM))
            continue;
        end = wire_put_frame(text, (struct wire_frame){.len = 1,
                                                       .type = H2_HEADERS,
                                                       .flags = H2_END_HEADERS,
                                                       .stream = frame.stream});
        *end++ = (char)0x88; /* :status 200 */
        end = wire_put_frame(end, (struct wire_frame){.len = sizeof size,
                                                      .type = H2_DATA,
                                                      .flags = H2_END_STREAM,
                                                      .stream = frame.stream});
        memcpy(end, &size, sizeof size);
        if (!wire_write(wire, text, (size_t)(end + sizeof size - text)))
            break;
    }
    return false;
}

static const struct {
    const char *method, *in_target;
    bool (*answer)(struct wire *wire, const char *head);
} routes[] = {
    {"GET ", "/_ping", answer_ping},        {"POST ", "/containers/create", answer_create},
    {"POST ", "/images/load", answer_load}, {"GET ", "/images/get?", answer_save},
    {"POST ", "/attach?", answer_attach},   {"POST ", "/session", answer_session},
    {"POST ", "/grpc", answer_grpc},
};

static bool serve_one(struct wire *wire) {
    char *head = wire_head(wire);
    if (head == NULL)
        return false;
    size_t line = strcspn(head, "\r");
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strncmp(head, routes[i].method, strlen(routes[i].method)) == 0 &&
            memmem(head, line, routes[i].in_target, strlen(routes[i].in_target)) != NULL)
            return routes[i].answer(wire, head);
    (void)answer(wire, "404 Not Found", "application/json", "{\"message\":\"page not found\"}\n");
    return false;
}

static void *serve(void *argument) {
    struct wire *wire = wire_open(&address, (int)(intptr_t)argument, true);
    if (wire == NULL)
        return NULL;
    while (serve_one(wire))
        ;
    wire_close(wire);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_attr_t attributes;
    pthread_t thread;
    if (argc != 2)
        wire_die("usage: engine-stub ADDRESS");
    (void)signal(SIGPIPE, SIG_IGN);
    wire_address_parse(argv[1], true, &address);
    int listener = wire_listen(&address);
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) != 0 ||
        pthread_attr_setstacksize(&attributes, 256 * 1024) != 0)
        wire_die("cannot set up threads");
    while (true) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            wire_die("accept: %s", strerror(errno));
        if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd) != 0)
            wire_die("cannot start a thread");
    }
}
