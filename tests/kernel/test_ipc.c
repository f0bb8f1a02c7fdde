/* Endpoints: messages of words, who gets them, and what is left of them on the way. */
#include "tests/kernel/raw_call.h"

#include <string.h>

TEST(message_to_a_waiting_receiver_brings_badge_tag_and_words)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0x1234);
    struct thread *t = start_raw(e, &receiver);

    EXPECT_EQ(t->finished, 0);
    struct raw_call sender = raw_call(seL4_SysSend, badged(e, endpoint, 0xfedcba9876543210), tag(0xabcdef, 0, 4));
    struct raw_call before = sender;
    sel4_syscall(sender.number, &sender.io);
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(receiver.io.dest, 0xfedcba9876543210);
    EXPECT_EQ(receiver.io.info, tag(0xabcdef, 0, 4));
    EXPECT_RAW_WORDS(receiver.io);
    EXPECT(memcmp(&sender, &before, sizeof sender) == 0);
}

TEST(message_of_a_waiting_sender_is_taken)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call sender = raw_call(seL4_SysSend, badged(e, endpoint, 7), tag(1ul << 51, 0, 4));
    struct thread *t = start_raw(e, &sender);

    EXPECT_EQ(t->finished, 0);
    struct sel4_registers io = raw(seL4_SysRecv, endpoint, 0);
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(io.dest, 7);
    EXPECT_EQ(io.info, tag(1ul << 51, 0, 4));
    EXPECT_RAW_WORDS(io);
}

TEST(message_registers_beyond_the_length_are_left_alone)
{
    seL4_CPtr endpoint = new_endpoint(e);

    for (seL4_Word length = 0; length <= 4; length++) {
        struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
        struct sel4_registers sent = { endpoint, tag(9, 0, length), { 1, 2, 3, 4 } };

        e->thread_count = 0; /* its stack and buffer serve again */
        start_raw(e, &receiver);
        sel4_syscall(seL4_SysSend, &sent);
        EXPECT_EQ(receiver.io.info, tag(9, 0, length));
        for (seL4_Word i = 0; i < 4; i++)
            EXPECT_EQ(receiver.io.mr[i], i < length ? i + 1 : 0xa0 + i);
    }
}

static void fill(seL4_IPCBuffer *buffer, seL4_Word start)
{
    for (seL4_Word i = 0; i < seL4_MsgMaxLength; i++)
        buffer->msg[i] = start + i;
}

TEST(long_message_goes_through_the_ipc_buffers)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *t = start_raw(e, &receiver);

    fill(seL4_GetIPCBuffer(), 0x1000);
    fill(t->buffer, 0x2000);
    raw(seL4_SysSend, endpoint, tag(0, 0, 100));
    EXPECT_EQ(receiver.io.info, tag(0, 0, 100));
    EXPECT_RAW_WORDS(receiver.io);
    for (seL4_Word i = 0; i < seL4_MsgMaxLength; i++)
        EXPECT_EQ(t->buffer->msg[i], i >= 4 && i < 100 ? 0x1000 + i : 0x2000 + i);
}

TEST(length_above_the_maximum_is_cut)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *t = start_raw(e, &receiver);

    fill(seL4_GetIPCBuffer(), 0x1000);
    t->buffer->userData = 0x55;
    raw(seL4_SysSend, endpoint, tag(3, 0, 127));
    EXPECT_EQ(receiver.io.info, tag(3, 0, seL4_MsgMaxLength));
    EXPECT_EQ(t->buffer->msg[seL4_MsgMaxLength - 1], 0x1000 + seL4_MsgMaxLength - 1);
    EXPECT_EQ(t->buffer->userData, 0x55);
}

TEST(receiver_without_a_buffer_gets_what_fits_into_registers)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *t = start_raw(e, &receiver);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, 0, 0));
    fill(t->buffer, 0x2000);
    raw(seL4_SysSend, endpoint, tag(3, 0, 20));
    EXPECT_EQ(receiver.io.info, tag(3, 0, 4));
    EXPECT_RAW_WORDS(receiver.io);
    EXPECT_EQ(t->buffer->msg[4], 0x2004);
}

TEST(receiver_whose_buffer_is_read_only_gets_what_fits_into_registers)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *t = start_raw(e, &receiver);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, (seL4_Word)t->buffer, copy_of(e, t->buffer_frame, seL4_CanRead)));
    fill(t->buffer, 0x2000);
    raw(seL4_SysSend, endpoint, tag(3, 0, 20));
    EXPECT_EQ(receiver.io.info, tag(3, 0, 4));
    EXPECT_EQ(t->buffer->msg[4], 0x2004);
}

TEST(sender_without_a_buffer_sends_four_words)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call sender = raw_call(seL4_SysSend, endpoint, tag(3, 2, 20));
    struct thread *t = start_raw(e, &sender);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, 0, 0));
    fill(seL4_GetIPCBuffer(), 0x1000);
    struct sel4_registers io = raw(seL4_SysRecv, endpoint, 0);
    EXPECT_EQ(io.info, tag(3, 0, 4));
    EXPECT_RAW_WORDS(io);
    EXPECT_EQ(seL4_GetMR(4), 0x1004);
}

TEST(sender_whose_buffer_is_read_only_sends_all)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call sender = raw_call(seL4_SysSend, endpoint, tag(3, 0, 20));
    struct thread *t = start_raw(e, &sender);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, (seL4_Word)t->buffer, copy_of(e, t->buffer_frame, seL4_CanRead)));
    fill(t->buffer, 0x2000);
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(3, 0, 20));
    EXPECT_EQ(seL4_GetMR(19), 0x2013);
}

TEST(capability_counts_of_a_tag_do_not_pass_without_capabilities)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);

    start_raw(e, &receiver);
    seL4_SetCap(0, endpoint);
    raw(seL4_SysSend, copy_of(e, endpoint, seL4_CanWrite), seL4_MessageInfo_new(5, 7, 1, 2).words[0]);
    EXPECT_EQ(receiver.io.info, tag(5, 0, 2));
}

TEST(nonblocking_send_without_receiver_is_dropped)
{
    seL4_CPtr endpoint = new_endpoint(e);

    struct sel4_registers io = raw(seL4_SysNBSend, badged(e, endpoint, 5), tag(3, 0, 4));
    EXPECT_EQ(io.info, tag(3, 0, 4));
    EXPECT_RAW_WORDS(io);
    EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, 0);
}

TEST(nonblocking_send_reaches_a_waiting_receiver)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *t = start_raw(e, &receiver);

    raw(seL4_SysNBSend, badged(e, endpoint, 5), tag(3, 0, 2));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(receiver.io.dest, 5);
}

TEST(nonblocking_receive_of_nothing_gives_badge_0_and_nothing_else)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct sel4_registers io = raw(seL4_SysNBRecv, endpoint, 0x4321);

    EXPECT_EQ(io.dest, 0);
    EXPECT_EQ(io.info, 0x4321);
    EXPECT_RAW_WORDS(io);

    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    start_raw(e, &receiver);
    EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0x4321).dest, 0);
}

TEST(nonblocking_receive_takes_from_a_waiting_sender)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call sender = raw_call(seL4_SysSend, badged(e, endpoint, 6), tag(0, 0, 1));
    struct thread *t = start_raw(e, &sender);

    EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, 6);
    EXPECT_EQ(t->finished, 1);
}

TEST(senders_and_receivers_are_served_in_the_order_of_their_arrival)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call calls[3];
    struct thread *t[3];

    for (seL4_Word i = 0; i < 3; i++) {
        calls[i] = raw_call(seL4_SysSend, badged(e, endpoint, i + 1), tag(i, 0, 0));
        t[i] = new_thread(e, 0);
        start(t[i], run_raw, (seL4_Word)&calls[i], ABOVE_ROOT + i); /* the last one is the most important one */
    }
    for (seL4_Word i = 0; i < 3; i++)
        EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).dest, i + 1);
    for (seL4_Word i = 0; i < 3; i++) {
        calls[i] = raw_call(seL4_SysRecv, endpoint, 0);
        start(t[i], run_raw, (seL4_Word)&calls[i], ABOVE_ROOT + i);
    }
    for (seL4_Word i = 0; i < 3; i++) {
        raw(seL4_SysSend, endpoint, tag(0, 0, 0));
        EXPECT_EQ(t[i]->finished, 1);
        EXPECT(i == 2 || !t[i + 1]->finished);
    }
}

TEST(message_to_a_less_important_receiver_leaves_the_sender_running)
{
    seL4_CPtr endpoint = new_endpoint(e), done = new_endpoint(e);
    struct raw_call receiver = raw_call(seL4_SysRecv, endpoint, 0);
    struct thread *t = start_raw(e, &receiver);

    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, BELOW_ROOT));
    raw(seL4_SysSend, endpoint, tag(0, 0, 0));
    EXPECT_EQ(t->finished, 0);
    /* It goes on when we wait, and is through when somebody still less important wakes us. */
    struct raw_call waker = raw_call(seL4_SysSend, done, 0);
    start(new_thread(e, 0), run_raw, (seL4_Word)&waker, BELOW_ROOT - 1);
    raw(seL4_SysRecv, done, 0);
    EXPECT_EQ(t->finished, 1);
}

TEST(endpoint_without_the_right_to_send_is_an_invalid_capability)
{
    seL4_CPtr endpoint = new_endpoint(e);
    seL4_CPtr readable = copy_of(e, endpoint, seL4_NoWrite);
    struct sel4_registers io = raw(seL4_SysCall, readable, tag(3, 0, 4));

    EXPECT_EQ(io.dest, 0);
    EXPECT_EQ(io.info, tag(seL4_InvalidCapability, 0, 1));
    EXPECT_WORDS(io, 0, 0xa1, 0xa2, 0xa3);
    io = raw(seL4_SysSend, readable, tag(3, 0, 4));
    EXPECT_EQ(io.dest, readable);
    EXPECT_EQ(io.info, tag(3, 0, 4));
    EXPECT_RAW_WORDS(io);
    io = raw(seL4_SysNBSend, readable, tag(3, 0, 4));
    EXPECT_EQ(io.info, tag(3, 0, 4));
}

TEST(suspended_threads_no_longer_stand_in_the_queue)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call calls[3];
    struct thread *t[3];

    for (int skipped = 0; skipped < 3; skipped++) {
        e->thread_count = 0;
        for (int i = 0; i < 3; i++) {
            calls[i] = raw_call(seL4_SysSend, badged(e, endpoint, (seL4_Word)i + 1), 0);
            t[i] = start_raw(e, &calls[i]);
        }
        EXPECT_OK(seL4_TCB_Suspend(t[skipped]->tcb));
        for (int i = 0; i < 3; i++)
            if (i != skipped)
                EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).dest, i + 1);
        EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, 0);
        /* Resumed, it sends again. */
        EXPECT_OK(seL4_TCB_Resume(t[skipped]->tcb));
        EXPECT_EQ(raw(seL4_SysNBRecv, endpoint, 0).dest, skipped + 1);
    }
}

TEST(deleted_endpoint_makes_waiting_threads_do_their_call_again)
{
    seL4_CPtr endpoint = new_endpoint(e), other = new_endpoint(e);
    struct raw_call calls[3];
    struct thread *t[3];

    for (int i = 0; i < 3; i++) {
        calls[i] = raw_call(seL4_SysSend, badged(e, endpoint, (seL4_Word)i + 1), 0);
        t[i] = start_raw(e, &calls[i]);
    }
    /* They meet another endpoint in the place of the old one once they run. */
    for (int i = 0; i < 3; i++)
        EXPECT_OK(seL4_TCB_SetPriority(t[i]->tcb, seL4_CapInitThreadTCB, BELOW_ROOT));
    EXPECT_OK(seL4_CNode_Revoke(ROOT, endpoint, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, endpoint, ROOT_DEPTH));
    for (seL4_Word i = 0; i < 3; i++)
        EXPECT_OK(seL4_CNode_Mint(ROOT, calls[i].io.dest, ROOT_DEPTH, ROOT, other, ROOT_DEPTH, seL4_AllRights, i + 11));
    seL4_Word sum = 0;
    for (int i = 0; i < 3; i++)
        sum += raw(seL4_SysRecv, other, 0).dest;
    EXPECT_EQ(sum, 11 + 12 + 13);
}

TEST(cancelled_badged_senders_send_again_behind_the_others)
{
    seL4_CPtr endpoint = new_endpoint(e);
    seL4_CPtr one = badged(e, endpoint, 1), two = badged(e, endpoint, 2);
    struct raw_call calls[4];

    for (seL4_Word i = 0; i < 4; i++) {
        calls[i] = raw_call(seL4_SysSend, i % 2 ? two : one, tag(i, 0, 0));
        start_raw(e, &calls[i]);
    }
    EXPECT_OK(seL4_CNode_CancelBadgedSends(ROOT, one, ROOT_DEPTH));
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(1, 0, 0));
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(3, 0, 0));
    /* Each goes to the front of the ready queue, so that the last one woken is the first to send. */
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(2, 0, 0));
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(0, 0, 0));
}

TEST(cancelling_badged_sends_takes_all_rights_and_a_badge)
{
    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    struct raw_call calls[2] = { raw_call(seL4_SysSend, endpoint, tag(1, 0, 0)),
                                 raw_call(seL4_SysSend, endpoint, tag(2, 0, 0)) };

    start_raw(e, &calls[0]);
    start_raw(e, &calls[1]);
    EXPECT_OK(seL4_CNode_CancelBadgedSends(ROOT, endpoint, ROOT_DEPTH));
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, tag(1, 0, 0));
    seL4_CPtr wrong[] = { copy_of(e, endpoint, seL4_NoRead), copy_of(e, endpoint, seL4_NoWrite),
                          copy_of(e, endpoint, seL4_ReadWrite), notification, new_slot(e) };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        EXPECT_EQ(seL4_CNode_CancelBadgedSends(ROOT, wrong[i], ROOT_DEPTH), seL4_IllegalOperation);
}

/* Clients with messages of all lengths and servers that answer each, at different priorities: nothing gets lost. */
#define CLIENTS  4
#define SERVERS  2
#define REQUESTS 300u

static seL4_CPtr exchange_endpoint, exchange_done;

static void serve(struct env *e, struct thread *t, seL4_Word argument)
{
    seL4_Word badge;

    (void)e;
    (void)argument;
    seL4_MessageInfo_t info = seL4_Recv(exchange_endpoint, &badge);
    for (;;) {
        seL4_Word length = seL4_MessageInfo_get_length(info), sum = badge;

        for (seL4_Word i = 0; i < length; i++)
            sum += t->buffer->msg[i];
        for (seL4_Word i = 0; i < length; i++)
            t->buffer->msg[i] = sum ^ i;
        info = seL4_ReplyRecv(exchange_endpoint, seL4_MessageInfo_new(sum & 0xffff, 0, 0, length), &badge);
    }
}

static void request(struct env *e, struct thread *t, seL4_Word badge)
{
    seL4_CPtr endpoint = t->result[7];
    seL4_Word state = badge * 0x9e3779b97f4a7c15, wrong = 0;

    (void)e;
    for (seL4_Word round = 0; round < REQUESTS; round++) {
        seL4_Word length = (state >> 40) % (round % 3 ? 5 : seL4_MsgMaxLength + 1), sum = badge;

        for (seL4_Word i = 0; i < length; i++) {
            state = state * 6364136223846793005 + 1442695040888963407;
            t->buffer->msg[i] = state;
            sum += state;
        }
        state += round;
        seL4_MessageInfo_t info = seL4_Call(endpoint, seL4_MessageInfo_new(round, 0, 0, length));
        wrong += info.words[0] != tag(sum & 0xffff, 0, length);
        for (seL4_Word i = 0; i < length; i++)
            wrong += t->buffer->msg[i] != (sum ^ i);
        if (round % 16 == badge)
            seL4_Yield();
    }
    t->result[0] = wrong;
    t->result[1] = REQUESTS;
    seL4_Send(exchange_done, seL4_MessageInfo_new(0, 0, 0, 0));
}

TEST(many_clients_and_servers_exchange_messages)
{
    struct thread *client[CLIENTS];

    exchange_endpoint = new_endpoint(e);
    exchange_done = new_endpoint(e);
    for (seL4_Word i = 0; i < SERVERS; i++)
        start(new_thread(e, 0), serve, 0, i == 0 ? ABOVE_ROOT : BELOW_ROOT - 1);
    for (seL4_Word i = 0; i < CLIENTS; i++) {
        client[i] = new_thread(e, 0);
        client[i]->result[7] = badged(e, exchange_endpoint, i + 1);
        start(client[i], request, i + 1, BELOW_ROOT - i / 2);
    }
    for (int i = 0; i < CLIENTS; i++)
        seL4_Recv(exchange_done, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        EXPECT_EQ(client[i]->result[0], 0);
        EXPECT_EQ(client[i]->result[1], REQUESTS);
    }
}
