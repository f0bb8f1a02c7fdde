/* The guest's four-level page tables (SDM 3A 4.5) as the software TLB reads them: each entry once, with its place, so
 * that what is made of it can be found again when it is written. (vmm/guest_walk.h is for accesses that the monitor
 * itself makes; it does not tell which entries took part.) */
#pragma once

#include "vmm/guest_memory.h"
#include "vmm/paging_bits.h"

#include <stdbool.h>
#include <stdint.h>

/* Levels count from 0, the one of 4 KiB pages. */
#define SHADOW_LEVELS 4u
#define SHADOW_ROOT   3u

/* log2 of what an entry of a level covers. */
static inline unsigned shadow_shift(unsigned level)
{
    return 12 + 9 * level;
}

static inline unsigned shadow_index(uint64_t address, unsigned level)
{
    return address >> shadow_shift(level) & 511;
}

struct shadow_paging {
    uint64_t root;     /* guest physical address of the PML4 */
    uint64_t reserved; /* bits of all entries that must be 0: addresses that the CPU does not have, NX if it is off */
    bool write_protect, no_execute; /* CR0.WP, EFER.NXE */
    bool user;
};

enum shadow_access { SHADOW_READS, SHADOW_WRITES, SHADOW_FETCHES };

struct shadow_walk {
    unsigned leaf;                  /* level of the entry that is a page: 0, 1 (2 MiB) or 2 (1 GiB) */
    uint64_t table[SHADOW_LEVELS];  /* guest physical addresses of the tables, from the root down to level LEAF */
    /* What the entry of a level stands for: address, ENTRY_LARGE if it is a page above level 0, and the rights of all
     * levels down to it (ENTRY_WRITE and ENTRY_USER if all have it, ENTRY_NO_EXECUTE if one has it). */
    uint64_t meaning[SHADOW_LEVELS];
    bool dirty;
    uint64_t physical;
};

enum shadow_walk_result {
    SHADOW_WALKED,
    SHADOW_WALK_FAULT,
    SHADOW_WALK_CHANGED, /* an entry changed in the meantime: a processor would start again */
};

/* Translates as a processor does, with accessed and dirty flags; *ERROR is for a page fault. What is no RAM reads as
 * ones, as on a bus where nobody answers. */
enum shadow_walk_result shadow_walk(const struct guest_memory *memory, const struct shadow_paging *paging,
                                    uint64_t address, enum shadow_access access, struct shadow_walk *walk,
                                    uint32_t *error);

/* The meaning of an entry of LEVEL below entries with the rights of UPPER; false: it is not present, or not valid. */
bool shadow_entry_meaning(const struct shadow_paging *paging, uint64_t entry, unsigned level, uint64_t upper,
                          uint64_t *meaning);
