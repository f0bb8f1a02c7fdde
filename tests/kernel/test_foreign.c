/* Foreign threads: what they do is told to their handler in one form, and is never a system call. */
#include "tests/kernel/raw_call.h"
#include "tests/kernel/spaces.h"

#include <sel4/beaml4.h>

#define BADGE 0xfau

extern const char foreign_syscall[], foreign_ud2[], foreign_int[], foreign_sysenter[], foreign_read[], foreign_loop[];
__asm__(".pushsection .text\n"
        "foreign_syscall: syscall\n"
        "foreign_ud2: ud2\n"
        "foreign_int: int $0xf0\n"
        "foreign_sysenter: sysenter\n"
        "foreign_read: movq (%rdi), %rax\n"
        "foreign_loop: jmp foreign_loop\n"
        ".popsection");

struct foreign {
    struct thread *thread;
    seL4_CPtr endpoint;
    seL4_Word word[BEAML4_FOREIGN_FAULT_LENGTH]; /* of the last fault */
};

/* Whether a fault has come. */
static bool take(struct env *e, struct foreign *f)
{
    struct sel4_registers io = raw(seL4_SysNBRecv, f->endpoint, 0);

    if (io.dest != BADGE)
        return false;
    EXPECT_EQ(io.info, tag(BEAML4_Fault_Foreign, 0, BEAML4_FOREIGN_FAULT_LENGTH));
    for (unsigned i = 0; i < BEAML4_FOREIGN_FAULT_LENGTH; i++)
        f->word[i] = i < 4 ? io.mr[i] : seL4_GetMR((int)i);
    return true;
}

/* Answers with COUNT words of F's, of which ROOT is the one behind the registers. */
static void answer(struct foreign *f, seL4_Word label, seL4_Word count, seL4_Word root)
{
    struct sel4_registers io = { 0, tag(label, 0, count), { f->word[0], f->word[1], f->word[2], f->word[3] } };

    for (unsigned i = 4; i < BEAML4_FOREIGN_REGISTERS; i++)
        seL4_SetMR((int)i, f->word[i]);
    seL4_SetMR(BEAML4_FOREIGN_REGISTERS, root);
    sel4_syscall(seL4_SysReply, &io);
}

static struct foreign new_foreign(struct env *e, const void *code, seL4_Word priority)
{
    struct foreign f = { .endpoint = new_endpoint(e) };

    if (!e->is_ours)
        skip(e, "the kernel has no foreign threads");
    f.thread = new_thread(e, badged(e, f.endpoint, BADGE));
    EXPECT_EQ(seL4_TCB_SetFlags(f.thread->tcb, 0, BEAML4_TCBFlag_Foreign).flags, BEAML4_TCBFlag_Foreign);
    start_at(f.thread, code, (seL4_UserContext) { .rdi = WINDOW + 8, .rsp = 0x123456789 }, priority);
    return f;
}

static bool is_at(const struct foreign *f, enum beaml4_foreign_kind kind, const void *code)
{
    return f->word[BEAML4_FOREIGN_KIND] == kind && f->word[BEAML4_FOREIGN_RIP] == (seL4_Word)code;
}

TEST(system_calls_of_a_foreign_thread_are_faults_whatever_is_in_its_registers)
{
    struct foreign f = new_foreign(e, foreign_syscall, ABOVE_ROOT);

    EXPECT(take(e, &f));
    EXPECT_EQ(f.word[4], 0x123456789); /* the stack pointer */
    for (seL4_Word rdx = -40ul; rdx != 41; rdx++) {
        EXPECT(is_at(&f, BEAML4_FOREIGN_SYSCALL, foreign_syscall));
        for (unsigned i = 0; i < 16; i++)
            f.word[i] = 0x1001001ul * (i + 1);
        f.word[2] = rdx;
        f.word[7] = f.endpoint; /* rdi and rsi: a capability and a message, as far as registers go */
        f.word[6] = tag(0, 0, 1);
        f.word[BEAML4_FOREIGN_FS_BASE] = 0x7000;
        f.word[BEAML4_FOREIGN_GS_BASE] = 0xffffa00000001000;
        answer(&f, 0, BEAML4_FOREIGN_REGISTERS, 0);
        EXPECT(take(e, &f));
        for (unsigned i = 0; i < 16; i++)
            if (i != 1 && i != 11) /* rcx and r11, which SYSCALL takes */
                EXPECT_EQ(f.word[i], i == 2 ? rdx : i == 7 ? f.endpoint : i == 6 ? tag(0, 0, 1) : 0x1001001ul * (i + 1));
        EXPECT_EQ(f.word[BEAML4_FOREIGN_FS_BASE], 0x7000);
        EXPECT_EQ(f.word[BEAML4_FOREIGN_GS_BASE], 0xffffa00000001000);
    }
}

TEST(exceptions_of_a_foreign_thread_are_told_in_the_same_form)
{
    struct foreign f = new_foreign(e, foreign_ud2, ABOVE_ROOT);

    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_EXCEPTION, foreign_ud2) && f.word[BEAML4_FOREIGN_VECTOR] == 6);
    f.word[BEAML4_FOREIGN_RIP] = (seL4_Word)foreign_int;
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS, 0);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_EXCEPTION, foreign_int));
    EXPECT_EQ(f.word[BEAML4_FOREIGN_VECTOR], 13);
    EXPECT_EQ(f.word[BEAML4_FOREIGN_ERROR], 0xf0 * 8 + 2);
    f.word[BEAML4_FOREIGN_RIP] = (seL4_Word)foreign_sysenter; /* #GP, or in AMD's long mode #UD */
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS, 0);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_EXCEPTION, foreign_sysenter));
    EXPECT(f.word[BEAML4_FOREIGN_VECTOR] == 13 || f.word[BEAML4_FOREIGN_VECTOR] == 6);
    f.word[BEAML4_FOREIGN_RIP] = (seL4_Word)foreign_read;
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS, 0);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_PAGE_FAULT, foreign_read));
    EXPECT_EQ(f.word[BEAML4_FOREIGN_ADDRESS], WINDOW + 8);
    EXPECT_EQ(f.word[BEAML4_FOREIGN_ERROR], FAULT_USER);
    /* Without words in the answer it goes on as it is, and faults again. */
    answer(&f, 0, 0, 0);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_PAGE_FAULT, foreign_read));
}

TEST(foreign_thread_goes_on_with_registers_that_ring_3_can_have)
{
    struct foreign f = new_foreign(e, foreign_syscall, ABOVE_ROOT);

    EXPECT(take(e, &f));
    f.word[BEAML4_FOREIGN_RFLAGS] = ~0ul & ~0x100ul; /* all but the single step */
    f.word[1] = 0x1111;
    f.word[11] = 0x2222;
    f.word[BEAML4_FOREIGN_RIP] = (seL4_Word)foreign_ud2;
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS, 0);
    EXPECT(take(e, &f));
    EXPECT_EQ(f.word[BEAML4_FOREIGN_RFLAGS] & ~0x10000ul, 0x244ed7); /* no IOPL, VM, VIF, VIP; IF */
    EXPECT_EQ(f.word[1], 0x1111);
    EXPECT_EQ(f.word[11], 0x2222);
    f.word[BEAML4_FOREIGN_RFLAGS] = 0x102;
    f.word[BEAML4_FOREIGN_RIP] = (seL4_Word)foreign_loop;
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS, 0);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_EXCEPTION, foreign_loop) && f.word[BEAML4_FOREIGN_VECTOR] == 1);
    EXPECT_EQ(f.word[BEAML4_FOREIGN_ADDRESS] & 0x400f, 0x4000); /* DR6: BS */
    f.word[BEAML4_FOREIGN_RFLAGS] = 2;
    f.word[BEAML4_FOREIGN_RIP] = 0x0000800000000000;
    f.word[BEAML4_FOREIGN_FS_BASE] = 0x8000000000000000;
    f.word[BEAML4_FOREIGN_GS_BASE] = 0x0000800000000000;
    f.word[4] = 0x7fff800000000000; /* rsp may be anything */
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS, 0);
    EXPECT(take(e, &f)); /* at 0, where nothing is */
    EXPECT(is_at(&f, BEAML4_FOREIGN_PAGE_FAULT, NULL));
    EXPECT_EQ(f.word[BEAML4_FOREIGN_FS_BASE], 0);
    EXPECT_EQ(f.word[BEAML4_FOREIGN_GS_BASE], 0);
    EXPECT_EQ(f.word[4], 0x7fff800000000000);
}

TEST(foreign_thread_that_runs_can_be_stopped)
{
    struct foreign f = new_foreign(e, foreign_loop, BELOW_ROOT);

    EXPECT(!take(e, &f));
    EXPECT_OK(sel4_tcb_stop(f.thread->tcb));
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_STOPPED, foreign_loop));
    EXPECT_OK(sel4_tcb_stop(f.thread->tcb)); /* it waits for the answer: nothing is to be done */
    answer(&f, 0, 0, 0);
    EXPECT_OK(sel4_tcb_stop(f.thread->tcb));
    EXPECT_OK(sel4_tcb_stop(f.thread->tcb));
    EXPECT(take(e, &f));
    EXPECT(!take(e, &f));

    struct thread *other = new_thread(e, 0);
    EXPECT_EQ(sel4_tcb_stop(other->tcb), seL4_IllegalOperation);
    EXPECT_EQ(sel4_tcb_stop(seL4_CapInitThreadTCB), seL4_IllegalOperation);
}

TEST(answer_to_a_foreign_thread_changes_its_address_space)
{
    struct foreign f = new_foreign(e, foreign_syscall, ABOVE_ROOT);
    seL4_CPtr space = new_vspace(e);

    EXPECT(take(e, &f));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS + 1, space);
    EXPECT(take(e, &f)); /* where its code is not */
    EXPECT(is_at(&f, BEAML4_FOREIGN_PAGE_FAULT, foreign_syscall));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS + 1, space);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_PAGE_FAULT, foreign_syscall));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS + 1, seL4_CapInitThreadVSpace);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_SYSCALL, foreign_syscall));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS + 1, f.thread->tcb); /* which is no address space */
    EXPECT(!take(e, &f));
    EXPECT_OK(seL4_TCB_Resume(f.thread->tcb));
    EXPECT(take(e, &f));
    answer(&f, 1, BEAML4_FOREIGN_REGISTERS, 0);
    EXPECT(!take(e, &f));
    EXPECT_OK(seL4_TCB_Resume(f.thread->tcb));
    EXPECT(take(e, &f));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS - 1, 0);
    EXPECT(!take(e, &f));
}

TEST(stopping_a_foreign_thread_that_does_not_run_does_nothing)
{
    struct foreign f = new_foreign(e, foreign_loop, BELOW_ROOT);

    EXPECT_OK(seL4_TCB_Suspend(f.thread->tcb));
    EXPECT_OK(sel4_tcb_stop(f.thread->tcb));
    EXPECT(!take(e, &f));
    EXPECT_OK(seL4_TCB_Resume(f.thread->tcb));
    EXPECT_OK(sel4_tcb_stop(f.thread->tcb)); /* before its first instruction */
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_STOPPED, foreign_loop));

    /* One that came to wait before it was foreign goes on waiting. */
    struct raw_call call = raw_call(seL4_SysRecv, new_endpoint(e), 0);
    seL4_CPtr notification = new_notification(e);
    struct thread *waiting = start_raw(e, &call);
    EXPECT_EQ(seL4_TCB_SetFlags(waiting->tcb, 0, BEAML4_TCBFlag_Foreign).flags, BEAML4_TCBFlag_Foreign);
    EXPECT_OK(sel4_tcb_stop(waiting->tcb));
    EXPECT_EQ(seL4_TCB_SetFlags(waiting->tcb, BEAML4_TCBFlag_Foreign, 0).flags, 0);
    raw(seL4_SysNBSend, call.io.dest, tag(0x77, 0, 4));
    EXPECT(waiting->finished);
    EXPECT_RAW_WORDS(call.io);

    call = raw_call(seL4_SysRecv, notification, 0);
    waiting = start_raw(e, &call);
    EXPECT_EQ(seL4_TCB_SetFlags(waiting->tcb, 0, BEAML4_TCBFlag_Foreign).flags, BEAML4_TCBFlag_Foreign);
    EXPECT_OK(sel4_tcb_stop(waiting->tcb));
    EXPECT_EQ(seL4_TCB_SetFlags(waiting->tcb, BEAML4_TCBFlag_Foreign, 0).flags, 0);
    EXPECT(!waiting->finished);
    raw(seL4_SysSend, notification, 0);
    EXPECT(waiting->finished);
}

/* A thread_function: takes what comes at the endpoint ARGUMENT and answers with all registers. */
static void take_and_answer(struct env *e, struct thread *t, seL4_Word argument)
{
    struct sel4_registers io = { .dest = argument };

    (void)e;
    sel4_syscall(seL4_SysRecv, &io);
    t->result[0] = io.info;
    t->result[1] = io.mr[2];
    io.info = tag(0, 0, BEAML4_FOREIGN_REGISTERS);
    sel4_syscall(seL4_SysReply, &io);
}

TEST(handler_without_ipc_buffer_gets_four_registers_and_lets_no_foreign_thread_go_on)
{
    struct foreign f = new_foreign(e, foreign_syscall, BELOW_ROOT);
    struct thread *handler = new_thread(e, 0);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(handler->tcb, 0, handler->buffer_frame));
    start(handler, take_and_answer, f.endpoint, ABOVE_ROOT);
    seL4_TCB_SetPriority(f.thread->tcb, seL4_CapInitThreadTCB, ABOVE_ROOT);
    EXPECT(handler->finished);
    EXPECT_EQ(handler->result[0], tag(BEAML4_Fault_Foreign, 0, 4));
    EXPECT_EQ(handler->result[1], 0); /* rdx */
    EXPECT(!take(e, &f));
    EXPECT_OK(seL4_TCB_Resume(f.thread->tcb));
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_SYSCALL, foreign_syscall));
}

TEST(foreign_thread_whose_address_space_goes_has_none)
{
    struct foreign f = new_foreign(e, foreign_syscall, ABOVE_ROOT);
    seL4_CPtr untyped = new_untyped(e, seL4_PML4Bits), space = new_slot(e);

    EXPECT_OK(seL4_Untyped_Retype(untyped, seL4_X64_PML4Object, 0, ROOT, 0, 0, space, 1));
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, space));
    map_image(e, space);
    EXPECT(take(e, &f));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS + 1, space);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_SYSCALL, foreign_syscall)); /* where the code is as well */
    EXPECT_OK(seL4_CNode_Revoke(ROOT, untyped, ROOT_DEPTH));
    answer(&f, 0, 0, 0);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_PAGE_FAULT, foreign_syscall));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS + 1, space); /* an empty slot */
    EXPECT(!take(e, &f));
    EXPECT_OK(seL4_TCB_Resume(f.thread->tcb));
    EXPECT(take(e, &f));
    answer(&f, 0, BEAML4_FOREIGN_REGISTERS + 1, seL4_CapInitThreadVSpace);
    EXPECT(take(e, &f));
    EXPECT(is_at(&f, BEAML4_FOREIGN_SYSCALL, foreign_syscall));
}

TEST(thread_is_not_foreign_unless_that_is_asked_for)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct thread *t = new_thread(e, badged(e, endpoint, BADGE));

    start_at(t, foreign_ud2, (seL4_UserContext) { 0 }, ABOVE_ROOT);
    struct sel4_registers io = raw(seL4_SysNBRecv, endpoint, 0);
    EXPECT_EQ(io.info, tag(seL4_Fault_UserException, 0, seL4_UserException_Length));
    EXPECT_EQ(seL4_TCB_SetFlags(t->tcb, 0, 0).flags, 0);
}
