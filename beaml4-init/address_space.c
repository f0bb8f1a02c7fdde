#include "beaml4-init/address_space.h"

#include <stdlib.h>
#include <string.h>

/* A mapped frame needs a slot for as long as it is mapped; they are kept in CNodes of this radix, out of init's. */
#define STORE_BITS 10u

#define PAGE_BYTES (1ul << seL4_PageBits)

static bool make_table(void *context, unsigned level, uint64_t *handle)
{
    static const seL4_Word type[3] = { seL4_X86_PageTableObject, seL4_X86_PageDirectoryObject, seL4_X86_PDPTObject };
    struct address_space *space = context;

    return !pool_make(space->pool, type[level], 0, handle);
}

/* Tables live as long as the pool. */
static void keep_table(void *context, unsigned level, uint64_t handle)
{
    (void)context;
    (void)level;
    (void)handle;
}

static bool attach_table(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    struct address_space *space = context;

    switch (level) {
    case 0:
        return seL4_X86_PageTable_Map(handle, space->root, address, seL4_X86_Default_VMAttributes) == seL4_NoError;
    case 1:
        return seL4_X86_PageDirectory_Map(handle, space->root, address, seL4_X86_Default_VMAttributes) == seL4_NoError;
    default:
        return seL4_X86_PDPT_Map(handle, space->root, address, seL4_X86_Default_VMAttributes) == seL4_NoError;
    }
}

static void detach_table(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    (void)context;
    (void)address;
    switch (level) {
    case 0:
        seL4_X86_PageTable_Unmap(handle);
        break;
    case 1:
        seL4_X86_PageDirectory_Unmap(handle);
        break;
    default:
        seL4_X86_PDPT_Unmap(handle);
        break;
    }
}

static bool map_page(void *context, unsigned level, uint64_t address, uint64_t handle, uint64_t attributes)
{
    struct address_space *space = context;
    seL4_CapRights_t rights = { { attributes } };

    (void)level;
    return seL4_X86_Page_Map(handle, space->root, address, rights, seL4_X86_Default_VMAttributes) == seL4_NoError;
}

static void unmap_page(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    (void)context;
    (void)level;
    (void)address;
    seL4_X86_Page_Unmap(handle);
}

static void *allocate(uint64_t bytes)
{
    return malloc(bytes);
}

static const struct pagetable_operations operations = {
    .make_table = make_table,
    .destroy_table = keep_table,
    .attach_table = attach_table,
    .detach_table = detach_table,
    .map_page = map_page,
    .unmap_page = unmap_page,
    .allocate = allocate,
    .release = free,
};

const char *address_space_open(struct address_space *space, struct pool *pool)
{
    const char *problem;

    *space = (struct address_space) { .pool = pool, .store_used = 1u << STORE_BITS };
    if ((problem = pool_make(pool, seL4_X64_PML4Object, 0, &space->root)) ||
        (problem = pool_take_slot(pool, &space->passage)))
        return problem;
    if (seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, space->root) != seL4_NoError)
        return "the kernel has no identifier left for an address space";
    enum pagetable_error error = pagetable_init(&space->tree, &pagetable_x86_64, NULL, &operations, space);
    return error == PAGETABLE_OK ? NULL : pagetable_error_text(error);
}

/* Maps the frame in the passage and puts its capability where it stays. */
static const char *map_passage(struct address_space *space, uint64_t address, seL4_CapRights_t rights)
{
    if (space->store_used == 1u << STORE_BITS) {
        const char *problem = pool_make(space->pool, seL4_CapTableObject, STORE_BITS, &space->store);
        if (problem)
            return problem;
        space->store_used = 0;
    }
    enum pagetable_error error = pagetable_map(&space->tree, 0, address, space->passage, rights.words[0]);
    if (error != PAGETABLE_OK)
        return pagetable_error_text(error);
    if (seL4_CNode_Move(space->store, space->store_used, STORE_BITS, INIT_CNODE, space->passage, INIT_DEPTH) !=
        seL4_NoError)
        return "the kernel moved no capability";
    space->store_used++;
    return NULL;
}

/* Writes to the frame in the passage through a page of init's window. */
static const char *fill_passage(struct address_space *space, const void *content, size_t offset, size_t length)
{
    struct resources *resources = space->pool->resources;
    void *page;
    const char *problem = resources_map_page(resources, space->passage, seL4_ReadWrite, &page);

    if (problem)
        return problem;
    memcpy((char *)page + offset, content, length);
    seL4_X86_Page_Unmap(space->passage);
    resources_give_window(resources, page, 1);
    return NULL;
}

const char *address_space_fill_page(struct address_space *space, uint64_t address, seL4_CapRights_t rights,
                                    const void *content, size_t offset, size_t length)
{
    const char *problem = pool_make_in(space->pool, seL4_X86_4K, 0, space->passage);

    if (!problem && length > 0)
        problem = fill_passage(space, content, offset, length);
    if (!problem)
        problem = map_passage(space, address, rights);
    if (!problem)
        space->pages_made++;
    return problem;
}

const char *address_space_zero_pages(struct address_space *space, uint64_t address, uint64_t bytes)
{
    const char *problem = NULL;

    for (uint64_t offset = 0; offset < bytes && !problem; offset += PAGE_BYTES)
        problem = address_space_fill_page(space, address + offset, seL4_ReadWrite, NULL, 0, 0);
    return problem;
}

const char *address_space_share_page(struct address_space *space, uint64_t address, seL4_CPtr frame,
                                     seL4_CapRights_t rights)
{
    if (seL4_CNode_Copy(INIT_CNODE, space->passage, INIT_DEPTH, INIT_CNODE, frame, INIT_DEPTH, rights) != seL4_NoError)
        return "the kernel copied no capability of a frame";
    return map_passage(space, address, rights);
}

void address_space_seal(struct address_space *space)
{
    if (space->tree.root)
        pagetable_forget(&space->tree);
}
