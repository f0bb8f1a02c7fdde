/* The serial port as a guest's driver meets it. */
#include "tests/unit/fake_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DATA 0x3f8u
#define IER  0x3f9u
#define IIR  0x3fau
#define FCR  0x3fau
#define LCR  0x3fbu
#define MCR  0x3fcu
#define LSR  0x3fdu
#define MSR  0x3feu
#define SCR  0x3ffu

#define OUT2 0x08u
#define LOOP 0x10u

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

static void enable_fifo(struct fake_machine *fake)
{
    out(fake, FCR, 0x01);
}

static void assert_output(const struct fake_machine *fake, const char *text)
{
    assert_int_equal(fake->output_length, strlen(text));
    assert_memory_equal(fake->output, text, strlen(text));
}

static void test_written_bytes_appear_on_the_console_at_once(void **state)
{
    struct fake_machine *fake = *state;

    for (const char *c = "hello"; *c; c++) {
        assert_int_equal(in(fake, LSR) & 0x60, 0x60);
        out(fake, DATA, (uint8_t)*c);
    }
    assert_output(fake, "hello");
}

static void test_a_full_console_keeps_the_transmitter_full_and_loses_nothing(void **state)
{
    struct fake_machine *fake = *state;

    fake->output_room = 1;
    out(fake, DATA, 'a');
    out(fake, DATA, 'b');
    assert_output(fake, "a");
    assert_int_equal(in(fake, LSR) & 0x60, 0);
    fake->output_room = SIZE_MAX;
    fake_advance(fake, MILLISECOND);
    assert_output(fake, "ab");
    assert_int_equal(in(fake, LSR) & 0x60, 0x60);
}

static void test_a_guest_that_polls_sees_room_as_soon_as_there_is_some(void **state)
{
    struct fake_machine *fake = *state;

    fake->output_room = 0;
    out(fake, DATA, 'p');
    assert_int_equal(in(fake, LSR) & 0x60, 0);
    fake->output_room = SIZE_MAX;
    assert_int_equal(in(fake, LSR) & 0x60, 0x60);
    assert_output(fake, "p");
}

static void test_a_console_that_stays_full_costs_a_thousand_retries_a_second(void **state)
{
    struct fake_machine *fake = *state;

    fake->output_room = 0;
    out(fake, DATA, 'x');
    assert_in_range(fake_advance(fake, SECOND), 999, 1001);
    assert_int_equal(in(fake, LSR) & 0x20, 0);
}

static void test_with_fifos_sixteen_bytes_wait_for_the_console(void **state)
{
    struct fake_machine *fake = *state;

    enable_fifo(fake);
    fake->output_room = 0;
    for (char c = 'a'; c < 'a' + 16; c++)
        out(fake, DATA, (uint8_t)c);
    fake->output_room = 5;
    fake_advance(fake, MILLISECOND);
    assert_output(fake, "abcde");
    assert_int_equal(in(fake, LSR) & 0x20, 0); /* the bit says empty, not room */
    fake->output_room = SIZE_MAX;
    fake_advance(fake, MILLISECOND);
    assert_output(fake, "abcdefghijklmnop");
    assert_int_equal(in(fake, LSR) & 0x60, 0x60);
}

static void test_clearing_the_transmitter_does_not_lose_text(void **state)
{
    struct fake_machine *fake = *state;

    enable_fifo(fake);
    fake->output_room = 0;
    out(fake, DATA, 'k');
    out(fake, FCR, 0x07);
    out(fake, FCR, 0x00);
    fake->output_room = SIZE_MAX;
    fake_advance(fake, MILLISECOND);
    assert_output(fake, "k");
}

static void test_input_is_there_when_the_guest_looks(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(in(fake, LSR) & 1, 0);
    fake_type(fake, "ab", 2);
    assert_int_equal(in(fake, LSR) & 1, 1);
    assert_int_equal(in(fake, DATA), 'a');
    assert_int_equal(in(fake, DATA), 'b');
    assert_int_equal(in(fake, LSR) & 1, 0);
    assert_int_equal(in(fake, DATA), 0);
}

static void test_input_beyond_the_fifo_waits_in_the_console_and_none_overruns(void **state)
{
    struct fake_machine *fake = *state;
    uint8_t typed[1000];

    enable_fifo(fake);
    for (unsigned i = 0; i < sizeof typed; i++)
        typed[i] = (uint8_t)(i * 7);
    fake_type(fake, typed, sizeof typed);
    assert_int_equal(fake->input_read, 16);
    for (unsigned i = 0; i < sizeof typed; i++) {
        assert_int_equal(in(fake, LSR) & 3, 1);
        assert_int_equal(in(fake, DATA), typed[i]);
    }
    assert_int_equal(in(fake, LSR) & 1, 0);
}

static void test_the_receive_interrupt_comes_with_input_and_goes_with_the_last_byte(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, MCR, OUT2);
    out(fake, IER, 0x01);
    assert_int_equal(in(fake, IIR), 0x01);
    fake_type(fake, "xy", 2);
    assert_true(fake->irq_level[GSI_SERIAL]);
    assert_int_equal(in(fake, IIR), 0x04);
    in(fake, DATA);
    assert_true(fake->irq_level[GSI_SERIAL]);
    in(fake, DATA);
    assert_false(fake->irq_level[GSI_SERIAL]);
    assert_int_equal(in(fake, IIR), 0x01);
    assert_int_equal(fake->irq_edges[GSI_SERIAL], 1);
}

static void test_below_the_trigger_level_the_interrupt_is_a_timeout(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, FCR, 0x81); /* 8 bytes */
    out(fake, IER, 0x01);
    fake_type(fake, "1234567", 7);
    assert_int_equal(in(fake, IIR), 0xcc);
    fake_type(fake, "8", 1);
    assert_int_equal(in(fake, IIR), 0xc4);
}

static void test_the_line_is_gated_by_out2(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, IER, 0x02);
    assert_int_equal(in(fake, IIR), 0x02); /* pending, not on the line; and read, so no longer pending */
    assert_false(fake->irq_level[GSI_SERIAL]);
    out(fake, IER, 0);
    out(fake, IER, 0x02);
    out(fake, MCR, OUT2);
    assert_true(fake->irq_level[GSI_SERIAL]);
    out(fake, MCR, OUT2 | LOOP);
    assert_false(fake->irq_level[GSI_SERIAL]);
}

static void test_enabling_the_transmitter_interrupt_raises_it_while_the_transmitter_is_empty(void **state)
{
    struct fake_machine *fake = *state;

    /* The two tests of Linux's 8250 driver at start-up: each time the enable bit goes up. */
    for (int i = 0; i < 3; i++) {
        out(fake, IER, 0x02);
        assert_int_equal(in(fake, IIR), 0x02);
        assert_int_equal(in(fake, IIR), 0x01); /* reading it took it away */
        out(fake, IER, 0x00);
    }
    out(fake, IER, 0x02);
    assert_int_equal(in(fake, LSR) & 0x40, 0x40);
    assert_int_equal(in(fake, IIR), 0x02);
}

static void test_every_byte_written_brings_one_more_transmitter_interrupt(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, MCR, OUT2);
    out(fake, IER, 0x02);
    in(fake, IIR);
    for (unsigned i = 0; i < 10; i++) {
        unsigned edges = fake->irq_edges[GSI_SERIAL];

        assert_false(fake->irq_level[GSI_SERIAL]);
        out(fake, DATA, 'z');
        assert_int_equal(fake->irq_edges[GSI_SERIAL], edges + 1);
        assert_int_equal(in(fake, IIR), 0x02);
    }
}

static void test_the_transmitter_interrupt_waits_for_the_console(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, MCR, OUT2);
    out(fake, IER, 0x02);
    in(fake, IIR);
    fake->output_room = 0;
    out(fake, DATA, 'q');
    assert_int_equal(in(fake, IIR), 0x01);
    fake->output_room = SIZE_MAX;
    fake_advance(fake, MILLISECOND);
    assert_true(fake->irq_level[GSI_SERIAL]);
    assert_int_equal(in(fake, IIR), 0x02);
}

static void test_interrupts_are_reported_by_priority(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, MCR, LOOP);
    out(fake, DATA, 1);
    out(fake, DATA, 2); /* overrun, as there is no FIFO */
    out(fake, MCR, LOOP | 0x01); /* DTR: a change of DSR */
    out(fake, IER, 0x0f);
    assert_int_equal(in(fake, IIR), 0x06);
    assert_int_equal(in(fake, LSR) & 0x02, 0x02);
    assert_int_equal(in(fake, IIR), 0x04);
    assert_int_equal(in(fake, DATA), 1);
    assert_int_equal(in(fake, IIR), 0x02);
    assert_int_equal(in(fake, IIR), 0x00);
    assert_int_equal(in(fake, MSR) & 0x02, 0x02);
    assert_int_equal(in(fake, IIR), 0x01);
    assert_int_equal(in(fake, LSR) & 0x02, 0);
}

static void test_loop_back_connects_the_modem_outputs_to_the_inputs(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(in(fake, MSR) & 0xf0, 0xb0); /* a terminal is there */
    out(fake, MCR, LOOP | OUT2 | 0x02);           /* the probe of Linux's driver */
    assert_int_equal(in(fake, MSR) & 0xf0, 0x90);
    out(fake, MCR, LOOP | 0x04);
    assert_int_equal(in(fake, MSR) & 0xf0, 0x40);
    out(fake, MCR, LOOP);
    assert_int_equal(in(fake, MSR), 0x04); /* the trailing edge of RI, and no line is up */
    out(fake, MCR, 0);
    assert_int_equal(in(fake, MSR) & 0xf0, 0xb0);
}

static void test_loop_back_keeps_bytes_off_the_console(void **state)
{
    struct fake_machine *fake = *state;

    enable_fifo(fake);
    out(fake, MCR, LOOP);
    fake_type(fake, "no", 2);
    for (uint8_t i = 0; i < 16; i++)
        out(fake, DATA, i);
    assert_int_equal(in(fake, LSR) & 0x03, 0x01);
    out(fake, DATA, 99);
    assert_int_equal(in(fake, LSR) & 0x03, 0x03);
    for (uint8_t i = 0; i < 16; i++)
        assert_int_equal(in(fake, DATA), i);
    assert_output(fake, "");
    out(fake, MCR, 0);
    assert_int_equal(in(fake, DATA), 'n');
}

static void test_registers_keep_what_a_16550_keeps(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, IER, 0xff);
    assert_int_equal(in(fake, IER), 0x0f);
    out(fake, IER, 0x00);
    out(fake, MCR, 0xe0);
    assert_int_equal(in(fake, MCR), 0x00);
    out(fake, SCR, 0x5a);
    assert_int_equal(in(fake, SCR), 0x5a);
    assert_int_equal(in(fake, IIR) & 0xc0, 0x00);
    out(fake, FCR, 0x01);
    assert_int_equal(in(fake, IIR) & 0xe0, 0xc0); /* a 16550A, and no 64-byte FIFO */
    out(fake, FCR, 0xe0);
    assert_int_equal(in(fake, IIR) & 0xc0, 0x00);
}

static void test_the_divisor_lies_behind_the_first_two_registers(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, IER, 0x05);
    out(fake, LCR, 0x83);
    out(fake, DATA, 0x0c);
    out(fake, IER, 0x01);
    assert_int_equal(in(fake, DATA), 0x0c);
    assert_int_equal(in(fake, IER), 0x01);
    out(fake, LCR, 0x03);
    assert_int_equal(in(fake, LCR), 0x03);
    assert_int_equal(in(fake, IER), 0x05);
    assert_output(fake, "");
}

static void test_what_linux_takes_for_special_uarts_is_not_there(void **state)
{
    struct fake_machine *fake = *state;

    out(fake, FCR, 0x01);
    out(fake, LCR, 0x80);
    assert_int_not_equal(in(fake, IIR), 0); /* no extended features register */
    out(fake, LCR, 0xbf);
    assert_int_not_equal(in(fake, IIR), 0);
    out(fake, LCR, 0xe0);
    assert_int_equal(in(fake, IIR) & 0x10, 0); /* no second bank with a copy of the MCR's loop bit */
    out(fake, LCR, 0);
    out(fake, IER, 0x40);
    assert_int_equal(in(fake, IER) & 0x40, 0);
}

static void test_clearing_the_receiver_drops_what_is_in_it(void **state)
{
    struct fake_machine *fake = *state;

    enable_fifo(fake);
    fake_type(fake, "old", 3);
    out(fake, FCR, 0x03);
    assert_int_equal(in(fake, LSR) & 1, 0);
    fake_type(fake, "n", 1);
    assert_int_equal(in(fake, DATA), 'n');
}

static void test_wider_accesses_find_nobody(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(fake_in(fake, DATA, 2), 0xffff);
    fake_out(fake, DATA, 4, 0x41424344);
    assert_output(fake, "");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_written_bytes_appear_on_the_console_at_once),
        CASE(test_a_full_console_keeps_the_transmitter_full_and_loses_nothing),
        CASE(test_a_guest_that_polls_sees_room_as_soon_as_there_is_some),
        CASE(test_a_console_that_stays_full_costs_a_thousand_retries_a_second),
        CASE(test_with_fifos_sixteen_bytes_wait_for_the_console),
        CASE(test_clearing_the_transmitter_does_not_lose_text),
        CASE(test_input_is_there_when_the_guest_looks),
        CASE(test_input_beyond_the_fifo_waits_in_the_console_and_none_overruns),
        CASE(test_the_receive_interrupt_comes_with_input_and_goes_with_the_last_byte),
        CASE(test_below_the_trigger_level_the_interrupt_is_a_timeout),
        CASE(test_the_line_is_gated_by_out2),
        CASE(test_enabling_the_transmitter_interrupt_raises_it_while_the_transmitter_is_empty),
        CASE(test_every_byte_written_brings_one_more_transmitter_interrupt),
        CASE(test_the_transmitter_interrupt_waits_for_the_console),
        CASE(test_interrupts_are_reported_by_priority),
        CASE(test_loop_back_connects_the_modem_outputs_to_the_inputs),
        CASE(test_loop_back_keeps_bytes_off_the_console),
        CASE(test_registers_keep_what_a_16550_keeps),
        CASE(test_the_divisor_lies_behind_the_first_two_registers),
        CASE(test_what_linux_takes_for_special_uarts_is_not_there),
        CASE(test_clearing_the_receiver_drops_what_is_in_it),
        CASE(test_wider_accesses_find_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
