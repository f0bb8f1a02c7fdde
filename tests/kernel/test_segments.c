/* The FS and GS bases belong to each thread, whichever way they were set. */
#include "tests/kernel/gs_base.h"
#include "tests/kernel/harness.h"

#define REGISTER_COUNT (sizeof(seL4_UserContext) / sizeof(seL4_Word))
#define HIGH_ADDRESS   0xffff800000001000ul

/* Executes the FSGSBASE instructions; the FS base is needed again for thread-local storage. */
static seL4_Word fs_base(void)
{
    seL4_Word base;
    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

/* Sets its GS base to ARGUMENT and looks, again and again, whether it and the FS base are still the same. */
static void hold_bases(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    set_gs_base(argument);
    for (unsigned i = 0; i < 20; i++) {
        seL4_Yield();
        t->result[0] += gs_base() == argument && fs_base() == t->tls;
    }
}

static void stop(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    t->result[0] = fs_base();
    t->result[1] = gs_base();
    set_gs_base(argument);
    t->result[2] = 1;
    seL4_TCB_Suspend(t->tcb);
}

TEST(bases_survive_other_threads)
{
    struct thread *a = new_thread(e, 0), *b = new_thread(e, 0);

    set_gs_base(0x7000);
    start(a, hold_bases, 0x1111000, BELOW_ROOT);
    start(b, hold_bases, HIGH_ADDRESS, BELOW_ROOT);
    /* They take turns while this thread lets them. */
    EXPECT_OK(seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, BELOW_ROOT - 1));
    EXPECT_OK(seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, ROOT_PRIORITY));
    EXPECT_EQ(a->finished, 1);
    EXPECT_EQ(b->finished, 1);
    EXPECT_EQ(a->result[0], 20);
    EXPECT_EQ(b->result[0], 20);
    EXPECT_EQ(gs_base(), 0x7000);
    set_gs_base(0);
}

TEST(bases_are_written_and_read_as_registers)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs = { .rdi = (seL4_Word)t };

    start(t, stop, 0x2222000, ABOVE_ROOT);
    EXPECT_EQ(t->result[2], 1);
    EXPECT_EQ(t->result[0], t->tls);
    EXPECT_EQ(t->result[1], 0);
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.fs_base, t->tls);
    EXPECT_EQ(regs.gs_base, 0x2222000);
}

TEST(thread_starts_with_the_bases_given_to_it)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs;

    start(t, stop, 0, ROOT_PRIORITY - 1);
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 1, 0, REGISTER_COUNT, &regs));
    regs.gs_base = HIGH_ADDRESS;
    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, ABOVE_ROOT));
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    EXPECT_EQ(t->result[2], 1);
    EXPECT_EQ(t->result[0], t->tls);
    EXPECT_EQ(t->result[1], HIGH_ADDRESS);
}

TEST(tls_base_is_the_fs_base)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs;

    EXPECT_OK(seL4_TCB_SetTLSBase(t->tcb, 0x3333000));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.fs_base, 0x3333000);
    EXPECT_EQ(regs.gs_base, 0);
}

TEST(own_tls_base_takes_effect_at_once)
{
    seL4_Word old = fs_base();
    seL4_Word mr[4] = { old + 64 }, seen;

    /* Without using thread-local storage in between. */
    seL4_Error error = sel4_invoke(seL4_CapInitThreadTCB, TCBSetTLSBase, 0, 1, mr);
    seen = fs_base();
    __asm__ volatile("wrfsbase %0" : : "r"(old));
    EXPECT_OK(error);
    EXPECT_EQ(seen, old + 64);
}

TEST(tls_base_that_is_not_canonical_becomes_zero)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs;

    if (!e->is_ours)
        skip(e, "upstream's kernel would load it and fault");
    EXPECT_OK(seL4_TCB_SetTLSBase(t->tcb, 0x0000800000000000));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.fs_base, 0);
    EXPECT_OK(seL4_TCB_SetTLSBase(t->tcb, 0xffff7fffffffffff));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.fs_base, 0);
}
