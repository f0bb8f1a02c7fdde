/* The software TLB of PV mode: which pages of a guest's memory are mapped where, so that real page tables allow what
 * the guest's own tables allow and nothing else. Pure: real tables and mappings are made by the caller's operations.
 *
 * Each address space of the guest (a CR3) has two roots: what its kernel may do (pages of both kinds, CR0.WP counts)
 * and what its users may do (pages with U/S set in all levels). Both run in ring 3, so that the root is what tells
 * them apart. A root is filled lazily, by shadow_fault, and kept over loads of CR3.
 *
 * Why a kept root is right: a page of the guest's RAM out of which an entry has been used is *tracked*, which is to say
 * mapped writable nowhere. The guest's write to it faults, is carried out by the caller, and shadow_written drops what
 * came from the entries that were written, in all roots, there and then. The shadow is thus never older than the
 * guest's tables, which is stricter than a processor's TLB: INVLPG, loads of CR3 and changes of CR4.PGE find nothing
 * left to do, and global pages need no special treatment. The one exception are tables given up by
 * shadow_release_table: from there to the next invalidation they behave as on a processor. What changes RAM
 * without a fault (the monitor itself, DMA) must be told with shadow_written if the page may be a table.
 *
 * Accessed and dirty flags are set as a processor sets them: a page is mapped when it is first used, and writable only
 * once it is dirty.
 *
 * Pages of RAM are data or code. In a kernel root only code can be executed; it has been looked through for sensitive
 * instructions (SHADOW_EXECUTE), and is writable in no root. A write makes it data again.
 *
 * Pools have limits. When one is empty, what was filled or selected longest ago goes, and is filled again when needed.
 */
#pragma once

#include "vmm/guest_memory.h"

#include <stdbool.h>
#include <stdint.h>

/* Flags of a mapping; the numbers are those of BEAML4_VSpaceMapFrames. Everything can be read. */
#define SHADOW_WRITE      2u
#define SHADOW_NO_EXECUTE 4u
#define SHADOW_LARGE      8u /* 2 MiB, else 4 KiB */

#define SHADOW_MAP_MAX   16u  /* most that one call of map is given */
#define SHADOW_UNMAP_MAX 100u /* of unmap */

struct shadow_mapping {
    unsigned page;     /* 0 … limits.pages - 1: a place in the caller's pool; what it holds now is replaced */
    unsigned flags;
    uint64_t address;  /* linear */
    uint64_t physical; /* of the guest; in its RAM */
};

/* Handles of roots and tables are the caller's small numbers. Levels: 0 page table, 1 page directory, 2 PDPT. */
struct shadow_operations {
    /* As many as the limits say are asked for, at first use; false: there are no more, and an old one is used again. */
    bool (*make_root)(void *context, unsigned *root);
    bool (*make_table)(void *context, unsigned level, unsigned *table);
    /* The root is going to be another address space's; all tables in it have been detached. */
    void (*clear_root)(void *context, unsigned root);
    /* Puts an empty table into a root; the table above is there, and nothing is at ADDRESS. */
    bool (*attach_table)(void *context, unsigned root, unsigned level, uint64_t address, unsigned table);
    /* Takes a table out of its root; all pages of it have been unmapped and all tables below detached. */
    void (*detach_table)(void *context, unsigned level, unsigned table);
    /* Maps COUNT pages into a root, in their order; the tables are there, and nothing else is mapped there than,
     * perhaps, the same page with other flags. Returns how many have been mapped. */
    unsigned (*map)(void *context, unsigned root, const struct shadow_mapping *mapping, unsigned count);
    /* Ends mappings; some may be pages that map has refused. */
    void (*unmap)(void *context, const unsigned *page, unsigned count);
    /* Whether the 2 MiB of guest RAM at PHYSICAL can be mapped with SHADOW_LARGE. NULL: never. */
    bool (*is_large)(void *context, uint64_t physical);
};

struct shadow_limits {
    unsigned roots, pdpts, directories, tables, pages;
};

extern const struct shadow_limits shadow_default_limits; /* 64, 512, 512, 2048, 16384 */

/* An instruction can need this many pages at once, each with tables of its own: no limit can be lower. */
#define SHADOW_LEAST_TABLES 8u
#define SHADOW_LEAST_ROOTS  2u
#define SHADOW_MOST_PAGES   0x7fffu /* tables of all levels together: as many */

struct shadow_configuration {
    struct shadow_limits limits;
    const struct guest_memory *memory;
    const struct shadow_operations *operations;
    void *context; /* for the operations */
    void *(*allocate)(uint64_t bytes); /* zeroed memory or NULL; called once, with shadow_bytes */
    unsigned physical_bits; /* MAXPHYADDR of the virtual CPU: what is above is reserved in entries */
    bool no_execute;        /* SHADOW_NO_EXECUTE has an effect */
    uint64_t unreachable_first, unreachable_last; /* linear addresses where nothing can be mapped; first > last: none */
    unsigned around; /* on a fault, pages of this aligned group that have been accessed before are mapped as well: a
                        power of 2 up to SHADOW_MAP_MAX; 0: 8 */
};

struct shadow;

/* Memory for the bookkeeping: 3.7 MB for the default limits and 6 bytes for each page of RAM. */
uint64_t shadow_bytes(const struct shadow_configuration *configuration);

/* NULL, with *REASON: the configuration is not possible, or no memory. */
struct shadow *shadow_create(const struct shadow_configuration *configuration, const char **reason);

/* What of the virtual CPU decides about translations. A change of CR0.WP or EFER.NXE is noticed at the next call. */
struct shadow_state {
    uint64_t cr0, cr3, cr4, efer;
    bool user;    /* CPL 3 */
    uint64_t rip; /* linear address of the instruction */
};

enum shadow_result {
    SHADOW_DONE,        /* the guest goes on, with the instruction again */
    SHADOW_PAGE_FAULT,  /* the guest's own: raise #PF with answer->error */
    SHADOW_DEVICE,      /* answer->physical is allowed and no RAM */
    SHADOW_WRITE_TABLE, /* a write to a table in use, at answer->physical: carry it out and call shadow_written, or, if
                           the instruction cannot be carried out, shadow_release_table */
    SHADOW_WRITE_CODE,  /* a write of code to its own page: likewise, or shadow_release_code */
    SHADOW_EXECUTE,     /* kernel code in a page that nobody has looked through: do so and call shadow_set_code */
    SHADOW_UNREACHABLE, /* allowed, but nothing can be mapped at that address */
    SHADOW_NO_MEMORY,   /* the operations refused, with nothing left that could be given up */
};

struct shadow_answer {
    uint64_t physical; /* guest physical address of the byte; not after SHADOW_PAGE_FAULT */
    uint32_t error;    /* SHADOW_PAGE_FAULT: for the guest */
};

/* The guest's access to linear ADDRESS made a real page fault with error code ERROR (of which W/R and I/D count).
 * Answers of SHADOW_DONE have changed something for the better: the access gets on. */
enum shadow_result shadow_fault(struct shadow *shadow, const struct shadow_state *state, uint64_t address,
                                uint32_t error, struct shadow_answer *answer);

/* The root to run on: to be asked for after each change of CR3 or CPL, before the guest goes on. False: none. */
bool shadow_select(struct shadow *shadow, const struct shadow_state *state, unsigned *root);

/* Those bytes of guest memory have been written, and have their new value: what was derived from the old one goes, code
 * becomes data. A page table's entry that says that its page has been accessed may be mapped in the same go. */
void shadow_written(struct shadow *shadow, uint64_t physical, uint64_t length);

/* The page of PHYSICAL can be written until the next shadow_load_cr3, shadow_invalidate… or shadow_flush. What was
 * derived from it goes, and what is derived in the meantime goes then. */
void shadow_release_table(struct shadow *shadow, uint64_t physical);

/* The page of PHYSICAL has been looked through, and perhaps changed: kernels can execute it, nobody can write it. */
void shadow_set_code(struct shadow *shadow, uint64_t physical);
/* It can be executed and written, unnoticed. */
void shadow_release_code(struct shadow *shadow, uint64_t physical);
bool shadow_is_code(const struct shadow *shadow, uint64_t physical);

/* MOV to CR3, whatever the value, and all else that flushes a processor's TLB (CR4.PGE, INVPCID): what is not stale
 * stays. Call shadow_select for the root. */
void shadow_load_cr3(struct shadow *shadow);
/* INVLPG, with the CR3 of the time. */
void shadow_invalidate_page(struct shadow *shadow, uint64_t cr3, uint64_t address);
/* All of LENGTH bytes at linear ADDRESS. */
void shadow_invalidate_range(struct shadow *shadow, uint64_t cr3, uint64_t address, uint64_t length);
/* Everything, in all address spaces, stale or not: more than any instruction of the guest asks for. */
void shadow_flush(struct shadow *shadow);
/* No mapping of that guest memory remains; a later access maps it again. */
void shadow_unmap_memory(struct shadow *shadow, uint64_t physical, uint64_t length);

struct shadow_counts {
    uint64_t faults, filled, around;          /* shadow_fault; pages mapped for it; and mapped beside those */
    uint64_t ahead;                           /* pages mapped as soon as their entry was written */
    uint64_t table_writes, released;          /* SHADOW_WRITE_TABLE; tables given up for being written as data */
    uint64_t dropped;                         /* pages, for whatever reason */
    uint64_t evicted_pages, evicted_tables, evicted_roots;
};

const struct shadow_counts *shadow_counts(const struct shadow *shadow);
