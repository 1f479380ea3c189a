#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proxy/buffer.h"

static void put(struct buffer *buffer, struct buffer_pool *pool, size_t limit, char c,
                size_t count) {
    while (count > 0) {
        size_t room = 0;
        assert_true(buffer_reserve(buffer, pool, limit));
        char *space = buffer_space(buffer, &room);
        assert_true(room > 0);
        size_t part = room < count ? room : count;
        memset(space, c, part);
        buffer_added(buffer, part);
        count -= part;
    }
}

static void an_empty_buffer_holds_no_memory(void **state) {
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer = {0};
    assert_int_equal(buffer_len(&buffer), 0);
    assert_int_equal(buffer_slice(&buffer).len, 0);
    put(&buffer, &pool, BUFFER_SIZE, 'a', 3);
    assert_int_equal(buffer_len(&buffer), 3);
    assert_true(slice_equal(buffer_slice(&buffer), SLICE("aaa")));
    buffer_consume(&buffer, &pool, 2);
    assert_true(slice_equal(buffer_slice(&buffer), SLICE("a")));
    buffer_consume(&buffer, &pool, 1);
    assert_null(buffer.data);
    assert_int_equal(pool.free_count, 1);

    /* The same block serves the next one. */
    const void *block = pool.free;
    struct buffer other = {0};
    assert_true(buffer_reserve(&other, &pool, BUFFER_SIZE));
    assert_ptr_equal(other.data, block);
    assert_int_equal(pool.free_count, 0);
    buffer_release(&other, &pool);
    buffer_release(&other, &pool); /* nothing to give back twice */
    assert_int_equal(pool.free_count, 1);
    buffer_pool_clear(&pool);
    assert_int_equal(pool.free_count, 0);
    assert_null(pool.free);
}

static void a_full_buffer_moves_before_it_grows(void **state) {
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer = {0};
    put(&buffer, &pool, BUFFER_SIZE, 'a', BUFFER_SIZE - 1);
    put(&buffer, &pool, BUFFER_SIZE, 'b', 1);
    assert_false(buffer_reserve(&buffer, &pool, BUFFER_SIZE));
    assert_int_equal(buffer_len(&buffer), BUFFER_SIZE);
    buffer_consume(&buffer, &pool, BUFFER_SIZE - 1);
    assert_true(buffer_reserve(&buffer, &pool, BUFFER_SIZE));
    assert_int_equal(buffer.capacity, BUFFER_SIZE);
    assert_true(slice_equal(buffer_slice(&buffer), SLICE("b")));
    put(&buffer, &pool, BUFFER_SIZE, 'c', BUFFER_SIZE - 1);
    assert_int_equal(buffer.capacity, BUFFER_SIZE);
    assert_false(buffer_reserve(&buffer, &pool, BUFFER_SIZE));
    struct slice held = buffer_slice(&buffer);
    assert_int_equal(held.data[0], 'b');
    for (size_t i = 1; i < held.len; i++)
        assert_int_equal(held.data[i], 'c');
    buffer_release(&buffer, &pool);
    buffer_pool_clear(&pool);
}

static void growth_keeps_the_bytes_and_the_limit(void **state) {
    (void)state;
    static const size_t limits[] = {BUFFER_SIZE + 1,     BUFFER_SIZE * 2 - 1, BUFFER_SIZE * 2,
                                    BUFFER_SIZE * 2 + 1, BUFFER_SIZE * 7,     1 << 20};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct buffer_pool pool = {0};
        struct buffer buffer = {0};
        size_t held = 0;
        while (held < limits[i]) {
            size_t room = 0;
            assert_true(buffer_reserve(&buffer, &pool, limits[i]));
            char *space = buffer_space(&buffer, &room);
            assert_true(room > 0);
            assert_true(held + room <= (limits[i] > BUFFER_SIZE ? limits[i] : BUFFER_SIZE));
            for (size_t j = 0; j < room; j++)
                space[j] = (char)((held + j) * 31 >> 3);
            buffer_added(&buffer, room);
            held += room;
        }
        assert_int_equal(buffer_len(&buffer), limits[i]);
        assert_false(buffer_reserve(&buffer, &pool, limits[i]));
        struct slice all = buffer_slice(&buffer);
        for (size_t j = 0; j < all.len; j++)
            assert_int_equal((unsigned char)all.data[j], (unsigned char)(j * 31 >> 3));
        /* The first block went back to the pool when it grew; a grown one is no pool's block. */
        assert_int_equal(pool.free_count, 1);
        buffer_consume(&buffer, &pool, all.len);
        assert_null(buffer.data);
        assert_int_equal(pool.free_count, 1);
        buffer_pool_clear(&pool);
    }
}

static void growth_drops_what_was_consumed(void **state) {
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer = {0};
    put(&buffer, &pool, BUFFER_SIZE, 'a', BUFFER_SIZE);
    put(&buffer, &pool, 4 * BUFFER_SIZE, 'b', BUFFER_SIZE);
    buffer_consume(&buffer, &pool, BUFFER_SIZE);
    assert_int_equal(buffer_slice(&buffer).data[0], 'b');
    put(&buffer, &pool, 4 * BUFFER_SIZE, 'c', 3 * BUFFER_SIZE);
    assert_int_equal(buffer_len(&buffer), 4 * BUFFER_SIZE);
    struct slice held = buffer_slice(&buffer);
    for (size_t i = 0; i < held.len; i++)
        assert_int_equal(held.data[i], i < BUFFER_SIZE ? 'b' : 'c');
    assert_false(buffer_reserve(&buffer, &pool, 4 * BUFFER_SIZE));
    buffer_release(&buffer, &pool);
    buffer_pool_clear(&pool);
}

static void a_grown_buffer_shrinks_when_little_is_left(void **state) {
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer = {0};
    put(&buffer, &pool, 4 * BUFFER_SIZE, 'a', 2 * BUFFER_SIZE);
    put(&buffer, &pool, 4 * BUFFER_SIZE, 'b', BUFFER_SIZE);
    assert_true(buffer.capacity > BUFFER_SIZE);
    buffer_consume(&buffer, &pool, 2 * BUFFER_SIZE - 1);
    assert_true(buffer.capacity > BUFFER_SIZE); /* one byte too many for a block */
    buffer_consume(&buffer, &pool, 1);
    assert_int_equal(buffer.capacity, BUFFER_SIZE);
    assert_int_equal(buffer_len(&buffer), BUFFER_SIZE);
    for (size_t i = 0; i < BUFFER_SIZE; i++)
        assert_int_equal(buffer_slice(&buffer).data[i], 'b');

    /* It is an ordinary block from here on. */
    buffer_consume(&buffer, &pool, BUFFER_SIZE - 1);
    assert_true(slice_equal(buffer_slice(&buffer), SLICE("b")));
    size_t blocks = pool.free_count;
    buffer_consume(&buffer, &pool, 1);
    assert_null(buffer.data);
    assert_int_equal(pool.free_count, blocks + 1);
    buffer_pool_clear(&pool);
}

static void a_limit_below_what_is_held_refuses(void **state) {
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer = {0};
    put(&buffer, &pool, BUFFER_SIZE, 'a', 100);
    assert_false(buffer_reserve(&buffer, &pool, 100));
    assert_false(buffer_reserve(&buffer, &pool, 1));
    assert_true(buffer_reserve(&buffer, &pool, 101));
    assert_int_equal(buffer_len(&buffer), 100);
    buffer_release(&buffer, &pool);
    buffer_pool_clear(&pool);
}

static void the_pool_is_bounded(void **state) {
    (void)state;
    enum { MANY = 1000, KEPT_AT_MOST = 128 };
    static struct buffer buffers[MANY];
    struct buffer_pool pool = {0};
    for (size_t i = 0; i < MANY; i++)
        put(&buffers[i], &pool, BUFFER_SIZE, 'x', 1);
    for (size_t i = 0; i < MANY; i++)
        buffer_release(&buffers[i], &pool);
    assert_true(pool.free_count > 0);
    assert_true(pool.free_count <= KEPT_AT_MOST);
    buffer_pool_clear(&pool);
    assert_int_equal(pool.free_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_holds_no_memory),
        cmocka_unit_test(a_full_buffer_moves_before_it_grows),
        cmocka_unit_test(growth_keeps_the_bytes_and_the_limit),
        cmocka_unit_test(growth_drops_what_was_consumed),
        cmocka_unit_test(a_grown_buffer_shrinks_when_little_is_left),
        cmocka_unit_test(a_limit_below_what_is_held_refuses),
        cmocka_unit_test(the_pool_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
