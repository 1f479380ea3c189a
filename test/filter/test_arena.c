#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdalign.h>
#include <string.h>

#include "filter/arena.h"

static void pieces_are_aligned_apart_and_writable(void **state) {
    (void)state;
    struct arena arena = {0};
    unsigned char *pieces[64];
    for (size_t i = 0; i < 64; i++) {
        pieces[i] = arena_alloc(&arena, i * 7);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        memset(pieces[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < i * 7; j++)
            assert_int_equal(pieces[i][j], i);
    arena_reset(&arena);
}

static void empty_pieces_have_addresses_of_their_own(void **state) {
    (void)state;
    struct arena arena = {0};
    void *first = arena_alloc(&arena, 0);
    void *second = arena_alloc(&arena, 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    arena_reset(&arena);
}

static void a_large_piece_leaves_room_for_small_ones(void **state) {
    (void)state;
    struct arena arena = {0};
    char *before = arena_alloc(&arena, 16);
    struct arena_block *head = arena.blocks;
    char *large = arena_alloc(&arena, 1 << 20);
    assert_non_null(large);
    memset(large, 'x', 1 << 20);
    char *after = arena_alloc(&arena, 16);
    assert_ptr_equal(arena.blocks, head);
    assert_ptr_equal(after, before + 16);
    arena_reset(&arena);
}

static void a_large_piece_may_come_first(void **state) {
    (void)state;
    struct arena arena = {0};
    char *large = arena_alloc(&arena, 100000);
    assert_non_null(large);
    memset(large, 'x', 100000);
    assert_non_null(arena_alloc(&arena, 8));
    arena_reset(&arena);
}

static void sizes_that_overflow_fail(void **state) {
    (void)state;
    struct arena arena = {0};
    /* Hidden from the compiler, which would otherwise warn of what the test wants. */
    volatile size_t huge = SIZE_MAX;
    assert_null(arena_alloc(&arena, huge));
    assert_null(arena_alloc(&arena, huge - 8));
    assert_null(arena_alloc(&arena, huge - 64));
    assert_non_null(arena_alloc(&arena, 8));
    arena_reset(&arena);
}

static void printf_formats_short_and_long(void **state) {
    (void)state;
    struct arena arena = {0};
    assert_string_equal(arena_printf(&arena, "1.%u is %s", 24u, "old"), "1.24 is old");
    assert_string_equal(arena_printf(&arena, "%s", ""), "");
    char *wide = arena_printf(&arena, "%*d", 9000, 7);
    assert_int_equal(strlen(wide), 9000);
    assert_int_equal(wide[8999], '7');
    arena_reset(&arena);
}

static void copies_are_apart_from_the_original(void **state) {
    (void)state;
    struct arena arena = {0};
    char original[] = "a\0b";
    struct slice copy = arena_copy(&arena, slice_of(original, 3));
    original[0] = 'z';
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.data, "a\0b", 3);
    struct slice empty = arena_copy(&arena, (struct slice){NULL, 0});
    assert_int_equal(empty.len, 0);
    assert_non_null(empty.data);
    arena_reset(&arena);
}

static void it_works_again_after_a_reset(void **state) {
    (void)state;
    struct arena arena = {0};
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 5000));
    arena_reset(&arena);
    assert_null(arena.blocks);
    assert_non_null(arena_alloc(&arena, 1));
    arena_reset(&arena);
}

static void room_that_was_reserved_is_used_first(void **state) {
    (void)state;
    struct arena arena = {0};
    assert_int_equal(arena_reserve(&arena, 64), 0);
    const char *first = arena_alloc(&arena, 32);
    const char *second = arena_alloc(&arena, 32);
    assert_ptr_equal(second, first + 32);
    /* And then as ever. */
    assert_non_null(arena_alloc(&arena, 32));
    arena_reset(&arena);
    assert_int_equal(arena_reserve(&arena, SIZE_MAX), -1);
    assert_non_null(arena_alloc(&arena, 1));
    arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_apart_and_writable),
        cmocka_unit_test(empty_pieces_have_addresses_of_their_own),
        cmocka_unit_test(a_large_piece_leaves_room_for_small_ones),
        cmocka_unit_test(a_large_piece_may_come_first),
        cmocka_unit_test(sizes_that_overflow_fail),
        cmocka_unit_test(printf_formats_short_and_long),
        cmocka_unit_test(copies_are_apart_from_the_original),
        cmocka_unit_test(it_works_again_after_a_reset),
        cmocka_unit_test(room_that_was_reserved_is_used_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
