/* Serves the metrics over plain HTTP, on a thread and sockets of its own: whoever asks, however
 * often and slowly, takes nothing from the workers. */
#ifndef DIND_PROXY_PROXY_METRICS_SERVER_H
#define DIND_PROXY_PROXY_METRICS_SERVER_H

#include <pthread.h>

#include "proxy/config.h"
#include "proxy/error.h"
#include "proxy/listener.h"
#include "proxy/metrics.h"

enum {
    METRICS_MAX_CLIENTS = 8,       /* at a time; the oldest gives way */
    METRICS_CLIENT_MS = 5000,      /* for all of one client's question and answer */
    METRICS_CLIENTS_A_SECOND = 50, /* the others wait in the backlog */
};

/* Zero-initialised, with wake -1, is ready for use. */
struct metrics_server {
    struct listener_set listeners;
    const struct metrics *metrics;
    int wake; /* eventfd that ends the thread; -1: none */
    pthread_t thread;
    bool running;
};

/* Opens the listener; before any thread runs (see listener_open). 0, or -1 with `error`. */
int metrics_server_open(struct metrics_server *server, const struct config_listener *listener,
                        struct error *error);

/* Starts answering GET /metrics; `metrics` must outlive that. 0, or -1 with `error`. */
int metrics_server_start(struct metrics_server *server, const struct metrics *metrics,
                         struct error *error);

/* Ends the thread, if there is one, and closes everything. */
void metrics_server_stop(struct metrics_server *server);

#endif
