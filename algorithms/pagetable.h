/* PageTableManager: what is mapped where in a tree of paging structures, and which structures that takes.
 *
 * Knows any number of levels. Structures below the root are made when the first page of theirs is mapped, and leave the
 * tree with their last one, into a pool from which the next one of that level is taken. The root belongs to the caller
 * and is there from the start.
 *
 * Levels count from 0, the one of the smallest pages: a table of level n holds pages of level n, and tables of level
 * n - 1. What tables and pages are, only the caller's operations know: capabilities of seL4 (a service's VSpace, a
 * guest's EPT), or a model in a test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PAGETABLE_MAX_LEVELS     6u
#define PAGETABLE_MAX_INDEX_BITS 12u

enum pagetable_error {
    PAGETABLE_OK = 0,
    PAGETABLE_BAD_SHAPE,     /* no paging structures are like that */
    PAGETABLE_OUT_OF_RANGE,  /* the tree does not reach to that address */
    PAGETABLE_NO_SUCH_PAGES, /* there are no pages or tables of that level */
    PAGETABLE_UNALIGNED,     /* the address is not a multiple of the page's size */
    PAGETABLE_MAPPED,        /* a page of that size is mapped there already */
    PAGETABLE_IN_LARGE_PAGE, /* a larger page covers the address */
    PAGETABLE_HAS_TABLE,     /* a table for smaller pages is there already */
    PAGETABLE_NOT_MAPPED,    /* no page is mapped there; no table is there */
    PAGETABLE_PART_OF_PAGE,  /* a page is mapped there that reaches beyond the range, or starts before the address */
    PAGETABLE_TOO_MANY,      /* the level has as many tables as it may have */
    PAGETABLE_NO_MEMORY,     /* no memory for the bookkeeping */
    PAGETABLE_NOT_MADE,      /* make_table refused */
    PAGETABLE_NOT_ATTACHED,  /* attach_table refused */
    PAGETABLE_PAGE_REFUSED,  /* map_page refused */
};

struct pagetable_shape {
    unsigned levels;
    unsigned page_bits; /* log2 of the size of the smallest pages */
    struct {
        uint8_t index_bits; /* log2 of how many entries a table has */
        bool pages;         /* a table can hold pages, not just tables */
    } level[PAGETABLE_MAX_LEVELS];
    bool sign_extended; /* addresses repeat their highest bit up to bit 63; otherwise those bits are 0 */
};

/* Four levels of 512 entries, pages of 4 KiB, 2 MiB and 1 GiB: a thread's address space. The same with pages of 4 KiB
 * and 2 MiB and addresses that are not sign-extended: seL4's second-level translation. */
extern const struct pagetable_shape pagetable_x86_64, pagetable_ept;

/* What happens to real tables and pages. CONTEXT is handed through; handles are the caller's (capability slots). A
 * function that answers false has changed nothing. ADDRESS is the lowest that the table or page covers. */
struct pagetable_operations {
    /* Makes a table that is not in the tree. */
    bool (*make_table)(void *context, unsigned level, uint64_t *handle);
    /* The end of a table that is not in the tree. */
    void (*destroy_table)(void *context, unsigned level, uint64_t handle);
    /* Puts an empty table into the tree; the table of the next higher level is there. */
    bool (*attach_table)(void *context, unsigned level, uint64_t address, uint64_t handle);
    /* Takes an empty table out of the tree. */
    void (*detach_table)(void *context, unsigned level, uint64_t address, uint64_t handle);
    /* Maps a page; its table is there and nothing is mapped there. ATTRIBUTES as given to pagetable_map. */
    bool (*map_page)(void *context, unsigned level, uint64_t address, uint64_t handle, uint64_t attributes);
    void (*unmap_page)(void *context, unsigned level, uint64_t address, uint64_t handle);
    void *(*allocate)(uint64_t bytes); /* bookkeeping; NULL: none left */
    void (*release)(void *memory);
};

/* Of one level. */
struct pagetable_limit {
    uint32_t tables; /* most that may exist at once, spare ones included; 0: any number */
    uint32_t spare;  /* most that the pool keeps when they have left the tree; others are destroyed */
};

struct pagetable_table;

struct pagetable {
    const struct pagetable_operations *operations;
    void *context;
    struct pagetable_shape shape;
    uint8_t shift[PAGETABLE_MAX_LEVELS + 1]; /* log2 of the page size of a level; the last one in use: of all there is */
    struct pagetable_limit limit[PAGETABLE_MAX_LEVELS]; /* may be changed at any time */
    struct pagetable_table *root;
    struct pagetable_table *spare[PAGETABLE_MAX_LEVELS];
    uint32_t spare_count[PAGETABLE_MAX_LEVELS];
    uint32_t table_count[PAGETABLE_MAX_LEVELS]; /* made and not destroyed; without the root and adopted ones */
    uint64_t page_count[PAGETABLE_MAX_LEVELS];
};

struct pagetable_page {
    uint64_t address;
    unsigned level;
    uint64_t handle;
};

/* An empty tree. LIMIT has an element for each level; NULL: no limits, and pools that keep nothing. */
enum pagetable_error pagetable_init(struct pagetable *tree, const struct pagetable_shape *shape,
                                    const struct pagetable_limit *limit, const struct pagetable_operations *operations,
                                    void *context);

/* Size of the pages of a level. */
uint64_t pagetable_page_size(const struct pagetable *tree, unsigned level);

/* Maps the page HANDLE, with whatever tables that takes. Where it fails, everything is as before, but for tables that
 * went into the pools. */
enum pagetable_error pagetable_map(struct pagetable *tree, unsigned level, uint64_t address, uint64_t handle,
                                   uint64_t attributes);

/* Unmaps the page that starts at ADDRESS; PAGE (may be NULL) is what was mapped. */
enum pagetable_error pagetable_unmap(struct pagetable *tree, uint64_t address, struct pagetable_page *page);

/* Unmaps all pages from FIRST to LAST, both inclusive. Where a page reaches beyond that, none is unmapped. */
enum pagetable_error pagetable_unmap_range(struct pagetable *tree, uint64_t first, uint64_t last);

/* Whether something is mapped at ADDRESS, and what (PAGE may be NULL). */
bool pagetable_find(const struct pagetable *tree, uint64_t address, struct pagetable_page *page);

/* The first page that reaches to ADDRESS or beyond, in ascending order; false: none. To look at all pages, begin at 0 and
 * go on with the last address of the page plus 1, as long as that is not 0. */
bool pagetable_next(const struct pagetable *tree, uint64_t address, struct pagetable_page *page);

/* A table of LEVEL (not the root) is in the tree already, as the boot left it: it stays there for good, and is neither
 * detached nor destroyed. Those above it come first. */
enum pagetable_error pagetable_adopt(struct pagetable *tree, unsigned level, uint64_t address);

/* Destroys the tables in the pools. */
void pagetable_drain(struct pagetable *tree);

/* Unmaps all pages, and destroys all tables but adopted ones. The tree can be used again. */
void pagetable_clear(struct pagetable *tree);

/* Ends the tree: releases the bookkeeping without any operation on tables and pages, for those to whom all of them have
 * died at once (by seL4_CNode_Revoke). After pagetable_clear nothing is lost by it. */
void pagetable_forget(struct pagetable *tree);

const char *pagetable_error_text(enum pagetable_error error);
