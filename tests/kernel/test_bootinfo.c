/* What the root task starts with, against what bootinfo says. */
#include "tests/kernel/harness.h"

#include <sel4/beaml4.h>
#include <string.h>

#define PAGE 4096ul

extern const char __image_start[];

static seL4_Word slots_of(seL4_SlotRegion region)
{
    return region.end - region.start;
}

/* Whether all slots of REGION hold something, or nothing. */
static bool slots_are(seL4_SlotRegion region, bool empty)
{
    for (seL4_SlotPos slot = region.start; slot < region.end; slot++)
        if (slot_is_empty(slot) != empty)
            return false;
    return true;
}

static seL4_Word physical(struct env *e, seL4_CPtr frame)
{
    seL4_X86_Page_GetAddress_t address = seL4_X86_Page_GetAddress(frame);

    EXPECT_EQ(address.error, seL4_NoError);
    return address.paddr;
}

TEST(bootinfo_initial_capabilities_are_in_their_slots)
{
    static const seL4_SlotPos present[] = {
        seL4_CapInitThreadTCB, seL4_CapInitThreadCNode, seL4_CapInitThreadVSpace, seL4_CapIRQControl,
        seL4_CapASIDControl, seL4_CapInitThreadASIDPool, seL4_CapIOPortControl, seL4_CapBootInfoFrame,
        seL4_CapInitThreadIPCBuffer, seL4_CapDomain,
    };
    static const seL4_SlotPos absent[] = { seL4_CapNull, seL4_CapIOSpace, seL4_CapSMMUSIDControl,
                                           seL4_CapSMMUCBControl, seL4_CapInitThreadSC, seL4_CapSMC };

    for (unsigned i = 0; i < sizeof present / sizeof present[0]; i++)
        EXPECT(!slot_is_empty(present[i]));
    for (unsigned i = 0; i < sizeof absent / sizeof absent[0]; i++)
        EXPECT(slot_is_empty(absent[i]));
}

TEST(bootinfo_regions_follow_each_other_without_gaps)
{
    const seL4_BootInfo *info = e->bootinfo;

    EXPECT_EQ(info->userImagePaging.start, seL4_NumInitialCaps);
    EXPECT_EQ(info->extraBIPages.start, info->userImagePaging.end);
    EXPECT_EQ(info->userImageFrames.start, info->extraBIPages.end);
    EXPECT_EQ(info->untyped.start, info->userImageFrames.end);
    EXPECT_EQ(info->empty.start, info->untyped.end);
    EXPECT_EQ(info->empty.end, 1ul << info->initThreadCNodeSizeBits);
    EXPECT_EQ(slots_of(info->sharedFrames), 0);
    EXPECT_EQ(slots_of(info->ioSpaceCaps), 0);
}

TEST(bootinfo_regions_hold_what_they_should)
{
    const seL4_BootInfo *info = e->bootinfo;
    seL4_SlotRegion last = { info->empty.end - 16, info->empty.end };

    EXPECT(slots_are(info->userImagePaging, false));
    EXPECT(slots_are(info->extraBIPages, false));
    EXPECT(slots_are(info->userImageFrames, false));
    EXPECT(slots_are(info->untyped, false));
    EXPECT(slots_are((seL4_SlotRegion) { e->next_slot, e->next_slot + 4096 }, true));
    EXPECT(slots_are(last, true));
}

TEST(bootinfo_numbers_are_those_of_the_configuration)
{
    const seL4_BootInfo *info = e->bootinfo;

    EXPECT_EQ(info->nodeID, 0);
    EXPECT(info->numNodes >= 1 && info->numNodes <= CONFIG_MAX_NUM_NODES);
    EXPECT_EQ(info->initThreadCNodeSizeBits, CONFIG_ROOT_CNODE_SIZE_BITS);
    EXPECT_EQ(info->initThreadDomain, 0);
    EXPECT_EQ(info->numIOPTLevels, 0);
}

TEST(bootinfo_lies_behind_the_ipc_buffer_behind_the_image)
{
    const seL4_BootInfo *info = e->bootinfo;
    seL4_Word image_end = (seL4_Word)__image_start + slots_of(info->userImageFrames) * PAGE;

    EXPECT_EQ(info->ipcBuffer, image_end);
    EXPECT_EQ(info, image_end + PAGE);
    EXPECT(info->extraLen <= slots_of(info->extraBIPages) * PAGE);
    EXPECT(info->extraLen + PAGE > slots_of(info->extraBIPages) * PAGE / 2);
}

TEST(bootinfo_image_frames_are_in_address_order)
{
    const seL4_BootInfo *info = e->bootinfo;
    seL4_Word first = physical(e, info->userImageFrames.start);

    for (seL4_Word i = 1; i < slots_of(info->userImageFrames); i++)
        EXPECT_EQ(physical(e, info->userImageFrames.start + i), first + i * PAGE);
}

TEST(bootinfo_frames_are_the_pages_that_they_stand_for)
{
    const seL4_BootInfo *info = e->bootinfo;
    static volatile seL4_Word marks[1024];
    seL4_CPtr copy = copy_of(e, image_frame(e, (const void *)&marks[512]), seL4_AllRights);
    seL4_CPtr info_copy = copy_of(e, seL4_CapBootInfoFrame, seL4_AllRights);
    seL4_CPtr buffer_copy = copy_of(e, seL4_CapInitThreadIPCBuffer, seL4_AllRights);

    map_structures(e, seL4_CapInitThreadVSpace, WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(copy, seL4_CapInitThreadVSpace, WINDOW, seL4_ReadWrite, 0));
    EXPECT_OK(seL4_X86_Page_Map(info_copy, seL4_CapInitThreadVSpace, WINDOW + PAGE, seL4_ReadWrite, 0));
    EXPECT_OK(seL4_X86_Page_Map(buffer_copy, seL4_CapInitThreadVSpace, WINDOW + 2 * PAGE, seL4_ReadWrite, 0));
    marks[512] = 0x1234567;
    EXPECT_EQ(*(volatile seL4_Word *)(WINDOW + ((seL4_Word)&marks[512] & (PAGE - 1))), 0x1234567);
    EXPECT(memcmp((void *)(WINDOW + PAGE), info, sizeof *info) == 0);
    seL4_SetUserData(0x7654321);
    EXPECT_EQ(((seL4_IPCBuffer *)(WINDOW + 2 * PAGE))->userData, 0x7654321);
}

TEST(bootinfo_image_pages_can_be_unmapped_and_mapped_again)
{
    static _Alignas(4096) volatile seL4_Word page[512];
    seL4_CPtr frame = image_frame(e, (const void *)page);

    page[5] = 55;
    EXPECT_OK(seL4_X86_Page_Unmap(frame));
    EXPECT_OK(seL4_X86_Page_Map(frame, seL4_CapInitThreadVSpace, (seL4_Word)page, seL4_ReadWrite, 0));
    EXPECT_EQ(page[5], 55);
}

TEST(bootinfo_paging_structures_are_mapped_ones)
{
    const seL4_BootInfo *info = e->bootinfo;

    /* One PDPT and one page directory for our 2 MiB at 1 GiB; they cannot be mapped a second time. */
    EXPECT(slots_of(info->userImagePaging) >= 3);
    EXPECT(seL4_X86_PDPT_Map(info->userImagePaging.start, seL4_CapInitThreadVSpace, WINDOW, 0) != seL4_NoError);
    EXPECT(seL4_X86_PageDirectory_Map(info->userImagePaging.start + 1, seL4_CapInitThreadVSpace, WINDOW, 0)
           != seL4_NoError);
    EXPECT(seL4_X86_PageTable_Map(info->userImagePaging.start + 2, seL4_CapInitThreadVSpace, WINDOW, 0)
           != seL4_NoError);
    /* The address space has its ASID. */
    EXPECT(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, seL4_CapInitThreadVSpace) != seL4_NoError);
}

TEST(bootinfo_untypeds_are_aligned_and_apart)
{
    const seL4_BootInfo *info = e->bootinfo;
    seL4_Word count = slots_of(info->untyped);

    EXPECT(count > 0 && count <= CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS);
    for (seL4_Word i = 0; i < count; i++) {
        const seL4_UntypedDesc *a = &info->untypedList[i];
        EXPECT(a->sizeBits >= seL4_MinUntypedBits && a->sizeBits <= seL4_MaxUntypedBits);
        /* Upstream aligns them where they would be in its window, which ends at 512 GiB. */
        if (e->is_ours || a->paddr < 1ul << 39)
            EXPECT_EQ(a->paddr & ((1ul << a->sizeBits) - 1), 0);
        EXPECT(a->paddr + (1ul << a->sizeBits) <= CONFIG_PADDR_USER_DEVICE_TOP);
        for (seL4_Word j = 0; j < i; j++) {
            const seL4_UntypedDesc *b = &info->untypedList[j];
            EXPECT(a->paddr + (1ul << a->sizeBits) <= b->paddr || b->paddr + (1ul << b->sizeBits) <= a->paddr);
        }
    }
}

TEST(bootinfo_device_untypeds_come_first_in_address_order)
{
    const seL4_BootInfo *info = e->bootinfo;

    EXPECT(info->untypedList[0].isDevice);
    EXPECT_EQ(info->untypedList[0].paddr, 0);
    EXPECT(!info->untypedList[slots_of(info->untyped) - 1].isDevice);
    for (seL4_Word i = 1; i < slots_of(info->untyped); i++) {
        const seL4_UntypedDesc *a = &info->untypedList[i - 1], *b = &info->untypedList[i];
        EXPECT(a->isDevice >= b->isDevice);
        EXPECT(!b->isDevice || a->paddr < b->paddr);
    }
}

/* Whether [START, END) touches an untyped that is device memory or not. */
static bool is_given_out(const seL4_BootInfo *info, seL4_Word start, seL4_Word end)
{
    for (seL4_Word i = 0; i < slots_of(info->untyped); i++) {
        const seL4_UntypedDesc *u = &info->untypedList[i];
        if (u->paddr < end && u->paddr + (1ul << u->sizeBits) > start)
            return true;
    }
    return false;
}

TEST(bootinfo_untypeds_spare_what_is_in_use)
{
    const seL4_BootInfo *info = e->bootinfo;

    for (seL4_SlotPos slot = info->userImageFrames.start; slot < info->userImageFrames.end; slot++)
        EXPECT(!is_given_out(info, physical(e, slot), physical(e, slot) + PAGE));
    EXPECT(!is_given_out(info, physical(e, seL4_CapBootInfoFrame), physical(e, seL4_CapBootInfoFrame) + PAGE));
    EXPECT(!is_given_out(info, 0xfee00000, 0xfee01000)); /* local APIC */
    EXPECT(!is_given_out(info, 0xfec00000, 0xfec01000)); /* I/O APIC */
    /* Addresses that interrupts are written to, as each kernel sees it. */
    if (e->is_ours)
        EXPECT(!is_given_out(info, 0xfee00000, 0xff000000));
    else
        EXPECT(!is_given_out(info, 0xfffffff8, 0x100000000));
}

TEST(bootinfo_ram_is_most_of_what_the_firmware_reports)
{
    const seL4_BootInfo *info = e->bootinfo;
    const seL4_X86_BootInfo_mmap_t *map =
        (const seL4_X86_BootInfo_mmap_t *)sel4_bootinfo_find(info, SEL4_BOOTINFO_HEADER_X86_MBMMAP);
    seL4_Word reported = 0, given = 0;

    EXPECT(map);
    EXPECT_EQ(map->header.len, sizeof *map);
    EXPECT(map->mmap_length > 0 && map->mmap_length <= sizeof map->mmap);
    EXPECT_EQ(map->mmap_length % sizeof map->mmap[0], 0);
    for (unsigned i = 0; i < map->mmap_length / sizeof map->mmap[0]; i++)
        if (map->mmap[i].type == SEL4_MULTIBOOT_RAM_REGION_TYPE)
            reported += map->mmap[i].length;
    for (seL4_Word i = 0; i < slots_of(info->untyped); i++)
        if (!info->untypedList[i].isDevice)
            given += 1ul << info->untypedList[i].sizeBits;
    EXPECT(given < reported);
    EXPECT(reported - given < 24ul << 20);
    if (e->is_ours)
        EXPECT(reported - given < (5ul << 20) + slots_of(info->userImageFrames) * PAGE);
}

TEST(bootinfo_ram_is_zero_when_it_is_first_used)
{
    const seL4_BootInfo *info = e->bootinfo;
    seL4_CPtr frame = new_slot(e), smallest = 0;
    seL4_Word bits = seL4_WordBits;

    /* The smallest of them: the harness works with another one. */
    for (seL4_Word i = 0; i < slots_of(info->untyped); i++) {
        const seL4_UntypedDesc *u = &info->untypedList[i];
        if (!u->isDevice && u->sizeBits >= seL4_PageBits && u->sizeBits < bits) {
            smallest = info->untyped.start + i;
            bits = u->sizeBits;
        }
    }
    EXPECT(smallest && smallest != e->untyped);
    EXPECT_OK(seL4_Untyped_Retype(smallest, seL4_X86_4K, 0, ROOT, 0, 0, frame, 1));
    map_structures(e, seL4_CapInitThreadVSpace, WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(frame, seL4_CapInitThreadVSpace, WINDOW, seL4_ReadWrite, 0));
    for (seL4_Word i = 0; i < PAGE / sizeof(seL4_Word); i++)
        EXPECT_EQ(((volatile seL4_Word *)WINDOW)[i], 0);
}

TEST(bootinfo_records_fill_what_is_said_of_them)
{
    const seL4_BootInfo *info = e->bootinfo;
    seL4_Word length = 0;

    for (const seL4_BootInfoHeader *r = NULL; (r = sel4_bootinfo_next(info, r));) {
        EXPECT(r->len >= sizeof *r);
        length += r->len;
    }
    EXPECT_EQ(length, info->extraLen);
}

TEST(bootinfo_has_the_acpi_root_pointer)
{
    const seL4_BootInfoHeader *record = sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_X86_ACPI_RSDP);
    uint8_t sum = 0;

    EXPECT(record);
    EXPECT_EQ(record->len, sizeof *record + 36);
    EXPECT(memcmp(record + 1, "RSD PTR ", 8) == 0);
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)(record + 1))[i]);
    EXPECT_EQ(sum, 0);
}

TEST(bootinfo_tsc_frequency_is_in_megahertz)
{
    const seL4_BootInfoHeader *record = sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_X86_TSC_FREQ);
    seL4_Uint32 mhz;

    EXPECT(record);
    EXPECT_EQ(record->len, sizeof *record + 4);
    memcpy(&mhz, record + 1, sizeof mhz);
    EXPECT(mhz >= 10 && mhz < 10000);
}

TEST(bootinfo_announces_this_kernel)
{
    const seL4_BootInfo_beaml4_t *own =
        (const seL4_BootInfo_beaml4_t *)sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_BEAML4);
    const seL4_BootInfoHeader *tsc = sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_X86_TSC_FREQ);
    seL4_Uint32 mhz;

    if (!e->is_ours)
        skip(e, "another kernel");
    EXPECT(own);
    EXPECT_EQ((seL4_Word)own % 8, 0);
    EXPECT_EQ(own->header.len, sizeof *own);
    EXPECT_EQ(own->version, SEL4_BEAML4_VERSION);
    EXPECT_EQ((own->features & SEL4_BEAML4_VTX) != 0, e->has_vtx);
    EXPECT_EQ((own->features & SEL4_BEAML4_SVM) != 0, e->has_svm);
    EXPECT_EQ(own->vtx_reason[0] != '\0', !e->has_vcpu);
    EXPECT(memchr(own->vtx_reason, '\0', sizeof own->vtx_reason));
    memcpy(&mhz, tsc + 1, sizeof mhz);
    EXPECT_EQ(own->tsc_hz / 1000000, mhz);
}

TEST(bootinfo_device_memory_can_be_mapped)
{
    const seL4_BootInfo *info = e->bootinfo;
    seL4_CPtr piece = new_slot(e), frame = new_slot(e);

    /* The first MiB, where the BIOS lies: its last 16 bytes are the reset vector's jump and the date. */
    EXPECT_EQ(info->untypedList[0].sizeBits, 20);
    EXPECT_OK(seL4_Untyped_Retype(info->untyped.start, seL4_UntypedObject, 19, ROOT, 0, 0, piece, 1));
    EXPECT_OK(seL4_CNode_Delete(ROOT, piece, ROOT_DEPTH));
    EXPECT_OK(seL4_Untyped_Retype(info->untyped.start, seL4_UntypedObject, 19, ROOT, 0, 0, piece, 1));
    EXPECT_OK(seL4_Untyped_Retype(piece, seL4_X86_4K, 0, ROOT, 0, 0, frame, 1));
    EXPECT_EQ(physical(e, frame), 0);
    EXPECT_EQ(seL4_Untyped_Retype(piece, seL4_TCBObject, 0, ROOT, 0, 0, new_slot(e), 1), seL4_InvalidArgument);
    map_structures(e, seL4_CapInitThreadVSpace, WINDOW, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(frame, seL4_CapInitThreadVSpace, WINDOW, seL4_CanRead, 0));
    /* The BIOS data area: how much base memory there is, in KiB. */
    seL4_Word base_memory = *(volatile uint16_t *)(WINDOW + 0x413);
    EXPECT(base_memory >= 512 && base_memory <= 640);
}
