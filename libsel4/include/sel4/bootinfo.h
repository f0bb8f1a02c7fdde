/* What the kernel tells the root task: one page of struct, and records in the pages behind it. */
#pragma once

#include <sel4/types.h>

typedef struct seL4_SlotRegion {
    seL4_SlotPos start;
    seL4_SlotPos end; /* the first slot behind the region */
} seL4_SlotRegion;

typedef struct seL4_UntypedDesc {
    seL4_Word paddr;
    seL4_Uint8 sizeBits;
    seL4_Uint8 isDevice;
    seL4_Uint8 padding[6];
} seL4_UntypedDesc;

typedef struct seL4_BootInfo {
    seL4_Word extraLen; /* bytes of the records behind this page */
    seL4_NodeId nodeID;
    seL4_Word numNodes;
    seL4_Word numIOPTLevels; /* 0: no IOMMU */
    seL4_IPCBuffer *ipcBuffer;
    seL4_SlotRegion empty;
    seL4_SlotRegion sharedFrames;
    seL4_SlotRegion userImageFrames;
    seL4_SlotRegion userImagePaging;
    seL4_SlotRegion ioSpaceCaps;
    seL4_SlotRegion extraBIPages;
    seL4_Word initThreadCNodeSizeBits;
    seL4_Domain initThreadDomain;
    seL4_SlotRegion untyped;
    seL4_UntypedDesc untypedList[CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS];
} seL4_BootInfo;

/* Head of a record; LEN counts the head as well. */
typedef struct seL4_BootInfoHeader {
    seL4_Word id; /* seL4_BootInfoID, or one of sel4/beaml4.h */
    seL4_Word len;
} seL4_BootInfoHeader;

#define SEL4_MULTIBOOT_MAX_MMAP_ENTRIES 50
#define SEL4_MULTIBOOT_RAM_REGION_TYPE  1

/* One range of the firmware's memory map. */
typedef struct seL4_X86_mb_mmap {
    seL4_Uint32 size; /* of this record without the field itself */
    seL4_Uint64 base_addr;
    seL4_Uint64 length;
    seL4_Uint32 type; /* SEL4_MULTIBOOT_RAM_REGION_TYPE: RAM */
} SEL4_PACKED seL4_X86_mb_mmap_t;

/* SEL4_BOOTINFO_HEADER_X86_MBMMAP */
typedef struct seL4_X86_BootInfo_mmap {
    seL4_BootInfoHeader header;
    seL4_Uint32 mmap_length; /* bytes used of the array */
    seL4_X86_mb_mmap_t mmap[SEL4_MULTIBOOT_MAX_MMAP_ENTRIES];
} SEL4_PACKED seL4_X86_BootInfo_mmap_t;

/* What follows the header of SEL4_BOOTINFO_HEADER_X86_FRAMEBUFFER. */
typedef struct seL4_X86_BootInfo_fb {
    seL4_Uint64 addr;
    seL4_Uint32 pitch;
    seL4_Uint32 width;
    seL4_Uint32 height;
    seL4_Uint8 bpp;
    seL4_Uint8 type;
} SEL4_PACKED seL4_X86_BootInfo_fb_t;

/* The record behind PREVIOUS, the first one when that is NULL; NULL at the end or where a record is malformed. */
LIBSEL4_INLINE const seL4_BootInfoHeader *sel4_bootinfo_next(const seL4_BootInfo *info,
                                                             const seL4_BootInfoHeader *previous)
{
    const char *first = (const char *)info + seL4_BootInfoFrameSize;
    seL4_Word offset = previous ? (seL4_Word)((const char *)previous - first) + previous->len : 0;
    const seL4_BootInfoHeader *record = (const seL4_BootInfoHeader *)(first + offset);

    if (offset > info->extraLen || info->extraLen - offset < sizeof *record)
        return (const seL4_BootInfoHeader *)0;
    if (record->len < sizeof *record || record->len > info->extraLen - offset)
        return (const seL4_BootInfoHeader *)0;
    return record;
}

/* The first record of that ID, or NULL. */
LIBSEL4_INLINE const seL4_BootInfoHeader *sel4_bootinfo_find(const seL4_BootInfo *info, seL4_Word id)
{
    const seL4_BootInfoHeader *record = (const seL4_BootInfoHeader *)0;

    while ((record = sel4_bootinfo_next(info, record)) && record->id != id)
        ;
    return record;
}
