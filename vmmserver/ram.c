#include "vmmserver/ram.h"

#include <stdio.h>
#include <stdlib.h>

/* Handles of the trees are capabilities. */
static void destroy_table(void *context, unsigned level, uint64_t handle)
{
    (void)context;
    (void)level;
    (void)handle; /* objects live as long as the VM */
}

static bool attach_guest(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    (void)context;
    switch (level) {
    case 0:  return seL4_X86_EPTPT_Map(handle, SLOT_VM_EPT_ROOT, address, seL4_X86_EPT_WriteBack) == seL4_NoError;
    case 1:  return seL4_X86_EPTPD_Map(handle, SLOT_VM_EPT_ROOT, address, seL4_X86_EPT_WriteBack) == seL4_NoError;
    default: return seL4_X86_EPTPDPT_Map(handle, SLOT_VM_EPT_ROOT, address, seL4_X86_EPT_WriteBack) == seL4_NoError;
    }
}

static void detach_guest(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    (void)context;
    (void)address;
    switch (level) {
    case 0:  seL4_X86_EPTPT_Unmap(handle); break;
    case 1:  seL4_X86_EPTPD_Unmap(handle); break;
    default: seL4_X86_EPTPDPT_Unmap(handle); break;
    }
}

static bool map_guest(void *context, unsigned level, uint64_t address, uint64_t handle, uint64_t attributes)
{
    (void)context;
    (void)level;
    return seL4_X86_Page_MapEPT(handle, SLOT_VM_EPT_ROOT, address, seL4_ReadWrite,
                                (seL4_X86_EPT_VMAttributes)attributes) == seL4_NoError;
}

static bool attach_host(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    (void)context;
    switch (level) {
    case 0:  return seL4_X86_PageTable_Map(handle, SLOT_VSPACE, address, seL4_X86_WriteBack) == seL4_NoError;
    case 1:  return seL4_X86_PageDirectory_Map(handle, SLOT_VSPACE, address, seL4_X86_WriteBack) == seL4_NoError;
    default: return seL4_X86_PDPT_Map(handle, SLOT_VSPACE, address, seL4_X86_WriteBack) == seL4_NoError;
    }
}

static void detach_host(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    (void)context;
    (void)address;
    switch (level) {
    case 0:  seL4_X86_PageTable_Unmap(handle); break;
    case 1:  seL4_X86_PageDirectory_Unmap(handle); break;
    default: seL4_X86_PDPT_Unmap(handle); break;
    }
}

static bool map_host(void *context, unsigned level, uint64_t address, uint64_t handle, uint64_t attributes)
{
    (void)context;
    (void)level;
    return seL4_X86_Page_Map(handle, SLOT_VSPACE, address, seL4_ReadWrite, (seL4_X86_VMAttributes)attributes) ==
           seL4_NoError;
}

static void unmap_page(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    (void)context;
    (void)level;
    (void)address;
    seL4_X86_Page_Unmap(handle);
}

static bool make_guest_table(void *context, unsigned level, uint64_t *handle)
{
    static const seL4_Word types[] = { seL4_X86_EPTPTObject, seL4_X86_EPTPDObject, seL4_X86_EPTPDPTObject };
    struct ram *ram = context;

    return objects_make(ram->objects, types[level], seL4_PageBits, handle);
}

static bool make_host_table(void *context, unsigned level, uint64_t *handle)
{
    static const seL4_Word types[] = { seL4_X86_PageTableObject, seL4_X86_PageDirectoryObject, seL4_X86_PDPTObject };
    struct ram *ram = context;

    return objects_make(ram->objects, types[level], seL4_PageBits, handle);
}

static void *allocate(uint64_t bytes)
{
    return malloc(bytes);
}

static const struct pagetable_operations guest_operations = {
    .make_table = make_guest_table, .destroy_table = destroy_table,
    .attach_table = attach_guest, .detach_table = detach_guest,
    .map_page = map_guest, .unmap_page = unmap_page,
    .allocate = allocate, .release = free,
};

static const struct pagetable_operations host_operations = {
    .make_table = make_host_table, .destroy_table = destroy_table,
    .attach_table = attach_host, .detach_table = detach_host,
    .map_page = map_host, .unmap_page = unmap_page,
    .allocate = allocate, .release = free,
};

static const char *fail(struct ram *ram, const char *what, uint64_t address, const char *cause)
{
    snprintf(ram->problem, sizeof ram->problem, "RAM at %lx cannot be %s: %s", address, what, cause);
    return ram->problem;
}

static const char *map_frame(struct ram *ram, unsigned level, uint64_t address, seL4_CPtr frame, seL4_CPtr copy)
{
    enum pagetable_error error = PAGETABLE_OK;

    if (ram->has_second_level)
        error = pagetable_map(&ram->guest, level, address, frame, seL4_X86_EPT_WriteBack);
    else
        ram->frame[ram->frame_count++] = frame;
    if (error != PAGETABLE_OK)
        return fail(ram, "mapped in the guest", address, pagetable_error_text(error));
    if (!objects_copy(frame, copy))
        return fail(ram, "mapped in the monitor", address, "its capability cannot be copied");
    error = pagetable_map(&ram->host, level, GUEST_RAM_BASE + address, copy, seL4_X86_WriteBack);
    if (error != PAGETABLE_OK)
        return fail(ram, "mapped in the monitor", address, pagetable_error_text(error));
    const char *problem = ram->share ? ram->share(ram->context, frame) : NULL;
    return problem ? fail(ram, "shared", address, problem) : NULL;
}

static const char *make_region(struct ram *ram, uint64_t start, uint64_t bytes, unsigned level)
{
    unsigned size_bits = level == 0 ? seL4_PageBits : seL4_LargePageBits;
    seL4_Word type = level == 0 ? seL4_X86_4K : seL4_X86_LargePageObject;
    seL4_CPtr frame, copy;

    for (uint64_t done = 0; done < bytes;) {
        uint64_t left = (bytes - done) >> size_bits;
        unsigned count = objects_make_many(ram->objects, type, size_bits,
                                           left < OBJECTS_RUN_MAX ? (unsigned)left : OBJECTS_RUN_MAX, &frame);

        if (count == 0 || !objects_take_slots(ram->objects, count, &copy))
            return fail(ram, "made", start + done, "init gave too little memory for it");
        for (unsigned i = 0; i < count; i++, done += UINT64_C(1) << size_bits) {
            const char *problem = map_frame(ram, level, start + done, frame + i, copy + i);
            if (problem)
                return problem;
        }
    }
    return NULL;
}

const char *ram_make(struct ram *ram, struct objects *objects, uint64_t bytes, enum vm_pages pages,
                     struct guest_memory *memory)
{
    unsigned level = ram->has_second_level && pages == VM_PAGES_SMALL ? 0 : 1;
    uint64_t low = bytes < GUEST_LOW_RAM_BYTES ? bytes : GUEST_LOW_RAM_BYTES, high = bytes - low;
    const char *problem;

    ram->objects = objects;
    if (!ram->has_second_level && !(ram->frame = calloc(bytes >> seL4_LargePageBits, sizeof ram->frame[0])))
        return "no memory to keep account of guest memory";
    if ((ram->has_second_level &&
         pagetable_init(&ram->guest, &pagetable_ept, NULL, &guest_operations, ram) != PAGETABLE_OK) ||
        pagetable_init(&ram->host, &pagetable_x86_64, NULL, &host_operations, ram) != PAGETABLE_OK)
        return "no memory to keep account of guest memory";
    objects_expect(objects, 2 * (bytes >> (level == 0 ? seL4_PageBits : seL4_LargePageBits)));
    if ((problem = make_region(ram, 0, low, level)) || (problem = make_region(ram, GUEST_HIGH_RAM_START, high, level)))
        return problem;

    *memory = (struct guest_memory) {
        .count = high ? 2 : 1,
        .region[0] = { .start = 0, .length = low, .host = (uint8_t *)GUEST_RAM_BASE },
        .region[1] = { .start = GUEST_HIGH_RAM_START, .length = high,
                       .host = (uint8_t *)GUEST_RAM_BASE + GUEST_HIGH_RAM_START },
    };
    return NULL;
}
