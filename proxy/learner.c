#include "proxy/learner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "filter/grpc.h"
#include "filter/learn.h"
#include "proxy/audit.h"
#include "proxy/cleanup.h"
#include "proxy/deadline.h"
#include "proxy/log.h"

enum {
    DELAY_MS = 200,     /* from an addition to the file, for those that come together */
    RETRY_MS = 5000,    /* after a failure to write */
    MAX_WAITING = 1024, /* requests that are not learned yet */
    MAX_WAITING_BYTES = 32 * 1024 * 1024,
    PATH_SIZE = 4096,
};

/* A request that waits. Lives in its own arena. */
struct lesson {
    struct arena arena;
    struct lesson *next;
    size_t bytes;
    bool dangerous;
    bool is_call; /* inside /grpc */
    struct grpc_call call;
    struct filter_request request;
    struct slice body;
};

/* The policy learned so far, as workers look at it. */
struct snapshot {
    _Atomic unsigned references;
    struct filter_rules *rules;
};

struct learner {
    char file[PATH_SIZE];
    char draft[PATH_SIZE + sizeof ".new"];
    pthread_t thread;
    pthread_cond_t wake;
    pthread_mutex_t lock; /* of all below; never held for longer than a few instructions */
    struct snapshot *snapshot;
    struct lesson *first, **end;
    size_t waiting, waiting_bytes;
    uint64_t missed; /* requests that there was no room for */
    bool stopping;
    /* The thread's own: */
    struct learn *learn;
    uint64_t write_at; /* milliseconds; 0: the file is as it should be */
    bool complained;   /* that it cannot be written */
    struct log_limit limit;
};

/* --- the policy so far --- */

static struct snapshot *hold(struct learner *learner) {
    pthread_mutex_lock(&learner->lock);
    struct snapshot *snapshot = learner->snapshot;
    atomic_fetch_add(&snapshot->references, 1);
    pthread_mutex_unlock(&learner->lock);
    return snapshot;
}

static void let_go(struct snapshot *snapshot) {
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->references, 1) > 1)
        return;
    filter_rules_free(snapshot->rules);
    free(snapshot);
}

/* Shows everybody the policy as it is now. False: memory is out, and they see the last one, by
 * which more is handed over than need be. */
static bool publish(struct learner *learner) {
    char error[256];
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return false;
    snapshot->references = 1;
    snapshot->rules = learn_rules(learner->learn, error, sizeof error);
    if (snapshot->rules == NULL) {
        free(snapshot);
        return false;
    }
    pthread_mutex_lock(&learner->lock);
    struct snapshot *old = learner->snapshot;
    learner->snapshot = snapshot;
    pthread_mutex_unlock(&learner->lock);
    let_go(old);
    return true;
}

static const struct filter_policy *policy_of(const struct snapshot *snapshot) {
    return filter_rules_find(snapshot->rules, NULL)->policy;
}

/* --- the file --- */

static int write_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        length -= (size_t)n;
    }
    return fsync(fd);
}

/* Whole or not at all: beside it first, then in its place. */
static int write_file(const struct learner *learner, struct error *error) {
    enum { FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK };
    size_t length = 0;
    __attribute__((cleanup(cleanup_text))) char *text = learn_text(learner->learn, &length);
    if (text == NULL)
        return error_set(error, "out of memory");
    /* One that lies there is of a crash, or of somebody who would own the policy by it. */
    (void)unlink(learner->draft);
    __attribute__((cleanup(cleanup_fd))) int fd = open(learner->draft, FLAGS, 0600);
    if (fd < 0 || write_all(fd, text, length) < 0)
        return error_set(error, "--learn-file: %s: %s", learner->draft, strerror(errno));
    if (rename(learner->draft, learner->file) < 0)
        return error_set(error, "--learn-file: %s: %s", learner->file, strerror(errno));
    return 0;
}

static void save(struct learner *learner, uint64_t now) {
    struct error error = {""};
    if (write_file(learner, &error) == 0) {
        learner->write_at = 0;
        learner->complained = false;
        return;
    }
    learner->write_at = now + RETRY_MS;
    if (!learner->complained)
        log_message(LOG_ERROR, "learn", "what was learned could not be written: %s", error.text);
    learner->complained = true;
}

/* --- learning --- */

/* What a log may say of an addition: of a command its program alone, as its arguments may be
 * secrets. `value` is a list of strings then, as filter/remedy.h writes it. */
static struct slice shown(const char *key, struct slice value) {
    size_t end = 2;
    if (strcmp(key, "exec.commands") != 0)
        return log_shorten(value);
    while (end < value.len && value.data[end] != '"')
        end += value.data[end] == '\\' ? 2 : 1;
    return log_shorten(slice_first(slice_from(value, 1), end));
}

static void tell_added(void *context, const char *key, struct slice value) {
    const struct lesson *lesson = context;
    bool dangerous = lesson->dangerous;
    enum log_level level = dangerous ? LOG_WARNING : LOG_INFO;
    struct log_record record;
    log_begin(&record, level, "learned");
    log_string(&record, "key", key);
    log_slice(&record, "value", shown(key, value));
    if (dangerous)
        log_string(&record, "message", "the policy in force refuses what this is for");
    log_end(&record);
    if (!audit_enabled())
        return;
    audit_begin(&record, level, "learned");
    log_string(&record, "result", "added");
    log_string(&record, "key", key);
    log_slice(&record, "value", shown(key, value));
    log_string(&record, "dangerous", dangerous ? "yes" : "no");
    audit_end(&record);
}

static void tell_not_learnable(struct learner *learner, const char *what, struct slice of,
                               const char *rule, const char *reason) {
    struct log_record record;
    uint64_t suppressed;
    if (log_limit_pass(&learner->limit, deadline_now(), &suppressed)) {
        log_begin(&record, LOG_WARNING, "not-learnable");
        log_slice(&record, what, slice_first(of, 256));
        log_string(&record, "rule", rule);
        log_string(&record, "message", reason);
        if (suppressed > 0)
            log_number(&record, "suppressed", suppressed);
        log_end(&record);
    }
    if (!audit_enabled())
        return;
    audit_begin(&record, LOG_WARNING, "learned");
    log_string(&record, "result", "not-learnable");
    log_slice(&record, what, slice_first(of, 256));
    log_string(&record, "rule", rule);
    log_string(&record, "reason", reason);
    audit_end(&record);
}

static struct slice path_of(const struct filter_request *request) {
    return slice_first(request->target, slice_index(request->target, '?'));
}

static void take(struct learner *learner, struct lesson *lesson) {
    struct arena arena = {0};
    struct learn_result result =
        lesson->is_call ? learn_call(learner->learn, &lesson->call, &arena, tell_added, lesson)
                        : learn_request(learner->learn, &lesson->request, lesson->body, &arena,
                                        tell_added, lesson);
    if (result.rule != NULL)
        tell_not_learnable(learner, lesson->is_call ? "call" : "path",
                           lesson->is_call ? lesson->call.path : path_of(&lesson->request),
                           result.rule, result.reason != NULL ? result.reason : "");
    if (result.added > 0) {
        (void)publish(learner);
        if (learner->write_at == 0)
            learner->write_at = deadline_now() + DELAY_MS;
    }
    arena_reset(&arena);
}

static void free_lesson(struct lesson *lesson) {
    struct arena arena = lesson->arena;
    free(lesson);
    arena_reset(&arena);
}

/* --- the thread --- */

static struct timespec at(uint64_t milliseconds) {
    return (struct timespec){.tv_sec = (time_t)(milliseconds / 1000),
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000};
}

/* The next lesson; NULL when there is none, after a wait for one or for the time to write. */
static struct lesson *next_lesson(struct learner *learner, bool *stopping, uint64_t *missed) {
    pthread_mutex_lock(&learner->lock);
    if (learner->first == NULL && !learner->stopping) {
        const struct timespec until = at(learner->write_at);
        if (learner->write_at == 0)
            (void)pthread_cond_wait(&learner->wake, &learner->lock);
        else
            (void)pthread_cond_timedwait(&learner->wake, &learner->lock, &until);
    }
    struct lesson *lesson = learner->first;
    if (lesson != NULL) {
        learner->first = lesson->next;
        if (learner->first == NULL)
            learner->end = &learner->first;
        learner->waiting--;
        learner->waiting_bytes -= lesson->bytes;
    }
    *stopping = learner->stopping;
    *missed = learner->missed;
    learner->missed = 0;
    pthread_mutex_unlock(&learner->lock);
    return lesson;
}

static void *run(void *argument) {
    struct learner *learner = argument;
    bool stopping = false;
    struct lesson *lesson = NULL;
    (void)log_attach();
    (void)audit_attach();
    while (!stopping || lesson != NULL) {
        uint64_t missed;
        lesson = next_lesson(learner, &stopping, &missed);
        if (missed > 0)
            log_message(LOG_WARNING, "learn",
                        "%llu requests came too fast to be learned: repeat them",
                        (unsigned long long)missed);
        if (lesson != NULL) {
            take(learner, lesson);
            free_lesson(lesson);
        }
        uint64_t now = deadline_now();
        if (learner->write_at != 0 && now >= learner->write_at)
            save(learner, now);
    }
    if (learner->write_at != 0)
        save(learner, deadline_now());
    return NULL;
}

/* --- from outside --- */

static void destroy(struct learner *learner) {
    let_go(learner->snapshot);
    learn_free(learner->learn);
    pthread_cond_destroy(&learner->wake);
    pthread_mutex_destroy(&learner->lock);
    free(learner);
}

static int start_waiting(struct learner *learner) {
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error == 0)
        error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(&learner->wake, &attributes);
    return error == 0 ? pthread_mutex_init(&learner->lock, NULL) : error;
}

struct learner *learner_start(const char *file, struct error *error) {
    struct learner *learner = calloc(1, sizeof *learner);
    if (learner == NULL || start_waiting(learner) != 0) {
        free(learner);
        (void)error_set(error, "out of memory");
        return NULL;
    }
    learner->end = &learner->first;
    bool fits = strlen(file) < sizeof learner->file;
    (void)snprintf(learner->file, sizeof learner->file, "%s", file);
    (void)snprintf(learner->draft, sizeof learner->draft, "%s.new", learner->file);
    learner->learn = learn_new(error->text, sizeof error->text);
    int result = learner->learn == NULL ? -1 : 0;
    if (result == 0 && !fits)
        result = error_set(error, "--learn-file: the name is too long");
    if (result == 0 && !publish(learner))
        result = error_set(error, "out of memory");
    if (result == 0)
        result = write_file(learner, error);
    if (result == 0 && pthread_create(&learner->thread, NULL, run, learner) != 0)
        result = error_set(error, "cannot start the learning thread");
    if (result == 0)
        return learner;
    destroy(learner);
    return NULL;
}

void learner_stop(struct learner *learner) {
    if (learner == NULL)
        return;
    pthread_mutex_lock(&learner->lock);
    learner->stopping = true;
    pthread_cond_signal(&learner->wake);
    pthread_mutex_unlock(&learner->lock);
    pthread_join(learner->thread, NULL);
    destroy(learner);
}

/* Copies are in memory only: they are judged again, not written. */
static bool copy_slice(struct lesson *lesson, struct slice *slice) {
    lesson->bytes += slice->len;
    *slice = arena_copy(&lesson->arena, *slice);
    return slice->data != NULL;
}

/* Those that are judged; what else a client sends may be secret and is not kept. */
static bool is_judged(struct slice name) {
    static const struct slice names[] = {SLICE("Content-Type"), SLICE("Content-Encoding"),
                                         SLICE("X-Docker-Expose-Session-Grpc-Method")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_equal_ignoring_case(name, names[i]))
            return true;
    return false;
}

static bool copy_headers(struct lesson *lesson, const struct filter_header **headers,
                         size_t *count) {
    struct filter_header *copies = arena_alloc(&lesson->arena, *count * sizeof *copies + 1);
    bool sound = copies != NULL;
    size_t kept = 0;
    for (size_t i = 0; sound && i < *count; i++) {
        if (!is_judged((*headers)[i].name))
            continue;
        copies[kept] = (*headers)[i];
        sound = copy_slice(lesson, &copies[kept].name) && copy_slice(lesson, &copies[kept].value);
        kept++;
    }
    *headers = copies;
    *count = kept;
    return sound;
}

/* A copy of a request or a call (the other is NULL); NULL when memory is out. */
static struct lesson *copy_lesson(const struct filter_request *request, struct slice body,
                                  const struct grpc_call *call) {
    struct lesson *lesson = calloc(1, sizeof *lesson);
    if (lesson == NULL)
        return NULL;
    bool sound;
    if (call != NULL) {
        lesson->is_call = true;
        lesson->call = *call;
        sound = copy_slice(lesson, &lesson->call.path) &&
                copy_slice(lesson, &lesson->call.message) &&
                copy_headers(lesson, &lesson->call.headers, &lesson->call.header_count);
    } else {
        lesson->request = *request;
        lesson->body = body;
        sound = copy_slice(lesson, &lesson->request.method) &&
                copy_slice(lesson, &lesson->request.target) && copy_slice(lesson, &lesson->body) &&
                copy_headers(lesson, &lesson->request.headers, &lesson->request.header_count);
    }
    if (sound)
        return lesson;
    free_lesson(lesson);
    return NULL;
}

static void hand_over(struct learner *learner, struct lesson *lesson, bool dangerous) {
    if (lesson != NULL)
        lesson->dangerous = dangerous;
    pthread_mutex_lock(&learner->lock);
    bool room = lesson != NULL && learner->waiting < MAX_WAITING &&
                learner->waiting_bytes + lesson->bytes <= MAX_WAITING_BYTES;
    if (room) {
        *learner->end = lesson;
        learner->end = &lesson->next;
        learner->waiting++;
        learner->waiting_bytes += lesson->bytes;
    } else {
        learner->missed++;
    }
    pthread_cond_signal(&learner->wake);
    pthread_mutex_unlock(&learner->lock);
    if (!room && lesson != NULL)
        free_lesson(lesson);
}

void learner_offer(struct learner *learner, const struct filter_request *request, struct slice body,
                   bool dangerous) {
    struct arena arena = {0};
    struct snapshot *snapshot = hold(learner);
    struct filter_verdict verdict = filter_judge_head(policy_of(snapshot), request, &arena);
    if (verdict.decision == FILTER_NEED_BODY)
        verdict = filter_judge_body(policy_of(snapshot), request, body, &arena);
    let_go(snapshot);
    arena_reset(&arena);
    if (verdict.decision == FILTER_ALLOW)
        return;
    hand_over(learner, copy_lesson(request, body, NULL), dangerous);
}

void learner_offer_call(struct learner *learner, const struct grpc_call *call, bool dangerous) {
    struct arena arena = {0};
    struct snapshot *snapshot = hold(learner);
    const struct filter_policy *policy = policy_of(snapshot);
    struct grpc_verdict verdict =
        call->has_message
            ? grpc_judge_message(policy, call->path, call->message, &arena)
            : grpc_judge_head(policy, call->path, call->headers, call->header_count, &arena);
    let_go(snapshot);
    arena_reset(&arena);
    if (verdict.decision == FILTER_DENY || verdict.decision == FILTER_BAD_REQUEST)
        hand_over(learner, copy_lesson(NULL, slice_of(NULL, 0), call), dangerous);
}
