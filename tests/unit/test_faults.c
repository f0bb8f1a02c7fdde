/* Exits go to their handlers by priority; the record of exits. */
#include "tests/unit/fake_vcpu.h"
#include "vmm/faults.h"
#include "vmm/start.h"
#include "vmm/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char order[16];

static enum fault_result note(const char *name, enum fault_result result)
{
    if (strlen(order) + 1 < sizeof order)
        strcat(order, name);
    return result;
}

static enum fault_result pass(void *context, const struct vcpu_exit *exit)
{
    (void)exit;
    return note(context, FAULT_PASS);
}

static enum fault_result handle(void *context, const struct vcpu_exit *exit)
{
    (void)exit;
    return note(context, FAULT_HANDLED);
}

static enum fault_result stop(void *context, const struct vcpu_exit *exit)
{
    (void)exit;
    return note(context, FAULT_STOP);
}

static const struct vcpu_exit halt = { .kind = VCPU_EXIT_HALT };

static void test_the_highest_priority_is_asked_first_and_equal_ones_in_their_order(void **state)
{
    struct fault_router router = { 0 };

    (void)state;
    order[0] = '\0';
    assert_true(fault_register(&router, VCPU_EXIT_HALT, 128, pass, "b"));
    assert_true(fault_register(&router, VCPU_EXIT_HALT, 128, pass, "c"));
    assert_true(fault_register(&router, VCPU_EXIT_HALT, 0, handle, "d"));
    assert_true(fault_register(&router, VCPU_EXIT_HALT, 255, pass, "a"));
    assert_int_equal(fault_route(&router, &halt), FAULT_HANDLED);
    assert_string_equal(order, "abcd");
}

static void test_whoever_does_not_pass_an_exit_on_decides(void **state)
{
    struct fault_router router = { 0 };

    (void)state;
    order[0] = '\0';
    fault_register(&router, VCPU_EXIT_HALT, 1, handle, "h");
    fault_register(&router, VCPU_EXIT_HALT, 2, stop, "s");
    assert_int_equal(fault_route(&router, &halt), FAULT_STOP);
    assert_string_equal(order, "s");
}

static void test_an_exit_of_another_kind_goes_to_nobody(void **state)
{
    struct fault_router router = { 0 };
    const struct vcpu_exit cpuid = { .kind = VCPU_EXIT_CPUID }, nonsense = { .kind = VCPU_EXIT_KIND_COUNT };

    (void)state;
    fault_register(&router, VCPU_EXIT_HALT, 1, handle, "h");
    assert_int_equal(fault_route(&router, &cpuid), FAULT_PASS);
    assert_int_equal(fault_route(&router, &nonsense), FAULT_PASS);
    assert_false(fault_register(&router, VCPU_EXIT_KIND_COUNT, 1, handle, "h"));
}

static void test_handlers_come_and_go_up_to_a_number(void **state)
{
    struct fault_router router = { 0 };

    (void)state;
    for (unsigned i = 0; i < FAULT_HANDLERS_MAX; i++)
        assert_true(fault_register(&router, VCPU_EXIT_HALT, (uint8_t)i, pass, i == 2 ? "x" : "y"));
    assert_false(fault_register(&router, VCPU_EXIT_HALT, 9, pass, "z"));
    fault_unregister(&router, VCPU_EXIT_HALT, pass, "x");
    order[0] = '\0';
    assert_int_equal(fault_route(&router, &halt), FAULT_PASS);
    assert_string_equal(order, "yyy");
    assert_true(fault_register(&router, VCPU_EXIT_HALT, 9, handle, "z"));
    fault_unregister(&router, VCPU_EXIT_HALT, handle, "not there");
    assert_int_equal(fault_route(&router, &halt), FAULT_HANDLED);
}

static char lines[32][200];
static unsigned line_count;

static void keep_line(void *context, const char *text)
{
    assert_ptr_equal(context, lines);
    if (line_count < 32)
        snprintf(lines[line_count++], sizeof lines[0], "%s", text);
}

static void test_the_record_shows_the_last_exits_and_folds_repetitions(void **state)
{
    struct exit_trace trace = { 0 };
    struct vcpu_exit exit = { .kind = VCPU_EXIT_IO, .raw_reason = 30, .qualification = 0x03f80000 };

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        trace_exit(&trace, &exit, 0x1000, 0);
    exit.kind = VCPU_EXIT_MEMORY;
    exit.raw_reason = 48;
    exit.qualification = 0x181;
    exit.guest_physical = 0xfee00020;
    trace_exit(&trace, &exit, 0x2000, 0);

    line_count = 0;
    trace_write_exits(&trace, keep_line, lines);
    assert_int_equal(line_count, 2);
    assert_string_equal(lines[0], "  port (30) at 1000, qualification 3f80000, 63 times");
    assert_string_equal(lines[1], "  memory (48) at 2000, qualification 181, guest physical fee00020");

    /* A pattern of two, as of a guest that writes to its serial port. */
    trace = (struct exit_trace) { 0 };
    for (unsigned i = 0; i < 21; i++) {
        struct vcpu_exit pair = {
            .kind = VCPU_EXIT_IO, .raw_reason = 30, .qualification = i % 2 ? 0x03f80000 : 0x03fd0008,
        };
        trace_exit(&trace, &pair, i % 2 ? 0x1000 : 0x2000, 0);
    }
    line_count = 0;
    trace_write_exits(&trace, keep_line, lines);
    assert_int_equal(line_count, 4);
    assert_string_equal(lines[0], "  port (30) at 2000, qualification 3fd0008");
    assert_string_equal(lines[2], "  these 2, 10 times");
    assert_string_equal(lines[3], lines[0]);
}

static void test_exits_are_counted_by_their_kind(void **state)
{
    struct exit_trace trace = { 0 };
    struct vcpu_exit exit = { .kind = VCPU_EXIT_IO };

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        trace_exit(&trace, &exit, 0x1000, 0);
    exit.kind = VCPU_EXIT_MEMORY;
    trace_exit(&trace, &exit, 0x1000, 0);
    line_count = 0;
    trace_write_counts(&trace, keep_line, lines);
    assert_string_equal(lines[0], "1001 exits, port 1000, memory 1");
}

static void test_the_dump_of_registers_shows_all_that_matter(void **state)
{
    struct fake_vcpu fake;
    char all[4096] = "";

    (void)state;
    fake_vcpu_long_mode(&fake, 0x1234000);
    fake.vcpu.value[VCPU_R15] = 0xabcdef0123456789;
    line_count = 0;
    trace_write_registers(&fake.vcpu, keep_line, lines);
    for (unsigned i = 0; i < line_count; i++)
        strcat(all, lines[i]);
    assert_non_null(strstr(all, "r15 abcdef0123456789"));
    assert_non_null(strstr(all, "cr3 0000000001234000"));
    assert_non_null(strstr(all, "cs   0000  base 0000000000000000  limit 00000000  access 0a09b"));
    assert_non_null(strstr(all, "tr "));
}

/* What the processor checks when it enters such a guest: SDM 3C 27.3.1. */
static void assert_enterable(struct fake_vcpu *fake)
{
    const uint64_t *value = fake->vcpu.value;

    assert_int_equal(value[VCPU_RFLAGS], 2);
    assert_int_equal(value[VCPU_SEGMENT(VCPU_TR, VCPU_ACCESS)], 0x8b);
    assert_int_equal(value[VCPU_SEGMENT(VCPU_LDTR, VCPU_ACCESS)], 0x10000);
    assert_int_equal(value[VCPU_DR7], 0x400);
    assert_int_equal(value[VCPU_PAT], UINT64_C(0x0007040600070406));
    assert_int_equal(value[VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)], 0xc093);
}

static void test_a_pvh_guest_starts_in_flat_32_bit_mode(void **state)
{
    const struct boot_state boot = { .protocol = BOOT_PVH, .entry = 0x1000850, .information = 0x7000 };
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_init(&fake);
    start_vcpu(&fake.vcpu, &boot);
    assert_enterable(&fake);
    assert_int_equal(fake.vcpu.value[VCPU_RIP], 0x1000850);
    assert_int_equal(fake.vcpu.value[VCPU_RBX], 0x7000);
    assert_int_equal(fake.vcpu.value[VCPU_CR0], CR0_PE | CR0_ET);
    assert_int_equal(fake.vcpu.value[VCPU_CR4], 0);
    assert_int_equal(fake.vcpu.value[VCPU_EFER], 0);
    assert_int_equal(fake.vcpu.value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)], 0xc09b);
    assert_int_equal(fake.vcpu.value[VCPU_SEGMENT(VCPU_CS, VCPU_LIMIT)], UINT32_MAX);
}

static void test_a_guest_by_linux_64_bit_protocol_starts_in_long_mode(void **state)
{
    const struct boot_state boot = {
        .protocol = BOOT_LINUX64, .entry = 0x1000000, .information = 0x7000, .page_tables = 0x9000,
        .stack = 0x8000, .gdt = 0x6000, .gdt_limit = 0x1f,
    };
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_init(&fake);
    start_vcpu(&fake.vcpu, &boot);
    assert_enterable(&fake);
    assert_int_equal(fake.vcpu.value[VCPU_RIP], 0x1000000);
    assert_int_equal(fake.vcpu.value[VCPU_RSI], 0x7000);
    assert_int_equal(fake.vcpu.value[VCPU_RSP], 0x8000);
    assert_int_equal(fake.vcpu.value[VCPU_CR0], CR0_PG | CR0_PE | CR0_ET);
    assert_int_equal(fake.vcpu.value[VCPU_CR3], 0x9000);
    assert_int_equal(fake.vcpu.value[VCPU_CR4], CR4_PAE);
    assert_int_equal(fake.vcpu.value[VCPU_EFER], EFER_LME | EFER_LMA);
    assert_int_equal(fake.vcpu.value[VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)], 0x10);
    assert_int_equal(fake.vcpu.value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)], 0xa09b);
    assert_int_equal(fake.vcpu.value[VCPU_SEGMENT(VCPU_DS, VCPU_SELECTOR)], 0x18);
    assert_int_equal(fake.vcpu.value[VCPU_GDTR_BASE], 0x6000);
    assert_int_equal(fake.vcpu.value[VCPU_GDTR_LIMIT], 0x1f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_highest_priority_is_asked_first_and_equal_ones_in_their_order),
        cmocka_unit_test(test_whoever_does_not_pass_an_exit_on_decides),
        cmocka_unit_test(test_an_exit_of_another_kind_goes_to_nobody),
        cmocka_unit_test(test_handlers_come_and_go_up_to_a_number),
        cmocka_unit_test(test_the_record_shows_the_last_exits_and_folds_repetitions),
        cmocka_unit_test(test_exits_are_counted_by_their_kind),
        cmocka_unit_test(test_the_dump_of_registers_shows_all_that_matter),
        cmocka_unit_test(test_a_pvh_guest_starts_in_flat_32_bit_mode),
        cmocka_unit_test(test_a_guest_by_linux_64_bit_protocol_starts_in_long_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
