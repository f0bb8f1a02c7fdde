/* The registers that belong neither to the CPU nor to another device: what reads give, which writes are a #GP, and what
 * is reported. */
#include "tests/unit/fake_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char last_line[200];
static unsigned lines;

static void note_line(const char *line)
{
    snprintf(last_line, sizeof last_line, "%s", line);
    lines++;
}

static int set_up(void **state)
{
    struct fake_machine *fake = fake_machine_create();

    lines = 0;
    last_line[0] = 0;
    fake->machine.log = note_line;
    *state = fake;
    return 0;
}

static int tear_down(void **state)
{
    fake_machine_destroy(*state);
    return 0;
}

static uint64_t get(struct fake_machine *fake, uint32_t msr)
{
    uint64_t value = 0xdead;

    assert_true(fake_rdmsr(fake, msr, &value));
    return value;
}

static void test_the_clock_is_read_and_cannot_be_moved(void **state)
{
    struct fake_machine *fake = *state;

    fake_now = 123456789;
    assert_int_equal(get(fake, 0x10), 123456789);
    assert_true(fake_wrmsr(fake, 0x10, 0));
    assert_int_equal(get(fake, 0x10), 123456789);
    assert_true(fake_wrmsr(fake, 0x3b, 1000));
    assert_int_equal(get(fake, 0x3b), 0);
    assert_int_equal(get(fake, 0x10), 123456789);
}

static void test_memory_types_are_write_back_at_first(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(get(fake, 0xfe), 0);
    assert_int_equal(get(fake, 0x2ff), 0x806);
    /* As Linux does around setting the PAT. */
    assert_true(fake_wrmsr(fake, 0x2ff, 0x006 & ~0xcff));
    assert_int_equal(get(fake, 0x2ff), 0);
    assert_true(fake_wrmsr(fake, 0x2ff, 0x806));
    assert_int_equal(get(fake, 0x2ff), 0x806);
    for (unsigned type = 0; type < 256; type++)
        assert_int_equal(fake_wrmsr(fake, 0x2ff, type), type == 0 || type == 4 || type == 5 || type == 6);
    assert_false(fake_wrmsr(fake, 0x2ff, 0xc06)); /* fixed ranges, which there are not */
    assert_false(fake_wrmsr(fake, 0x2ff, UINT64_C(1) << 32));
    assert_false(fake_wrmsr(fake, 0xfe, 0));
    uint64_t value;
    assert_false(fake_rdmsr(fake, 0x200, &value)); /* no variable range */
    assert_false(fake_rdmsr(fake, 0x250, &value)); /* no fixed range */
}

static void test_misc_enable_has_one_switch(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(get(fake, 0x1a0), 0x1801);
    assert_true(fake_wrmsr(fake, 0x1a0, 0x1800));
    assert_int_equal(get(fake, 0x1a0), 0x1800);
    assert_true(fake_wrmsr(fake, 0x1a0, 0x1801));
    for (unsigned bit = 1; bit < 64; bit++)
        assert_false(fake_wrmsr(fake, 0x1a0, 0x1801 ^ UINT64_C(1) << bit));
    assert_int_equal(get(fake, 0x1a0), 0x1801);
}

static void test_constants_and_what_may_be_written_to_them(void **state)
{
    enum { NOTHING, SAME, ANYTHING };
    static const struct { uint32_t msr; uint64_t value; int may_write; } rows[] = {
        { 0x00, 0, SAME }, { 0x01, 0, SAME }, { 0x17, 0, NOTHING }, { 0x3a, 1, NOTHING }, { 0x3b, 0, ANYTHING },
        { 0x8b, 0, ANYTHING }, { 0xce, 0, NOTHING }, { 0xfe, 0, NOTHING }, { 0x179, 0, NOTHING }, { 0x17a, 0, SAME },
        { 0x1d9, 0, SAME }, { 0xc0010015, 0x1000000, SAME },
        { 0xc0010055, 0, SAME },
    };
    struct fake_machine *fake = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(get(fake, rows[i].msr), rows[i].value);
        assert_int_equal(fake_wrmsr(fake, rows[i].msr, rows[i].value), rows[i].may_write != NOTHING);
        assert_int_equal(fake_wrmsr(fake, rows[i].msr, 3), rows[i].may_write == ANYTHING);
        assert_int_equal(get(fake, rows[i].msr), rows[i].value);
    }
    /* A known register is no matter for the log, whatever is written. */
    assert_int_equal(lines, 0);
}

static void test_unknown_registers_fault_and_are_reported_once(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t value = 5;

    assert_false(fake_rdmsr(fake, 0xc0010114, &value));
    assert_int_equal(value, 5);
    assert_int_equal(lines, 1);
    assert_string_equal(last_line, "unknown MSR 0xc0010114 read: #GP");
    assert_false(fake_rdmsr(fake, 0xc0010114, &value));
    assert_int_equal(lines, 1);
    assert_false(fake_wrmsr(fake, 0xc0010114, 0));
    assert_string_equal(last_line, "unknown MSR 0xc0010114 written: #GP");
    assert_int_equal(lines, 2);

    for (uint32_t msr = 0x40000000; msr < 0x40000100; msr++)
        assert_false(fake_rdmsr(fake, msr, &value));
    assert_int_equal(lines, 32);
    assert_non_null(strstr(last_line, "more of them are not reported"));
    assert_false(fake_rdmsr(fake, UINT32_MAX, &value));
    assert_int_equal(lines, 32);
}

static void test_probes_that_linux_makes_are_not_reported(void **state)
{
    static const uint32_t msrs[] = { 0x34, 0x4e, 0x140, 0x64e, 0xc0010000, 0xc0010010, 0xc0011020, 0xc0011029 };
    struct fake_machine *fake = *state;
    uint64_t value;

    for (size_t i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
        assert_false(fake_rdmsr(fake, msrs[i], &value));
    assert_int_equal(lines, 0);
    for (size_t i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
        assert_false(fake_wrmsr(fake, msrs[i], 0));
    assert_int_equal(lines, 8);
}

static void test_the_count_of_unknown_registers_is_told_at_the_end(void **state)
{
    struct fake_machine *fake = fake_machine_create();
    uint64_t value;

    (void)state;
    lines = 0;
    fake->machine.log = NULL;
    for (unsigned i = 0; i < 7; i++)
        assert_false(fake_rdmsr(fake, 0x1234, &value));
    fake->machine.log = note_line;
    fake_machine_destroy(fake);
    assert_int_equal(lines, 1);
    assert_string_equal(last_line, "7 accesses to unknown MSRs");
}

/* Whatever a guest writes anywhere: a read gives the same every time, and the constants are what they were. */
static void test_no_sequence_of_writes_makes_a_bad_state(void **state)
{
    static const uint32_t bases[] = { 0, 0x30, 0x80, 0xf0, 0x170, 0x1a0, 0x1d0, 0x2f0, 0xc0000080 };
    struct fake_machine *fake = *state;
    uint32_t seed = 99;

    for (unsigned i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t msr = bases[(seed >> 24) % 9] + (seed >> 20 & 15);
        uint64_t value = (uint64_t)seed << (seed >> 10 & 63), first, second;

        fake_wrmsr(fake, msr, seed & 1 ? value : ~value);
        if (fake_rdmsr(fake, msr, &first)) {
            assert_true(fake_rdmsr(fake, msr, &second));
            assert_int_equal(first, second);
        }
    }
    assert_int_equal(get(fake, 0x1a0) & ~UINT64_C(1), 0x1800);
    assert_int_equal(get(fake, 0x2ff) & ~UINT64_C(0x807), 0);
    assert_int_equal(get(fake, 0x3a), 1);
    assert_int_equal(get(fake, 0x179), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_clock_is_read_and_cannot_be_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_types_are_write_back_at_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_misc_enable_has_one_switch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_constants_and_what_may_be_written_to_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_registers_fault_and_are_reported_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_probes_that_linux_makes_are_not_reported, set_up, tear_down),
        cmocka_unit_test(test_the_count_of_unknown_registers_is_told_at_the_end),
        cmocka_unit_test_setup_teardown(test_no_sequence_of_writes_makes_a_bad_state, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
