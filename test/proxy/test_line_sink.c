#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "proxy/line_sink.h"

enum { LINE = 200, STOP_MS = 300 };

static _Atomic int last_trouble = -1;

static void note_trouble(int error) {
    atomic_store(&last_trouble, error);
}

/* A sink that has not been used. They outlive their tests, as the writer may. */
static struct line_sink *make(int fd) {
    static struct line_sink sinks[8];
    static size_t used;
    assert_true(used < sizeof sinks / sizeof sinks[0]);
    struct line_sink *sink = &sinks[used++];
    sink->slot = LINE_SINK_AUDIT;
    sink->fd = fd;
    sink->trouble = note_trouble;
    atomic_store(&last_trouble, -1);
    assert_int_equal(line_sink_start(sink), 0);
    assert_int_equal(line_sink_attach(sink), 0);
    return sink;
}

/* A line with its number in front. */
static bool put(struct line_sink *sink, size_t number) {
    char line[LINE + 1];
    memset(line, '.', sizeof line);
    (void)snprintf(line, sizeof line, "%08zu", number);
    line[8] = ' ';
    line[LINE - 1] = '\n';
    return line_sink_put(sink, line, LINE);
}

/* Checks that what is in the file are whole lines with rising numbers; returns how many. */
static size_t check_file(int fd) {
    char line[LINE + 1] = "";
    size_t count = 0;
    long last = -1;
    off_t at = 0;
    for (; pread(fd, line, LINE, at) == LINE; at += LINE) {
        long number = strtol(line, NULL, 10);
        assert_true(number > last);
        assert_int_equal(line[LINE - 1], '\n');
        assert_ptr_equal(memchr(line, '\n', LINE), line + LINE - 1);
        last = number;
        count++;
    }
    assert_int_equal(lseek(fd, 0, SEEK_END), at);
    return count;
}

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000}, NULL);
}

static void wait_for_trouble(int error) {
    for (int i = 0; i < 2000 && atomic_load(&last_trouble) != error; i++)
        nap();
    assert_int_equal(atomic_load(&last_trouble), error);
}

static void all_lines_arrive_in_order(void **state) {
    (void)state;
    enum { LINES = 20000 };
    int fd = memfd_create("log", 0);
    struct line_sink *sink = make(fd);
    size_t kept = 0;
    for (size_t i = 0; i < LINES; i++) {
        while (!put(sink, i))
            nap();
        kept++;
    }
    assert_true(line_sink_stop(sink, 5000));
    assert_int_equal(check_file(fd), kept);
    close(fd);
}

/* What is not read is kept as far as the ring goes, and stopping takes its time and no more. */
static void a_pipe_that_nobody_reads(void **state) {
    (void)state;
    enum { LINES = 4000 };
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct line_sink *sink = make(ends[1]);
    size_t refused = 0;
    for (size_t i = 0; i < LINES; i++)
        refused += !put(sink, i);
    assert_true(refused > 0);
    assert_int_equal(line_sink_dropped(sink), refused);
    assert_int_equal(line_sink_untold(sink), refused);
    assert_int_equal(line_sink_untold(sink), 0);
    line_sink_untell(sink, 3);
    assert_int_equal(line_sink_untold(sink), 3);
    assert_int_equal(atomic_load(&last_trouble), -1); /* to be slow is none */
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_false(line_sink_stop(sink, STOP_MS));
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec <= 2);
    close(ends[0]);
    close(ends[1]);
}

/* Much like a full disk: what could not be written is written where it can be. */
static void a_file_that_cannot_grow(void **state) {
    (void)state;
    enum { LINES = 1000 };
    int fd = memfd_create("log", MFD_ALLOW_SEALING);
    struct line_sink *sink = make(fd);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    for (size_t i = 0; i < LINES; i++)
        (void)put(sink, i);
    wait_for_trouble(EPERM);
    assert_false(line_sink_settle(sink, 10));
    int other = memfd_create("other", 0);
    line_sink_redirect(sink, other);
    wait_for_trouble(0);
    assert_true(line_sink_stop(sink, 5000));
    assert_int_equal(check_file(other), LINES);
    assert_int_equal(line_sink_dropped(sink), 0);
    close(other);
}

/* The old one is closed, and every line is in one of the two. */
static void redirected_while_lines_come(void **state) {
    (void)state;
    enum { LINES = 4000 };
    int first = memfd_create("first", 0);
    int second = memfd_create("second", 0);
    int kept_first = dup(first);
    struct line_sink *sink = make(first);
    for (size_t i = 0; i < LINES; i++) {
        while (!put(sink, i))
            nap();
        if (i == LINES / 2)
            line_sink_redirect(sink, second);
    }
    assert_true(line_sink_stop(sink, 5000));
    assert_int_equal(fcntl(first, F_GETFD), -1);
    size_t in_second = check_file(second);
    assert_true(in_second > 0);
    assert_int_equal(check_file(kept_first) + in_second, LINES);
    close(kept_first);
    close(second);
}

static void *put_first(void *sink) {
    assert_int_equal(line_sink_attach(sink), 0);
    assert_true(put(sink, 0));
    assert_true(line_sink_settle(sink, 5000));
    return sink;
}

/* A ring of a thread that came later is looked at earlier. */
static void settled_lines_are_in_front(void **state) {
    (void)state;
    int fd = memfd_create("log", 0);
    struct line_sink *sink = make(fd);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, put_first, sink), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(check_file(fd), 1);
    assert_true(put(sink, 1));
    assert_true(line_sink_stop(sink, 5000));
    assert_int_equal(check_file(fd), 2);
    close(fd);
}

static void a_pipe_whose_reader_has_gone(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    struct line_sink *sink = make(ends[1]);
    assert_true(put(sink, 1));
    wait_for_trouble(EPIPE);
    assert_false(line_sink_stop(sink, STOP_MS));
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_lines_arrive_in_order),
        cmocka_unit_test(a_pipe_that_nobody_reads),
        cmocka_unit_test(a_file_that_cannot_grow),
        cmocka_unit_test(redirected_while_lines_come),
        cmocka_unit_test(settled_lines_are_in_front),
        cmocka_unit_test(a_pipe_whose_reader_has_gone),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
