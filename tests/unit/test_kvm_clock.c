/* KVM's clock: what a guest reckons from the memory that it named, as Linux does it. */
#include "tests/unit/fake_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WALL_CLOCK  0x4b564d00u
#define SYSTEM_TIME 0x4b564d01u
#define UTC         UINT64_C(1709164790)

struct page {
    uint32_t version, reserved0;
    uint64_t tsc, nanoseconds;
    uint32_t multiplier;
    int8_t shift;
    uint8_t flags, reserved1[2];
};

static uint64_t nanoseconds_at(const struct page *page, uint64_t tsc)
{
    uint64_t ticks = tsc - page->tsc;

    ticks = page->shift < 0 ? ticks >> -page->shift : ticks << page->shift;
    return page->nanoseconds + (uint64_t)((unsigned __int128)ticks * page->multiplier >> 32);
}

static struct fake_machine *machine_at(uint64_t tsc_hz)
{
    struct fake_machine *fake = fake_machine_bare(tsc_hz, UTC);
    const char *name;

    fake_now += tsc_hz * 5 / 2; /* the VM starts 2.5 s after the clock was read */
    assert_true(devices_create(&fake->machine, &name));
    return fake;
}

static void test_system_time_runs_at_the_rate_of_the_tsc(void **state)
{
    static const uint64_t rates[] = {
        1000000, 40000000, 49999123, 1000000000, 1000000001, 1999999999, 2000000000, 2000000001, 2599643000, 5100000000,
    };

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct fake_machine *fake = machine_at(rates[i]);
        struct page page;

        fake_now += rates[i] * 3;
        assert_true(fake_wrmsr(fake, SYSTEM_TIME, 0x5000 | 1));
        memcpy(&page, fake->memory + 0x5000, sizeof page);
        assert_int_equal(page.version % 2, 0);
        assert_int_equal(page.flags, 1);
        assert_int_equal(page.nanoseconds, 3 * SECOND); /* never 0, which Nanos takes for "there is no clock" */
        assert_int_equal(nanoseconds_at(&page, fake_now), 3 * SECOND);
        uint64_t hour = nanoseconds_at(&page, fake_now + 3600 * rates[i]) - 3 * SECOND;
        assert_in_range(hour, 3600 * SECOND - 3600 * 10, 3600 * SECOND + 3600 * 10); /* 10 ns a second */

        /* As Linux computes the frequency from it, in kHz. */
        uint64_t khz = (UINT64_C(1000000) << 32) / page.multiplier;
        khz = page.shift < 0 ? khz << -page.shift : khz >> page.shift;
        assert_in_range(khz, rates[i] / 1000 - 4, rates[i] / 1000 + 4);
        fake_machine_destroy(fake);
    }
}

static void test_the_wall_clock_is_that_of_the_start(void **state)
{
    struct fake_machine *fake = machine_at(2599643000);
    uint32_t wall[3];

    (void)state;
    fake_now += 1000000000;
    assert_true(fake_wrmsr(fake, WALL_CLOCK, 0x6000));
    memcpy(wall, fake->memory + 0x6000, sizeof wall);
    assert_int_equal(wall[0] % 2, 0);
    assert_int_equal(wall[1], UTC + 2);
    assert_int_equal(wall[2], 500000000);
    fake_machine_destroy(fake);
}

static void test_nothing_is_written_when_the_clock_is_off_or_memory_is_not_there(void **state)
{
    struct fake_machine *fake = machine_at(1000000000);
    uint64_t value;
    static const uint8_t untouched[64];

    (void)state;
    assert_true(fake_wrmsr(fake, SYSTEM_TIME, 0x7000));
    assert_memory_equal(fake->memory + 0x7000, untouched, sizeof untouched);
    assert_true(fake_rdmsr(fake, SYSTEM_TIME, &value));
    assert_int_equal(value, 0x7000);
    static const uint64_t bad[] = { 0x100000, 0xffff0, UINT64_MAX - 3, 0x7002, UINT64_C(0x2000000000) };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(fake_wrmsr(fake, SYSTEM_TIME, bad[i] | 1));
        assert_int_equal(fake_wrmsr(fake, WALL_CLOCK, bad[i]), bad[i] == 0xffff0);
    }
    assert_false(fake_wrmsr(fake, WALL_CLOCK, 0x7001));
    assert_memory_equal(fake->memory + 0x7000, untouched, sizeof untouched);
    assert_true(fake_rdmsr(fake, SYSTEM_TIME, &value));
    assert_int_equal(value, 0x7000);
    fake_machine_destroy(fake);
}

static void test_without_a_known_frequency_there_is_no_clock(void **state)
{
    struct fake_machine *fake = fake_machine_bare(0, UTC);
    const char *name;

    (void)state;
    assert_true(devices_create(&fake->machine, &name));
    assert_false(fake_wrmsr(fake, SYSTEM_TIME, 0x5001));
    fake_machine_destroy(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system_time_runs_at_the_rate_of_the_tsc),
        cmocka_unit_test(test_the_wall_clock_is_that_of_the_start),
        cmocka_unit_test(test_nothing_is_written_when_the_clock_is_off_or_memory_is_not_there),
        cmocka_unit_test(test_without_a_known_frequency_there_is_no_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
