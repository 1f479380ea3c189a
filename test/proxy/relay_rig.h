/* One relay between two real pairs of sockets, driven as a worker drives it. */
#ifndef DIND_PROXY_TEST_PROXY_RELAY_RIG_H
#define DIND_PROXY_TEST_PROXY_RELAY_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "proxy/relay.h"
#include "proxy/watch.h"
#include "test/proxy/sockets.h"

/* source → [from | relay | to] → sink, run like a worker does it: edge-triggered, and only when an
 * event came or the relay asked for another turn. A wake-up lost anywhere shows as a time-out. */
struct rig {
    int epoll;
    int source;
    int sink;
    struct stream from;
    struct stream to;
    struct watch watches[2];
    struct buffer in;
    struct relay relay;
    struct relay_pools pools;
    enum relay_status status;
    bool runnable;
    bool sink_stalls;
    struct slice unsent;
    size_t piece; /* how much the source sends at a time */
    bool ends;    /* the source closes after its last byte */
    char *received;
    size_t received_len;
    size_t received_size;
};

typedef void make_pair(int ends[2]);

static inline void rig_open(struct rig *rig, make_pair *pair, struct framing framing) {
    int ends[2];
    *rig = (struct rig){.epoll = epoll_create1(EPOLL_CLOEXEC), .runnable = true, .piece = SIZE_MAX};
    assert_true(rig->epoll >= 0);
    pair(ends);
    rig->source = ends[0];
    stream_open(&rig->from, ends[1], pair == tcp_pair);
    assert_int_equal(watch_add(rig->epoll, ends[1], &rig->watches[0]), 0);
    pair(ends);
    rig->sink = ends[1];
    stream_open(&rig->to, ends[0], pair == tcp_pair);
    assert_int_equal(watch_add(rig->epoll, ends[0], &rig->watches[1]), 0);
    rig->relay =
        (struct relay){.from = &rig->from, .to = &rig->to, .in = &rig->in, .framing = framing};
}

static inline void rig_close(struct rig *rig) {
    relay_release(&rig->relay, &rig->pools);
    buffer_release(&rig->in, &rig->pools.buffers);
    buffer_pool_clear(&rig->pools.buffers);
    pipe_pool_clear(&rig->pools.pipes);
    stream_close(&rig->from, false);
    stream_close(&rig->to, false);
    if (rig->source >= 0)
        close(rig->source);
    if (rig->sink >= 0)
        close(rig->sink);
    close(rig->epoll);
    free(rig->received);
}

static inline bool is_over(const struct rig *rig) {
    return rig->status != RELAY_WAIT && rig->status != RELAY_AGAIN;
}

/* True if anything moved. */
static inline bool feed(struct rig *rig) {
    if (rig->unsent.len == 0 || rig->source < 0)
        return false;
    size_t len = rig->unsent.len < rig->piece ? rig->unsent.len : rig->piece;
    ssize_t n = send(rig->source, rig->unsent.data, len, MSG_NOSIGNAL);
    if (n <= 0)
        return false;
    rig->unsent = slice_from(rig->unsent, (size_t)n);
    if (rig->unsent.len == 0 && rig->ends) {
        close(rig->source);
        rig->source = -1;
    }
    return true;
}

static inline bool drain(struct rig *rig) {
    if (rig->sink_stalls || rig->sink < 0)
        return false;
    if (rig->received_size - rig->received_len < 65536) {
        rig->received_size = rig->received_size * 2 + 65536;
        rig->received = realloc(rig->received, rig->received_size);
        assert_non_null(rig->received);
    }
    ssize_t n = recv(rig->sink, rig->received + rig->received_len,
                     rig->received_size - rig->received_len, 0);
    if (n <= 0)
        return false;
    rig->received_len += (size_t)n;
    return true;
}

static inline bool take_events(struct rig *rig, int wait) {
    struct epoll_event events[2];
    int count = epoll_wait(rig->epoll, events, 2, wait);
    for (int i = 0; i < count; i++) {
        stream_events(events[i].data.ptr == &rig->watches[0] ? &rig->from : &rig->to,
                      events[i].events);
        rig->runnable = true;
    }
    return count > 0;
}

static inline void run_once(struct rig *rig) {
    if (!rig->runnable || is_over(rig))
        return;
    rig->runnable = false;
    rig->status = relay_run(&rig->relay, &rig->pools);
    rig->runnable = rig->status == RELAY_AGAIN;
}

/* Until the relay is over, or, with `until_idle`, until nothing moves for a while. */
static inline void rig_run(struct rig *rig, bool until_idle) {
    uint64_t limit = milliseconds() + TIME_LIMIT_MS;
    int idle = 0;
    while (!is_over(rig) && !(until_idle && idle > 20)) {
        bool moved = take_events(rig, 0);
        run_once(rig);
        moved |= drain(rig);
        if (!rig->runnable)
            moved |= feed(rig);
        if (!moved && !rig->runnable)
            moved = take_events(rig, 1);
        idle = moved || rig->runnable ? 0 : idle + 1;
        if (milliseconds() > limit)
            print_error("stuck after %zu bytes, status %d\n", rig->received_len, rig->status);
        assert_true(milliseconds() <= limit);
    }
    /* What is on its way to the sink when the relay is over. */
    while (!until_idle && rig->received_len < rig->relay.total && rig->sink >= 0) {
        wait_for(rig->sink, POLLIN);
        assert_true(drain(rig));
    }
}

static inline void assert_received(const struct rig *rig, struct slice expected) {
    assert_int_equal(rig->received_len, expected.len);
    assert_true(slice_equal(slice_of(rig->received, rig->received_len), expected));
    assert_int_equal(rig->relay.total, expected.len);
}

/* What was sent after the message and must be left: in the buffer, then in the socket. */
static inline void assert_left(struct rig *rig, struct slice expected) {
    char left[4096];
    size_t len = buffer_len(&rig->in);
    assert_int_equal(rig->relay.approved, 0);
    assert_true(len <= sizeof left);
    if (len > 0)
        memcpy(left, buffer_slice(&rig->in).data, len);
    while (len < expected.len) {
        wait_for(rig->from.fd, POLLIN);
        ssize_t n = recv(rig->from.fd, left + len, sizeof left - len, 0);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_true(slice_equal(slice_of(left, len), expected));
}

static inline char *random_bytes(size_t len) {
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    uint32_t random = (uint32_t)len * 2654435761u + 1;
    for (size_t i = 0; i < len; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (char)(random >> 24);
    }
    return bytes;
}

/* A chunked body of `len` payload bytes in chunks of `size`, with a trailer. */
static inline struct slice chunked_body(size_t len, size_t size) {
    char *payload = random_bytes(len);
    size_t room = len + (len / size + 2) * 24 + 64;
    char *wire = malloc(room);
    assert_non_null(wire);
    size_t used = 0;
    for (size_t at = 0; at < len; at += size) {
        size_t chunk = len - at < size ? len - at : size;
        used += (size_t)snprintf(wire + used, room - used, "%zx\r\n", chunk);
        memcpy(wire + used, payload + at, chunk);
        used += chunk;
        used += (size_t)snprintf(wire + used, room - used, "\r\n");
    }
    used += (size_t)snprintf(wire + used, room - used, "0\r\nX-Trailer: v\r\n\r\n");
    free(payload);
    return slice_of(wire, used);
}

static inline struct slice join(struct slice a, struct slice b) {
    char *both = malloc(a.len + b.len + 1);
    assert_non_null(both);
    if (a.len > 0)
        memcpy(both, a.data, a.len);
    if (b.len > 0)
        memcpy(both + a.len, b.data, b.len);
    return slice_of(both, a.len + b.len);
}

#endif
