#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/deadline.h"

static struct deadline_queue make_queue(void) {
    struct deadline_queue queue = {0};
    static const uint64_t durations[DEADLINE_CLASSES] = {
        [DEADLINE_HANDSHAKE] = 10, [DEADLINE_HEAD] = 20, [DEADLINE_IDLE] = 100,
        [DEADLINE_CONNECT] = 30,   [DEADLINE_HOLD] = 40, [DEADLINE_LINGER] = 50,
    };
    for (int i = 0; i < DEADLINE_CLASSES; i++)
        queue.classes[i].duration = durations[i];
    return queue;
}

static void an_empty_queue_waits_for_the_limit(void **state) {
    (void)state;
    struct deadline_queue queue = make_queue();
    assert_null(deadline_expired(&queue, UINT64_MAX));
    assert_int_equal(deadline_wait(&queue, 0, 1234), 1234);
    assert_int_equal(deadline_wait(&queue, UINT64_MAX, INT_MAX), INT_MAX);
    struct deadline never = {0};
    deadline_cancel(&queue, &never); /* not armed: nothing happens */
    assert_false(never.armed);
}

static void it_expires_at_its_time_and_not_before(void **state) {
    (void)state;
    struct deadline_queue queue = make_queue();
    struct deadline deadline = {0};
    deadline_arm(&queue, &deadline, DEADLINE_HEAD, 1000);
    assert_true(deadline.armed);
    assert_int_equal(deadline_wait(&queue, 1000, 5000), 20);
    assert_int_equal(deadline_wait(&queue, 1000, 7), 7);
    assert_int_equal(deadline_wait(&queue, 1019, 5000), 1);
    assert_null(deadline_expired(&queue, 1019));
    assert_true(deadline.armed);
    assert_int_equal(deadline_wait(&queue, 1020, 5000), 0);
    assert_int_equal(deadline_wait(&queue, 99999, 5000), 0);
    assert_ptr_equal(deadline_expired(&queue, 1020), &deadline);
    assert_false(deadline.armed);
    assert_null(deadline_expired(&queue, UINT64_MAX));
    assert_int_equal(deadline_wait(&queue, 1020, 5000), 5000);
}

static void one_class_expires_in_the_order_of_arming(void **state) {
    (void)state;
    struct deadline_queue queue = make_queue();
    struct deadline deadlines[5] = {0};
    for (size_t i = 0; i < 5; i++)
        deadline_arm(&queue, &deadlines[i], DEADLINE_IDLE, 10 * i);
    assert_null(deadline_expired(&queue, 99));
    assert_int_equal(deadline_wait(&queue, 99, 1000), 1);
    for (size_t i = 0; i < 5; i++) {
        assert_ptr_equal(deadline_expired(&queue, 100 + 10 * i), &deadlines[i]);
        assert_null(deadline_expired(&queue, 100 + 10 * i));
    }
}

static void a_late_look_finds_all_of_them(void **state) {
    (void)state;
    struct deadline_queue queue = make_queue();
    struct deadline deadlines[DEADLINE_CLASSES] = {0};
    bool seen[DEADLINE_CLASSES] = {0};
    for (int i = 0; i < DEADLINE_CLASSES; i++)
        deadline_arm(&queue, &deadlines[i], (enum deadline_class)i, 0);
    assert_int_equal(deadline_wait(&queue, 0, 1000), 10);
    struct deadline *expired;
    while ((expired = deadline_expired(&queue, 30)) != NULL)
        seen[expired - deadlines] = true;
    for (int i = 0; i < DEADLINE_CLASSES; i++)
        assert_int_equal(seen[i], queue.classes[i].duration <= 30);
    assert_int_equal(deadline_wait(&queue, 30, 1000), 10);
}

static void arming_again_moves_it(void **state) {
    (void)state;
    struct deadline_queue queue = make_queue();
    struct deadline first = {0};
    struct deadline second = {0};
    deadline_arm(&queue, &first, DEADLINE_HEAD, 0);
    deadline_arm(&queue, &second, DEADLINE_HEAD, 5);
    deadline_arm(&queue, &first, DEADLINE_HEAD, 10);
    assert_ptr_equal(deadline_expired(&queue, 100), &second);
    assert_null(deadline_expired(&queue, 29));
    assert_ptr_equal(deadline_expired(&queue, 30), &first);

    /* To another class as well. */
    deadline_arm(&queue, &first, DEADLINE_HANDSHAKE, 100);
    deadline_arm(&queue, &first, DEADLINE_IDLE, 100);
    assert_null(deadline_expired(&queue, 199));
    assert_ptr_equal(deadline_expired(&queue, 200), &first);
    assert_null(deadline_expired(&queue, UINT64_MAX));
}

static void cancelled_ones_never_expire(void **state) {
    (void)state;
    /* The first, one amid others, the last, and the only one. */
    for (size_t cancelled = 0; cancelled < 4; cancelled++) {
        struct deadline_queue queue = make_queue();
        struct deadline deadlines[4] = {0};
        size_t count = cancelled == 3 ? 1 : 3;
        size_t which = cancelled == 3 ? 0 : cancelled;
        for (size_t i = 0; i < count; i++)
            deadline_arm(&queue, &deadlines[i], DEADLINE_CONNECT, i);
        deadline_cancel(&queue, &deadlines[which]);
        deadline_cancel(&queue, &deadlines[which]);
        assert_false(deadlines[which].armed);
        deadline_arm(&queue, &deadlines[3], DEADLINE_CONNECT, 10);
        for (size_t i = 0; i < count; i++)
            if (i != which)
                assert_ptr_equal(deadline_expired(&queue, 1000), &deadlines[i]);
        assert_ptr_equal(deadline_expired(&queue, 1000), &deadlines[3]);
        assert_null(deadline_expired(&queue, UINT64_MAX));
    }
}

/* Against a plain array that is searched. */
static void random_use_agrees_with_a_plain_list(void **state) {
    (void)state;
    enum { TIMERS = 40, STEPS = 20000 };
    static struct deadline timers[TIMERS];
    uint64_t at[TIMERS] = {0}; /* 0: not armed */
    struct deadline_queue queue = make_queue();
    uint64_t now = 1;
    uint32_t random = 12345;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        size_t which = (random >> 8) % TIMERS;
        enum deadline_class class = (enum deadline_class)((random >> 16) % DEADLINE_CLASSES);
        switch (random >> 30) {
        case 0:
            deadline_cancel(&queue, &timers[which]);
            at[which] = 0;
            break;
        case 1:
            now += (random >> 20) % 8;
            break;
        default:
            deadline_arm(&queue, &timers[which], class, now);
            at[which] = now + queue.classes[class].duration;
        }
        struct deadline *expired;
        while ((expired = deadline_expired(&queue, now)) != NULL) {
            assert_true(at[expired - timers] != 0 && at[expired - timers] <= now);
            at[expired - timers] = 0;
        }
        uint64_t wait = 500;
        for (size_t i = 0; i < TIMERS; i++) {
            assert_int_equal(timers[i].armed, at[i] != 0);
            assert_true(at[i] == 0 || at[i] > now);
            if (at[i] != 0 && at[i] - now < wait)
                wait = at[i] - now;
        }
        assert_int_equal(deadline_wait(&queue, now, 500), wait);
    }
}

static void the_clock_does_not_go_back(void **state) {
    (void)state;
    uint64_t last = deadline_now();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = deadline_now();
        assert_true(now >= last);
        last = now;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_waits_for_the_limit),
        cmocka_unit_test(it_expires_at_its_time_and_not_before),
        cmocka_unit_test(one_class_expires_in_the_order_of_arming),
        cmocka_unit_test(a_late_look_finds_all_of_them),
        cmocka_unit_test(arming_again_moves_it),
        cmocka_unit_test(cancelled_ones_never_expire),
        cmocka_unit_test(random_use_agrees_with_a_plain_list),
        cmocka_unit_test(the_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
