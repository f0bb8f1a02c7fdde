/* The page tables that the processor uses for a guest in PV mode: objects of the kernel, for the shadow page tables to
 * arrange (vmm/pv/shadow.h). Makes system calls; this header does not. */
#pragma once

#include "vmm/pv/shadow.h"

#include <stdbool.h>
#include <stdint.h>

/* Where objects come from; all capabilities. */
struct mapping_source {
    void *context;
    /* An object of 4 KiB of one of these kinds in an empty slot; false: no memory is left for it. */
    bool (*make)(void *context, uint64_t type, uint64_t slot);
    uint64_t asid_pool;
    uint64_t table_slot; /* MAPPING_TABLE_SLOTS empty slots in a row */
    uint64_t page_slot;  /* as many as there are pages in the pool */
    const uint64_t *frame; /* the frames of 2 MiB of guest RAM, in ascending order of guest addresses */
    const struct guest_memory *memory;
    bool high_half;      /* the upper half of an address space can be mapped */
    struct shadow_limits limits;
};

#define MAPPING_TABLE_SLOTS 4096u

struct mapping {
    struct mapping_source source;
    struct { unsigned first, count; } pool[4]; /* of the slots: what is there of page tables, directories, PDPTs, roots */
    uint64_t map_calls, unmap_calls, mapped;
};

enum { MAPPING_ROOTS = 3 };

/* False: the limits do not fit in. */
bool mapping_init(struct mapping *mapping, const struct mapping_source *source);

/* An address space for the guest's thread to begin in. It stays empty. False: none to be had. */
bool mapping_make_empty(struct mapping *mapping, uint64_t *root);

/* The capability of a root. */
uint64_t mapping_root(const struct mapping *mapping, unsigned root);

/* CONTEXT is the mapping. */
extern const struct shadow_operations mapping_operations;
