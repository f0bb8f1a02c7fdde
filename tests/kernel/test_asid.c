/* ASID pools: how many there are, what they take, and what their end means. */
#include "tests/kernel/spaces.h"

#define ATTRIBUTES seL4_X86_Default_VMAttributes
#define CONTROL    seL4_CapASIDControl
#define POOLS      8u
#define POOL_SIZE  512u
#define PAGE       (1ul << seL4_PageBits)

static seL4_CPtr new_pool(struct env *e)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(seL4_X86_ASIDControl_MakePool(CONTROL, new_untyped(e, seL4_ASIDPoolBits), ROOT, slot, ROOT_DEPTH));
    return slot;
}

TEST(asid_is_assigned_once)
{
    seL4_CPtr pool = new_pool(e), root = new_object(e, seL4_X64_PML4Object, 0);

    EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, root));
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(pool, root), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(pool, copy_of(e, root, seL4_AllRights)), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(pool, seL4_CapInitThreadVSpace), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(pool, pool), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(pool, new_object(e, seL4_X86_PDPTObject, 0)), seL4_InvalidCapability, 1);
    EXPECT_EQ(sel4_invoke(pool, X86ASIDPoolAssign, 0, 0, SEL4_WORDS(0)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(pool, X86ASIDControlMakePool, 0, 0, SEL4_WORDS(0)), seL4_IllegalOperation);
}

TEST(asid_pool_is_made_of_an_untyped_of_its_size_that_is_unused)
{
    seL4_CPtr slot = new_slot(e), used = new_untyped(e, seL4_ASIDPoolBits), child = new_slot(e);
    seL4_CPtr device = device_untyped(e, seL4_ASIDPoolBits), device_page = new_slot(e);

    EXPECT(device);
    EXPECT_OK(seL4_Untyped_Retype(device, seL4_UntypedObject, seL4_ASIDPoolBits, ROOT, 0, 0, device_page, 1));
    EXPECT_NUMBERED(seL4_X86_ASIDControl_MakePool(CONTROL, device_page, ROOT, slot, ROOT_DEPTH), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDControl_MakePool(CONTROL, new_untyped(e, seL4_ASIDPoolBits + 1), ROOT, slot, ROOT_DEPTH),
                    seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDControl_MakePool(CONTROL, new_untyped(e, seL4_ASIDPoolBits - 1), ROOT, slot, ROOT_DEPTH),
                    seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_ASIDControl_MakePool(CONTROL, new_object(e, seL4_X86_4K, 0), ROOT, slot, ROOT_DEPTH),
                    seL4_InvalidCapability, 1);
    EXPECT_OK(seL4_Untyped_Retype(used, seL4_EndpointObject, 0, ROOT, 0, 0, child, 1));
    EXPECT_EQ(seL4_X86_ASIDControl_MakePool(CONTROL, used, ROOT, slot, ROOT_DEPTH), seL4_RevokeFirst);
    EXPECT_OK(seL4_CNode_Delete(ROOT, child, ROOT_DEPTH));
    EXPECT_OK(seL4_X86_ASIDControl_MakePool(CONTROL, used, ROOT, slot, ROOT_DEPTH));

    /* Now it is used up, until the pool is gone. */
    EXPECT_NUMBERED(seL4_Untyped_Retype(used, seL4_EndpointObject, 0, ROOT, 0, 0, child, 1), seL4_NotEnoughMemory, 0);
    EXPECT_OK(seL4_CNode_Revoke(ROOT, used, ROOT_DEPTH));
    EXPECT(slot_is_empty(slot));
    EXPECT_OK(seL4_Untyped_Retype(used, seL4_EndpointObject, 0, ROOT, 0, 0, child, 1));
}

TEST(asid_pool_goes_into_an_empty_slot_that_is_named_right)
{
    seL4_CPtr memory = new_untyped(e, seL4_ASIDPoolBits), taken = new_object(e, seL4_EndpointObject, 0);

    EXPECT_EQ(seL4_X86_ASIDControl_MakePool(CONTROL, memory, ROOT, taken, ROOT_DEPTH), seL4_DeleteFirst);
    EXPECT_EQ(seL4_X86_ASIDControl_MakePool(CONTROL, memory, taken, 0, ROOT_DEPTH), seL4_FailedLookup);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_GetMR(1), seL4_InvalidRoot);
    EXPECT_RANGE(seL4_X86_ASIDControl_MakePool(CONTROL, memory, ROOT, new_slot(e), 0), 1, seL4_WordBits);
    EXPECT_EQ(seL4_X86_ASIDControl_MakePool(CONTROL, memory, ROOT, 0, 3), seL4_FailedLookup);
    seL4_SetCap(0, memory);
    seL4_SetCap(1, ROOT);
    EXPECT_EQ(sel4_invoke(CONTROL, X86ASIDControlMakePool, 1, 2, SEL4_WORDS(new_slot(e), 64)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(CONTROL, X86ASIDControlMakePool, 2, 1, SEL4_WORDS(new_slot(e))), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(CONTROL, X86ASIDPoolAssign, 2, 2, SEL4_WORDS(new_slot(e), 64)), seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_ASIDControl_MakePool(CONTROL, memory, ROOT, new_slot(e), ROOT_DEPTH));
}

TEST(asid_pools_are_eight_with_that_of_the_boot)
{
    seL4_CPtr memory = new_untyped(e, seL4_ASIDPoolBits), slot = new_slot(e), pools[POOLS - 1];

    for (unsigned i = 0; i < POOLS - 1; i++)
        pools[i] = new_pool(e);
    EXPECT_EQ(seL4_X86_ASIDControl_MakePool(CONTROL, memory, ROOT, slot, ROOT_DEPTH), seL4_DeleteFirst);
    /* This comes before anything that is wrong with the memory. */
    EXPECT_EQ(seL4_X86_ASIDControl_MakePool(CONTROL, slot, ROOT, slot, ROOT_DEPTH), seL4_DeleteFirst);
    EXPECT_EQ(seL4_X86_ASIDControl_MakePool(CONTROL, ROOT, ROOT, slot, ROOT_DEPTH), seL4_DeleteFirst);
    EXPECT_OK(seL4_CNode_Delete(ROOT, pools[3], ROOT_DEPTH));
    EXPECT_OK(seL4_X86_ASIDControl_MakePool(CONTROL, memory, ROOT, slot, ROOT_DEPTH));
    EXPECT_OK(seL4_X86_ASIDPool_Assign(slot, new_object(e, seL4_X64_PML4Object, 0)));
}

TEST(asid_pool_has_512_places_each_of_them_free_again_after_its_root)
{
    seL4_CPtr pool = new_pool(e), first = new_slots(e, POOL_SIZE + 1), last = first + POOL_SIZE;

    for (unsigned i = 0; i <= POOL_SIZE; i += 171)
        EXPECT_OK(seL4_Untyped_Retype(e->untyped, seL4_X64_PML4Object, 0, ROOT, 0, 0, first + i, 171));
    for (unsigned i = 0; i < POOL_SIZE; i++)
        EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, first + i));
    EXPECT_EQ(seL4_X86_ASIDPool_Assign(pool, last), seL4_DeleteFirst);
    EXPECT_OK(seL4_CNode_Delete(ROOT, first + 300, ROOT_DEPTH));
    EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, last));
    EXPECT_OK(seL4_X86_PDPT_Map(new_object(e, seL4_X86_PDPTObject, 0), last, WINDOW, ATTRIBUTES));
}

TEST(asid_pool_of_the_boot_never_gives_out_asid_0_or_that_of_the_root_task)
{
    seL4_CPtr first = new_slots(e, POOL_SIZE);
    unsigned assigned = 0;

    for (unsigned i = 0; i < POOL_SIZE; i += 256)
        EXPECT_OK(seL4_Untyped_Retype(e->untyped, seL4_X64_PML4Object, 0, ROOT, 0, 0, first + i, 256));
    while (seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, first + assigned) == seL4_NoError)
        assigned++;
    EXPECT_EQ(assigned, POOL_SIZE - 2);
    map_new_page(e, WINDOW, seL4_AllRights);
    *(volatile seL4_Word *)WINDOW = 1;
}

static void count_up(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e, (void)argument;
    for (;;) {
        t->result[0]++;
        seL4_Yield();
    }
}

TEST(address_spaces_of_a_deleted_pool_are_out_of_use_and_can_be_taken_apart)
{
    seL4_CPtr pool = new_pool(e), root = new_object(e, seL4_X64_PML4Object, 0), frame = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr pdpt = new_object(e, seL4_X86_PDPTObject, 0), endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_CPtr directory = new_object(e, seL4_X86_PageDirectoryObject, 0);
    seL4_CPtr table = new_object(e, seL4_X86_PageTableObject, 0), other = new_vspace(e);
    struct thread *t = new_thread(e, endpoint);
    seL4_Word badge;

    EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, root));
    map_image(e, root);
    EXPECT_OK(seL4_X86_PDPT_Map(pdpt, root, WINDOW, ATTRIBUTES));
    EXPECT_OK(seL4_X86_PageDirectory_Map(directory, root, WINDOW, ATTRIBUTES));
    EXPECT_OK(seL4_X86_PageTable_Map(table, root, WINDOW, ATTRIBUTES));
    EXPECT_OK(seL4_X86_Page_Map(frame, root, WINDOW, seL4_AllRights, ATTRIBUTES));
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, endpoint, ROOT, 0, root, 0));
    start(t, count_up, 0, ROOT_PRIORITY);
    seL4_Yield();
    seL4_Word count = t->result[0];
    EXPECT(count > 0);
    EXPECT_OK(seL4_CNode_Delete(ROOT, pool, ROOT_DEPTH));

    EXPECT_EQ(seL4_MessageInfo_get_label(seL4_Recv(endpoint, &badge)), seL4_Fault_VMFault);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_PrefetchFault), 1);
    EXPECT_EQ(t->result[0], count);
    EXPECT_INVALID_ROOT(seL4_X86_PDPT_Map(new_object(e, seL4_X86_PDPTObject, 0), root, 2 * WINDOW, ATTRIBUTES));
    EXPECT_INVALID_ROOT(seL4_X86_Page_Map(frame, root, WINDOW, seL4_CanRead, ATTRIBUTES));
    EXPECT_INVALID_ROOT(seL4_X86_Page_Map(new_object(e, seL4_X86_4K, 0), root, WINDOW + PAGE + 1, seL4_AllRights, ATTRIBUTES));
    EXPECT_NUMBERED(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root), seL4_InvalidCapability, 1);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(seL4_X86_PDPT_Unmap(pdpt));
    EXPECT_OK(seL4_X86_PageTable_Unmap(table));
    EXPECT_OK(seL4_X86_PageDirectory_Unmap(directory));
    EXPECT_OK(seL4_X86_PDPT_Map(pdpt, other, WINDOW, ATTRIBUTES));
    EXPECT_MISSING_TABLE(seL4_X86_Page_Map(frame, other, WINDOW, seL4_AllRights, ATTRIBUTES), 30);
}

TEST(asid_that_is_used_again_does_not_give_old_capabilities_a_hold_on_the_new_address_space)
{
    seL4_CPtr pool = new_pool(e), before = new_object(e, seL4_X64_PML4Object, 0);
    seL4_CPtr after = new_object(e, seL4_X64_PML4Object, 0), frame = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr pdpt = new_object(e, seL4_X86_PDPTObject, 0), endpoint = new_object(e, seL4_EndpointObject, 0);
    struct prober prober = { .thread = new_thread(e, endpoint), .endpoint = endpoint };

    EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, before));
    EXPECT_OK(seL4_X86_PDPT_Map(pdpt, before, WINDOW, ATTRIBUTES));
    seL4_CPtr directory = new_object(e, seL4_X86_PageDirectoryObject, 0);
    EXPECT_OK(seL4_X86_PageDirectory_Map(directory, before, WINDOW, ATTRIBUTES));
    EXPECT_OK(seL4_X86_PageTable_Map(new_object(e, seL4_X86_PageTableObject, 0), before, WINDOW, ATTRIBUTES));
    EXPECT_OK(seL4_X86_Page_Map(frame, before, WINDOW, seL4_AllRights, ATTRIBUTES));

    /* The new pool is at the place of the old one, and AFTER gets the ASID that BEFORE believes to have. */
    EXPECT_OK(seL4_CNode_Delete(ROOT, pool, ROOT_DEPTH));
    pool = new_pool(e);
    EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, after));
    map_image(e, after);
    map_structures(e, after, WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(new_object(e, seL4_X86_4K, 0), after, WINDOW, seL4_AllRights, ATTRIBUTES));
    EXPECT_OK(seL4_TCB_SetSpace(prober.thread->tcb, endpoint, ROOT, 0, after, 0));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));

    EXPECT_NUMBERED(seL4_X86_PDPT_Map(new_object(e, seL4_X86_PDPTObject, 0), before, 2 * WINDOW, ATTRIBUTES),
                    seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(seL4_X86_Page_Map(frame, before, WINDOW, seL4_AllRights, ATTRIBUTES), seL4_InvalidCapability, 1);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(seL4_X86_PDPT_Unmap(pdpt));
    EXPECT_OK(seL4_CNode_Delete(ROOT, directory, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, before, ROOT_DEPTH));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW));
    EXPECT_EQ(prober.value, WINDOW);
}
