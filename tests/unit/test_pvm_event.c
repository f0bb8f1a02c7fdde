/* Events of the PVM guest ABI, and the ways back from them. Places and numbers are the specification's. */
#include "tests/unit/pvm_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXED UINT64_C(0x2)
#define IF    UINT64_C(0x200)

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

static bool deliver(struct pvm_fixture *fixture, enum vcpu_event_kind kind, uint8_t vector, bool has_error,
                    uint32_t error)
{
    fixture->vcpu->event = (struct vcpu_event) { kind, vector, has_error, error };
    bool alive = pvm_deliver_event(&fixture->pvm);
    assert_int_equal(fixture->vcpu->event.kind, VCPU_EVENT_NONE);
    return alive;
}

static uint64_t reg(struct pvm_fixture *fixture, enum vcpu_register number)
{
    return pvm_fixture_register(fixture, number);
}

static void assert_at(struct pvm_fixture *fixture, uint64_t entry)
{
    assert_int_equal(pv_cpl(fixture->vcpu), 0);
    assert_int_equal(reg(fixture, VCPU_RIP), entry);
    assert_int_equal(reg(fixture, VCPU_RCX), entry);
    assert_int_equal(reg(fixture, VCPU_R11), FIXED | IF);
    assert_int_equal(reg(fixture, VCPU_RFLAGS), FIXED);
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)), 0x10);
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_SS, VCPU_SELECTOR)), 0x18);
}

static void assert_program_saved(const struct pvm_fixture *fixture, uint64_t rip, uint64_t rcx, uint64_t r11)
{
    const struct pvm_vcpu_struct *shared = fixture->shared;

    assert_int_equal(shared->user_cs, 0x33);
    assert_int_equal(shared->user_ss, 0x2b);
    assert_int_equal(shared->user_gsbase, USER_GS);
    assert_int_equal(shared->eflags, 0x246);
    assert_int_equal(shared->rip, rip);
    assert_int_equal(shared->rsp, 0x7ffffff0);
    assert_int_equal(shared->rcx, rcx);
    assert_int_equal(shared->r11, r11);
}

static void assert_supervisor_of_program(struct pvm_fixture *fixture)
{
    assert_int_equal(reg(fixture, VCPU_RSP), STACK_TOP);
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)), KERNEL_GS);
    assert_int_equal(reg(fixture, VCPU_CR3), GUEST_TABLES);
    assert_int_equal(pvm_fixture_get(fixture, 7), OTHER_CR3);
}

static void test_an_event_in_a_program_is_described_in_the_shared_page(void **state)
{
    struct pvm_fixture *fixture = *state;
    uint64_t rcx = reg(fixture, VCPU_RCX), r11 = reg(fixture, VCPU_R11), rbx = reg(fixture, VCPU_RBX);

    pvm_fixture_run_program(fixture);
    fixture->writes = 0;
    assert_true(deliver(fixture, VCPU_EVENT_EXCEPTION, 13, true, 0x1234));
    assert_at(fixture, ENTRY);
    assert_program_saved(fixture, 0x401000, rcx, r11);
    assert_supervisor_of_program(fixture);
    assert_int_equal(fixture->shared->event_vector, 13);
    assert_int_equal(fixture->shared->event_errcode, 0x1234);
    assert_int_equal(fixture->shared->cr2, 0);
    assert_int_equal(reg(fixture, VCPU_RBX), rbx);
    assert_int_equal(fixture->writes, 1); /* who derives something from that page hears of it */
    assert_int_equal(fixture->write[0].physical, SHARED_PAGE);
    assert_false(fixture->cpu.invalidation.everything || fixture->cpu.invalidation.loaded_cr3);
}

static void test_a_page_fault_brings_its_address(void **state)
{
    struct pvm_fixture *fixture = *state;

    fixture->vcpu->value[VCPU_CR2] = 0xabcde;
    pvm_fixture_run_program(fixture);
    assert_true(deliver(fixture, VCPU_EVENT_EXCEPTION, 14, true, 7));
    assert_int_equal(fixture->shared->cr2, 0xabcde);
    fixture->vcpu->value[VCPU_CR2] = 0x12345;
    assert_true(deliver(fixture, VCPU_EVENT_EXCEPTION, 14, true, 2)); /* now in the supervisor */
    assert_int_equal(fixture->shared->cr2, 0x12345);
    assert_int_equal(fixture->shared->event_errcode, 7);
}

static void test_the_supervisor_s_flag_survives_an_event_in_a_program(void **state)
{
    struct pvm_fixture *fixture = *state;

    pvm_fixture_run_program(fixture);
    fixture->shared->event_flags = IF;
    assert_true(deliver(fixture, VCPU_EVENT_INTERRUPT, 0x41, false, 0));
    assert_int_equal(fixture->shared->event_vector, 0x41);
    assert_int_equal(reg(fixture, VCPU_RIP), ENTRY);
    pvm_resumes(&fixture->pvm);
    assert_int_equal(fixture->shared->event_flags, IF);
}

static void test_an_exception_in_the_supervisor_is_on_its_stack(void **state)
{
    struct pvm_fixture *fixture = *state;
    uint64_t rcx = reg(fixture, VCPU_RCX), r11 = reg(fixture, VCPU_R11), frame[8];
    struct pvm_vcpu_struct before;

    assert_true(pvm_fixture_set(fixture, 3, 100)); /* the red zone */
    fixture->vcpu->value[VCPU_RSP] = STACK_TOP - 3;
    fixture->vcpu->value[VCPU_RFLAGS] = 0x10246;
    fixture->shared->event_flags = IF;
    before = *fixture->shared;
    fixture->writes = 0;
    assert_true(deliver(fixture, VCPU_EVENT_EXCEPTION, 17, true, 0x80000001));
    assert_at(fixture, ENTRY + 256);
    uint64_t rsp = ((STACK_TOP - 3 - 100) & ~UINT64_C(15)) - 64;
    assert_int_equal(reg(fixture, VCPU_RSP), rsp);
    memcpy(frame, fixture->guest->ram + (rsp - KERNEL_BASE), sizeof frame);
    const uint64_t expected[] = {
        17ull << 32 | 0x80000001, KERNEL_BASE + GUEST_CODE, 0x10, 0x10246, STACK_TOP - 3, 0x18, rcx, r11,
    };
    assert_memory_equal(frame, expected, sizeof frame);
    assert_memory_equal(fixture->shared, &before, sizeof before);
    assert_int_equal(fixture->write[0].physical, rsp - KERNEL_BASE + 56); /* somebody may have to hear of it */
    assert_int_equal(reg(fixture, VCPU_CR3), GUEST_TABLES);
    pvm_resumes(&fixture->pvm);
    assert_int_equal(fixture->shared->event_flags, 0);
}

static void test_an_exception_without_an_error_code_has_zero(void **state)
{
    struct pvm_fixture *fixture = *state;
    uint64_t word;

    assert_true(deliver(fixture, VCPU_EVENT_EXCEPTION, 6, false, 0x55));
    memcpy(&word, fixture->guest->ram + (reg(fixture, VCPU_RSP) - KERNEL_BASE), sizeof word);
    assert_int_equal(word, 6ull << 32);
}

static void test_an_interrupt_in_the_supervisor_is_in_the_shared_page(void **state)
{
    struct pvm_fixture *fixture = *state;
    uint64_t rcx = reg(fixture, VCPU_RCX), r11 = reg(fixture, VCPU_R11);

    assert_true(pvm_fixture_set(fixture, 3, 128));
    fixture->vcpu->value[VCPU_RSP] = STACK_TOP - 9;
    fixture->vcpu->value[VCPU_RFLAGS] = 0x246;
    assert_true(deliver(fixture, VCPU_EVENT_INTERRUPT, 0x20, false, 0));
    assert_at(fixture, ENTRY + 512);
    assert_int_equal(reg(fixture, VCPU_RSP), (STACK_TOP - 9 - 128) & ~UINT64_C(15));
    assert_int_equal(fixture->shared->event_vector, 0x20);
    assert_int_equal(fixture->shared->eflags, 0x246);
    assert_int_equal(fixture->shared->rip, KERNEL_BASE + GUEST_CODE);
    assert_int_equal(fixture->shared->rsp, STACK_TOP - 9);
    assert_int_equal(fixture->shared->rcx, rcx);
    assert_int_equal(fixture->shared->r11, r11);
    assert_int_equal(fixture->shared->user_gsbase, 0); /* not a program's */
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)), KERNEL_GS);
}

static void test_an_exception_without_a_stack_ends_the_guest_and_leaves_no_half_frame(void **state)
{
    struct pvm_fixture *fixture = *state;
    uint64_t before[8] = { 0 };

    fixture->vcpu->value[VCPU_RSP] = KERNEL_BASE + 0x6020; /* the frame begins in the page below */
    fixture->guest->page_table[5] &= ~UINT64_C(2);
    fixture->vcpu->value[VCPU_CR0] |= CR0_WP;
    memcpy(before, fixture->guest->ram + 0x6000, 32);
    assert_false(deliver(fixture, VCPU_EVENT_EXCEPTION, 13, true, 0));
    assert_memory_equal(fixture->guest->ram + 0x6000, before, 32);
    fixture->vcpu->value[VCPU_RSP] = UINT64_C(0x0000900000000000);
    assert_false(deliver(fixture, VCPU_EVENT_EXCEPTION, 13, true, 0));
}

static void test_double_faults_and_events_without_a_shared_page_end_the_guest(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;

    assert_false(deliver(fixture, VCPU_EVENT_EXCEPTION, 8, true, 0));
    pvm_fixture_run_program(fixture);
    assert_false(deliver(fixture, VCPU_EVENT_EXCEPTION, 8, true, 0));
    assert_true(pvm_fixture_set(fixture, 1, 0));
    assert_false(deliver(fixture, VCPU_EVENT_EXCEPTION, 14, true, 0));
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_SHUTDOWN);
    assert_true(deliver(fixture, VCPU_EVENT_NONE, 0, false, 0));
}

static void test_a_raised_exception_is_delivered_once_and_an_event_waits_behind_it(void **state)
{
    struct pvm_fixture *fixture = *state;

    pvm_fixture_run_program(fixture);
    fixture->vcpu->event = (struct vcpu_event) { VCPU_EVENT_INTERRUPT, 0x40, false, 0 };
    assert_true(vcpu_raise(fixture->vcpu, 13, true, 9));
    assert_true(pvm_deliver_exception(&fixture->pvm));
    assert_int_equal(fixture->shared->event_vector, 13);
    assert_int_equal(fixture->shared->event_errcode, 9);
    assert_false(fixture->vcpu->exception.pending);
    assert_int_equal(fixture->vcpu->event.kind, VCPU_EVENT_INTERRUPT);
    assert_true(pvm_deliver_exception(&fixture->pvm));
    assert_int_equal(reg(fixture, VCPU_RIP), ENTRY);
}

static void test_a_system_call_of_a_program_comes_at_lstar_and_says_no_vector(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;

    pvm_fixture_run_program(fixture);
    fixture->shared->event_vector = 77;
    fixture->shared->event_errcode = 88;
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_DONE);
    assert_at(fixture, SYSCALLS);
    assert_program_saved(fixture, 0x401002, 0x401002, 0x246);
    assert_supervisor_of_program(fixture);
    assert_int_equal(fixture->shared->event_vector, 77);
    assert_int_equal(fixture->shared->event_errcode, 88);
}

static void return_to_user(struct pvm_fixture *fixture)
{
    struct vcpu_exit exit;

    fixture->vcpu->value[VCPU_RIP] = RETU;
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_DONE);
}

static void test_what_an_event_took_from_a_program_the_return_gives_back(void **state)
{
    struct pvm_fixture *fixture = *state;
    uint64_t before[VCPU_REGISTER_COUNT];

    pvm_fixture_run_program(fixture);
    memcpy(before, fixture->vcpu->value, sizeof before);
    assert_true(deliver(fixture, VCPU_EVENT_INTERRUPT, 0x30, false, 0));
    vcpu_set(fixture->vcpu, VCPU_RSP, STACK_TOP - 0x40);
    return_to_user(fixture);
    assert_memory_equal(fixture->vcpu->value, before, sizeof before);
    assert_int_equal(pvm_fixture_get(fixture, 2), STACK_TOP - 0x40); /* the next event begins on that stack */
    assert_int_equal(pvm_fixture_get(fixture, 7), GUEST_TABLES);
}

static void test_a_return_to_a_program_makes_its_registers_those_that_it_can_have(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct pvm_vcpu_struct *shared = fixture->shared;

    shared->eflags = 0xfffffdff;
    shared->user_gsbase = UINT64_C(0x1234ffff00000000);
    shared->rip = 0x401000;
    shared->event_flags = 0x300;
    vcpu_set(fixture->vcpu, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), KERNEL_GS + 0x100);
    return_to_user(fixture);
    assert_int_equal(pv_cpl(fixture->vcpu), 3);
    assert_int_equal(reg(fixture, VCPU_RFLAGS), 0x254fd7); /* IF; no IOPL, VM, VIF, VIP */
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)), UINT64_C(0xffffffff00000000));
    assert_int_equal(reg(fixture, VCPU_KERNEL_GS_BASE), KERNEL_GS + 0x100);
    assert_int_equal(shared->event_flags, IF); /* the flag is the supervisor's business; nothing waits any more */
}

static void assert_refused(struct pvm_fixture *fixture)
{
    return_to_user(fixture);
    assert_true(fixture->vcpu->exception.pending);
    assert_int_equal(fixture->vcpu->exception.vector, 13);
    assert_true(pvm_deliver_exception(&fixture->pvm));
    assert_at(fixture, ENTRY); /* as one of the program's */
    assert_int_equal(fixture->shared->event_vector, 13);
}

static void test_a_return_to_what_cannot_run_is_a_fault_of_the_program(void **state)
{
    struct pvm_fixture *fixture = *state;

    fixture->shared->rip = 0x401000;
    fixture->shared->user_cs = 0x23; /* 32-bit */
    assert_refused(fixture);
    assert_int_equal(fixture->shared->rip, 0x401000);
    fixture->shared->user_cs = 0x33;
    fixture->shared->user_ss = 0;
    assert_refused(fixture);
    fixture->shared->user_ss = 0x2b;
    fixture->shared->rip = UINT64_C(0x0000800000000000);
    assert_refused(fixture);
    assert_int_equal(fixture->shared->rip, UINT64_C(0x0000800000000000));
    fixture->shared->rip = 0x401000;
    fixture->shared->user_cs = 0x30; /* its RPL is made 3 */
    return_to_user(fixture);
    assert_false(fixture->vcpu->exception.pending);
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)), 0x33);
}

static void test_a_return_to_the_supervisor_s_own_code_stays_in_supervisor_mode(void **state)
{
    struct pvm_fixture *fixture = *state;

    fixture->shared->rip = KERNEL_BASE + GUEST_CODE;
    fixture->shared->rsp = KERNEL_BASE + 0xa000;
    fixture->shared->eflags = 0x246;
    return_to_user(fixture);
    assert_int_equal(pv_cpl(fixture->vcpu), 0);
    assert_int_equal(reg(fixture, VCPU_RIP), KERNEL_BASE + GUEST_CODE);
    assert_int_equal(reg(fixture, VCPU_RSP), KERNEL_BASE + 0xa000);
    assert_int_equal(reg(fixture, VCPU_RFLAGS), 0x246);
    assert_int_equal(reg(fixture, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)), KERNEL_GS);
    assert_int_equal(reg(fixture, VCPU_CR3), GUEST_TABLES);
    /* Where a program may execute it, or nobody, it is one of the program's. */
    fixture->guest->page_table[GUEST_CODE >> 12] |= 4;
    return_to_user(fixture);
    assert_int_equal(pv_cpl(fixture->vcpu), 3);
    assert_int_equal(reg(fixture, VCPU_RIP), KERNEL_BASE + GUEST_CODE);
}

static void test_what_an_exception_took_from_the_supervisor_the_return_gives_back(void **state)
{
    struct pvm_fixture *fixture = *state;
    uint64_t before[VCPU_REGISTER_COUNT];
    struct vcpu_exit exit;

    fixture->vcpu->value[VCPU_RFLAGS] = 0x246;
    memcpy(before, fixture->vcpu->value, sizeof before);
    assert_true(deliver(fixture, VCPU_EVENT_EXCEPTION, 14, true, 2));
    vcpu_set(fixture->vcpu, VCPU_RIP, RETS);
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_DONE);
    assert_memory_equal(fixture->vcpu->value, before, sizeof before);
}

static void test_a_return_to_the_supervisor_makes_its_flags_those_that_it_can_have(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;
    uint64_t *frame = (uint64_t *)(fixture->guest->ram + 0x8000);

    frame[1] = KERNEL_BASE + 0x7000;
    frame[3] = UINT64_MAX;
    frame[4] = KERNEL_BASE + 0x8800;
    vcpu_set(fixture->vcpu, VCPU_RSP, KERNEL_BASE + 0x8000);
    vcpu_set(fixture->vcpu, VCPU_RIP, RETS);
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_DONE);
    assert_int_equal(reg(fixture, VCPU_RFLAGS), 0x254fd7);
    assert_int_equal(reg(fixture, VCPU_RSP), KERNEL_BASE + 0x8800);
    assert_int_equal(pv_cpl(fixture->vcpu), 0);

    frame[1] = UINT64_C(0x8000000000000000);
    vcpu_set(fixture->vcpu, VCPU_RSP, KERNEL_BASE + 0x8000);
    vcpu_set(fixture->vcpu, VCPU_RIP, RETS);
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_DONE);
    assert_true(fixture->vcpu->exception.pending);
    assert_int_equal(fixture->vcpu->exception.vector, 13);
    fixture->vcpu->exception.pending = false;

    /* A frame that is not there. */
    vcpu_set(fixture->vcpu, VCPU_RSP, KERNEL_BASE + GUEST_RAM_BYTES - 56);
    vcpu_set(fixture->vcpu, VCPU_RIP, RETS);
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_SHUTDOWN);
}

static void test_an_nmi_blocks_others_until_a_return(void **state)
{
    struct pvm_fixture *fixture = *state;
    struct vcpu_exit exit;

    assert_true(deliver(fixture, VCPU_EVENT_NMI, 2, false, 0));
    assert_at(fixture, ENTRY + 256);
    assert_int_equal(reg(fixture, VCPU_INTERRUPTIBILITY), VCPU_BLOCKED_BY_NMI);
    vcpu_set(fixture->vcpu, VCPU_RIP, RETS);
    assert_int_equal(pvm_syscall(&fixture->pvm, &exit), PRIVILEGED_DONE);
    assert_int_equal(reg(fixture, VCPU_INTERRUPTIBILITY), 0);
    pvm_fixture_run_program(fixture);
    assert_true(deliver(fixture, VCPU_EVENT_NMI, 2, false, 0));
    assert_at(fixture, ENTRY);
    assert_int_equal(reg(fixture, VCPU_INTERRUPTIBILITY), VCPU_BLOCKED_BY_NMI);
    return_to_user(fixture);
    assert_int_equal(reg(fixture, VCPU_INTERRUPTIBILITY), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_an_event_in_a_program_is_described_in_the_shared_page),
        TEST(test_a_page_fault_brings_its_address),
        TEST(test_the_supervisor_s_flag_survives_an_event_in_a_program),
        TEST(test_an_exception_in_the_supervisor_is_on_its_stack),
        TEST(test_an_exception_without_an_error_code_has_zero),
        TEST(test_an_interrupt_in_the_supervisor_is_in_the_shared_page),
        TEST(test_an_exception_without_a_stack_ends_the_guest_and_leaves_no_half_frame),
        TEST(test_double_faults_and_events_without_a_shared_page_end_the_guest),
        TEST(test_a_raised_exception_is_delivered_once_and_an_event_waits_behind_it),
        TEST(test_a_system_call_of_a_program_comes_at_lstar_and_says_no_vector),
        TEST(test_what_an_event_took_from_a_program_the_return_gives_back),
        TEST(test_a_return_to_a_program_makes_its_registers_those_that_it_can_have),
        TEST(test_a_return_to_what_cannot_run_is_a_fault_of_the_program),
        TEST(test_a_return_to_the_supervisor_s_own_code_stays_in_supervisor_mode),
        TEST(test_what_an_exception_took_from_the_supervisor_the_return_gives_back),
        TEST(test_a_return_to_the_supervisor_makes_its_flags_those_that_it_can_have),
        TEST(test_an_nmi_blocks_others_until_a_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
