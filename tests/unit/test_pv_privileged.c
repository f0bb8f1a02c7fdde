/* Instructions that a PV guest's ring 3 refuses, at both of its levels. */
#include "tests/unit/pv_fixture.h"
#include "vmm/pv/descriptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CODE (KERNEL_BASE + GUEST_CODE)
#define REX_W 0x48

static uint64_t get(struct pv_fixture *pv, enum vcpu_register reg)
{
    return vcpu_get(pv->vcpu, reg);
}

static void set(struct pv_fixture *pv, enum vcpu_register reg, uint64_t value)
{
    vcpu_set(pv->vcpu, reg, value);
}

static uint64_t selector(struct pv_fixture *pv, enum vcpu_segment segment)
{
    return get(pv, VCPU_SEGMENT(segment, VCPU_SELECTOR));
}

/* Takes the exception that is pending. */
static void assert_raised(struct pv_fixture *pv, uint8_t vector, uint32_t error)
{
    assert_true(pv->vcpu->exception.pending);
    assert_int_equal(pv->vcpu->exception.vector, vector);
    assert_int_equal(pv->vcpu->exception.error, error);
    pv->vcpu->exception.pending = false;
}

static void assert_done(struct pv_fixture *pv, enum privileged_result result)
{
    assert_int_equal(result, PRIVILEGED_DONE);
    assert_false(pv->vcpu->exception.pending);
}

static void assert_exits(struct pv_fixture *pv, enum privileged_result result, enum vcpu_exit_kind kind, unsigned length)
{
    assert_int_equal(result, PRIVILEGED_EXIT);
    assert_int_equal(pv->exit.kind, kind);
    assert_int_equal(pv->exit.instruction_length, length);
}

#define assert_gp_for_programs(pv, ...)                                   \
    do {                                                                  \
        pv_enter_user(pv);                                                \
        assert_int_equal(EXECUTE(pv, __VA_ARGS__), PRIVILEGED_DONE);      \
        assert_raised(pv, VECTOR_GP, 0);                                  \
        assert_int_equal(get(pv, VCPU_RIP), PV_USER_CODE);                \
        pv_enter_kernel(pv);                                              \
    } while (0)

static void test_cli_and_sti_switch_the_virtual_interrupt_flag(void **state)
{
    struct pv_fixture *pv = *state;

    assert_done(pv, EXECUTE(pv, 0xfb));
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_IF);
    assert_int_equal(get(pv, VCPU_INTERRUPTIBILITY), VCPU_BLOCKED_BY_STI);
    assert_int_equal(get(pv, VCPU_RIP), CODE + 1);
    assert_done(pv, EXECUTE(pv, 0xfb)); /* the second one has no shadow of its own */
    assert_int_equal(get(pv, VCPU_INTERRUPTIBILITY), 0);
    assert_done(pv, EXECUTE(pv, 0xfa));
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2);
    assert_gp_for_programs(pv, 0xfa);
    assert_gp_for_programs(pv, 0xfb);

    set(pv, VCPU_RFLAGS, 0x2 | RFLAGS_IF | RFLAGS_IOPL);
    pv_enter_user(pv);
    assert_done(pv, EXECUTE(pv, 0xfa));
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_IOPL);
}

static void test_pushf_shows_the_virtual_flags(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RFLAGS, 0x2 | RFLAGS_IF | RFLAGS_RF | RFLAGS_AC | 0x1000);
    assert_done(pv, EXECUTE(pv, 0x06)); /* patched */
    assert_int_equal(pv_word(pv, PV_KERNEL_STACK - 8), 0x2 | RFLAGS_IF | RFLAGS_AC | 0x1000);
    assert_done(pv, EXECUTE(pv, 0x66, 0x06));
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_KERNEL_STACK - 10);
    assert_int_equal(pv_word(pv, PV_KERNEL_STACK - 10) & 0xffff, 0x1202);
}

static void test_popf_changes_what_the_level_allows(void **state)
{
    struct pv_fixture *pv = *state;

    pv_set_word(pv, PV_KERNEL_STACK, UINT64_MAX);
    assert_done(pv, EXECUTE(pv, 0x07));
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x247fd7);
    assert_int_equal(get(pv, VCPU_PENDING_DEBUG), 0); /* TF counts from the next instruction on */

    set(pv, VCPU_RFLAGS, 0x2 | RFLAGS_IF);
    pv_enter_user(pv);
    pv->is_patched = true;
    pv_set_word(pv, PV_USER_STACK, RFLAGS_IOPL | RFLAGS_CF);
    assert_done(pv, EXECUTE(pv, 0x07));
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_IF | RFLAGS_CF);
    assert_int_equal(get(pv, VCPU_RSP), PV_USER_STACK + 8);
}

static void test_popf_of_a_step_that_ends_it_is_still_a_step(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RFLAGS, 0x2 | RFLAGS_TF);
    pv_set_word(pv, PV_KERNEL_STACK, 0);
    assert_done(pv, EXECUTE(pv, 0x07));
    assert_int_equal(get(pv, VCPU_PENDING_DEBUG), VCPU_PENDING_DEBUG_STEP);
}

/* An IRET frame at the kernel's stack pointer. */
static void set_frame(struct pv_fixture *pv, uint64_t rip, uint64_t cs, uint64_t rflags, uint64_t rsp, uint64_t ss)
{
    const uint64_t words[] = { rip, cs, rflags, rsp, ss };

    set(pv, VCPU_RSP, KERNEL_BASE + PV_RSP0);
    for (unsigned i = 0; i < 5; i++)
        pv_set_word(pv, PV_RSP0 + i * 8, words[i]);
}

static void test_iret_enters_a_program(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_SEGMENT(VCPU_DS, VCPU_ACCESS), 0xc093);
    set(pv, VCPU_SEGMENT(VCPU_DS, VCPU_SELECTOR), PV_KERNEL_DATA);
    set(pv, VCPU_SEGMENT(VCPU_ES, VCPU_ACCESS), 0xc0f3);
    set(pv, VCPU_SEGMENT(VCPU_ES, VCPU_SELECTOR), PV_USER_DATA);
    set(pv, VCPU_SEGMENT(VCPU_FS, VCPU_ACCESS), 0x10000);
    set(pv, VCPU_SEGMENT(VCPU_FS, VCPU_BASE), 0x1234);
    set(pv, VCPU_INTERRUPTIBILITY, VCPU_BLOCKED_BY_NMI);
    set_frame(pv, PV_USER_CODE, PV_USER_CODE_64, 0x2 | RFLAGS_IF | RFLAGS_VM | RFLAGS_AC, PV_USER_STACK, PV_USER_DATA);
    assert_done(pv, EXECUTE(pv, REX_W, 0x0e));
    assert_int_equal(pv_cpl(pv->vcpu), 3);
    assert_int_equal(get(pv, VCPU_RIP), PV_USER_CODE);
    assert_int_equal(get(pv, VCPU_RSP), PV_USER_STACK);
    assert_int_equal(selector(pv, VCPU_CS), PV_USER_CODE_64);
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_IF | RFLAGS_AC);
    assert_int_equal(get(pv, VCPU_INTERRUPTIBILITY), 0);
    assert_int_equal(selector(pv, VCPU_DS), 0);
    assert_int_equal(selector(pv, VCPU_ES), PV_USER_DATA);
    assert_int_equal(get(pv, VCPU_SEGMENT(VCPU_FS, VCPU_BASE)), 0x1234);
}

static void test_iret_within_the_kernel_takes_a_null_stack_segment(void **state)
{
    struct pv_fixture *pv = *state;

    set_frame(pv, CODE + 0x100, PV_KERNEL_CODE, 0x2, KERNEL_BASE + PV_KERNEL_STACK, 0);
    assert_done(pv, EXECUTE(pv, REX_W, 0x0e));
    assert_int_equal(get(pv, VCPU_RIP), CODE + 0x100);
    assert_int_equal(pv_cpl(pv->vcpu), 0);
    assert_int_equal(selector(pv, VCPU_SS), 0);
}

static void assert_bad_frame(struct pv_fixture *pv, uint64_t rip, uint64_t cs, uint64_t ss, uint8_t vector, uint32_t error)
{
    pv_enter_kernel(pv);
    set_frame(pv, rip, cs, 0x2, PV_USER_STACK, ss);
    assert_int_equal(EXECUTE(pv, REX_W, 0x0e), PRIVILEGED_DONE);
    assert_raised(pv, vector, error);
    assert_int_equal(get(pv, VCPU_RIP), CODE);
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_RSP0);
    assert_int_equal(selector(pv, VCPU_CS), PV_KERNEL_CODE);
}

static void test_iret_checks_what_it_returns_to(void **state)
{
    struct pv_fixture *pv = *state;

    assert_bad_frame(pv, PV_USER_CODE, 0, PV_USER_DATA, VECTOR_GP, 0);
    assert_bad_frame(pv, PV_USER_CODE, PV_USER_DATA, PV_USER_DATA, VECTOR_GP, PV_USER_DATA & ~3u);
    assert_bad_frame(pv, PV_USER_CODE, PV_USER_CODE_64 & ~3, PV_USER_DATA, VECTOR_GP, PV_USER_CODE_64 & ~3u);
    assert_bad_frame(pv, PV_USER_CODE, PV_KERNEL_CODE | 3, PV_USER_DATA, VECTOR_GP, PV_KERNEL_CODE);
    assert_bad_frame(pv, PV_USER_CODE, 0x1003, PV_USER_DATA, VECTOR_GP, 0x1000);
    assert_bad_frame(pv, PV_USER_CODE, PV_USER_CODE_64, PV_KERNEL_DATA, VECTOR_GP, PV_KERNEL_DATA);
    assert_bad_frame(pv, PV_USER_CODE, PV_USER_CODE_64, 0, VECTOR_GP, 0);
    assert_bad_frame(pv, PV_USER_CODE, PV_USER_CODE_64, PV_USER_CODE_64, VECTOR_GP, PV_USER_CODE_64 & ~3u);
    assert_bad_frame(pv, UINT64_C(1) << 47, PV_USER_CODE_64, PV_USER_DATA, VECTOR_GP, 0);
    assert_bad_frame(pv, PV_USER_CODE, PV_CODE_32, PV_KERNEL_DATA, VECTOR_GP, PV_CODE_32);
    *pv_descriptor(pv, PV_USER_DATA) &= ~(UINT64_C(1) << 47);
    assert_bad_frame(pv, PV_USER_CODE, PV_USER_CODE_64, PV_USER_DATA, VECTOR_SS, PV_USER_DATA & ~3u);
    *pv_descriptor(pv, PV_USER_CODE_64) &= ~(UINT64_C(1) << 47);
    assert_bad_frame(pv, PV_USER_CODE, PV_USER_CODE_64, PV_USER_DATA, VECTOR_NP, PV_USER_CODE_64 & ~3u);

    pv_enter_kernel(pv);
    set(pv, VCPU_RFLAGS, 0x2 | RFLAGS_NT);
    assert_int_equal(EXECUTE(pv, REX_W, 0x0e), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, 0);
    set(pv, VCPU_RFLAGS, 0x2);
    set(pv, VCPU_RSP, UINT64_C(1) << 50);
    assert_int_equal(EXECUTE(pv, REX_W, 0x0e), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_SS, 0);
}

static void test_a_program_cannot_return_inwards(void **state)
{
    struct pv_fixture *pv = *state;

    pv_enter_user(pv);
    pv->is_patched = true;
    set(pv, VCPU_RSP, PV_USER_STACK - 64);
    pv_set_word(pv, PV_USER_STACK - 64, CODE);
    pv_set_word(pv, PV_USER_STACK - 56, PV_KERNEL_CODE);
    pv_set_word(pv, PV_USER_STACK - 40, PV_USER_STACK);
    assert_int_equal(EXECUTE(pv, REX_W, 0x0e), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_KERNEL_CODE);
    assert_int_equal(EXECUTE(pv, REX_W, 0x2f), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_KERNEL_CODE);
    assert_int_equal(pv_cpl(pv->vcpu), 3);
}

static void test_syscall_and_sysret_go_both_ways(void **state)
{
    struct pv_fixture *pv = *state;

    pv_enter_user(pv);
    set(pv, VCPU_RFLAGS, 0x2 | RFLAGS_IF | RFLAGS_DF);
    set(pv, VCPU_FMASK, RFLAGS_IF);
    assert_int_equal(privileged_syscall(&pv->cpu, &pv->exit), PRIVILEGED_DONE);
    assert_int_equal(get(pv, VCPU_RIP), KERNEL_BASE + 0x6800);
    assert_int_equal(get(pv, VCPU_RCX), PV_USER_CODE + 2);
    assert_int_equal(get(pv, VCPU_R11), 0x2 | RFLAGS_IF | RFLAGS_DF);
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_DF);
    assert_int_equal(get(pv, VCPU_RSP), PV_USER_STACK);
    assert_int_equal(pv_cpl(pv->vcpu), 0);
    assert_int_equal(selector(pv, VCPU_CS), PV_KERNEL_CODE);
    assert_int_equal(selector(pv, VCPU_SS), PV_KERNEL_DATA);

    assert_done(pv, EXECUTE(pv, REX_W, 0x0f, 0x07));
    assert_int_equal(get(pv, VCPU_RIP), PV_USER_CODE + 2);
    assert_int_equal(get(pv, VCPU_RFLAGS), 0x2 | RFLAGS_IF | RFLAGS_DF);
    assert_int_equal(pv_cpl(pv->vcpu), 3);
    assert_int_equal(selector(pv, VCPU_CS), PV_USER_CODE_64);
    assert_int_equal(selector(pv, VCPU_SS), PV_USER_DATA);

    pv_enter_kernel(pv);
    assert_int_equal(privileged_syscall(&pv->cpu, &pv->exit), PRIVILEGED_EXIT);
    assert_int_equal(pv->exit.kind, VCPU_EXIT_HYPERCALL);
    assert_int_equal(pv->exit.instruction_length, 2);

    set(pv, VCPU_RCX, UINT64_C(1) << 47);
    assert_int_equal(EXECUTE(pv, REX_W, 0x0f, 0x07), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, 0);
    assert_int_equal(pv_cpl(pv->vcpu), 0);
    assert_gp_for_programs(pv, REX_W, 0x0f, 0x07);
    set(pv, VCPU_EFER, EFER_LME | EFER_LMA);
    assert_int_equal(EXECUTE(pv, REX_W, 0x0f, 0x07), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_UD, 0);
    pv_enter_user(pv);
    assert_int_equal(privileged_syscall(&pv->cpu, &pv->exit), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_UD, 0);
}

static void test_swapgs_swaps(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_KERNEL_GS_BASE, 5);
    set(pv, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), 7);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x01, 0xf8));
    assert_int_equal(get(pv, VCPU_KERNEL_GS_BASE), 7);
    assert_int_equal(get(pv, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)), 5);
    assert_gp_for_programs(pv, 0x0f, 0x01, 0xf8);
}

static void test_what_belongs_to_the_machine_exits(void **state)
{
    struct pv_fixture *pv = *state;

    assert_exits(pv, EXECUTE(pv, 0xf4), VCPU_EXIT_HALT, 1);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x30), VCPU_EXIT_WRITE_MSR, 2);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x32), VCPU_EXIT_READ_MSR, 2);
    assert_exits(pv, EXECUTE(pv, 0x1f, 0xa2), VCPU_EXIT_CPUID, 2);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x09), VCPU_EXIT_INVALIDATE, 2);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x01, 0xc1), VCPU_EXIT_HYPERCALL, 3);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x01, 0xc2), VCPU_EXIT_UNDEFINED, 3);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x01, 0xcb), VCPU_EXIT_UNDEFINED, 3); /* STAC */
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x06), VCPU_EXIT_CONTROL_REGISTER, 2);
    assert_int_equal(pv->exit.control.access, VCPU_CLTS);
    assert_exits(pv, EXECUTE(pv, 0x44, 0x0f, 0x20, 0xc0), VCPU_EXIT_CONTROL_REGISTER, 4);
    assert_int_equal(pv->exit.control.number, 8);
    assert_int_equal(pv->exit.control.access, VCPU_MOV_FROM_CR);
    assert_exits(pv, EXECUTE(pv, 0x41, 0x0f, 0x22, 0xdf), VCPU_EXIT_CONTROL_REGISTER, 4);
    assert_int_equal(pv->exit.control.number, 3);
    assert_int_equal(pv->exit.control.gpr, VCPU_R15);
    assert_true(pv->cpu.invalidation.loaded_cr3);
    set(pv, VCPU_RAX, 0x1f);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x01, 0xf0), VCPU_EXIT_CONTROL_REGISTER, 3);
    assert_int_equal(pv->exit.control.access, VCPU_LMSW);
    assert_int_equal(pv->exit.control.lmsw, 0x1f);
    set(pv, VCPU_CR4, CR4_PAE | CR4_OSXSAVE);
    assert_exits(pv, EXECUTE(pv, 0x0f, 0x01, 0xd1), VCPU_EXIT_XSETBV, 3);
    assert_gp_for_programs(pv, 0xf4);
    assert_gp_for_programs(pv, 0x0f, 0x30);
    assert_gp_for_programs(pv, 0x0f, 0x22, 0xd8);
    assert_gp_for_programs(pv, 0x0f, 0x01, 0xd1);
    assert_gp_for_programs(pv, 0x0f, 0x06);
}

static void test_paging_stays_on(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RAX, CR0_PE);
    assert_int_equal(EXECUTE(pv, 0x0f, 0x22, 0xc0), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, 0);
    set(pv, VCPU_RAX, UINT64_C(1) << 60);
    assert_int_equal(EXECUTE(pv, 0x0f, 0x22, 0xd8), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, 0);
}

static void test_ports_go_by_iopl_and_the_map_of_the_tss(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RDX, 0x3f8);
    assert_exits(pv, EXECUTE(pv, 0xee), VCPU_EXIT_IO, 1);
    assert_int_equal(pv->exit.io.port, 0x3f8);
    assert_int_equal(pv->exit.io.size, 1);
    assert_false(pv->exit.io.in);
    assert_exits(pv, EXECUTE(pv, 0x66, 0xe5, 0x71), VCPU_EXIT_IO, 3);
    assert_int_equal(pv->exit.io.port, 0x71);
    assert_int_equal(pv->exit.io.size, 2);
    assert_true(pv->exit.io.in);
    assert_exits(pv, EXECUTE(pv, 0xf3, 0x64, 0x6f), VCPU_EXIT_IO, 3);
    assert_true(pv->exit.io.string && pv->exit.io.repeated);
    assert_int_equal(pv->exit.io.segment, VCPU_FS);
    assert_int_equal(pv->exit.io.size, 4);
    assert_int_equal(pv->exit.io.address_size, 8);

    /* No map; then one in which port 0x3f8 is allowed and 0x3f9 is not. */
    assert_gp_for_programs(pv, 0xee);
    pv_set_word(pv, PV_TSS + 0x60, UINT64_C(0x68) << 48);
    set(pv, VCPU_SEGMENT(VCPU_TR, VCPU_LIMIT), 0x68 + 0x3f8 / 8 + 1);
    pv->guest->ram[PV_TSS + 0x68 + 0x3f8 / 8] = 0xfe;
    pv_enter_user(pv);
    assert_exits(pv, EXECUTE(pv, 0xee), VCPU_EXIT_IO, 1);
    assert_gp_for_programs(pv, 0xef);
    set(pv, VCPU_RDX, 0x400);
    assert_gp_for_programs(pv, 0xee);
    set(pv, VCPU_RFLAGS, 0x2 | RFLAGS_IOPL);
    pv_enter_user(pv);
    assert_exits(pv, EXECUTE(pv, 0xef), VCPU_EXIT_IO, 1);
}

static void test_segment_registers_are_loaded_from_the_guests_tables(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RAX, PV_USER_DATA);
    assert_done(pv, EXECUTE(pv, 0x61, 0xd8)); /* mov ds, eax, patched */
    assert_int_equal(selector(pv, VCPU_DS), PV_USER_DATA);
    assert_int_equal(get(pv, VCPU_SEGMENT(VCPU_DS, VCPU_ACCESS)), 0xc0f3);
    set(pv, VCPU_RAX, PV_KERNEL_DATA);
    assert_done(pv, EXECUTE(pv, 0x8e, 0xd0)); /* mov ss, eax */
    assert_int_equal(get(pv, VCPU_INTERRUPTIBILITY), VCPU_BLOCKED_BY_MOV_SS);
    set(pv, VCPU_RAX, PV_ABSENT);
    assert_int_equal(EXECUTE(pv, 0x8e, 0xe0), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_NP, PV_ABSENT);
    set(pv, VCPU_RAX, PV_TSS_BUSY);
    assert_int_equal(EXECUTE(pv, 0x8e, 0xe0), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_TSS_BUSY);
    set(pv, VCPU_RAX, PV_READ_ONLY);
    assert_int_equal(EXECUTE(pv, 0x8e, 0xd0), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_READ_ONLY);
    set(pv, VCPU_RAX, 0);
    set(pv, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), 99);
    assert_done(pv, EXECUTE(pv, 0x8e, 0xe8)); /* mov gs, eax */
    assert_int_equal(get(pv, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)), 0);

    set(pv, VCPU_RAX, UINT64_MAX);
    pv_enter_kernel(pv);
    assert_done(pv, EXECUTE(pv, 0x60, 0xc8)); /* mov eax, cs */
    assert_int_equal(get(pv, VCPU_RAX), PV_KERNEL_CODE);
    assert_done(pv, EXECUTE(pv, 0x82, 0xa0)); /* push fs */
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_KERNEL_STACK - 8);
    pv_set_word(pv, PV_KERNEL_STACK - 8, PV_USER_DATA);
    assert_done(pv, EXECUTE(pv, 0x82, 0xa9)); /* pop gs */
    assert_int_equal(selector(pv, VCPU_GS), PV_USER_DATA);
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_KERNEL_STACK);

    pv_set_word(pv, GUEST_DATA, 0x1122334455667788);
    pv_set_word(pv, GUEST_DATA + 8, PV_USER_DATA);
    set(pv, VCPU_RBX, KERNEL_BASE + GUEST_DATA);
    assert_done(pv, EXECUTE(pv, REX_W, 0x9a, 0xb5, 0x0b)); /* lgs rcx, [rbx] */
    assert_int_equal(get(pv, VCPU_RCX), 0x1122334455667788);

    pv_enter_user(pv);
    set(pv, VCPU_RAX, PV_KERNEL_DATA);
    assert_int_equal(EXECUTE(pv, 0x8e, 0xd8), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_KERNEL_DATA);
}

static bool zero_flag(struct pv_fixture *pv)
{
    return get(pv, VCPU_RFLAGS) & RFLAGS_ZF;
}

static void test_descriptors_can_be_looked_at(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RCX, PV_KERNEL_DATA);
    assert_done(pv, EXECUTE(pv, 0x1e, 0x02, 0xc1)); /* lar eax, ecx */
    assert_true(zero_flag(pv));
    assert_int_equal(get(pv, VCPU_RAX), 0xc09300);
    assert_done(pv, EXECUTE(pv, 0x1e, 0x03, 0xc1)); /* lsl */
    assert_int_equal(get(pv, VCPU_RAX), UINT32_MAX);
    assert_done(pv, EXECUTE(pv, 0x16, 0x00, 0xe9)); /* verw cx */
    assert_true(zero_flag(pv));
    set(pv, VCPU_RCX, PV_READ_ONLY);
    assert_done(pv, EXECUTE(pv, 0x16, 0x00, 0xe9));
    assert_false(zero_flag(pv));
    assert_done(pv, EXECUTE(pv, 0x16, 0x00, 0xe1)); /* verr cx */
    assert_true(zero_flag(pv));
    set(pv, VCPU_RCX, 0x4000);
    set(pv, VCPU_RAX, 1);
    assert_done(pv, EXECUTE(pv, 0x1e, 0x02, 0xc1));
    assert_false(zero_flag(pv));
    assert_int_equal(get(pv, VCPU_RAX), 1);
    set(pv, VCPU_RCX, PV_CALL_GATE);
    assert_done(pv, EXECUTE(pv, 0x1e, 0x02, 0xc1));
    assert_true(zero_flag(pv));
    assert_done(pv, EXECUTE(pv, 0x1e, 0x03, 0xc1));
    assert_false(zero_flag(pv));

    pv_enter_user(pv);
    pv->is_patched = true;
    set(pv, VCPU_RCX, PV_KERNEL_DATA);
    assert_done(pv, EXECUTE(pv, 0x1e, 0x02, 0xc1));
    assert_false(zero_flag(pv));
}

static void test_descriptor_tables_are_loaded_and_stored(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RBX, KERNEL_BASE + GUEST_DATA);
    assert_done(pv, EXECUTE(pv, 0x17, 0x01, 0x03)); /* sgdt [rbx] */
    assert_int_equal(pv_word(pv, GUEST_DATA) & 0xffff, PV_GDT_END - 1);
    assert_int_equal(pv_word(pv, GUEST_DATA + 2), KERNEL_BASE + PV_GDT);
    pv_set_word(pv, GUEST_DATA + 2, 0x123000);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x01, 0x1b)); /* lidt [rbx] */
    assert_int_equal(get(pv, VCPU_IDTR_BASE), 0x123000);
    assert_int_equal(get(pv, VCPU_IDTR_LIMIT), PV_GDT_END - 1);
    pv_set_word(pv, GUEST_DATA + 2, UINT64_C(1) << 55);
    assert_int_equal(EXECUTE(pv, 0x0f, 0x01, 0x13), PRIVILEGED_DONE); /* lgdt [rbx] */
    assert_raised(pv, VECTOR_GP, 0);
    assert_int_equal(get(pv, VCPU_GDTR_BASE), KERNEL_BASE + PV_GDT);
    assert_gp_for_programs(pv, 0x0f, 0x01, 0x13);
    set(pv, VCPU_CR4, CR4_PAE | CR4_UMIP);
    pv->is_patched = true;
    assert_gp_for_programs(pv, 0x17, 0x01, 0x03);
    assert_gp_for_programs(pv, 0x17, 0x01, 0xe0);
}

static void test_the_task_register_becomes_busy_and_the_local_table_is_taken(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RAX, PV_TSS_FREE);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x00, 0xd8)); /* ltr ax */
    assert_int_equal(get(pv, VCPU_SEGMENT(VCPU_TR, VCPU_BASE)), UINT64_C(0xffffffff00000000) + PV_TSS);
    assert_int_equal(pv_descriptor(pv, PV_TSS_FREE)[0] >> 40 & 0xff, 0x8b);
    assert_int_equal(EXECUTE(pv, 0x0f, 0x00, 0xd8), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_TSS_FREE);
    set(pv, VCPU_RAX, PV_LDT);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x00, 0xd0)); /* lldt ax */
    assert_int_equal(get(pv, VCPU_SEGMENT(VCPU_LDTR, VCPU_LIMIT)), 0x17);
    assert_done(pv, EXECUTE(pv, 0x16, 0x00, 0xc3)); /* sldt ebx */
    assert_int_equal(get(pv, VCPU_RBX), PV_LDT);
    assert_done(pv, EXECUTE(pv, 0x16, 0x00, 0xcb)); /* str ebx */
    assert_int_equal(get(pv, VCPU_RBX), PV_TSS_FREE);
    set(pv, VCPU_RAX, 0);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x00, 0xd0));
    assert_true(get(pv, VCPU_SEGMENT(VCPU_LDTR, VCPU_ACCESS)) & ACCESS_UNUSABLE);
    assert_int_equal(EXECUTE(pv, 0x0f, 0x00, 0xd8), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, 0);
}

static void test_far_transfers_stay_at_their_level(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RBX, KERNEL_BASE + GUEST_DATA);
    pv_set_word(pv, GUEST_DATA, CODE + 0x40);
    pv_set_word(pv, GUEST_DATA + 8, PV_KERNEL_CODE);
    assert_done(pv, EXECUTE(pv, REX_W, 0x3f, 0x1b)); /* call far [rbx] */
    assert_int_equal(get(pv, VCPU_RIP), CODE + 0x40);
    assert_int_equal(pv_word(pv, PV_KERNEL_STACK - 8), PV_KERNEL_CODE);
    assert_int_equal(pv_word(pv, PV_KERNEL_STACK - 16), CODE + 3);
    assert_done(pv, EXECUTE(pv, REX_W, 0x2f)); /* retf */
    assert_int_equal(get(pv, VCPU_RIP), CODE + 3);
    assert_int_equal(get(pv, VCPU_RSP), KERNEL_BASE + PV_KERNEL_STACK);
    assert_done(pv, EXECUTE(pv, REX_W, 0x3f, 0x2b)); /* jmp far [rbx] */
    assert_int_equal(get(pv, VCPU_RIP), CODE + 0x40);
    pv_set_word(pv, GUEST_DATA + 8, PV_USER_CODE_64);
    assert_int_equal(EXECUTE(pv, REX_W, 0x3f, 0x2b), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_USER_CODE_64 & ~3u);
    pv_set_word(pv, GUEST_DATA + 8, PV_CALL_GATE);
    assert_int_equal(EXECUTE(pv, REX_W, 0x3f, 0x2b), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, PV_CALL_GATE);

    /* retf 16 to a program. */
    set(pv, VCPU_RSP, KERNEL_BASE + PV_RSP0);
    pv_set_word(pv, PV_RSP0, PV_USER_CODE);
    pv_set_word(pv, PV_RSP0 + 8, PV_USER_CODE_64);
    pv_set_word(pv, PV_RSP0 + 32, PV_USER_STACK - 32);
    pv_set_word(pv, PV_RSP0 + 40, PV_USER_DATA);
    assert_done(pv, EXECUTE(pv, REX_W, 0x37, 16, 0));
    assert_int_equal(pv_cpl(pv->vcpu), 3);
    assert_int_equal(get(pv, VCPU_RSP), PV_USER_STACK - 16);
}

static void test_interrupt_instructions(void **state)
{
    struct pv_fixture *pv = *state;

    pv_gate(pv, 0x80)[0] |= UINT64_C(3) << 45;
    pv_enter_user(pv);
    assert_done(pv, EXECUTE(pv, 0xcd, 0x80));
    assert_int_equal(get(pv, VCPU_RIP), PV_HANDLER(0x80));
    pv_enter_user(pv);
    assert_int_equal(EXECUTE(pv, 0xcd, 0x81), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, 0x81 * 8 + 2);

    /* INT3 comes as a trap of its own: behind the instruction. */
    pv_gate(pv, 3)[0] |= UINT64_C(3) << 45;
    pv_enter_user(pv);
    pv->guest->ram[PV_USER_CODE] = 0xcc;
    set(pv, VCPU_RIP, PV_USER_CODE + 1);
    assert_done(pv, privileged_exception(&pv->cpu, 3, 0, 0, &pv->exit));
    assert_int_equal(get(pv, VCPU_RIP), PV_HANDLER(3));
    assert_int_equal(pv_word(pv, PV_RSP0 - 40), PV_USER_CODE + 1);
}

static void test_debug_registers_are_kept(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RAX, 0x1234);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x23, 0xd8)); /* mov dr3, rax */
    assert_done(pv, EXECUTE(pv, 0x0f, 0x21, 0xdb)); /* mov rbx, dr3 */
    assert_int_equal(get(pv, VCPU_RBX), 0x1234);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x21, 0xf3)); /* mov rbx, dr6 */
    assert_int_equal(get(pv, VCPU_RBX), 0xffff0ff0);
    set(pv, VCPU_RAX, UINT64_C(1) << 32);
    assert_int_equal(EXECUTE(pv, 0x0f, 0x23, 0xf8), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_GP, 0);
    set(pv, VCPU_RAX, 0x2000); /* general detect */
    assert_done(pv, EXECUTE(pv, 0x0f, 0x23, 0xf8));
    assert_int_equal(EXECUTE(pv, 0x0f, 0x21, 0xfb), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_DB, 0);
    assert_int_equal(pv->cpu.dr6, 0xffff2ff0);
}

static void test_invalidations_are_noted(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RBX, 0x7000);
    assert_done(pv, EXECUTE(pv, 0x0f, 0x01, 0x7b, 0x10)); /* invlpg [rbx + 16] */
    assert_int_equal(pv->cpu.invalidation.count, 1);
    assert_int_equal(pv->cpu.invalidation.page[0], 0x7010);
    for (unsigned i = 0; i < PV_INVALIDATED_PAGES; i++)
        assert_done(pv, EXECUTE(pv, 0x0f, 0x01, 0x3b));
    assert_true(pv->cpu.invalidation.everything);
    assert_int_equal(EXECUTE(pv, 0x66, 0x0f, 0x38, 0x82, 0x03), PRIVILEGED_DONE); /* invpcid, not offered */
    assert_raised(pv, VECTOR_UD, 0);
}

static void test_patched_opcodes_of_programs_are_undefined_unless_the_page_was_patched(void **state)
{
    struct pv_fixture *pv = *state;

    pv_enter_user(pv);
    pv->guest->ram[PV_USER_CODE] = 0x06;
    assert_int_equal(privileged_exception(&pv->cpu, VECTOR_UD, 0, 0, &pv->exit), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_UD, 0);
    pv->is_patched = true;
    assert_done(pv, privileged_exception(&pv->cpu, VECTOR_UD, 0, 0, &pv->exit));
    assert_int_equal(get(pv, VCPU_RIP), PV_USER_CODE + 1);
}

static void test_other_exceptions_are_the_guests(void **state)
{
    struct pv_fixture *pv = *state;

    set(pv, VCPU_RIP, CODE);
    memcpy(pv->guest->ram + GUEST_CODE, "\x0f\x0b", 2); /* UD2 */
    assert_int_equal(privileged_exception(&pv->cpu, VECTOR_UD, 0, 0, &pv->exit), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_UD, 0);
    assert_int_equal(privileged_exception(&pv->cpu, 0, 0, 0, &pv->exit), PRIVILEGED_DONE);
    assert_raised(pv, 0, 0);
    assert_int_equal(privileged_exception(&pv->cpu, VECTOR_DB, 0, 0x4ff0, &pv->exit), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_DB, 0);
    assert_int_equal(pv->cpu.dr6, 0xffff4ff0);
    assert_true(privileged_page_fault(&pv->cpu, 0x4000, 6));
    assert_raised(pv, VECTOR_PF, 6);
    assert_int_equal(get(pv, VCPU_CR2), 0x4000);
    /* The page of the instruction has gone. */
    set(pv, VCPU_RIP, 0x30000);
    assert_int_equal(privileged_exception(&pv->cpu, VECTOR_GP, 0, 0, &pv->exit), PRIVILEGED_DONE);
    assert_raised(pv, VECTOR_PF, 0x10);
}

static void test_operands_in_memory_have_the_rights_of_the_level(void **state)
{
    struct pv_fixture *pv = *state;

    pv->is_patched = true;
    pv_enter_user(pv);
    set(pv, VCPU_RBX, KERNEL_BASE + GUEST_DATA);
    assert_int_equal(EXECUTE(pv, 0x17, 0x01, 0x03), PRIVILEGED_DONE); /* sgdt to the kernel's memory */
    assert_raised(pv, VECTOR_PF, 7);
    assert_int_equal(get(pv, VCPU_CR2), KERNEL_BASE + GUEST_DATA + 2);
    set(pv, VCPU_RSP, KERNEL_BASE + PV_KERNEL_STACK);
    assert_int_equal(EXECUTE(pv, 0x06), PRIVILEGED_DONE); /* pushf */
    assert_raised(pv, VECTOR_PF, 7);
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
        TEST(test_cli_and_sti_switch_the_virtual_interrupt_flag),
        TEST(test_pushf_shows_the_virtual_flags),
        TEST(test_popf_changes_what_the_level_allows),
        TEST(test_popf_of_a_step_that_ends_it_is_still_a_step),
        TEST(test_iret_enters_a_program),
        TEST(test_iret_within_the_kernel_takes_a_null_stack_segment),
        TEST(test_iret_checks_what_it_returns_to),
        TEST(test_a_program_cannot_return_inwards),
        TEST(test_syscall_and_sysret_go_both_ways),
        TEST(test_swapgs_swaps),
        TEST(test_what_belongs_to_the_machine_exits),
        TEST(test_paging_stays_on),
        TEST(test_ports_go_by_iopl_and_the_map_of_the_tss),
        TEST(test_segment_registers_are_loaded_from_the_guests_tables),
        TEST(test_descriptors_can_be_looked_at),
        TEST(test_descriptor_tables_are_loaded_and_stored),
        TEST(test_the_task_register_becomes_busy_and_the_local_table_is_taken),
        TEST(test_far_transfers_stay_at_their_level),
        TEST(test_interrupt_instructions),
        TEST(test_debug_registers_are_kept),
        TEST(test_invalidations_are_noted),
        TEST(test_patched_opcodes_of_programs_are_undefined_unless_the_page_was_patched),
        TEST(test_other_exceptions_are_the_guests),
        TEST(test_operands_in_memory_have_the_rights_of_the_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
