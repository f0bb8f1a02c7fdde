/* Exceptions and interrupts of a PV guest through its IDT. */
#include "tests/unit/pv_fixture.h"
#include "vmm/pv/descriptor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t get(struct pv_fixture *pv, enum vcpu_register reg)
{
    return vcpu_get(pv->vcpu, reg);
}

static uint64_t selector(struct pv_fixture *pv, enum vcpu_segment segment)
{
    return get(pv, VCPU_SEGMENT(segment, VCPU_SELECTOR));
}

static bool deliver(struct pv_fixture *pv, enum vcpu_event_kind kind, uint8_t vector, bool has_error, uint32_t error)
{
    pv->vcpu->event = (struct vcpu_event) { .kind = kind, .vector = vector, .has_error = has_error, .error = error };
    bool delivered = deliver_event(&pv->cpu);
    assert_int_equal(pv->vcpu->event.kind, VCPU_EVENT_NONE);
    return delivered;
}

static bool interrupt(struct pv_fixture *pv, uint8_t vector)
{
    return deliver(pv, VCPU_EVENT_INTERRUPT, vector, false, 0);
}

/* The handler of VECTOR runs, with ERROR on its stack. */
static void assert_handler(struct pv_fixture *pv, uint8_t vector, uint32_t error)
{
    assert_int_equal(get(pv, VCPU_RIP), PV_HANDLER(vector));
    assert_int_equal(pv_word(pv, get(pv, VCPU_RSP) & 0xffff), error);
}

static void test_an_interrupt_of_a_program_enters_the_kernel_on_its_stack(void **state)
{
    struct pv_fixture *pv = *state;

    pv_enter_user(pv);
    vcpu_set(pv->vcpu, VCPU_RFLAGS, 0x2 | RFLAGS_IF | RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_DF | RFLAGS_AC);
    assert_true(interrupt(pv, 0x40));
    assert_int_equal(get(pv, VCPU_RIP), PV_HANDLER(0x40));
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_RSP0 - 40);
    assert_int_equal(pv_cpl(pv->vcpu), 0);
    assert_int_equal(selector(pv, VCPU_CS), PV_KERNEL_CODE);
    assert_int_equal(selector(pv, VCPU_SS), 0);
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_DF | RFLAGS_AC);
    assert_int_equal(pv_word(pv, PV_RSP0 - 8), PV_USER_DATA);
    assert_int_equal(pv_word(pv, PV_RSP0 - 16), PV_USER_STACK);
    assert_int_equal(pv_word(pv, PV_RSP0 - 24),
                     0x2 | RFLAGS_IF | RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_DF | RFLAGS_AC);
    assert_int_equal(pv_word(pv, PV_RSP0 - 32), PV_USER_CODE_64);
    assert_int_equal(pv_word(pv, PV_RSP0 - 40), PV_USER_CODE);
    assert_int_equal(pv->written_count, 5);
    assert_int_equal(pv->written[0], PV_RSP0 - 8);
}

static void test_an_interrupt_of_the_kernel_stays_on_its_stack_which_is_aligned(void **state)
{
    struct pv_fixture *pv = *state;

    vcpu_set(pv->vcpu, VCPU_INTERRUPTIBILITY, VCPU_BLOCKED_BY_MOV_SS);
    assert_true(interrupt(pv, 0x40));
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_KERNEL_STACK - 8 - 40);
    assert_int_equal(selector(pv, VCPU_SS), PV_KERNEL_DATA);
    assert_int_equal(pv_word(pv, PV_KERNEL_STACK - 8 - 16), KERNEL_BASE + PV_KERNEL_STACK);
    assert_int_equal(get(pv, VCPU_INTERRUPTIBILITY), 0);
}

static void test_a_trap_gate_leaves_interrupts_on(void **state)
{
    struct pv_fixture *pv = *state;

    vcpu_set(pv->vcpu, VCPU_RFLAGS, 0x2 | RFLAGS_IF);
    pv_gate(pv, 0x40)[0] |= UINT64_C(1) << 40;
    assert_true(interrupt(pv, 0x40));
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_IF);
}

static void test_ist_has_its_own_stack_at_any_level(void **state)
{
    struct pv_fixture *pv = *state;

    pv_gate(pv, 2)[0] |= UINT64_C(1) << 32;
    assert_true(deliver(pv, VCPU_EVENT_NMI, 2, false, 0));
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_IST - 40);
    assert_int_equal(get(pv, VCPU_INTERRUPTIBILITY), VCPU_BLOCKED_BY_NMI);
    assert_int_equal(selector(pv, VCPU_SS), PV_KERNEL_DATA);
}

static void test_an_exception_has_its_error_code_and_saves_rf(void **state)
{
    struct pv_fixture *pv = *state;

    assert_true(deliver(pv, VCPU_EVENT_EXCEPTION, 13, true, 0x1234));
    assert_handler(pv, 13, 0x1234);
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_KERNEL_STACK - 8 - 48);
    assert_int_equal(pv_word(pv, (get(pv, VCPU_RSP) & 0xffff) + 24), 0x2 | RFLAGS_RF);
}

static void test_the_accessed_flag_of_the_code_segment_is_set(void **state)
{
    struct pv_fixture *pv = *state;

    *pv_descriptor(pv, PV_KERNEL_CODE) &= ~(UINT64_C(1) << 40);
    assert_true(interrupt(pv, 0x40));
    assert_int_equal(*pv_descriptor(pv, PV_KERNEL_CODE), UINT64_C(0x00af9b000000ffff));
    assert_int_equal(pv->written[5], PV_GDT + PV_KERNEL_CODE + 5);
}

static void test_a_conforming_handler_runs_at_the_level_of_the_program(void **state)
{
    struct pv_fixture *pv = *state;

    pv_enter_user(pv);
    pv_gate(pv, 0x40)[0] ^= (PV_CONFORMING ^ PV_KERNEL_CODE) << 16;
    assert_true(interrupt(pv, 0x40));
    assert_int_equal(pv_cpl(pv->vcpu), 3);
    assert_int_equal(selector(pv, VCPU_CS), PV_CONFORMING | 3);
    assert_int_equal(get(pv, VCPU_RSP), PV_USER_STACK - 8 - 40);
}

/* What is wrong with the gate, and the exception in place of interrupt 0x40. */
static void assert_bad_gate(struct pv_fixture *pv, uint64_t low, uint8_t vector, uint32_t error)
{
    uint64_t *gate = pv_gate(pv, 0x40), saved = gate[0];

    pv_enter_kernel(pv);
    gate[0] = low;
    assert_true(interrupt(pv, 0x40));
    assert_handler(pv, vector, error);
    gate[0] = saved;
}

static void test_gates_that_lead_nowhere_make_the_exception_that_says_so(void **state)
{
    struct pv_fixture *pv = *state;
    uint64_t good = pv_gate(pv, 0x40)[0], without_selector = good & ~UINT64_C(0xffff0000);

    assert_bad_gate(pv, good & ~(UINT64_C(1) << 47), VECTOR_NP, 0x40 * 8 + 3);
    assert_bad_gate(pv, good ^ UINT64_C(2) << 40, VECTOR_GP, 0x40 * 8 + 3); /* call gate */
    assert_bad_gate(pv, without_selector, VECTOR_GP, 1);
    assert_bad_gate(pv, without_selector | 0x2000 << 16, VECTOR_GP, 0x2001);
    assert_bad_gate(pv, without_selector | PV_KERNEL_DATA << 16, VECTOR_GP, PV_KERNEL_DATA | 1);
    assert_bad_gate(pv, without_selector | PV_CODE_32 << 16, VECTOR_GP, PV_CODE_32 | 1);
    assert_bad_gate(pv, without_selector | PV_USER_CODE_64 << 16, VECTOR_GP, (PV_USER_CODE_64 & ~3) | 1);
    assert_bad_gate(pv, without_selector | (PV_KERNEL_CODE | 4) << 16, VECTOR_GP, PV_KERNEL_CODE | 5); /* no LDT */

    *pv_descriptor(pv, PV_KERNEL_CODE + 0x30) &= ~(UINT64_C(1) << 47);
    assert_bad_gate(pv, without_selector | PV_CONFORMING << 16, VECTOR_NP, PV_CONFORMING | 1);
    pv_gate(pv, 0x40)[1] = 0x8000;
    assert_bad_gate(pv, good, VECTOR_GP, 1);
    vcpu_set(pv->vcpu, VCPU_IDTR_LIMIT, 0x40 * 16 + 14);
    assert_bad_gate(pv, good, VECTOR_GP, 0x40 * 8 + 3);
}

static void test_a_bad_stack_of_the_kernel_is_a_double_fault_only_behind_an_exception(void **state)
{
    struct pv_fixture *pv = *state;

    pv_gate(pv, 8)[0] |= UINT64_C(1) << 32;  /* #DF, #SS and #TS on IST 1 */
    pv_gate(pv, 10)[0] |= UINT64_C(1) << 32;
    pv_gate(pv, 12)[0] |= UINT64_C(1) << 32;
    pv_set_word(pv, PV_TSS + 4, UINT64_C(1) << 60);
    pv_enter_user(pv);
    assert_true(interrupt(pv, 0x40));
    assert_handler(pv, VECTOR_SS, 1);
    pv_enter_user(pv);
    assert_true(deliver(pv, VCPU_EVENT_EXCEPTION, 13, true, 0));
    assert_handler(pv, VECTOR_DF, 0);

    vcpu_set(pv->vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_LIMIT), 10);
    pv_gate(pv, 10)[0] &= ~(UINT64_C(7) << 32);
    pv_enter_kernel(pv);
    pv_gate(pv, 0x40)[0] |= UINT64_C(1) << 32;
    assert_true(interrupt(pv, 0x40));
    assert_handler(pv, VECTOR_TS, PV_TSS_BUSY | 1);
}

static void test_a_page_fault_on_the_way_says_where(void **state)
{
    struct pv_fixture *pv = *state;

    pv_gate(pv, 8)[0] |= UINT64_C(1) << 32;
    pv_gate(pv, 14)[0] |= UINT64_C(1) << 32;
    pv_set_word(pv, PV_TSS + 4, 0x20000); /* not mapped */
    pv_enter_user(pv);
    assert_true(interrupt(pv, 0x40));
    assert_handler(pv, VECTOR_PF, 2);
    assert_int_equal(get(pv, VCPU_CR2), 0x20000 - 8);

    /* One that cannot be read only partly is not written at all. */
    pv_set_word(pv, PV_TSS + 4, 0xc010);
    pv->guest->page_table[0xb] &= ~UINT64_C(2);
    pv_set_word(pv, 0xc008, 77);
    pv_gate(pv, 14)[0] &= ~(UINT64_C(7) << 32);
    pv_set_word(pv, PV_TSS + 0x24, KERNEL_BASE + PV_KERNEL_STACK - 8);
    pv_enter_user(pv);
    assert_true(deliver(pv, VCPU_EVENT_EXCEPTION, 14, true, 4));
    assert_handler(pv, VECTOR_DF, 0);
    assert_int_equal(get(pv, VCPU_CR2), 0xbff8);
    assert_int_equal(pv_word(pv, 0xc008), 77);
}

static void test_a_fault_behind_a_double_fault_ends_the_machine(void **state)
{
    struct pv_fixture *pv = *state;

    vcpu_set(pv->vcpu, VCPU_IDTR_LIMIT, 0);
    assert_false(interrupt(pv, 0x40));
    vcpu_set(pv->vcpu, VCPU_IDTR_LIMIT, 0xfff);
    pv_gate(pv, 8)[0] = 0;
    assert_false(deliver(pv, VCPU_EVENT_EXCEPTION, 8, true, 0));
}

static void test_contributory_exceptions_behind_a_page_fault_are_a_double_fault_and_the_other_way_round_not(void **state)
{
    struct pv_fixture *pv = *state;

    pv_gate(pv, 14)[0] &= ~(UINT64_C(1) << 47); /* #PF makes #NP */
    assert_true(deliver(pv, VCPU_EVENT_EXCEPTION, 14, true, 0));
    assert_handler(pv, VECTOR_DF, 0);

    struct pv_fixture *other = pv_create();
    pv_gate(other, 8)[0] |= UINT64_C(1) << 32;
    pv_gate(other, 14)[0] |= UINT64_C(1) << 32;
    vcpu_set(other->vcpu, VCPU_RSP, 0x20000);
    assert_true(deliver(other, VCPU_EVENT_EXCEPTION, 13, true, 0)); /* #GP makes #PF */
    assert_handler(other, VECTOR_PF, 2);
    pv_destroy(other);
}

static void test_software_interrupts_need_the_privilege_of_the_gate(void **state)
{
    struct pv_fixture *pv = *state;

    pv_enter_user(pv);
    assert_true(deliver_software_interrupt(&pv->cpu, 0x80, DELIVER_INT_N, 2));
    assert_int_equal(get(pv, VCPU_RIP), PV_USER_CODE);
    assert_true(pv->vcpu->exception.pending);
    assert_int_equal(pv->vcpu->exception.vector, VECTOR_GP);
    assert_int_equal(pv->vcpu->exception.error, 0x80 * 8 + 2);
    assert_true(deliver_exception(&pv->cpu));
    assert_handler(pv, VECTOR_GP, 0x80 * 8 + 2);
    assert_false(pv->vcpu->exception.pending);

    pv_enter_user(pv);
    pv_gate(pv, 0x80)[0] |= UINT64_C(3) << 45;
    assert_true(deliver_software_interrupt(&pv->cpu, 0x80, DELIVER_INT_N, 2));
    assert_int_equal(get(pv, VCPU_RIP), PV_HANDLER(0x80));
    assert_int_equal(pv_word(pv, PV_RSP0 - 40), PV_USER_CODE + 2);

    pv_enter_user(pv);
    assert_true(deliver_software_interrupt(&pv->cpu, 1, DELIVER_INT1, 1));
    assert_int_equal(get(pv, VCPU_RIP), PV_HANDLER(1));
}

static void test_a_single_step_of_the_monitors_ends_in_a_debug_exception(void **state)
{
    struct pv_fixture *pv = *state;

    vcpu_set(pv->vcpu, VCPU_PENDING_DEBUG, VCPU_PENDING_DEBUG_STEP);
    assert_true(deliver_event(&pv->cpu));
    assert_int_equal(get(pv, VCPU_RIP), PV_HANDLER(1));
    assert_int_equal(get(pv, VCPU_PENDING_DEBUG), 0);
    assert_int_equal(pv->cpu.dr6, 0xffff4ff0);
}

static int setup(void **state)
{
    *state = pv_create();
    return 0;
}

static int teardown(void **state)
{
    pv_destroy(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_interrupt_of_a_program_enters_the_kernel_on_its_stack),
        TEST(test_an_interrupt_of_the_kernel_stays_on_its_stack_which_is_aligned),
        TEST(test_a_trap_gate_leaves_interrupts_on),
        TEST(test_ist_has_its_own_stack_at_any_level),
        TEST(test_an_exception_has_its_error_code_and_saves_rf),
        TEST(test_the_accessed_flag_of_the_code_segment_is_set),
        TEST(test_a_conforming_handler_runs_at_the_level_of_the_program),
        TEST(test_gates_that_lead_nowhere_make_the_exception_that_says_so),
        TEST(test_a_bad_stack_of_the_kernel_is_a_double_fault_only_behind_an_exception),
        TEST(test_a_page_fault_on_the_way_says_where),
        TEST(test_a_fault_behind_a_double_fault_ends_the_machine),
        TEST(test_contributory_exceptions_behind_a_page_fault_are_a_double_fault_and_the_other_way_round_not),
        TEST(test_software_interrupts_need_the_privilege_of_the_gate),
        TEST(test_a_single_step_of_the_monitors_ends_in_a_debug_exception),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
