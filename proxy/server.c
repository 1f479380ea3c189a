#include "proxy/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proxy/acceptor.h"
#include "proxy/audit.h"
#include "proxy/engine.h"
#include "proxy/learner.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/metrics.h"
#include "proxy/metrics_server.h"
#include "proxy/notify.h"
#include "proxy/ruleset.h"
#include "proxy/sandbox.h"
#include "proxy/worker.h"

/* What the other threads have answered to, for the service manager's watchdog. */
struct pulse {
    uint64_t due;  /* when to look for answers, in milliseconds; 0: nobody was asked yet */
    bool complete; /* every worker was asked, or owes an answer */
    unsigned acceptor_wakes; /* what the acceptor had counted when it was last asked */
};

/* Everything that is up; taken down in the reverse order by stop, whatever of it is there. */
struct server {
    const struct config *config;
    struct ruleset *rules;           /* in force */
    enum tls_kernel_mode kernel_tls; /* settled at the start, for every set */
    struct listener_set listeners;
    struct shared shared;
    struct worker *workers;
    size_t worker_count;
    struct counters **counters; /* a worker's each; they outlive the workers */
    struct metrics metrics;
    struct metrics_server metrics_server;
    struct acceptor acceptor;
    struct notify notify;
    struct sandbox sandbox;
    struct pulse pulse;
    bool accepting;
    bool logging;
    bool announced; /* in the audit log: the end is to be told too */
};

/* A connection takes two sockets. Pipes come on top, but where there are none the bytes go through
 * user space. Accepting more clients than that would leave them without an engine connection. */
static unsigned affordable_connections(const struct config *config) {
    enum {
        OWN_DESCRIPTORS = 16,
        METRICS_DESCRIPTORS = 16,
        WORKER_DESCRIPTORS = 4,
        CONNECTION_DESCRIPTORS = 2
    };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return config->max_connections;
    limit.rlim_cur = limit.rlim_max; /* the soft limit of old is soon reached */
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return config->max_connections;
    rlim_t own = OWN_DESCRIPTORS + WORKER_DESCRIPTORS * (rlim_t)config->workers;
    if (config->metrics_on)
        own += METRICS_DESCRIPTORS;
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

/* Signals are taken by sigtimedwait in the main thread; threads inherit the mask. `signals` are
 * those that end the proxy. */
static void block_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigset_t blocked = *signals;
    sigaddset(&blocked, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    /* splice to a closed socket raises SIGPIPE and has no flag against it. */
    sigaction(SIGPIPE, &ignore, NULL);
}

/* Settles once for all sessions whether the kernel gets them, and says so. */
static int settle_kernel_tls(struct server *server, struct error *error) {
    enum tls_kernel_mode mode = (enum tls_kernel_mode)server->config->kernel_tls;
    char text[256];
    server->kernel_tls = TLS_KERNEL_OFF;
    if (mode == TLS_KERNEL_OFF ||
        (server->rules->server_tls == NULL && server->rules->client_tls == NULL))
        return 0;
    bool available = tls_kernel_available(text, sizeof text);
    if (!available && mode == TLS_KERNEL_REQUIRE)
        return error_set(error, "--ktls require: %s", text);
    log_message(LOG_INFO, "ktls", "%s%s", available ? "" : "TLS stays in user space: ", text);
    if (available)
        server->kernel_tls = mode;
    ruleset_set_kernel_tls(server->rules, server->kernel_tls);
    return 0;
}

static int make_counters(struct server *server, struct error *error) {
    unsigned count = server->config->workers;
    server->counters = calloc(count, sizeof(struct counters *));
    if (server->counters == NULL)
        return error_set(error, "out of memory");
    for (unsigned i = 0; i < count; i++) {
        server->counters[i] = counters_new();
        if (server->counters[i] == NULL)
            return error_set(error, "out of memory");
    }
    server->metrics.workers = server->counters;
    server->metrics.worker_count = count;
    server->metrics.connections = &server->shared.connections;
    server->metrics.started = (int64_t)time(NULL);
    server->metrics.mode = (enum config_mode)server->config->mode;
    server->metrics.kernel_tls = server->kernel_tls != TLS_KERNEL_OFF;
    metrics_note_rules(&server->metrics, server->rules);
    return 0;
}

static void free_counters(struct server *server) {
    for (unsigned i = 0; server->counters != NULL && i < server->config->workers; i++)
        free(server->counters[i]);
    free(server->counters);
}

static int start_threads(struct server *server, struct error *error) {
    const struct config *config = server->config;
    if (log_start() < 0)
        return error_set(error, "cannot start the log's thread: %s", strerror(errno));
    server->logging = true;
    (void)log_attach();
    if (audit_start() < 0)
        return error_set(error, "cannot start the audit log's thread: %s", strerror(errno));
    (void)audit_attach();
    if (config->mode == CONFIG_LEARN) {
        server->shared.learner = learner_start(config->learn_file, error);
        if (server->shared.learner == NULL)
            return -1;
    }
    server->workers = calloc(config->workers, sizeof server->workers[0]);
    if (server->workers == NULL)
        return error_set(error, "out of memory");
    for (; server->worker_count < config->workers; server->worker_count++)
        if (worker_start(&server->workers[server->worker_count], &server->shared, server->rules,
                         server->counters[server->worker_count],
                         (unsigned)server->worker_count) < 0)
            return error_set(error, "cannot start a worker: %s", strerror(errno));
    if (config->metrics_on &&
        metrics_server_start(&server->metrics_server, &server->metrics, error) < 0)
        return -1;
    if (acceptor_start(&server->acceptor, &server->shared, server->workers, server->worker_count,
                       &server->listeners) < 0)
        return error_set(error, "cannot start the acceptor: %s", strerror(errno));
    server->accepting = true;
    return engine_start(server->shared.engine, error);
}

/* Before anybody is let in, so that it is the first line. */
static void tell_start(struct server *server) {
    struct log_record record;
    char text[300];
    server->announced = true;
    if (!audit_enabled())
        return;
    audit_begin(&record, LOG_INFO, "start");
    log_string(&record, "version", DIND_PROXY_VERSION);
    log_string(&record, "engine", address_format(&server->config->upstream, text, sizeof text));
    log_number(&record, "workers", server->worker_count);
    audit_end(&record);
    audit_settle();
}

/* All that comes from outside is looked at by threads that are confined already: before, nobody is
 * let in. */
static int start_confined(struct server *server, struct error *error) {
    struct sandbox *sandbox = &server->sandbox;
    bool abstract = server->notify.fd >= 0 && server->notify.address.sun_path[0] == '\0';
    if (sandbox_plan(sandbox, server->config, abstract, error) < 0 ||
        sandbox_confine(sandbox, error) < 0 || start_threads(server, error) < 0 ||
        sandbox_filter(sandbox, error) < 0)
        return -1;
    for (unsigned i = 0; i < SANDBOX_PARTS; i++)
        if (sandbox->parts[i].on)
            (void)atomic_fetch_or(&server->metrics.sandbox, 1u << i);
    tell_start(server);
    if (acceptor_admit(&server->acceptor) < 0)
        return error_set(error, "cannot watch the listeners: %s", strerror(errno));
    return 0;
}

static int start(struct server *server, struct error *error) {
    const struct config *config = server->config;
    /* First, while the numbers of descriptors that were passed on are still theirs. */
    if (audit_open(config->audit_log, (enum config_mode)config->mode, error) < 0)
        return -1;
    server->shared.run_id = (uint64_t)time(NULL) << 16 | ((uint64_t)getpid() & 0xffff);
    server->shared.max_connections = affordable_connections(config);
    server->rules = ruleset_new(config, error);
    if (server->rules == NULL)
        return -1;
    if (settle_kernel_tls(server, error) < 0 ||
        listener_open(config, &server->listeners, error) < 0 || make_counters(server, error) < 0)
        return -1;
    if (config->metrics_on &&
        metrics_server_open(&server->metrics_server, &config->metrics, error) < 0)
        return -1;
    server->shared.accept_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->shared.accept_wake < 0)
        return error_set(error, "eventfd: %s", strerror(errno));
    server->shared.engine = engine_open(&config->upstream, error);
    if (server->shared.engine == NULL)
        return -1;
    return start_confined(server, error);
}

static void order_worker(struct worker *worker, const struct handoff *order) {
    const struct timespec pause = {.tv_nsec = 1000000};
    while (worker_handoff(worker, order) < 0)
        nanosleep(&pause, NULL); /* its pipe is full of sockets: it is about to empty it */
}

static void order_workers(struct server *server, enum handoff_kind kind) {
    const struct handoff order = {.kind = kind, .fd = -1};
    for (size_t i = 0; i < server->worker_count; i++)
        order_worker(&server->workers[i], &order);
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

/* Tells the service manager that we are alive if every thread has answered since they were last
 * asked, and asks anew. Four times in the watchdog's time, so that an answer may be late. */
static void take_pulse(struct server *server, uint64_t now) {
    if (server->pulse.due > 0 && all_answered(server))
        tell(server, "WATCHDOG=1");
    ask(server);
    server->pulse.due = now + server->notify.watchdog / 4;
}

/* Waits for one of the signals; meanwhile keeps the service manager's watchdog, if there is one,
 * which signals do not put off however fast they come. */
static int wait_for_signal(struct server *server, const sigset_t *signals) {
    bool watched = server->notify.watchdog > 0;
    int signal = -1;
    while (signal < 0) { /* EINTR: as if stopped and continued */
        uint64_t now = deadline_now();
        if (watched && now >= server->pulse.due)
            take_pulse(server, now);
        uint64_t left = watched ? server->pulse.due - now : 0;
        const struct timespec tick = {.tv_sec = (time_t)(left / 1000),
                                      .tv_nsec = (long)(left % 1000) * 1000000};
        signal = watched ? sigtimedwait(signals, NULL, &tick) : sigwaitinfo(signals, NULL);
    }
    return signal;
}

/* A lease for every worker, so that there are all of them or none. NULL when memory is out. */
static struct lease **make_leases(const struct server *server, struct ruleset *set) {
    struct lease **leases = calloc(server->worker_count, sizeof(struct lease *));
    for (size_t i = 0; leases != NULL && i < server->worker_count; i++) {
        leases[i] = lease_new(set);
        if (leases[i] != NULL)
            continue;
        while (i > 0)
            lease_end(leases[--i]);
        free(leases);
        return NULL;
    }
    return leases;
}

/* Puts a set in force, whose reference it takes over. 0, or -1 with `error`, the old one in force.
 */
static int put_in_force(struct server *server, struct ruleset *set, struct error *error) {
    const struct ruleset *old = server->rules;
    if ((set->server_tls == NULL) != (old->server_tls == NULL) ||
        (set->client_tls == NULL) != (old->client_tls == NULL)) {
        ruleset_release(set);
        return error_set(error, "whether there is TLS cannot change without a restart");
    }
    ruleset_set_kernel_tls(set, server->kernel_tls);
    struct lease **leases = make_leases(server, set);
    if (leases == NULL) {
        ruleset_release(set);
        return error_set(error, "out of memory");
    }
    for (size_t i = 0; i < server->worker_count; i++) {
        const struct handoff order = {.kind = HANDOFF_RELOAD, .fd = -1, .lease = leases[i]};
        order_worker(&server->workers[i], &order);
    }
    free(leases);
    metrics_note_rules(&server->metrics, set);
    ruleset_release(server->rules);
    server->rules = set;
    return 0;
}

/* Whatever becomes of the rest: a log that was moved away is to be let go of. */
static void reopen_audit_log(void) {
    struct error error = {""};
    if (audit_reopen(&error) < 0)
        log_message(LOG_ERROR, "audit", "the audit log goes on where it was: %s", error.text);
}

static void tell_reload(bool failed, const char *why) {
    struct log_record record;
    if (!audit_enabled())
        return;
    audit_begin(&record, failed ? LOG_ERROR : LOG_INFO, "reload");
    log_string(&record, "result", failed ? "failed" : "ok");
    if (failed)
        log_string(&record, "reason", why);
    audit_end(&record);
}

/* Reads everything anew. The manager is told of the beginning and the end (sd_notify(3)), and in
 * its status line of a failure, for which a reload has no other way. */
static void reload(struct server *server, const struct server_source *source) {
    struct error error = {""};
    struct timespec now = {0};
    char state[80];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    tell(server, state);
    reopen_audit_log();
    struct ruleset *set = source->load(source->context, &error);
    bool failed = set == NULL || put_in_force(server, set, &error) < 0;
    counter_add(failed ? &server->metrics.reload_failures : &server->metrics.reloads, 1);
    if (failed)
        log_message(LOG_ERROR, "reload", "nothing was changed: %s", error.text);
    else
        log_message(LOG_INFO, "reload",
                    "policy and certificates were read again and count for what is new");
    tell_reload(failed, error.text);
    tell(server, failed ? "READY=1\nSTATUS=The last reload failed and changed nothing: see the log"
                        : "READY=1\nSTATUS=");
}

static int serve(struct server *server, const sigset_t *end, const struct server_source *source) {
    sigset_t signals = *end;
    int signal;
    sigaddset(&signals, SIGHUP);
    while ((signal = wait_for_signal(server, &signals)) == SIGHUP)
        reload(server, source);
    return signal;
}

/* When everybody else has ended, so that it is the last line. */
static void tell_stop(void) {
    struct log_record record;
    audit_settle();
    audit_begin(&record, LOG_INFO, "stop");
    log_string(&record, "message", "the proxy has ended");
    audit_end(&record);
}

static void stop(struct server *server) {
    if (server->accepting)
        acceptor_stop(&server->acceptor);
    order_workers(server, HANDOFF_STOP);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_join(&server->workers[i]);
    free(server->workers);
    learner_stop(server->shared.learner);
    if (server->announced && audit_enabled())
        tell_stop();
    metrics_server_stop(&server->metrics_server);
    free_counters(server);
    audit_stop();
    if (server->logging)
        log_stop();
    listener_close(&server->listeners);
    notify_close(&server->notify);
    if (server->shared.accept_wake >= 0)
        close(server->shared.accept_wake);
    ruleset_release(server->rules);
    sandbox_free(&server->sandbox);
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
    if (server->config->metrics_on)
        log_message(LOG_INFO, "metrics", "served at %s",
                    address_format(&server->config->metrics.address, text, sizeof text));
    sandbox_log(&server->sandbox);
    struct log_record record;
    log_begin(&record, LOG_INFO, "started");
    log_string(&record, "version", DIND_PROXY_VERSION);
    log_string(&record, "engine", address_format(&server->config->upstream, text, sizeof text));
    log_string(&record, "engine_tls", server->config->upstream_tls ? "on" : "off");
    log_number(&record, "workers", server->worker_count);
    log_end(&record);
    /* By its looks; a name may well be of this machine, and dind's is of a private network. So it
     * is told and not refused: the engine is the operator's choice, unlike who may connect here. */
    if (!server->config->upstream_tls && server->config->upstream.kind == ADDRESS_TCP &&
        !address_is_loopback(&server->config->upstream))
        log_message(LOG_WARNING, "engine",
                    "requests go to %s in plain TCP: whoever is on the way can read and change "
                    "what was judged; give --upstream-tls-ca",
                    text);
}

int server_run(const struct config *config, const struct server_source *source,
               struct error *error) {
    struct server server = {.metrics_server = {.wake = -1},
                            .config = config,
                            .shared = {.config = config, .accept_wake = -1},
                            .notify = {.fd = -1}};
    sigset_t signals;
    log_configure((enum log_level)config->log_level, config->log_format == CONFIG_LOG_JSON);
    block_signals(&signals);
    if (notify_open(&server.notify, error) < 0 || start(&server, error) < 0) {
        stop(&server);
        return -1;
    }
    announce(&server);
    if (config->mode != CONFIG_ENFORCE)
        log_message(LOG_WARNING, "mode",
                    "--mode %s: what the policy refuses passes, and is only told in the logs",
                    audit_mode_name((enum config_mode)config->mode));
    tell(&server, "READY=1");
    int signal = serve(&server, &signals, source);
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
