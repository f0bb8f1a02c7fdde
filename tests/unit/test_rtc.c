/* The real-time clock: what it shows, how it is set, when it interrupts. */
#include "tests/unit/fake_machine.h"
#include "vmm/devices/rtc_calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define A 0x0au
#define B 0x0bu
#define C 0x0cu
#define D 0x0du

static uint8_t cmos(struct fake_machine *fake, uint8_t index)
{
    fake_out(fake, 0x70, 1, index);
    return (uint8_t)fake_in(fake, 0x71, 1);
}

static void set_cmos(struct fake_machine *fake, uint8_t index, uint8_t value)
{
    fake_out(fake, 0x70, 1, index);
    fake_out(fake, 0x71, 1, value);
}

/* The machine's clock starts at 2024-02-28 23:59:50, at the beginning of a second. */
static int set_up(void **state)
{
    *state = fake_machine_create();
    return 0;
}

static int tear_down(void **state)
{
    fake_machine_destroy(*state);
    return 0;
}

static void assert_time(struct fake_machine *fake, const char *expected)
{
    char shown[32];

    snprintf(shown, sizeof shown, "%02x%02x-%02x-%02x %02x:%02x:%02x", cmos(fake, 0x32), cmos(fake, 9), cmos(fake, 8),
             cmos(fake, 7), cmos(fake, 4), cmos(fake, 2), cmos(fake, 0));
    assert_string_equal(shown, expected);
}

static void test_it_shows_the_wall_clock_in_utc(void **state)
{
    struct fake_machine *fake = *state;

    assert_time(fake, "2024-02-28 23:59:50");
    assert_int_equal(cmos(fake, 6), 4); /* Wednesday */
    fake_advance(fake, SECOND - 1);
    assert_time(fake, "2024-02-28 23:59:50");
    fake_advance(fake, 1);
    assert_time(fake, "2024-02-28 23:59:51");
    fake_advance(fake, 9 * SECOND);
    assert_time(fake, "2024-02-29 00:00:00");
    assert_int_equal(cmos(fake, 6), 5);
    fake_advance(fake, 86400 * SECOND);
    assert_time(fake, "2024-03-01 00:00:00");
}

static void test_the_c_library_agrees_about_every_date(void **state)
{
    const struct calendar_format bcd = { .hours_24 = true };
    uint64_t back;

    (void)state;
    for (int64_t seconds = -62167219200; seconds < 253402300800; seconds += 86400 * 17 + 12345) {
        time_t time = seconds;
        struct tm tm;
        uint64_t ours = CALENDAR_UNIX_EPOCH + (uint64_t)seconds;
        struct calendar_registers r = calendar_encode(ours, bcd);
        char expected[40], shown[40];

        gmtime_r(&time, &tm);
        snprintf(expected, sizeof expected, "%04d %02d %02d %02d %02d %02d %d", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_wday + 1);
        snprintf(shown, sizeof shown, "%02x%02x %02x %02x %02x %02x %02x %x", r.century, r.year, r.month, r.day, r.hour,
                 r.minute, r.second, r.weekday);
        assert_string_equal(shown, expected);
        assert_true(calendar_decode(&r, bcd, &back));
        assert_true(back == ours);
    }
}

static void test_every_format_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for (unsigned f = 0; f < 4; f++) {
        struct calendar_format format = { .binary = f & 1, .hours_24 = f & 2 };

        for (uint64_t seconds = 63000000000; seconds < 63000000000 + 2 * 86400; seconds += 59) {
            struct calendar_registers registers = calendar_encode(seconds, format);
            uint64_t back;

            assert_true(calendar_decode(&registers, format, &back));
            assert_true(back == seconds);
        }
    }
}

static void test_dates_that_cannot_be_are_refused(void **state)
{
    const struct calendar_format binary = { .binary = true, .hours_24 = true }, twelve = { .binary = true };
    const struct calendar_registers good = { 59, 59, 23, 1, 29, 2, 24, 20 };
    struct calendar_registers bad;
    uint64_t seconds;

    (void)state;
    assert_true(calendar_decode(&good, binary, &seconds));
#define REFUSED(field, value) (bad = good, bad.field = (value), !calendar_decode(&bad, binary, &seconds))
    assert_true(REFUSED(second, 60));
    assert_true(REFUSED(minute, 60));
    assert_true(REFUSED(hour, 24));
    assert_true(REFUSED(day, 0));
    assert_true(REFUSED(day, 30));
    assert_true(REFUSED(month, 0));
    assert_true(REFUSED(month, 13));
    assert_true(REFUSED(year, 100));
    assert_true(REFUSED(century, 100));
    assert_true(REFUSED(year, 23)); /* no leap year */
#undef REFUSED
    bad = good;
    for (unsigned hour = 0; hour < 256; hour++) {
        bad.hour = (uint8_t)hour;
        bool valid = (hour & 127) >= 1 && (hour & 127) <= 12;
        assert_int_equal(calendar_decode(&bad, twelve, &seconds), valid);
    }
    bad = (struct calendar_registers) { .second = 0x1a, .day = 1, .month = 1 };
    assert_false(calendar_decode(&bad, (struct calendar_format) { .hours_24 = true }, &seconds));
}

static void test_binary_and_twelve_hours(void **state)
{
    struct fake_machine *fake = *state;

    set_cmos(fake, B, 0x06);
    assert_int_equal(cmos(fake, 0), 50);
    assert_int_equal(cmos(fake, 4), 23);
    set_cmos(fake, B, 0x04);
    assert_int_equal(cmos(fake, 4), 0x80 | 11);
    set_cmos(fake, B, 0x00);
    assert_int_equal(cmos(fake, 4), 0x91);
    fake_advance(fake, 10 * SECOND);
    assert_int_equal(cmos(fake, 4), 0x12); /* midnight is 12 AM */
}

static void test_setting_the_time_as_linux_does(void **state)
{
    struct fake_machine *fake = *state;
    uint8_t b = cmos(fake, B), a = cmos(fake, A);

    set_cmos(fake, B, b | 0x80);
    set_cmos(fake, A, a | 0x70);
    set_cmos(fake, 9, 0x37);
    set_cmos(fake, 8, 0x12);
    set_cmos(fake, 7, 0x31);
    set_cmos(fake, 4, 0x23);
    set_cmos(fake, 2, 0x59);
    set_cmos(fake, 0, 0x58);
    set_cmos(fake, 0x32, 0x20);
    fake_advance(fake, 5 * SECOND); /* it stands still */
    assert_time(fake, "2037-12-31 23:59:58");
    set_cmos(fake, B, b);
    set_cmos(fake, A, a & 0x7f);
    fake_advance(fake, SECOND / 2 - 1);
    assert_time(fake, "2037-12-31 23:59:58");
    fake_advance(fake, 1); /* half a second after the dividers start */
    assert_time(fake, "2037-12-31 23:59:59");
    fake_advance(fake, SECOND);
    assert_time(fake, "2038-01-01 00:00:00");
}

static void test_setting_a_single_register_keeps_the_phase_of_the_seconds(void **state)
{
    struct fake_machine *fake = *state;

    fake_advance(fake, SECOND / 4);
    set_cmos(fake, 4, 0x12);
    assert_time(fake, "2024-02-28 12:59:50");
    fake_advance(fake, 3 * SECOND / 4);
    assert_time(fake, "2024-02-28 12:59:51");
}

static void test_a_date_that_cannot_be_stands_still_until_it_can(void **state)
{
    struct fake_machine *fake = *state;

    set_cmos(fake, 7, 0x31); /* 31 February */
    fake_advance(fake, 10 * SECOND);
    assert_time(fake, "2024-02-31 23:59:50");
    set_cmos(fake, 8, 0x03);
    fake_advance(fake, SECOND);
    assert_time(fake, "2024-03-31 23:59:51");
}

static void test_the_time_stands_while_set_is_on_and_there_is_no_update(void **state)
{
    struct fake_machine *fake = *state;

    set_cmos(fake, B, 0x92); /* SET clears the update interrupt's enable */
    assert_int_equal(cmos(fake, B), 0x82);
    cmos(fake, C);
    fake_advance(fake, 3 * SECOND);
    assert_int_equal(cmos(fake, C) & 0x10, 0);
    assert_time(fake, "2024-02-28 23:59:50");
}

static void test_the_update_bit_warns_a_quarter_millisecond_before(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(cmos(fake, A) & 0x80, 0);
    fake_advance(fake, SECOND - 250 * MICROSECOND);
    assert_int_equal(cmos(fake, A) & 0x80, 0);
    fake_advance(fake, 10 * MICROSECOND);
    assert_int_equal(cmos(fake, A) & 0x80, 0x80);
    assert_time(fake, "2024-02-28 23:59:50");
    fake_advance(fake, 240 * MICROSECOND);
    assert_int_equal(cmos(fake, A) & 0x80, 0);
    assert_time(fake, "2024-02-28 23:59:51");
}

static void test_the_update_interrupt_comes_every_second_and_reading_c_ends_it(void **state)
{
    struct fake_machine *fake = *state;

    cmos(fake, C);
    set_cmos(fake, B, 0x12);
    for (int i = 0; i < 5; i++) {
        assert_false(fake->irq_level[GSI_RTC]);
        fake_advance(fake, SECOND);
        assert_true(fake->irq_level[GSI_RTC]);
        assert_int_equal(fake->irq_edges[GSI_RTC], i + 1);
        assert_int_equal(cmos(fake, C) & 0x90, 0x90);
    }
    assert_int_equal(cmos(fake, C) & 0x90, 0);
}

static void test_an_interrupt_that_nobody_acknowledges_costs_nothing(void **state)
{
    struct fake_machine *fake = *state;

    cmos(fake, C);
    set_cmos(fake, A, 0x23); /* 8192 Hz */
    set_cmos(fake, B, 0x72);
    assert_in_range(fake_advance(fake, 100 * SECOND), 1, 4);
    assert_int_equal(fake->irq_edges[GSI_RTC], 1);
}

static void test_the_periodic_interrupt_has_its_rate(void **state)
{
    struct fake_machine *fake = *state;
    static const unsigned hz[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2 };

    set_cmos(fake, B, 0x42);
    for (unsigned rate = 0; rate < 16; rate++) {
        unsigned count = 0;
        uint64_t end = fake_now + SECOND, deadline;

        set_cmos(fake, A, (uint8_t)(0x20 | rate));
        cmos(fake, C);
        while (timers_next(&fake->machine.timers, &deadline) && deadline <= end) {
            fake_advance(fake, deadline - fake_now);
            assert_int_equal(cmos(fake, C) & 0xc0, 0xc0);
            count++;
        }
        fake_now = end;
        assert_in_range(count, hz[rate] ? hz[rate] - 1 : 0, hz[rate]);
    }
}

static void test_flags_are_there_for_those_who_poll(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    cmos(fake, C);
    assert_false(timers_next(&fake->machine.timers, &deadline));
    fake_advance(fake, 2 * SECOND);
    assert_int_equal(cmos(fake, C), 0x50); /* 1024 Hz and update, without a request */
    assert_int_equal(cmos(fake, C), 0x00);
}

static void test_the_alarm_goes_off_at_its_time(void **state)
{
    struct fake_machine *fake = *state;

    set_cmos(fake, 5, 0x00);
    set_cmos(fake, 3, 0x00);
    set_cmos(fake, 1, 0x05);
    cmos(fake, C);
    set_cmos(fake, B, 0x22);
    fake_advance(fake, 15 * SECOND - 1);
    assert_false(fake->irq_level[GSI_RTC]);
    fake_advance(fake, 1);
    assert_true(fake->irq_level[GSI_RTC]);
    assert_int_equal(cmos(fake, C) & 0xa0, 0xa0);
    assert_in_range(fake_advance(fake, 86400 * SECOND - 1), 0, 0);
    fake_advance(fake, 1);
    assert_true(fake->irq_level[GSI_RTC]);
}

static void test_alarm_registers_from_c0_on_mean_any(void **state)
{
    struct calendar_format bcd = { .hours_24 = true };
    struct calendar_alarm alarm;
    uint64_t midnight = 86400 * UINT64_C(1000);

    (void)state;
    assert_true(calendar_decode_alarm(0xff, 0xff, 0xc0, bcd, &alarm));
    assert_int_equal(calendar_next_alarm(&alarm, midnight), midnight + 1); /* every second */
    assert_true(calendar_decode_alarm(0xff, 0xff, 0x00, bcd, &alarm));
    assert_int_equal(calendar_next_alarm(&alarm, midnight), midnight + 60); /* every minute */
    assert_true(calendar_decode_alarm(0xff, 0x30, 0x15, bcd, &alarm));
    assert_int_equal(calendar_next_alarm(&alarm, midnight + 1815), midnight + 3600 + 1815);
    assert_true(calendar_decode_alarm(0x23, 0xff, 0xff, bcd, &alarm));
    assert_int_equal(calendar_next_alarm(&alarm, midnight), midnight + 23 * 3600);
    assert_int_equal(calendar_next_alarm(&alarm, midnight + 23 * 3600), midnight + 23 * 3600 + 1);
    assert_false(calendar_decode_alarm(0x24, 0, 0, bcd, &alarm));
    assert_false(calendar_decode_alarm(0, 0x60, 0, bcd, &alarm));
    assert_false(calendar_decode_alarm(0, 0, 0x5a, bcd, &alarm));
}

static void test_alarms_agree_with_a_search_second_by_second(void **state)
{
    struct calendar_format binary = { .binary = true, .hours_24 = true };
    uint32_t seed = 5;

    (void)state;
    for (int round = 0; round < 100; round++) {
        struct calendar_alarm alarm;
        seed = seed * 1664525u + 1013904223u;
        uint8_t h = (uint8_t)(seed >> 24) % 24, m = (uint8_t)(seed >> 16) % 60, s = (uint8_t)(seed >> 8) % 60;
        uint64_t after = UINT64_C(63000000000) + seed % 100000, next = after + 1;

        h = seed & 1 ? 0xff : h;
        m = seed & 2 ? 0xff : m;
        s = seed & 4 ? 0xff : s;
        assert_true(calendar_decode_alarm(h, m, s, binary, &alarm));
        while ((h != 0xff && next / 3600 % 24 != h) || (m != 0xff && next / 60 % 60 != m)
               || (s != 0xff && next % 60 != s))
            next++;
        assert_true(calendar_next_alarm(&alarm, after) == next);
    }
}

static void test_the_battery_is_good_and_the_memory_keeps_bytes(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(cmos(fake, D), 0x80);
    set_cmos(fake, D, 0);
    assert_int_equal(cmos(fake, D), 0x80);
    for (uint8_t i = 0x0e; i < 0x80; i++)
        if (i != 0x32)
            set_cmos(fake, i, i ^ 0x5a);
    for (uint8_t i = 0x0e; i < 0x80; i++)
        if (i != 0x32)
            assert_int_equal(cmos(fake, i), i ^ 0x5a);
}

static void test_the_nmi_bit_is_not_part_of_the_index(void **state)
{
    struct fake_machine *fake = *state;

    set_cmos(fake, 0x8f, 0x12);
    assert_int_equal(cmos(fake, 0x0f), 0x12);
    assert_int_equal(fake_in(fake, 0x70, 1), 0xff);
}

static void test_with_the_clock_passed_through_there_is_no_model(void **state)
{
    (void)state;
    struct fake_machine *fake = fake_machine_bare(FAKE_TSC_HZ, 0);
    const char *name;

    fake->machine.rtc_passthrough = true;
    assert_true(devices_create(&fake->machine, &name));
    assert_int_equal(fake_in(fake, 0x71, 1), 0xff);
    assert_int_equal(fake->machine.bus.count[BUS_PORT], 0);
    fake_machine_destroy(fake);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_it_shows_the_wall_clock_in_utc),
        cmocka_unit_test(test_the_c_library_agrees_about_every_date),
        cmocka_unit_test(test_every_format_survives_the_way_there_and_back),
        cmocka_unit_test(test_dates_that_cannot_be_are_refused),
        CASE(test_binary_and_twelve_hours),
        CASE(test_setting_the_time_as_linux_does),
        CASE(test_setting_a_single_register_keeps_the_phase_of_the_seconds),
        CASE(test_a_date_that_cannot_be_stands_still_until_it_can),
        CASE(test_the_time_stands_while_set_is_on_and_there_is_no_update),
        CASE(test_the_update_bit_warns_a_quarter_millisecond_before),
        CASE(test_the_update_interrupt_comes_every_second_and_reading_c_ends_it),
        CASE(test_an_interrupt_that_nobody_acknowledges_costs_nothing),
        CASE(test_the_periodic_interrupt_has_its_rate),
        CASE(test_flags_are_there_for_those_who_poll),
        CASE(test_the_alarm_goes_off_at_its_time),
        cmocka_unit_test(test_alarm_registers_from_c0_on_mean_any),
        cmocka_unit_test(test_alarms_agree_with_a_search_second_by_second),
        CASE(test_the_battery_is_good_and_the_memory_keeps_bytes),
        CASE(test_the_nmi_bit_is_not_part_of_the_index),
        cmocka_unit_test(test_with_the_clock_passed_through_there_is_no_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
