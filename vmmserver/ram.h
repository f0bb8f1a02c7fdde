/* The guest's RAM: frames that are mapped in the guest, unless that happens page by page in PV mode, and in the monitor.
 * Makes system calls. */
#pragma once

#include "algorithms/pagetable.h"
#include "ipc/vm_config.h"
#include "vmm/guest_memory.h"
#include "vmmserver/objects.h"

#include <stdint.h>

struct ram {
    struct objects *objects;
    bool has_second_level;        /* set before: the guest's memory is translated by an EPT, not by shadow page tables */
    struct pagetable guest, host; /* EPT, and the monitor's own address space */
    seL4_CPtr *frame;             /* without a second level: all frames in ascending order of guest addresses */
    uint64_t frame_count;
    /* NULL, or hears of each frame in ascending order of guest addresses. NULL, or why that is not well. */
    const char *(*share)(void *context, seL4_CPtr frame);
    void *context; /* of that */
    char problem[128];
};

/* BYTES of RAM (a multiple of 2 MiB) in pages of that size, as ipc/startup.h lays them out; fills MEMORY. RAM->share is
 * set before. NULL, or why not. */
const char *ram_make(struct ram *ram, struct objects *objects, uint64_t bytes, enum vm_pages pages,
                     struct guest_memory *memory);
