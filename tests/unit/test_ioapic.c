/* The I/O APIC: pins, redirection entries and the messages that come of them. */
#include "tests/unit/fake_machine.h"
#include "vmm/devices/ioapic.h"
#include "vmm/devices/local_apic.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MASKED     0x10000u
#define LEVEL      0x8000u
#define REMOTE_IRR 0x4000u
#define ACTIVE_LOW 0x2000u
#define LOGICAL    0x0800u

/* Stands in for the local APIC. */
static struct {
    bool accepts, takes;
    unsigned messages;
    uint8_t vector, destination;
    bool level, logical;
} receiver;

bool local_apic_accepts(const struct local_apic *apic, uint8_t destination, bool logical)
{
    (void)apic;
    receiver.destination = destination;
    receiver.logical = logical;
    return receiver.accepts;
}

bool local_apic_deliver(struct local_apic *apic, uint8_t vector, bool level)
{
    (void)apic;
    receiver.messages += receiver.takes;
    receiver.vector = vector;
    receiver.level = level;
    return receiver.takes;
}

static uint32_t get(struct fake_machine *fake, uint8_t number)
{
    fake_store(fake, IOAPIC_BASE, 4, number);
    return (uint32_t)fake_load(fake, IOAPIC_BASE + 0x10, 4);
}

static void set(struct fake_machine *fake, uint8_t number, uint32_t value)
{
    fake_store(fake, IOAPIC_BASE, 4, number);
    fake_store(fake, IOAPIC_BASE + 0x10, 4, value);
}

static void set_entry(struct fake_machine *fake, unsigned pin, uint8_t destination, uint32_t low)
{
    set(fake, (uint8_t)(0x11 + 2 * pin), (uint32_t)destination << 24);
    set(fake, (uint8_t)(0x10 + 2 * pin), low);
}

static uint32_t entry(struct fake_machine *fake, unsigned pin)
{
    return get(fake, (uint8_t)(0x10 + 2 * pin));
}

static void line(struct fake_machine *fake, unsigned pin, bool level)
{
    machine_set_irq(&fake->machine, pin, level);
}

static int set_up(void **state)
{
    struct fake_machine *fake = fake_machine_create();

    fake->machine.local_apic = (struct local_apic *)fake; /* never looked into here */
    receiver = (__typeof__(receiver)) { .accepts = true, .takes = true };
    *state = fake;
    return 0;
}

static int tear_down(void **state)
{
    fake_machine_destroy(*state);
    return 0;
}

static void test_it_has_24_masked_pins_and_an_eoi_register(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(get(fake, 1), 0x00170020);
    for (unsigned pin = 0; pin < 24; pin++)
        assert_int_equal(entry(fake, pin), MASKED);
    for (unsigned pin = 0; pin < 24; pin++) {
        line(fake, pin, true);
        line(fake, pin, false);
    }
    assert_int_equal(receiver.messages, 0);
}

static void test_an_edge_sends_one_message_each_time_the_line_rises(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 4, 0x05, LOGICAL | 0x34);
    line(fake, 4, true);
    assert_int_equal(receiver.messages, 1);
    assert_int_equal(receiver.vector, 0x34);
    assert_int_equal(receiver.destination, 0x05);
    assert_true(receiver.logical);
    assert_false(receiver.level);
    line(fake, 4, true);
    line(fake, 4, false);
    assert_int_equal(receiver.messages, 1);
    line(fake, 4, true);
    assert_int_equal(receiver.messages, 2);
    assert_int_equal(entry(fake, 4) & REMOTE_IRR, 0);
}

static void test_an_edge_while_masked_is_lost(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 4, 0, MASKED | 0x34);
    line(fake, 4, true);
    set_entry(fake, 4, 0, 0x34);
    assert_int_equal(receiver.messages, 0);
    line(fake, 4, false);
    line(fake, 4, true);
    assert_int_equal(receiver.messages, 1);
}

static void test_an_active_low_edge_is_a_fall(void **state)
{
    struct fake_machine *fake = *state;

    line(fake, 6, true);
    set_entry(fake, 6, 0, ACTIVE_LOW | 0x40);
    assert_int_equal(receiver.messages, 0);
    line(fake, 6, false);
    assert_int_equal(receiver.messages, 1);
}

static void test_a_level_sends_again_after_each_end_for_as_long_as_it_lasts(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 9, 0, LEVEL | 0x59);
    line(fake, 9, true);
    assert_int_equal(receiver.messages, 1);
    assert_true(receiver.level);
    assert_int_equal(entry(fake, 9), LEVEL | REMOTE_IRR | 0x59);
    line(fake, 9, false);
    line(fake, 9, true); /* still in service */
    assert_int_equal(receiver.messages, 1);
    ioapic_end_of_interrupt(fake->machine.ioapic, 0x59);
    assert_int_equal(receiver.messages, 2);
    line(fake, 9, false);
    ioapic_end_of_interrupt(fake->machine.ioapic, 0x58); /* somebody else's */
    assert_int_equal(entry(fake, 9) & REMOTE_IRR, REMOTE_IRR);
    ioapic_end_of_interrupt(fake->machine.ioapic, 0x59);
    assert_int_equal(receiver.messages, 2);
    assert_int_equal(entry(fake, 9) & REMOTE_IRR, 0);
}

static void test_a_level_that_was_masked_sends_when_it_is_unmasked(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 9, 0, MASKED | LEVEL | 0x59);
    line(fake, 9, true);
    assert_int_equal(receiver.messages, 0);
    set_entry(fake, 9, 0, LEVEL | 0x59);
    assert_int_equal(receiver.messages, 1);
    line(fake, 9, false);
    set_entry(fake, 10, 0, ACTIVE_LOW | LEVEL | 0x5a); /* a low line is active at once */
    assert_int_equal(receiver.messages, 2);
}

static void test_a_level_that_nobody_takes_is_offered_again(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 9, 0, LEVEL | 0x59);
    receiver.takes = false;
    line(fake, 9, true);
    assert_int_equal(entry(fake, 9) & REMOTE_IRR, 0);
    receiver.takes = true;
    set_entry(fake, 9, 0, LEVEL | 0x59);
    assert_int_equal(receiver.messages, 1);
}

static void test_a_message_for_another_apic_goes_nowhere(void **state)
{
    struct fake_machine *fake = *state;

    receiver.accepts = false;
    set_entry(fake, 4, 7, 0x34);
    line(fake, 4, true);
    assert_int_equal(receiver.messages, 0);
    assert_int_equal(receiver.destination, 7);
}

static void test_the_eoi_register_ends_a_level_interrupt(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 9, 0, LEVEL | 0x59);
    line(fake, 9, true);
    line(fake, 9, false);
    fake_store(fake, IOAPIC_BASE + 0x40, 4, 0x59);
    assert_int_equal(entry(fake, 9) & REMOTE_IRR, 0);
}

static void test_making_a_pin_edge_triggered_clears_its_remote_irr(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 9, 0, LEVEL | 0x59);
    line(fake, 9, true);
    set_entry(fake, 9, 0, MASKED | 0x59);
    assert_int_equal(entry(fake, 9), MASKED | 0x59);
    set_entry(fake, 9, 0, LEVEL | 0x59);
    assert_int_equal(receiver.messages, 2);
}

static void test_read_only_bits_are_not_written(void **state)
{
    struct fake_machine *fake = *state;

    set_entry(fake, 3, 0xff, 0xffffffff);
    assert_int_equal(entry(fake, 3), 0x1afff); /* no delivery status, no remote IRR */
    assert_int_equal(get(fake, 0x11 + 6), 0xff000000);
    set(fake, 0, 0xffffffff);
    assert_int_equal(get(fake, 0), 0x0f000000);
    set(fake, 1, 0);
    assert_int_equal(get(fake, 1), 0x00170020);
}

static void test_other_delivery_modes_have_no_receiver(void **state)
{
    struct fake_machine *fake = *state;

    for (unsigned mode = 0; mode < 8; mode++) {
        unsigned before = receiver.messages;

        set_entry(fake, 5, 0, mode << 8 | 0x40);
        line(fake, 5, true);
        line(fake, 5, false);
        assert_int_equal(receiver.messages - before, mode < 2);
    }
}

static void test_registers_that_are_not_there(void **state)
{
    struct fake_machine *fake = *state;

    for (unsigned number = 3; number < 256; number++) {
        if (number >= 0x10 && number < 0x40)
            continue;
        set(fake, (uint8_t)number, 0);
        assert_int_equal(get(fake, (uint8_t)number), 0xffffffff);
    }
    assert_int_equal(fake_load(fake, IOAPIC_BASE + 4, 4), 0);
    assert_int_equal(fake_load(fake, IOAPIC_BASE + 0xffc, 4), 0);
    fake_store(fake, IOAPIC_BASE + 0x14, 4, 0xffffffff);
    assert_int_equal(fake_load(fake, IOAPIC_BASE, 8), 0);
    fake_store(fake, IOAPIC_BASE, 1, 0x01);
    assert_int_equal(fake_load(fake, IOAPIC_BASE + 0x10, 4), 0x00170020);
    fake_store(fake, IOAPIC_BASE, 4, 0x12);
    fake_store(fake, IOAPIC_BASE + 0x10, 1, 0x44); /* half a register is not written */
    assert_int_equal(entry(fake, 1), MASKED);
}

static void test_pins_that_are_not_there(void **state)
{
    struct fake_machine *fake = *state;

    for (unsigned pin = 24; pin < 300; pin++)
        line(fake, pin, true);
    line(fake, UINT32_MAX, true);
    assert_int_equal(receiver.messages, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_it_has_24_masked_pins_and_an_eoi_register),
        CASE(test_an_edge_sends_one_message_each_time_the_line_rises),
        CASE(test_an_edge_while_masked_is_lost),
        CASE(test_an_active_low_edge_is_a_fall),
        CASE(test_a_level_sends_again_after_each_end_for_as_long_as_it_lasts),
        CASE(test_a_level_that_was_masked_sends_when_it_is_unmasked),
        CASE(test_a_level_that_nobody_takes_is_offered_again),
        CASE(test_a_message_for_another_apic_goes_nowhere),
        CASE(test_the_eoi_register_ends_a_level_interrupt),
        CASE(test_making_a_pin_edge_triggered_clears_its_remote_irr),
        CASE(test_read_only_bits_are_not_written),
        CASE(test_other_delivery_modes_have_no_receiver),
        CASE(test_registers_that_are_not_there),
        CASE(test_pins_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
