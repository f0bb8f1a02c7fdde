/* The address space of a process, as init lays it out before the process runs. Functions answer NULL or why they
 * failed. */
#pragma once

#include "algorithms/pagetable.h"
#include "beaml4-init/pool.h"

struct address_space {
    struct pool *pool;
    seL4_CPtr root; /* PML4 */
    struct pagetable tree;
    seL4_CPtr passage;    /* slot that a frame is in while it is filled and mapped */
    seL4_CPtr store;      /* CNode that keeps the capabilities of mapped frames */
    unsigned store_used;
    uint64_t pages_made;  /* frames of the pool's memory, not shared ones */
};

/* An empty address space of the pool's memory, ready for threads. */
const char *address_space_open(struct address_space *space, struct pool *pool);

/* A zeroed page at ADDRESS with LENGTH bytes of CONTENT at OFFSET in it. */
const char *address_space_fill_page(struct address_space *space, uint64_t address, seL4_CapRights_t rights,
                                    const void *content, size_t offset, size_t length);

/* Zeroed pages from ADDRESS on; BYTES is a multiple of the page size. */
const char *address_space_zero_pages(struct address_space *space, uint64_t address, uint64_t bytes);

/* Maps a frame that belongs to someone else; FRAME stays as it is. */
const char *address_space_share_page(struct address_space *space, uint64_t address, seL4_CPtr frame,
                                     seL4_CapRights_t rights);

/* Releases the bookkeeping. What is mapped stays so until the pool's end; nothing more can be mapped by this. */
void address_space_seal(struct address_space *space);
