/* The timers of device models: order, rearming, and that no timer can keep timers_run busy. */
#include "vmm/timers.h"

#include "vmm/devices/ticks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct probe {
    struct timer timer;
    struct timers *timers;
    unsigned calls;
    uint64_t last_deadline;
    unsigned order; /* the how manieth of all calls its last one was */
    uint64_t rearm_after; /* 0: not */
};

static unsigned calls_of_all;

static void expired(void *device, uint64_t deadline)
{
    struct probe *probe = device;

    probe->calls++;
    probe->order = ++calls_of_all;
    probe->last_deadline = deadline;
    if (probe->rearm_after != 0)
        timer_arm(probe->timers, &probe->timer, deadline + probe->rearm_after);
}

static void set_up(struct timers *timers, struct probe *probes, unsigned count)
{
    timers_init(timers);
    calls_of_all = 0;
    for (unsigned i = 0; i < count; i++)
        probes[i] = (struct probe) { .timers = timers, .timer = { .expired = expired, .device = &probes[i] } };
}

static void test_timers_expire_in_the_order_of_their_deadlines(void **state)
{
    struct timers timers;
    struct probe p[3];
    uint64_t next;

    (void)state;
    set_up(&timers, p, 3);
    assert_false(timers_next(&timers, &next));
    timer_arm(&timers, &p[0].timer, 300);
    timer_arm(&timers, &p[1].timer, 100);
    timer_arm(&timers, &p[2].timer, 200);
    assert_true(timers_next(&timers, &next));
    assert_int_equal(next, 100);
    timers_run(&timers, 99);
    assert_int_equal(calls_of_all, 0);
    timers_run(&timers, 250);
    assert_int_equal(p[1].order, 1);
    assert_int_equal(p[2].order, 2);
    assert_int_equal(p[2].last_deadline, 200);
    assert_int_equal(p[0].calls, 0);
    timers_run(&timers, 300);
    assert_int_equal(p[0].calls, 1);
    assert_false(timers_next(&timers, &next));
}

static void test_timers_of_one_deadline_all_expire(void **state)
{
    struct timers timers;
    struct probe p[5];

    (void)state;
    set_up(&timers, p, 5);
    for (unsigned i = 0; i < 5; i++)
        timer_arm(&timers, &p[i].timer, 7);
    timers_run(&timers, 7);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(p[i].calls, 1);
}

static void test_arming_again_replaces_the_deadline(void **state)
{
    struct timers timers;
    struct probe p[1];

    (void)state;
    set_up(&timers, p, 1);
    timer_arm(&timers, &p[0].timer, 10);
    timer_arm(&timers, &p[0].timer, 20);
    timers_run(&timers, 15);
    assert_int_equal(p[0].calls, 0);
    timers_run(&timers, 25);
    assert_int_equal(p[0].calls, 1);
}

static void test_a_cancelled_timer_does_not_expire_and_may_be_cancelled_again(void **state)
{
    struct timers timers;
    struct probe p[2];
    uint64_t next;

    (void)state;
    set_up(&timers, p, 2);
    timer_cancel(&timers, &p[0].timer);
    timer_arm(&timers, &p[0].timer, 10);
    timer_arm(&timers, &p[1].timer, 20);
    timer_cancel(&timers, &p[0].timer);
    timer_cancel(&timers, &p[0].timer);
    assert_true(timers_next(&timers, &next));
    assert_int_equal(next, 20);
    timers_run(&timers, 100);
    assert_int_equal(p[0].calls, 0);
    assert_int_equal(p[1].calls, 1);
}

static void test_a_timer_that_arms_itself_anew_expires_again_when_that_is_due(void **state)
{
    struct timers timers;
    struct probe p[1];

    (void)state;
    set_up(&timers, p, 1);
    p[0].rearm_after = 10;
    timer_arm(&timers, &p[0].timer, 10);
    timers_run(&timers, 35);
    assert_int_equal(p[0].calls, 3);
    assert_int_equal(p[0].last_deadline, 30);
}

static void test_a_run_ends_however_short_the_periods_are(void **state)
{
    struct timers timers;
    struct probe p[4];
    uint64_t next;

    (void)state;
    set_up(&timers, p, 4);
    for (unsigned i = 0; i < 4; i++) {
        p[i].rearm_after = 1;
        timer_arm(&timers, &p[i].timer, 1);
    }
    timers_run(&timers, UINT64_MAX);
    assert_int_equal(calls_of_all, 4 + TIMERS_RUN_EXTRA);
    assert_true(timers_next(&timers, &next)); /* what is left comes next time */
    for (unsigned i = 0; i < 4; i++)
        assert_true(p[i].calls >= 4);
}

static void test_random_sequences_agree_with_an_array(void **state)
{
    struct timers timers;
    struct probe p[32];
    uint64_t model[32];
    uint32_t seed = 3;
    unsigned expected = 0;

    (void)state;
    set_up(&timers, p, 32);
    for (unsigned i = 0; i < 32; i++)
        model[i] = UINT64_MAX;
    for (int round = 0; round < 50000; round++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned which = seed >> 27, operation = seed >> 20 & 3;
        uint64_t time = seed >> 8 & 1023, next = UINT64_MAX, earliest = UINT64_MAX;

        if (operation < 2) {
            timer_arm(&timers, &p[which].timer, time);
            model[which] = time;
        } else if (operation == 2) {
            timer_cancel(&timers, &p[which].timer);
            model[which] = UINT64_MAX;
        } else {
            timers_run(&timers, time);
            for (unsigned i = 0; i < 32; i++) {
                if (model[i] <= time) {
                    expected++;
                    model[i] = UINT64_MAX;
                }
            }
            assert_int_equal(calls_of_all, expected);
        }
        for (unsigned i = 0; i < 32; i++) {
            earliest = model[i] < earliest ? model[i] : earliest;
            assert_int_equal(p[i].timer.armed, model[i] != UINT64_MAX);
        }
        assert_int_equal(timers_next(&timers, &next), earliest != UINT64_MAX);
        assert_true(next == earliest);
    }
    for (unsigned i = 0; i < 32; i++)
        timer_cancel(&timers, &p[i].timer);
    assert_int_equal(timers.armed, 0);
}

static void test_ticks_of_two_clocks_agree_in_both_directions(void **state)
{
    static const uint64_t rates[] = { 1, 32768, 1193182, 3579545, 25000000, 999999937, 3000000000 };

    (void)state;
    for (unsigned a = 0; a < 7; a++) {
        for (unsigned b = 0; b < 7; b++) {
            for (uint64_t ticks = 0; ticks < UINT64_C(1) << 30; ticks = ticks * 3 / 2 + 1) {
                uint64_t other = ticks_convert_up(ticks, rates[a], rates[b]);

                assert_true(ticks_convert(other, rates[b], rates[a]) >= ticks);
                if (other > 0)
                    assert_true(ticks_convert(other - 1, rates[b], rates[a]) < ticks);
            }
        }
    }
}

static void test_conversions_saturate_and_a_clock_that_stands_never_ticks(void **state)
{
    (void)state;
    assert_true(ticks_convert(UINT64_MAX, 1, 2) == UINT64_MAX);
    assert_true(ticks_convert(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
    assert_true(ticks_convert_up(UINT64_MAX, 1, UINT64_MAX) == UINT64_MAX);
    assert_int_equal(ticks_convert(1000, 0, 1000), 0);
    assert_true(ticks_convert_up(1, 0, 1000) == UINT64_MAX);
    assert_true(ticks_after(UINT64_MAX - 1, 5) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_expire_in_the_order_of_their_deadlines),
        cmocka_unit_test(test_timers_of_one_deadline_all_expire),
        cmocka_unit_test(test_arming_again_replaces_the_deadline),
        cmocka_unit_test(test_a_cancelled_timer_does_not_expire_and_may_be_cancelled_again),
        cmocka_unit_test(test_a_timer_that_arms_itself_anew_expires_again_when_that_is_due),
        cmocka_unit_test(test_a_run_ends_however_short_the_periods_are),
        cmocka_unit_test(test_random_sequences_agree_with_an_array),
        cmocka_unit_test(test_ticks_of_two_clocks_agree_in_both_directions),
        cmocka_unit_test(test_conversions_saturate_and_a_clock_that_stands_never_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
