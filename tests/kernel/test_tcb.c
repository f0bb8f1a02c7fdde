/* Invocations of threads. */
#include "tests/kernel/short_call.h"

#include <string.h>

#include <sel4/beaml4.h>

#define REGISTER_COUNT (sizeof(seL4_UserContext) / sizeof(seL4_Word))
#define NOT_CANONICAL  0x0000800000000000ul

static void do_nothing(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    t->result[0] = argument;
}

/* Waits at the endpoint ARGUMENT, again and again; counts what came and keeps the last label and word 4. */
static void serve(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    for (;;) {
        seL4_MessageInfo_t info = seL4_Recv(argument, (seL4_Word *)&t->result[1]);
        t->result[0]++;
        t->result[2] = seL4_MessageInfo_get_length(info);
        t->result[3] = seL4_GetMR(4);
    }
}

/* Counts for ever; below the root thread's priority, so it runs only while that one waits. */
static void count(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    (void)argument;
    for (;;)
        t->result[0]++;
}

/* Signals the notification ARGUMENT, then ends. */
static void signal_once(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    (void)t;
    seL4_Signal(argument);
}

TEST(registers_of_a_new_thread_are_zero_but_for_the_interrupt_flag)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs, wanted = { .rflags = 0x202 };

    memset(&regs, 0xee, sizeof regs);
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT(memcmp(&regs, &wanted, sizeof regs) == 0);
}

TEST(registers_read_back_as_they_were_written)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext in, out;
    seL4_Word *word = (seL4_Word *)&in;

    for (unsigned i = 0; i < REGISTER_COUNT; i++)
        word[i] = 0x111100000000 * (i % 7) + i;
    in.rflags = 0x202 | 0x8d5;
    in.gs_base = 0xffff900000001230;
    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 0, 0, REGISTER_COUNT, &in));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &out));
    for (unsigned i = 0; i < REGISTER_COUNT; i++)
        EXPECT_EQ(((seL4_Word *)&out)[i], word[i]);
}

TEST(fewer_registers_written_leave_the_others)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs;

    memset(&regs, 0, sizeof regs);
    regs.rip = 0x1000;
    regs.rsp = 0x2000;
    regs.rbx = 0x3000;
    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    regs.rip = 0x4000;
    regs.rsp = 0x5000;
    regs.rbx = 0x6000;
    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 0, 0, 2, &regs));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.rip, 0x4000);
    EXPECT_EQ(regs.rsp, 0x5000);
    EXPECT_EQ(regs.rbx, 0x3000);
}

TEST(written_flags_keep_interrupts_on_and_single_stepping_off)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs = { .rflags = ~0ul };

    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.rflags & 0xfff, 0xed7);
    EXPECT_EQ(regs.rflags & 0x1a7000, 0); /* no I/O privilege, nested task, virtual mode, virtual interrupts */
    regs.rflags = 0;
    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.rflags, 0x202);
}

TEST(written_addresses_that_are_not_canonical_become_zero)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs = { .rip = NOT_CANONICAL, .rsp = NOT_CANONICAL, .fs_base = 0xffff7fffffffffff,
                              .gs_base = NOT_CANONICAL };

    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(regs.rip, 0);
    EXPECT_EQ(regs.rsp, NOT_CANONICAL);
    EXPECT_EQ(regs.fs_base, 0);
    EXPECT_EQ(regs.gs_base, 0);
}

TEST(register_counts_out_of_range_are_refused)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs = { 0 };

    EXPECT_EQ(seL4_TCB_ReadRegisters(t->tcb, 0, 0, 0, &regs), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_GetMR(1), REGISTER_COUNT);
    EXPECT_EQ(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT + 1, &regs), seL4_RangeError);
    EXPECT_EQ(seL4_TCB_ReadRegisters(t->tcb, 0, 0, ~0ul, &regs), seL4_RangeError);
    seL4_SetMR(1, REGISTER_COUNT + 1);
    EXPECT_EQ(short_call(t->tcb, TCBWriteRegisters, 2 + REGISTER_COUNT, 0), seL4_TruncatedMessage);
    seL4_SetMR(1, ~0ul);
    EXPECT_EQ(short_call(t->tcb, TCBWriteRegisters, 2 + REGISTER_COUNT, 0), seL4_TruncatedMessage);
    /* More than there are is no error where the message is that long. */
    seL4_SetMR(0, 0);
    seL4_SetMR(1, 100);
    EXPECT_OK(short_call(t->tcb, TCBWriteRegisters, 102, 0));
}

TEST(threads_cannot_read_or_write_their_own_registers)
{
    seL4_UserContext regs = { 0 };

    EXPECT_EQ(seL4_TCB_ReadRegisters(seL4_CapInitThreadTCB, 0, 0, REGISTER_COUNT, &regs), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_WriteRegisters(seL4_CapInitThreadTCB, 0, 0, REGISTER_COUNT, &regs), seL4_IllegalOperation);
}

TEST(thread_invocations_that_miss_something_are_truncated)
{
    struct thread *t = new_thread(e, 0);

    EXPECT_TRUNCATED(t->tcb, seL4_CapInitThreadTCB,
        { TCBReadRegisters, 0, 0 }, { TCBReadRegisters, 1, 0 },
        { TCBWriteRegisters, 0, 0 }, { TCBWriteRegisters, 1, 0 }, { TCBWriteRegisters, 2, 0 },
        { TCBCopyRegisters, 0, 1 }, { TCBCopyRegisters, 1, 0 },
        { TCBConfigure, 3, 3 }, { TCBConfigure, 4, 2 }, { TCBConfigure, 4, 0 },
        { TCBSetPriority, 0, 1 }, { TCBSetPriority, 1, 0 },
        { TCBSetMCPriority, 0, 1 }, { TCBSetMCPriority, 1, 0 },
        { TCBSetSchedParams, 1, 1 }, { TCBSetSchedParams, 2, 0 },
        { TCBSetIPCBuffer, 0, 1 }, { TCBSetIPCBuffer, 1, 0 },
        { TCBSetSpace, 2, 2 }, { TCBSetSpace, 3, 1 },
        { TCBBindNotification, 0, 0 },
        { TCBSetAffinity, 0, 0 },
        { TCBSetTLSBase, 0, 0 },
        { TCBSetFlags, 1, 0 });
}

TEST(labels_of_other_objects_are_illegal_for_a_thread)
{
    static const seL4_Word labels[] = { InvalidInvocation, UntypedRetype, CNodeRevoke, IRQAckIRQ, DomainSetSet,
                                        X86PageMap, X86VCPUSetTCB, nArchInvocationLabels, 0xfffffffffffff };
    struct thread *t = new_thread(e, 0);

    for (unsigned i = 0; i < sizeof labels / sizeof labels[0]; i++)
        EXPECT_EQ(short_call(t->tcb, labels[i], 8, 0), seL4_IllegalOperation);
}

TEST(thread_runs_when_its_registers_are_written_with_resume)
{
    struct thread *t = new_thread(e, 0);

    start(t, do_nothing, 42, ABOVE_ROOT);
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(t->result[0], 42);
}

TEST(suspended_thread_goes_on_where_it_was_interrupted)
{
    struct thread *t = new_thread(e, 0), *waker = new_thread(e, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);
    seL4_UserContext regs;
    seL4_Word before;

    /* What becomes ready last stands first in its queue: the thread counts for a time slice, then the waker runs. */
    start(waker, signal_once, notification, BELOW_ROOT);
    start(t, count, 0, BELOW_ROOT);
    seL4_Wait(notification, NULL);
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 1, 0, REGISTER_COUNT, &regs));
    before = t->result[0];
    EXPECT(before > 0);
    EXPECT(regs.rip >= (seL4_Word)count && regs.rip < (seL4_Word)count + 64);

    start(waker, signal_once, notification, BELOW_ROOT);
    seL4_Wait(notification, NULL);
    EXPECT_EQ(t->result[0], before);

    start(waker, signal_once, notification, BELOW_ROOT);
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    seL4_Wait(notification, NULL);
    EXPECT(t->result[0] > before);
}

TEST(suspended_sender_is_gone_from_the_endpoint)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_Word badge = 99;

    start(t, signal_once, endpoint, ABOVE_ROOT);
    EXPECT_OK(seL4_TCB_Suspend(t->tcb));
    seL4_NBRecv(endpoint, &badge);
    EXPECT_EQ(badge, 0);
    EXPECT_EQ(t->finished, 0);
    /* Resumed, it sends again. */
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    seL4_Recv(endpoint, &badge);
    EXPECT_EQ(t->finished, 1);
}

TEST(suspended_receiver_waits_anew_when_resumed)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    start(t, serve, endpoint, ABOVE_ROOT);
    EXPECT_OK(seL4_TCB_Suspend(t->tcb));
    seL4_NBSend(endpoint, seL4_MessageInfo_new(0, 0, 0, 0));
    EXPECT_EQ(t->result[0], 0);
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    seL4_NBSend(endpoint, seL4_MessageInfo_new(0, 0, 0, 0));
    EXPECT_EQ(t->result[0], 1);
}

TEST(resuming_a_new_thread_without_spaces_faults_and_stops_it)
{
    seL4_CPtr tcb = new_object(e, seL4_TCBObject, 0);

    EXPECT_OK(seL4_TCB_SetPriority(tcb, seL4_CapInitThreadTCB, ABOVE_ROOT));
    EXPECT_OK(seL4_TCB_Resume(tcb));
    EXPECT_OK(seL4_TCB_Suspend(tcb));
}

static void suspend_self(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    (void)argument;
    t->result[0] = 1;
    seL4_TCB_Suspend(t->tcb);
    t->result[0] = 2;
}

TEST(thread_that_suspends_itself_stays_stopped_until_resumed)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs;

    start(t, suspend_self, 0, ABOVE_ROOT);
    EXPECT_EQ(t->result[0], 1);
    /* Resumed, it does its system call again. */
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    EXPECT_EQ(t->result[0], 1);
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, REGISTER_COUNT, &regs));
    regs.rip += 2;
    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 1, 0, REGISTER_COUNT, &regs));
    EXPECT_EQ(t->result[0], 2);
}

TEST(copied_registers_are_those_asked_for)
{
    struct thread *from = new_thread(e, 0), *to = new_thread(e, 0);
    seL4_UserContext in = { .rip = 0x1000, .rsp = 0x2000, .rbx = 3, .r15 = 4, .fs_base = 0x5000, .gs_base = 0x6000 };
    seL4_UserContext out;

    EXPECT_OK(seL4_TCB_WriteRegisters(from->tcb, 0, 0, REGISTER_COUNT, &in));
    EXPECT_OK(seL4_TCB_CopyRegisters(to->tcb, from->tcb, 0, 0, 1, 0, 0));
    EXPECT_OK(seL4_TCB_ReadRegisters(to->tcb, 0, 0, REGISTER_COUNT, &out));
    EXPECT_EQ(out.rip, 0x1000);
    EXPECT_EQ(out.rsp, 0x2000);
    EXPECT_EQ(out.rbx, 3);
    EXPECT_EQ(out.r15, 4);
    EXPECT_EQ(out.fs_base, 0);
    EXPECT_EQ(out.gs_base, 0);

    in.rbx = 7;
    EXPECT_OK(seL4_TCB_WriteRegisters(from->tcb, 0, 0, REGISTER_COUNT, &in));
    EXPECT_OK(seL4_TCB_CopyRegisters(to->tcb, from->tcb, 0, 0, 0, 1, 0));
    EXPECT_OK(seL4_TCB_ReadRegisters(to->tcb, 0, 0, REGISTER_COUNT, &out));
    EXPECT_EQ(out.rbx, 3);
    EXPECT_EQ(out.fs_base, 0x5000);
    EXPECT_EQ(out.gs_base, 0x6000);
}

TEST(copying_registers_suspends_the_source_and_resumes_the_target)
{
    struct thread *from = new_thread(e, 0), *to = new_thread(e, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    start(from, serve, endpoint, ABOVE_ROOT);
    EXPECT_OK(seL4_TCB_SetPriority(to->tcb, seL4_CapInitThreadTCB, ABOVE_ROOT));
    /* The target does the receive that the source was in, on the source's stack. */
    EXPECT_OK(seL4_TCB_CopyRegisters(to->tcb, from->tcb, 1, 1, 1, 1, 0));
    seL4_NBSend(endpoint, seL4_MessageInfo_new(0, 0, 0, 0));
    EXPECT_EQ(from->result[0], 1);
    EXPECT_OK(seL4_TCB_Suspend(to->tcb));
    seL4_NBSend(endpoint, seL4_MessageInfo_new(0, 0, 0, 0));
    EXPECT_EQ(from->result[0], 1);
}

TEST(registers_are_copied_from_threads_only)
{
    struct thread *t = new_thread(e, 0);

    EXPECT_EQ(seL4_TCB_CopyRegisters(t->tcb, seL4_CapInitThreadCNode, 0, 0, 1, 1, 0), seL4_InvalidCapability);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_TCB_CopyRegisters(t->tcb, new_slot(e), 0, 0, 1, 1, 0), seL4_InvalidCapability);
}

TEST(configure_refuses_roots_of_the_wrong_kind)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_CPtr no_asid = new_object(e, seL4_X64_PML4Object, 0);

    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, endpoint, 0, seL4_CapInitThreadVSpace, 0, 0, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, new_slot(e), 0, seL4_CapInitThreadVSpace, 0, 0, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, ROOT, 0, endpoint, 0, 0, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, ROOT, 0, ROOT, 0, 0, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, ROOT, 0, no_asid, 0, 0, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetSpace(t->tcb, 0, endpoint, 0, seL4_CapInitThreadVSpace, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetSpace(t->tcb, 0, ROOT, 0, t->tcb, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetSpace(t->tcb, 0, ROOT, 0, no_asid, 0), seL4_IllegalOperation);
}

TEST(guard_that_does_not_fit_the_root_is_refused)
{
    struct thread *t = new_thread(e, 0);
    seL4_Word guard = seL4_CNode_CapData_new(0, 49).words[0];

    EXPECT_EQ(seL4_TCB_SetSpace(t->tcb, 0, ROOT, guard, seL4_CapInitThreadVSpace, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, ROOT, guard, seL4_CapInitThreadVSpace, 0, 0, 0), seL4_IllegalOperation);
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, ROOT, seL4_CNode_CapData_new(0, 48).words[0], seL4_CapInitThreadVSpace, 0));
}

TEST(root_whose_last_capability_the_thread_holds_cannot_be_replaced)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr cnode = new_object(e, seL4_CapTableObject, 4);

    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, cnode, 0, seL4_CapInitThreadVSpace, 0));
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, cnode, 0, seL4_CapInitThreadVSpace, 0));
    EXPECT_OK(seL4_CNode_Delete(ROOT, cnode, ROOT_DEPTH));
    EXPECT_EQ(seL4_TCB_SetSpace(t->tcb, 0, ROOT, 0, seL4_CapInitThreadVSpace, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, ROOT, 0, seL4_CapInitThreadVSpace, 0, 0, 0), seL4_IllegalOperation);
}

TEST(ipc_buffers_must_be_aligned_frames_of_ram)
{
    struct thread *t = new_thread(e, 0);
    seL4_Word address = (seL4_Word)t->buffer;
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, address + 8, t->buffer_frame), seL4_AlignmentError);
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, address + 512, t->buffer_frame), seL4_AlignmentError);
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, address, endpoint), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, address, new_slot(e)), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_Configure(t->tcb, 0, ROOT, 0, seL4_CapInitThreadVSpace, 0, address + 1, t->buffer_frame),
              seL4_AlignmentError);
    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, address + 1024, t->buffer_frame));
}

TEST(device_memory_cannot_be_an_ipc_buffer)
{
    struct thread *t = new_thread(e, 0);
    const seL4_BootInfo *info = e->bootinfo;
    seL4_CPtr frame = new_slot(e);

    for (seL4_Word i = 0; i < info->untyped.end - info->untyped.start; i++) {
        if (!info->untypedList[i].isDevice || info->untypedList[i].sizeBits < seL4_PageBits)
            continue;
        EXPECT_OK(seL4_Untyped_Retype(info->untyped.start + i, seL4_X86_4K, 0, ROOT, 0, 0, frame, 1));
        EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, 0x1000, frame), seL4_IllegalOperation);
        return;
    }
    fail(e, __FILE__, __LINE__, "there is no device memory");
}

TEST(thread_without_a_buffer_gets_four_words)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, 0, 0));
    start(t, serve, endpoint, ABOVE_ROOT);
    seL4_SetMR(4, 0x1234);
    seL4_NBSend(endpoint, seL4_MessageInfo_new(0, 0, 0, 5));
    EXPECT_EQ(t->result[2], 4);
    EXPECT_EQ(t->result[3], 0);
}

TEST(priorities_are_bounded_by_the_authority)
{
    struct thread *t = new_thread(e, 0), *weak = new_thread(e, 0);

    EXPECT_OK(seL4_TCB_SetMCPriority(weak->tcb, seL4_CapInitThreadTCB, 50));
    EXPECT_EQ(seL4_TCB_SetPriority(t->tcb, weak->tcb, 51), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_GetMR(1), 50);
    EXPECT_EQ(seL4_TCB_SetMCPriority(t->tcb, weak->tcb, 51), seL4_RangeError);
    EXPECT_EQ(seL4_TCB_SetSchedParams(t->tcb, weak->tcb, 51, 1), seL4_RangeError);
    EXPECT_EQ(seL4_TCB_SetSchedParams(t->tcb, weak->tcb, 1, 51), seL4_RangeError);
    EXPECT_OK(seL4_TCB_SetSchedParams(t->tcb, weak->tcb, 50, 50));
    EXPECT_EQ(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, 256), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(1), 255);
    EXPECT_EQ(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, ~0ul), seL4_RangeError);
    EXPECT_EQ(seL4_TCB_SetMCPriority(t->tcb, seL4_CapInitThreadTCB, 1ul << 32), seL4_RangeError);
}

TEST(authority_over_priorities_is_a_thread)
{
    struct thread *t = new_thread(e, 0);

    EXPECT_EQ(seL4_TCB_SetPriority(t->tcb, ROOT, 1), seL4_InvalidCapability);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_TCB_SetMCPriority(t->tcb, ROOT, 1), seL4_InvalidCapability);
    EXPECT_EQ(seL4_TCB_SetSchedParams(t->tcb, new_slot(e), 1, 1), seL4_InvalidCapability);
}

TEST(notification_is_bound_to_one_thread_only)
{
    struct thread *a = new_thread(e, 0), *b = new_thread(e, 0);
    seL4_CPtr one = new_object(e, seL4_NotificationObject, 0), two = new_object(e, seL4_NotificationObject, 0);

    EXPECT_EQ(seL4_TCB_UnbindNotification(a->tcb), seL4_IllegalOperation);
    EXPECT_OK(seL4_TCB_BindNotification(a->tcb, one));
    EXPECT_EQ(seL4_TCB_BindNotification(a->tcb, one), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(a->tcb, two), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(b->tcb, one), seL4_IllegalOperation);
    EXPECT_OK(seL4_TCB_UnbindNotification(a->tcb));
    EXPECT_OK(seL4_TCB_BindNotification(b->tcb, one));
    /* The end of either ends the bond. */
    EXPECT_OK(seL4_CNode_Delete(ROOT, one, ROOT_DEPTH));
    EXPECT_EQ(seL4_TCB_UnbindNotification(b->tcb), seL4_IllegalOperation);
    EXPECT_OK(seL4_TCB_BindNotification(b->tcb, two));
    EXPECT_OK(seL4_CNode_Delete(ROOT, b->tcb, ROOT_DEPTH));
    EXPECT_OK(seL4_TCB_BindNotification(a->tcb, two));
}

TEST(notification_that_cannot_be_bound_is_refused)
{
    struct thread *t = new_thread(e, 0), *waiter = new_thread(e, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, endpoint), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, new_slot(e)), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, copy_of(e, notification, seL4_CanWrite)), seL4_IllegalOperation);
    start(waiter, serve, notification, ABOVE_ROOT);
    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, notification), seL4_IllegalOperation);
}

TEST(bound_notification_reaches_a_thread_that_waits_at_an_endpoint)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    start(t, serve, endpoint, ABOVE_ROOT);
    seL4_Signal(badged(e, notification, 0x55));
    EXPECT_EQ(t->result[0], 1);
    EXPECT_EQ(t->result[1], 0x55);
    seL4_NBSend(badged(e, endpoint, 0x66), seL4_MessageInfo_new(0, 0, 0, 0));
    EXPECT_EQ(t->result[0], 2);
    EXPECT_EQ(t->result[1], 0x66);
}

TEST(processors_that_do_not_exist_are_refused)
{
    struct thread *t = new_thread(e, 0);

    EXPECT_OK(seL4_TCB_SetAffinity(t->tcb, 0));
    EXPECT_OK(seL4_TCB_SetAffinity(seL4_CapInitThreadTCB, 0));
    EXPECT_EQ(seL4_TCB_SetAffinity(t->tcb, e->bootinfo->numNodes), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetAffinity(t->tcb, 1ul << 32), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetAffinity(t->tcb, ~0ul), seL4_IllegalOperation);
    EXPECT_EQ(seL4_DebugGetThreadAffinity(t->tcb), 0);
}

TEST(flags_are_those_that_exist)
{
    struct thread *t = new_thread(e, 0);
    seL4_TCB_SetFlags_t flags = seL4_TCB_SetFlags(t->tcb, 0, 0);

    EXPECT_EQ(flags.error, seL4_NoError);
    EXPECT_EQ(flags.flags, 0);
    flags = seL4_TCB_SetFlags(t->tcb, 0, ~0ul);
    EXPECT_EQ(flags.error, seL4_NoError);
    const seL4_Word all = seL4_TCBFlag_fpuDisabled | (e->is_ours ? BEAML4_TCBFlag_Foreign : 0);
    EXPECT_EQ(flags.flags, all);
    EXPECT_EQ(seL4_TCB_SetFlags(t->tcb, 0, 0).flags, all);
    EXPECT_EQ(seL4_TCB_SetFlags(t->tcb, ~0ul, 0).flags, 0);
    EXPECT_EQ(seL4_TCB_SetFlags(t->tcb, ~0ul, 1).flags, seL4_TCBFlag_fpuDisabled);
}

TEST(second_level_root_must_be_one)
{
    struct thread *t = new_thread(e, 0);

    EXPECT(seL4_TCB_SetEPTRoot(t->tcb, seL4_CapInitThreadVSpace) != seL4_NoError);
    EXPECT(seL4_TCB_SetEPTRoot(t->tcb, new_slot(e)) != seL4_NoError);
    EXPECT(short_call(t->tcb, TCBSetEPTRoot, 0, 0) != seL4_NoError);
}

static void delete_own_thread(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    (void)argument;
    t->result[0] = 1;
    seL4_CNode_Delete(ROOT, t->tcb, ROOT_DEPTH);
    t->result[0] = 2;
}

TEST(thread_that_deletes_itself_is_gone)
{
    struct thread *t = new_thread(e, 0);

    start(t, delete_own_thread, 0, ABOVE_ROOT);
    EXPECT_EQ(t->result[0], 1);
    EXPECT(slot_is_empty(t->tcb));
}

TEST(thread_without_capability_space_cannot_invoke_anything)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr cnode = new_object(e, seL4_CapTableObject, 4);

    /* The revocation of its CNode leaves it without; its send is a fault that nobody handles. */
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, cnode, 0, seL4_CapInitThreadVSpace, 0));
    EXPECT_OK(seL4_CNode_Revoke(ROOT, cnode, ROOT_DEPTH));
    start(t, signal_once, 1, ABOVE_ROOT);
    EXPECT_EQ(t->finished, 0);
}
