#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/pipe_pool.h"

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void a_pipe_is_empty_and_does_not_block(void **state) {
    (void)state;
    struct pipe_pool pool = {0};
    struct pipe *pipe = pipe_pool_take(&pool);
    assert_non_null(pipe);
    assert_int_equal(pipe->filled, 0);
    assert_int_equal(pipe->capacity, fcntl(pipe->write_end, F_GETPIPE_SZ));
    char byte = 'x';
    assert_int_equal(read(pipe->read_end, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(fcntl(pipe->read_end, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(pipe->write_end, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(pipe->write_end, F_GETFL) & O_NONBLOCK);
    assert_int_equal(write(pipe->write_end, "y", 1), 1);
    assert_int_equal(read(pipe->read_end, &byte, 1), 1);
    assert_int_equal(byte, 'y');
    pipe_pool_give(&pool, pipe);
    pipe_pool_clear(&pool);
}

static void an_empty_pipe_is_used_again(void **state) {
    (void)state;
    struct pipe_pool pool = {0};
    struct pipe *first = pipe_pool_take(&pool);
    struct pipe *second = pipe_pool_take(&pool);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(pool.free_count, 0);
    pipe_pool_give(&pool, first);
    assert_int_equal(pool.free_count, 1);
    assert_ptr_equal(pipe_pool_take(&pool), first);
    pipe_pool_give(&pool, second);
    pipe_pool_give(&pool, first);
    assert_int_equal(pool.free_count, 2);
    int fd = first->read_end;
    pipe_pool_clear(&pool);
    assert_int_equal(pool.free_count, 0);
    assert_false(is_open(fd));
}

static void a_pipe_with_bytes_reaches_nobody_else(void **state) {
    (void)state;
    struct pipe_pool pool = {0};
    struct pipe *pipe = pipe_pool_take(&pool);
    assert_non_null(pipe);
    int ends[] = {pipe->read_end, pipe->write_end};
    assert_int_equal(write(pipe->write_end, "secret", 6), 6);
    pipe->filled = 6;
    pipe_pool_give(&pool, pipe);
    assert_int_equal(pool.free_count, 0);
    assert_false(is_open(ends[0]));
    assert_false(is_open(ends[1]));
    pipe = pipe_pool_take(&pool);
    assert_non_null(pipe);
    char byte;
    assert_int_equal(pipe->filled, 0);
    assert_int_equal(read(pipe->read_end, &byte, 1), -1);
    pipe_pool_give(&pool, pipe);
    pipe_pool_clear(&pool);
}

static void the_pool_keeps_a_bounded_number(void **state) {
    (void)state;
    enum { MANY = 100, KEPT_AT_MOST = 32 };
    struct pipe_pool pool = {0};
    struct pipe *pipes[MANY];
    int fds[MANY];
    for (size_t i = 0; i < MANY; i++) {
        pipes[i] = pipe_pool_take(&pool);
        assert_non_null(pipes[i]);
        fds[i] = pipes[i]->read_end;
    }
    for (size_t i = 0; i < MANY; i++)
        pipe_pool_give(&pool, pipes[i]);
    size_t open = 0;
    for (size_t i = 0; i < MANY; i++)
        open += is_open(fds[i]);
    assert_int_equal(open, pool.free_count);
    assert_true(open > 0 && open <= KEPT_AT_MOST);
    pipe_pool_clear(&pool);
    for (size_t i = 0; i < MANY; i++)
        assert_false(is_open(fds[i]));
}

static void no_descriptors_means_no_pipe(void **state) {
    (void)state;
    struct pipe_pool pool = {0};
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct pipe *pipe = pipe_pool_take(&pool);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_null(pipe);
    pipe = pipe_pool_take(&pool);
    assert_non_null(pipe);
    pipe_pool_give(&pool, pipe);

    /* One that is kept needs no descriptor. */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct pipe *kept = pipe_pool_take(&pool);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_ptr_equal(kept, pipe);
    pipe_pool_give(&pool, kept);
    pipe_pool_clear(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_is_empty_and_does_not_block),
        cmocka_unit_test(an_empty_pipe_is_used_again),
        cmocka_unit_test(a_pipe_with_bytes_reaches_nobody_else),
        cmocka_unit_test(the_pool_keeps_a_bounded_number),
        cmocka_unit_test(no_descriptors_means_no_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
