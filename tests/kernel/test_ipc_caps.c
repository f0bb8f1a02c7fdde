/* Capabilities that travel with a message: the receive slot, unwrapping, what stops a transfer. */
#include "tests/kernel/raw_call.h"

/* Numbers by which seL4_DebugCapIdentify knows types. */
#define IDENTIFY_ENDPOINT     4
#define IDENTIFY_NOTIFICATION 6

/* The capabilities that go with the next message. */
static void send_along(seL4_CPtr first, seL4_CPtr second, seL4_CPtr third)
{
    seL4_SetCap(0, first);
    seL4_SetCap(1, second);
    seL4_SetCap(2, third);
}

/* A thread above the root that receives on ENDPOINT with a slot for one capability; SLOT gets its place. */
static struct thread *start_receiver(struct env *e, seL4_CPtr endpoint, struct raw_call *call, seL4_CPtr *slot)
{
    struct thread *t = new_thread(e, 0);

    *slot = new_slot(e);
    t->buffer->receiveCNode = ROOT;
    t->buffer->receiveIndex = *slot;
    t->buffer->receiveDepth = ROOT_DEPTH;
    for (int i = 0; i < seL4_MsgMaxExtraCaps; i++)
        t->buffer->caps_or_badges[i] = 0xcc;
    *call = raw_call(seL4_SysRecv, endpoint, 0);
    start(t, run_raw, (seL4_Word)call, ABOVE_ROOT);
    return t;
}

static seL4_Word received(seL4_Word label, seL4_Word unwrapped, seL4_Word extra, seL4_Word length)
{
    return seL4_MessageInfo_new(label, unwrapped, extra, length).words[0];
}

TEST(capability_goes_into_the_receive_slot)
{
    seL4_CPtr endpoint = new_endpoint(e), gift = new_notification(e);
    struct raw_call call;
    seL4_CPtr slot;
    struct thread *t = start_receiver(e, endpoint, &call, &slot);

    seL4_SetCap(0, gift);
    raw(seL4_SysSend, endpoint, tag(3, 1, 1));
    EXPECT_EQ(call.io.info, received(3, 0, 1, 1));
    EXPECT_EQ(seL4_DebugCapIdentify(slot), IDENTIFY_NOTIFICATION);
    EXPECT_EQ(t->buffer->caps_or_badges[0], 0xcc);
    EXPECT_EQ(seL4_DebugCapIdentify(gift), IDENTIFY_NOTIFICATION);

    /* It is a copy of the original and dies with it. */
    EXPECT_OK(seL4_CNode_Revoke(ROOT, gift, ROOT_DEPTH));
    EXPECT(slot_is_empty(slot));
}

TEST(capability_is_taken_from_a_waiting_sender)
{
    seL4_CPtr endpoint = new_endpoint(e), gift = new_notification(e);
    seL4_CPtr slot = new_slot(e);
    struct raw_call call = raw_call(seL4_SysSend, endpoint, tag(3, 1, 0));
    struct thread *t = new_thread(e, 0);

    t->buffer->caps_or_badges[0] = gift;
    start(t, run_raw, (seL4_Word)&call, ABOVE_ROOT);
    seL4_SetCapReceivePath(ROOT, slot, ROOT_DEPTH);
    EXPECT_EQ(raw(seL4_SysRecv, endpoint, 0).info, received(3, 0, 1, 0));
    EXPECT_EQ(seL4_DebugCapIdentify(slot), IDENTIFY_NOTIFICATION);
}

TEST(transferred_capability_keeps_rights_and_badge)
{
    seL4_CPtr endpoint = new_endpoint(e), gift = new_endpoint(e);
    seL4_CPtr slot, weak = new_slot(e);
    struct raw_call call, listener = raw_call(seL4_SysRecv, gift, 0);

    EXPECT_OK(seL4_CNode_Mint(ROOT, weak, ROOT_DEPTH, ROOT, gift, ROOT_DEPTH, seL4_CanWrite, 77));
    start_receiver(e, endpoint, &call, &slot);
    seL4_SetCap(0, weak);
    raw(seL4_SysSend, endpoint, tag(0, 1, 0));
    start_raw(e, &listener);
    raw(seL4_SysNBSend, slot, tag(0, 0, 0));
    EXPECT_EQ(listener.io.dest, 77);
    EXPECT_EQ(seL4_CNode_CancelBadgedSends(ROOT, slot, ROOT_DEPTH), seL4_IllegalOperation);
}

TEST(capabilities_do_not_pass_without_the_right_to_grant)
{
    seL4_CPtr endpoint = new_endpoint(e), gift = new_notification(e);
    struct raw_call call;
    seL4_CPtr slot;

    start_receiver(e, endpoint, &call, &slot);
    seL4_SetCap(0, gift);
    raw(seL4_SysSend, copy_of(e, endpoint, seL4_CapRights_new(1, 0, 1, 1)), tag(3, 1, 1));
    EXPECT_EQ(call.io.info, received(3, 0, 0, 1));
    EXPECT(slot_is_empty(slot));
}

TEST(capability_to_the_endpoint_itself_arrives_as_its_badge)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call;
    seL4_CPtr slot;
    struct thread *t = start_receiver(e, endpoint, &call, &slot);

    seL4_SetCap(0, badged(e, endpoint, 0x8000000000000001));
    raw(seL4_SysSend, endpoint, tag(0, 1, 0));
    EXPECT_EQ(call.io.info, received(0, 1, 1, 0));
    EXPECT_EQ(t->buffer->caps_or_badges[0], 0x8000000000000001);
    EXPECT(slot_is_empty(slot));
}

TEST(three_capabilities_two_of_them_unwrapped)
{
    seL4_CPtr endpoint = new_endpoint(e), gift = new_notification(e);
    struct raw_call call;
    seL4_CPtr slot;
    struct thread *t = start_receiver(e, endpoint, &call, &slot);

    seL4_CPtr first = badged(e, endpoint, 11), third = badged(e, endpoint, 33);

    send_along(first, gift, third);
    raw(seL4_SysSend, endpoint, tag(0, 3, 2));
    EXPECT_EQ(call.io.info, received(0, 5, 3, 2));
    EXPECT_EQ(t->buffer->caps_or_badges[0], 11);
    EXPECT_EQ(t->buffer->caps_or_badges[1], 0xcc);
    EXPECT_EQ(t->buffer->caps_or_badges[2], 33);
    EXPECT_EQ(seL4_DebugCapIdentify(slot), IDENTIFY_NOTIFICATION);
}

TEST(second_capability_for_the_slot_ends_the_transfer)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call;
    seL4_CPtr slot;
    struct thread *t = start_receiver(e, endpoint, &call, &slot);

    seL4_CPtr first = new_endpoint(e), second = new_notification(e);
    seL4_CPtr third = badged(e, endpoint, 33);

    send_along(first, second, third);
    raw(seL4_SysSend, endpoint, tag(0, 3, 0));
    EXPECT_EQ(call.io.info, received(0, 0, 1, 0));
    EXPECT_EQ(t->buffer->caps_or_badges[2], 0xcc);
    EXPECT_EQ(seL4_DebugCapIdentify(slot), IDENTIFY_ENDPOINT);
}

TEST(occupied_or_senseless_receive_slot_takes_nothing)
{
    seL4_CPtr endpoint = new_endpoint(e), gift = new_notification(e);
    struct {
        seL4_Word root, index, depth;
    } paths[] = {
        { ROOT, endpoint, ROOT_DEPTH }, /* occupied */
        { ROOT, 1ul << 40, ROOT_DEPTH },
        { ROOT, 0, 0 },
        { ROOT, 0, 65 },
        { ROOT, 0, 1 },
        { endpoint, 0, ROOT_DEPTH },
        { 1ul << 50, 0, ROOT_DEPTH },
        { 0, 0, 0 },
    };
    struct raw_call call;
    seL4_CPtr slot;

    for (unsigned i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        e->thread_count = 0;
        struct thread *t = start_receiver(e, endpoint, &call, &slot);

        t->buffer->receiveCNode = paths[i].root;
        t->buffer->receiveIndex = paths[i].index;
        t->buffer->receiveDepth = paths[i].depth;
        seL4_SetCap(0, gift);
        raw(seL4_SysSend, endpoint, tag(8, 1, 1));
        EXPECT_EQ(t->finished, 1);
        EXPECT_EQ(call.io.info, received(8, 0, 0, 1));
    }
}

TEST(unwrapping_takes_no_receive_slot)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call;
    seL4_CPtr slot;
    struct thread *t = start_receiver(e, endpoint, &call, &slot);

    seL4_CPtr first = badged(e, endpoint, 1), second = badged(e, endpoint, 2), third = badged(e, endpoint, 3);

    t->buffer->receiveCNode = 0;
    send_along(first, second, third);
    raw(seL4_SysSend, endpoint, tag(0, 3, 0));
    EXPECT_EQ(call.io.info, received(0, 7, 3, 0));
    EXPECT_EQ(t->buffer->caps_or_badges[2], 3);
}

TEST(receiver_without_a_buffer_gets_no_capabilities)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call;
    seL4_CPtr slot;
    struct thread *t = start_receiver(e, endpoint, &call, &slot);

    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, 0, 0));
    seL4_SetCap(0, badged(e, endpoint, 1));
    raw(seL4_SysSend, endpoint, tag(0, 1, 3));
    EXPECT_EQ(call.io.info, received(0, 0, 0, 3));
}

TEST(capabilities_that_cannot_be_copied_do_not_travel)
{
    seL4_CPtr endpoint = new_endpoint(e), parent = new_untyped(e, 12);
    seL4_CPtr child = new_slot(e), gifts[3];
    struct raw_call call;
    seL4_CPtr slot;

    EXPECT_OK(seL4_Untyped_Retype(parent, seL4_EndpointObject, 0, ROOT, 0, 0, child, 1));
    gifts[0] = new_slot(e); /* empty */
    gifts[1] = seL4_CapIRQControl;
    gifts[2] = parent; /* has children */
    for (int i = 0; i < 3; i++) {
        e->thread_count = 0;
        start_receiver(e, endpoint, &call, &slot);
        seL4_SetCap(0, gifts[i]);
        raw(seL4_SysSend, endpoint, tag(0, 1, 0));
        EXPECT_EQ(call.io.info, received(0, 0, 0, 0));
        EXPECT(slot_is_empty(slot));
    }
}

TEST(untyped_that_was_given_away_has_no_memory_left_for_its_first_owner)
{
    seL4_CPtr endpoint = new_endpoint(e), gift = new_untyped(e, 12), made = new_slots(e, 2);
    struct raw_call call;
    seL4_CPtr slot;

    start_receiver(e, endpoint, &call, &slot);
    seL4_SetCap(0, gift);
    raw(seL4_SysSend, endpoint, tag(0, 1, 0));
    EXPECT_EQ(call.io.info, received(0, 0, 1, 0));
    EXPECT_EQ(seL4_Untyped_Retype(gift, seL4_EndpointObject, 0, ROOT, 0, 0, made, 1), seL4_NotEnoughMemory);
    EXPECT_OK(seL4_Untyped_Retype(slot, seL4_EndpointObject, 0, ROOT, 0, 0, made, 1));
}

/* A server above the root takes one call, remembers its slot for capabilities, and answers with a capability. */
static seL4_CPtr answered_cap;

static void answer_with_cap(struct env *e, struct thread *t, seL4_Word endpoint)
{
    (void)e;
    seL4_Recv(endpoint, NULL);
    t->buffer->caps_or_badges[0] = answered_cap;
    seL4_Reply(seL4_MessageInfo_new(4, 0, 1, 0));
}

TEST(capability_comes_with_a_reply_where_the_receiver_may_grant)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct {
        seL4_CapRights_t client, server;
        bool comes;
    } cases[] = {
        { seL4_AllRights, seL4_AllRights, true },
        { seL4_CapRights_new(1, 0, 0, 1), seL4_AllRights, true }, /* grant-reply is all that the caller needs */
        { seL4_AllRights, seL4_CanRead, false },
    };

    answered_cap = new_notification(e);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        seL4_CPtr slot = new_slot(e);

        e->thread_count = 0;
        start(new_thread(e, 0), answer_with_cap, copy_of(e, endpoint, cases[i].server), ABOVE_ROOT);
        seL4_SetCapReceivePath(ROOT, slot, ROOT_DEPTH);
        EXPECT_EQ(raw(seL4_SysCall, copy_of(e, endpoint, cases[i].client), 0).info,
                  received(4, 0, cases[i].comes, 0));
        EXPECT_EQ(seL4_DebugCapIdentify(slot), cases[i].comes ? IDENTIFY_NOTIFICATION : 0);
    }
}

TEST(nothing_is_unwrapped_in_a_reply)
{
    seL4_CPtr endpoint = new_endpoint(e), slot = new_slot(e);

    answered_cap = badged(e, endpoint, 5);
    start(new_thread(e, 0), answer_with_cap, endpoint, ABOVE_ROOT);
    seL4_SetCapReceivePath(ROOT, slot, ROOT_DEPTH);
    EXPECT_EQ(raw(seL4_SysCall, endpoint, 0).info, received(4, 0, 1, 0));
    EXPECT_EQ(seL4_DebugCapIdentify(slot), IDENTIFY_ENDPOINT);
}
