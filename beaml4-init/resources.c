#include "beaml4-init/resources.h"

#include <stdlib.h>

/* Far from the image and from what the kernel maps behind it: one page table's worth of pages. */
#define WINDOW_BASE  0x10000000000ul
#define WINDOW_PAGES 512u

extern const char __image_start[];

static void *zeroed(uint64_t bytes)
{
    return calloc(1, bytes);
}

static void *allocate(uint64_t bytes)
{
    return malloc(bytes);
}

static bool split_untyped(void *context, uint64_t slot, unsigned size_bits, uint64_t first_slot)
{
    (void)context;
    return seL4_Untyped_Retype(slot, seL4_UntypedObject, size_bits, INIT_CNODE, 0, 0, first_slot, 2) == seL4_NoError;
}

static void remove_capability(void *context, uint64_t slot)
{
    (void)context;
    seL4_CNode_Delete(INIT_CNODE, slot, INIT_DEPTH);
}

static bool take_two_slots(void *context, uint64_t *first_slot)
{
    struct resources *resources = context;

    return idalloc_alloc_run(&resources->slots, 2, first_slot) == IDALLOC_OK;
}

static void give_two_slots(void *context, uint64_t first_slot)
{
    struct resources *resources = context;

    idalloc_free(&resources->slots, first_slot);
    idalloc_free(&resources->slots, first_slot + 1);
}

static const struct unialloc_operations operations = {
    .split = split_untyped,
    .remove = remove_capability,
    .take_slots = take_two_slots,
    .give_slots = give_two_slots,
    .allocate = allocate,
    .release = free,
};

/* Upstream's last untyped of device addresses is larger than its alignment; what cannot be split into aligned halves is
 * left aside. */
static const char *add_untypeds(struct resources *resources)
{
    const seL4_BootInfo *info = resources->bootinfo;

    for (seL4_Word i = 0; i < info->untyped.end - info->untyped.start; i++) {
        const seL4_UntypedDesc *untyped = &info->untypedList[i];
        enum unialloc_error error = unialloc_add(&resources->memory, info->untyped.start + i, untyped->paddr,
                                                 untyped->sizeBits, untyped->isDevice);
        if (error != UNIALLOC_OK && error != UNIALLOC_BAD_SIZE)
            return unialloc_error_text(error);
    }
    return NULL;
}

/* The paging structures above the window stay for good. */
static const char *open_window(struct resources *resources)
{
    static const seL4_Word type[3] = { seL4_X86_PDPTObject, seL4_X86_PageDirectoryObject, seL4_X86_PageTableObject };
    seL4_CPtr slot[3];
    struct untyped *untyped;
    const char *problem;

    if (unialloc_alloc(&resources->memory, 14, &untyped) != UNIALLOC_OK)
        return "no memory for init's own paging structures";
    for (unsigned i = 0; i < 3; i++) {
        if ((problem = resources_take_slot(resources, &slot[i])))
            return problem;
        if (seL4_Untyped_Retype(untyped->slot, type[i], 0, INIT_CNODE, 0, 0, slot[i], 1) != seL4_NoError)
            return "the kernel made no paging structure";
    }
    if (seL4_X86_PDPT_Map(slot[0], seL4_CapInitThreadVSpace, WINDOW_BASE, seL4_X86_Default_VMAttributes) ||
        seL4_X86_PageDirectory_Map(slot[1], seL4_CapInitThreadVSpace, WINDOW_BASE, seL4_X86_Default_VMAttributes) ||
        seL4_X86_PageTable_Map(slot[2], seL4_CapInitThreadVSpace, WINDOW_BASE, seL4_X86_Default_VMAttributes))
        return "the kernel did not map init's own paging structures";
    if (idalloc_init(&resources->window, 0, WINDOW_PAGES, zeroed) != IDALLOC_OK)
        return "no memory for bookkeeping";
    return NULL;
}

const char *resources_open(struct resources *resources, const seL4_BootInfo *bootinfo)
{
    const char *problem;

    *resources = (struct resources) { .bootinfo = bootinfo };
    if (idalloc_init(&resources->slots, bootinfo->empty.start, bootinfo->empty.end - bootinfo->empty.start, zeroed) !=
        IDALLOC_OK)
        return "no capability slots, or no memory for bookkeeping";
    unialloc_init(&resources->memory, &operations, resources);
    if ((problem = add_untypeds(resources)))
        return problem;
    resources->all_bytes = resources->memory.free_bytes;
    return open_window(resources);
}

struct totals resources_totals(const struct resources *resources)
{
    return (struct totals) {
        .bytes = resources->memory.free_bytes,
        .slots = idalloc_free_count(&resources->slots),
    };
}

const char *resources_take_slot(struct resources *resources, seL4_CPtr *slot)
{
    switch (idalloc_alloc(&resources->slots, slot)) {
    case IDALLOC_OK:
        return NULL;
    case IDALLOC_EXHAUSTED:
        return "no capability slots left";
    default:
        return "no memory left for bookkeeping";
    }
}

void resources_give_slot(struct resources *resources, seL4_CPtr slot)
{
    idalloc_free(&resources->slots, slot);
}

seL4_CPtr resources_image_frame(const struct resources *resources, const void *address)
{
    const seL4_SlotRegion *frames = &resources->bootinfo->userImageFrames;
    seL4_Word page = ((seL4_Word)address - (seL4_Word)__image_start) >> seL4_PageBits;

    if ((seL4_Word)address < (seL4_Word)__image_start || page >= frames->end - frames->start)
        return seL4_CapNull;
    return frames->start + page;
}

void *resources_take_window(struct resources *resources, unsigned count)
{
    uint64_t page;

    if (idalloc_alloc_run(&resources->window, count, &page) != IDALLOC_OK)
        return NULL;
    return (void *)(WINDOW_BASE + (page << seL4_PageBits));
}

const char *resources_map_page(struct resources *resources, seL4_CPtr frame, seL4_CapRights_t rights, void **address)
{
    void *page = resources_take_window(resources, 1);

    if (!page)
        return "no room in init's address space";
    if (seL4_X86_Page_Map(frame, seL4_CapInitThreadVSpace, (seL4_Word)page, rights, seL4_X86_Default_VMAttributes) !=
        seL4_NoError) {
        resources_give_window(resources, page, 1);
        return "the kernel mapped no page for init";
    }
    *address = page;
    return NULL;
}

void resources_give_window(struct resources *resources, void *address, unsigned count)
{
    uint64_t page = ((uintptr_t)address - WINDOW_BASE) >> seL4_PageBits;

    for (unsigned i = 0; i < count; i++)
        idalloc_free(&resources->window, page + i);
}
