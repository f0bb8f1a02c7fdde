/* Where a capability pointer leads: guards, several levels, depths that do not fit. */
#include "tests/kernel/harness.h"

/* A CNode of 2^RADIX slots behind a guard. */
static seL4_CPtr new_cnode(struct env *e, seL4_Word radix, seL4_Word guard, seL4_Word guard_bits)
{
    seL4_CPtr raw = new_object(e, seL4_CapTableObject, radix);
    seL4_CPtr cnode = new_slot(e);

    EXPECT_OK(seL4_CNode_Mutate(ROOT, cnode, ROOT_DEPTH, ROOT, raw, ROOT_DEPTH,
                                seL4_CNode_CapData_new(guard, guard_bits).words[0]));
    return cnode;
}

TEST(lookup_of_an_empty_slot_in_call_fails_with_invalid_capability)
{
    EXPECT_EQ(seL4_TCB_Suspend(new_slot(e)), seL4_InvalidCapability);
    EXPECT_EQ(seL4_GetMR(0), 0);
}

TEST(pointer_beyond_the_root_cnode_fails_by_its_guard)
{
    EXPECT_EQ(seL4_CNode_Delete(ROOT, (seL4_Word)1 << 40, ROOT_DEPTH), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_GuardMismatch);
    EXPECT_EQ(seL4_GetMR(2), 64);
    EXPECT_EQ(seL4_GetMR(3), 0);
    EXPECT_EQ(seL4_GetMR(4), 48);
}

TEST(slots_of_a_second_level_are_named_by_guard_and_index)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_CPtr leaf = new_cnode(e, 4, 0x5a, 8);
    seL4_CPtr top = new_cnode(e, 2, 0, 0);

    EXPECT_OK(seL4_CNode_Copy(top, 1, 2, ROOT, leaf, ROOT_DEPTH, seL4_AllRights));
    /* 2 bits of TOP, 8 of guard, 4 of LEAF */
    seL4_Word path = 1u << 12 | 0x5au << 4 | 3;
    EXPECT_OK(seL4_CNode_Copy(top, path, 14, ROOT, endpoint, ROOT_DEPTH, seL4_AllRights));
    EXPECT_EQ(seL4_CNode_Copy(top, path, 14, ROOT, endpoint, ROOT_DEPTH, seL4_AllRights), seL4_DeleteFirst);
    EXPECT_OK(seL4_CNode_Delete(leaf, 0x5a3, 12));
    EXPECT_OK(seL4_CNode_Copy(top, path, 14, ROOT, endpoint, ROOT_DEPTH, seL4_AllRights));
}

TEST(wrong_guard_is_a_guard_mismatch)
{
    seL4_CPtr cnode = new_cnode(e, 4, 0x5a, 8);

    EXPECT_EQ(seL4_CNode_Delete(cnode, 0x5b3, 12), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_GetMR(1), seL4_GuardMismatch);
    EXPECT_EQ(seL4_GetMR(2), 12);
    EXPECT_EQ(seL4_GetMR(3), 0x5a);
    EXPECT_EQ(seL4_GetMR(4), 8);
}

TEST(depth_shorter_than_the_guard_is_a_guard_mismatch)
{
    seL4_CPtr cnode = new_cnode(e, 4, 0x5a, 8);

    EXPECT_EQ(seL4_CNode_Delete(cnode, 0x5, 7), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_GuardMismatch);
    EXPECT_EQ(seL4_GetMR(2), 7);
}

TEST(depth_that_ends_inside_a_level_is_a_depth_mismatch)
{
    seL4_CPtr cnode = new_cnode(e, 4, 0, 2);

    EXPECT_EQ(seL4_CNode_Delete(cnode, 0, 5), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_DepthMismatch);
    EXPECT_EQ(seL4_GetMR(2), 5);
    EXPECT_EQ(seL4_GetMR(3), 6);
}

TEST(depth_that_goes_on_behind_a_leaf_is_a_depth_mismatch)
{
    seL4_CPtr cnode = new_cnode(e, 4, 0, 0);
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_OK(seL4_CNode_Copy(cnode, 3, 4, ROOT, endpoint, ROOT_DEPTH, seL4_AllRights));
    EXPECT_EQ(seL4_CNode_Delete(cnode, 3u << 5, 9), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_DepthMismatch);
    EXPECT_EQ(seL4_GetMR(2), 5);
    EXPECT_EQ(seL4_GetMR(3), 0);
}

TEST(empty_slot_on_the_way_is_a_missing_capability)
{
    seL4_CPtr cnode = new_cnode(e, 4, 0, 0);

    EXPECT_EQ(seL4_CNode_Copy(ROOT, new_slot(e), ROOT_DEPTH, cnode, 2u << 5, 9, seL4_AllRights), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 1);
}

TEST(depth_of_0_or_beyond_a_word_is_out_of_range)
{
    EXPECT_EQ(seL4_CNode_Delete(ROOT, 0, 0), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_GetMR(1), seL4_WordBits);
    EXPECT_EQ(seL4_CNode_Delete(ROOT, 0, 65), seL4_RangeError);
    EXPECT_EQ(seL4_CNode_Delete(ROOT, 0, 255), seL4_RangeError);
}

TEST(cnode_invoked_by_something_else_is_refused)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_CPtr slot = new_slot(e);

    EXPECT_EQ(seL4_CNode_Copy(ROOT, slot, ROOT_DEPTH, endpoint, 0, ROOT_DEPTH, seL4_AllRights), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_GetMR(1), seL4_InvalidRoot);
    EXPECT_EQ(seL4_CNode_Copy(ROOT, slot, ROOT_DEPTH, ROOT, 0x10000000, 64, seL4_AllRights), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 1);
    EXPECT_EQ(seL4_GetMR(1), seL4_GuardMismatch);
}

static void invoke_by_own_pointer(struct env *e, struct thread *t, seL4_Word pointer)
{
    (void)e;
    t->result[0] = seL4_TCB_SetPriority(pointer, pointer, 1);
}

TEST(thread_with_two_levels_reaches_its_capabilities_by_64_bit_pointers)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr leaf = new_cnode(e, 6, 0, 26);
    seL4_CPtr top = new_cnode(e, 4, 0x1234567, 28);
    seL4_Word pointer = (seL4_Word)0x1234567 << 36 | (seL4_Word)9 << 32 | 17;

    EXPECT_OK(seL4_CNode_Copy(top, 0x12345679, 32, ROOT, leaf, ROOT_DEPTH, seL4_AllRights));
    EXPECT_OK(seL4_CNode_Copy(leaf, 17, 32, ROOT, t->tcb, ROOT_DEPTH, seL4_AllRights));
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, top, 0, seL4_CapInitThreadVSpace, 0));
    t->result[0] = 99;
    start(t, invoke_by_own_pointer, pointer, ABOVE_ROOT);
    /* It has put itself below us before it could store the result. */
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, ABOVE_ROOT));
    EXPECT_EQ(t->result[0], seL4_NoError);
}
