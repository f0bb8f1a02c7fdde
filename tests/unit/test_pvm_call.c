/* Hypercalls of the PVM guest ABI, and the instructions of such a guest that trap. */
#include "tests/unit/pvm_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE UINT64_C(0x17088200)

static int set_up(void **state)
{
    *state = pvm_fixture_create();
    return 0;
}

static int tear_down(void **state)
{
    pvm_fixture_destroy(*state);
    return 0;
}

static uint64_t reg(struct pvm_fixture *fixture, enum vcpu_register number)
{
    return pvm_fixture_register(fixture, number);
}

static enum privileged_result call_for(struct pvm_fixture *fixture, uint64_t number, uint64_t first, uint64_t second,
                                       uint64_t third, struct vcpu_exit *exit)
{
    vcpu_set(fixture->vcpu, VCPU_RAX, number);
    vcpu_set(fixture->vcpu, VCPU_RBX, first);
    vcpu_set(fixture->vcpu, VCPU_R10, second);
    vcpu_set(fixture->vcpu, VCPU_RDX, third);
    vcpu_set(fixture->vcpu, VCPU_RIP, KERNEL_BASE + GUEST_CODE);
    vcpu_set(fixture->vcpu, VCPU_RFLAGS, 0x46);
    memset(exit, 0, sizeof *exit);
    enum privileged_result result = pvm_syscall(&fixture->pvm, exit);
    assert_int_equal(reg(fixture, VCPU_RIP), KERNEL_BASE + GUEST_CODE + 2);
    assert_int_equal(reg(fixture, VCPU_RCX), KERNEL_BASE + GUEST_CODE + 2);
    assert_int_equal(reg(fixture, VCPU_R11), 0x246);
    return result;
}

static uint64_t call(struct pvm_fixture *fixture, uint64_t number, uint64_t first, uint64_t second, uint64_t third)
{
    struct vcpu_exit exit;

    assert_int_equal(call_for(fixture, number, first, second, third, &exit), PRIVILEGED_DONE);
    return reg(fixture, VCPU_RAX);
}

static void test_page_tables_are_loaded_in_pairs(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct pv_invalidation *invalidation = &fixture->cpu.invalidation;

    call(fixture, BASE, 0, 0xa000, 0xb001);
    assert_int_equal(reg(fixture, VCPU_CR3), 0xa000);
    assert_int_equal(pvm_fixture_get(fixture, 7), 0xb001);
    assert_false(invalidation->everything || invalidation->loaded_cr3 || invalidation->count);
    call(fixture, BASE, 3, UINT64_C(0x800000000000c002), UINT64_C(0x800000000000d003));
    assert_int_equal(reg(fixture, VCPU_CR3), 0xc002);
    assert_int_equal(pvm_fixture_get(fixture, 7), 0xd003);
    assert_int_equal(reg(fixture, VCPU_CR4) & CR4_LA57, 0); /* there are no five levels */
    assert_true(invalidation->loaded_cr3);
}

static void test_translations_are_flushed_as_far_as_asked(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct pv_invalidation *invalidation = &fixture->cpu.invalidation;

    call(fixture, BASE + 4, 0, 0, 0);
    assert_true(invalidation->loaded_cr3 && !invalidation->everything);
    for (uint64_t i = 0; i < PV_INVALIDATED_PAGES; i++)
        call(fixture, BASE + 5, 0x1000 * i, 0, 0);
    assert_int_equal(invalidation->count, PV_INVALIDATED_PAGES);
    assert_int_equal(invalidation->page[2], 0x2000);
    assert_false(invalidation->everything);
    call(fixture, BASE + 5, 0x9000, 0, 0); /* more than can be kept */
    assert_true(invalidation->everything);
    invalidation->everything = false;
    call(fixture, BASE + 3, 0, 0, 0);
    assert_true(invalidation->everything);
}

static void test_interrupts_are_waited_for(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;

    fixture->shared->event_flags = 0x300;
    call(fixture, BASE + 1, 0, 0, 0);
    assert_int_equal(fixture->shared->event_flags, 0x200);
    fixture->shared->event_flags = 0x100;
    assert_int_equal(call_for(fixture, BASE + 2, 0, 0, 0, &exit), PRIVILEGED_EXIT);
    assert_int_equal(exit.kind, VCPU_EXIT_HALT);
    assert_int_equal(exit.instruction_length, 0); /* it is behind it already */
    assert_int_equal(reg(fixture, VCPU_RFLAGS), 0x246);
    pvm_resumes(&fixture->pvm);
    assert_int_equal(fixture->shared->event_flags, 0x200);
    /* Without the page they do nothing, and no harm. */
    assert_true(pvm_fixture_set(fixture, 1, 0));
    call(fixture, BASE + 1, 0, 0, 0);
}

static void test_gs_is_loaded_with_what_there_is(void **state)
{
    struct pvm_fixture *fixture = *state;
    const enum vcpu_register gs = VCPU_SEGMENT(VCPU_GS, VCPU_SELECTOR);

    assert_int_equal(call(fixture, BASE + 6, 0x2b, 0, 0), 0);
    assert_int_equal(reg(fixture, gs), 0x2b);
    assert_int_equal(call(fixture, BASE + 6, 0x63, 0, 0), 0); /* an empty descriptor */
    assert_int_equal(reg(fixture, gs), 0);
    /* Data, present, 32 bits: base 0x12345678. Then code; not present. */
    uint64_t good = UINT64_C(0x12cf92345678ffff), code = good | UINT64_C(8) << 40, absent = good & ~(UINT64_C(1) << 47);
    assert_int_equal(call(fixture, BASE + 9, good, code, absent), 12);
    assert_int_equal(call(fixture, BASE + 6, 0x63, 0, 0), 0x12345678);
    assert_int_equal(reg(fixture, gs), 0x63);
    static const uint16_t wrong[] = { 0x6b, 0x73, 0x7b, 0x5b, 0x62, 0x67, 0x28, 0x33, 0x13, 0xffff };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(call(fixture, BASE + 6, wrong[i], 0, 0), 0);
        assert_int_equal(reg(fixture, gs), 0);
    }
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)), KERNEL_GS);
}

static void test_msr_calls_are_left_to_the_monitor(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;

    for (unsigned i = 7; i <= 8; i++) {
        assert_int_equal(call_for(fixture, BASE + i, 0x10, 0, 0, &exit), PRIVILEGED_EXIT);
        assert_int_equal(exit.kind, VCPU_EXIT_HYPERCALL);
        assert_int_equal(exit.instruction_length, 0);
    }
}

static void test_calls_that_are_not_there_say_so(void **state)
{
    struct pvm_fixture *fixture = *state;

    assert_int_equal(call(fixture, 1, 0, 0, 0), 0); /* KVM: look for interrupts */
    static const uint64_t unknown[] = { 0, 2, 5, 9, 12, BASE + 10, BASE - 1, UINT64_MAX, BASE | UINT64_C(1) << 32 };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(call(fixture, unknown[i], 0, 0, 0), (uint64_t)-1000);
}

static enum privileged_result fault(struct pvm_fixture *fixture, const void *code, unsigned length, uint8_t vector,
                                    uint32_t error, struct vcpu_exit *exit)
{
    guest_set_code(fixture->guest, code, length);
    if (!pvm_fixture_register(fixture, VCPU_CR3) || pv_cpl(fixture->vcpu) == 3)
        fixture->vcpu->value[VCPU_CR3] = GUEST_TABLES; /* such that the program's code can be read as well */
    return pvm_exception(&fixture->pvm, vector, error, 0, exit);
}

static void test_the_synthetic_instruction_is_cpuid(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;
    static const uint8_t other[] = { 0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa3 };

    for (unsigned vector = 6; vector <= 13; vector += 7) {
        assert_int_equal(fault(fixture, PVM_SYNTHETIC_CPUID, 10, (uint8_t)vector, 0, &exit), PRIVILEGED_EXIT);
        assert_int_equal(exit.kind, VCPU_EXIT_CPUID);
        assert_int_equal(exit.instruction_length, 10);
    }
    assert_int_equal(privileged_calls, 0);
    fault(fixture, other, sizeof other, 13, 0, &exit); /* INVLPG, and something else */
    assert_int_equal(privileged_calls, 1);
}

static void test_the_supervisor_s_privileged_instructions_are_carried_out(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;

    assert_int_equal(fault(fixture, "\x0f\x30", 2, 13, 0, &exit), PRIVILEGED_EXIT); /* WRMSR */
    assert_int_equal(fault(fixture, "\x0f\x20\xd8", 3, 13, 0, &exit), PRIVILEGED_EXIT); /* MOV from CR3 */
    assert_int_equal(privileged_calls, 2);
    assert_int_equal(privileged_vector, 13);
    assert_false(fixture->vcpu->exception.pending);
}

static void assert_raises(struct pvm_fixture *fixture, const char *code, unsigned length, uint8_t vector, uint32_t error,
                          bool has_error)
{
    struct vcpu_exit exit;
    unsigned calls = privileged_calls;

    assert_int_equal(fault(fixture, code, length, vector, error, &exit), PRIVILEGED_DONE);
    assert_int_equal(privileged_calls, calls);
    assert_true(fixture->vcpu->exception.pending);
    assert_int_equal(fixture->vcpu->exception.vector, vector);
    assert_int_equal(fixture->vcpu->exception.has_error, has_error);
    if (has_error)
        assert_int_equal(fixture->vcpu->exception.error, error);
    fixture->vcpu->exception.pending = false;
}

static void test_a_program_s_are_its_exceptions(void **state)
{
    struct pvm_fixture *fixture = *state;

    pvm_fixture_run_program(fixture);
    assert_raises(fixture, "\x0f\x30", 2, 13, 0, true);
    assert_raises(fixture, "\xf4", 1, 13, 0, true);
    assert_raises(fixture, "\x0f\x0b", 2, 6, 0, false);
    assert_raises(fixture, "\x06", 1, 6, 0, false); /* what patching uses elsewhere means nothing here */
}

static void test_other_exceptions_are_the_guest_s_own(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;

    assert_raises(fixture, "\x90", 1, 0, 0, false);
    assert_raises(fixture, "\x90", 1, 7, 0, false);
    assert_raises(fixture, "\x90", 1, 11, 0x18, true);
    assert_raises(fixture, "\x90", 1, 17, 0, true);
    assert_raises(fixture, "\x90", 1, 19, 0, false);
    assert_int_equal(pvm_exception(&fixture->pvm, 1, 0, 0xffff4ff1, &exit), PRIVILEGED_DONE);
    assert_int_equal(fixture->cpu.dr6, 0xffff4ff1);
}

static void test_what_the_supervisor_must_not_use_is_refused(void **state)
{
    struct pvm_fixture *fixture = *state;

    assert_raises(fixture, "\x48\xcf", 2, 13, 0x10, true); /* IRETQ, which the processor has refused */
    assert_raises(fixture, "\x48\x0f\x07", 3, 13, 0, true); /* SYSRETQ */
    assert_raises(fixture, "\x06", 1, 6, 0, false);
    assert_raises(fixture, "\xcd\x81", 2, 13, 0x81 << 3 | 2, true);
    assert_raises(fixture, "\xcd\x20", 2, 13, 0x20 << 3 | 2, true);
}

static void test_three_software_interrupts_are_events(void **state)
{
    static const struct { const char *code; unsigned length; uint8_t vector; } rows[] = {
        { "\xcc", 1, 3 }, { "\xcd\x03", 2, 3 }, { "\xcd\x04", 2, 4 }, { "\xcd\x80", 2, 0x80 },
    };
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;
    uint64_t place = KERNEL_BASE + GUEST_CODE;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pvm_fixture_run_program(fixture);
        assert_int_equal(fault(fixture, rows[i].code, rows[i].length, 13, i % 2 ? rows[i].vector << 3 | 2 : 0x802, &exit),
                         PRIVILEGED_DONE);
        assert_false(fixture->vcpu->exception.pending);
        assert_int_equal(fixture->shared->event_vector, rows[i].vector);
        assert_int_equal(fixture->shared->rip, place + rows[i].length);
        assert_int_equal(reg(fixture, VCPU_RIP), ENTRY);
        /* And in the supervisor: exceptions on the stack, the system call of old as an interrupt. */
        assert_int_equal(fault(fixture, rows[i].code, rows[i].length, 13, i % 2 ? rows[i].vector << 3 | 2 : 0x802, &exit),
                         PRIVILEGED_DONE);
        assert_int_equal(reg(fixture, VCPU_RIP), ENTRY + (rows[i].vector < 32 ? 256 : 512));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_page_tables_are_loaded_in_pairs),
        TEST(test_translations_are_flushed_as_far_as_asked),
        TEST(test_interrupts_are_waited_for),
        TEST(test_gs_is_loaded_with_what_there_is),
        TEST(test_msr_calls_are_left_to_the_monitor),
        TEST(test_calls_that_are_not_there_say_so),
        TEST(test_the_synthetic_instruction_is_cpuid),
        TEST(test_the_supervisor_s_privileged_instructions_are_carried_out),
        TEST(test_a_program_s_are_its_exceptions),
        TEST(test_other_exceptions_are_the_guest_s_own),
        TEST(test_what_the_supervisor_must_not_use_is_refused),
        TEST(test_three_software_interrupts_are_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
