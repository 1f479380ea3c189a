/* Against real listening sockets; the TLS phase is tested from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "proxy/upstream.h"
#include "test/proxy/sockets.h"

struct rig {
    char folder[64];
    char path[128];
    int listener;
    struct config config;
    struct engine *engine;
    struct ruleset *rules;
    struct relay_pools pools;
    struct watch *graveyard;
    struct upstream_pool pool;
};

static void rig_open(struct rig *rig) {
    *rig = (struct rig){.folder = "/tmp/dind-proxy-test-XXXXXX"};
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof rig->path, "%s/engine.sock", rig->folder);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, rig->path, strlen(rig->path));
    rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(rig->listener >= 0);
    assert_int_equal(bind(rig->listener, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(rig->listener, 64), 0);
    struct address address = {.kind = ADDRESS_UNIX};
    struct error error;
    memcpy(address.path, rig->path, strlen(rig->path) + 1);
    rig->engine = engine_open(&address, &error);
    assert_non_null(rig->engine);
    rig->rules = ruleset_new(&rig->config, &error);
    assert_non_null(rig->rules);
    rig->pool = (struct upstream_pool){
        .lease = lease_new(rig->rules),
        .config = &rig->config,
        .engine = rig->engine,
        .pools = &rig->pools,
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .graveyard = &rig->graveyard,
    };
    assert_true(rig->pool.epoll >= 0);
    assert_non_null(rig->pool.lease);
}

/* Frees what was dropped; returns how many that were. */
static size_t bury(struct rig *rig) {
    size_t count = 0;
    while (rig->graveyard != NULL) {
        struct watch *watch = rig->graveyard;
        rig->graveyard = watch->next_dead;
        assert_true(watch->dead);
        struct upstream *upstream = CONTAINER_OF(watch, struct upstream, watch);
        assert_int_equal(upstream->stream.fd, -1);
        free(upstream);
        count++;
    }
    return count;
}

static void rig_close(struct rig *rig) {
    upstream_pool_clear(&rig->pool);
    assert_int_equal(rig->pool.idle_count, 0);
    bury(rig);
    assert_int_equal(rig->pool.lease->uses, 1);
    lease_end(rig->pool.lease);
    assert_int_equal(atomic_load(&rig->rules->references), 1);
    ruleset_release(rig->rules);
    buffer_pool_clear(&rig->pools.buffers);
    pipe_pool_clear(&rig->pools.pipes);
    close(rig->pool.epoll);
    close(rig->listener);
    unlink(rig->path);
    rmdir(rig->folder);
}

/* Never followed by this module. */
static char owners[2];
static struct conn *const owner = (struct conn *)(void *)&owners[0];

static void take_events(struct rig *rig, int wait) {
    struct epoll_event events[64];
    int count = epoll_wait(rig->pool.epoll, events, 64, wait);
    for (int i = 0; i < count; i++) {
        struct upstream *upstream = CONTAINER_OF(events[i].data.ptr, struct upstream, watch);
        if (upstream->watch.dead)
            continue;
        stream_events(&upstream->stream, events[i].events);
        if (upstream->owner == NULL)
            upstream_idle_event(&rig->pool, upstream);
    }
}

static enum upstream_status drive(struct rig *rig, struct upstream *upstream, const char **why) {
    uint64_t limit = milliseconds() + TIME_LIMIT_MS;
    enum upstream_status status;
    while ((status = upstream_connect(&rig->pool, upstream, why)) == UPSTREAM_WAIT) {
        assert_true(milliseconds() < limit);
        take_events(rig, 10);
    }
    return status;
}

/* A connected one; `*engine` is the engine's end of it. */
static struct upstream *connect_one(struct rig *rig, bool fresh, int *engine) {
    const char *why = NULL;
    struct upstream *upstream = upstream_take(&rig->pool, owner, fresh);
    assert_non_null(upstream);
    assert_ptr_equal(upstream->owner, owner);
    assert_int_equal(upstream->phase, UPSTREAM_NEW);
    assert_false(upstream->reused);
    assert_int_equal(drive(rig, upstream, &why), UPSTREAM_OK);
    assert_int_equal(upstream->phase, UPSTREAM_READY);
    assert_int_equal(upstream_connect(&rig->pool, upstream, &why), UPSTREAM_OK);
    *engine = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*engine >= 0);
    return upstream;
}

static void a_kept_one_serves_again(void **state) {
    (void)state;
    struct rig rig;
    int engine;
    int second;
    char bytes[8] = "";
    size_t put = 0;
    rig_open(&rig);
    struct upstream *upstream = connect_one(&rig, false, &engine);
    assert_int_equal(stream_write(&upstream->stream, "GET", 3, &put), STREAM_OK);
    assert_int_equal(recv(engine, bytes, sizeof bytes, 0), 3);
    upstream_give(&rig.pool, upstream);
    assert_int_equal(rig.pool.idle_count, 1);
    assert_null(upstream->owner);
    take_events(&rig, 0);
    assert_int_equal(rig.pool.idle_count, 1);

    /* Who asks for a fresh one gets that. */
    struct upstream *fresh = connect_one(&rig, true, &second);
    assert_ptr_not_equal(fresh, upstream);
    assert_int_equal(rig.pool.idle_count, 1);

    assert_ptr_equal(upstream_take(&rig.pool, owner, false), upstream);
    assert_true(upstream->reused);
    assert_ptr_equal(upstream->owner, owner);
    assert_int_equal(upstream->phase, UPSTREAM_READY);
    assert_int_equal(rig.pool.idle_count, 0);
    upstream_give(&rig.pool, upstream);
    upstream_give(&rig.pool, fresh);
    assert_int_equal(rig.pool.idle_count, 2);
    upstream_pool_clear(&rig.pool);
    assert_int_equal(bury(&rig), 2);
    assert_int_equal(recv(engine, bytes, sizeof bytes, 0), 0); /* really closed */
    close(engine);
    close(second);
    rig_close(&rig);
}

enum spoil { CLOSED, SPOKE, CLOSED_AFTER_SPEAKING };

static void spoil(int engine, enum spoil how) {
    if (how != CLOSED)
        assert_int_equal(send(engine, "HTTP/1.1 200 OK\r\n", 17, MSG_NOSIGNAL), 17);
    if (how != SPOKE)
        shutdown(engine, SHUT_RDWR);
}

/* Whatever an idle connection says, nobody asked: it must never be taken for the next answer. */
static void an_idle_one_that_speaks_or_ends_is_dropped(void **state) {
    (void)state;
    for (int how = CLOSED; how <= CLOSED_AFTER_SPEAKING; how++) {
        struct rig rig;
        int engines[3];
        struct upstream *upstreams[3];
        rig_open(&rig);
        for (size_t i = 0; i < 3; i++)
            upstreams[i] = connect_one(&rig, true, &engines[i]);
        take_events(&rig, 0);
        for (size_t i = 0; i < 3; i++)
            upstream_give(&rig.pool, upstreams[i]);
        assert_int_equal(rig.pool.idle_count, 3);
        spoil(engines[1], (enum spoil)how); /* the middle of the list, the ends, the last one */
        take_events(&rig, TIME_LIMIT_MS);
        assert_int_equal(rig.pool.idle_count, 2);
        spoil(engines[2], (enum spoil)how);
        take_events(&rig, TIME_LIMIT_MS);
        assert_int_equal(rig.pool.idle_count, 1);
        assert_ptr_equal(rig.pool.idle, upstreams[0]);
        spoil(engines[0], (enum spoil)how);
        take_events(&rig, TIME_LIMIT_MS);
        assert_int_equal(rig.pool.idle_count, 0);
        assert_null(rig.pool.idle);
        assert_int_equal(bury(&rig), 3);
        for (size_t i = 0; i < 3; i++)
            close(engines[i]);
        rig_close(&rig);
    }
}

static void one_that_is_not_clean_is_not_kept(void **state) {
    (void)state;
    enum { LEFT_IN_BUFFER, LEFT_IN_SOCKET, ENDED, ENDED_UNSEEN, HUNG_UP, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct rig rig;
        int engine;
        size_t room = 0;
        rig_open(&rig);
        struct upstream *upstream = connect_one(&rig, false, &engine);
        switch (way) {
        case LEFT_IN_BUFFER:
            assert_true(buffer_reserve(&upstream->in, &rig.pools.buffers, BUFFER_SIZE));
            *buffer_space(&upstream->in, &room) = 'x';
            buffer_added(&upstream->in, 1);
            break;
        case LEFT_IN_SOCKET:
            assert_int_equal(send(engine, "x", 1, MSG_NOSIGNAL), 1);
            take_events(&rig, TIME_LIMIT_MS);
            break;
        case ENDED:
            upstream->stream.read_ended = true;
            break;
        case ENDED_UNSEEN:
            shutdown(engine, SHUT_WR);
            take_events(&rig, TIME_LIMIT_MS);
            break;
        default:
            upstream->stream.hung_up = true;
        }
        upstream_give(&rig.pool, upstream);
        if (way == LEFT_IN_SOCKET || way == ENDED_UNSEEN) {
            /* The event may have come before the give or with it. */
            take_events(&rig, 0);
        }
        assert_int_equal(rig.pool.idle_count, 0);
        assert_null(rig.pool.idle);
        assert_int_equal(bury(&rig), 1);
        close(engine);
        rig_close(&rig);
    }
}

static void the_number_kept_is_bounded(void **state) {
    (void)state;
    enum { MANY = 50, KEPT_AT_MOST = 32 };
    struct rig rig;
    int engines[MANY];
    struct upstream *upstreams[MANY];
    rig_open(&rig);
    for (size_t i = 0; i < MANY; i++)
        upstreams[i] = connect_one(&rig, true, &engines[i]);
    for (size_t i = 0; i < MANY; i++)
        upstream_give(&rig.pool, upstreams[i]);
    size_t kept = rig.pool.idle_count;
    assert_true(kept > 0 && kept <= KEPT_AT_MOST);
    assert_int_equal(bury(&rig), MANY - kept);
    upstream_pool_clear(&rig.pool);
    assert_int_equal(bury(&rig), kept);
    for (size_t i = 0; i < MANY; i++)
        close(engines[i]);
    rig_close(&rig);
}

/* A reload drops what is idle and lets what is at work finish, which is not kept then. The set of
 * before is held until the last of them has gone. */
static void a_new_lease_counts_for_new_connections(void **state) {
    (void)state;
    struct rig rig;
    struct error error;
    int engines[3];
    rig_open(&rig);
    struct upstream *idle = connect_one(&rig, true, &engines[0]);
    struct upstream *busy = connect_one(&rig, true, &engines[1]);
    upstream_give(&rig.pool, idle);
    struct ruleset *old = rig.rules;
    assert_int_equal(atomic_load(&old->references), 2);

    rig.rules = ruleset_new(&rig.config, &error);
    assert_non_null(rig.rules);
    upstream_pool_renew(&rig.pool, lease_new(rig.rules));
    assert_int_equal(rig.pool.idle_count, 0);
    assert_int_equal(bury(&rig), 1);
    assert_false(busy->watch.dead);
    assert_ptr_equal(busy->lease->set, old);
    assert_int_equal(atomic_load(&old->references), 2);

    struct upstream *fresh = connect_one(&rig, false, &engines[2]);
    assert_ptr_equal(fresh->lease, rig.pool.lease);
    upstream_give(&rig.pool, busy);
    assert_int_equal(bury(&rig), 1);
    assert_int_equal(atomic_load(&old->references), 1);
    ruleset_release(old);
    upstream_give(&rig.pool, fresh);
    assert_int_equal(rig.pool.idle_count, 1);
    for (size_t i = 0; i < 3; i++)
        close(engines[i]);
    rig_close(&rig);
}

static void a_refusal_is_named(void **state) {
    (void)state;
    struct rig rig;
    const char *why = NULL;
    rig_open(&rig);
    unlink(rig.path);
    struct upstream *upstream = upstream_take(&rig.pool, owner, false);
    assert_non_null(upstream);
    assert_int_equal(drive(&rig, upstream, &why), UPSTREAM_FAILED);
    assert_non_null(why);
    assert_true(strlen(why) > 0);
    assert_int_equal(upstream->stream.fd, -1);
    upstream_drop(&rig.pool, upstream);
    assert_int_equal(bury(&rig), 1);

    /* A name that does not resolve has no address at all. */
    upstream = upstream_take(&rig.pool, owner, false);
    assert_non_null(upstream);
    upstream->address_count = 0;
    assert_int_equal(drive(&rig, upstream, &why), UPSTREAM_FAILED);
    assert_true(strlen(why) > 0);
    upstream_drop(&rig.pool, upstream);
    assert_int_equal(bury(&rig), 1);
    rig_close(&rig);
}

/* A loopback port; nobody listens there unless `*listener` is wanted. */
static struct engine_address tcp_address(int *listener) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    if (listener != NULL)
        assert_int_equal(listen(fd, 8), 0);
    struct engine_address address = {.len = len};
    memcpy(&address.sockaddr, &name, sizeof name);
    if (listener != NULL)
        *listener = fd;
    else
        close(fd);
    return address;
}

static void all_addresses_are_tried_in_turn(void **state) {
    (void)state;
    struct rig rig;
    const char *why = NULL;
    int listener;
    rig_open(&rig);
    rig.config.tcp_user_timeout = 1000;
    struct upstream *upstream = upstream_take(&rig.pool, owner, false);
    assert_non_null(upstream);
    upstream->addresses[0] = tcp_address(NULL);
    upstream->addresses[1] = tcp_address(NULL);
    upstream->addresses[2] = tcp_address(&listener);
    upstream->address_count = 3;
    assert_int_equal(drive(&rig, upstream, &why), UPSTREAM_OK);
    assert_int_equal(upstream->next_address, 3);
    assert_true(upstream->stream.is_tcp);
    assert_false(upstream->stream.hung_up);
    int engine = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(engine >= 0);
    upstream_give(&rig.pool, upstream);
    assert_int_equal(rig.pool.idle_count, 1);
    upstream_pool_clear(&rig.pool);
    assert_int_equal(bury(&rig), 1);

    upstream = upstream_take(&rig.pool, owner, false);
    assert_non_null(upstream);
    upstream->addresses[0] = tcp_address(NULL);
    upstream->addresses[1] = tcp_address(NULL);
    upstream->address_count = 2;
    assert_int_equal(drive(&rig, upstream, &why), UPSTREAM_FAILED);
    assert_non_null(strstr(why, "refused"));
    upstream_drop(&rig.pool, upstream);
    assert_int_equal(bury(&rig), 1);
    close(engine);
    close(listener);
    rig_close(&rig);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_one_serves_again),
        cmocka_unit_test(an_idle_one_that_speaks_or_ends_is_dropped),
        cmocka_unit_test(one_that_is_not_clean_is_not_kept),
        cmocka_unit_test(the_number_kept_is_bounded),
        cmocka_unit_test(a_new_lease_counts_for_new_connections),
        cmocka_unit_test(a_refusal_is_named),
        cmocka_unit_test(all_addresses_are_tried_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
