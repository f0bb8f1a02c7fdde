/* From deadlines to counts of the PIT and the HPET. */
#include "timeserver/alarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MHZ UINT64_C(1000000)

static uint64_t pit_count(uint64_t now, uint64_t deadline, uint64_t tsc_hz)
{
    return alarm_count(now, deadline, tsc_hz, PIT_HZ, PIT_COUNT_MAX);
}

static void check(uint64_t tsc_hz, uint64_t hz, uint64_t max)
{
    for (uint64_t distance = 1; distance < max * tsc_hz / hz; distance = distance * 9 / 8 + 1) {
        uint64_t count = alarm_count(1000, 1000 + distance, tsc_hz, hz, max);
        assert_in_range(count, 1, max);
        assert_true((unsigned __int128)count * tsc_hz >= (unsigned __int128)distance * hz);
        assert_true((unsigned __int128)(count - 1) * tsc_hz < (unsigned __int128)distance * hz || count == 1);
    }
}

static void test_no_clock_fires_before_the_deadline_or_more_than_a_tick_after(void **state)
{
    static const uint64_t rates[] = { 40 * MHZ, 999999937, 2400 * MHZ, 6000 * MHZ };

    (void)state;
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        check(rates[r], PIT_HZ, PIT_COUNT_MAX);
        check(rates[r], 10 * MHZ, HPET_COUNT_MAX);
        check(rates[r], 14318180, HPET_COUNT_MAX);
        check(rates[r], HPET_MAX_HZ, HPET_COUNT_MAX);
    }
}

static void test_past_and_far_deadlines_get_the_shortest_and_longest_count(void **state)
{
    (void)state;
    assert_int_equal(pit_count(500, 500, 40 * MHZ), 1);
    assert_int_equal(pit_count(500, 0, 40 * MHZ), 1);
    assert_int_equal(pit_count(0, UINT64_MAX, 40 * MHZ), PIT_COUNT_MAX);
    assert_int_equal(pit_count(0, 3000 * MHZ, 3000 * MHZ), PIT_COUNT_MAX);
    assert_int_equal(pit_count(UINT64_MAX - 1, UINT64_MAX, 3000 * MHZ), 1);
}

static void test_an_hpet_that_cannot_be_used_is_not(void **state)
{
    const uint64_t legacy = UINT64_C(1) << 15, ten_mhz = UINT64_C(100000000) << 32;

    (void)state;
    assert_int_equal(alarm_hpet_hz(ten_mhz | legacy), 10 * MHZ);
    assert_int_equal(alarm_hpet_hz(UINT64_C(69841279) << 32 | legacy | 0x8086a201), 14318179);
    assert_int_equal(alarm_hpet_hz(ten_mhz), 0);                        /* without legacy replacement */
    assert_int_equal(alarm_hpet_hz(legacy), 0);                         /* no period */
    assert_int_equal(alarm_hpet_hz(UINT64_C(100000001) << 32 | legacy), 0); /* longer than allowed */
    assert_int_equal(alarm_hpet_hz(UINT64_C(1) << 32 | legacy), 0);     /* too fast to be true */
    assert_int_equal(alarm_hpet_hz(UINT64_MAX), 0);                     /* nobody there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_clock_fires_before_the_deadline_or_more_than_a_tick_after),
        cmocka_unit_test(test_past_and_far_deadlines_get_the_shortest_and_longest_count),
        cmocka_unit_test(test_an_hpet_that_cannot_be_used_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
