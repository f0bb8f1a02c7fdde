/* Paging structures and the roots of address spaces. */
#include "tests/kernel/spaces.h"

#define ATTRIBUTES seL4_X86_Default_VMAttributes
#define VSPACE     seL4_CapInitThreadVSpace
#define LARGE      (1ul << seL4_LargePageBits)
#define HUGE       (1ul << seL4_HugePageBits)
#define UPPER_HALF 0xffff800000000000ul
#define KERNEL     0xfffffe8000000000ul /* where beaml4's kernel has its window */

static const struct {
    seL4_Word object, map, unmap;
} structures[] = {
    { seL4_X86_PDPTObject, X86PDPTMap, X86PDPTUnmap },
    { seL4_X86_PageDirectoryObject, X86PageDirectoryMap, X86PageDirectoryUnmap },
    { seL4_X86_PageTableObject, X86PageTableMap, X86PageTableUnmap },
};
#define STRUCTURES 3

static seL4_Error map(unsigned kind, seL4_CPtr table, seL4_CPtr vspace, seL4_Word address)
{
    seL4_SetCap(0, vspace);
    return sel4_invoke(table, structures[kind].map, 1, 2, SEL4_WORDS(address, ATTRIBUTES));
}

static seL4_Error unmap(unsigned kind, seL4_CPtr table)
{
    return sel4_invoke(table, structures[kind].unmap, 0, 0, SEL4_WORDS(0));
}

TEST(structure_that_is_missing_on_the_way_is_told_by_the_bits_left)
{
    seL4_CPtr frame = new_object(e, seL4_X86_4K, 0), pdpt = new_object(e, seL4_X86_PDPTObject, 0);
    seL4_CPtr directory = new_object(e, seL4_X86_PageDirectoryObject, 0);
    seL4_CPtr table = new_object(e, seL4_X86_PageTableObject, 0);

    EXPECT_MISSING_TABLE(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES), 39);
    EXPECT_MISSING_TABLE(seL4_X86_PageTable_Map(table, VSPACE, WINDOW, ATTRIBUTES), 39);
    EXPECT_MISSING_TABLE(seL4_X86_PageDirectory_Map(directory, VSPACE, WINDOW, ATTRIBUTES), 39);
    EXPECT_OK(seL4_X86_PDPT_Map(pdpt, VSPACE, WINDOW, ATTRIBUTES));
    EXPECT_MISSING_TABLE(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES), 30);
    EXPECT_MISSING_TABLE(seL4_X86_PageTable_Map(table, VSPACE, WINDOW, ATTRIBUTES), 30);
    EXPECT_OK(seL4_X86_PageDirectory_Map(directory, VSPACE, WINDOW, ATTRIBUTES));
    EXPECT_MISSING_TABLE(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES), 21);
    EXPECT_OK(seL4_X86_PageTable_Map(table, VSPACE, WINDOW, ATTRIBUTES));
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES));
    *(volatile seL4_Word *)WINDOW = 7;
    EXPECT_EQ(*(volatile seL4_Word *)WINDOW, 7);
}

TEST(structure_is_mapped_once_and_each_place_takes_one)
{
    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_CPtr table = new_object(e, structures[kind].object, 0);

        EXPECT_EQ(map(kind, table, VSPACE, WINDOW), seL4_DeleteFirst);
        EXPECT_EQ(map(kind, table, VSPACE, WINDOW + 0x1234), seL4_DeleteFirst);
    }
    seL4_CPtr pdpt = new_object(e, seL4_X86_PDPTObject, 0);
    EXPECT_OK(map(0, pdpt, VSPACE, 2 * WINDOW));
    EXPECT_NUMBERED(map(0, pdpt, VSPACE, 3 * WINDOW), seL4_InvalidCapability, 0);
    EXPECT_NUMBERED(map(0, pdpt, VSPACE, 2 * WINDOW), seL4_InvalidCapability, 0);
    /* Even with arguments that are wrong in other ways. */
    EXPECT_NUMBERED(map(0, pdpt, pdpt, UPPER_HALF), seL4_InvalidCapability, 0);
}

TEST(structure_that_is_unmapped_is_empty_and_can_be_mapped_elsewhere)
{
    seL4_CPtr table = new_object(e, seL4_X86_PageTableObject, 0), frame = new_object(e, seL4_X86_4K, 0);
    struct prober prober = new_prober(e);

    map_structures(e, VSPACE, WINDOW, seL4_LargePageBits);
    EXPECT_OK(map(2, table, VSPACE, WINDOW));
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));
    EXPECT_OK(unmap(2, table));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW));
    EXPECT_EQ(prober.fault_address, WINDOW);
    EXPECT_OK(unmap(2, table)); /* which does nothing */
    EXPECT_OK(map(2, table, VSPACE, WINDOW + LARGE));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + LARGE));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW));

    /* The frame still believes to be where it was. */
    EXPECT_NUMBERED(seL4_X86_Page_Map(frame, VSPACE, WINDOW + LARGE, seL4_AllRights, ATTRIBUTES),
                    seL4_InvalidArgument, 0);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW + LARGE, seL4_AllRights, ATTRIBUTES));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW + LARGE));
    EXPECT_EQ(prober.value, WINDOW);
}

TEST(deleting_a_structure_at_any_level_takes_away_what_it_mapped)
{
    struct prober prober = new_prober(e);

    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_Word address = WINDOW + kind * (1ul << 39);
        seL4_CPtr table[STRUCTURES], frame = new_object(e, seL4_X86_4K, 0);

        for (unsigned i = 0; i < STRUCTURES; i++) {
            table[i] = new_object(e, structures[i].object, 0);
            EXPECT_OK(map(i, table[i], VSPACE, address));
        }
        EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, address, seL4_AllRights, ATTRIBUTES));
        EXPECT(can(e, &prober, PROBE_WRITE, address));
        EXPECT_OK(seL4_CNode_Delete(ROOT, table[kind], ROOT_DEPTH));
        EXPECT(!can(e, &prober, PROBE_READ, address));
        EXPECT_EQ(prober.fault_status, FAULT_USER);

        /* Others can take its place, and see none of what was there. */
        seL4_CPtr other = new_object(e, structures[kind].object, 0);
        EXPECT_OK(map(kind, other, VSPACE, address));
        EXPECT(!can(e, &prober, PROBE_READ, address));
        EXPECT_EQ(prober.fault_status, FAULT_USER);
        for (unsigned i = 0; i < STRUCTURES; i++)
            EXPECT_OK(seL4_CNode_Delete(ROOT, table[i], ROOT_DEPTH));
        EXPECT(!can(e, &prober, PROBE_READ, address));
    }
}

TEST(memory_of_a_deleted_page_table_is_not_a_page_table_any_more)
{
    seL4_CPtr memory = new_untyped(e, seL4_PageBits), slot = new_slot(e), frame = new_object(e, seL4_X86_4K, 0);
    struct prober prober = new_prober(e);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    map_structures(e, VSPACE, 2 * WINDOW, seL4_LargePageBits);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_PageTableObject, 0, ROOT, 0, 0, slot, 1));
    EXPECT_OK(map(2, slot, VSPACE, 2 * WINDOW));
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, 2 * WINDOW, seL4_AllRights, ATTRIBUTES));
    EXPECT(can(e, &prober, PROBE_WRITE, 2 * WINDOW));
    EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));

    /* It becomes a page that we fill with what would be entries. */
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, slot, 1));
    EXPECT_OK(seL4_X86_Page_Map(slot, VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES));
    volatile seL4_Word *words = (volatile seL4_Word *)WINDOW;
    seL4_Word physical = seL4_X86_Page_GetAddress(frame).paddr;
    for (unsigned i = 0; i < 512; i++) {
        EXPECT_EQ(words[i], 0);
        words[i] = physical | 7;
    }
    EXPECT(!can(e, &prober, PROBE_READ, 2 * WINDOW));
    EXPECT(!can(e, &prober, PROBE_READ, 2 * WINDOW + 0x5000));
}

TEST(structures_are_for_the_lower_half_alone)
{
    static const seL4_Word beyond[] = {
        UPPER_HALF, 1ul << 47, KERNEL, KERNEL + 0x40200000, 0xffffffff80000000, 0xffffffffffffffff,
        0x0000fe8000000000, 0x8000000000000000,
    };

    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_CPtr table = new_object(e, structures[kind].object, 0);

        for (unsigned i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
            EXPECT_NUMBERED(map(kind, table, VSPACE, beyond[i]), seL4_InvalidArgument, 0);
    }
    seL4_CPtr pdpt = new_object(e, seL4_X86_PDPTObject, 0);
    EXPECT_OK(map(0, pdpt, VSPACE, (1ul << 47) - 1));
}

TEST(structure_wants_an_address_space_that_has_an_asid)
{
    seL4_CPtr root = new_object(e, seL4_X64_PML4Object, 0), endpoint = new_object(e, seL4_EndpointObject, 0);

    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_CPtr table = new_object(e, structures[kind].object, 0);

        EXPECT_NUMBERED(map(kind, table, root, WINDOW), seL4_InvalidCapability, 1);
        EXPECT_NUMBERED(map(kind, table, endpoint, UPPER_HALF), seL4_InvalidCapability, 1);
        EXPECT_NUMBERED(map(kind, table, table, WINDOW), seL4_InvalidCapability, 1);
        EXPECT_NUMBERED(map(kind, table, ROOT, WINDOW), seL4_InvalidCapability, 1);
    }
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    EXPECT_OK(map(0, new_object(e, seL4_X86_PDPTObject, 0), root, WINDOW));
}

TEST(structure_knows_its_own_invocations_with_all_arguments)
{
    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_CPtr table = new_object(e, structures[kind].object, 0);

        seL4_SetCap(0, VSPACE);
        EXPECT_EQ(sel4_invoke(table, structures[kind].map, 1, 1, SEL4_WORDS(WINDOW)), seL4_TruncatedMessage);
        EXPECT_EQ(sel4_invoke(table, structures[kind].map, 0, 2, SEL4_WORDS(WINDOW, 0)), seL4_TruncatedMessage);
        EXPECT_EQ(sel4_invoke(table, structures[(kind + 1) % 3].map, 1, 2, SEL4_WORDS(WINDOW, 0)),
                  seL4_IllegalOperation);
        EXPECT_EQ(sel4_invoke(table, X86PageMap, 1, 3, SEL4_WORDS(WINDOW, 3, 0)), seL4_IllegalOperation);
        EXPECT_EQ(sel4_invoke(table, 0, 0, 0, SEL4_WORDS(0)), seL4_IllegalOperation);
        EXPECT_EQ(sel4_invoke(table, 999, 0, 0, SEL4_WORDS(0)), seL4_IllegalOperation);
    }
    seL4_CPtr root = new_vspace(e);
    EXPECT_EQ(sel4_invoke(root, X86PDPTMap, 1, 2, SEL4_WORDS(WINDOW, 0)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(root, X86PageUnmap, 0, 0, SEL4_WORDS(0)), seL4_IllegalOperation);
}

TEST(structure_is_copied_and_unmapped_only_when_that_is_clear)
{
    for (unsigned kind = 0; kind < STRUCTURES; kind++) {
        seL4_CPtr table = new_object(e, structures[kind].object, 0), copy = new_slot(e);

        EXPECT_EQ(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, table, ROOT_DEPTH, seL4_AllRights),
                  seL4_IllegalOperation);
        EXPECT_OK(map(kind, table, VSPACE, WINDOW));
        EXPECT_OK(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, table, ROOT_DEPTH, seL4_AllRights));
        EXPECT_EQ(unmap(kind, table), seL4_RevokeFirst);
        EXPECT_EQ(unmap(kind, copy), seL4_RevokeFirst);

        /* Deleting one of two changes nothing. */
        EXPECT_OK(seL4_CNode_Delete(ROOT, table, ROOT_DEPTH));
        seL4_CPtr other = new_object(e, structures[kind].object, 0);
        EXPECT_EQ(map(kind, other, VSPACE, WINDOW), seL4_DeleteFirst);
        EXPECT_OK(unmap(kind, copy));
        EXPECT_OK(map(kind, other, VSPACE, WINDOW));
    }
}

TEST(structure_attributes_do_not_change_who_may_access)
{
    struct prober prober = new_prober(e);

    for (seL4_Word attributes = 0; attributes < 8; attributes++) {
        seL4_Word address = WINDOW + attributes * (1ul << 39);
        seL4_CPtr frame = new_object(e, seL4_X86_4K, 0);

        for (unsigned kind = 0; kind < STRUCTURES; kind++) {
            seL4_CPtr table = new_object(e, structures[kind].object, 0);

            seL4_SetCap(0, VSPACE);
            EXPECT_OK(sel4_invoke(table, structures[kind].map, 1, 2, SEL4_WORDS(address, ~7ul | attributes)));
        }
        EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, address, seL4_AllRights, ATTRIBUTES));
        EXPECT(can(e, &prober, PROBE_WRITE, address));
        EXPECT(can(e, &prober, PROBE_READ, address));
        EXPECT_EQ(prober.value, address);
    }
}

static void count_up(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e, (void)argument;
    for (;;) {
        t->result[0]++;
        seL4_Yield();
    }
}

/* A thread in an address space of its own, of the memory in MEMORY, and running. */
static struct thread *thread_elsewhere(struct env *e, seL4_CPtr memory, seL4_CPtr fault_endpoint)
{
    struct thread *t = new_thread(e, fault_endpoint);
    seL4_CPtr root = new_slot(e);

    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X64_PML4Object, 0, ROOT, 0, 0, root, 1));
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    map_image(e, root);
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, fault_endpoint, ROOT, 0, root, 0));
    start(t, count_up, 0, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT(t->result[0] > 0);
    return t;
}

TEST(thread_whose_address_space_is_deleted_faults_and_nobody_else_notices)
{
    seL4_CPtr memory = new_untyped(e, seL4_PML4Bits), endpoint = new_object(e, seL4_EndpointObject, 0);
    struct thread *t = thread_elsewhere(e, memory, endpoint);
    seL4_Word badge;

    EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
    seL4_Word count = t->result[0];
    seL4_MessageInfo_t info = seL4_Recv(endpoint, &badge);
    EXPECT_EQ(seL4_MessageInfo_get_label(info), seL4_Fault_VMFault);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_PrefetchFault), 1);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_Addr), seL4_GetMR(seL4_VMFault_IP));
    EXPECT_EQ(t->result[0], count);

    /* The memory is zero again, whatever was in the root. */
    seL4_CPtr frame = new_slot(e);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, frame, 1));
    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES));
    for (unsigned i = 0; i < 512; i++)
        EXPECT_EQ(((volatile seL4_Word *)WINDOW)[i], 0);
}

static void delete_own_root(struct env *e, struct thread *t, seL4_Word memory)
{
    (void)e;
    t->result[0] = 1;
    seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH);
    t->result[0] = 2;
}

TEST(thread_can_delete_its_own_address_space)
{
    seL4_CPtr memory = new_untyped(e, seL4_PML4Bits), endpoint = new_object(e, seL4_EndpointObject, 0);
    struct thread *t = thread_elsewhere(e, memory, endpoint);
    seL4_Word badge;

    EXPECT_OK(seL4_TCB_Suspend(t->tcb));
    start(t, delete_own_root, memory, ABOVE_ROOT);
    EXPECT_EQ(t->result[0], 1);
    EXPECT_EQ(seL4_MessageInfo_get_label(seL4_Recv(endpoint, &badge)), seL4_Fault_VMFault);
    EXPECT_EQ(t->result[0], 1);
}

TEST(thread_is_given_only_roots_with_an_asid)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr root = new_object(e, seL4_X64_PML4Object, 0), copy = new_slot(e);

    EXPECT_EQ(seL4_TCB_SetSpace(t->tcb, 0, ROOT, 0, root, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetSpace(t->tcb, 0, ROOT, 0, t->buffer_frame, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, root, ROOT_DEPTH, seL4_AllRights), seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    EXPECT_OK(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, root, ROOT_DEPTH, seL4_AllRights));
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, ROOT, 0, copy, 0));
}

TEST(address_spaces_do_not_see_each_other)
{
    seL4_CPtr root = new_vspace(e), frame[2] = { new_object(e, seL4_X86_4K, 0), new_object(e, seL4_X86_4K, 0) };
    struct prober here = new_prober(e), there = new_prober(e);

    map_image(e, root);
    EXPECT_OK(seL4_TCB_SetSpace(there.thread->tcb, there.endpoint, ROOT, 0, root, 0));
    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(frame[0], VSPACE, WINDOW, seL4_AllRights, ATTRIBUTES));
    EXPECT(can(e, &here, PROBE_WRITE, WINDOW));
    EXPECT(!can(e, &there, PROBE_READ, WINDOW));
    map_structures(e, root, WINDOW, seL4_PageBits);
    EXPECT(!can(e, &there, PROBE_READ, WINDOW));
    EXPECT_OK(seL4_X86_Page_Map(frame[1], root, WINDOW, seL4_AllRights, ATTRIBUTES));
    EXPECT(can(e, &there, PROBE_READ, WINDOW));
    EXPECT_EQ(there.value, 0);
    EXPECT(can(e, &here, PROBE_READ, WINDOW));
    EXPECT_EQ(here.value, WINDOW);
}

TEST(user_threads_reach_nothing_of_the_kernel_or_beyond)
{
    static const seL4_Word forbidden[] = {
        KERNEL, KERNEL + 0x100000, KERNEL + 0xfee00000, KERNEL + 0x7fc0000000, UPPER_HALF, 0xffffffff80000000,
        0xfffffffffffff000, 0xffffff8000000000,
    };
    struct prober prober = new_prober(e);

    for (unsigned i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        EXPECT(!can(e, &prober, PROBE_READ, forbidden[i]));
        EXPECT_EQ(prober.fault_address, forbidden[i]);
        EXPECT(prober.fault_status & FAULT_USER);
        EXPECT(!can(e, &prober, PROBE_WRITE, forbidden[i]));
        EXPECT(!can(e, &prober, PROBE_CALL, forbidden[i]));
        EXPECT_EQ(prober.fault_is_prefetch, 1);
    }
}
