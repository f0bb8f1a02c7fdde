/* Notifications: signals, waiting, and threads that are bound to one. */
#include "tests/kernel/raw_call.h"

TEST(signals_that_nobody_waits_for_add_up)
{
    seL4_CPtr notification = new_notification(e);

    seL4_Signal(badged(e, notification, 0x8000000000000001));
    seL4_Signal(badged(e, notification, 0x10));
    struct sel4_registers io = raw(seL4_SysRecv, notification, 0x77);
    EXPECT_EQ(io.dest, 0x8000000000000011);
    EXPECT_EQ(io.info, 0x77);
    EXPECT_RAW_WORDS(io);
    EXPECT_EQ(raw(seL4_SysNBRecv, notification, 0x77).dest, 0);
}

TEST(signal_with_badge_0_wakes_as_well)
{
    seL4_CPtr notification = new_notification(e);

    seL4_Signal(notification);
    EXPECT_EQ(raw(seL4_SysRecv, notification, 0).dest, 0); /* does not block */
}

TEST(signal_changes_nothing_in_the_one_who_signals)
{
    seL4_CPtr notification = new_notification(e);
    struct sel4_registers io = raw(seL4_SysSend, notification, tag(5, 0, 4));

    EXPECT_EQ(io.dest, notification);
    EXPECT_EQ(io.info, tag(5, 0, 4));
    EXPECT_RAW_WORDS(io);
    io = raw(seL4_SysNBSend, notification, tag(5, 0, 4));
    EXPECT_EQ(io.info, tag(5, 0, 4));
}

TEST(call_on_a_notification_is_answered_with_nothing)
{
    seL4_CPtr notification = new_notification(e);
    struct sel4_registers io = raw(seL4_SysCall, badged(e, notification, 4), tag(5, 0, 4));

    EXPECT_EQ(io.dest, 0);
    EXPECT_EQ(io.info, 0);
    EXPECT_RAW_WORDS(io);
    EXPECT_EQ(raw(seL4_SysNBRecv, notification, 0).dest, 4);
}

TEST(each_signal_wakes_one_waiter_in_order)
{
    seL4_CPtr notification = new_notification(e);
    struct raw_call calls[3];
    struct thread *t[3];

    for (int i = 0; i < 3; i++) {
        calls[i] = raw_call(seL4_SysRecv, notification, 0x99);
        t[i] = start_raw(e, &calls[i]);
    }
    for (int i = 0; i < 3; i++) {
        seL4_Signal(badged(e, notification, 0x100ul << i));
        EXPECT_EQ(t[i]->finished, 1);
        EXPECT_EQ(calls[i].io.dest, 0x100 << i);
        EXPECT_EQ(calls[i].io.info, 0x99);
        EXPECT_RAW_WORDS(calls[i].io);
        EXPECT(i == 2 || !t[i + 1]->finished);
    }
    EXPECT_EQ(raw(seL4_SysNBRecv, notification, 0).dest, 0);
}

TEST(poll_does_not_disturb_a_waiter)
{
    seL4_CPtr notification = new_notification(e);
    struct raw_call call = raw_call(seL4_SysRecv, notification, 0);
    struct thread *t = start_raw(e, &call);

    EXPECT_EQ(raw(seL4_SysNBRecv, notification, 0).dest, 0);
    seL4_Signal(badged(e, notification, 3));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.dest, 3);
}

TEST(notification_without_the_right_to_signal_is_an_invalid_capability)
{
    seL4_CPtr notification = new_notification(e);
    seL4_CPtr readable = copy_of(e, notification, seL4_CanRead);
    struct sel4_registers io = raw(seL4_SysCall, readable, 0);

    EXPECT_EQ(io.info, tag(seL4_InvalidCapability, 0, 1));
    EXPECT_EQ(io.mr[0], 0);
    raw(seL4_SysSend, readable, 0);
    EXPECT_EQ(raw(seL4_SysNBRecv, notification, 0).dest, 0);
}

TEST(suspended_waiter_no_longer_takes_signals)
{
    seL4_CPtr notification = new_notification(e);
    struct raw_call calls[2] = { raw_call(seL4_SysRecv, notification, 0), raw_call(seL4_SysRecv, notification, 0) };
    struct thread *first = start_raw(e, &calls[0]), *second = start_raw(e, &calls[1]);

    EXPECT_OK(seL4_TCB_Suspend(first->tcb));
    seL4_Signal(badged(e, notification, 5));
    EXPECT_EQ(second->finished, 1);
    EXPECT_EQ(calls[1].io.dest, 5);
    /* Resumed, it waits again. */
    EXPECT_OK(seL4_TCB_Resume(first->tcb));
    EXPECT_EQ(first->finished, 0);
    seL4_Signal(badged(e, notification, 6));
    EXPECT_EQ(calls[0].io.dest, 6);
}

TEST(deleted_notification_makes_waiters_do_their_call_again)
{
    seL4_CPtr notification = new_notification(e), other = new_notification(e);
    seL4_CPtr name = copy_of(e, notification, seL4_AllRights);
    struct raw_call call = raw_call(seL4_SysRecv, name, 0);
    struct thread *t = start_raw(e, &call);

    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, BELOW_ROOT));
    EXPECT_OK(seL4_CNode_Delete(ROOT, name, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Copy(ROOT, name, ROOT_DEPTH, ROOT, other, ROOT_DEPTH, seL4_AllRights));
    seL4_Signal(badged(e, notification, 5)); /* still waits for this one */
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, ABOVE_ROOT));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.dest, 5);

    call = raw_call(seL4_SysRecv, name, 0);
    start(t, run_raw, (seL4_Word)&call, ABOVE_ROOT);
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, BELOW_ROOT));
    EXPECT_OK(seL4_CNode_Delete(ROOT, name, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, other, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Mint(ROOT, name, ROOT_DEPTH, ROOT, notification, ROOT_DEPTH, seL4_AllRights, 9));
    seL4_Signal(name);
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, ABOVE_ROOT));
    EXPECT_EQ(call.io.dest, 9);
}

TEST(signal_reaches_a_bound_thread_that_receives_on_an_endpoint)
{
    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    struct raw_call call = raw_call(seL4_SysRecv, endpoint, 0x321);
    struct thread *t = start_raw(e, &call);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    seL4_Signal(badged(e, notification, 0x40));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.dest, 0x40);
    EXPECT_EQ(call.io.info, 0x321);
    EXPECT_RAW_WORDS(call.io);
    /* It does not stand in the endpoint's queue any more. */
    raw(seL4_SysNBSend, endpoint, 0);
    EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, 0);
}

TEST(pending_signals_come_before_messages)
{
    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    struct raw_call sender = raw_call(seL4_SysSend, badged(e, endpoint, 8), tag(1, 0, 0));

    start_raw(e, &sender);
    EXPECT_OK(seL4_TCB_BindNotification(seL4_CapInitThreadTCB, notification));
    seL4_Signal(badged(e, notification, 0x20));
    struct sel4_registers io[3] = { raw(seL4_SysRecv, endpoint, 0x5), raw(seL4_SysRecv, endpoint, 0x5) };
    seL4_Signal(badged(e, notification, 0x21));
    io[2] = raw(seL4_SysNBRecv, endpoint, 0x5);
    EXPECT_OK(seL4_TCB_UnbindNotification(seL4_CapInitThreadTCB));
    EXPECT_EQ(io[0].dest, 0x20);
    EXPECT_EQ(io[0].info, 0x5);
    EXPECT_EQ(io[1].dest, 8);
    EXPECT_EQ(io[1].info, tag(1, 0, 0));
    EXPECT_EQ(io[2].dest, 0x21);
}

TEST(signal_waits_while_the_bound_thread_calls)
{
    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *t = start_raw(e, &call);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    seL4_Signal(badged(e, notification, 1)); /* it sends */
    EXPECT_EQ(t->finished, 0);
    seL4_Recv(endpoint, NULL);
    seL4_Signal(badged(e, notification, 2)); /* it waits for the reply */
    EXPECT_EQ(t->finished, 0);
    raw(seL4_SysReply, 0, tag(7, 0, 0));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.info, tag(7, 0, 0));
    call = raw_call(seL4_SysRecv, notification, 0);
    start(t, run_raw, (seL4_Word)&call, ABOVE_ROOT);
    EXPECT_EQ(call.io.dest, 3);
}

TEST(unbound_thread_gets_no_signal_on_its_endpoint)
{
    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    struct raw_call call = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *t = start_raw(e, &call);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    EXPECT_OK(seL4_TCB_UnbindNotification(t->tcb));
    seL4_Signal(badged(e, notification, 1));
    EXPECT_EQ(t->finished, 0);
    EXPECT_EQ(raw(seL4_SysNBRecv, notification, 0).dest, 1);
}

TEST(binding_is_one_to_one)
{
    seL4_CPtr notification = new_notification(e), other = new_notification(e);
    struct thread *first = new_thread(e, 0), *second = new_thread(e, 0);

    EXPECT_OK(seL4_TCB_BindNotification(first->tcb, notification));
    EXPECT_EQ(seL4_TCB_BindNotification(first->tcb, notification), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(first->tcb, other), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(second->tcb, notification), seL4_IllegalOperation);
    EXPECT_OK(seL4_TCB_BindNotification(second->tcb, other));
    EXPECT_OK(seL4_TCB_UnbindNotification(first->tcb));
    EXPECT_EQ(seL4_TCB_UnbindNotification(first->tcb), seL4_IllegalOperation);
}

TEST(binding_takes_an_idle_notification_with_the_right_to_wait)
{
    seL4_CPtr notification = new_notification(e), endpoint = new_endpoint(e);
    struct raw_call call = raw_call(seL4_SysRecv, notification, 0);
    struct thread *t = new_thread(e, 0);

    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, endpoint), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, new_slot(e)), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, copy_of(e, notification, seL4_CanWrite)), seL4_IllegalOperation);
    start_raw(e, &call);
    EXPECT_EQ(seL4_TCB_BindNotification(t->tcb, notification), seL4_IllegalOperation);
    seL4_Signal(notification);
    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
}

TEST(binding_ends_with_either_side)
{
    seL4_CPtr notification = new_notification(e), other = new_notification(e);
    struct thread *first = new_thread(e, 0), *second = new_thread(e, 0);

    EXPECT_OK(seL4_TCB_BindNotification(first->tcb, notification));
    EXPECT_OK(seL4_CNode_Delete(ROOT, notification, ROOT_DEPTH));
    EXPECT_OK(seL4_TCB_BindNotification(first->tcb, other));
    EXPECT_OK(seL4_CNode_Delete(ROOT, first->tcb, ROOT_DEPTH));
    EXPECT_OK(seL4_TCB_BindNotification(second->tcb, other));
    seL4_Signal(badged(e, other, 1));
}
