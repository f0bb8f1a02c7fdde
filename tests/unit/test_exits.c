/* What the monitor does at an exit of each kind, with all devices there. RDMSR and WRMSR have a test of their own. */
#include "tests/unit/fake_machine.h"
#include "tests/unit/fake_vcpu.h"
#include "vmm/devices/local_apic.h"
#include "vmm/exits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RIP UINT64_C(0xffffffff81000000)

struct fixture {
    struct fake_machine *fake;
    struct fake_vcpu cpu; /* the operations that the monitor's CPU has */
    struct monitor monitor;
};

/* A Haswell, as far as it matters here. */
static struct cpuid_values host_cpuid(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    switch (leaf) {
    case 0:          return (struct cpuid_values) { 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 };
    case 1:          return (struct cpuid_values) { 0x306c3, 0, 1u << 26 | 1u << 28 | 1u << 17, 0xbfebfbff };
    case 7:          return (struct cpuid_values) { 0, 1u << 0 | 1u << 7, 0, 0 };
    case 0xd:        return (struct cpuid_values) { 7, 832, 832, 0 };
    case 0x80000000: return (struct cpuid_values) { 0x80000008, 0, 0, 0 };
    case 0x80000001: return (struct cpuid_values) { 0, 0, 0, 1u << 20 | 1u << 29 | 1u << 11 };
    default:         return (struct cpuid_values) { 0 };
    }
}

static uint64_t permitted;

static bool permit_control(void *context, enum vcpu_register reg, uint64_t value)
{
    (void)context;
    permitted = value;
    return reg == VCPU_CR0;
}

static struct vcpu_operations operations;

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct monitor *monitor = &f->monitor;

    fake_vcpu_long_mode(&f->cpu, 0);
    monitor->vcpu = f->cpu.vcpu;
    operations = *f->cpu.vcpu.operations;
    monitor->vcpu.operations = &operations;
    monitor->vcpu.context = &f->cpu;
    f->fake = fake_machine_create();
    monitor->machine = f->fake->machine;
    monitor->cpuid = (struct cpuid_policy) { .host = host_cpuid, .tsc_hz = 50000000, .xcr0_allowed = 7, .pcid = true };
    cpuid_prepare(&monitor->cpuid);
    exits_init(monitor);
    monitor->vcpu.value[VCPU_RIP] = RIP;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fake_machine_destroy(f->fake);
    free(f);
    return 0;
}

static enum fault_result exit_of(struct fixture *f, enum vcpu_exit_kind kind)
{
    const struct vcpu_exit exit = { .kind = kind, .instruction_length = 3, .raw_reason = 99 };

    return fault_route(&f->monitor.router, &exit);
}

static void assert_skipped(struct fixture *f)
{
    assert_int_equal(f->monitor.vcpu.value[VCPU_RIP], RIP + 3);
    assert_false(f->monitor.vcpu.exception.pending);
    f->monitor.vcpu.value[VCPU_RIP] = RIP;
}

static void assert_raised(struct fixture *f, uint8_t vector)
{
    assert_int_equal(f->monitor.vcpu.value[VCPU_RIP], RIP);
    assert_true(f->monitor.vcpu.exception.pending);
    assert_int_equal(f->monitor.vcpu.exception.vector, vector);
    f->monitor.vcpu.exception.pending = false;
}

static void test_every_kind_of_exit_that_there_can_be_has_a_handler(void **state)
{
    struct fixture *f = *state;

    for (unsigned kind = 0; kind < VCPU_EXIT_KIND_COUNT; kind++)
        if (kind != VCPU_EXIT_DEBUG_REGISTER && kind != VCPU_EXIT_UNKNOWN)
            assert_int_equal(f->monitor.router.count[kind], 1);
}

static void test_cpuid_fills_four_registers(void **state)
{
    struct fixture *f = *state;
    uint64_t *value = f->monitor.vcpu.value;

    value[VCPU_RAX] = UINT64_C(0xdeadbeef00000000);
    value[VCPU_RBX] = value[VCPU_RCX] = value[VCPU_RDX] = UINT64_MAX;
    assert_int_equal(exit_of(f, VCPU_EXIT_CPUID), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(value[VCPU_RBX], 0x756e6547);
    assert_int_equal(value[VCPU_RCX], 0x6c65746e);
    assert_int_equal(value[VCPU_RDX], 0x49656e69);
    assert_true(value[VCPU_RAX] >= 1 && value[VCPU_RAX] <= UINT32_MAX);
}

static void test_cpuid_follows_the_state_of_the_guest(void **state)
{
    struct fixture *f = *state;
    uint64_t *value = f->monitor.vcpu.value;

    for (unsigned on = 0; on < 2; on++) {
        value[VCPU_CR4] = CR4_PAE | (on ? CR4_OSXSAVE : 0);
        value[VCPU_RAX] = 1;
        assert_int_equal(exit_of(f, VCPU_EXIT_CPUID), FAULT_HANDLED);
        value[VCPU_RIP] = RIP;
        assert_int_equal(value[VCPU_RCX] >> 27 & 1, on);
        assert_int_equal(value[VCPU_RDX] >> 9 & 1, 1); /* the APIC is enabled at reset */
    }
}

static void test_halting_waits_behind_the_instruction(void **state)
{
    struct fixture *f = *state;

    f->monitor.vcpu.value[VCPU_INTERRUPTIBILITY] = VCPU_BLOCKED_BY_STI;
    assert_int_equal(exit_of(f, VCPU_EXIT_HALT), FAULT_HANDLED);
    assert_skipped(f);
    assert_true(f->monitor.vcpu.halted);
    assert_int_equal(f->monitor.vcpu.value[VCPU_INTERRUPTIBILITY], 0); /* STI; HLT wakes for an interrupt */
}

static void test_instructions_without_effect_are_left_behind(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(exit_of(f, VCPU_EXIT_INVALIDATE), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(exit_of(f, VCPU_EXIT_PAUSE), FAULT_HANDLED);
    assert_skipped(f);
}

static void test_instructions_that_there_are_not_are_undefined(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(exit_of(f, VCPU_EXIT_UNDEFINED), FAULT_HANDLED);
    assert_raised(f, VECTOR_UD);
    assert_int_equal(exit_of(f, VCPU_EXIT_HYPERCALL), FAULT_HANDLED);
    assert_raised(f, VECTOR_UD);
    assert_int_equal(exit_of(f, VCPU_EXIT_FORBIDDEN), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
}

static void test_what_ends_a_guest_says_why(void **state)
{
    static const struct { enum vcpu_exit_kind kind; const char *word; } cases[] = {
        { VCPU_EXIT_TRIPLE_FAULT, "triple fault" }, { VCPU_EXIT_TASK_SWITCH, "task switch" },
        { VCPU_EXIT_BAD_STATE, "refuses" }, { VCPU_EXIT_INIT, "INIT" },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->monitor.cause[0] = '\0';
        assert_int_equal(exit_of(f, cases[i].kind), FAULT_STOP);
        assert_non_null(strstr(f->monitor.cause, cases[i].word));
    }
}

static void test_an_exception_that_cannot_be_delivered_ends_the_guest(void **state)
{
    struct fixture *f = *state;

    vcpu_raise(&f->monitor.vcpu, VECTOR_DF, true, 0);
    assert_int_equal(exits_raise_gp(&f->monitor), FAULT_STOP);
    assert_non_null(strstr(f->monitor.cause, "double fault"));
}

static void test_an_nmi_of_the_machine_is_not_the_guest_s(void **state)
{
    struct fixture *f = *state;
    struct vcpu_exit exit = { .kind = VCPU_EXIT_EXCEPTION, .exception = { .vector = VECTOR_NMI } };

    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_HANDLED);
    assert_int_equal(f->monitor.vcpu.value[VCPU_RIP], RIP);
    exit.exception.vector = VECTOR_GP;
    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_STOP);
}

static void test_code_and_page_tables_in_nothing_end_the_guest(void **state)
{
    struct fixture *f = *state;
    struct vcpu_exit exit = { .kind = VCPU_EXIT_MEMORY, .guest_physical = 0xd0000000, .memory = { .execute = true } };

    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_STOP);
    assert_non_null(strstr(f->monitor.cause, "executes at guest physical address d0000000"));
    exit.memory.execute = false;
    exit.memory.table_walk = true;
    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_STOP);
    assert_non_null(strstr(f->monitor.cause, "page tables"));
}

static void test_an_access_that_cannot_be_carried_out_ends_the_guest_with_its_bytes(void **state)
{
    struct fixture *f = *state;
    const struct vcpu_exit exit = {
        .kind = VCPU_EXIT_MEMORY, .guest_physical = 0xd0000000, .memory = { .read = true },
    };

    f->monitor.vcpu.value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0xc09b;
    f->monitor.vcpu.value[VCPU_CR0] = CR0_PE; /* no paging: the code is where rip says */
    f->monitor.vcpu.value[VCPU_EFER] = 0;
    f->monitor.vcpu.value[VCPU_RIP] = 0x1000;
    memcpy(f->fake->memory + 0x1000, "\x0f\x10\x07", 3); /* movups (%rdi), %xmm0 */
    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_STOP);
    assert_non_null(strstr(f->monitor.cause, "a read at guest physical address d0000000"));
    assert_non_null(strstr(f->monitor.cause, "0f 10 07"));
}

static struct vcpu_exit control(unsigned number, unsigned access, unsigned gpr)
{
    return (struct vcpu_exit) {
        .kind = VCPU_EXIT_CONTROL_REGISTER, .instruction_length = 3,
        .control = { .number = (uint8_t)number, .access = access, .gpr = (uint8_t)gpr },
    };
}

static enum fault_result move_to(struct fixture *f, unsigned number, uint64_t value)
{
    struct vcpu_exit exit = control(number, VCPU_MOV_TO_CR, VCPU_R12);

    f->monitor.vcpu.value[VCPU_R12] = value;
    return fault_route(&f->monitor.router, &exit);
}

static void test_the_task_priority_is_that_of_the_virtual_apic(void **state)
{
    struct fixture *f = *state;
    struct vcpu_exit from = control(8, VCPU_MOV_FROM_CR, VCPU_RBX);

    assert_int_equal(move_to(f, 8, 9), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(local_apic_cr8(f->monitor.machine.local_apic), 9);
    assert_int_equal(fault_route(&f->monitor.router, &from), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(f->monitor.vcpu.value[VCPU_RBX], 9);
    assert_int_equal(move_to(f, 8, 16), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
}

static void test_values_that_cr0_cannot_have_are_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t before = f->monitor.vcpu.value[VCPU_CR0];

    assert_int_equal(move_to(f, 0, UINT64_C(1) << 32 | CR0_PE), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
    assert_int_equal(move_to(f, 0, CR0_NW | CR0_PE), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
    assert_int_equal(move_to(f, 0, CR0_PG), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
    assert_int_equal(f->monitor.vcpu.value[VCPU_CR0], before);
}

static void test_cr0_is_left_to_the_processor_where_it_can_do_it(void **state)
{
    struct fixture *f = *state;
    uint64_t before = f->monitor.vcpu.value[VCPU_CR0];

    operations.permit_control = permit_control;
    assert_int_equal(move_to(f, 0, CR0_PG | CR0_PE | CR0_NE), FAULT_HANDLED);
    assert_int_equal(permitted, CR0_PG | CR0_PE | CR0_NE | CR0_ET);
    assert_int_equal(f->monitor.vcpu.value[VCPU_RIP], RIP); /* it comes again */
    assert_int_equal(f->monitor.vcpu.value[VCPU_CR0], before);

    operations.permit_control = NULL;
    assert_int_equal(move_to(f, 0, CR0_PG | CR0_PE | UINT64_C(0x40)), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(f->monitor.vcpu.value[VCPU_CR0], CR0_PG | CR0_PE | CR0_ET); /* bit 6 is not one */
}

static void test_clts_and_lmsw(void **state)
{
    struct fixture *f = *state;
    struct vcpu_exit exit = control(0, VCPU_CLTS, 0);
    uint64_t before = f->monitor.vcpu.value[VCPU_CR0];

    f->monitor.vcpu.value[VCPU_CR0] |= CR0_TS;
    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(f->monitor.vcpu.value[VCPU_CR0], before);

    exit.control.access = VCPU_LMSW; /* sets MP and TS; cannot clear PE */
    exit.control.lmsw = 0xfffa & ~CR0_EM;
    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(f->monitor.vcpu.value[VCPU_CR0], before | CR0_MP | CR0_TS);
}

static void test_bits_of_cr4_go_with_what_cpuid_offers(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(move_to(f, 4, CR4_PAE | CR4_VMXE), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
    assert_int_equal(move_to(f, 4, CR4_PAE | CR4_LA57), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
    assert_int_equal(move_to(f, 4, CR4_PAE | UINT64_C(1) << 40), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
    assert_int_equal(move_to(f, 4, CR4_PGE), FAULT_HANDLED); /* long mode needs PAE */
    assert_raised(f, VECTOR_GP);
    assert_int_equal(move_to(f, 4, CR4_PAE | CR4_PGE | CR4_OSXSAVE | CR4_FSGSBASE), FAULT_HANDLED);
    assert_skipped(f);
    assert_int_equal(f->monitor.vcpu.value[VCPU_CR4], CR4_PAE | CR4_PGE | CR4_OSXSAVE | CR4_FSGSBASE);
}

static void test_control_registers_that_there_are_not_are_undefined(void **state)
{
    struct fixture *f = *state;
    struct vcpu_exit exit = control(5, VCPU_MOV_FROM_CR, VCPU_RBX);

    assert_int_equal(move_to(f, 2, 0), FAULT_HANDLED);
    assert_raised(f, VECTOR_UD);
    assert_int_equal(fault_route(&f->monitor.router, &exit), FAULT_HANDLED);
    assert_raised(f, VECTOR_UD);
}

static enum fault_result xsetbv(struct fixture *f, uint64_t ecx, uint64_t value)
{
    f->monitor.vcpu.value[VCPU_RCX] = ecx;
    f->monitor.vcpu.value[VCPU_RDX] = value >> 32 | UINT64_C(0xdead) << 32;
    f->monitor.vcpu.value[VCPU_RAX] = (value & UINT32_MAX) | UINT64_C(0xbeef) << 32;
    return exit_of(f, VCPU_EXIT_XSETBV);
}

static void test_xcr0_takes_combinations_of_features_that_the_cpu_has(void **state)
{
    static const struct { uint64_t value; bool valid; } cases[] = {
        { 7, true }, { 3, true }, { 1, true }, { 0, false }, { 2, false }, { 5, false }, { 6, false }, { 15, false },
        { UINT64_C(1) << 62 | 7, false }, { 0xe7, false },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t before = f->monitor.vcpu.value[VCPU_XCR0];

        assert_int_equal(xsetbv(f, 0, cases[i].value), FAULT_HANDLED);
        if (cases[i].valid)
            assert_skipped(f);
        else
            assert_raised(f, VECTOR_GP);
        assert_int_equal(f->monitor.vcpu.value[VCPU_XCR0], cases[i].valid ? cases[i].value : before);
    }
    assert_int_equal(xsetbv(f, 1, 7), FAULT_HANDLED);
    assert_raised(f, VECTOR_GP);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_every_kind_of_exit_that_there_can_be_has_a_handler),
        CASE(test_cpuid_fills_four_registers),
        CASE(test_cpuid_follows_the_state_of_the_guest),
        CASE(test_halting_waits_behind_the_instruction),
        CASE(test_instructions_without_effect_are_left_behind),
        CASE(test_instructions_that_there_are_not_are_undefined),
        CASE(test_what_ends_a_guest_says_why),
        CASE(test_an_exception_that_cannot_be_delivered_ends_the_guest),
        CASE(test_an_nmi_of_the_machine_is_not_the_guest_s),
        CASE(test_code_and_page_tables_in_nothing_end_the_guest),
        CASE(test_an_access_that_cannot_be_carried_out_ends_the_guest_with_its_bytes),
        CASE(test_the_task_priority_is_that_of_the_virtual_apic),
        CASE(test_values_that_cr0_cannot_have_are_refused),
        CASE(test_cr0_is_left_to_the_processor_where_it_can_do_it),
        CASE(test_clts_and_lmsw),
        CASE(test_bits_of_cr4_go_with_what_cpuid_offers),
        CASE(test_control_registers_that_there_are_not_are_undefined),
        CASE(test_xcr0_takes_combinations_of_features_that_the_cpu_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
