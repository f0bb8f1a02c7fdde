/* Inside of the address spaces: what vspace.c, paging.c, frame.c, asid.c and ept.c share. */
#pragma once

#include <object/vspace.h>

/* Levels count from the table of the smallest pages. */
enum paging_level { LEVEL_PAGE_TABLE, LEVEL_PAGE_DIRECTORY, LEVEL_PDPT, LEVEL_PML4 };

#define PAGING_ENTRIES 512u

/* Entries of all levels (SDM 3A 4.5). */
#define ENTRY_PRESENT    (1ul << 0)
#define ENTRY_WRITABLE   (1ul << 1)
#define ENTRY_USER       (1ul << 2)
#define ENTRY_PAT        (1ul << 7) /* in a page table */
#define ENTRY_LARGE      (1ul << 7) /* in a directory or PDPT, also of the second level (SDM 3C 29.3.2) */
#define ENTRY_LARGE_PAT  (1ul << 12)
#define ENTRY_NO_EXECUTE (1ul << 63)
#define ENTRY_ADDRESS    0x000ffffffffff000ul

/* In the kernel's own entry of a PML4, where the processor ignores it: user mappings may lie in the upper half, too. */
#define ENTRY_HIGH_HALF_OPEN (1ul << 9)

/* The last address of the lower half, where user mappings lie unless more is opened. The kernel's slot is in the
 * upper half. */
#define USER_LAST 0x00007ffffffffffful

/* log2 of the bytes that an entry in a table of that level covers. */
static inline unsigned paging_shift(unsigned level)
{
    return 12 + 9 * level;
}

/* The entry for ADDRESS in the table of LEVEL below ROOT; an entry with none of the bits PRESENT leads nowhere. NULL where
 * the table is missing; then *MISSING_BITS are the address bits that stayed unresolved. */
uint64_t *paging_entry(uint64_t root, uint64_t address, unsigned level, uint64_t present, unsigned *missing_bits);

/* Whether the entry in a table of LEVEL is a page rather than a table. */
static inline bool paging_is_page(uint64_t entry, unsigned level)
{
    return level == LEVEL_PAGE_TABLE || (entry & ENTRY_LARGE);
}

/* The address of the page in an entry of a table of LEVEL. */
static inline uint64_t paging_page_address(uint64_t entry, unsigned level)
{
    return entry & ENTRY_ADDRESS & -(1ul << paging_shift(level));
}

/* Whether ADDRESS is one of the upper half at which the address space ROOT may have user mappings: nothing in this half is, before
 * it has been opened. What is mapped lies within one entry of the PML4. */
bool paging_is_open(uint64_t root, uint64_t address);

/* Whether a page of SIZE bytes may be mapped at ADDRESS in the address space ROOT. */
bool paging_is_for_user(uint64_t root, uint64_t address, uint64_t size);

void paging_open(uint64_t root);

/* Processors forget a translation, or all of those, of the address space ROOT. */
void paging_invalidate_page(struct cpu *cpu, uint64_t root, uint64_t address);
void paging_invalidate_all(struct cpu *cpu, uint64_t root);

/* No processor uses the address space ROOT any more. */
void paging_leave(struct cpu *cpu, uint64_t root);

/* Invocations and end of CAP_PAGE_TABLE, CAP_PAGE_DIRECTORY, CAP_PDPT. */
void paging_invoke(struct invocation *call);
void paging_finalise(struct cpu *cpu, struct cap cap);

/* Invocations and end of CAP_FRAME. */
void frame_init(void);
void frame_invoke(struct invocation *call);
void frame_finalise(struct cpu *cpu, struct cap cap);
/* Bits of an entry that maps a page of that level as a user wants it: ATTRIBUTES are seL4_X86_VMAttributes. */
uint64_t frame_entry(uint64_t physical, unsigned level, unsigned rights, uint64_t attributes);

/* Invocations of CAP_PML4, all of them beyond upstream's. */
void vspace_root_invoke(struct invocation *call);

/* What an ASID stands for. */
enum asid_use { ASID_FREE, ASID_VSPACE, ASID_EPT };

/* An element of a pool (asid.c): the physical address of a root, with its use in the low bits. */
#define ASID_USE_MASK 3ul

/* The root of an ASID of that use; 0 where there is none. */
static inline uint64_t asid_find(unsigned asid, enum asid_use use)
{
    const uint64_t *pool = kernel.asid_pools[asid >> ASID_POOL_BITS];
    uint64_t element = pool ? pool[asid & ((1u << ASID_POOL_BITS) - 1)] : 0;

    return (element & ASID_USE_MASK) == use ? element & ~ASID_USE_MASK : 0;
}

/* Whether the ASID in the root capability ROOT (CAP_PML4, CAP_EPT_PML4) leads to its object; otherwise fails the call. */
bool asid_check_root(struct invocation *call, struct cap root);

/* The last capability to that root is going. */
void asid_release(struct cpu *cpu, struct cap root);

/* Invocations of CAP_ASID_CONTROL and CAP_ASID_POOL, and the end of a pool. */
void asid_control_invoke(struct invocation *call);
void asid_pool_invoke(struct invocation *call);
void asid_pool_finalise(struct cpu *cpu, struct cap cap);
