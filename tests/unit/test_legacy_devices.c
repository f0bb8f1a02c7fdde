/* What of a PC is there to be found absent or idle: interrupt controllers, keyboard controller, PCI, delay ports. */
#include "tests/unit/fake_machine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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

static uint8_t in(struct fake_machine *fake, uint16_t port)
{
    return (uint8_t)fake_in(fake, port, 1);
}

static void out(struct fake_machine *fake, uint16_t port, uint8_t value)
{
    fake_out(fake, port, 1, value);
}

static void test_linux_finds_the_interrupt_controllers(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0xa1, 0xff);
    out(fake, 0x21, 0xfb);
    assert_int_equal(in(fake, 0x21), 0xfb);
    assert_int_equal(in(fake, 0xa1), 0xff);
}

static void test_their_initialization_takes_its_words_and_then_the_mask(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0x20, 0x11);
    out(fake, 0x21, 0x20);
    out(fake, 0x21, 0x04);
    out(fake, 0x21, 0x01);
    assert_int_equal(in(fake, 0x21), 0x00);
    out(fake, 0x21, 0xab);
    assert_int_equal(in(fake, 0x21), 0xab);
    out(fake, 0xa0, 0x12); /* single, no ICW4: one word */
    out(fake, 0xa1, 0x28);
    out(fake, 0xa1, 0xcd);
    assert_int_equal(in(fake, 0xa1), 0xcd);
    out(fake, 0x20, 0x20); /* end of interrupt */
    out(fake, 0x20, 0x0b); /* read the ISR */
    assert_int_equal(in(fake, 0x20), 0);
    assert_int_equal(in(fake, 0x21), 0xab);
}

static void test_the_edge_level_registers_keep_their_writable_bits(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0x4d0, 0xff);
    out(fake, 0x4d1, 0xff);
    assert_int_equal(in(fake, 0x4d0), 0xf8);
    assert_int_equal(in(fake, 0x4d1), 0xde);
}

/* What a driver does after a command; it must not have to wait. */
static uint8_t answer(struct fake_machine *fake)
{
    assert_int_equal(in(fake, 0x64) & 0x01, 0x01);
    return in(fake, 0x60);
}

static void test_the_keyboard_controller_passes_its_self_test(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(in(fake, 0x64) & 0x03, 0); /* nothing to read, ready for a command */
    out(fake, 0x64, 0xaa);
    assert_int_equal(answer(fake), 0x55);
    assert_int_equal(in(fake, 0x64) & 0x15, 0x14);
    out(fake, 0x64, 0x60);
    out(fake, 0x60, 0x74);
    out(fake, 0x64, 0x20);
    assert_int_equal(answer(fake), 0x74);
    out(fake, 0x64, 0xab);
    assert_int_equal(answer(fake), 0x00);
}

static void test_there_is_no_auxiliary_port(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0x64, 0xd3);
    out(fake, 0x60, 0x5a);
    assert_int_equal(in(fake, 0x64) & 0x21, 0x01); /* not from the auxiliary device */
    assert_int_equal(answer(fake), 0x5a);
    out(fake, 0x64, 0xa9);
    assert_int_equal(answer(fake), 0x01);
    out(fake, 0x64, 0xd4);
    out(fake, 0x60, 0xf2);
    assert_int_equal(in(fake, 0x64) & 0x01, 0);
}

static void test_a_keyboard_command_is_refused_at_once_with_an_interrupt(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0x64, 0x60);
    out(fake, 0x60, 0x45);
    out(fake, 0x60, 0xf2); /* identify */
    assert_true(fake->irq_level[1]);
    assert_int_equal(in(fake, 0x64) & 0x41, 0x41);
    assert_int_equal(in(fake, 0x60), 0xfe);
    assert_false(fake->irq_level[1]);
    assert_int_equal(in(fake, 0x64) & 0x41, 0);
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
}

static void test_the_reset_pulse_resets(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0x64, 0xff); /* pulses nothing */
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
    out(fake, 0x64, 0xfe);
    assert_int_equal(fake->machine.end, MACHINE_RESET);
}

static void test_the_output_port_has_a20_and_the_reset_line(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0x64, 0xd0);
    assert_int_equal(answer(fake) & 0x03, 0x03);
    out(fake, 0x64, 0xd1);
    out(fake, 0x60, 0xdd);
    out(fake, 0x64, 0xd0);
    assert_int_equal(answer(fake), 0xdd);
    assert_int_equal(fake->machine.end, MACHINE_RUNS);
    out(fake, 0x64, 0xd1);
    out(fake, 0x60, 0xfe);
    assert_int_equal(fake->machine.end, MACHINE_RESET);
}

static void test_no_pci_function_answers(void **state)
{
    struct fake_machine *fake = *state;

    /* Linux's test for mechanism #1. */
    out(fake, 0xcfb, 0x01);
    fake_out(fake, 0xcf8, 4, 0x80000000);
    assert_int_equal(fake_in(fake, 0xcf8, 4), 0x80000000);
    for (unsigned function = 0; function < 256; function++) {
        fake_out(fake, 0xcf8, 4, 0x80000000 | function << 8);
        assert_int_equal(fake_in(fake, 0xcfc, 4), 0xffffffff);
        assert_int_equal(fake_in(fake, 0xcfe, 2), 0xffff);
        assert_int_equal(fake_in(fake, 0xcff, 1), 0xff);
    }
    /* And for mechanism #2, which is not there. */
    out(fake, 0xcf8, 0);
    out(fake, 0xcfa, 0);
    assert_int_equal(in(fake, 0xcf8), 0xff);
    assert_int_equal(in(fake, 0xcfa), 0xff);
}

static void test_delay_ports_keep_their_byte(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, 0x80, 0x12);
    out(fake, 0xed, 0x34);
    assert_int_equal(in(fake, 0x80), 0x12);
    assert_int_equal(in(fake, 0xed), 0x34);
    assert_int_equal(fake->machine.bus.unclaimed[BUS_PORT], 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_linux_finds_the_interrupt_controllers),
        CASE(test_their_initialization_takes_its_words_and_then_the_mask),
        CASE(test_the_edge_level_registers_keep_their_writable_bits),
        CASE(test_the_keyboard_controller_passes_its_self_test),
        CASE(test_there_is_no_auxiliary_port),
        CASE(test_a_keyboard_command_is_refused_at_once_with_an_interrupt),
        CASE(test_the_reset_pulse_resets),
        CASE(test_the_output_port_has_a20_and_the_reset_line),
        CASE(test_no_pci_function_answers),
        CASE(test_delay_ports_keep_their_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
