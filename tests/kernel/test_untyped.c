/* Untyped memory: what it can become, where that lies, and when it is free again. */
#include "tests/kernel/spaces.h"

#define PAGE (1ul << seL4_PageBits)

/* One object into a new slot; the error. */
static seL4_Error retype(struct env *e, seL4_CPtr memory, seL4_Word type, seL4_Word size_bits)
{
    return seL4_Untyped_Retype(memory, type, size_bits, ROOT, 0, 0, new_slot(e), 1);
}

static seL4_Word address_of(struct env *e, seL4_CPtr frame)
{
    seL4_X86_Page_GetAddress_t answer = seL4_X86_Page_GetAddress(frame);

    EXPECT_EQ(answer.error, seL4_NoError);
    return answer.paddr;
}

/* A frame out of MEMORY. */
static seL4_CPtr frame_of(struct env *e, seL4_CPtr memory)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, slot, 1));
    return slot;
}

static const struct {
    seL4_Word type, size_argument, bits;
    bool needs_vtx;
} kinds[] = {
    { seL4_UntypedObject, 4, 4, false },
    { seL4_UntypedObject, 16, 16, false },
    { seL4_TCBObject, 0, seL4_TCBBits, false },
    { seL4_EndpointObject, 0, seL4_EndpointBits, false },
    { seL4_NotificationObject, 0, seL4_NotificationBits, false },
    { seL4_CapTableObject, 1, 1 + seL4_SlotBits, false },
    { seL4_CapTableObject, 8, 8 + seL4_SlotBits, false },
    { seL4_X86_PDPTObject, 0, 12, false },
    { seL4_X64_PML4Object, 0, 12, false },
    { seL4_X86_4K, 0, 12, false },
    { seL4_X86_LargePageObject, 0, 21, false },
    { seL4_X86_PageTableObject, 0, 12, false },
    { seL4_X86_PageDirectoryObject, 0, 12, false },
    { seL4_X86_IOPageTableObject, 0, 12, false },
    { seL4_X86_VCPUObject, 0, seL4_X86_VCPUBits, true },
    { seL4_X86_EPTPML4Object, 0, 12, true },
    { seL4_X86_EPTPDPTObject, 0, 12, true },
    { seL4_X86_EPTPDObject, 0, 12, true },
    { seL4_X86_EPTPTObject, 0, 12, true },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

TEST(retype_makes_every_kind_of_object_of_exactly_its_size)
{
    for (unsigned i = 0; i < KINDS; i++) {
        if (kinds[i].needs_vtx && !e->has_vcpu)
            continue;
        seL4_CPtr memory = new_untyped(e, kinds[i].bits), slot = new_slot(e);

        EXPECT_OK(seL4_Untyped_Retype(memory, kinds[i].type, kinds[i].size_argument, ROOT, 0, 0, slot, 1));
        EXPECT(!slot_is_empty(slot));
        EXPECT_NUMBERED(retype(e, memory, seL4_UntypedObject, 4), seL4_NotEnoughMemory, 0);
        EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
        EXPECT_OK(seL4_Untyped_Retype(memory, kinds[i].type, kinds[i].size_argument, ROOT, 0, 0, slot, 1));
        EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
        EXPECT(slot_is_empty(slot));
        if (kinds[i].bits > 4) {
            seL4_CPtr small = new_untyped(e, kinds[i].bits - 1);
            EXPECT_NUMBERED(retype(e, small, kinds[i].type, kinds[i].size_argument), seL4_NotEnoughMemory,
                            1ul << (kinds[i].bits - 1));
        }
    }
}

TEST(retype_makes_many_objects_side_by_side)
{
    seL4_CPtr memory = new_untyped(e, 21), first = new_slots(e, 256);

    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, first, 256));
    seL4_Word start = address_of(e, first);
    for (unsigned i = 0; i < 256; i++)
        EXPECT_EQ(address_of(e, first + i), start + i * PAGE);
    EXPECT_EQ(start & ((1ul << 21) - 1), 0);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, new_slots(e, 255), 255));
    EXPECT_NUMBERED(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, new_slots(e, 2), 2), seL4_NotEnoughMemory,
                    PAGE);
    EXPECT_EQ(address_of(e, frame_of(e, memory)), start + 511 * PAGE);
}

TEST(retype_aligns_each_object_to_its_size)
{
    seL4_CPtr memory = new_untyped(e, 16);
    seL4_Word start = address_of(e, frame_of(e, memory));

    EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
    EXPECT_OK(retype(e, memory, seL4_EndpointObject, 0));
    EXPECT_EQ(address_of(e, frame_of(e, memory)), start + PAGE);
    EXPECT_OK(retype(e, memory, seL4_CapTableObject, 1));
    EXPECT_EQ(address_of(e, frame_of(e, memory)), start + 3 * PAGE);
    EXPECT_OK(retype(e, memory, seL4_UntypedObject, 13));
    EXPECT_EQ(address_of(e, frame_of(e, memory)), start + 6 * PAGE);
    EXPECT_OK(retype(e, memory, seL4_UntypedObject, 15));
    EXPECT_NUMBERED(retype(e, memory, seL4_UntypedObject, 4), seL4_NotEnoughMemory, 0);
}

TEST(retype_tells_how_much_memory_is_left_behind_the_watermark)
{
    seL4_CPtr memory = new_untyped(e, 14);

    EXPECT_NUMBERED(retype(e, memory, seL4_UntypedObject, 15), seL4_NotEnoughMemory, 4 * PAGE);
    EXPECT_OK(retype(e, memory, seL4_EndpointObject, 0));
    EXPECT_NUMBERED(retype(e, memory, seL4_UntypedObject, 14), seL4_NotEnoughMemory, 4 * PAGE - 16);
    EXPECT_OK(retype(e, memory, seL4_X86_4K, 0));
    EXPECT_NUMBERED(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, new_slots(e, 3), 3), seL4_NotEnoughMemory,
                    2 * PAGE);
    EXPECT_OK(retype(e, memory, seL4_UntypedObject, 13));
    EXPECT_NUMBERED(retype(e, memory, seL4_EndpointObject, 0), seL4_NotEnoughMemory, 0);
}

TEST(memory_is_free_again_with_the_last_object_and_not_before)
{
    seL4_CPtr memory = new_untyped(e, 14), first = new_slots(e, 4);

    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, first, 4));
    seL4_Word start = address_of(e, first);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_OK(seL4_CNode_Delete(ROOT, first + i, ROOT_DEPTH));
        EXPECT_NUMBERED(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, first, 1), seL4_NotEnoughMemory, 0);
    }
    seL4_CPtr copy = copy_of(e, first + 3, seL4_AllRights);
    EXPECT_OK(seL4_CNode_Delete(ROOT, first + 3, ROOT_DEPTH));
    EXPECT_NUMBERED(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, first, 1), seL4_NotEnoughMemory, 0);
    EXPECT_OK(seL4_CNode_Delete(ROOT, copy, ROOT_DEPTH));
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, first, 1));
    EXPECT_EQ(address_of(e, first), start);
}

TEST(memory_comes_back_zeroed_whatever_was_in_it)
{
    seL4_CPtr memory = new_untyped(e, seL4_LargePageBits), frame = new_slot(e), slot = new_slot(e);
    volatile seL4_Word *words = (volatile seL4_Word *)WINDOW;

    map_structures(e, seL4_CapInitThreadVSpace, WINDOW, seL4_LargePageBits);
    for (unsigned round = 0; round < 3; round++) {
        EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_LargePageObject, 0, ROOT, 0, 0, frame, 1));
        EXPECT_OK(seL4_X86_Page_Map(frame, seL4_CapInitThreadVSpace, WINDOW, seL4_AllRights, seL4_X86_Default_VMAttributes));
        for (seL4_Word i = 0; i < (1ul << seL4_LargePageBits) / 8; i += 64) {
            EXPECT_EQ(words[i + round], 0);
            EXPECT_EQ(words[i + 63], 0);
            words[i + round] = ~i;
            words[i + 63] = i;
        }
        EXPECT_EQ(words[(1ul << seL4_LargePageBits) / 8 - 2], 0);
        words[(1ul << seL4_LargePageBits) / 8 - 2] = 1;
        EXPECT_OK(seL4_CNode_Delete(ROOT, frame, ROOT_DEPTH));
        /* Other objects leave their marks as well. */
        EXPECT_OK(seL4_Untyped_Retype(memory, seL4_CapTableObject, 16, ROOT, 0, 0, slot, 1));
        for (seL4_Word i = 0; i < 1u << 16; i += 1021)
            EXPECT_OK(seL4_CNode_Copy(slot, i, 16, ROOT, seL4_CapInitThreadTCB, ROOT_DEPTH, seL4_AllRights));
        EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
    }
}

TEST(retype_puts_capabilities_into_any_cnode_that_is_named)
{
    seL4_CPtr node = new_object(e, seL4_CapTableObject, 4), inner = new_object(e, seL4_CapTableObject, 3);

    /* Depth 0: the given CNode itself; otherwise the one that index and depth lead to. */
    EXPECT_OK(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, node, 12345, 0, 15, 1));
    EXPECT_OK(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, ROOT, inner, ROOT_DEPTH, 0, 8));
    EXPECT_OK(seL4_CNode_Copy(node, 2, 4, ROOT, inner, ROOT_DEPTH, seL4_AllRights));
    EXPECT_EQ(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, node, 2, 4, 7, 1), seL4_DeleteFirst);
    EXPECT_OK(seL4_CNode_Delete(node, 2u << 3 | 7, 7));
    EXPECT_OK(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, node, 2, 4, 7, 1));

    /* Not a CNode, nothing at all, or not reached. */
    EXPECT_EQ(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, node, 15, 4, 0, 1), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability);
    EXPECT_EQ(seL4_GetMR(2), 4);
    EXPECT_EQ(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, ROOT, new_slot(e), ROOT_DEPTH, 0, 1),
              seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability);
    EXPECT_EQ(seL4_GetMR(2), 64);
    EXPECT_EQ(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, e->untyped, 0, 0, 0, 1), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability);
    EXPECT_EQ(seL4_GetMR(2), 0);
    EXPECT_EQ(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, node, 15, 3, 0, 1), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_DepthMismatch);
    EXPECT_EQ(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, e->untyped, 0, 5, 0, 1), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(1), seL4_InvalidRoot);
    EXPECT_RANGE(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, ROOT, 0, 65, 0, 1), 1, seL4_WordBits);
    EXPECT_RANGE(seL4_Untyped_Retype(e->untyped, seL4_EndpointObject, 0, ROOT, 0, ~0ul, 0, 1), 1, seL4_WordBits);
}

TEST(retype_checks_the_window_of_slots)
{
    seL4_CPtr node = new_object(e, seL4_CapTableObject, 4), memory = new_untyped(e, 16);

    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 16, 1), 0, 15);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, ~0ul, 1), 0, 15);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 0, 0), 1, 256);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 0, 257), 1, 256);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 0, ~0ul), 1, 256);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 0, 17), 1, 16);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 15, 2), 1, 1);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 15, 1));

    /* One slot that is taken spoils it all. */
    EXPECT_EQ(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 0, 16), seL4_DeleteFirst);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 0, 15));
}

TEST(retype_refuses_types_and_sizes_that_are_not)
{
    seL4_CPtr memory = new_untyped(e, 16);

    EXPECT_NUMBERED(retype(e, memory, seL4_ObjectTypeCount, 0), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(retype(e, memory, ~0ul, 0), seL4_InvalidArgument, 0);
    EXPECT_RANGE(retype(e, memory, seL4_UntypedObject, 64), 0, seL4_MaxUntypedBits);
    EXPECT_RANGE(retype(e, memory, seL4_UntypedObject, 48), 0, seL4_MaxUntypedBits);
    EXPECT_RANGE(retype(e, memory, seL4_UntypedObject, ~0ul), 0, seL4_MaxUntypedBits);
    EXPECT_RANGE(retype(e, memory, seL4_CapTableObject, 43), 0, seL4_MaxUntypedBits);
    EXPECT_RANGE(retype(e, memory, seL4_EndpointObject, 64), 0, seL4_MaxUntypedBits);
    EXPECT_NUMBERED(retype(e, memory, seL4_UntypedObject, 47), seL4_NotEnoughMemory, 1ul << 16);
    EXPECT_NUMBERED(retype(e, memory, seL4_CapTableObject, 0), seL4_InvalidArgument, 1);
    EXPECT_NUMBERED(retype(e, memory, seL4_UntypedObject, 3), seL4_InvalidArgument, 1);
    EXPECT_NUMBERED(retype(e, memory, seL4_UntypedObject, 0), seL4_InvalidArgument, 1);
    EXPECT_OK(retype(e, memory, seL4_EndpointObject, 63)); /* a size that no one asks for */
}

TEST(untyped_knows_one_invocation_with_all_arguments)
{
    seL4_CPtr memory = new_untyped(e, 12);

    seL4_SetCap(0, ROOT);
    seL4_SetMR(4, new_slot(e));
    seL4_SetMR(5, 1);
    EXPECT_EQ(sel4_invoke(memory, UntypedRetype, 1, 5, SEL4_WORDS(seL4_EndpointObject, 0, 0, 0)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(memory, UntypedRetype, 0, 6, SEL4_WORDS(seL4_EndpointObject, 0, 0, 0)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(memory, CNodeDelete, 1, 6, SEL4_WORDS(seL4_EndpointObject, 0, 0, 0)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(memory, 0, 1, 6, SEL4_WORDS(seL4_EndpointObject, 0, 0, 0)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(memory, 0xfffff, 1, 6, SEL4_WORDS(seL4_EndpointObject, 0, 0, 0)), seL4_IllegalOperation);
}

TEST(retype_tells_the_first_of_several_mistakes)
{
    seL4_CPtr memory = new_untyped(e, 12), node = new_object(e, seL4_CapTableObject, 1);
    seL4_CPtr device = device_untyped(e, 12);

    EXPECT_NUMBERED(seL4_Untyped_Retype(memory, 99, 99, memory, 0, 99, 99, 0), seL4_InvalidArgument, 0);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_UntypedObject, 99, memory, 0, 99, 99, 0), 0, seL4_MaxUntypedBits);
    EXPECT_NUMBERED(seL4_Untyped_Retype(memory, seL4_UntypedObject, 1, memory, 0, 0, 99, 0), seL4_InvalidArgument, 1);
    EXPECT_EQ(seL4_Untyped_Retype(memory, seL4_UntypedObject, 30, memory, 0, 0, 99, 0), seL4_FailedLookup);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_UntypedObject, 30, node, 0, 0, 2, 0), 0, 1);
    EXPECT_RANGE(seL4_Untyped_Retype(memory, seL4_UntypedObject, 30, node, 0, 0, 1, 0), 1, 256);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, node, 0, 0, 1, 1));
    EXPECT_EQ(seL4_Untyped_Retype(memory, seL4_UntypedObject, 30, node, 0, 0, 1, 1), seL4_DeleteFirst);
    EXPECT(device);
    EXPECT_EQ(seL4_Untyped_Retype(device, seL4_CapTableObject, 42, node, 0, 0, 0, 1), seL4_NotEnoughMemory);
}

TEST(device_memory_becomes_frames_and_smaller_device_memory_alone)
{
    seL4_CPtr device = device_untyped(e, 13), part = new_slot(e), frame = new_slot(e);

    EXPECT(device);
    for (unsigned i = 0; i < KINDS; i++) {
        bool frames = kinds[i].type == seL4_X86_4K || kinds[i].type == seL4_X86_LargePageObject;

        if (frames || kinds[i].type == seL4_UntypedObject || kinds[i].bits > 13 || (kinds[i].needs_vtx && !e->has_vcpu))
            continue;
        EXPECT_NUMBERED(retype(e, device, kinds[i].type, kinds[i].size_argument), seL4_InvalidArgument, 1);
    }
    EXPECT_OK(seL4_Untyped_Retype(device, seL4_UntypedObject, 12, ROOT, 0, 0, part, 1));
    EXPECT_NUMBERED(retype(e, part, seL4_EndpointObject, 0), seL4_InvalidArgument, 1);
    EXPECT_NUMBERED(retype(e, part, seL4_TCBObject, 0), seL4_InvalidArgument, 1);
    EXPECT_OK(seL4_Untyped_Retype(part, seL4_X86_4K, 0, ROOT, 0, 0, frame, 1));
    seL4_Word address = address_of(e, frame);
    EXPECT_NUMBERED(retype(e, part, seL4_X86_4K, 0), seL4_NotEnoughMemory, 0);
    EXPECT_OK(seL4_CNode_Revoke(ROOT, part, ROOT_DEPTH));
    EXPECT_OK(seL4_Untyped_Retype(part, seL4_X86_4K, 0, ROOT, 0, 0, frame, 1));
    EXPECT_EQ(address_of(e, frame), address);
    EXPECT_OK(seL4_CNode_Revoke(ROOT, device, ROOT_DEPTH));
    EXPECT(slot_is_empty(part));
    EXPECT(slot_is_empty(frame));
}

TEST(untyped_is_copied_only_without_children_and_hands_its_memory_to_the_copy)
{
    seL4_CPtr memory = new_untyped(e, 12), copy = new_slot(e), second = new_slot(e), slot = new_slot(e);

    EXPECT_OK(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, memory, ROOT_DEPTH, seL4_AllRights));
    EXPECT_NUMBERED(retype(e, memory, seL4_EndpointObject, 0), seL4_NotEnoughMemory, 0);
    EXPECT_EQ(seL4_CNode_Copy(ROOT, second, ROOT_DEPTH, ROOT, memory, ROOT_DEPTH, seL4_AllRights), seL4_RevokeFirst);
    EXPECT_OK(seL4_Untyped_Retype(copy, seL4_X86_4K, 0, ROOT, 0, 0, slot, 1));
    EXPECT_EQ(seL4_CNode_Copy(ROOT, second, ROOT_DEPTH, ROOT, copy, ROOT_DEPTH, seL4_AllRights), seL4_RevokeFirst);
    EXPECT_EQ(seL4_CNode_Mint(ROOT, second, ROOT_DEPTH, ROOT, copy, ROOT_DEPTH, seL4_NoRights, 7), seL4_RevokeFirst);
    EXPECT_OK(seL4_CNode_Move(ROOT, second, ROOT_DEPTH, ROOT, copy, ROOT_DEPTH));

    /* The copy is a child of the first, and is taken away with what it has made. */
    EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
    EXPECT(slot_is_empty(second));
    EXPECT(slot_is_empty(slot));
    EXPECT_OK(retype(e, memory, seL4_X86_4K, 0));
}

TEST(untyped_of_an_untyped_of_an_untyped_keeps_its_place)
{
    seL4_CPtr outer = new_untyped(e, 16), slots = new_slots(e, 8), inner = outer;
    seL4_Word start = address_of(e, frame_of(e, outer));

    EXPECT_OK(seL4_CNode_Revoke(ROOT, outer, ROOT_DEPTH));
    for (unsigned bits = 15; bits >= 13; bits--) {
        /* The upper half of each. */
        EXPECT_OK(seL4_Untyped_Retype(inner, seL4_UntypedObject, bits, ROOT, 0, 0, slots, 2));
        inner = slots + 1;
        slots += 2;
    }
    EXPECT_EQ(address_of(e, frame_of(e, inner)), start + 0xe000);
    EXPECT_NUMBERED(retype(e, outer, seL4_EndpointObject, 0), seL4_NotEnoughMemory, 0);
    EXPECT_OK(seL4_CNode_Revoke(ROOT, outer, ROOT_DEPTH));
    EXPECT(slot_is_empty(inner));
    EXPECT_EQ(address_of(e, frame_of(e, outer)), start);
}

TEST(many_virtual_cpus_out_of_one_untyped_do_not_harm_each_other)
{
    seL4_CPtr first = new_slots(e, 8), memory = new_untyped(e, seL4_X86_VCPUBits + 3);

    if (!e->has_vtx)
        skip(e, "no VT-x");
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_VCPUObject, 0, ROOT, 0, 0, first, 8));
    for (unsigned i = 0; i < 8; i++)
        EXPECT_EQ(seL4_X86_VCPU_WriteVMCS(first + i, 0x681e, 0x1000 + i).error, seL4_NoError); /* guest RIP */
    for (unsigned i = 0; i < 8; i++) {
        seL4_X86_VCPU_ReadVMCS_t answer = seL4_X86_VCPU_ReadVMCS(first + i, 0x681e);
        EXPECT_EQ(answer.error, seL4_NoError);
        EXPECT_EQ(answer.value, 0x1000 + i);
    }
    EXPECT_NUMBERED(retype(e, memory, seL4_X86_VCPUObject, 0), seL4_NotEnoughMemory, 0);
}
