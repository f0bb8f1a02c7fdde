/* How a machine ends and what ACPI's fixed hardware shows: PM1 registers, PM timer, reset registers, exit port. */
#include "tests/unit/fake_machine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PM1_ENABLE (PORT_PM1_STATUS + 2)

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

static void test_sleep_type_5_powers_off(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(fake_in(fake, PORT_PM1_CONTROL, 2), 0x0001); /* ACPI mode */
    fake_out(fake, PORT_PM1_CONTROL, 2, SLEEP_TYPE_S5 << 10);
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
    assert_int_equal(fake_in(fake, PORT_PM1_CONTROL, 2), SLEEP_TYPE_S5 << 10 | 1);
    fake_out(fake, PORT_PM1_CONTROL, 2, SLEEP_TYPE_S5 << 10 | 0x2000);
    assert_int_equal(fake->machine.end, MACHINE_POWER_OFF);
    assert_int_equal(fake_in(fake, PORT_PM1_CONTROL, 2) & 0x2000, 0);
}

static void test_power_off_works_byte_by_byte(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, PORT_PM1_CONTROL, 1, 0x01);
    fake_out(fake, PORT_PM1_CONTROL + 1, 1, SLEEP_TYPE_S5 << 2 | 0x20);
    assert_int_equal(fake->machine.end, MACHINE_POWER_OFF);
}

static void test_other_sleep_types_wake_at_once(void **state)
{
    struct fake_machine *fake = *state;

    for (unsigned type = 0; type < 8; type++) {
        if (type == SLEEP_TYPE_S5)
            continue;
        fake_out(fake, PORT_PM1_CONTROL, 2, type << 10 | 0x2000);
        assert_int_equal(fake->machine.end, MACHINE_RUNS);
        assert_int_equal(fake_in(fake, PORT_PM1_STATUS, 2), 0x8000);
        fake_out(fake, PORT_PM1_STATUS, 2, 0x8000);
        assert_int_equal(fake_in(fake, PORT_PM1_STATUS, 2), 0);
    }
}

static void test_the_pm_timer_counts_24_bits_at_its_rate(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(fake_in(fake, PORT_PM_TIMER, 4), 0);
    fake_advance(fake, SECOND);
    assert_int_equal(fake_in(fake, PORT_PM_TIMER, 4), 3579545);
    fake_advance(fake, 9 * SECOND);
    assert_int_equal(fake_in(fake, PORT_PM_TIMER, 4), 35795450 % 0x1000000);
    fake_out(fake, PORT_PM_TIMER, 4, 0);
    assert_int_equal(fake_in(fake, PORT_PM_TIMER, 4), 35795450 % 0x1000000);
}

static void test_status_shows_the_timers_carry_and_ones_clear_it(void **state)
{
    struct fake_machine *fake = *state;

    fake_advance(fake, 2343 * MILLISECOND); /* bit 23 changes every 2.3435 s */
    assert_int_equal(fake_in(fake, PORT_PM1_STATUS, 2), 0);
    fake_advance(fake, MILLISECOND);
    assert_int_equal(fake_in(fake, PORT_PM1_STATUS, 2), 1);
    fake_out(fake, PORT_PM1_STATUS, 2, 0xfffe);
    assert_int_equal(fake_in(fake, PORT_PM1_STATUS, 2), 1);
    fake_out(fake, PORT_PM1_STATUS, 1, 1);
    assert_int_equal(fake_in(fake, PORT_PM1_STATUS, 2), 0);
    assert_false(fake->irq_level[GSI_ACPI]);
}

static void test_an_enabled_carry_raises_the_sci_until_it_is_cleared(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, PM1_ENABLE, 2, 0x0001);
    for (int i = 1; i <= 3; i++) {
        fake_advance(fake, 2344 * MILLISECOND);
        assert_true(fake->irq_level[GSI_ACPI]);
        assert_int_equal(fake->irq_edges[GSI_ACPI], i);
        fake_out(fake, PORT_PM1_STATUS, 2, 1);
        assert_false(fake->irq_level[GSI_ACPI]);
    }
    fake_out(fake, PM1_ENABLE, 2, 0);
    assert_int_equal(fake_advance(fake, 100 * SECOND), 0);
}

static void test_status_and_enable_are_one_block(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, PORT_PM1_STATUS, 4, 0xffff0000);
    assert_int_equal(fake_in(fake, PORT_PM1_STATUS, 4), 0x07210000);
    assert_int_equal(fake_in(fake, PM1_ENABLE, 2), 0x0721);
    assert_int_equal(fake_in(fake, PM1_ENABLE + 1, 1), 0x07);
    fake_out(fake, PM1_ENABLE + 1, 1, 0);
    assert_int_equal(fake_in(fake, PM1_ENABLE, 2), 0x0021);
}

static void test_the_reset_register_resets_with_its_value(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, PORT_RESET_CONTROL, 1, 0x02); /* what kind, not yet when */
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
    assert_int_equal(fake_in(fake, PORT_RESET_CONTROL, 1), 0x02);
    fake_out(fake, PORT_RESET_CONTROL, 1, RESET_VALUE);
    assert_int_equal(fake->machine.end, MACHINE_RESET);
}

static void test_the_reset_register_leaves_the_pci_address_alone(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, 0xcf8, 4, 0xffffffff);
    assert_int_equal(fake_in(fake, 0xcf8, 4), 0x80fffffc);
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
    fake_out(fake, PORT_RESET_CONTROL, 1, 0x02);
    assert_int_equal(fake_in(fake, 0xcf8, 4), 0x80fffffc);
}

static void test_port_92_resets_on_a_rise_of_bit_0(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(fake_in(fake, 0x92, 1), 0x02); /* A20 is open */
    fake_out(fake, 0x92, 1, 0x00);
    assert_int_equal(fake_in(fake, 0x92, 1), 0x00);
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
    fake_out(fake, 0x92, 1, 0x03);
    assert_int_equal(fake->machine.end, MACHINE_RESET);
}

static void test_the_first_wish_counts(void **state)
{
    struct fake_machine *fake = *state;

    fake_out(fake, PORT_RESET_CONTROL, 1, RESET_VALUE);
    fake_out(fake, PORT_PM1_CONTROL, 2, SLEEP_TYPE_S5 << 10 | 0x2000);
    assert_int_equal(fake->machine.end, MACHINE_RESET);
}

static void test_the_exit_port_powers_off(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(fake_in(fake, 0x501, 1), 0);
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
    fake_out(fake, 0x501, 4, 0);
    assert_int_equal(fake->machine.end, MACHINE_POWER_OFF);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_sleep_type_5_powers_off),
        CASE(test_power_off_works_byte_by_byte),
        CASE(test_other_sleep_types_wake_at_once),
        CASE(test_the_pm_timer_counts_24_bits_at_its_rate),
        CASE(test_status_shows_the_timers_carry_and_ones_clear_it),
        CASE(test_an_enabled_carry_raises_the_sci_until_it_is_cleared),
        CASE(test_status_and_enable_are_one_block),
        CASE(test_the_reset_register_resets_with_its_value),
        CASE(test_the_reset_register_leaves_the_pci_address_alone),
        CASE(test_port_92_resets_on_a_rise_of_bit_0),
        CASE(test_the_first_wish_counts),
        CASE(test_the_exit_port_powers_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
