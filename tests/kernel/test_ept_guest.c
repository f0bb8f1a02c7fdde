/* What a guest sees of its second-level structures when these are taken apart under it. The guest reads 0x201238 and then
 * writes 0x202340, in the first and second page behind its memory, as often as it is started. */
#include "tests/kernel/guest.h"
#include "tests/kernel/spaces.h"

#define ATTRIBUTES seL4_X86_EPT_Default_VMAttributes
#define LARGE      (1ul << seL4_LargePageBits)
#define PAGE       (1ul << seL4_PageBits)
#define READ_AT    0x201238ul
#define WRITE_AT   0x202340ul

/* A guest, and the structures with a page each for what it reads and what it writes. */
struct fixture {
    struct guest guest;
    seL4_CPtr table, page[2];
};

static struct fixture new_fixture(struct env *e)
{
    struct fixture f = { .guest = new_guest(e, seL4_CapInitThreadTCB, 0) };

    f.table = new_object(e, seL4_X86_EPTPTObject, 0);
    EXPECT_OK(seL4_X86_EPTPT_Map(f.table, f.guest.ept_root, LARGE, ATTRIBUTES));
    for (unsigned i = 0; i < 2; i++) {
        f.page[i] = new_object(e, seL4_X86_4K, 0);
        EXPECT_OK(seL4_X86_Page_MapEPT(f.page[i], f.guest.ept_root, LARGE + (i + 1) * PAGE, seL4_AllRights, ATTRIBUTES));
    }
    GUEST_LOAD(&f.guest, GUEST_LONG, guest_touch);
    return f;
}

/* Starts the program anew; the guest-physical address where it is stopped, 0 where it goes through. */
static seL4_Word touch(struct env *e, struct fixture *f)
{
    f->guest.rip = GUEST_CODE;
    EXPECT_EQ(guest_enter(&f->guest), SEL4_VMENTER_RESULT_FAULT);
    if (f->guest.word[SEL4_VMENTER_FAULT_REASON_MR] == guest_reason(&f->guest, GUEST_CALLS))
        return 0;
    EXPECT_EQ(f->guest.word[SEL4_VMENTER_FAULT_REASON_MR], guest_reason(&f->guest, GUEST_LACKS_MEMORY));
    return f->guest.word[SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR];
}

TEST(guest_loses_a_page_at_once_and_sees_the_one_that_takes_its_place)
{
    struct fixture f = new_fixture(e);
    seL4_CPtr other = new_object(e, seL4_X86_4K, 0);

    map_structures(e, seL4_CapInitThreadVSpace, 2 * WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(copy_of(e, other, seL4_AllRights), seL4_CapInitThreadVSpace, 2 * WINDOW, seL4_AllRights,
                                seL4_X86_Default_VMAttributes));
    EXPECT_EQ(touch(e, &f), 0);
    EXPECT_OK(seL4_X86_Page_Unmap(f.page[1]));
    EXPECT_EQ(touch(e, &f), WRITE_AT);
    EXPECT_OK(seL4_X86_Page_MapEPT(other, f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights, ATTRIBUTES));
    *(volatile seL4_Word *)(2 * WINDOW + 0x340) = 1;
    EXPECT_EQ(touch(e, &f), 0);
    EXPECT_EQ(*(volatile seL4_Word *)(2 * WINDOW + 0x340), 0);
    EXPECT_OK(seL4_CNode_Delete(ROOT, other, ROOT_DEPTH));
    EXPECT_EQ(touch(e, &f), WRITE_AT);
    EXPECT_OK(seL4_CNode_Delete(ROOT, f.page[0], ROOT_DEPTH));
    EXPECT_EQ(touch(e, &f), READ_AT);
}

TEST(guest_loses_pages_with_the_table_that_holds_them)
{
    struct fixture f = new_fixture(e);

    EXPECT_EQ(touch(e, &f), 0);
    EXPECT_OK(seL4_X86_EPTPT_Unmap(f.table));
    EXPECT_EQ(touch(e, &f), READ_AT);
    EXPECT_OK(seL4_X86_EPTPT_Map(f.table, f.guest.ept_root, LARGE, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), READ_AT); /* it was emptied */
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_OK(seL4_X86_Page_Unmap(f.page[i]));
        EXPECT_OK(seL4_X86_Page_MapEPT(f.page[i], f.guest.ept_root, LARGE + (i + 1) * PAGE, seL4_AllRights, ATTRIBUTES));
    }
    EXPECT_EQ(touch(e, &f), 0);
    EXPECT_OK(seL4_CNode_Delete(ROOT, f.table, ROOT_DEPTH));
    EXPECT_EQ(touch(e, &f), READ_AT);
}

TEST(guest_has_no_use_of_memory_that_was_a_table_of_its_own)
{
    struct guest g = new_guest(e, seL4_CapInitThreadTCB, 0);
    struct fixture f = { .guest = g };
    seL4_CPtr memory = new_untyped(e, seL4_PageBits), slot = new_slot(e), page = new_object(e, seL4_X86_4K, 0);

    GUEST_LOAD(&f.guest, GUEST_LONG, guest_touch);
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_EPTPTObject, 0, ROOT, 0, 0, slot, 1));
    EXPECT_OK(seL4_X86_EPTPT_Map(slot, g.ept_root, LARGE, ATTRIBUTES));
    EXPECT_OK(seL4_X86_Page_MapEPT(page, g.ept_root, LARGE + PAGE, seL4_AllRights, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), WRITE_AT);
    EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
    EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_4K, 0, ROOT, 0, 0, slot, 1));
    map_structures(e, seL4_CapInitThreadVSpace, 2 * WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(slot, seL4_CapInitThreadVSpace, 2 * WINDOW, seL4_AllRights, seL4_X86_Default_VMAttributes));
    seL4_Word physical = seL4_X86_Page_GetAddress(page).paddr;
    for (unsigned i = 0; i < 512; i++) {
        EXPECT_EQ(((volatile seL4_Word *)(2 * WINDOW))[i], 0);
        ((volatile seL4_Word *)(2 * WINDOW))[i] = physical | 6 << 3 | 7;
    }
    EXPECT_EQ(touch(e, &f), READ_AT);
}

TEST(guest_loses_everything_with_the_pool_of_its_root)
{
    struct guest g = new_guest(e, seL4_CapInitThreadTCB, 0);
    seL4_CPtr pool = new_slot(e), root = new_object(e, seL4_X86_EPTPML4Object, 0);

    EXPECT_OK(seL4_X86_ASIDControl_MakePool(seL4_CapASIDControl, new_untyped(e, seL4_ASIDPoolBits), ROOT, pool, ROOT_DEPTH));
    EXPECT_OK(seL4_X86_ASIDPool_Assign(pool, root));
    struct fixture f = { .guest = g };
    GUEST_LOAD(&f.guest, GUEST_LONG, guest_touch);
    EXPECT_EQ(touch(e, &f), READ_AT);
    f.guest.ept_root = root;
    guest_map_memory(&f.guest, 1);
    EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, root));
    GUEST_LOAD(&f.guest, GUEST_LONG, guest_touch);
    EXPECT_EQ(touch(e, &f), READ_AT);
    EXPECT_OK(seL4_CNode_Delete(ROOT, pool, ROOT_DEPTH));
    EXPECT(touch(e, &f) != READ_AT); /* its own page tables are gone */
    EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, g.ept_root));
    EXPECT_EQ(touch(e, &f), READ_AT);
}

TEST(guest_has_the_rights_that_the_frame_capability_has)
{
    struct fixture f = new_fixture(e);
    seL4_CPtr readable = copy_of(e, f.page[1], seL4_CanRead);

    EXPECT_OK(seL4_X86_Page_Unmap(f.page[1]));
    EXPECT_OK(seL4_X86_Page_MapEPT(readable, f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), WRITE_AT);
    seL4_Word cause = f.guest.word[SEL4_VMENTER_FAULT_QUALIFICATION_MR];
    if (e->has_svm)
        EXPECT_EQ(cause & 0x1f, 7); /* as a page fault's error code: present, a write, by a user */
    else
        EXPECT_EQ(cause & 0x3f, 2 | 5 << 3); /* a write; reads and runs */
    EXPECT_OK(seL4_X86_Page_Unmap(readable));
    EXPECT_OK(seL4_X86_Page_MapEPT(f.page[1], f.guest.ept_root, LARGE + 2 * PAGE, seL4_CanRead, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), WRITE_AT);
    EXPECT_OK(seL4_X86_Page_Unmap(f.page[1]));
    EXPECT_OK(seL4_X86_Page_MapEPT(f.page[1], f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), 0);
}

TEST(guest_gets_nothing_by_a_frame_capability_without_rights)
{
    struct fixture f = new_fixture(e);
    seL4_CPtr nothing = copy_of(e, f.page[1], seL4_NoRights), writable = copy_of(e, f.page[1], seL4_CanWrite);

    if (!e->is_ours)
        skip(e, "upstream gives all rights where the capability has none");
    EXPECT_OK(seL4_X86_Page_Unmap(f.page[1]));
    EXPECT_OK(seL4_X86_Page_MapEPT(nothing, f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), WRITE_AT);
    EXPECT_EQ(seL4_X86_Page_MapEPT(writable, f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights, ATTRIBUTES),
              seL4_DeleteFirst);
    EXPECT_OK(seL4_X86_Page_Unmap(nothing));
    EXPECT_OK(seL4_X86_Page_MapEPT(writable, f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), WRITE_AT);
    EXPECT_OK(seL4_X86_Page_Unmap(writable));
    EXPECT_OK(seL4_X86_Page_MapEPT(f.page[1], f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights, ATTRIBUTES));
    EXPECT_EQ(touch(e, &f), 0);
}

TEST(guest_reaches_its_memory_by_every_memory_type)
{
    struct fixture f = new_fixture(e);

    for (seL4_Word type = 0; type < 9; type++) {
        EXPECT_OK(seL4_X86_Page_Unmap(f.page[1]));
        EXPECT_OK(seL4_X86_Page_MapEPT(f.page[1], f.guest.ept_root, LARGE + 2 * PAGE, seL4_AllRights,
                                       (seL4_X86_EPT_VMAttributes)type));
        EXPECT_EQ(touch(e, &f), 0);
    }
}
