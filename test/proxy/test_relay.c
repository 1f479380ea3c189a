#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "test/proxy/relay_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MEBIBYTE = 1024 * 1024 };

static make_pair *const pairs[] = {unix_pair, tcp_pair};
static const struct slice next_message = {"5\r\nGET / HTTP/1.1\r\n\r\n", 21};

static void relay_message(make_pair *pair, struct framing framing, struct slice message,
                          size_t piece) {
    struct rig rig;
    struct slice wire = join(message, next_message);
    rig_open(&rig, pair, framing);
    rig.unsent = wire;
    rig.piece = piece;
    rig_run(&rig, false);
    assert_int_equal(rig.status, RELAY_DONE);
    assert_received(&rig, message);
    while (feed(&rig))
        ;
    assert_left(&rig, next_message);
    assert_null(rig.relay.pipe);
    rig_close(&rig);
    free((char *)wire.data);
}

static const size_t sizes[] = {1, 63, 64, 65, 16383, 16384, 16385, 70000, 3 * MEBIBYTE + 17};

static void lengths_are_relayed_exactly(void **state) {
    (void)state;
    for (size_t p = 0; p < COUNT(pairs); p++) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            char *bytes = random_bytes(sizes[i]);
            struct slice message = slice_of(bytes, sizes[i]);
            relay_message(pairs[p], framing_length(sizes[i]), message, SIZE_MAX);
            relay_message(pairs[p], framing_length(sizes[i]), message, 20000);
            if (sizes[i] < 20000)
                relay_message(pairs[p], framing_length(sizes[i]), message, 7);
            free(bytes);
        }
        relay_message(pairs[p], framing_length(0), slice_of(NULL, 0), SIZE_MAX);
        relay_message(pairs[p], framing_none(), slice_of(NULL, 0), 1);
    }
}

static void chunks_are_relayed_exactly(void **state) {
    (void)state;
    static const size_t chunk_sizes[] = {1, 57, 58, 64, 1000, 16376, 32768, 500000};
    for (size_t p = 0; p < COUNT(pairs); p++) {
        for (size_t c = 0; c < COUNT(chunk_sizes); c++) {
            for (size_t i = 0; i < COUNT(sizes); i++) {
                if (sizes[i] / chunk_sizes[c] > 20000)
                    continue;
                struct slice message = chunked_body(sizes[i], chunk_sizes[c]);
                relay_message(pairs[p], framing_chunked(), message, SIZE_MAX);
                relay_message(pairs[p], framing_chunked(), message, 16411);
                if (message.len < 2000)
                    relay_message(pairs[p], framing_chunked(), message, 1);
                free((char *)message.data);
            }
        }
        relay_message(pairs[p], framing_chunked(), SLICE("0\r\n\r\n"), SIZE_MAX);
        relay_message(pairs[p], framing_chunked(), SLICE("0\r\n\r\n"), 1);
    }
}

static void until_close_is_relayed_to_the_end(void **state) {
    (void)state;
    static const size_t pieces[] = {SIZE_MAX, 16384, 1009};
    for (size_t p = 0; p < COUNT(pairs); p++) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            for (size_t j = 0; j < COUNT(pieces); j++) {
                struct rig rig;
                char *bytes = random_bytes(sizes[i]);
                rig_open(&rig, pairs[p], framing_until_close());
                rig.unsent = slice_of(bytes, sizes[i]);
                rig.piece = pieces[j];
                rig.ends = true;
                rig_run(&rig, false);
                assert_int_equal(rig.status, RELAY_DONE);
                assert_received(&rig, slice_of(bytes, sizes[i]));
                rig_close(&rig);
                free(bytes);
            }
        }
    }
}

static void a_quiet_stream_is_waited_for(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig, tcp_pair, framing_until_close());
    rig_run(&rig, true);
    assert_int_equal(rig.status, RELAY_WAIT);
    assert_null(rig.in.data); /* and costs neither buffer nor pipe */
    assert_null(rig.relay.pipe);
    for (int i = 0; i < 5; i++) {
        rig.unsent = SLICE("tick");
        rig_run(&rig, true);
        assert_int_equal(rig.status, RELAY_WAIT);
        assert_int_equal(rig.received_len, 4 * (size_t)(i + 1));
        assert_null(rig.in.data);
        assert_null(rig.relay.pipe);
    }
    rig_close(&rig);
}

static void bulk_is_spliced_and_small_messages_are_copied(void **state) {
    (void)state;
    struct rig rig;
    char *bytes = random_bytes(4 * MEBIBYTE);
    rig_open(&rig, tcp_pair, framing_length(4 * MEBIBYTE));
    rig.unsent = slice_of(bytes, 4 * MEBIBYTE);
    rig_run(&rig, false);
    assert_int_equal(rig.status, RELAY_DONE);
    assert_true(rig.pools.pipes.free_count > 0); /* a pipe was used, and given back */
    rig_close(&rig);

    rig_open(&rig, tcp_pair, framing_length(1000));
    rig.unsent = slice_of(bytes, 1000);
    rig_run(&rig, false);
    assert_int_equal(rig.status, RELAY_DONE);
    assert_int_equal(rig.pools.pipes.free_count, 0);
    rig_close(&rig);
    free(bytes);
}

static void a_bulky_stream_gives_its_pipe_back_when_quiet(void **state) {
    (void)state;
    struct rig rig;
    char *bytes = random_bytes(MEBIBYTE);
    rig_open(&rig, tcp_pair, framing_until_close());
    rig.unsent = slice_of(bytes, MEBIBYTE);
    rig_run(&rig, true);
    assert_int_equal(rig.status, RELAY_WAIT);
    assert_int_equal(rig.received_len, MEBIBYTE);
    assert_null(rig.relay.pipe);
    assert_null(rig.in.data);
    rig.unsent = SLICE("more");
    rig.ends = true;
    rig_run(&rig, false);
    assert_int_equal(rig.status, RELAY_DONE);
    assert_int_equal(rig.received_len, MEBIBYTE + 4);
    rig_close(&rig);
    free(bytes);
}

static void what_was_judged_goes_out_first(void **state) {
    (void)state;
    struct rig rig;
    size_t room = 0;
    rig_open(&rig, unix_pair, framing_length(4));
    assert_true(buffer_reserve(&rig.in, &rig.pools.buffers, BUFFER_SIZE));
    char *space = buffer_space(&rig.in, &room);
    memcpy(space, "judged-bodytaNEXT", 17);
    buffer_added(&rig.in, 17);
    rig.relay.approved = 11; /* and 2 of the 4 that follow are there already */
    rig.relay.first = SLICE("HEAD\r\n\r\n");
    rig.relay.framing = framing_length(2);
    rig_run(&rig, false);
    assert_int_equal(rig.status, RELAY_DONE);
    assert_received(&rig, SLICE("HEAD\r\n\r\njudged-bodyta"));
    assert_left(&rig, SLICE("NEXT"));
    rig_close(&rig);
}

static void an_early_end_is_a_truncation(void **state) {
    (void)state;
    static const size_t kept[] = {1, 100, 16384, 200000, MEBIBYTE - 1};
    for (size_t p = 0; p < COUNT(pairs); p++) {
        for (size_t i = 0; i < COUNT(kept); i++) {
            for (int chunked = 0; chunked < 2; chunked++) {
                struct rig rig;
                char *bytes =
                    chunked ? (char *)chunked_body(MEBIBYTE, 30000).data : random_bytes(MEBIBYTE);
                rig_open(&rig, pairs[p], chunked ? framing_chunked() : framing_length(MEBIBYTE));
                rig.unsent = slice_of(bytes, kept[i]);
                rig.ends = true;
                rig_run(&rig, false);
                assert_int_equal(rig.status, RELAY_TRUNCATED);
                assert_received(&rig, slice_of(bytes, kept[i]));
                rig_close(&rig);
                free(bytes);
            }
        }
    }
    /* An end before the first byte. */
    struct rig rig;
    rig_open(&rig, tcp_pair, framing_length(1));
    close(rig.source);
    rig.source = -1;
    rig_run(&rig, false);
    assert_int_equal(rig.status, RELAY_TRUNCATED);
    rig_close(&rig);
}

/* Pages that a client gives to its socket without copying stay its own to change. */
static void what_was_looked_at_is_what_is_sent(void **state) {
    (void)state;
    static const char honest[] = "2000\r\n", other[] = "5;xx\r\n";
    for (size_t p = 0; p < COUNT(pairs); p++) {
        struct rig rig;
        int ends[2];
        struct slice bulk = chunked_body(MEBIBYTE, MEBIBYTE);
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(page, MAP_FAILED);
        memset(page, 'B', 4096);
        memcpy(page, honest, strlen(honest));
        const struct iovec whole = {.iov_base = page, .iov_len = 4096};
        rig_open(&rig, pairs[p], framing_chunked());
        bulk.len -= strlen("0\r\nX-Trailer: v\r\n\r\n");
        rig.unsent = bulk;
        rig_run(&rig, true);
        assert_int_equal(rig.received_len, bulk.len);
        rig.sink_stalls = true;
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(vmsplice(ends[1], &whole, 1, 0), 4096);
        assert_int_equal(splice(ends[0], NULL, rig.source, NULL, 4096, 0), 4096);
        rig_run(&rig, true);
        memcpy(page, other, strlen(other));
        rig.sink_stalls = false;
        rig_run(&rig, true);
        assert_int_equal(rig.received_len, bulk.len + 4096);
        assert_memory_equal(rig.received + bulk.len, honest, strlen(honest));
        rig_close(&rig);
        close(ends[0]);
        close(ends[1]);
        munmap(page, 4096);
        free((char *)bulk.data);
    }
}

static void nothing_after_a_broken_chunk_is_forwarded(void **state) {
    (void)state;
    static const struct {
        const char *sound, *broken;
    } faults[] = {
        {"5", ";x\r\nhello\r\n0\r\n\r\n"},
        {"", "\nGET / HTTP/1.1\r\n\r\n"},
        {"5\r\nhello", "\n0\r\n\r\n"},
        {"5\r\nhello\r\n", "-1\r\n"},
        {"0\r\n", "\n"},
        {"0\r\nA: b\r\n", " c\r\n\r\n"},
        {"fffffffffffffff", "f\r\nsmuggle"},
    };
    static const size_t bulk[] = {0, 1, 20000, MEBIBYTE}; /* of sound chunks before the fault */
    for (size_t p = 0; p < COUNT(pairs); p++) {
        for (size_t b = 0; b < COUNT(bulk); b++) {
            for (size_t i = 0; i < COUNT(faults); i++) {
                struct rig rig;
                struct slice before =
                    bulk[b] == 0 ? slice_of(malloc(1), 0) : chunked_body(bulk[b], 32768);
                if (before.len > 0)
                    before.len -= strlen("0\r\nX-Trailer: v\r\n\r\n");
                struct slice sound = join(before, slice_from_string(faults[i].sound));
                struct slice wire = join(sound, slice_from_string(faults[i].broken));
                rig_open(&rig, pairs[p], framing_chunked());
                rig.unsent = wire;
                rig_run(&rig, false);
                assert_int_equal(rig.status, RELAY_MALFORMED);
                assert_received(&rig, sound);
                /* It stays so. */
                assert_int_equal(relay_run(&rig.relay, &rig.pools), RELAY_MALFORMED);
                assert_int_equal(rig.relay.total, sound.len);
                rig_close(&rig);
                free((char *)before.data);
                free((char *)sound.data);
                free((char *)wire.data);
            }
        }
    }
}

static void a_stalled_reader_stops_the_writer(void **state) {
    (void)state;
    enum { SIZE = 32 * MEBIBYTE, SOCKETS = 8 * MEBIBYTE };
    const int kernel_buffer = MEBIBYTE / 4;
    for (size_t p = 0; p < COUNT(pairs); p++) {
        struct rig rig;
        char *bytes = random_bytes(SIZE);
        rig_open(&rig, pairs[p], framing_length(SIZE));
        const int fds[] = {rig.source, rig.from.fd, rig.to.fd, rig.sink};
        for (size_t i = 0; i < COUNT(fds); i++) {
            setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &kernel_buffer, sizeof kernel_buffer);
            setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &kernel_buffer, sizeof kernel_buffer);
        }
        rig.unsent = slice_of(bytes, SIZE);
        rig.sink_stalls = true;
        rig_run(&rig, true);
        assert_int_equal(rig.status, RELAY_WAIT);
        assert_true(rig.unsent.len > SIZE - SOCKETS);
        /* Between the two sockets there is no more than one buffer and one pipe. */
        size_t held = buffer_len(&rig.in);
        if (rig.relay.pipe != NULL) {
            assert_true(rig.relay.pipe->filled <= rig.relay.pipe->capacity);
            held += rig.relay.pipe->filled;
            assert_true(held <= BUFFER_SIZE + rig.relay.pipe->capacity);
        }
        assert_true(held > 0);
        rig_run(&rig, true);
        assert_true(rig.unsent.len > SIZE - SOCKETS); /* it stays stopped */

        rig.sink_stalls = false;
        rig_run(&rig, false);
        assert_int_equal(rig.status, RELAY_DONE);
        assert_received(&rig, slice_of(bytes, SIZE));
        rig_close(&rig);
        free(bytes);
    }
}

static void a_turn_is_bounded(void **state) {
    (void)state;
    /* Both ends always ready: the relay still lets go, so that others get their turn. */
    enum { SIZE = 24 * MEBIBYTE, FAIR = 8 * MEBIBYTE };
    struct rig rig;
    char *bytes = random_bytes(SIZE);
    uint64_t last = 0;
    rig_open(&rig, tcp_pair, framing_length(SIZE));
    rig.unsent = slice_of(bytes, SIZE);
    uint64_t limit = milliseconds() + TIME_LIMIT_MS;
    while (!is_over(&rig)) {
        while (feed(&rig))
            ;
        take_events(&rig, rig.runnable ? 0 : 1);
        run_once(&rig);
        assert_true(rig.relay.total - last <= FAIR);
        last = rig.relay.total;
        while (drain(&rig))
            ;
        assert_true(milliseconds() <= limit);
    }
    assert_int_equal(rig.status, RELAY_DONE);
    rig_close(&rig);
    free(bytes);
}

/* Nothing in here may open a descriptor between the two calls of setrlimit. */
static void without_pipes_it_copies(void **state) {
    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        struct rig rig;
        char *bytes = chunked ? NULL : random_bytes(2 * MEBIBYTE);
        struct slice message =
            chunked ? chunked_body(2 * MEBIBYTE, 32768) : slice_of(bytes, 2 * MEBIBYTE);
        rig_open(&rig, tcp_pair, chunked ? framing_chunked() : framing_length(message.len));
        struct slice wire = join(message, next_message);
        rig.unsent = wire;
        struct rlimit limit;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        /* poll(2) fails where it is given more entries than the limit: only epoll in here. */
        uint64_t end = milliseconds() + TIME_LIMIT_MS;
        bool in_time = true;
        while (!is_over(&rig) && in_time) {
            take_events(&rig, rig.runnable ? 0 : 1);
            run_once(&rig);
            while (drain(&rig))
                ;
            feed(&rig);
            in_time = milliseconds() < end;
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_true(in_time);
        rig_run(&rig, false);
        assert_int_equal(rig.status, RELAY_DONE);
        assert_int_equal(rig.pools.pipes.free_count, 0);
        assert_received(&rig, message);
        while (feed(&rig))
            ;
        assert_left(&rig, next_message);
        rig_close(&rig);
        free((char *)message.data);
        free((char *)wire.data);
    }
}

static void a_reset_by_the_source_is_a_read_error(void **state) {
    (void)state;
    static const size_t amounts[] = {0, 100, MEBIBYTE};
    for (size_t i = 0; i < COUNT(amounts); i++) {
        for (int length = 0; length < 2; length++) {
            struct rig rig;
            char *bytes = random_bytes(amounts[i]);
            rig_open(&rig, tcp_pair,
                     length ? framing_length(16 * MEBIBYTE) : framing_until_close());
            rig.unsent = slice_of(bytes, amounts[i]);
            rig_run(&rig, true);
            assert_int_equal(rig.received_len, amounts[i]);
            reset_tcp(rig.source);
            rig.source = -1;
            rig_run(&rig, false);
            assert_int_equal(rig.status, RELAY_READ_ERROR);
            assert_true(strlen(stream_error_text()) > 0);
            rig_close(&rig);
            free(bytes);
        }
    }
}

/* The error is met while the pipe is full and the sink stalls: it must not look like an end once
 * the sink reads on. */
static void a_reset_behind_a_full_pipe_is_not_an_end(void **state) {
    (void)state;
    enum { SIZE = 16 * MEBIBYTE };
    struct rig rig;
    char *bytes = random_bytes(SIZE);
    rig_open(&rig, tcp_pair, framing_until_close());
    rig.unsent = slice_of(bytes, SIZE);
    rig.sink_stalls = true;
    rig_run(&rig, true);
    assert_int_equal(rig.status, RELAY_WAIT);
    reset_tcp(rig.source);
    rig.source = -1;
    rig_run(&rig, true);
    rig.sink_stalls = false;
    rig_run(&rig, false);
    assert_int_equal(rig.status, RELAY_READ_ERROR);
    assert_true(rig.received_len > 0);
    assert_memory_equal(rig.received, bytes, rig.received_len);
    rig_close(&rig);
    free(bytes);
}

static void a_sink_that_is_gone_is_a_write_error(void **state) {
    (void)state;
    static const size_t before[] = {0, 100, 2 * MEBIBYTE};
    for (size_t p = 0; p < COUNT(pairs); p++) {
        for (size_t i = 0; i < COUNT(before); i++) {
            struct rig rig;
            char *bytes = random_bytes(16 * MEBIBYTE);
            rig_open(&rig, pairs[p], framing_until_close());
            rig.unsent = slice_of(bytes, before[i]);
            rig_run(&rig, true);
            assert_int_equal(rig.received_len, before[i]);
            close(rig.sink);
            rig.sink = -1;
            rig.unsent = slice_of(bytes, 16 * MEBIBYTE);
            rig_run(&rig, false);
            assert_int_equal(rig.status, RELAY_WRITE_ERROR);
            rig_close(&rig);
            free(bytes);
        }
    }
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_relayed_exactly),
        cmocka_unit_test(chunks_are_relayed_exactly),
        cmocka_unit_test(until_close_is_relayed_to_the_end),
        cmocka_unit_test(a_quiet_stream_is_waited_for),
        cmocka_unit_test(bulk_is_spliced_and_small_messages_are_copied),
        cmocka_unit_test(a_bulky_stream_gives_its_pipe_back_when_quiet),
        cmocka_unit_test(what_was_judged_goes_out_first),
        cmocka_unit_test(an_early_end_is_a_truncation),
        cmocka_unit_test(what_was_looked_at_is_what_is_sent),
        cmocka_unit_test(nothing_after_a_broken_chunk_is_forwarded),
        cmocka_unit_test(a_stalled_reader_stops_the_writer),
        cmocka_unit_test(a_turn_is_bounded),
        cmocka_unit_test(without_pipes_it_copies),
        cmocka_unit_test(a_reset_by_the_source_is_a_read_error),
        cmocka_unit_test(a_reset_behind_a_full_pipe_is_not_an_end),
        cmocka_unit_test(a_sink_that_is_gone_is_a_write_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
