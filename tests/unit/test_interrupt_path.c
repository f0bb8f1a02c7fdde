/* A device's interrupt on its whole way: line, I/O APIC, local APIC, virtual CPU, and back with the end of it. */
#include "tests/unit/fake_machine.h"
#include "vmm/devices/local_apic.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LEVEL      0x8000u
#define REMOTE_IRR 0x4000u

static void set_entry(struct fake_machine *fake, unsigned pin, uint32_t low)
{
    fake_store(fake, IOAPIC_BASE, 4, 0x11 + 2 * pin);
    fake_store(fake, IOAPIC_BASE + 0x10, 4, 0);
    fake_store(fake, IOAPIC_BASE, 4, 0x10 + 2 * pin);
    fake_store(fake, IOAPIC_BASE + 0x10, 4, low);
}

static uint64_t entry(struct fake_machine *fake, unsigned pin)
{
    fake_store(fake, IOAPIC_BASE, 4, 0x10 + 2 * pin);
    return fake_load(fake, IOAPIC_BASE + 0x10, 4);
}

/* The CPU takes its next interrupt; -1: there is none. */
static int take(struct fake_machine *fake)
{
    int vector = local_apic_next(fake->machine.local_apic);

    if (vector >= 0)
        local_apic_take(fake->machine.local_apic, (uint8_t)vector);
    return vector;
}

static void end_interrupt(struct fake_machine *fake)
{
    fake_store(fake, LOCAL_APIC_BASE + 0xb0, 4, 0);
}

static int set_up(void **state)
{
    struct fake_machine *fake = fake_machine_create();

    fake_store(fake, LOCAL_APIC_BASE + 0xf0, 4, 0x1ff);
    *state = fake;
    return 0;
}

static int tear_down(void **state)
{
    fake_machine_destroy(*state);
    return 0;
}

static void test_typed_input_interrupts_and_is_read(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, GSI_SERIAL, 0x34);
    fake_out(fake, 0x3fc, 1, 0x08);
    fake_out(fake, 0x3f9, 1, 0x01);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(fake), -1);
        fake_type(fake, "a", 1);
        assert_int_equal(take(fake), 0x34);
        assert_int_equal(fake_in(fake, 0x3f8, 1), 'a');
        end_interrupt(fake);
    }
}

static void test_the_interval_timer_ticks_through_pin_2(void **state)
{
    struct fake_machine *fake = *state;
    unsigned ticks = 0;

    fake_out(fake, 0x43, 1, 0x34);
    fake_out(fake, 0x40, 1, 4773 & 0xff); /* 250 Hz */
    fake_out(fake, 0x40, 1, 4773 >> 8);
    set_entry(fake, GSI_PIT, 0x30);
    for (unsigned i = 0; i < 1000; i++) {
        fake_advance(fake, MILLISECOND);
        while (take(fake) == 0x30) {
            ticks++;
            end_interrupt(fake);
        }
    }
    assert_in_range(ticks, 249, 250);
}

static void test_a_level_interrupt_repeats_until_its_cause_is_gone(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, GSI_ACPI, LEVEL | 0x59);
    fake_out(fake, PORT_PM1_STATUS + 2, 2, 1); /* the PM timer's carry */
    fake_advance(fake, 3 * SECOND);
    assert_int_equal(take(fake), 0x59);
    assert_int_equal(entry(fake, GSI_ACPI), LEVEL | REMOTE_IRR | 0x59);
    assert_int_equal(take(fake), -1);
    end_interrupt(fake);
    assert_int_equal(take(fake), 0x59);
    fake_out(fake, PORT_PM1_STATUS, 2, 1);
    end_interrupt(fake);
    assert_int_equal(take(fake), -1);
    assert_int_equal(entry(fake, GSI_ACPI), LEVEL | 0x59);
}

static void test_a_level_interrupt_that_comes_while_the_apic_is_off_is_not_stuck(void **state)
{
    struct fake_machine *fake = *state;

    fake_store(fake, LOCAL_APIC_BASE + 0xf0, 4, 0x0ff);
    set_entry(fake, GSI_ACPI, LEVEL | 0x59);
    fake_out(fake, PORT_PM1_STATUS + 2, 2, 1);
    fake_advance(fake, 3 * SECOND);
    assert_int_equal(take(fake), -1);
    fake_store(fake, LOCAL_APIC_BASE + 0xf0, 4, 0x1ff);
    set_entry(fake, GSI_ACPI, LEVEL | 0x59);
    assert_int_equal(take(fake), 0x59);
}

static void test_every_device_is_there_and_leaves_nothing_behind(void **state)
{
    struct fake_machine *fake = *state;

    assert_true(fake->machine.device_count >= 12);
    fake_out(fake, 0x43, 1, 0x34);
    fake_out(fake, 0x40, 1, 1);
    fake_out(fake, 0x40, 1, 0);
    fake_out(fake, 0x70, 1, 0x0b);
    fake_out(fake, 0x71, 1, 0x72);
    fake_out(fake, PORT_PM1_STATUS + 2, 2, 1);
    fake->output_room = 0;
    fake_out(fake, 0x3f8, 1, 'x');
    fake_store(fake, LOCAL_APIC_BASE + 0x380, 4, 1000);
    assert_int_equal(fake->machine.timers.armed, 5);
    devices_destroy(&fake->machine);
    assert_int_equal(fake->machine.timers.armed, 0);
    for (unsigned space = 0; space < BUS_SPACE_COUNT; space++)
        assert_int_equal(fake->machine.bus.count[space], 0);
    assert_null(fake->machine.ioapic);
    assert_null(fake->machine.local_apic);
    assert_null(fake->machine.console_input);
    machine_set_irq(&fake->machine, 4, true); /* goes nowhere */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_typed_input_interrupts_and_is_read),
        CASE(test_the_interval_timer_ticks_through_pin_2),
        CASE(test_a_level_interrupt_repeats_until_its_cause_is_gone),
        CASE(test_a_level_interrupt_that_comes_while_the_apic_is_off_is_not_stuck),
        CASE(test_every_device_is_there_and_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
