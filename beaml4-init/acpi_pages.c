#include "beaml4-init/acpi_pages.h"

#define PAGE_BYTES (1ul << seL4_PageBits)

static bool map_next(struct acpi_pages *pages, uint64_t paddr)
{
    struct resources *resources = pages->resources;
    struct untyped *untyped;
    seL4_CPtr frame;

    if (unialloc_alloc_device(&resources->memory, paddr, seL4_PageBits, &untyped) != UNIALLOC_OK)
        return false;
    if (!resources_take_slot(resources, &frame)) {
        char *address = pages->window + pages->count * PAGE_BYTES;
        if (seL4_Untyped_Retype(untyped->slot, seL4_X86_4K, 0, INIT_CNODE, 0, 0, frame, 1) == seL4_NoError &&
            seL4_X86_Page_Map(frame, seL4_CapInitThreadVSpace, (seL4_Word)address, seL4_CanRead,
                              seL4_X86_Default_VMAttributes) == seL4_NoError) {
            pages->page[pages->count].untyped = untyped;
            pages->page[pages->count].frame = frame;
            pages->count++;
            return true;
        }
        seL4_CNode_Delete(INIT_CNODE, frame, INIT_DEPTH);
        resources_give_slot(resources, frame);
    }
    unialloc_free(&resources->memory, untyped);
    return false;
}

static void unmap_all(struct acpi_pages *pages)
{
    while (pages->count > 0) {
        pages->count--;
        seL4_CNode_Delete(INIT_CNODE, pages->page[pages->count].frame, INIT_DEPTH);
        resources_give_slot(pages->resources, pages->page[pages->count].frame);
        unialloc_free(&pages->resources->memory, pages->page[pages->count].untyped);
    }
}

const void *acpi_pages_read(void *context, uint64_t paddr, size_t bytes)
{
    struct acpi_pages *pages = context;
    uint64_t first = paddr & -PAGE_BYTES, end;

    unmap_all(pages);
    if (!pages->window)
        pages->window = resources_take_window(pages->resources, ACPI_PAGES_MAX);
    if (!pages->window || bytes == 0 || __builtin_add_overflow(paddr, bytes, &end) ||
        end - first > ACPI_PAGES_MAX * PAGE_BYTES)
        return NULL;
    for (uint64_t page = first; page < end; page += PAGE_BYTES)
        if (!map_next(pages, page))
            return NULL;
    return pages->window + (paddr - first);
}

void acpi_pages_close(struct acpi_pages *pages)
{
    unmap_all(pages);
    if (pages->window)
        resources_give_window(pages->resources, pages->window, ACPI_PAGES_MAX);
    pages->window = NULL;
}
