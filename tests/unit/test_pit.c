/* The interval timer and port 61h: counts, outputs and interrupts over time. */
#include "tests/unit/fake_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PIT_HZ UINT64_C(1193182)

/* The TSC at which the N-th tick of the timer has come since time 0: one tick is 838.095… ns. */
static uint64_t ticks(uint64_t n)
{
    return (n * FAKE_TSC_HZ + PIT_HZ - 1) / PIT_HZ;
}

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

static void program(struct fake_machine *fake, unsigned channel, unsigned mode, uint16_t count)
{
    fake_out(fake, 0x43, 1, channel << 6 | 0x30 | mode << 1);
    fake_out(fake, (uint16_t)(0x40 + channel), 1, count & 0xff);
    fake_out(fake, (uint16_t)(0x40 + channel), 1, count >> 8);
}

static uint16_t latched(struct fake_machine *fake, unsigned channel)
{
    fake_out(fake, 0x43, 1, channel << 6);
    uint16_t low = (uint16_t)fake_in(fake, (uint16_t)(0x40 + channel), 1);
    return (uint16_t)(low | fake_in(fake, (uint16_t)(0x40 + channel), 1) << 8);
}

static bool speaker_output(struct fake_machine *fake)
{
    return fake_in(fake, 0x61, 1) & 0x20;
}

static void set_gate(struct fake_machine *fake, bool gate)
{
    fake_out(fake, 0x61, 1, gate);
}

static void test_mode_0_interrupts_once_when_count_plus_one_ticks_have_gone_by(void **state)
{
    struct fake_machine *fake = *state;

    program(fake, 0, 0, 1000);
    assert_false(fake->irq_level[GSI_PIT]);
    fake_advance(fake, ticks(1001) - 1);
    assert_int_equal(fake->irq_edges[GSI_PIT], 0);
    fake_advance(fake, 1);
    assert_int_equal(fake->irq_edges[GSI_PIT], 1);
    fake_advance(fake, SECOND);
    assert_int_equal(fake->irq_edges[GSI_PIT], 1);
    assert_true(fake->irq_level[GSI_PIT]);
}

static void test_mode_0_starts_anew_with_every_count(void **state)
{
    struct fake_machine *fake = *state;

    program(fake, 0, 0, 1000);
    fake_advance(fake, ticks(500));
    fake_out(fake, 0x40, 1, 0xe8); /* the first byte stops it */
    fake_advance(fake, ticks(5000));
    assert_int_equal(fake->irq_edges[GSI_PIT], 0);
    fake_out(fake, 0x40, 1, 0x03);
    fake_advance(fake, ticks(1002));
    assert_int_equal(fake->irq_edges[GSI_PIT], 1);
}

static void test_mode_0_goes_on_counting_below_zero(void **state)
{
    struct fake_machine *fake = *state;

    program(fake, 0, 0, 10);
    fake_advance(fake, ticks(1));
    assert_int_equal(latched(fake, 0), 10);
    fake_advance(fake, ticks(12) - ticks(1));
    assert_int_equal(latched(fake, 0), 0xffff);
}

static void test_mode_2_interrupts_every_count_ticks(void **state)
{
    struct fake_machine *fake = *state;

    program(fake, 0, 2, 11932); /* 100 Hz */
    unsigned before = fake->irq_edges[GSI_PIT];
    fake_advance(fake, 10 * SECOND);
    assert_in_range(fake->irq_edges[GSI_PIT] - before, 999, 1000);
}

static void test_a_periodic_interrupt_does_not_drift(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t start = fake_now, deadline;

    program(fake, 0, 2, 1193); /* a period that no whole number of TSC ticks has */
    for (uint64_t period = 1; period <= 100000; period++) {
        assert_true(timers_next(&fake->machine.timers, &deadline));
        assert_true(deadline == start + ticks(1 + period * 1193));
        fake_now = deadline;
        timers_run(&fake->machine.timers, fake_now);
    }
}

static void test_the_count_0_is_65536(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t start = fake_now, deadline;

    program(fake, 0, 2, 0);
    assert_true(timers_next(&fake->machine.timers, &deadline));
    assert_int_equal(deadline - start, ticks(65537));
}

static void test_an_interrupt_rate_beyond_the_limit_is_merged(void **state)
{
    struct fake_machine *fake = *state;

    for (unsigned mode = 2; mode <= 3; mode++) {
        for (uint16_t count = 1; count <= 127; count = (uint16_t)(count * 2 + 1)) {
            program(fake, 0, mode, count);
            unsigned before = fake->irq_edges[GSI_PIT];
            unsigned stops = fake_advance(fake, SECOND / 10);

            assert_in_range(stops, 500, 1001);
            assert_in_range(fake->irq_edges[GSI_PIT] - before, 500, 1001);
        }
    }
}

static void test_after_sleeping_through_many_periods_there_is_one_interrupt_and_the_phase_is_kept(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t start = fake_now, deadline;

    program(fake, 0, 2, 1000);
    unsigned before = fake->irq_edges[GSI_PIT];
    fake_oversleep(fake, 3600 * SECOND);
    assert_int_equal(fake->irq_edges[GSI_PIT], before + 1);
    assert_true(timers_next(&fake->machine.timers, &deadline));
    assert_true(deadline > fake_now && deadline - fake_now <= ticks(1000));
    uint64_t in_ticks = (uint64_t)((unsigned __int128)(deadline - start) * PIT_HZ / FAKE_TSC_HZ);
    assert_int_equal(in_ticks % 1000, 1);
}

static void test_mode_2_counts_down_to_one(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t start = fake_now;

    program(fake, 0, 2, 100);
    for (uint64_t tick = 1; tick < 500; tick += 7) {
        fake_now = start + ticks(tick);
        assert_int_equal(latched(fake, 0), 100 - (tick - 1) % 100);
    }
}

static void test_mode_3_counts_by_two_through_each_half(void **state)
{
    struct fake_machine *fake = *state;
    static const uint16_t even[] = { 6, 4, 2, 6, 4, 2, 6 }, odd[] = { 4, 2, 0, 4, 2, 4, 2, 0 };
    uint64_t start = fake_now;

    set_gate(fake, true);
    program(fake, 2, 3, 6);
    for (unsigned i = 0; i < 7; i++) {
        fake_now = start + ticks(1 + i);
        assert_int_equal(latched(fake, 2), even[i]);
        assert_int_equal(speaker_output(fake), i % 6 < 3);
    }
    start = fake_now;
    program(fake, 2, 3, 5);
    for (unsigned i = 0; i < 8; i++) {
        fake_now = start + ticks(1 + i);
        assert_int_equal(latched(fake, 2), odd[i]);
        assert_int_equal(speaker_output(fake), i % 5 < 3);
    }
}

static void test_a_count_written_in_mode_2_takes_over_at_the_end_of_the_period(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t start = fake_now, deadline;

    program(fake, 0, 2, 2000);
    fake_now = start + ticks(1 + 1500);
    fake_out(fake, 0x40, 1, 0xf4);
    fake_out(fake, 0x40, 1, 0x01); /* 500 */
    assert_int_equal(latched(fake, 0), 500); /* 2000 - 1500 */
    assert_true(timers_next(&fake->machine.timers, &deadline));
    assert_int_equal(deadline - start, ticks(2001));
    fake_now = start + ticks(2001) + 10;
    assert_in_range(latched(fake, 0), 499, 500);
    timers_run(&fake->machine.timers, fake_now);
    assert_true(timers_next(&fake->machine.timers, &deadline));
    assert_in_range(deadline - start, ticks(2501), ticks(2501) + 2);
}

static void test_mode_4_strobes_once_as_linux_uses_it_for_one_shots(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, 0x43, 1, 0x38);
    unsigned before = fake->irq_edges[GSI_PIT];
    for (int shot = 0; shot < 3; shot++) {
        fake_out(fake, 0x40, 1, 0xd0);
        fake_out(fake, 0x40, 1, 0x07); /* 2000 */
        fake_advance(fake, ticks(2002) - 1);
        assert_int_equal(fake->irq_edges[GSI_PIT] - before, shot);
        fake_advance(fake, 10 * MILLISECOND);
        assert_int_equal(fake->irq_edges[GSI_PIT] - before, shot + 1);
    }
}

static void test_modes_that_wait_for_a_gate_never_interrupt_from_channel_0(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    for (unsigned mode = 1; mode <= 5; mode += 4) {
        program(fake, 0, mode, 100);
        assert_false(timers_next(&fake->machine.timers, &deadline));
        assert_true(fake->irq_level[GSI_PIT]);
    }
}

static void test_the_gate_stops_and_resumes_channel_2(void **state)
{
    struct fake_machine *fake = *state;

    set_gate(fake, false);
    program(fake, 2, 0, 1000);
    fake_advance(fake, SECOND);
    assert_int_equal(latched(fake, 2), 1000);
    assert_false(speaker_output(fake));
    set_gate(fake, true);
    fake_advance(fake, ticks(601));
    assert_int_equal(latched(fake, 2), 400);
    set_gate(fake, false);
    fake_advance(fake, SECOND);
    assert_int_equal(latched(fake, 2), 400);
    set_gate(fake, true);
    fake_advance(fake, ticks(400));
    assert_true(speaker_output(fake));
}

static void test_linux_calibrates_the_tsc_with_channel_2(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t start, polls = 0;

    /* 10 ms in mode 0, polled through port 61h, each access taking 2 µs. */
    fake_out(fake, 0x61, 1, (fake_in(fake, 0x61, 1) & ~UINT64_C(2)) | 1);
    fake_out(fake, 0x43, 1, 0xb0);
    fake_out(fake, 0x42, 1, 11931 & 0xff);
    fake_out(fake, 0x42, 1, 11931 >> 8);
    start = fake_now;
    while (!speaker_output(fake)) {
        fake_advance(fake, 2 * MICROSECOND);
        polls++;
    }
    assert_in_range(fake_now - start, 9990 * MICROSECOND, 10010 * MICROSECOND);
    assert_in_range(polls, 4990, 5010);
}

static void test_linux_reads_the_high_byte_fall_without_latching(void **state)
{
    struct fake_machine *fake = *state;
    unsigned steps = 0;

    fake_out(fake, 0x61, 1, 1);
    fake_out(fake, 0x43, 1, 0xb0);
    fake_out(fake, 0x42, 1, 0xff);
    fake_out(fake, 0x42, 1, 0xff);
    fake_advance(fake, 2 * MICROSECOND);
    for (unsigned expected = 0xff; expected > 0xf0; expected--) {
        unsigned reads = 0;
        uint64_t high;

        do {
            fake_in(fake, 0x42, 1);
            high = fake_in(fake, 0x42, 1);
            fake_advance(fake, 3 * MICROSECOND);
            reads++;
        } while (high == expected);
        assert_int_equal(high, expected - 1);
        assert_in_range(reads, 60, 75); /* 256 ticks are 214.6 µs */
        steps++;
    }
    assert_int_equal(steps, 15);
}

static void test_mode_1_is_a_pulse_after_each_rise_of_the_gate(void **state)
{
    struct fake_machine *fake = *state;

    set_gate(fake, false);
    program(fake, 2, 1, 50);
    assert_true(speaker_output(fake));
    set_gate(fake, true);
    fake_advance(fake, ticks(1));
    assert_false(speaker_output(fake));
    fake_advance(fake, ticks(50) - ticks(1));
    assert_false(speaker_output(fake));
    fake_advance(fake, ticks(51) - ticks(50));
    assert_true(speaker_output(fake));
    /* A new count is for the next trigger; a trigger within the pulse makes it longer. */
    set_gate(fake, false);
    set_gate(fake, true);
    fake_advance(fake, ticks(10));
    fake_out(fake, 0x42, 1, 200);
    fake_out(fake, 0x42, 1, 0);
    fake_advance(fake, ticks(42));
    assert_true(speaker_output(fake));
    set_gate(fake, false);
    set_gate(fake, true);
    fake_advance(fake, ticks(150));
    assert_false(speaker_output(fake));
    fake_advance(fake, ticks(52));
    assert_true(speaker_output(fake));
}

static void test_a_latched_count_stays_until_it_has_been_read(void **state)
{
    struct fake_machine *fake = *state;

    program(fake, 0, 2, 1000);
    fake_advance(fake, ticks(101));
    fake_out(fake, 0x43, 1, 0x00);
    fake_advance(fake, ticks(300));
    fake_out(fake, 0x43, 1, 0x00); /* ignored: the first has not been read */
    assert_int_equal(fake_in(fake, 0x40, 1), 900 & 0xff);
    assert_int_equal(fake_in(fake, 0x40, 1), 900 >> 8);
    assert_in_range(latched(fake, 0), 599, 600);
}

static void test_single_byte_access_reads_and_writes_its_half(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, 0x43, 1, 0x14); /* channel 0, low byte, mode 2 */
    fake_out(fake, 0x40, 1, 200);
    fake_advance(fake, ticks(101));
    assert_int_equal(fake_in(fake, 0x40, 1), 100);
    assert_int_equal(fake_in(fake, 0x40, 1), 100);
    fake_out(fake, 0x43, 1, 0x24); /* high byte */
    fake_out(fake, 0x40, 1, 0x10);
    fake_advance(fake, ticks(1));
    assert_int_equal(fake_in(fake, 0x40, 1), 0x10);
}

static void test_read_back_gives_status_then_count(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, 0x43, 1, 0x34);
    fake_out(fake, 0x43, 1, 0xe2); /* status of channel 0: no count yet */
    assert_int_equal(fake_in(fake, 0x40, 1), 0xf4);
    fake_out(fake, 0x40, 1, 0xe8);
    fake_out(fake, 0x40, 1, 0x03);
    fake_advance(fake, ticks(1));
    fake_out(fake, 0x43, 1, 0xc2); /* both */
    assert_int_equal(fake_in(fake, 0x40, 1), 0xb4);
    assert_int_equal(fake_in(fake, 0x40, 1), 0xe8);
    assert_int_equal(fake_in(fake, 0x40, 1), 0x03);
}

static void test_read_back_latches_several_channels_at_once(void **state)
{
    struct fake_machine *fake = *state;

    set_gate(fake, true);
    program(fake, 0, 2, 5000);
    program(fake, 2, 2, 3000);
    fake_advance(fake, ticks(1001));
    fake_out(fake, 0x43, 1, 0xda); /* counts of 0 and 2 */
    fake_advance(fake, ticks(100));
    assert_int_equal(fake_in(fake, 0x40, 1) | fake_in(fake, 0x40, 1) << 8, 4000);
    assert_int_equal(fake_in(fake, 0x42, 1) | fake_in(fake, 0x42, 1) << 8, 2000);
}

static void test_bcd_is_taken_as_binary_and_the_status_says_so(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, 0x43, 1, 0x35);
    fake_out(fake, 0x40, 1, 0x00);
    fake_out(fake, 0x40, 1, 0x10);
    fake_advance(fake, ticks(1));
    assert_int_equal(latched(fake, 0), 0x1000);
    fake_out(fake, 0x43, 1, 0xe2);
    assert_int_equal(fake_in(fake, 0x40, 1) & 1, 0);
}

static void test_modes_6_and_7_are_2_and_3(void **state)
{
    struct fake_machine *fake = *state;

    for (unsigned mode = 6; mode <= 7; mode++) {
        program(fake, 0, mode, 1000);
        fake_out(fake, 0x43, 1, 0xe2);
        assert_int_equal(fake_in(fake, 0x40, 1) >> 1 & 7, mode - 4);
    }
}

static void test_the_refresh_bit_turns_over_every_fifteen_microseconds(void **state)
{
    struct fake_machine *fake = *state;
    unsigned changes = 0;
    uint64_t last = fake_in(fake, 0x61, 1) & 0x10;

    for (int i = 0; i < 10000; i++) {
        fake_advance(fake, MICROSECOND);
        uint64_t bit = fake_in(fake, 0x61, 1) & 0x10;
        changes += bit != last;
        last = bit;
    }
    assert_in_range(changes, 660, 665); /* 10 ms / 15.085 µs */
}

static void test_port_61_keeps_its_four_lower_bits(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, 0x61, 1, 0xff);
    assert_int_equal(fake_in(fake, 0x61, 1) & 0xcf, 0x0f);
    fake_out(fake, 0x61, 1, 0x00);
    assert_int_equal(fake_in(fake, 0x61, 1) & 0xcf, 0x00);
}

static void test_any_tsc_rate_will_do(void **state)
{
    static const uint64_t rates[] = { 1, 1193182, 40000000, 5000000000, UINT64_C(1) << 40 };

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct fake_machine *fake = fake_machine_bare(rates[i], 0);
        const char *name;

        assert_true(devices_create(&fake->machine, &name));
        program(fake, 0, 2, 1193);
        unsigned before = fake->irq_edges[GSI_PIT];
        fake_advance(fake, rates[i]);
        assert_true(fake->irq_edges[GSI_PIT] - before <= 1001);
        if (rates[i] > 1000)
            assert_true(fake->irq_edges[GSI_PIT] - before >= 999);
        fake_machine_destroy(fake);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_mode_0_interrupts_once_when_count_plus_one_ticks_have_gone_by),
        CASE(test_mode_0_starts_anew_with_every_count),
        CASE(test_mode_0_goes_on_counting_below_zero),
        CASE(test_mode_2_interrupts_every_count_ticks),
        CASE(test_a_periodic_interrupt_does_not_drift),
        CASE(test_the_count_0_is_65536),
        CASE(test_an_interrupt_rate_beyond_the_limit_is_merged),
        CASE(test_after_sleeping_through_many_periods_there_is_one_interrupt_and_the_phase_is_kept),
        CASE(test_mode_2_counts_down_to_one),
        CASE(test_mode_3_counts_by_two_through_each_half),
        CASE(test_a_count_written_in_mode_2_takes_over_at_the_end_of_the_period),
        CASE(test_mode_4_strobes_once_as_linux_uses_it_for_one_shots),
        CASE(test_modes_that_wait_for_a_gate_never_interrupt_from_channel_0),
        CASE(test_the_gate_stops_and_resumes_channel_2),
        CASE(test_linux_calibrates_the_tsc_with_channel_2),
        CASE(test_linux_reads_the_high_byte_fall_without_latching),
        CASE(test_mode_1_is_a_pulse_after_each_rise_of_the_gate),
        CASE(test_a_latched_count_stays_until_it_has_been_read),
        CASE(test_single_byte_access_reads_and_writes_its_half),
        CASE(test_read_back_gives_status_then_count),
        CASE(test_read_back_latches_several_channels_at_once),
        CASE(test_bcd_is_taken_as_binary_and_the_status_says_so),
        CASE(test_modes_6_and_7_are_2_and_3),
        CASE(test_the_refresh_bit_turns_over_every_fifteen_microseconds),
        CASE(test_port_61_keeps_its_four_lower_bits),
        cmocka_unit_test(test_any_tsc_rate_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
