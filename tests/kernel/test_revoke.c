/* What is derived from what, and the end of it: revoke, delete, CNodes with contents. */
#include "tests/kernel/spaces.h"

static seL4_Error copy(seL4_CPtr to_node, seL4_Word to, seL4_Uint8 to_depth, seL4_CPtr from)
{
    return seL4_CNode_Copy(to_node, to, to_depth, ROOT, from, ROOT_DEPTH, seL4_AllRights);
}

static void revoke(struct env *e, seL4_CPtr slot)
{
    EXPECT_OK(seL4_CNode_Revoke(ROOT, slot, ROOT_DEPTH));
}

static void delete(struct env *e, seL4_CPtr slot)
{
    EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
    EXPECT(slot_is_empty(slot));
}

static seL4_CPtr object_of(struct env *e, seL4_CPtr memory, seL4_Word type, seL4_Word size)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(seL4_Untyped_Retype(memory, type, size, ROOT, 0, 0, slot, 1));
    return slot;
}

/* Whether all objects out of MEMORY, which was used up by them, are gone. */
static bool is_free(struct env *e, seL4_CPtr memory, seL4_Word bits)
{
    seL4_CPtr slot = new_slot(e);

    if (seL4_Untyped_Retype(memory, seL4_UntypedObject, bits, ROOT, 0, 0, slot, 1) != seL4_NoError)
        return false;
    delete(e, slot);
    return true;
}

TEST(revoke_takes_everything_that_is_derived_and_leaves_the_capability)
{
    seL4_CPtr memory = new_untyped(e, 16), endpoint = object_of(e, memory, seL4_EndpointObject, 0);
    seL4_CPtr notification = object_of(e, memory, seL4_NotificationObject, 0);
    seL4_CPtr part = object_of(e, memory, seL4_UntypedObject, 12), frame = object_of(e, part, seL4_X86_4K, 0);
    seL4_CPtr tcb = object_of(e, memory, seL4_TCBObject, 0), node = object_of(e, memory, seL4_CapTableObject, 3);
    seL4_CPtr one = badged(e, endpoint, 5), two = copy_of(e, one, seL4_AllRights), three = badged(e, notification, 6);

    EXPECT_OK(copy(node, 2, 3, frame));
    revoke(e, memory);
    seL4_CPtr gone[] = { endpoint, notification, part, frame, tcb, node, one, two, three };
    for (unsigned i = 0; i < sizeof gone / sizeof gone[0]; i++)
        EXPECT(slot_is_empty(gone[i]));
    EXPECT(!slot_is_empty(memory));
    EXPECT(is_free(e, memory, 16));
    revoke(e, memory);
}

TEST(revoke_of_an_original_takes_copies_of_copies)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0), first = copy_of(e, endpoint, seL4_AllRights);
    seL4_CPtr second = copy_of(e, first, seL4_CanRead), third = copy_of(e, second, seL4_NoRights);

    revoke(e, second); /* copies are not above one another */
    revoke(e, first);
    EXPECT(!slot_is_empty(third) && !slot_is_empty(second) && !slot_is_empty(first));
    revoke(e, endpoint);
    EXPECT(slot_is_empty(first) && slot_is_empty(second) && slot_is_empty(third));
    EXPECT(!slot_is_empty(endpoint));
}

TEST(revoke_of_a_badged_capability_takes_copies_with_its_badge_alone)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0), plain = copy_of(e, endpoint, seL4_AllRights);
    seL4_CPtr one = badged(e, endpoint, 1), two = badged(e, endpoint, 2), again = badged(e, endpoint, 1);
    seL4_CPtr one_copy = copy_of(e, one, seL4_AllRights), two_copy = copy_of(e, two, seL4_AllRights);
    seL4_CPtr from_plain = badged(e, plain, 1), spare = new_slot(e);

    revoke(e, one);
    EXPECT(slot_is_empty(one_copy));
    EXPECT(!slot_is_empty(one) && !slot_is_empty(two) && !slot_is_empty(again) && !slot_is_empty(two_copy));
    EXPECT(!slot_is_empty(plain) && !slot_is_empty(from_plain) && !slot_is_empty(endpoint));
    EXPECT_EQ(seL4_CNode_Mint(ROOT, spare, ROOT_DEPTH, ROOT, one, ROOT_DEPTH, seL4_AllRights, 3), seL4_IllegalOperation);
    EXPECT_EQ(seL4_CNode_Mint(ROOT, spare, ROOT_DEPTH, ROOT, one, ROOT_DEPTH, seL4_AllRights, 1), seL4_IllegalOperation);
    EXPECT_EQ(seL4_CNode_Mutate(ROOT, spare, ROOT_DEPTH, ROOT, one, ROOT_DEPTH, 1), seL4_IllegalOperation);
    revoke(e, plain);
    EXPECT(!slot_is_empty(from_plain));
    revoke(e, endpoint);
    EXPECT(slot_is_empty(one) && slot_is_empty(two) && slot_is_empty(again) && slot_is_empty(two_copy));
    EXPECT(slot_is_empty(plain) && slot_is_empty(from_plain));
}

TEST(deleting_the_first_of_a_badge_does_not_merge_it_with_what_came_before)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_CPtr late = badged(e, endpoint, 7), middle = badged(e, endpoint, 7), early = badged(e, endpoint, 7);
    seL4_CPtr middle_copy = copy_of(e, middle, seL4_AllRights);

    /* In the list EARLY comes first. MIDDLE's copy is now the first of its line. */
    delete(e, middle);
    revoke(e, early);
    EXPECT(!slot_is_empty(middle_copy) && !slot_is_empty(late));
    revoke(e, endpoint);
    EXPECT(slot_is_empty(middle_copy) && slot_is_empty(late) && slot_is_empty(early));
}

TEST(deleting_an_original_leaves_its_copies_alive)
{
    seL4_CPtr memory = new_untyped(e, seL4_NotificationBits), spare = new_slot(e), badge_slot;
    seL4_CPtr notification = object_of(e, memory, seL4_NotificationObject, 0), other = copy_of(e, notification, seL4_AllRights);
    seL4_Word badge;

    badge_slot = badged(e, notification, 0x80);
    delete(e, notification);
    seL4_Signal(badge_slot);
    seL4_Wait(other, &badge);
    EXPECT_EQ(badge, 0x80);
    EXPECT_EQ(seL4_Untyped_Retype(memory, seL4_NotificationObject, 0, ROOT, 0, 0, spare, 1), seL4_NotEnoughMemory);
    delete(e, other);
    EXPECT_EQ(seL4_Untyped_Retype(memory, seL4_NotificationObject, 0, ROOT, 0, 0, spare, 1), seL4_NotEnoughMemory);
    delete(e, badge_slot);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_NotificationObject, 0, ROOT, 0, 0, spare, 1));
}

TEST(delete_and_revoke_of_what_is_not_there)
{
    seL4_CPtr slot = new_slot(e), frame = new_object(e, seL4_X86_4K, 0);

    EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Revoke(ROOT, slot, ROOT_DEPTH));
    EXPECT_EQ(seL4_CNode_Delete(ROOT, 1ul << 20, ROOT_DEPTH), seL4_FailedLookup);
    EXPECT_EQ(seL4_CNode_Revoke(ROOT, 1ul << 20, ROOT_DEPTH), seL4_FailedLookup);
    EXPECT_RANGE(seL4_CNode_Revoke(ROOT, slot, 0), 1, seL4_WordBits);
    EXPECT_RANGE(seL4_CNode_Revoke(ROOT, slot, 200), 1, seL4_WordBits);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeRevoke, 0, 1, SEL4_WORDS(slot)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeDelete, 0, 0, SEL4_WORDS(slot)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeSaveCaller + 1, 0, 2, SEL4_WORDS(slot, 64)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(ROOT, UntypedRetype, 0, 2, SEL4_WORDS(slot, 64)), seL4_IllegalOperation);
    EXPECT_EQ(seL4_CNode_Delete(frame, 0, ROOT_DEPTH), seL4_IllegalOperation);
}

TEST(cnode_takes_its_contents_along)
{
    seL4_CPtr memory = new_untyped(e, 12), node = new_object(e, seL4_CapTableObject, 4);

    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 0, 16));
    EXPECT_OK(seL4_CNode_Delete(node, 7, 4));
    EXPECT(!is_free(e, memory, 12));
    seL4_CPtr second = copy_of(e, node, seL4_AllRights);
    delete(e, node);
    EXPECT(!is_free(e, memory, 12));
    EXPECT_OK(seL4_CNode_Delete(second, 3, 4));
    delete(e, second);
    EXPECT(is_free(e, memory, 12));
}

TEST(cnode_of_many_slots_is_emptied_to_the_last)
{
    seL4_CPtr memory = new_untyped(e, 20), endpoint = object_of(e, memory, seL4_EndpointObject, 0);
    seL4_CPtr node = new_object(e, seL4_CapTableObject, 14);

    for (seL4_Word i = 0; i < 1u << 14; i++)
        EXPECT_OK(copy(node, i, 14, endpoint));
    delete(e, endpoint);
    EXPECT(!is_free(e, memory, 20));
    delete(e, node);
    EXPECT(is_free(e, memory, 20));
}

TEST(cnode_that_holds_itself_can_be_deleted)
{
    seL4_CPtr memory = new_untyped(e, 12), node = object_of(e, memory, seL4_CapTableObject, 4);

    EXPECT_OK(copy(node, 5, 4, node));
    EXPECT_OK(seL4_CNode_Move(node, 0, 4, ROOT, node, ROOT_DEPTH));
    EXPECT(slot_is_empty(node));
    revoke(e, memory);
    EXPECT(is_free(e, memory, 12));

    /* By the capability in itself that is the last one from outside. */
    node = object_of(e, memory, seL4_CapTableObject, 4);
    EXPECT_OK(copy(node, 9, 4, node));
    EXPECT_OK(copy(node, 0, 4, node));
    EXPECT_OK(copy(node, 15, 4, node));
    delete(e, node);
    EXPECT(!is_free(e, memory, 12)); /* it holds itself alive */
    revoke(e, memory);
    EXPECT(is_free(e, memory, 12));
}

TEST(cnodes_that_hold_each_other_can_be_deleted)
{
    for (unsigned slot = 0; slot < 4; slot++) {
        seL4_CPtr memory = new_untyped(e, 13);
        seL4_CPtr a = object_of(e, memory, seL4_CapTableObject, 2), b = object_of(e, memory, seL4_CapTableObject, 2);
        seL4_CPtr c = object_of(e, memory, seL4_CapTableObject, 2);

        EXPECT_OK(copy(a, slot, 2, b));
        EXPECT_OK(copy(b, 3 - slot, 2, c));
        EXPECT_OK(copy(c, slot ^ 1, 2, a));
        delete(e, a);
        delete(e, b);
        delete(e, c);
        revoke(e, memory);
        EXPECT(is_free(e, memory, 13));

        /* The last capability to B lies in A, which holds itself as well. */
        a = object_of(e, memory, seL4_CapTableObject, 2);
        b = object_of(e, memory, seL4_CapTableObject, 2);
        EXPECT_OK(copy(b, 0, 2, a));
        EXPECT_OK(copy(a, slot ^ 2, 2, a));
        EXPECT_OK(seL4_CNode_Move(a, slot, 2, ROOT, b, ROOT_DEPTH));
        EXPECT_OK(seL4_CNode_Delete(a, slot ^ 2, 2));
        delete(e, a);
        revoke(e, memory);
        EXPECT(is_free(e, memory, 13));
    }
}

/* A chain: each CNode's last capability lies in the one before it. What lies deeper than in the CNode that is deleted goes
 * with the memory, not at once: deleting a capability takes no more work than its own object has slots. */
static void chain_of_cnodes(struct env *e, seL4_Word position)
{
    enum { LENGTH = 300 };
    seL4_CPtr memory = new_untyped(e, 17), first = object_of(e, memory, seL4_CapTableObject, 2), last = new_slot(e);
    seL4_CPtr node = new_slot(e), end = new_untyped(e, 12), near = new_untyped(e, 12);

    EXPECT_OK(copy(ROOT, last, ROOT_DEPTH, first));
    for (unsigned i = 0; i < LENGTH; i++) {
        EXPECT_OK(seL4_Untyped_Retype(memory, seL4_CapTableObject, 2, ROOT, 0, 0, node, 1));
        EXPECT_OK(copy(last, position, 2, node));
        delete(e, last);
        EXPECT_OK(seL4_CNode_Move(ROOT, last, ROOT_DEPTH, ROOT, node, ROOT_DEPTH));
    }
    EXPECT_OK(seL4_Untyped_Retype(end, seL4_X86_4K, 0, last, 0, 0, (position + 1) & 3, 1));
    EXPECT_OK(seL4_Untyped_Retype(near, seL4_X86_4K, 0, first, 0, 0, (position + 1) & 3, 1));
    delete(e, last);
    EXPECT(!is_free(e, end, 12));
    delete(e, first);
    EXPECT(is_free(e, near, 12));
    EXPECT(!is_free(e, memory, 17));
    revoke(e, memory);
    EXPECT(is_free(e, end, 12));
    EXPECT(is_free(e, memory, 17));
}

TEST(chain_of_cnodes_in_first_slots_is_deleted_from_its_head)
{
    chain_of_cnodes(e, 0);
}

TEST(chain_of_cnodes_in_middle_slots_is_deleted_from_its_head)
{
    chain_of_cnodes(e, 1);
}

TEST(chain_of_cnodes_in_last_slots_is_deleted_from_its_head)
{
    chain_of_cnodes(e, 3);
}

TEST(revoke_reaches_into_cnodes_of_cnodes)
{
    seL4_CPtr memory = new_untyped(e, 12), frame = object_of(e, memory, seL4_X86_4K, 0);
    seL4_CPtr outer = new_object(e, seL4_CapTableObject, 3), middle = new_object(e, seL4_CapTableObject, 3);
    seL4_CPtr inner = new_object(e, seL4_CapTableObject, 3);

    EXPECT_OK(copy(outer, 1, 3, middle));
    EXPECT_OK(copy(middle, 2, 3, inner));
    for (unsigned i = 0; i < 8; i++)
        EXPECT_OK(copy(inner, i, 3, frame));
    EXPECT_OK(copy(outer, 7, 3, frame));
    EXPECT_EQ(copy(outer, 1u << 6 | 2u << 3 | 5, 9, frame), seL4_DeleteFirst);
    delete(e, frame);
    revoke(e, memory);
    EXPECT_EQ(seL4_CNode_Copy(ROOT, new_slot(e), ROOT_DEPTH, outer, 1u << 6 | 2u << 3 | 5, 9, seL4_AllRights),
              seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability);
    EXPECT_OK(copy(outer, 1u << 6 | 2u << 3 | 5, 9, memory));
    revoke(e, memory);
    EXPECT(is_free(e, memory, 12));
}

TEST(derivation_survives_moving_and_rotating)
{
    seL4_CPtr memory = new_untyped(e, 14), part = object_of(e, memory, seL4_UntypedObject, 13);
    seL4_CPtr child = object_of(e, part, seL4_UntypedObject, 12), grandchild = object_of(e, child, seL4_X86_4K, 0);
    seL4_CPtr a = new_slot(e), b = new_slot(e), c = new_slot(e), other = new_object(e, seL4_TCBObject, 0);

    EXPECT_OK(seL4_CNode_Move(ROOT, a, ROOT_DEPTH, ROOT, part, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Mutate(ROOT, b, ROOT_DEPTH, ROOT, child, ROOT_DEPTH, 0));
    /* A, which has PART, to C, and OTHER to A. */
    EXPECT_OK(seL4_CNode_Rotate(ROOT, c, ROOT_DEPTH, 0, ROOT, a, ROOT_DEPTH, 0, ROOT, other, ROOT_DEPTH));
    EXPECT(slot_is_empty(other) && !slot_is_empty(c) && !slot_is_empty(a));
    /* B, which has CHILD, and GRANDCHILD, neighbours in the list, change places. */
    EXPECT_OK(seL4_CNode_Rotate(ROOT, b, ROOT_DEPTH, 0, ROOT, grandchild, ROOT_DEPTH, 0, ROOT, b, ROOT_DEPTH));
    EXPECT_EQ(seL4_X86_Page_GetAddress(b).error, seL4_NoError);
    revoke(e, b);
    EXPECT(!slot_is_empty(grandchild));
    revoke(e, grandchild);
    EXPECT(slot_is_empty(b) && !slot_is_empty(grandchild));
    revoke(e, c);
    EXPECT(slot_is_empty(grandchild) && !slot_is_empty(c) && !slot_is_empty(a));
    revoke(e, memory);
    EXPECT(slot_is_empty(c) && !slot_is_empty(a));
}

TEST(rotate_refuses_what_is_no_rotation)
{
    seL4_CPtr a = new_object(e, seL4_TCBObject, 0), b = new_object(e, seL4_TCBObject, 0), free = new_slot(e);
    seL4_CPtr empty = new_slot(e), endpoint = new_object(e, seL4_EndpointObject, 0);

#define ROTATE(to, pivot, from) \
    seL4_CNode_Rotate(ROOT, to, ROOT_DEPTH, 0, ROOT, pivot, ROOT_DEPTH, 0, ROOT, from, ROOT_DEPTH)
    EXPECT_EQ(ROTATE(free, a, a), seL4_IllegalOperation);
    EXPECT_EQ(ROTATE(a, a, b), seL4_IllegalOperation);
    EXPECT_EQ(ROTATE(a, b, free), seL4_DeleteFirst);
    EXPECT_EQ(ROTATE(b, free, a), seL4_DeleteFirst);
    EXPECT_EQ(ROTATE(free, a, empty), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability);
    EXPECT_EQ(seL4_GetMR(2), 64);
    EXPECT_EQ(ROTATE(free, empty, a), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability);
    EXPECT_EQ(ROTATE(1ul << 20, a, b), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(ROTATE(free, 1ul << 20, b), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(ROTATE(free, a, 1ul << 20), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(ROTATE(free, a, endpoint), seL4_IllegalOperation); /* its badge cannot be set in place */
    EXPECT_EQ(ROTATE(free, endpoint, a), seL4_IllegalOperation);
    EXPECT_OK(ROTATE(free, a, b));
    EXPECT(slot_is_empty(b) && !slot_is_empty(free) && !slot_is_empty(a));
}

TEST(thread_that_is_deleted_lets_go_of_its_spaces)
{
    seL4_CPtr memory = new_untyped(e, 16), node = object_of(e, memory, seL4_CapTableObject, 4);
    seL4_CPtr frame = object_of(e, memory, seL4_X86_4K, 0), root = object_of(e, memory, seL4_X64_PML4Object, 0);
    seL4_CPtr tcb = new_object(e, seL4_TCBObject, 0), inside = new_untyped(e, 12);

    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    EXPECT_OK(seL4_Untyped_Retype(inside, seL4_X86_4K, 0, node, 0, 0, 11, 1));
    EXPECT_OK(seL4_TCB_Configure(tcb, 0, node, 0, root, 0, WINDOW, frame));
    delete(e, root);
    delete(e, frame);
    EXPECT(!is_free(e, memory, 16));
    delete(e, tcb);
    EXPECT(!is_free(e, memory, 16));
    EXPECT(!is_free(e, inside, 12));
    delete(e, node);
    EXPECT(is_free(e, memory, 16));
    EXPECT(is_free(e, inside, 12));
}

TEST(thread_that_has_the_last_capability_to_its_cnode_leaves_it_to_the_memory)
{
    seL4_CPtr memory = new_untyped(e, 12), node = object_of(e, memory, seL4_CapTableObject, 4);
    seL4_CPtr tcb = new_object(e, seL4_TCBObject, 0), inside = new_untyped(e, 12);

    EXPECT_OK(seL4_Untyped_Retype(inside, seL4_X86_4K, 0, node, 0, 0, 11, 1));
    EXPECT_OK(seL4_TCB_SetSpace(tcb, 0, node, 0, seL4_CapInitThreadVSpace, 0));
    delete(e, node);
    delete(e, tcb);
    EXPECT(!is_free(e, memory, 12));
    revoke(e, memory);
    EXPECT(is_free(e, memory, 12));
    EXPECT(is_free(e, inside, 12));
}

static void delete_own_cnode(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    t->result[0] = 1;
    seL4_CNode_Delete(argument, argument, 4);
    t->result[0] = 2;
}

TEST(thread_can_delete_its_own_cspace)
{
    seL4_CPtr memory = new_untyped(e, 12), node = object_of(e, memory, seL4_CapTableObject, 4), guarded = new_slot(e);
    struct thread *t = new_thread(e, 0);

    /* A guard of zeros, so that slot 3 is 3 with 64 bits; there lies the CNode itself without one. */
    EXPECT_OK(copy(node, 3, 4, node));
    EXPECT_OK(seL4_CNode_Mint(ROOT, guarded, ROOT_DEPTH, ROOT, node, ROOT_DEPTH, seL4_AllRights,
                              seL4_CNode_CapData_new(0, 60).words[0]));
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, guarded, 0, seL4_CapInitThreadVSpace, 0));
    delete(e, guarded);
    delete(e, node);
    start(t, delete_own_cnode, 3, ABOVE_ROOT);
    EXPECT(t->result[0] == 2);
    delete(e, t->tcb);
    revoke(e, memory);
    EXPECT(is_free(e, memory, 12));
}

static void revoke_and_count(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    t->result[0] = seL4_CNode_Revoke(ROOT, argument, ROOT_DEPTH);
    t->result[1]++;
}

TEST(revoke_goes_on_where_interrupts_stopped_it)
{
    seL4_CPtr memory = new_untyped(e, 22), endpoint = object_of(e, memory, seL4_EndpointObject, 0);
    seL4_CPtr node = object_of(e, memory, seL4_CapTableObject, 15);
    struct thread *t = new_thread(e, 0);

    for (seL4_Word i = 0; i < 1u << 15; i++)
        EXPECT_OK(copy(node, i, 15, endpoint));
    t->result[0] = 99;
    t->result[1] = 0;
    start(t, revoke_and_count, memory, ABOVE_ROOT);
    EXPECT_EQ(t->result[1], 1);
    EXPECT_OK(t->result[0]);
    EXPECT(slot_is_empty(endpoint) && slot_is_empty(node));
    EXPECT(is_free(e, memory, 22));
}

TEST(irq_and_port_capabilities_cannot_be_copied_and_masters_are_above_what_they_issue)
{
    seL4_CPtr slot = new_slot(e), port = new_slot(e), second = new_slot(e);

    EXPECT_EQ(copy(ROOT, slot, ROOT_DEPTH, seL4_CapIRQControl), seL4_IllegalOperation);
    EXPECT_EQ(copy(ROOT, slot, ROOT_DEPTH, seL4_CapIOPortControl), seL4_IllegalOperation);
    EXPECT_OK(copy(ROOT, slot, ROOT_DEPTH, seL4_CapASIDControl));
    EXPECT_OK(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, 0x2e0, 0x2e7, ROOT, port, ROOT_DEPTH));
    EXPECT_OK(copy(ROOT, second, ROOT_DEPTH, port));
    revoke(e, port);
    EXPECT(slot_is_empty(second));
    EXPECT_OK(copy(ROOT, second, ROOT_DEPTH, port));
    delete(e, port);
    EXPECT_EQ(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, 0x2e0, 0x2e7, ROOT, port, ROOT_DEPTH), seL4_RevokeFirst);
    delete(e, second);
    EXPECT_OK(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, 0x2e0, 0x2e7, ROOT, port, ROOT_DEPTH));
    delete(e, port);
}

TEST(copies_are_made_by_calls_that_are_complete_and_right)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0), slot = new_slot(e), node = new_object(e, seL4_CapTableObject, 2);

    seL4_SetCap(0, ROOT);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeCopy, 1, 3, SEL4_WORDS(slot, 64, endpoint, 64)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeCopy, 0, 5, SEL4_WORDS(slot, 64, endpoint, 64)), seL4_TruncatedMessage);
    seL4_SetCap(0, ROOT);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeCopy, 1, 4, SEL4_WORDS(slot, 64, endpoint, 64)), seL4_TruncatedMessage);
    seL4_SetCap(0, ROOT);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeMint, 1, 5, SEL4_WORDS(slot, 64, endpoint, 64)), seL4_TruncatedMessage);
    seL4_SetCap(0, ROOT);
    EXPECT_EQ(sel4_invoke(ROOT, CNodeMutate, 1, 4, SEL4_WORDS(slot, 64, endpoint, 64)), seL4_TruncatedMessage);
    EXPECT_EQ(copy(ROOT, endpoint, ROOT_DEPTH, slot), seL4_DeleteFirst);
    EXPECT_EQ(copy(ROOT, slot, ROOT_DEPTH, slot), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability);
    EXPECT_EQ(seL4_GetMR(2), 64);
    EXPECT_EQ(seL4_CNode_Move(ROOT, endpoint, ROOT_DEPTH, ROOT, endpoint, ROOT_DEPTH), seL4_DeleteFirst);

    /* A guard that leaves no room for the CNode's own bits. */
    EXPECT_EQ(seL4_CNode_Mint(ROOT, slot, ROOT_DEPTH, ROOT, node, ROOT_DEPTH, seL4_AllRights,
                              seL4_CNode_CapData_new(0, 63).words[0]), seL4_IllegalOperation);
    EXPECT_OK(seL4_CNode_Mint(ROOT, slot, ROOT_DEPTH, ROOT, node, ROOT_DEPTH, seL4_AllRights,
                              seL4_CNode_CapData_new(0, 62).words[0]));
}
