/* Reply capabilities: made by a call, good for one answer. */
#include "tests/kernel/raw_call.h"

#define IDENTIFY_REPLY 8

TEST(reply_answers_a_call_once)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call = raw_call(seL4_SysCall, badged(e, endpoint, 3), tag(1, 0, 4));
    struct thread *t = start_raw(e, &call);

    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).dest, 3);
    EXPECT_EQ(t->finished, 0);
    struct sel4_registers answer = { 0x999, tag(0x1234, 0, 3), { 1, 2, 3, 4 } };
    sel4_syscall(seL4_SysReply, &answer);
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.dest, 0);
    EXPECT_EQ(call.io.info, tag(0x1234, 0, 3));
    EXPECT_WORDS(call.io, 1, 2, 3, 0xa3);
    EXPECT_EQ(answer.dest, 0x999);

    /* The second reply finds nobody, and nothing happens. */
    call = raw_call(seL4_SysRecv, endpoint, 0);
    start(t, run_raw, (seL4_Word)&call, ABOVE_ROOT);
    EXPECT_EQ(raw(seL4_SysReply, 0x999, tag(1, 0, 1)).info, tag(1, 0, 1));
    EXPECT_EQ(t->finished, 0);
}

TEST(reply_to_nobody_does_nothing)
{
    struct sel4_registers io = raw(seL4_SysReply, 0x999, tag(1, 0, 4));

    EXPECT_EQ(io.dest, 0x999);
    EXPECT_EQ(io.info, tag(1, 0, 4));
    EXPECT_RAW_WORDS(io);
}

TEST(reply_recv_answers_and_takes_the_next_message)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call calls[2];
    struct thread *t[2];

    for (seL4_Word i = 0; i < 2; i++) {
        calls[i] = raw_call(seL4_SysCall, badged(e, endpoint, i + 1), tag(i, 0, 0));
        t[i] = start_raw(e, &calls[i]);
    }
    struct sel4_registers io = raw(seL4_SysReplyRecv, endpoint, tag(50, 0, 2)); /* nobody to reply to yet */
    EXPECT_EQ(io.dest, 1);
    io = raw(seL4_SysReplyRecv, endpoint, tag(51, 0, 2));
    EXPECT_EQ(io.dest, 2);
    EXPECT_EQ(io.info, tag(1, 0, 0));
    EXPECT_EQ(t[0]->finished, 1);
    EXPECT_EQ(calls[0].io.info, tag(51, 0, 2));
    EXPECT_EQ(t[1]->finished, 0);
}

TEST(long_reply_goes_through_the_buffers)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *t = start_raw(e, &call);

    seL4_Recv(endpoint, NULL);
    for (seL4_Word i = 0; i < seL4_MsgMaxLength; i++)
        seL4_SetMR((int)i, i * i);
    raw(seL4_SysReply, 0, tag(0, 0, seL4_MsgMaxLength));
    EXPECT_EQ(call.io.info, tag(0, 0, seL4_MsgMaxLength));
    for (seL4_Word i = 4; i < seL4_MsgMaxLength; i++)
        EXPECT_EQ(t->buffer->msg[i], i * i);
}

TEST(caller_without_any_right_to_be_answered_stops)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call = raw_call(seL4_SysCall, copy_of(e, endpoint, seL4_ReadWrite), tag(1, 0, 0));
    struct thread *t = start_raw(e, &call);

    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(1, 0, 0));
    raw(seL4_SysReply, 0, tag(2, 0, 0));
    EXPECT_EQ(t->finished, 0);
    /* Resumed, it calls again. */
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    EXPECT_EQ(t->finished, 0);
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(1, 0, 0));

    /* The same where the receiver was there first. */
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    start_raw(e, &receiver);
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    EXPECT_EQ(t->finished, 0);
    EXPECT_EQ(receiver.io.info, tag(1, 0, 0));
}

TEST(right_to_grant_replies_is_enough_for_an_answer)
{
    seL4_CPtr endpoint = new_endpoint(e);
    seL4_CapRights_t rights[2] = { seL4_CapRights_new(1, 0, 0, 1), seL4_CapRights_new(0, 1, 0, 1) };

    for (int i = 0; i < 2; i++) {
        struct raw_call call = raw_call(seL4_SysCall, copy_of(e, endpoint, rights[i]), 0);
        struct thread *t = start_raw(e, &call);

        seL4_Recv(endpoint, NULL);
        raw(seL4_SysReply, 0, tag(2, 0, 0));
        EXPECT_EQ(t->finished, 1);
        EXPECT_EQ(call.io.info, tag(2, 0, 0));
    }
}

TEST(receiving_again_forgets_the_caller)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *t = start_raw(e, &call);

    seL4_Recv(endpoint, NULL);
    raw(seL4_SysNBRecv, endpoint, 0);
    raw(seL4_SysReply, 0, tag(2, 0, 0));
    EXPECT_EQ(t->finished, 0);
}

TEST(waiting_for_a_signal_keeps_the_caller)
{
    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *t = start_raw(e, &call);

    seL4_Recv(endpoint, NULL);
    seL4_Signal(notification);
    raw(seL4_SysRecv, notification, 0);
    raw(seL4_SysNBRecv, notification, 0);
    raw(seL4_SysReply, 0, tag(2, 0, 0));
    EXPECT_EQ(t->finished, 1);
}

TEST(saved_reply_capability_answers_later)
{
    seL4_CPtr endpoint = new_endpoint(e), saved = new_slots(e, 2);
    struct raw_call calls[2];
    struct thread *t[2];

    for (seL4_Word i = 0; i < 2; i++) {
        calls[i] = raw_call(seL4_SysCall, endpoint, tag(i, 0, 0));
        t[i] = start_raw(e, &calls[i]);
        seL4_Recv(endpoint, NULL);
        EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved + i, ROOT_DEPTH));
        EXPECT_EQ(seL4_DebugCapIdentify(saved + i), IDENTIFY_REPLY);
    }
    raw(seL4_SysReply, 0, tag(9, 0, 0)); /* finds nobody: both are saved */
    EXPECT(!t[0]->finished && !t[1]->finished);
    raw(seL4_SysSend, saved + 1, tag(21, 0, 1));
    EXPECT_EQ(t[1]->finished, 1);
    EXPECT_EQ(calls[1].io.info, tag(21, 0, 1));
    EXPECT_EQ(calls[1].io.mr[0], 0xa0);
    EXPECT(slot_is_empty(saved + 1));

    /* By a call: it is answered with nothing. */
    struct sel4_registers io = raw(seL4_SysCall, saved, tag(20, 0, 4));
    EXPECT_EQ(t[0]->finished, 1);
    EXPECT_EQ(calls[0].io.info, tag(20, 0, 4));
    EXPECT_EQ(io.info, 0);
    EXPECT_EQ(io.dest, 0);
    EXPECT(slot_is_empty(saved));
}

TEST(saved_reply_capability_answers_by_nonblocking_send)
{
    seL4_CPtr endpoint = new_endpoint(e), saved = new_slot(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *t = start_raw(e, &call);

    seL4_Recv(endpoint, NULL);
    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    raw(seL4_SysNBSend, saved, tag(5, 0, 0));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.info, tag(5, 0, 0));
}

TEST(saving_the_caller_takes_an_empty_slot)
{
    seL4_CPtr endpoint = new_endpoint(e), saved = new_slot(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);

    start_raw(e, &call);
    /* Without a caller nothing is saved, and that is no error. */
    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    EXPECT(slot_is_empty(saved));
    seL4_Recv(endpoint, NULL);
    EXPECT_EQ(seL4_CNode_SaveCaller(ROOT, endpoint, ROOT_DEPTH), seL4_DeleteFirst);
    EXPECT_EQ(seL4_CNode_SaveCaller(ROOT, saved, 0), seL4_RangeError);
}

TEST(reply_capability_moves_but_is_not_copied)
{
    seL4_CPtr endpoint = new_endpoint(e), saved = new_slot(e), to = new_slot(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *t = start_raw(e, &call);

    seL4_Recv(endpoint, NULL);
    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    EXPECT_EQ(seL4_CNode_Copy(ROOT, to, ROOT_DEPTH, ROOT, saved, ROOT_DEPTH, seL4_AllRights), seL4_IllegalOperation);
    EXPECT_EQ(seL4_CNode_Mint(ROOT, to, ROOT_DEPTH, ROOT, saved, ROOT_DEPTH, seL4_AllRights, 1), seL4_IllegalOperation);
    EXPECT_OK(seL4_CNode_Move(ROOT, to, ROOT_DEPTH, ROOT, saved, ROOT_DEPTH));
    EXPECT(slot_is_empty(saved));
    raw(seL4_SysSend, to, tag(6, 0, 0));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.info, tag(6, 0, 0));
}

TEST(deleted_reply_capability_leaves_the_caller_waiting)
{
    seL4_CPtr endpoint = new_endpoint(e), saved = new_slot(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, tag(1, 0, 0));
    struct thread *t = start_raw(e, &call);

    seL4_Recv(endpoint, NULL);
    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, saved, ROOT_DEPTH));
    EXPECT_EQ(t->finished, 0);
    /* Only a restart helps: it calls again. */
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(1, 0, 0));
    raw(seL4_SysReply, 0, tag(2, 0, 0));
    EXPECT_EQ(t->finished, 1);
}

TEST(reply_capability_vanishes_when_the_caller_stops_waiting)
{
    seL4_CPtr endpoint = new_endpoint(e), saved = new_slot(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, tag(1, 0, 0));
    struct thread *t = start_raw(e, &call);

    seL4_Recv(endpoint, NULL);
    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    EXPECT_OK(seL4_TCB_Suspend(t->tcb));
    EXPECT(slot_is_empty(saved));

    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    seL4_Recv(endpoint, NULL);
    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, t->tcb, ROOT_DEPTH));
    EXPECT(slot_is_empty(saved));

    /* And one that was not saved. */
    e->thread_count = 0;
    call = raw_call(seL4_SysCall, endpoint, tag(1, 0, 0));
    t = start_raw(e, &call);
    seL4_Recv(endpoint, NULL);
    EXPECT_OK(seL4_CNode_Delete(ROOT, t->tcb, ROOT_DEPTH));
    raw(seL4_SysReply, 0, tag(9, 0, 0));
}

TEST(reply_capability_dies_with_its_holder)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0), caller = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *server = start_raw(e, &receiver), *client = start_raw(e, &caller);

    EXPECT_EQ(server->finished, 1);
    EXPECT_EQ(client->finished, 0);
    EXPECT_OK(seL4_CNode_Delete(ROOT, server->tcb, ROOT_DEPTH));
    EXPECT_EQ(client->finished, 0);
    EXPECT_OK(seL4_TCB_Resume(client->tcb));
    EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, 0);
    raw(seL4_SysReply, 0, 0);
    EXPECT_EQ(client->finished, 1);
}

static void answer_through(struct env *e, struct thread *t, seL4_Word saved)
{
    (void)e;
    t->result[0] = raw(seL4_SysCall, saved, tag(31, 0, 0)).info;
}

TEST(another_thread_answers_with_the_capability)
{
    seL4_CPtr endpoint = new_endpoint(e), saved = new_slot(e);
    struct raw_call call = raw_call(seL4_SysCall, endpoint, 0);
    struct thread *t = start_raw(e, &call), *other = new_thread(e, 0);

    seL4_Recv(endpoint, NULL);
    EXPECT_OK(seL4_CNode_SaveCaller(ROOT, saved, ROOT_DEPTH));
    start(other, answer_through, saved, ABOVE_ROOT);
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(call.io.info, tag(31, 0, 0));
    EXPECT_EQ(other->finished, 1);
    EXPECT_EQ(other->result[0], 0);
}

/* A chain: each thread calls the next one and answers only once it has been answered itself. */
static seL4_CPtr chain[HARNESS_THREADS], chain_saved[HARNESS_THREADS];

static void chain_link(struct env *e, struct thread *t, seL4_Word index)
{
    seL4_Word badge;
    seL4_MessageInfo_t info = seL4_Recv(chain[index], &badge);

    (void)e;
    (void)t;
    seL4_Word word = seL4_GetMR(0) + 1;
    if (index + 1 < HARNESS_THREADS) {
        seL4_CNode_SaveCaller(ROOT, chain_saved[index], ROOT_DEPTH);
        seL4_SetMR(0, word);
        info = seL4_Call(chain[index + 1], info);
        seL4_Send(chain_saved[index], info);
    } else {
        seL4_SetMR(0, word);
        seL4_Reply(info);
    }
}

TEST(calls_nest)
{
    for (seL4_Word i = 0; i < HARNESS_THREADS; i++) {
        chain[i] = new_endpoint(e);
        chain_saved[i] = new_slot(e);
        start(new_thread(e, 0), chain_link, i, ABOVE_ROOT + i % 3);
    }
    seL4_SetMR(0, 100);
    EXPECT_EQ(seL4_Call(chain[0], seL4_MessageInfo_new(2, 0, 0, 1)).words[0], tag(2, 0, 1));
    EXPECT_EQ(seL4_GetMR(0), 100 + HARNESS_THREADS);
}
