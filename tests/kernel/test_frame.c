/* Frames: where and how they can be mapped, and what is left of them afterwards. */
#include "tests/kernel/spaces.h"

#define ATTRIBUTES seL4_X86_Default_VMAttributes
#define VSPACE     seL4_CapInitThreadVSpace
#define PAGE       (1ul << seL4_PageBits)
#define LARGE      (1ul << seL4_LargePageBits)
#define HUGE       (1ul << seL4_HugePageBits)
#define USER_END   0x800000000000ul

static seL4_Error map(seL4_CPtr frame, seL4_CPtr vspace, seL4_Word address)
{
    return seL4_X86_Page_Map(frame, vspace, address, seL4_AllRights, ATTRIBUTES);
}

static seL4_CPtr new_frame(struct env *e)
{
    return new_object(e, seL4_X86_4K, 0);
}

TEST(frame_keeps_its_contents_wherever_it_is_mapped)
{
    seL4_CPtr frame = new_frame(e), copy = copy_of(e, frame, seL4_AllRights);
    volatile seL4_Word *word = (volatile seL4_Word *)WINDOW;

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(map(frame, VSPACE, WINDOW));
    word[3] = 0x1234;
    EXPECT_OK(map(copy, VSPACE, WINDOW + PAGE));
    EXPECT_EQ(word[3 + PAGE / 8], 0x1234);
    word[3 + PAGE / 8] = 0x5678;
    EXPECT_EQ(word[3], 0x5678);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_EQ(word[3 + PAGE / 8], 0x5678);
    EXPECT_OK(map(frame, VSPACE, WINDOW + 511 * PAGE));
    EXPECT_EQ(word[3 + 511 * PAGE / 8], 0x5678);
}

TEST(frame_that_is_unmapped_or_deleted_is_out_of_reach_at_once)
{
    struct prober prober = new_prober(e);
    seL4_CPtr frame = new_frame(e), copy = copy_of(e, frame, seL4_AllRights);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(map(frame, VSPACE, WINDOW));
    EXPECT_OK(map(copy, VSPACE, WINDOW + PAGE));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW + 8));
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + 8));
    EXPECT_EQ(prober.fault_address, WINDOW + 8);
    EXPECT_EQ(prober.fault_status, FAULT_USER);
    EXPECT_EQ(prober.fault_is_prefetch, 0);
    EXPECT_OK(seL4_X86_Page_Unmap(frame)); /* which does nothing */
    EXPECT(can(e, &prober, PROBE_READ, WINDOW + PAGE + 8));
    EXPECT_EQ(prober.value, WINDOW + 8);
    EXPECT_OK(seL4_CNode_Delete(ROOT, copy, ROOT_DEPTH));
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW + PAGE + 8));
    EXPECT_EQ(prober.fault_status, FAULT_USER | FAULT_WRITE);
}

TEST(frame_rights_are_those_of_the_capability_and_of_the_call)
{
    struct prober prober = new_prober(e);
    seL4_CPtr full = new_frame(e), readable = copy_of(e, full, seL4_CanRead);
    seL4_CPtr writable = copy_of(e, full, seL4_CanWrite), nothing = copy_of(e, full, seL4_NoRights);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(map(readable, VSPACE, WINDOW));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW));
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW));
    EXPECT_EQ(prober.fault_status, FAULT_PRESENT | FAULT_WRITE | FAULT_USER);

    EXPECT_OK(seL4_X86_Page_Map(full, VSPACE, WINDOW + PAGE, seL4_CanRead, ATTRIBUTES));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW + PAGE));
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW + PAGE));

    /* There is no page that could be written and not read. */
    EXPECT_OK(map(writable, VSPACE, WINDOW + 2 * PAGE));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + 2 * PAGE));
    EXPECT_EQ(prober.fault_status, FAULT_PRESENT | FAULT_USER);
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW + 2 * PAGE));
    EXPECT_OK(map(nothing, VSPACE, WINDOW + 3 * PAGE));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + 3 * PAGE));
    EXPECT(!can(e, &prober, PROBE_CALL, WINDOW + 3 * PAGE));
    EXPECT_EQ(prober.fault_is_prefetch, 1);

    /* Rights that a capability has lost do not come back in a copy. */
    seL4_CPtr again = copy_of(e, readable, seL4_AllRights);
    EXPECT_OK(map(again, VSPACE, WINDOW + 4 * PAGE));
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW + 4 * PAGE));
}

TEST(frame_is_mapped_anew_in_place_to_change_its_rights)
{
    struct prober prober = new_prober(e);
    seL4_CPtr frame = new_frame(e), other = new_vspace(e);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(map(frame, VSPACE, WINDOW));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_CanRead, ATTRIBUTES));
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW));
    EXPECT_OK(map(frame, VSPACE, WINDOW));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));

    EXPECT_NUMBERED(map(frame, VSPACE, WINDOW + PAGE), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(map(frame, VSPACE, WINDOW + 1), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(map(frame, VSPACE, ~0ul), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(map(frame, other, WINDOW), seL4_InvalidCapability, 1);
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));
}

TEST(frame_mapped_over_another_takes_its_place)
{
    struct prober prober = new_prober(e);
    seL4_CPtr first = new_frame(e), second = new_frame(e);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(map(first, VSPACE, WINDOW));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));
    EXPECT_OK(map(second, VSPACE, WINDOW));
    EXPECT_OK(map(copy_of(e, first, seL4_AllRights), VSPACE, WINDOW + PAGE));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW + PAGE));
    EXPECT_EQ(prober.value, WINDOW);

    /* The first one has nothing to take away any more. */
    EXPECT_OK(seL4_X86_Page_Unmap(first));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));
    EXPECT_OK(seL4_X86_Page_Unmap(second));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW));
}

TEST(frame_of_2_mib_needs_a_directory_and_an_aligned_place)
{
    struct prober prober = new_prober(e);
    seL4_CPtr frame = new_object(e, seL4_X86_LargePageObject, 0), small = new_frame(e);
    seL4_CPtr table = new_object(e, seL4_X86_PageTableObject, 0);

    EXPECT_MISSING_TABLE(map(frame, VSPACE, WINDOW), 39);
    map_structures(e, VSPACE, WINDOW, seL4_HugePageBits);
    EXPECT_MISSING_TABLE(map(frame, VSPACE, WINDOW), 30);
    EXPECT_OK(seL4_X86_PageDirectory_Map(new_object(e, seL4_X86_PageDirectoryObject, 0), VSPACE, WINDOW, ATTRIBUTES));
    EXPECT_EQ(map(frame, VSPACE, WINDOW + PAGE), seL4_AlignmentError);
    EXPECT_EQ(map(frame, VSPACE, WINDOW + LARGE / 2), seL4_AlignmentError);
    EXPECT_OK(map(frame, VSPACE, WINDOW + LARGE));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW + LARGE));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW + 2 * LARGE - 8));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + LARGE - 8));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + 2 * LARGE));

    EXPECT_MISSING_TABLE(map(small, VSPACE, WINDOW + LARGE), 21);
    EXPECT_EQ(seL4_X86_PageTable_Map(table, VSPACE, WINDOW + LARGE, ATTRIBUTES), seL4_DeleteFirst);
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW + LARGE, seL4_CanRead, ATTRIBUTES));
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW + LARGE + PAGE));
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + 2 * LARGE - 8));
    EXPECT_OK(seL4_X86_PageTable_Map(table, VSPACE, WINDOW + LARGE, ATTRIBUTES));
    EXPECT_EQ(map(frame, VSPACE, WINDOW + LARGE), seL4_DeleteFirst);
}

TEST(frame_of_1_gib_needs_a_pdpt_and_an_aligned_place)
{
    seL4_CPtr memory = device_untyped(e, seL4_HugePageBits), frame = new_slot(e);

    if (!memory)
        skip(e, "no device memory of 1 GiB");
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X64_HugePageObject, 0, ROOT, 0, 0, frame, 1));
    EXPECT_MISSING_TABLE(map(frame, VSPACE, WINDOW), 39);
    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_EQ(map(frame, VSPACE, WINDOW), seL4_DeleteFirst);
    EXPECT_EQ(map(frame, VSPACE, WINDOW + LARGE), seL4_AlignmentError);
    EXPECT_OK(map(frame, VSPACE, WINDOW + HUGE));
    EXPECT_EQ(seL4_X86_PageDirectory_Map(new_object(e, seL4_X86_PageDirectoryObject, 0), VSPACE, WINDOW + HUGE, ATTRIBUTES),
              seL4_DeleteFirst);
    EXPECT_MISSING_TABLE(map(new_frame(e), VSPACE, WINDOW + HUGE), 30);
    EXPECT_NUMBERED(map(frame, VSPACE, USER_END), seL4_InvalidArgument, 0);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_MISSING_TABLE(map(new_frame(e), VSPACE, WINDOW + HUGE), 30);
    EXPECT_OK(seL4_X86_PageDirectory_Map(new_object(e, seL4_X86_PageDirectoryObject, 0), VSPACE, WINDOW + HUGE, ATTRIBUTES));
}

TEST(frames_stay_below_the_end_of_user_addresses)
{
    static const seL4_Word beyond[] = {
        USER_END - PAGE, USER_END, USER_END + PAGE, 0xffff800000000000, 0xfffffe8000000000, 0xfffffe8000100000,
        0xffffffff80000000, 0xfffffffffffff000, ~0ul, ~0ul - PAGE / 2, USER_END - 1,
    };
    seL4_CPtr frame = new_frame(e), large = new_object(e, seL4_X86_LargePageObject, 0);

    for (unsigned i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        EXPECT_NUMBERED(map(frame, VSPACE, beyond[i]), seL4_InvalidArgument, 0);
        EXPECT_NUMBERED(map(large, VSPACE, beyond[i]), seL4_InvalidArgument, 0);
    }
    map_structures(e, VSPACE, USER_END - PAGE, seL4_PageBits);
    EXPECT_NUMBERED(map(frame, VSPACE, USER_END - PAGE), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(map(large, VSPACE, USER_END - LARGE), seL4_InvalidArgument, 0);
    EXPECT_EQ(map(frame, VSPACE, USER_END - 2 * PAGE + 1), seL4_AlignmentError);
    EXPECT_OK(map(frame, VSPACE, USER_END - 2 * PAGE));
    *(volatile seL4_Word *)(USER_END - PAGE - 8) = 5;
}

TEST(frame_is_mapped_by_calls_that_are_complete_and_right)
{
    seL4_CPtr frame = new_frame(e), endpoint = new_object(e, seL4_EndpointObject, 0);
    seL4_CPtr root = new_object(e, seL4_X64_PML4Object, 0);

    seL4_SetCap(0, VSPACE);
    EXPECT_EQ(sel4_invoke(frame, X86PageMap, 1, 2, SEL4_WORDS(WINDOW, 3)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(frame, X86PageMap, 0, 3, SEL4_WORDS(WINDOW, 3, 0)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(frame, X86PageTableMap, 1, 3, SEL4_WORDS(WINDOW, 3, 0)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(frame, 0, 1, 3, SEL4_WORDS(WINDOW, 3, 0)), seL4_IllegalOperation);
    EXPECT_EQ(sel4_invoke(frame, 1000, 1, 3, SEL4_WORDS(WINDOW, 3, 0)), seL4_IllegalOperation);
    EXPECT_NUMBERED(map(frame, endpoint, WINDOW), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(map(frame, root, WINDOW), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(map(frame, frame, WINDOW), seL4_InvalidCapability, 1);

    /* Which mistake is told when there are two. */
    EXPECT_NUMBERED(map(frame, endpoint, USER_END), seL4_InvalidCapability, 1);
    EXPECT_NUMBERED(map(frame, VSPACE, USER_END + 1), seL4_InvalidArgument, 0);
    EXPECT_EQ(map(frame, VSPACE, WINDOW + 1), seL4_AlignmentError);
}

TEST(frame_tells_its_physical_address)
{
    const seL4_UntypedDesc *u = &e->bootinfo->untypedList[e->untyped - e->bootinfo->untyped.start];
    seL4_CPtr frames[3] = { new_frame(e), new_object(e, seL4_X86_LargePageObject, 0), new_frame(e) };
    seL4_Word address[3];

    for (unsigned i = 0; i < 3; i++) {
        seL4_X86_Page_GetAddress_t answer = seL4_X86_Page_GetAddress(frames[i]);
        EXPECT_EQ(answer.error, seL4_NoError);
        address[i] = answer.paddr;
    }
    EXPECT_EQ(address[0], u->paddr);
    EXPECT_EQ(address[1], (u->paddr + PAGE + LARGE - 1) & -LARGE);
    EXPECT_EQ(address[2], address[1] + LARGE);
    EXPECT_EQ(seL4_X86_Page_GetAddress(copy_of(e, frames[1], seL4_NoRights)).paddr, address[1]);
    EXPECT(seL4_X86_Page_GetAddress(new_object(e, seL4_X86_PageTableObject, 0)).error != seL4_NoError);
}

TEST(frame_works_with_every_memory_type)
{
    struct prober prober = new_prober(e);
    seL4_CPtr small = new_frame(e), large = new_object(e, seL4_X86_LargePageObject, 0);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    for (seL4_Word attributes = 0; attributes < 8; attributes++) {
        EXPECT_OK(seL4_X86_Page_Map(small, VSPACE, WINDOW + PAGE, seL4_AllRights, (seL4_X86_VMAttributes)attributes));
        EXPECT_OK(seL4_X86_Page_Map(large, VSPACE, WINDOW + LARGE, seL4_AllRights, (seL4_X86_VMAttributes)attributes));
        EXPECT(can(e, &prober, PROBE_WRITE, WINDOW + PAGE + 8 * attributes));
        EXPECT(can(e, &prober, PROBE_WRITE, WINDOW + LARGE + 8 * attributes));
    }
    for (seL4_Word attributes = 0; attributes < 8; attributes++) {
        EXPECT(can(e, &prober, PROBE_READ, WINDOW + PAGE + 8 * attributes));
        EXPECT_EQ(prober.value, WINDOW + PAGE + 8 * attributes);
        EXPECT(can(e, &prober, PROBE_READ, WINDOW + LARGE + 8 * attributes));
        EXPECT_EQ(prober.value, WINDOW + LARGE + 8 * attributes);
    }
    EXPECT_OK(seL4_X86_Page_Unmap(large));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + LARGE));
    seL4_SetCap(0, VSPACE);
    EXPECT_OK(sel4_invoke(large, X86PageMap, 1, 3, SEL4_WORDS(WINDOW + LARGE, ~0ul, ~7ul)));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW + LARGE));
}

TEST(frame_of_data_can_be_executed)
{
    static const uint8_t code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */
    struct prober prober = new_prober(e);
    seL4_CPtr frame = new_frame(e);
    volatile uint8_t *bytes = (volatile uint8_t *)WINDOW;

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(map(frame, VSPACE, WINDOW));
    for (unsigned i = 0; i < sizeof code; i++)
        bytes[i] = code[i];
    EXPECT(can(e, &prober, PROBE_CALL, WINDOW));
    EXPECT_EQ(prober.value, 42);
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_CanRead, ATTRIBUTES));
    EXPECT(can(e, &prober, PROBE_CALL, WINDOW));
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_NoRights, ATTRIBUTES));
    EXPECT(!can(e, &prober, PROBE_CALL, WINDOW));
}

TEST(frame_as_ipc_buffer_must_be_ram_and_the_address_aligned)
{
    struct thread *t = new_thread(e, 0);
    seL4_CPtr device = device_untyped(e, seL4_PageBits), device_frame = new_slot(e), frame = new_frame(e);

    EXPECT(device);
    EXPECT_OK(seL4_Untyped_Retype(device, seL4_X86_4K, 0, ROOT, 0, 0, device_frame, 1));
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, WINDOW, device_frame), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, WINDOW, t->tcb), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, WINDOW + 1, frame), seL4_AlignmentError);
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, WINDOW + 512, frame), seL4_AlignmentError);
    EXPECT_EQ(seL4_TCB_SetIPCBuffer(t->tcb, WINDOW + 1, device_frame), seL4_IllegalOperation);
    EXPECT_OK(seL4_TCB_SetIPCBuffer(t->tcb, WINDOW + 1024, frame));
}

TEST(frame_of_device_memory_can_be_mapped_and_unmapped)
{
    struct prober prober = new_prober(e);
    const seL4_BootInfo *info = e->bootinfo;
    seL4_CPtr frame = new_slot(e), vga = 0;

    /* 0xb8000, the text screen: memory on every PC, and not RAM. */
    for (seL4_Word i = 0; i < info->untyped.end - info->untyped.start; i++) {
        const seL4_UntypedDesc *u = &info->untypedList[i];
        if (u->isDevice && u->paddr <= 0xb8000 && 0xb8000 - u->paddr < 1ul << u->sizeBits)
            vga = info->untyped.start + i;
    }
    if (!vga)
        skip(e, "the text screen is in no untyped");
    seL4_Word paddr;
    do {
        EXPECT_OK(seL4_Untyped_Retype(vga, seL4_X86_4K, 0, ROOT, 0, 0, frame, 1));
        paddr = seL4_X86_Page_GetAddress(frame).paddr;
        if (paddr != 0xb8000)
            frame = new_slot(e);
    } while (paddr < 0xb8000);
    EXPECT_EQ(paddr, 0xb8000);
    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, WINDOW, seL4_AllRights, seL4_X86_Uncacheable));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW + 8));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW + 8));
    EXPECT_EQ(prober.value, WINDOW + 8);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW + 8));
}

TEST(frame_goes_into_no_io_space_where_there_is_no_iommu)
{
    seL4_CPtr frame = new_frame(e), large = new_object(e, seL4_X86_LargePageObject, 0);
    seL4_CPtr table = new_object(e, seL4_X86_IOPageTableObject, 0), copy = new_slot(e);

    EXPECT_NUMBERED(seL4_X86_Page_MapIO(frame, VSPACE, seL4_AllRights, 0), seL4_InvalidCapability, 0);
    EXPECT_NUMBERED(seL4_X86_Page_MapIO(large, VSPACE, seL4_AllRights, 0), seL4_InvalidCapability, 0);
    EXPECT_EQ(sel4_invoke(frame, X86PageMapIO, 0, 2, SEL4_WORDS(3, 0)), seL4_TruncatedMessage);
    EXPECT_NUMBERED(seL4_X86_IOPageTable_Map(table, VSPACE, 0), seL4_InvalidCapability, 0);
    EXPECT_EQ(sel4_invoke(table, X86IOPageTableMap, 0, 1, SEL4_WORDS(0)), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_invoke(table, X86PageTableMap, 0, 1, SEL4_WORDS(0)), seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_IOPageTable_Unmap(table));
    EXPECT_EQ(seL4_CNode_Copy(ROOT, copy, ROOT_DEPTH, ROOT, table, ROOT_DEPTH, seL4_AllRights), seL4_IllegalOperation);
}
