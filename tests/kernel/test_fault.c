/* Fault messages: who gets them, what system calls and capability pointers make of them, what a reply does. */
#include "tests/kernel/raw_call.h"

/* A system call, and behind it another one. */
extern const char one_syscall[], next_syscall[];
__asm__(".pushsection .text\n"
        "one_syscall: syscall\n"
        "next_syscall: syscall\n"
        "ud2\n"
        ".popsection");

#define UNKNOWN 0x12345678ul /* no number of a system call */

struct handled {
    struct thread *thread;
    seL4_CPtr endpoint; /* the handler's */
    struct sel4_registers io; /* what came last */
};

/* A thread at one_syscall whose faults come to us with badge 0xfa. Takes the first one. */
static struct handled make_fault(struct env *e, seL4_UserContext regs)
{
    struct handled h = { .endpoint = new_endpoint(e) };

    h.thread = new_thread(e, badged(e, h.endpoint, 0xfa));
    start_at(h.thread, one_syscall, regs, ABOVE_ROOT);
    h.io = raw(seL4_SysNBRecv, h.endpoint, 0);
    EXPECT_EQ(h.io.dest, 0xfa);
    return h;
}

/* Replies with LENGTH words, of which those beyond the fourth are in our buffer, and takes the next fault, if any. */
static void reply_to(struct handled *h, seL4_Word label, seL4_Word length, const seL4_Word words[4])
{
    struct sel4_registers answer = { 0, tag(label, 0, length), { words[0], words[1], words[2], words[3] } };

    sel4_syscall(seL4_SysReply, &answer);
    h->io = raw(seL4_SysNBRecv, h->endpoint, 0);
}

static bool is_stopped(struct env *e, struct handled *h)
{
    /* Nothing came, and it does not wait for an answer either: it goes on without one. */
    bool nothing = raw(seL4_SysNBRecv, h->endpoint, 0).dest == 0;
    EXPECT_OK(seL4_TCB_Resume(h->thread->tcb));
    return nothing && raw(seL4_SysNBRecv, h->endpoint, 0).dest == 0xfa;
}

static const seL4_UserContext all_registers = {
    .rax = 0x1001, .rbx = 0x1002, .rcx = 0x1003, .rdx = UNKNOWN, .rsi = 0x1005, .rdi = 0x1006, .rbp = 0x1007,
    .r8 = 0x1008, .r9 = 0x1009, .r10 = 0x100a, .r11 = 0x100b, .r12 = 0x100c, .r13 = 0x100d, .r14 = 0x100e,
    .r15 = 0x100f, .rflags = 0x202,
};

TEST(unknown_system_call_is_told_with_all_registers)
{
    struct handled h = make_fault(e, all_registers);

    EXPECT_EQ(h.io.info, tag(seL4_Fault_UnknownSyscall, 0, seL4_UnknownSyscall_Length));
    EXPECT_WORDS(h.io, 0x1001, 0x1002, h.io.mr[2], UNKNOWN); /* SYSCALL takes rcx and r11 */
    static const struct {
        int word;
        seL4_Word value;
    } expected[] = {
        { seL4_UnknownSyscall_RSI, 0x1005 },
        { seL4_UnknownSyscall_RDI, 0x1006 },
        { seL4_UnknownSyscall_RBP, 0x1007 },
        { seL4_UnknownSyscall_R8, 0x1008 },
        { seL4_UnknownSyscall_R9, 0x1009 },
        { seL4_UnknownSyscall_R10, 0x100a },
        { seL4_UnknownSyscall_R12, 0x100c },
        { seL4_UnknownSyscall_R13, 0x100d },
        { seL4_UnknownSyscall_R14, 0x100e },
        { seL4_UnknownSyscall_R15, 0x100f },
        { seL4_UnknownSyscall_FaultIP, (seL4_Word)one_syscall },
        { seL4_UnknownSyscall_FLAGS, 0x202 },
        { seL4_UnknownSyscall_Syscall, UNKNOWN },
    };
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++)
        EXPECT_EQ(seL4_GetMR(expected[i].word), expected[i].value);
}

TEST(stack_pointer_of_an_unknown_system_call_is_the_true_one)
{
    if (!e->is_ours)
        skip(e, "this kernel does not keep it");
    struct handled h = make_fault(e, (seL4_UserContext) { .rdx = UNKNOWN, .rsp = 0x123456789ab });
    static const seL4_Word none[4];

    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_SP), 0x123456789ab);
    reply_to(&h, 0, 0, none); /* again */
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_SP), 0x123456789ab);
}

TEST(reply_to_an_unknown_system_call_sets_registers)
{
    struct handled h = make_fault(e, all_registers);
    static const seL4_Word first[4] = { 0x2001, 0x2002, 0x2003, UNKNOWN + 1 };
    static const int kept_by_syscall[] = {
        seL4_UnknownSyscall_RSI, seL4_UnknownSyscall_RDI, seL4_UnknownSyscall_RBP, seL4_UnknownSyscall_R8,
        seL4_UnknownSyscall_R9,  seL4_UnknownSyscall_R10, seL4_UnknownSyscall_R12, seL4_UnknownSyscall_R13,
        seL4_UnknownSyscall_R14, seL4_UnknownSyscall_R15,
    };

    for (int i = 4; i < seL4_UnknownSyscall_Length; i++)
        seL4_SetMR(i, 0x3000 + (seL4_Word)i);
    seL4_SetMR(seL4_UnknownSyscall_FaultIP, (seL4_Word)next_syscall);
    seL4_SetMR(seL4_UnknownSyscall_FLAGS, 0x1 | 0x100); /* carry; single-stepping is not to be had */
    reply_to(&h, 0, seL4_UnknownSyscall_Length, first);
    EXPECT_EQ(h.io.dest, 0xfa);
    EXPECT_EQ(h.io.info, tag(seL4_Fault_UnknownSyscall, 0, seL4_UnknownSyscall_Length));
    EXPECT_WORDS(h.io, 0x2001, 0x2002, h.io.mr[2], UNKNOWN + 1);
    for (unsigned i = 0; i < sizeof kept_by_syscall / sizeof kept_by_syscall[0]; i++)
        EXPECT_EQ(seL4_GetMR(kept_by_syscall[i]), 0x3000 + kept_by_syscall[i]);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_FaultIP), next_syscall);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_FLAGS), 0x203);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_Syscall), UNKNOWN + 1);
}

TEST(short_reply_sets_the_first_registers_only)
{
    struct handled h = make_fault(e, all_registers);
    static const seL4_Word words[4] = { 0x2001, 0x2002, 0x2003, 0x2004 };

    reply_to(&h, 0, 2, words);
    EXPECT_EQ(h.io.dest, 0xfa); /* the same system call again */
    EXPECT_WORDS(h.io, 0x2001, 0x2002, h.io.mr[2], UNKNOWN);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_FaultIP), one_syscall);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_RBP), 0x1007);
}

static void answer_without_buffer(struct env *e, struct thread *t, seL4_Word endpoint)
{
    struct sel4_registers answer = { 0, tag(0, 0, 18), { 0x2001, 0x2002, 0x2003, 0x2004 } };

    (void)e;
    raw(seL4_SysRecv, endpoint, 0);
    t->result[0] = seL4_TCB_SetIPCBuffer(t->tcb, 0, 0);
    sel4_syscall(seL4_SysReply, &answer);
}

TEST(reply_without_a_buffer_sets_four_registers)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct thread *handler = new_thread(e, 0), *t = new_thread(e, endpoint);

    start(handler, answer_without_buffer, endpoint, ABOVE_ROOT + 1);
    start_at(t, one_syscall, all_registers, ABOVE_ROOT);
    EXPECT_EQ(handler->finished, 1);
    EXPECT_OK(handler->result[0]);
    struct sel4_registers io = raw(seL4_SysRecv, endpoint, 0); /* the same system call again, but for rdx */
    EXPECT_WORDS(io, 0x2001, 0x2002, io.mr[2], 0x2004);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_RSI), 0x1005);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_FaultIP), one_syscall);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_Syscall), 0x2004);
}

TEST(reply_with_a_label_stops_the_thread)
{
    static const seL4_Word words[4] = { 0x2001, 0x2002, 0x2003, UNKNOWN };
    struct handled h = make_fault(e, all_registers);

    reply_to(&h, 1, 1, words);
    EXPECT_EQ(h.io.dest, 0);
    EXPECT_OK(seL4_TCB_Resume(h.thread->tcb));
    h.io = raw(seL4_SysNBRecv, h.endpoint, 0);
    EXPECT_EQ(h.io.dest, 0xfa);
    EXPECT_EQ(h.io.mr[0], 0x2001); /* it took the registers all the same */
}

TEST(instruction_pointer_of_a_reply_must_be_canonical)
{
    struct handled h = make_fault(e, all_registers);
    static const seL4_Word words[4] = { 0x2001, 0x2002, 0x2003, UNKNOWN };

    for (int i = 4; i < seL4_UnknownSyscall_Length; i++)
        seL4_SetMR(i, 0);
    seL4_SetMR(seL4_UnknownSyscall_FaultIP, 0x0000800000000000);
    reply_to(&h, 0, seL4_UnknownSyscall_FaultIP + 1, words);
    EXPECT_EQ(h.io.info, tag(seL4_Fault_VMFault, 0, seL4_VMFault_Length));
    EXPECT_WORDS(h.io, 0, 0, 1, 0x14); /* a fetch from 0 */
}

TEST(unknown_numbers_are_told_with_all_their_bits)
{
    static const seL4_Word numbers[] = {
        0, 1, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffff, 0xfffffffe, 0x1ffffffff,
        (seL4_Word)-17, (seL4_Word)-28, (seL4_Word)-30, (seL4_Word)seL4_SysVMEnter, /* without a virtual CPU */
    };

    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        e->thread_count = 0;
        struct handled h = make_fault(e, (seL4_UserContext) { .rdx = numbers[i] });
        EXPECT_EQ(h.io.info, tag(seL4_Fault_UnknownSyscall, 0, seL4_UnknownSyscall_Length));
        EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_Syscall), numbers[i]);
    }
}

/* Capability faults */

static seL4_UserContext call_registers(long number, seL4_CPtr pointer, seL4_Word info)
{
    return (seL4_UserContext) { .rdx = (seL4_Word)number, .rdi = pointer, .rsi = info, .rbx = 0x77 };
}

static void expect_cap_fault(struct env *e, struct handled *h, seL4_CPtr pointer, bool receiving, seL4_Word type,
                             seL4_Word length)
{
    EXPECT_EQ(h->io.info, tag(seL4_Fault_CapFault, 0, length));
    EXPECT_WORDS(h->io, one_syscall, pointer, receiving, type);
}

TEST(pointer_that_leads_nowhere_is_a_capability_fault)
{
    static const long blocking[] = { seL4_SysCall, seL4_SysSend, seL4_SysRecv, seL4_SysNBRecv, seL4_SysReplyRecv };

    for (unsigned i = 0; i < sizeof blocking / sizeof blocking[0]; i++) {
        bool receives = blocking[i] != seL4_SysCall && blocking[i] != seL4_SysSend;

        e->thread_count = 0;
        struct handled h = make_fault(e, call_registers(blocking[i], 0x10000, tag(0, 0, 0)));
        expect_cap_fault(e, &h, 0x10000, receives, seL4_GuardMismatch, 7);
        EXPECT_EQ(seL4_GetMR(seL4_CapFault_BitsLeft), 64);
        EXPECT_EQ(seL4_GetMR(seL4_CapFault_GuardMismatch_GuardFound), 0);
        EXPECT_EQ(seL4_GetMR(seL4_CapFault_GuardMismatch_BitsFound), 48);
    }
}

TEST(nonblocking_send_to_nowhere_is_dropped)
{
    struct handled h = make_fault(e, (seL4_UserContext) { .rdx = UNKNOWN });
    seL4_UserContext regs = call_registers(seL4_SysNBSend, 0x10000, tag(0, 0, 0));

    start_at(h.thread, one_syscall, regs, ABOVE_ROOT);
    /* The next instruction is the same once more, and then ud2. */
    h.io = raw(seL4_SysNBRecv, h.endpoint, 0);
    EXPECT_EQ(seL4_MessageInfo_get_label((seL4_MessageInfo_t) { { h.io.info } }), seL4_Fault_UserException);
    EXPECT_EQ(h.io.mr[seL4_UserException_FaultIP], next_syscall + 2);
}

TEST(pointer_into_too_deep_a_space_is_a_depth_mismatch)
{
    seL4_CPtr endpoint = new_endpoint(e), handler = badged(e, endpoint, 0xfa);
    seL4_CPtr top = new_object(e, seL4_CapTableObject, 2), leaf = new_object(e, seL4_CapTableObject, 8);
    struct thread *t = new_thread(e, 0);

    /* 2 bits, then 8 behind a guard of 56: 2 more than there are. */
    seL4_Word guard = seL4_CNode_CapData_new(0, 56).words[0];
    EXPECT_OK(seL4_CNode_Mint(top, 1, 2, ROOT, leaf, ROOT_DEPTH, seL4_AllRights, guard));
    EXPECT_OK(seL4_CNode_Copy(top, 2, 2, ROOT, handler, ROOT_DEPTH, seL4_AllRights));
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 2ul << 62, top, 0, seL4_CapInitThreadVSpace, 0));
    start_at(t, one_syscall, call_registers(seL4_SysSend, 1ul << 62 | 7, tag(0, 0, 0)), ABOVE_ROOT);
    struct sel4_registers io = raw(seL4_SysNBRecv, endpoint, 0);
    EXPECT_EQ(io.dest, 0xfa);
    EXPECT_EQ(io.info, tag(seL4_Fault_CapFault, 0, 6));
    EXPECT_WORDS(io, one_syscall, 1ul << 62 | 7, 0, seL4_DepthMismatch);
    EXPECT_EQ(seL4_GetMR(seL4_CapFault_BitsLeft), 62);
    EXPECT_EQ(seL4_GetMR(seL4_CapFault_DepthMismatch_BitsFound), 64);
}

TEST(receiving_from_what_cannot_be_received_from_is_a_missing_capability)
{
    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    seL4_CPtr bound = new_notification(e);
    struct thread *owner = new_thread(e, 0);

    EXPECT_OK(seL4_TCB_BindNotification(owner->tcb, bound));
    seL4_CPtr wrong[] = {
        new_slot(e), seL4_CapInitThreadTCB, ROOT, copy_of(e, endpoint, seL4_CanWrite),
        copy_of(e, notification, seL4_CanWrite), bound,
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        e->thread_count = 1;
        struct handled h = make_fault(e, call_registers(i % 2 ? seL4_SysRecv : seL4_SysNBRecv, wrong[i], 0));
        expect_cap_fault(e, &h, wrong[i], true, seL4_MissingCapability, 5);
        EXPECT_EQ(seL4_GetMR(seL4_CapFault_BitsLeft), 0);
    }
}

TEST(extra_capability_that_leads_nowhere_is_a_fault_of_the_sender)
{
    seL4_CPtr handler = new_endpoint(e), target = new_endpoint(e);
    struct thread *t = new_thread(e, badged(e, handler, 0xfa));

    t->buffer->caps_or_badges[0] = target;
    t->buffer->caps_or_badges[1] = 0x20000;
    start_at(t, one_syscall, call_registers(seL4_SysSend, target, tag(0, 2, 0)), ABOVE_ROOT);
    struct sel4_registers io = raw(seL4_SysNBRecv, handler, 0);
    EXPECT_EQ(io.info, tag(seL4_Fault_CapFault, 0, 7));
    EXPECT_WORDS(io, one_syscall, 0x20000, 0, seL4_GuardMismatch);

    /* Corrected, it is sent after the reply. */
    t->buffer->caps_or_badges[1] = target;
    raw(seL4_SysReply, 0, 0);
    EXPECT_EQ(raw(seL4_SysNBRecv, target, 0).info, seL4_MessageInfo_new(0, 3, 2, 0).words[0]);
}

TEST(reply_to_a_capability_fault_makes_the_call_anew)
{
    seL4_CPtr slot = new_slot(e), target = new_endpoint(e);
    struct handled h = make_fault(e, call_registers(seL4_SysRecv, slot, 0));
    static const seL4_Word none[4];

    EXPECT_OK(seL4_CNode_Copy(ROOT, slot, ROOT_DEPTH, ROOT, target, ROOT_DEPTH, seL4_AllRights));
    reply_to(&h, 55, 0, none); /* the label means nothing here */
    EXPECT_EQ(h.io.dest, 0);
    raw(seL4_SysNBSend, badged(e, target, new_slot(e)), tag(4, 0, 0)); /* it waits there now */
    h.io = raw(seL4_SysNBRecv, h.endpoint, 0); /* and next from a slot that the badge names */
    EXPECT_EQ(h.io.dest, 0xfa);
    EXPECT_EQ(h.io.info, tag(seL4_Fault_CapFault, 0, 5));
    EXPECT_EQ(h.io.mr[seL4_CapFault_IP], next_syscall);
}

/* Handlers */

TEST(fault_waits_for_a_handler_that_is_busy)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call other = raw_call(seL4_SysSend, badged(e, endpoint, 1), 0);
    struct thread *t = new_thread(e, badged(e, endpoint, 2));

    start_raw(e, &other);
    start_at(t, one_syscall, all_registers, ABOVE_ROOT);
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).dest, 1);
    struct sel4_registers io = raw(seL4_SysRecv, endpoint, 0);
    EXPECT_EQ(io.dest, 2);
    EXPECT_EQ(io.info, tag(seL4_Fault_UnknownSyscall, 0, seL4_UnknownSyscall_Length));
}

TEST(handler_above_hears_of_a_fault_at_once)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *handler = new_thread(e, 0), *t = new_thread(e, endpoint);

    start(handler, run_raw, (seL4_Word)&receiver, ABOVE_ROOT + 1);
    start_at(t, one_syscall, all_registers, ABOVE_ROOT);
    EXPECT_EQ(handler->finished, 1);
    EXPECT_EQ(receiver.io.info, tag(seL4_Fault_UnknownSyscall, 0, seL4_UnknownSyscall_Length));
    EXPECT_EQ(handler->buffer->msg[seL4_UnknownSyscall_RSI], 0x1005);
}

TEST(handler_without_a_buffer_gets_four_words)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *handler = start_raw(e, &receiver), *t = new_thread(e, endpoint);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(handler->tcb, 0, 0));
    start_at(t, one_syscall, all_registers, ABOVE_ROOT);
    EXPECT_EQ(receiver.io.info, tag(seL4_Fault_UnknownSyscall, 0, 4));
    EXPECT_WORDS(receiver.io, 0x1001, 0x1002, receiver.io.mr[2], UNKNOWN);

    receiver = raw_call(seL4_SysRecv, endpoint, 0);
    start(handler, run_raw, (seL4_Word)&receiver, ABOVE_ROOT);
    start_at(t, one_syscall, call_registers(seL4_SysSend, 0x10000, 0), ABOVE_ROOT);
    EXPECT_EQ(receiver.io.info, tag(seL4_Fault_CapFault, 0, 4));
    EXPECT_WORDS(receiver.io, one_syscall, 0x10000, 0, seL4_GuardMismatch);
}

TEST(handler_capability_needs_the_rights_to_send_and_to_be_answered)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct {
        seL4_CapRights_t rights;
        bool works;
    } cases[] = {
        { seL4_CapRights_new(1, 0, 0, 1), true },
        { seL4_CapRights_new(0, 1, 0, 1), true },
        { seL4_CapRights_new(0, 0, 1, 1), false },
        { seL4_CapRights_new(1, 1, 1, 0), false },
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        seL4_CPtr handler = new_slot(e);

        e->thread_count = 0;
        EXPECT_OK(seL4_CNode_Mint(ROOT, handler, ROOT_DEPTH, ROOT, endpoint, ROOT_DEPTH, cases[i].rights, 5));
        struct thread *t = new_thread(e, handler);
        start_at(t, one_syscall, all_registers, ABOVE_ROOT);
        EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, cases[i].works ? 5 : 0);
        if (!cases[i].works) { /* it has stopped: with a good handler it can begin again */
            EXPECT_OK(seL4_CNode_Delete(ROOT, handler, ROOT_DEPTH));
            EXPECT_OK(seL4_CNode_Mint(ROOT, handler, ROOT_DEPTH, ROOT, endpoint, ROOT_DEPTH, seL4_AllRights, 6));
            EXPECT_OK(seL4_TCB_Resume(t->tcb));
            EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, 6);
        }
    }
}

TEST(handler_that_is_no_endpoint_stops_the_thread)
{
    seL4_CPtr wrong[] = { 0, 1ul << 40, seL4_CapInitThreadTCB, new_notification(e), new_slot(e) };
    seL4_CPtr endpoint = new_endpoint(e);

    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        e->thread_count = 0;
        struct thread *t = new_thread(e, wrong[i]);

        start_at(t, one_syscall, all_registers, ABOVE_ROOT);
        EXPECT_OK(seL4_TCB_SetSpace(t->tcb, endpoint, ROOT, 0, seL4_CapInitThreadVSpace, 0));
        EXPECT_OK(seL4_TCB_Resume(t->tcb));
        EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).info,
                  tag(seL4_Fault_UnknownSyscall, 0, seL4_UnknownSyscall_Length));
    }
}

TEST(thread_that_faulted_can_be_suspended_and_deleted)
{
    struct handled h = make_fault(e, all_registers);

    EXPECT_OK(seL4_TCB_Suspend(h.thread->tcb));
    raw(seL4_SysReply, 0, tag(0, 0, 0)); /* nobody to reply to any more */
    EXPECT(is_stopped(e, &h));
    EXPECT_OK(seL4_CNode_Delete(ROOT, h.thread->tcb, ROOT_DEPTH));
    raw(seL4_SysReply, 0, tag(0, 0, 0));

    /* One whose fault nobody has taken yet. */
    struct thread *t = new_thread(e, badged(e, h.endpoint, 4));
    start_at(t, one_syscall, all_registers, ABOVE_ROOT);
    EXPECT_OK(seL4_CNode_Delete(ROOT, t->tcb, ROOT_DEPTH));
    EXPECT_EQ(raw(seL4_SysNBRecv, h.endpoint, 0).dest, 0);
}

TEST(saved_reply_capability_answers_a_fault)
{
    struct handled h = make_fault(e, all_registers);
    seL4_CPtr saved = new_slot(e);
    struct sel4_registers answer = { saved, tag(0, 0, 1), { 0x2001 } };

    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    sel4_syscall(seL4_SysSend, &answer);
    EXPECT(slot_is_empty(saved));
    h.io = raw(seL4_SysNBRecv, h.endpoint, 0);
    EXPECT_EQ(h.io.dest, 0xfa);
    EXPECT_EQ(h.io.mr[0], 0x2001);
}

TEST(fault_of_a_thread_whose_handler_endpoint_is_deleted_is_reported_anew)
{
    seL4_CPtr old = new_endpoint(e), other = new_endpoint(e);
    seL4_CPtr handler = badged(e, old, 1);
    struct thread *t = new_thread(e, handler);

    start_at(t, one_syscall, all_registers, ABOVE_ROOT);
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, BELOW_ROOT));
    EXPECT_OK(seL4_CNode_Revoke(ROOT, old, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, old, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Mint(ROOT, handler, ROOT_DEPTH, ROOT, other, ROOT_DEPTH, seL4_AllRights, 2));
    struct sel4_registers io = raw(seL4_SysRecv, other, 0);
    EXPECT_EQ(io.dest, 2);
    EXPECT_EQ(io.info, tag(seL4_Fault_UnknownSyscall, 0, seL4_UnknownSyscall_Length));
}
