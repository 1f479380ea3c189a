/* Streams without TLS; those with it are tested with the TLS sessions and from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "proxy/stream.h"
#include "test/proxy/sockets.h"

typedef void make_pair(int ends[2]);
static make_pair *const pairs[] = {unix_pair, tcp_pair};

static void open_pair(make_pair *pair, struct stream *stream, int *peer) {
    int ends[2];
    pair(ends);
    stream_open(stream, ends[0], pair == tcp_pair);
    *peer = ends[1];
}

static void an_opened_stream_waits_for_events(void **state) {
    (void)state;
    struct stream stream;
    stream_open(&stream, 42, true);
    assert_int_equal(stream.fd, 42);
    assert_true(stream.is_tcp);
    assert_null(stream.tls);
    assert_false(stream.readable || stream.writable || stream.hung_up || stream.read_ended ||
                 stream.write_ended);
    assert_true(stream_can_splice_from(&stream));
    assert_true(stream_can_splice_to(&stream));
    assert_int_equal(stream_handshake(&stream), STREAM_OK); /* there is none */
}

static void events_set_flags(void **state) {
    (void)state;
    static const struct {
        uint32_t events;
        bool readable, writable, hung_up;
    } cases[] = {
        {0, false, false, false},
        {EPOLLIN, true, false, false},
        {EPOLLRDHUP, true, false, false},
        {EPOLLOUT, false, true, false},
        {EPOLLIN | EPOLLOUT, true, true, false},
        {EPOLLHUP, true, true, true},
        {EPOLLERR, true, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stream stream = {.fd = -1};
        stream_events(&stream, cases[i].events);
        assert_int_equal(stream.readable, cases[i].readable);
        assert_int_equal(stream.writable, cases[i].writable);
        assert_int_equal(stream.hung_up, cases[i].hung_up);
    }
    /* TLS may have to write before it can read on, and the other way round. */
    struct stream stream = {.fd = -1, .read_wants_write = true};
    stream_events(&stream, EPOLLOUT);
    assert_true(stream.readable && stream.writable);
    stream = (struct stream){.fd = -1, .write_wants_read = true};
    stream_events(&stream, EPOLLIN);
    assert_true(stream.readable && stream.writable);
}

/* Spares the read that would only say so, except where an end has come along. */
static void a_short_read_empties_the_socket(void **state) {
    (void)state;
    static const uint32_t events[] = {EPOLLIN, EPOLLIN | EPOLLRDHUP};
    for (size_t i = 0; i < 4; i++) {
        struct stream stream;
        int peer;
        char bytes[16];
        size_t got = 0;
        open_pair(pairs[i % 2], &stream, &peer);
        assert_int_equal(send(peer, "hello", 5, 0), 5);
        wait_for(stream.fd, POLLIN);
        stream_events(&stream, events[i / 2]);
        assert_int_equal(stream_read(&stream, bytes, 4, &got), STREAM_OK);
        assert_true(stream.readable);
        assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), STREAM_OK);
        assert_int_equal(got, 1);
        assert_int_equal(stream.readable, i / 2 == 1);
        stream_close(&stream, false);
        close(peer);
    }
}

static void stream_write_two_keeps_the_order(void **state) {
    (void)state;
    static char big[40000], in[sizeof big + 4];
    memset(big, 'b', sizeof big);
    const struct slice seconds[] = {SLICE(""), SLICE("more"), slice_of(big, sizeof big)};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        struct stream stream;
        int peer;
        open_pair(unix_pair, &stream, &peer);
        struct slice first = SLICE("head");
        struct slice second = seconds[i];
        while (first.len > 0) {
            size_t put = 0;
            assert_int_equal(stream_write_two(&stream, first, second, &put), STREAM_OK);
            size_t of_first = put < first.len ? put : first.len;
            first = slice_from(first, of_first);
            second = slice_from(second, put - of_first);
        }
        size_t wanted = 4 + seconds[i].len - second.len;
        assert_int_equal(recv(peer, in, sizeof in, 0), wanted);
        assert_memory_equal(in, "head", 4);
        assert_memory_equal(in + 4, seconds[i].data, wanted - 4);
        /* What fits goes out at once. */
        assert_int_equal(wanted, i == 1 ? 8 : 4);
        stream_close(&stream, false);
        close(peer);
    }
}

static void reading_ends_with_wait_then_with_the_end(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stream stream;
        int peer;
        char bytes[16];
        size_t got = 0;
        open_pair(pairs[i], &stream, &peer);
        stream.readable = stream.writable = true;
        assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), STREAM_WAIT);
        assert_false(stream.readable);
        assert_true(stream.writable);

        assert_int_equal(send(peer, "hello", 5, 0), 5);
        wait_for(stream.fd, POLLIN);
        stream.readable = true;
        memset(bytes, 0, sizeof bytes);
        assert_int_equal(stream_peek(&stream, bytes, 3, &got), STREAM_OK);
        assert_int_equal(got, 3);
        assert_string_equal(bytes, "hel");
        assert_int_equal(stream_read(&stream, bytes, 4, &got), STREAM_OK);
        assert_int_equal(got, 4);
        assert_string_equal(bytes, "hell");
        assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), STREAM_OK);
        assert_int_equal(got, 1);
        assert_int_equal(stream_peek(&stream, bytes, sizeof bytes, &got), STREAM_WAIT);
        assert_false(stream.readable);

        assert_int_equal(shutdown(peer, SHUT_WR), 0);
        wait_for(stream.fd, POLLIN);
        assert_false(stream.read_ended);
        assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), STREAM_EOF);
        assert_true(stream.read_ended);
        assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), STREAM_EOF);

        /* The other direction goes on. */
        size_t put = 0;
        assert_int_equal(stream_write(&stream, "back", 4, &put), STREAM_OK);
        assert_int_equal(put, 4);
        wait_for(peer, POLLIN);
        assert_int_equal(recv(peer, bytes, sizeof bytes, 0), 4);
        stream_close(&stream, true);
        assert_int_equal(stream.fd, -1);
        stream_close(&stream, true); /* nothing left to close */
        close(peer);
    }
}

static void a_full_socket_makes_the_writer_wait(void **state) {
    (void)state;
    static char block[65536];
    for (size_t i = 0; i < 2; i++) {
        struct stream stream;
        int peer;
        size_t put = 0;
        size_t total = 0;
        enum stream_status status;
        open_pair(pairs[i], &stream, &peer);
        stream.readable = stream.writable = true;
        while ((status = stream_write(&stream, block, sizeof block, &put)) == STREAM_OK) {
            assert_true(put > 0 && put <= sizeof block);
            total += put;
            assert_true(total < (size_t)1 << 30);
        }
        assert_int_equal(status, STREAM_WAIT);
        assert_false(stream.writable);
        assert_true(stream.readable);
        stream_close(&stream, false);
        close(peer);
    }
}

static void ending_our_direction_leaves_the_other(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stream stream;
        int peer;
        char bytes[8];
        size_t put = 0;
        size_t got = 0;
        open_pair(pairs[i], &stream, &peer);
        assert_int_equal(stream_write(&stream, "last", 4, &put), STREAM_OK);
        assert_int_equal(stream_end_write(&stream), STREAM_OK);
        assert_true(stream.write_ended);
        assert_int_equal(stream_end_write(&stream), STREAM_OK);
        wait_for(peer, POLLIN);
        assert_int_equal(recv(peer, bytes, sizeof bytes, MSG_WAITALL), 4);
        wait_for(peer, POLLIN);
        assert_int_equal(recv(peer, bytes, sizeof bytes, 0), 0);
        assert_int_equal(send(peer, "x", 1, MSG_NOSIGNAL), 1);
        wait_for(stream.fd, POLLIN);
        assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), STREAM_OK);
        stream_close(&stream, false);
        close(peer);
    }
}

static void errors_are_errors_and_named(void **state) {
    (void)state;
    struct stream stream;
    int peer;
    char byte;
    size_t count = 0;
    open_pair(unix_pair, &stream, &peer);
    close(peer);
    assert_int_equal(stream_write(&stream, "x", 1, &count), STREAM_ERROR);
    assert_non_null(strstr(stream_error_text(), strerror(EPIPE)));
    stream_close(&stream, false);

    open_pair(tcp_pair, &stream, &peer);
    reset_tcp(peer);
    wait_for(stream.fd, POLLIN);
    assert_int_equal(stream_read(&stream, &byte, 1, &count), STREAM_ERROR);
    assert_non_null(strstr(stream_error_text(), strerror(ECONNRESET)));
    stream_close(&stream, false);
}

/* The kernel tells of a reset once, to whoever asks first; a reader that comes later must not take
 * it for a proper end. */
static void a_reset_that_the_writer_met_is_no_end_for_the_reader(void **state) {
    (void)state;
    struct stream stream;
    int peer;
    char byte;
    size_t count = 0;
    open_pair(tcp_pair, &stream, &peer);
    reset_tcp(peer);
    wait_for(stream.fd, POLLIN);
    stream_events(&stream, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
    assert_int_equal(stream_write(&stream, "x", 1, &count), STREAM_ERROR);
    enum stream_status status = stream_read(&stream, &byte, 1, &count);
    stream_close(&stream, false);
    assert_int_equal(status, STREAM_ERROR);
}

static void splicing_moves_bytes_both_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stream from;
        struct stream to;
        int source;
        int sink;
        int ends[2];
        char bytes[16] = "";
        size_t count = 0;
        open_pair(pairs[i], &from, &source);
        open_pair(pairs[i], &to, &sink);
        assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
        from.readable = true;
        assert_int_equal(stream_splice_in(&from, ends[1], 100, true, &count), STREAM_WAIT);
        assert_false(from.readable);
        /* With bytes in the pipe it may be the pipe that is full: the flag stays. */
        from.readable = true;
        assert_int_equal(stream_splice_in(&from, ends[1], 100, false, &count), STREAM_WAIT);
        assert_true(from.readable);

        assert_int_equal(send(source, "hello world", 11, 0), 11);
        wait_for(from.fd, POLLIN);
        assert_int_equal(stream_splice_in(&from, ends[1], 5, true, &count), STREAM_OK);
        assert_int_equal(count, 5);
        assert_int_equal(stream_splice_out(&to, ends[0], 5, &count), STREAM_OK);
        assert_int_equal(count, 5);
        wait_for(sink, POLLIN);
        assert_int_equal(recv(sink, bytes, sizeof bytes, 0), 5);
        assert_string_equal(bytes, "hello");
        assert_int_equal(stream_peek(&from, bytes, sizeof bytes, &count), STREAM_OK);
        assert_int_equal(count, 6);
        assert_memory_equal(bytes, " world", 6);
        close(source);
        assert_int_equal(stream_splice_in(&from, ends[1], 100, true, &count), STREAM_OK);
        assert_int_equal(count, 6);
        wait_for(from.fd, POLLIN);
        assert_int_equal(stream_splice_in(&from, ends[1], 100, false, &count), STREAM_EOF);
        assert_true(from.read_ended);
        close(sink);
        enum stream_status status = stream_splice_out(&to, ends[0], 6, &count);
        if (status == STREAM_OK) { /* TCP learns of it with the first bytes sent */
            wait_for(to.fd, POLLERR);
            assert_int_equal(write(ends[1], "x", 1), 1);
            status = stream_splice_out(&to, ends[0], 1, &count);
        }
        assert_int_equal(status, STREAM_ERROR);
        stream_close(&from, false);
        stream_close(&to, false);
        close(ends[0]);
        close(ends[1]);
    }
}

static int tcp_option(int fd, int level, int option) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void tcp_is_tuned(void **state) {
    (void)state;
    int ends[2];
    tcp_pair(ends);
    stream_tune_tcp(ends[0], 12345);
    assert_int_equal(tcp_option(ends[0], IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(tcp_option(ends[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(tcp_option(ends[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
    close(ends[0]);
    close(ends[1]);
    unix_pair(ends);
    stream_tune_tcp(ends[0], 1); /* does no harm */
    close(ends[0]);
    close(ends[1]);
}

/* A peer that is alive but does not read is not cut by TCP_USER_TIMEOUT. */
static void the_user_timeout_is_lifted_while_the_peer_stalls(void **state) {
    (void)state;
    enum { TIMEOUT = 30000 };
    static char block[65536];
    struct stream stream;
    int peer;
    size_t put = 0;
    open_pair(tcp_pair, &stream, &peer);
    stream_tune_tcp(stream.fd, TIMEOUT);
    stream_sweep_user_timeout(&stream, TIMEOUT);
    assert_int_equal(tcp_option(stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), TIMEOUT);

    while (stream_write(&stream, block, sizeof block, &put) == STREAM_OK)
        ;
    stream_sweep_user_timeout(&stream, 0); /* switched off: hands off */
    assert_int_equal(tcp_option(stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), TIMEOUT);
    stream_sweep_user_timeout(&stream, TIMEOUT);
    assert_int_equal(tcp_option(stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    stream_sweep_user_timeout(&stream, TIMEOUT);
    assert_int_equal(tcp_option(stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);

    uint64_t limit = milliseconds() + TIME_LIMIT_MS;
    int unsent = 1;
    while (unsent > 0 && milliseconds() < limit) {
        while (recv(peer, block, sizeof block, 0) > 0)
            ;
        assert_int_equal(ioctl(stream.fd, SIOCOUTQNSD, &unsent), 0);
        struct pollfd readable = {.fd = peer, .events = POLLIN};
        (void)poll(&readable, 1, 1);
    }
    assert_int_equal(unsent, 0);
    stream_sweep_user_timeout(&stream, TIMEOUT);
    assert_int_equal(tcp_option(stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), TIMEOUT);
    stream_close(&stream, false);
    stream_sweep_user_timeout(&stream, TIMEOUT); /* closed: nothing happens */
    close(peer);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_opened_stream_waits_for_events),
        cmocka_unit_test(events_set_flags),
        cmocka_unit_test(a_short_read_empties_the_socket),
        cmocka_unit_test(stream_write_two_keeps_the_order),
        cmocka_unit_test(reading_ends_with_wait_then_with_the_end),
        cmocka_unit_test(a_full_socket_makes_the_writer_wait),
        cmocka_unit_test(ending_our_direction_leaves_the_other),
        cmocka_unit_test(errors_are_errors_and_named),
        cmocka_unit_test(a_reset_that_the_writer_met_is_no_end_for_the_reader),
        cmocka_unit_test(splicing_moves_bytes_both_ways),
        cmocka_unit_test(tcp_is_tuned),
        cmocka_unit_test(the_user_timeout_is_lifted_while_the_peer_stalls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
