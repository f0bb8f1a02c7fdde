/* The upper half of address spaces, and pages that are mapped many at a time, as parts of larger ones. */
#include "tests/kernel/spaces.h"

#include <sel4/beaml4.h>

#define VSPACE     seL4_CapInitThreadVSpace
#define ATTRIBUTES seL4_X86_Default_VMAttributes
#define UPPER      0xffff900000000000ul
#define KERNEL     0xfffffe8000000000ul
#define PAGE       (1ul << seL4_PageBits)
#define LARGE      (1ul << seL4_LargePageBits)
#define MARK       0x1122334455667788ul

static void need_ours(struct env *e)
{
    if (!e->is_ours)
        skip(e, "the kernel does not have it");
}

TEST(upper_half_is_there_when_it_has_been_opened_but_for_the_kernel_s_part)
{
    seL4_CPtr space = new_vspace(e), pdpt = new_object(e, seL4_X86_PDPTObject, 0);

    need_ours(e);
    EXPECT_NUMBERED(seL4_X86_PDPT_Map(pdpt, space, UPPER, ATTRIBUTES), seL4_InvalidArgument, 0);
    EXPECT_OK(sel4_vspace_open_high_half(space));
    EXPECT_OK(sel4_vspace_open_high_half(space));
    EXPECT_NUMBERED(seL4_X86_PDPT_Map(pdpt, space, KERNEL, ATTRIBUTES), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(seL4_X86_PDPT_Map(pdpt, space, KERNEL + 0x7fc0000000, ATTRIBUTES), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(seL4_X86_PDPT_Map(pdpt, space, 0x0000800000000000, ATTRIBUTES), seL4_InvalidArgument, 0);
    EXPECT_NUMBERED(seL4_X86_PDPT_Map(pdpt, space, 0xffff700000000000, ATTRIBUTES), seL4_InvalidArgument, 0);
    EXPECT_OK(seL4_X86_PDPT_Map(pdpt, space, 0xfffffff000000000, ATTRIBUTES));
    /* Others stay as they are. */
    seL4_CPtr other = new_vspace(e), one = new_object(e, seL4_X86_PDPTObject, 0);
    EXPECT_NUMBERED(seL4_X86_PDPT_Map(one, other, UPPER, ATTRIBUTES), seL4_InvalidArgument, 0);
    EXPECT(sel4_vspace_open_high_half(new_object(e, seL4_X64_PML4Object, 0)) != seL4_NoError); /* it has no ASID */
}

TEST(pages_in_the_upper_half_are_used_and_go)
{
    seL4_CPtr space = new_vspace(e), frame = new_object(e, seL4_X86_4K, 0);
    struct prober prober = new_prober(e);

    need_ours(e);
    map_image(e, space);
    EXPECT_OK(sel4_vspace_open_high_half(space));
    map_structures(e, space, UPPER, seL4_PageBits);
    EXPECT_OK(seL4_TCB_SetSpace(prober.thread->tcb, prober.endpoint, ROOT, 0, space, 0));
    EXPECT(!can(e, &prober, PROBE_READ, UPPER));
    EXPECT_OK(seL4_X86_Page_Map(frame, space, UPPER, seL4_AllRights, ATTRIBUTES));
    EXPECT(can(e, &prober, PROBE_WRITE, UPPER) && can(e, &prober, PROBE_READ, UPPER));
    EXPECT_EQ(prober.value, UPPER);
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT(!can(e, &prober, PROBE_READ, UPPER));
    EXPECT(!can(e, &prober, PROBE_READ, KERNEL));
    EXPECT(!can(e, &prober, PROBE_READ, KERNEL + 0x100000));
}

static seL4_Error map_one(seL4_CPtr frame, seL4_CPtr slot, seL4_Word address, seL4_Word offset)
{
    const seL4_Word words[] = { frame, slot, address, offset };
    seL4_Word done;

    return sel4_vspace_map_frames(VSPACE, 1, words, &done);
}

TEST(parts_of_a_large_frame_are_mapped_and_taken_back_with_it)
{
    need_ours(e);
    seL4_CPtr untyped = new_untyped(e, seL4_LargePageBits), frame = new_slot(e), slot = new_slots(e, 2);
    struct prober prober = new_prober(e);

    EXPECT_OK(seL4_Untyped_Retype(untyped, seL4_X86_LargePageObject, 0, ROOT, 0, 0, frame, 1));
    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    map_structures(e, VSPACE, 2 * WINDOW, seL4_LargePageBits);
    EXPECT_OK(seL4_X86_Page_Map(frame, VSPACE, 2 * WINDOW, seL4_AllRights, ATTRIBUTES));
    volatile seL4_Word *whole = (volatile seL4_Word *)(2 * WINDOW);
    whole[5 * PAGE / 8] = MARK;

    EXPECT_OK(map_one(frame, slot, WINDOW, 5 * PAGE));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW));
    EXPECT_EQ(prober.value, MARK);
    EXPECT(!can(e, &prober, PROBE_WRITE, WINDOW));
    /* What was there gives way. */
    EXPECT_OK(map_one(frame, slot, WINDOW | BEAML4_MAP_WRITE | BEAML4_MAP_NO_EXECUTE, 7 * PAGE));
    EXPECT(can(e, &prober, PROBE_WRITE, WINDOW));
    EXPECT_EQ(whole[7 * PAGE / 8], WINDOW);
    whole[7 * PAGE / 8] = 0xc3; /* ret */
    EXPECT(!can(e, &prober, PROBE_CALL, WINDOW));
    EXPECT_OK(map_one(frame, slot, WINDOW, 7 * PAGE));
    EXPECT(can(e, &prober, PROBE_CALL, WINDOW));
    EXPECT_EQ(map_one(frame, slot + 1, WINDOW, 0), seL4_DeleteFirst);

    EXPECT_OK(seL4_CNode_Revoke(ROOT, untyped, ROOT_DEPTH));
    EXPECT(slot_is_empty(slot) && slot_is_empty(frame));
    EXPECT(!can(e, &prober, PROBE_READ, WINDOW));
}

TEST(many_pages_go_by_one_call_up_to_the_one_that_is_wrong)
{
    need_ours(e);
    seL4_CPtr frame = new_object(e, seL4_X86_LargePageObject, 0), slots = new_slots(e, BEAML4_MAP_FRAMES_MAX);
    seL4_Word words[BEAML4_MAP_FRAMES_MAX * BEAML4_MAP_WORDS], names[BEAML4_MAP_FRAMES_MAX], done;
    struct prober prober = new_prober(e);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    for (unsigned i = 0; i < BEAML4_MAP_FRAMES_MAX; i++) {
        names[i] = slots + i;
        words[4 * i] = frame;
        words[4 * i + 1] = names[i];
        words[4 * i + 2] = (WINDOW + i * PAGE) | BEAML4_MAP_WRITE;
        words[4 * i + 3] = i * PAGE;
    }
    EXPECT_OK(sel4_vspace_map_frames(VSPACE, BEAML4_MAP_FRAMES_MAX, words, &done));
    for (unsigned i = 0; i < BEAML4_MAP_FRAMES_MAX; i++)
        EXPECT(can(e, &prober, PROBE_WRITE, WINDOW + i * PAGE));
    EXPECT_OK(sel4_vspace_unmap_frames(VSPACE, BEAML4_MAP_FRAMES_MAX, names));
    EXPECT_OK(sel4_vspace_unmap_frames(VSPACE, BEAML4_MAP_FRAMES_MAX, names)); /* nothing is there any more */
    for (unsigned i = 0; i < BEAML4_MAP_FRAMES_MAX; i++)
        EXPECT(!can(e, &prober, PROBE_READ, WINDOW + i * PAGE));
    words[4 * 3 + 3] = LARGE;
    EXPECT_EQ(sel4_vspace_map_frames(VSPACE, BEAML4_MAP_FRAMES_MAX, words, &done), seL4_RangeError);
    EXPECT_EQ(done, 3);
    EXPECT(can(e, &prober, PROBE_READ, WINDOW + 2 * PAGE) && !can(e, &prober, PROBE_READ, WINDOW + 3 * PAGE));
}

TEST(mappings_that_cannot_be_are_refused)
{
    need_ours(e);
    seL4_CPtr frame = new_object(e, seL4_X86_LargePageObject, 0), small = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr slot = new_slot(e);
    seL4_CPtr unreadable = copy_of(e, frame, seL4_NoRights), read_only = copy_of(e, frame, seL4_CanRead);
    struct prober prober = new_prober(e);

    map_structures(e, VSPACE, WINDOW, seL4_PageBits);
    EXPECT_EQ(map_one(slot, slot, WINDOW, 0), seL4_InvalidCapability);
    EXPECT_EQ(map_one(seL4_CapInitThreadTCB, slot, WINDOW, 0), seL4_InvalidCapability);
    EXPECT_EQ(map_one(unreadable, slot, WINDOW, 0), seL4_InvalidCapability);
    EXPECT_EQ(map_one(frame, frame, WINDOW, 0), seL4_InvalidArgument);
    EXPECT_EQ(map_one(frame, seL4_CapInitThreadTCB, WINDOW, 0), seL4_InvalidArgument);
    EXPECT_EQ(map_one(frame, slot, WINDOW | 1, 0), seL4_InvalidArgument);
    EXPECT_EQ(map_one(frame, slot, WINDOW | 0x10, 0), seL4_InvalidArgument);
    EXPECT_EQ(map_one(frame, slot, UPPER, 0), seL4_InvalidArgument);
    EXPECT_EQ(map_one(frame, slot, KERNEL, 0), seL4_InvalidArgument);
    EXPECT_EQ(map_one(frame, slot, 0x7ffffffff000, 0), seL4_InvalidArgument);
    EXPECT_EQ(map_one(small, slot, WINDOW | BEAML4_MAP_LARGE, 0), seL4_RangeError);
    EXPECT_EQ(map_one(small, slot, WINDOW, PAGE), seL4_RangeError);
    EXPECT_EQ(map_one(frame, slot, WINDOW, -PAGE), seL4_RangeError);
    EXPECT_EQ(map_one(frame, slot, WINDOW, 8), seL4_AlignmentError);
    EXPECT_EQ(map_one(frame, slot, (WINDOW + PAGE) | BEAML4_MAP_LARGE, 0), seL4_AlignmentError);
    EXPECT_EQ(map_one(frame, slot, 2 * WINDOW, 0), seL4_FailedLookup);
    EXPECT_OK(map_one(read_only, slot, WINDOW | BEAML4_MAP_WRITE, 0));
    EXPECT(can(e, &prober, PROBE_READ, WINDOW) && !can(e, &prober, PROBE_WRITE, WINDOW));
    const seL4_Word tcb = seL4_CapInitThreadTCB;
    EXPECT_EQ(sel4_vspace_unmap_frames(VSPACE, 1, &tcb), seL4_InvalidCapability);
}
