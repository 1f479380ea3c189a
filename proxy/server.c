#include "proxy/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/acceptor.h"
#include "proxy/engine.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/notify.h"
#include "proxy/worker.h"

/* What the other threads have answered to, for the service manager's watchdog. */
struct pulse {
    bool complete;           /* every worker was asked, or owes an answer */
    unsigned acceptor_wakes; /* what the acceptor had counted when it was last asked */
};

/* Everything that is up; taken down in the reverse order by server_stop, whatever of it is there.
 */
struct server {
    const struct config *config;
    struct filter_policy *policy;
    struct listener_set listeners;
    struct shared shared;
    struct worker *workers;
    size_t worker_count;
    struct acceptor acceptor;
    struct notify notify;
    struct pulse pulse;
    bool accepting;
    bool logging;
};

/* A connection takes two sockets. Pipes come on top, but where there are none the bytes go through
 * user space. Accepting more clients than that would leave them without an engine connection. */
static unsigned affordable_connections(const struct config *config) {
    enum { OWN_DESCRIPTORS = 16, WORKER_DESCRIPTORS = 4, CONNECTION_DESCRIPTORS = 2 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return config->max_connections;
    limit.rlim_cur = limit.rlim_max; /* the soft limit of old is soon reached */
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return config->max_connections;
    rlim_t own = OWN_DESCRIPTORS + WORKER_DESCRIPTORS * (rlim_t)config->workers;
    rlim_t affordable = limit.rlim_cur > own ? (limit.rlim_cur - own) / CONNECTION_DESCRIPTORS : 0;
    if (affordable >= config->max_connections)
        return config->max_connections;
    if (affordable == 0)
        affordable = 1;
    log_message(LOG_WARNING, "limits",
                "%llu open files (ulimit -n) suffice for %u connections only",
                (unsigned long long)limit.rlim_cur, (unsigned)affordable);
    return (unsigned)affordable;
}

/* Signals are taken by sigtimedwait in the main thread; threads inherit the mask. */
static void block_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    /* splice to a closed socket raises SIGPIPE and has no flag against it. */
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
}

/* Settles once for all sessions whether the kernel gets them, and says so. */
static int settle_kernel_tls(struct server *server, struct error *error) {
    struct tls_context *contexts[] = {server->shared.server_tls, server->shared.client_tls};
    enum tls_kernel_mode mode = (enum tls_kernel_mode)server->config->kernel_tls;
    char text[256];
    if (mode == TLS_KERNEL_OFF || (contexts[0] == NULL && contexts[1] == NULL))
        return 0;
    bool available = tls_kernel_available(text, sizeof text);
    if (!available && mode == TLS_KERNEL_REQUIRE)
        return error_set(error, "--ktls require: %s", text);
    log_message(LOG_INFO, "ktls", "%s%s", available ? "" : "TLS stays in user space: ", text);
    for (size_t i = 0; available && i < sizeof contexts / sizeof contexts[0]; i++)
        if (contexts[i] != NULL)
            tls_context_set_kernel(contexts[i], mode);
    return 0;
}

static int open_tls(struct server *server, struct error *error) {
    const struct config *config = server->config;
    struct tls_error reason;
    bool serves_tls = false;
    for (size_t i = 0; i < config->listener_count; i++)
        serves_tls |= config->listeners[i].tls;
    if (serves_tls) {
        server->shared.server_tls = tls_server_context(&config->server_tls, &reason);
        if (server->shared.server_tls == NULL)
            return error_set(error, "%s", reason.text);
    }
    if (config->upstream_tls) {
        const char *name =
            config->upstream_name != NULL ? config->upstream_name : config->upstream.host;
        server->shared.client_tls = tls_client_context(&config->upstream_files, name, &reason);
        if (server->shared.client_tls == NULL)
            return error_set(error, "%s", reason.text);
    }
    return settle_kernel_tls(server, error);
}

static int start_threads(struct server *server, struct error *error) {
    const struct config *config = server->config;
    if (log_start() < 0)
        return error_set(error, "cannot start the log's thread: %s", strerror(errno));
    server->logging = true;
    (void)log_attach();
    server->workers = calloc(config->workers, sizeof server->workers[0]);
    if (server->workers == NULL)
        return error_set(error, "out of memory");
    for (; server->worker_count < config->workers; server->worker_count++)
        if (worker_start(&server->workers[server->worker_count], &server->shared,
                         (unsigned)server->worker_count) < 0)
            return error_set(error, "cannot start a worker: %s", strerror(errno));
    if (acceptor_start(&server->acceptor, &server->shared, server->workers, server->worker_count,
                       &server->listeners) < 0)
        return error_set(error, "cannot start the acceptor: %s", strerror(errno));
    server->accepting = true;
    return 0;
}

static int start(struct server *server, struct error *error) {
    const struct config *config = server->config;
    char reason[256];
    server->shared.max_connections = affordable_connections(config);
    server->policy = filter_policy_new(&config->filter, reason, sizeof reason);
    if (server->policy == NULL)
        return error_set(error, "%s", reason);
    server->shared.policy = server->policy;
    if (open_tls(server, error) < 0 || listener_open(config, &server->listeners, error) < 0)
        return -1;
    server->shared.accept_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->shared.accept_wake < 0)
        return error_set(error, "eventfd: %s", strerror(errno));
    server->shared.engine = engine_open(&config->upstream, error);
    if (server->shared.engine == NULL)
        return -1;
    return start_threads(server, error);
}

static void order_workers(struct server *server, enum handoff_kind kind) {
    const struct handoff order = {.kind = kind, .fd = -1};
    const struct timespec pause = {.tv_nsec = 1000000};
    for (size_t i = 0; i < server->worker_count; i++)
        while (worker_handoff(&server->workers[i], &order) < 0)
            nanosleep(&pause, NULL); /* its pipe is full of sockets: it is about to empty it */
}

static void tell(const struct server *server, const char *state) {
    if (notify_send(&server->notify, state) < 0)
        log_message(LOG_WARNING, "notify", "the service manager was not told %s: %s", state,
                    strerror(errno));
}

/* Lets exchanges and streams end by themselves, for a while. A second signal cuts it short. That it
 * ends is sure, so the watchdog is fed without asking workers, of which some have ended by then. */
static void drain(struct server *server, const sigset_t *signals) {
    uint64_t end = deadline_now() + server->config->drain_timeout;
    uint64_t feed = server->notify.watchdog / 4, fed = deadline_now();
    const struct timespec tick = {.tv_nsec = 20 * 1000000};
    order_workers(server, HANDOFF_DRAIN);
    while (atomic_load(&server->shared.connections) > 0 && deadline_now() < end) {
        if (sigtimedwait(signals, NULL, &tick) > 0)
            break;
        if (feed > 0 && deadline_now() - fed >= feed) {
            tell(server, "WATCHDOG=1");
            fed = deadline_now();
        }
    }
}

/* Asks every thread for a sign of life; a worker that owes one still is not asked again. One whose
 * pipe is full cannot be asked, and as long as that lasts it does not count as alive. */
static void ask(struct server *server) {
    const struct handoff ping = {.kind = HANDOFF_PING, .fd = -1};
    server->pulse.complete = true;
    server->pulse.acceptor_wakes = atomic_load(&server->acceptor.wakes);
    acceptor_ping(&server->acceptor);
    for (size_t i = 0; i < server->worker_count; i++) {
        struct worker *worker = &server->workers[i];
        if (atomic_load(&worker->pings) != worker->asked)
            continue;
        if (worker_handoff(worker, &ping) == 0)
            worker->asked++;
        else
            server->pulse.complete = false;
    }
}

static bool all_answered(const struct server *server) {
    for (size_t i = 0; i < server->worker_count; i++)
        if (atomic_load(&server->workers[i].pings) != server->workers[i].asked)
            return false;
    return server->pulse.complete &&
           atomic_load(&server->acceptor.wakes) != server->pulse.acceptor_wakes;
}

/* Waits for a signal; meanwhile, if the service manager keeps a watchdog, tells it that we are
 * alive as long as every thread is. Four times in the watchdog's time, so that an answer may be
 * late. */
static int wait_for_signal(struct server *server, const sigset_t *signals) {
    uint64_t watchdog = server->notify.watchdog;
    const struct timespec tick = {.tv_sec = (time_t)(watchdog / 4 / 1000),
                                  .tv_nsec = (long)(watchdog / 4 % 1000) * 1000000};
    int signal;
    if (watchdog > 0)
        ask(server);
    while ((signal = watchdog > 0 ? sigtimedwait(signals, NULL, &tick)
                                  : sigwaitinfo(signals, NULL)) < 0) {
        if (errno != EAGAIN)
            continue; /* EINTR: as if stopped and continued */
        if (all_answered(server))
            tell(server, "WATCHDOG=1");
        ask(server);
    }
    return signal;
}

static void stop(struct server *server) {
    if (server->accepting)
        acceptor_stop(&server->acceptor);
    order_workers(server, HANDOFF_STOP);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_join(&server->workers[i]);
    free(server->workers);
    if (server->logging)
        log_stop();
    listener_close(&server->listeners);
    notify_close(&server->notify);
    if (server->shared.accept_wake >= 0)
        close(server->shared.accept_wake);
    tls_context_free(server->shared.server_tls);
    tls_context_free(server->shared.client_tls);
    filter_policy_free(server->policy);
}

static void announce(const struct server *server) {
    char text[300];
    for (size_t i = 0; i < server->listeners.count; i++) {
        const struct config_listener *listener = server->listeners.entries[i].config;
        struct log_record record;
        if (i > 0 && listener == server->listeners.entries[i - 1].config)
            continue; /* a name that stands for several addresses */
        log_begin(&record, LOG_INFO, "listening");
        log_string(&record, "address", address_format(&listener->address, text, sizeof text));
        log_string(&record, "tls", listener->tls ? "on" : "off");
        log_end(&record);
    }
    struct log_record record;
    log_begin(&record, LOG_INFO, "started");
    log_string(&record, "version", DIND_PROXY_VERSION);
    log_string(&record, "engine", address_format(&server->config->upstream, text, sizeof text));
    log_string(&record, "engine_tls", server->config->upstream_tls ? "on" : "off");
    log_number(&record, "workers", server->worker_count);
    log_end(&record);
}

int server_run(const struct config *config, struct error *error) {
    struct server server = {
        .config = config, .shared = {.config = config, .accept_wake = -1}, .notify = {.fd = -1}};
    sigset_t signals;
    log_configure((enum log_level)config->log_level, config->log_format == CONFIG_LOG_JSON);
    block_signals(&signals);
    if (notify_open(&server.notify, error) < 0 || start(&server, error) < 0) {
        stop(&server);
        return -1;
    }
    announce(&server);
    tell(&server, "READY=1");
    int signal = wait_for_signal(&server, &signals);
    tell(&server, "STOPPING=1");
    log_message(LOG_INFO, "stopping", "%s received: draining %u connections",
                signal == SIGINT ? "SIGINT" : "SIGTERM", atomic_load(&server.shared.connections));
    acceptor_stop(&server.acceptor);
    server.accepting = false;
    listener_close(&server.listeners);
    drain(&server, &signals);
    log_message(LOG_INFO, "stopped", "%u connections were cut",
                atomic_load(&server.shared.connections));
    stop(&server);
    return 0;
}
