/* Page tables of a machine that the software TLB fills, for its tests: holds the operations to what they promise, and
 * tells what an access would find. */
#pragma once

#include "vmm/pv/shadow.h"

#include <stdbool.h>
#include <stdint.h>

#define MMU_ROOTS  64u
#define MMU_TABLES 64u /* of each level */
#define MMU_PAGES  1024u

struct mmu_entry {
    enum { MMU_NOTHING, MMU_TABLE, MMU_PAGE } kind;
    unsigned number;
};

struct mmu_table {
    bool attached;
    unsigned root;
    struct mmu_entry *parent;
    struct mmu_entry entry[512];
};

struct mmu_page {
    bool mapped;
    unsigned root, flags;
    uint64_t address, physical;
    struct mmu_entry *entry;
};

struct fake_mmu {
    unsigned roots, tables[3];           /* made */
    unsigned roots_left, tables_left[3]; /* make_… says no when there is none left */
    unsigned maps_left;                  /* pages, that is; UINT_MAX: any number */
    bool refuse_attach, large;
    struct mmu_table root[MMU_ROOTS];
    struct mmu_table table[3][MMU_TABLES];
    struct mmu_page page[MMU_PAGES];
    unsigned calls_of_map, calls_of_unmap, pages_mapped, pages_unmapped;
};

extern const struct shadow_operations fake_mmu_operations;

void fake_mmu_init(struct fake_mmu *mmu);

/* What is mapped at ADDRESS in that root; NULL: nothing. */
const struct mmu_page *fake_mmu_find(const struct fake_mmu *mmu, unsigned root, uint64_t address);
unsigned fake_mmu_count(const struct fake_mmu *mmu, unsigned root); /* pages mapped there */
