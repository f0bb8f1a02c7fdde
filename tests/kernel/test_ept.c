/* Second-level structures. What a guest sees of them is with the VCPU's cases. */
#include "tests/kernel/spaces.h"

#define ATTRIBUTES seL4_X86_EPT_Default_VMAttributes
#define PAGE       (1ul << seL4_PageBits)
#define LARGE      (1ul << seL4_LargePageBits)
#define GUEST      0x8000000000ul /* a guest-physical address that has no other slot than 0 in common with address 0 */

static const struct {
    seL4_Word object, map, unmap;
} structures[] = {
    { seL4_X86_EPTPDPTObject, X86EPTPDPTMap, X86EPTPDPTUnmap },
    { seL4_X86_EPTPDObject, X86EPTPDMap, X86EPTPDUnmap },
    { seL4_X86_EPTPTObject, X86EPTPTMap, X86EPTPTUnmap },
};
#define STRUCTURES 3

static void need_vtx(struct env *e)
{
    if (!e->has_vcpu)
        skip(e, "no hardware virtualization");
}

static seL4_CPtr new_root(struct env *e)
{
    need_vtx(e);
    seL4_CPtr root = new_object(e, seL4_X86_EPTPML4Object, 0);
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    return root;
}

static seL4_Error map(unsigned kind, seL4_CPtr table, seL4_CPtr root, seL4_Word address)
{
    seL4_SetCap(0, root);
    return sel4_invoke(table, structures[kind].map, 1, 2, SEL4_WORDS(address, ATTRIBUTES));
}

static seL4_Error unmap(unsigned kind, seL4_CPtr table)
{
    return sel4_invoke(table, structures[kind].unmap, 0, 0, SEL4_WORDS(0));
}

static seL4_Error map_page(seL4_CPtr frame, seL4_CPtr root, seL4_Word address)
{
    return seL4_X86_Page_MapEPT(frame, root, address, seL4_AllRights, ATTRIBUTES);
}

/* Structures down to KINDS of them. */
static void map_all(struct env *e, seL4_CPtr root, seL4_Word address, unsigned kinds)
{
    for (unsigned kind = 0; kind < kinds; kind++)
        EXPECT_OK(map(kind, new_object(e, structures[kind].object, 0), root, address));
}

TEST(ept_objects_cannot_be_made_without_hardware_virtualization)
{
    if (e->has_vcpu)
        skip(e, "there is hardware virtualization");
    for (seL4_Word type = seL4_X86_VCPUObject; type <= seL4_X86_EPTPTObject; type++)
        EXPECT_EQ(seL4_Untyped_Retype(e->untyped, type, 0, ROOT, 0, 0, new_slot(e), 1), seL4_IllegalOperation);
}

TEST(ept_structure_that_is_missing_is_told_by_the_bits_left)
{
    seL4_CPtr root = new_root(e), frame = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr large = new_object(e, seL4_X86_LargePageObject, 0);
    static const unsigned bits[] = { 39, 30, 21 };

    for (unsigned done = 0; done < STRUCTURES; done++) {
        for (unsigned kind = done + 1; kind < STRUCTURES; kind++)
            EXPECT_MISSING_TABLE(map(kind, new_object(e, structures[kind].object, 0), root, GUEST), bits[done]);
        EXPECT_MISSING_TABLE(map_page(frame, root, GUEST), bits[done]);
        if (done < 2)
            EXPECT_MISSING_TABLE(map_page(large, root, GUEST), bits[done]);
        EXPECT_OK(map(done, new_object(e, structures[done].object, 0), root, GUEST + 0x1234));
    }
    EXPECT_EQ(map_page(large, root, GUEST), seL4_DeleteFirst);
    EXPECT_OK(map_page(frame, root, GUEST));
}

TEST(ept_structure_is_mapped_once_and_each_place_takes_one)
{
    seL4_CPtr root = new_root(e);

    map_all(e, root, 0, STRUCTURES);
    for (unsigned kind = 0; kind < STRUCTURES; kind++)
        EXPECT_EQ(map(kind, new_object(e, structures[kind].object, 0), root, 0x555), seL4_DeleteFirst);
    seL4_CPtr pdpt = new_object(e, structures[0].object, 0);
    EXPECT_OK(map(0, pdpt, root, GUEST));
    EXPECT_NUMBERED(map(0, pdpt, root, 2 * GUEST), seL4_InvalidCapability, 0);
    EXPECT_NUMBERED(map(0, pdpt, pdpt, 2 * GUEST), seL4_InvalidCapability, 0);
    seL4_CPtr large = new_object(e, seL4_X86_LargePageObject, 0);
    EXPECT_OK(map_page(large, root, LARGE));
    EXPECT_EQ(map(2, new_object(e, structures[2].object, 0), root, LARGE), seL4_DeleteFirst);
}

TEST(ept_wants_a_second_level_root_that_has_an_asid)
{
    need_vtx(e);
    seL4_CPtr root = new_object(e, seL4_X86_EPTPML4Object, 0), vspace = new_vspace(e);
    seL4_CPtr frame = new_object(e, seL4_X86_4K, 0);

    /* As upstream tells it. */
    EXPECT_INVALID_ROOT(map(0, new_object(e, structures[0].object, 0), root, 0));
    EXPECT_INVALID_ROOT(map(1, new_object(e, structures[1].object, 0), root, 0));
    EXPECT_NUMBERED(map(2, new_object(e, structures[2].object, 0), root, 0), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(map_page(frame, root, 0), seL4_InvalidCapability, 1);
    for (unsigned kind = 0; kind < STRUCTURES; kind++)
        EXPECT_NUMBERED(map(kind, new_object(e, structures[kind].object, 0), vspace, 0), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(map_page(frame, vspace, 0), seL4_InvalidCapability, 1);

    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_Page_Map(frame, root, WINDOW, seL4_AllRights, seL4_X86_Default_VMAttributes),
                    seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_PDPT_Map(new_object(e, seL4_X86_PDPTObject, 0), root, WINDOW, seL4_X86_Default_VMAttributes),
                    seL4_InvalidCapability, 1);
    map_all(e, root, 0, STRUCTURES);
    EXPECT_OK(map_page(frame, root, 0));
}

TEST(ept_frame_is_4_kib_or_2_mib_and_aligned)
{
    seL4_CPtr root = new_root(e), frame = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr large = new_object(e, seL4_X86_LargePageObject, 0);
    seL4_CPtr memory = device_untyped(e, seL4_HugePageBits), huge = new_slot(e);

    map_all(e, root, 0, STRUCTURES);
    EXPECT_EQ(map_page(large, root, LARGE + PAGE), seL4_AlignmentError);
    EXPECT_OK(map_page(large, root, LARGE + 0x123)); /* bits within a page do not count */
    EXPECT_OK(map_page(frame, root, 0xfff));
    EXPECT_MISSING_TABLE(map_page(new_object(e, seL4_X86_4K, 0), root, LARGE + PAGE), 21);
    EXPECT_EQ(map_page(new_object(e, seL4_X86_4K, 0), root, 0), seL4_DeleteFirst);
    EXPECT_EQ(map_page(new_object(e, seL4_X86_LargePageObject, 0), root, LARGE), seL4_DeleteFirst);
    EXPECT_EQ(map_page(new_object(e, seL4_X86_LargePageObject, 0), root, 0), seL4_DeleteFirst);
    if (memory) {
        EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X64_HugePageObject, 0, ROOT, 0, 0, huge, 1));
        EXPECT_NUMBERED(map_page(huge, root, 0), seL4_InvalidCapability, 0);
        EXPECT_EQ(map_page(huge, root, LARGE), seL4_AlignmentError);
    }
}

TEST(ept_frame_is_mapped_in_one_place_of_one_kind)
{
    seL4_CPtr root = new_root(e), other = new_root(e), frame = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr copy = copy_of(e, frame, seL4_AllRights), vspace = seL4_CapInitThreadVSpace;

    map_all(e, root, 0, STRUCTURES);
    map_all(e, other, 0, STRUCTURES);
    map_structures(e, vspace, WINDOW, seL4_PageBits);
    EXPECT_OK(map_page(frame, root, 0));
    EXPECT_NUMBERED(map_page(frame, root, 0), seL4_InvalidCapability, 0);
    EXPECT_NUMBERED(map_page(frame, other, 0), seL4_InvalidCapability, 0);
    EXPECT_NUMBERED(map_page(frame, frame, 1), seL4_InvalidCapability, 0);
    EXPECT_NUMBERED(seL4_X86_Page_Map(frame, vspace, WINDOW, seL4_AllRights, seL4_X86_Default_VMAttributes),
                    seL4_InvalidCapability, 1);
    EXPECT_OK(seL4_X86_Page_Map(copy, vspace, WINDOW, seL4_AllRights, seL4_X86_Default_VMAttributes));
    EXPECT_NUMBERED(map_page(copy, root, PAGE), seL4_InvalidCapability, 0);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(seL4_X86_Page_Unmap(copy));
    EXPECT_OK(map_page(copy, root, 0));
    EXPECT_OK(map_page(frame, other, 0));
}

TEST(ept_place_is_free_after_its_page_or_table_is_unmapped_or_deleted)
{
    seL4_CPtr root = new_root(e), frame = new_object(e, seL4_X86_4K, 0), large = new_object(e, seL4_X86_LargePageObject, 0);
    seL4_CPtr table = new_object(e, seL4_X86_EPTPTObject, 0), copy = new_slot(e);

    map_all(e, root, 0, 2);
    EXPECT_OK(map(2, table, root, 0));
    EXPECT_OK(map_page(frame, root, PAGE));
    EXPECT_OK(map_page(large, root, LARGE));
    EXPECT_OK(seL4_CNode_Delete(ROOT, frame, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, large, ROOT_DEPTH));
    frame = new_object(e, seL4_X86_4K, 0);
    large = new_object(e, seL4_X86_LargePageObject, 0);
    EXPECT_OK(map_page(frame, root, PAGE));
    EXPECT_OK(map_page(large, root, LARGE));

    EXPECT_OK(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, table, ROOT_DEPTH, seL4_AllRights));
    EXPECT_EQ(unmap(2, table), seL4_RevokeFirst);
    EXPECT_OK(seL4_CNode_Delete(ROOT, copy, ROOT_DEPTH));
    EXPECT_MISSING_TABLE(map_page(new_object(e, seL4_X86_4K, 0), root, LARGE), 21);
    EXPECT_OK(unmap(2, table));
    EXPECT_MISSING_TABLE(map_page(new_object(e, seL4_X86_4K, 0), root, 2 * PAGE), 21);
    EXPECT_OK(unmap(2, table));
    EXPECT_OK(map(2, table, root, 0));
    EXPECT_OK(map_page(new_object(e, seL4_X86_4K, 0), root, PAGE)); /* it was emptied */

    /* What was there before has no hold on what is there now. */
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_EQ(map_page(frame, root, PAGE), seL4_DeleteFirst);
    EXPECT_OK(map_page(frame, root, 2 * PAGE));
    EXPECT_OK(unmap(2, table));
    EXPECT_OK(map(2, table, root, 2 * LARGE));
    EXPECT_NUMBERED(map_page(frame, root, 0), seL4_InvalidCapability, 0);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(map_page(frame, root, 2 * LARGE));
}

TEST(ept_structures_of_every_level_can_be_deleted_while_they_are_mapped)
{
    seL4_CPtr root = new_root(e);
    static const unsigned bits[] = { 39, 30, 21 };

    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_CPtr table[STRUCTURES], frame = new_object(e, seL4_X86_4K, 0);

        for (unsigned i = 0; i < STRUCTURES; i++) {
            table[i] = new_object(e, structures[i].object, 0);
            EXPECT_OK(map(i, table[i], root, GUEST));
        }
        EXPECT_OK(map_page(frame, root, GUEST));
        EXPECT_OK(seL4_CNode_Delete(ROOT, table[kind], ROOT_DEPTH));
        EXPECT_MISSING_TABLE(map_page(new_object(e, seL4_X86_4K, 0), root, GUEST), bits[kind]);
        EXPECT_OK(seL4_X86_Page_Unmap(frame));
        for (unsigned i = 0; i < STRUCTURES; i++)
            EXPECT_OK(seL4_CNode_Delete(ROOT, table[i], ROOT_DEPTH));
    }
}

TEST(ept_structure_knows_its_own_invocations_with_all_arguments)
{
    seL4_CPtr root = new_root(e);

    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_CPtr table = new_object(e, structures[kind].object, 0), copy = new_slot(e);

        EXPECT_EQ(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, table, ROOT_DEPTH, seL4_AllRights),
                  seL4_IllegalOperation);
        seL4_SetCap(0, root);
        EXPECT_EQ(sel4_invoke(table, structures[kind].map, 1, 1, SEL4_WORDS(0)), seL4_TruncatedMessage);
        EXPECT_EQ(sel4_invoke(table, structures[kind].map, 0, 2, SEL4_WORDS(0, 0)), seL4_TruncatedMessage);
        EXPECT_EQ(sel4_invoke(table, structures[(kind + 1) % 3].map, 1, 2, SEL4_WORDS(0, 0)), seL4_IllegalOperation);
        EXPECT_EQ(sel4_invoke(table, X86PageTableMap, 1, 2, SEL4_WORDS(0, 0)), seL4_IllegalOperation);
        EXPECT_EQ(sel4_invoke(table, 0, 0, 0, SEL4_WORDS(0)), seL4_IllegalOperation);
    }
    seL4_CPtr bare = new_object(e, seL4_X86_EPTPML4Object, 0), copy = new_slot(e);
    EXPECT_EQ(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, bare, ROOT_DEPTH, seL4_AllRights), seL4_IllegalOperation);
    EXPECT_OK(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, root, ROOT_DEPTH, seL4_AllRights));
}

TEST(ept_calls_that_stop_a_debug_build_of_upstream_are_refused)
{
    seL4_CPtr root = new_root(e), frame = new_object(e, seL4_X86_4K, 0);

    if (!e->is_ours)
        skip(e, "upstream asserts");
    EXPECT_EQ(sel4_invoke(root, X86EPTPDPTMap, 0, 2, SEL4_WORDS(0, 0)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(root, 0, 0, 0, SEL4_WORDS(0)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(frame, X86PageMapEPT, 0, 3, SEL4_WORDS(0, 3, 6)), seL4_TruncatedMessage);
    seL4_SetCap(0, root);
    EXPECT_EQ(sel4_invoke(frame, X86PageMapEPT, 1, 2, SEL4_WORDS(0, 3)), seL4_TruncatedMessage);
}

TEST(ept_roots_of_a_deleted_pool_are_out_of_use)
{
    need_vtx(e);
    seL4_CPtr pool = new_slot(e), root = new_object(e, seL4_X86_EPTPML4Object, 0), frame = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr table = new_object(e, seL4_X86_EPTPTObject, 0), other = new_root(e);

    EXPECT_OK(seL4_X86_ASIDControl_MakePool(seL4_CapASIDControl, new_untyped(e, seL4_ASIDPoolBits), ROOT, pool, ROOT_DEPTH));
    EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, root));
    map_all(e, root, 0, 2);
    EXPECT_OK(map(2, table, root, 0));
    EXPECT_OK(map_page(frame, root, 0));
    EXPECT_OK(seL4_CNode_Delete(ROOT, pool, ROOT_DEPTH));
    EXPECT_INVALID_ROOT(map_page(new_object(e, seL4_X86_4K, 0), root, PAGE));
    EXPECT_INVALID_ROOT(map(0, new_object(e, seL4_X86_EPTPDPTObject, 0), root, GUEST));
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(unmap(2, table));
    map_all(e, other, 0, 2);
    EXPECT_OK(map(2, table, other, 0));
    EXPECT_OK(map_page(frame, other, 0));
    EXPECT_OK(seL4_CNode_Delete(ROOT, root, ROOT_DEPTH));

    /* A root that is deleted itself. */
    EXPECT_OK(seL4_CNode_Delete(ROOT, other, ROOT_DEPTH));
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(unmap(2, table));
}

TEST(ept_reaches_to_the_end_of_guest_physical_addresses)
{
    seL4_CPtr root = new_root(e), frame = new_object(e, seL4_X86_4K, 0);
    seL4_Word last = (1ul << (e->is_ours ? 48 : 47)) - PAGE; /* a debug build of upstream asserts beyond */

    map_all(e, root, last, STRUCTURES);
    EXPECT_OK(map_page(frame, root, last));
    EXPECT_EQ(map_page(new_object(e, seL4_X86_4K, 0), root, last), seL4_DeleteFirst);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(map_page(new_object(e, seL4_X86_4K, 0), root, last));
    EXPECT_EQ(map(0, new_object(e, seL4_X86_EPTPDPTObject, 0), root, last), seL4_DeleteFirst);
}
