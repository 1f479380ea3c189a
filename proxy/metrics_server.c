#include "proxy/metrics_server.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/deadline.h"

enum { SECOND_MS = 1000, MAX_REQUEST = 4096 };

struct client {
    int fd; /* -1: a free place */
    uint64_t since;
    char request[MAX_REQUEST];
    size_t asked;
    char *answer; /* owned; NULL while the question is still coming */
    size_t length, sent;
    bool ended; /* all is sent: waiting for the client to close, so that nothing is reset */
};

struct loop {
    struct metrics_server *server;
    struct client clients[METRICS_MAX_CLIENTS];
    uint64_t second;   /* when the current one began */
    unsigned accepted; /* in it */
};

static void drop(struct client *client) {
    if (client->fd >= 0)
        (void)close(client->fd);
    free(client->answer);
    *client = (struct client){.fd = -1};
}

/* A free place, or the oldest client's. */
static struct client *make_room(struct loop *loop) {
    struct client *oldest = &loop->clients[0];
    for (size_t i = 0; i < METRICS_MAX_CLIENTS; i++) {
        if (loop->clients[i].fd < 0)
            return &loop->clients[i];
        if (loop->clients[i].since < oldest->since)
            oldest = &loop->clients[i];
    }
    drop(oldest);
    return oldest;
}

static void accept_one(struct loop *loop, int listener, uint64_t now) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    /* Counted even if it fails, lest a lack of descriptors keep the loop awake. */
    loop->accepted++;
    if (fd < 0)
        return;
    struct client *client = make_room(loop);
    client->fd = fd;
    client->since = now;
}

static char *compose(const char *status, const char *type, const char *body, size_t length,
                     size_t *whole) {
    char *answer = NULL;
    FILE *out = open_memstream(&answer, whole);
    if (out == NULL)
        return NULL;
    (void)fprintf(out,
                  "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                  "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                  status, type, length);
    (void)fwrite(body, 1, length, out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(answer);
        return NULL;
    }
    return answer;
}

static bool asks_for(const struct client *client, const char *line) {
    return client->asked >= strlen(line) && memcmp(client->request, line, strlen(line)) == 0;
}

static char *answer(const struct loop *loop, const struct client *client, size_t *whole) {
    static const char plain[] = "text/plain; charset=utf-8";
    static const char lost[] = "GET /metrics is all there is here\n";
    if (!asks_for(client, "GET /metrics ") && !asks_for(client, "GET /metrics?"))
        return compose("404 Not Found", plain, lost, sizeof lost - 1, whole);
    size_t length = 0;
    char *text = metrics_render(loop->server->metrics, &length);
    if (text == NULL)
        return NULL;
    char *composed =
        compose("200 OK", "text/plain; version=0.0.4; charset=utf-8", text, length, whole);
    free(text);
    return composed;
}

/* Takes what there is of a question. False when the client is of no more use. */
static bool hear(struct loop *loop, struct client *client) {
    ssize_t got = recv(client->fd, client->request + client->asked, MAX_REQUEST - client->asked, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0)
        return false;
    client->asked += (size_t)got;
    if (memmem(client->request, client->asked, "\r\n\r\n", 4) == NULL)
        return client->asked < MAX_REQUEST;
    client->answer = answer(loop, client, &client->length);
    return client->answer != NULL;
}

/* Sends what is left of the answer. False when the client is of no more use. */
static bool say(struct client *client) {
    ssize_t put = send(client->fd, client->answer + client->sent, client->length - client->sent,
                       MSG_NOSIGNAL);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR;
    client->sent += (size_t)put;
    if (client->sent < client->length)
        return true;
    client->ended = true;
    return shutdown(client->fd, SHUT_WR) == 0;
}

/* Whatever still comes is thrown away; false at the end. */
static bool linger(const struct client *client) {
    char waste[1024];
    ssize_t got = recv(client->fd, waste, sizeof waste, 0);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void serve(struct loop *loop, struct client *client) {
    bool goes_on = client->ended            ? linger(client)
                   : client->answer != NULL ? say(client)
                                            : hear(loop, client);
    if (!goes_on)
        drop(client);
}

/* How long poll may wait, in milliseconds, and whether it may watch the listeners. */
static int patience(struct loop *loop, uint64_t now, bool *listening) {
    int wait = -1;
    if (now - loop->second >= SECOND_MS) {
        loop->second = now;
        loop->accepted = 0;
    }
    *listening = loop->accepted < METRICS_CLIENTS_A_SECOND;
    if (!*listening)
        wait = (int)(loop->second + SECOND_MS - now);
    for (size_t i = 0; i < METRICS_MAX_CLIENTS; i++) {
        struct client *client = &loop->clients[i];
        if (client->fd < 0)
            continue;
        if (now - client->since >= METRICS_CLIENT_MS) {
            drop(client);
            continue;
        }
        int left = (int)(client->since + METRICS_CLIENT_MS - now);
        if (wait < 0 || left < wait)
            wait = left;
    }
    return wait;
}

static void *run(void *argument) {
    struct metrics_server *server = argument;
    const struct listener_set *listeners = &server->listeners;
    struct loop loop = {.server = server};
    struct pollfd watched[1 + METRICS_MAX_CLIENTS + LISTENER_MAX];
    for (size_t i = 0; i < METRICS_MAX_CLIENTS; i++)
        loop.clients[i].fd = -1;
    while (true) {
        bool listening;
        int wait = patience(&loop, deadline_now(), &listening);
        watched[0] = (struct pollfd){.fd = server->wake, .events = POLLIN};
        /* poll(2) passes over what is negative. */
        for (size_t i = 0; i < METRICS_MAX_CLIENTS; i++) {
            const struct client *client = &loop.clients[i];
            bool talking = client->answer != NULL && !client->ended;
            watched[1 + i] =
                (struct pollfd){.fd = client->fd, .events = talking ? POLLOUT : POLLIN};
        }
        struct pollfd *doors = &watched[1 + METRICS_MAX_CLIENTS];
        for (size_t i = 0; i < listeners->count; i++)
            doors[i] =
                (struct pollfd){.fd = listening ? listeners->entries[i].fd : -1, .events = POLLIN};
        if (poll(watched, 1 + METRICS_MAX_CLIENTS + listeners->count, wait) < 0)
            continue; /* EINTR */
        if (watched[0].revents != 0)
            break;
        for (size_t i = 0; i < METRICS_MAX_CLIENTS; i++)
            if (watched[1 + i].revents != 0)
                serve(&loop, &loop.clients[i]);
        for (size_t i = 0; i < listeners->count; i++)
            if (doors[i].revents != 0)
                accept_one(&loop, doors[i].fd, deadline_now());
    }
    for (size_t i = 0; i < METRICS_MAX_CLIENTS; i++)
        drop(&loop.clients[i]);
    return NULL;
}

int metrics_server_open(struct metrics_server *server, const struct config_listener *listener,
                        struct error *error) {
    return listener_open_plain(listener, &server->listeners, error);
}

int metrics_server_start(struct metrics_server *server, const struct metrics *metrics,
                         struct error *error) {
    server->metrics = metrics;
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake < 0)
        return error_set(error, "eventfd: %s", strerror(errno));
    int failed = pthread_create(&server->thread, NULL, run, server);
    if (failed != 0)
        return error_set(error, "cannot start the metrics' thread: %s", strerror(failed));
    server->running = true;
    return 0;
}

void metrics_server_stop(struct metrics_server *server) {
    uint64_t one = 1;
    if (server->running) {
        (void)!write(server->wake, &one, sizeof one);
        (void)pthread_join(server->thread, NULL);
    }
    server->running = false;
    if (server->wake >= 0)
        (void)close(server->wake);
    server->wake = -1;
    listener_close(&server->listeners);
}
