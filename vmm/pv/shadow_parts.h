/* What the files of the software TLB share. */
#pragma once

#include "vmm/pv/shadow.h"
#include "vmm/pv/shadow_list.h"
#include "vmm/pv/shadow_walk.h"

#define BLOCK_BITS     21u
#define BLOCK_BYTES    (UINT64_C(1) << BLOCK_BITS)
#define NO_FRAME       UINT32_MAX
#define RELEASED_MAX   64u
#define ENTRIES        512u

/* A real table, or a root (level SHADOW_ROOT). */
struct shadow_table {
    uint64_t address;  /* lowest linear address; root: CR3 */
    uint64_t meaning;  /* of the guest's entry that it stands for (struct shadow_walk) */
    uint32_t source;   /* frame of the guest's table that its entries come from; NO_FRAME: a part of a large page */
    unsigned handle;   /* the caller's */
    uint16_t root;     /* table */
    uint16_t parent;   /* table */
    uint16_t live;     /* children */
    uint8_t level;
    bool user;         /* root */
    uint16_t child[ENTRIES]; /* page; CHILD_TABLE and a table; or SHADOW_NONE */
};
#define CHILD_TABLE 0x8000u

/* A mapping. */
struct shadow_page {
    uint32_t frame;        /* the first one */
    uint16_t table, index; /* where it is */
    uint8_t flags;         /* SHADOW_…, PAGE_UNPROTECTED */
};
#define PAGE_UNPROTECTED 0x80u /* writable only for CR0.WP being off */

/* Things of one kind: free ones, and those in use in the order of their last use. */
struct shadow_pool {
    uint16_t free, used;  /* lists, with the links called order */
    uint16_t first;       /* number of the first one */
    uint16_t made, limit; /* numbers up to FIRST + MADE exist */
};

/* 4 KiB of the guest's RAM. */
struct shadow_frame {
    uint16_t pages;  /* list of small pages, and tables, with the links called same */
    uint16_t tables; /* whose source it is */
    uint8_t flags;
    uint8_t writes;  /* to it as a table since it was last used as one */
};
#define FRAME_CODE     1u /* looked through: executable for kernels, writable for nobody */
#define FRAME_OPEN     2u /* executable for kernels and writable */
#define FRAME_RELEASED 4u /* writable although a table */
#define FRAME_FLOODED  8u /* was given up as a table for being written often */

/* 2 MiB of the guest's RAM. */
struct shadow_block {
    uint16_t pages;      /* list of large pages */
    uint16_t restricted; /* frames that are tables or code: while there are any, only small pages */
};

struct shadow {
    const struct guest_memory *memory;
    const struct shadow_operations *operations;
    void *context;
    bool no_execute;
    uint64_t unreachable_first, unreachable_last;
    unsigned around;
    uint64_t reserved; /* physical address bits that the virtual CPU does not have */

    bool write_protect, guest_no_execute; /* CR0.WP and EFER.NXE as of the last call */
    uint64_t cr3;                         /* likewise */

    struct shadow_pool page_pool, table_pool[SHADOW_LEVELS];
    struct shadow_page *page;
    struct shadow_link *page_order, *page_same;
    struct shadow_table *table;
    struct shadow_link *table_order, *table_same;
    struct shadow_frame *frame;
    struct shadow_block *block;
    uint32_t frame_base[GUEST_MEMORY_REGIONS], block_base[GUEST_MEMORY_REGIONS];

    unsigned pages_leaving; /* out of the bookkeeping, and yet to be unmapped */
    unsigned page_leaving[SHADOW_UNMAP_MAX];
    uint16_t tables_leaving; /* list, children before their parents: yet to be detached */
    unsigned unprotected;    /* pages with PAGE_UNPROTECTED */
    unsigned released;       /* frames with FRAME_RELEASED */
    uint32_t released_frame[RELEASED_MAX];
    struct shadow_counts counts;
};

/* shadow_pool.c: pages and tables in the trees. Dropping takes a thing out of the bookkeeping at once; shadow_settle
 * then does the same to real mappings, and comes before anything is mapped and before the guest goes on. */
void shadow_drop_page(struct shadow *shadow, uint16_t page);
void shadow_drop_table(struct shadow *shadow, uint16_t table); /* not a root */
void shadow_drop_child(struct shadow *shadow, uint16_t table, unsigned index); /* whatever it is */
void shadow_drop_children(struct shadow *shadow, uint16_t table);
void shadow_drop_root(struct shadow *shadow, uint16_t root);
void shadow_settle(struct shadow *shadow);
/* A free one, if need be the one that was used longest ago; SHADOW_NONE: none at all. */
uint16_t shadow_take_page(struct shadow *shadow, bool evict);
uint16_t shadow_take_table(struct shadow *shadow, unsigned level);
uint16_t shadow_take_root(struct shadow *shadow);
void shadow_return_table(struct shadow *shadow, uint16_t table); /* one that was taken in vain */
/* Puts them into the trees. The flags of a page must be such that its frame may be what it is, table or code. */
void shadow_insert_page(struct shadow *shadow, uint16_t page, uint16_t table, unsigned index, uint32_t frame,
                        unsigned flags);
void shadow_insert_table(struct shadow *shadow, uint16_t table, uint16_t parent, unsigned index, uint64_t meaning,
                         uint32_t source);
void shadow_insert_root(struct shadow *shadow, uint16_t root, uint64_t cr3, bool user);
void shadow_use_page(struct shadow *shadow, uint16_t page);
void shadow_use_table(struct shadow *shadow, uint16_t table);

/* shadow_frames.c: the reverse map. */
uint32_t shadow_frame_of(const struct shadow *shadow, uint64_t physical); /* NO_FRAME: not RAM */
uint64_t shadow_frame_physical(const struct shadow *shadow, uint32_t frame);
/* The block of PHYSICAL if all of it is RAM, else NULL. */
struct shadow_block *shadow_whole_block(const struct shadow *shadow, uint64_t physical);
bool shadow_is_tracked(const struct shadow *shadow, uint32_t frame);
void shadow_add_source(struct shadow *shadow, uint16_t table);
void shadow_remove_source(struct shadow *shadow, uint16_t table);
void shadow_add_mapping(struct shadow *shadow, uint16_t page);
void shadow_remove_mapping(struct shadow *shadow, uint16_t page);
void shadow_change_frame(struct shadow *shadow, uint32_t frame, unsigned clear, unsigned set); /* flags */
void shadow_make_data(struct shadow *shadow, uint32_t frame);
/* Drops everything that was derived from a frame as a table; roots that are not the current CR3's altogether. */
void shadow_drop_derived(struct shadow *shadow, uint32_t frame);
void shadow_drop_mappings(struct shadow *shadow, uint32_t frame); /* large ones as well */

/* shadow_fill.c */
void shadow_refill(struct shadow *shadow, uint32_t frame, unsigned index);

/* shadow.c */
void shadow_notice(struct shadow *shadow, const struct shadow_state *state); /* what has changed since the last call */
uint16_t shadow_find_root(struct shadow *shadow, uint64_t cr3, bool user);
uint16_t shadow_root(struct shadow *shadow, uint64_t cr3, bool user); /* makes one; SHADOW_NONE: no memory */
/* The page that is mapped at ADDRESS, or SHADOW_NONE. */
uint16_t shadow_find_page(const struct shadow *shadow, uint16_t root, uint64_t address);
