/* The memory and the capability slots of one process: everything that is made for it comes out of here, so that its end
 * is one step, after which every byte and every slot is back.
 *
 * Functions answer NULL or why they failed; what a failed one has taken is given back by pool_release like the rest.
 */
#pragma once

#include "beaml4-init/resources.h"

struct pool_piece;

struct pool {
    struct resources *resources;
    struct pool_piece *pieces; /* untyped memory */
    struct pool_piece *small;  /* the piece that small objects are made of */
    uint64_t bytes;            /* of all pieces */
    seL4_CPtr *slot;           /* slots of init's CNode that are the pool's */
    unsigned slot_count, slot_room;
};

void pool_open(struct pool *pool, struct resources *resources);

/* An empty slot of init's CNode that comes back with the pool. */
const char *pool_take_slot(struct pool *pool, seL4_CPtr *slot);

/* An object of the pool's memory in an empty slot of init's CNode; SIZE_BITS as in seL4_Untyped_Retype. */
const char *pool_make_in(struct pool *pool, seL4_Word type, seL4_Word size_bits, seL4_CPtr slot);

/* The same in a new slot. */
const char *pool_make(struct pool *pool, seL4_Word type, seL4_Word size_bits, seL4_CPtr *slot);

/* A whole untyped for the process itself; init makes nothing of it. */
const char *pool_take_untyped(struct pool *pool, unsigned size_bits, const struct untyped **untyped);

/* The 4 KiB of device memory at PHYSICAL, as a frame's capability in a new slot. */
const char *pool_take_device(struct pool *pool, uint64_t physical, seL4_CPtr *frame);

/* Gives a whole untyped back before the end, with all that has been made of it; false: there is none of that size at
 * that address of which init itself has made nothing. */
bool pool_return_untyped(struct pool *pool, uint64_t physical, unsigned size_bits);

/* Destroys every object made of the pool's memory, whoever made it, and gives memory and slots back. */
void pool_release(struct pool *pool);
