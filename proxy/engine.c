#include "proxy/engine.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proxy/log.h"

struct engine {
    struct address address;
    /* Held for the time of a small copy, and only where a new connection is made or has failed. */
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    bool refresh;
    size_t count;
    struct engine_address addresses[ENGINE_MAX_ADDRESSES];
};

static void use_path(struct engine *engine) {
    struct sockaddr_un *sockaddr = (struct sockaddr_un *)&engine->addresses[0].sockaddr;
    sockaddr->sun_family = AF_UNIX;
    memcpy(sockaddr->sun_path, engine->address.path, sizeof sockaddr->sun_path);
    engine->addresses[0].len = sizeof *sockaddr;
    engine->count = 1;
}

/* Keeps the old addresses when the name does not resolve: they are the best guess there is. */
static void resolve(struct engine *engine) {
    struct engine_address found[ENGINE_MAX_ADDRESSES] = {0};
    size_t count = 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)engine->address.port);
    int error = getaddrinfo(engine->address.host, port, &hints, &list);
    if (error != 0) {
        log_message(LOG_WARNING, "resolve", "the engine's name %s does not resolve: %s",
                    engine->address.host, gai_strerror(error));
        return;
    }
    for (struct addrinfo *item = list; item != NULL && count < ENGINE_MAX_ADDRESSES;
         item = item->ai_next) {
        if (item->ai_addrlen > sizeof found[count].sockaddr)
            continue;
        memcpy(&found[count].sockaddr, item->ai_addr, item->ai_addrlen);
        found[count++].len = item->ai_addrlen;
    }
    freeaddrinfo(list);

    pthread_mutex_lock(&engine->lock);
    memcpy(engine->addresses, found, sizeof found);
    engine->count = count;
    pthread_mutex_unlock(&engine->lock);
}

static void *resolver(void *argument) {
    struct engine *engine = argument;
    while (true) {
        pthread_mutex_lock(&engine->lock);
        while (!engine->refresh)
            pthread_cond_wait(&engine->wanted, &engine->lock);
        engine->refresh = false;
        pthread_mutex_unlock(&engine->lock);
        resolve(engine);
        /* While the engine is down every request asks again: once a second is enough. */
        const struct timespec second = {.tv_sec = 1};
        nanosleep(&second, NULL);
    }
    return NULL;
}

struct engine *engine_open(const struct address *address, struct error *error) {
    static struct engine engine;
    engine = (struct engine){.address = *address};
    if (address->kind == ADDRESS_UNIX) {
        pthread_mutex_init(&engine.lock, NULL);
        use_path(&engine);
        return &engine;
    }
    if (pthread_mutex_init(&engine.lock, NULL) != 0 ||
        pthread_cond_init(&engine.wanted, NULL) != 0) {
        error_set(error, "out of memory");
        return NULL;
    }
    resolve(&engine);
    return &engine;
}

int engine_start(struct engine *engine, struct error *error) {
    pthread_t thread;
    if (engine->address.kind == ADDRESS_UNIX)
        return 0;
    int failed = pthread_create(&thread, NULL, resolver, engine);
    if (failed != 0)
        return error_set(error, "cannot start the resolver's thread: %s", strerror(failed));
    pthread_detach(thread);
    return 0;
}

size_t engine_addresses(struct engine *engine, struct engine_address *addresses) {
    pthread_mutex_lock(&engine->lock);
    size_t count = engine->count;
    memcpy(addresses, engine->addresses, count * sizeof addresses[0]);
    pthread_mutex_unlock(&engine->lock);
    return count;
}

void engine_refresh(struct engine *engine) {
    if (engine->address.kind == ADDRESS_UNIX)
        return;
    pthread_mutex_lock(&engine->lock);
    engine->refresh = true;
    pthread_cond_signal(&engine->wanted);
    pthread_mutex_unlock(&engine->lock);
}
