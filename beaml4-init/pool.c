#include "beaml4-init/pool.h"

#include <stdlib.h>

/* Small objects come out of pieces of this size, larger ones each out of a piece of their own. */
#define PIECE_BITS 16u

struct pool_piece {
    struct untyped *untyped;
    uint64_t used; /* bytes, as the kernel counts them */
    struct pool_piece *next;
};

void pool_open(struct pool *pool, struct resources *resources)
{
    *pool = (struct pool) { .resources = resources };
}

const char *pool_take_slot(struct pool *pool, seL4_CPtr *slot)
{
    if (pool->slot_count == pool->slot_room) {
        unsigned room = pool->slot_room ? pool->slot_room * 2 : 64;
        seL4_CPtr *larger = realloc(pool->slot, room * sizeof *larger);
        if (!larger)
            return "no memory left for bookkeeping";
        pool->slot = larger;
        pool->slot_room = room;
    }
    const char *problem = resources_take_slot(pool->resources, slot);
    if (!problem)
        pool->slot[pool->slot_count++] = *slot;
    return problem;
}

static const char *add_piece(struct pool *pool, unsigned size_bits, struct pool_piece **added)
{
    struct pool_piece *piece = malloc(sizeof *piece);

    if (!piece)
        return "no memory left for bookkeeping";
    *piece = (struct pool_piece) { .next = pool->pieces };
    enum unialloc_error error = unialloc_alloc(&pool->resources->memory, size_bits, &piece->untyped);
    if (error != UNIALLOC_OK) {
        free(piece);
        return unialloc_error_text(error);
    }
    pool->pieces = piece;
    pool->bytes += UINT64_C(1) << size_bits;
    *added = piece;
    return NULL;
}

const char *pool_take_device(struct pool *pool, uint64_t physical, seL4_CPtr *frame)
{
    struct pool_piece *piece = malloc(sizeof *piece);
    const char *problem = pool_take_slot(pool, frame);

    if (!piece || problem) {
        free(piece);
        return problem ? problem : "no memory left for bookkeeping";
    }
    *piece = (struct pool_piece) { .next = pool->pieces };
    enum unialloc_error error =
        unialloc_alloc_device(&pool->resources->memory, physical, seL4_PageBits, &piece->untyped);
    if (error != UNIALLOC_OK) {
        free(piece);
        return unialloc_error_text(error);
    }
    pool->pieces = piece;
    if (seL4_Untyped_Retype(piece->untyped->slot, seL4_X86_4K, 0, INIT_CNODE, 0, 0, *frame, 1) != seL4_NoError)
        return "the kernel refused to make a frame of device memory";
    return NULL;
}

/* log2 of the bytes that an object takes; they are a multiple of that. */
static unsigned object_bits(seL4_Word type, seL4_Word size_bits)
{
    switch (type) {
    case seL4_UntypedObject:
        return (unsigned)size_bits;
    case seL4_CapTableObject:
        return (unsigned)size_bits + seL4_SlotBits;
    case seL4_EndpointObject:
        return seL4_EndpointBits;
    case seL4_NotificationObject:
        return seL4_NotificationBits;
    case seL4_X86_LargePageObject:
        return seL4_LargePageBits;
    default:
        return seL4_PageBits; /* threads, frames and paging structures, as far as init makes them */
    }
}

static uint64_t size_of(const struct pool_piece *piece)
{
    return UINT64_C(1) << piece->untyped->size_bits;
}

/* The kernel puts an object at the next multiple of its size. */
static uint64_t used_with(const struct pool_piece *piece, uint64_t size)
{
    return ((piece->used + size - 1) & -size) + size;
}

/* A piece with room for an object of 2^BITS bytes. */
static const char *find_room(struct pool *pool, unsigned bits, struct pool_piece **found)
{
    uint64_t size = UINT64_C(1) << bits;

    if (bits >= PIECE_BITS)
        return add_piece(pool, bits, found);
    if (!pool->small || used_with(pool->small, size) > size_of(pool->small)) {
        const char *problem = add_piece(pool, PIECE_BITS, &pool->small);
        if (problem)
            return problem;
    }
    *found = pool->small;
    return NULL;
}

const char *pool_make_in(struct pool *pool, seL4_Word type, seL4_Word size_bits, seL4_CPtr slot)
{
    unsigned bits = object_bits(type, size_bits);
    uint64_t size = UINT64_C(1) << bits;
    struct pool_piece *piece;
    const char *problem = find_room(pool, bits, &piece);

    if (problem)
        return problem;
    if (seL4_Untyped_Retype(piece->untyped->slot, type, size_bits, INIT_CNODE, 0, 0, slot, 1) != seL4_NoError)
        return "the kernel refused to make an object";
    piece->used = used_with(piece, size);
    return NULL;
}

const char *pool_make(struct pool *pool, seL4_Word type, seL4_Word size_bits, seL4_CPtr *slot)
{
    const char *problem = pool_take_slot(pool, slot);

    return problem ? problem : pool_make_in(pool, type, size_bits, *slot);
}

const char *pool_take_untyped(struct pool *pool, unsigned size_bits, const struct untyped **untyped)
{
    struct pool_piece *piece;
    const char *problem = add_piece(pool, size_bits, &piece);

    if (!problem)
        *untyped = piece->untyped;
    return problem;
}

bool pool_return_untyped(struct pool *pool, uint64_t physical, unsigned size_bits)
{
    for (struct pool_piece **at = &pool->pieces; *at; at = &(*at)->next) {
        struct pool_piece *piece = *at;

        if (piece->untyped->device || piece->untyped->physical != physical || piece->untyped->size_bits != size_bits ||
            piece->used != 0)
            continue;
        *at = piece->next;
        seL4_CNode_Revoke(INIT_CNODE, piece->untyped->slot, INIT_DEPTH);
        pool->bytes -= size_of(piece);
        unialloc_free(&pool->resources->memory, piece->untyped);
        free(piece);
        return true;
    }
    return false;
}

void pool_release(struct pool *pool)
{
    for (unsigned i = 0; i < pool->slot_count; i++) {
        seL4_CNode_Delete(INIT_CNODE, pool->slot[i], INIT_DEPTH);
        resources_give_slot(pool->resources, pool->slot[i]);
    }
    free(pool->slot);

    /* All are revoked before any is given back: the process may hold capabilities of one in a CNode made of another,
     * and an untyped that has children cannot be merged. */
    for (struct pool_piece *piece = pool->pieces; piece; piece = piece->next)
        seL4_CNode_Revoke(INIT_CNODE, piece->untyped->slot, INIT_DEPTH);
    while (pool->pieces) {
        struct pool_piece *piece = pool->pieces;
        pool->pieces = piece->next;
        unialloc_free(&pool->resources->memory, piece->untyped);
        free(piece);
    }
    *pool = (struct pool) { .resources = pool->resources };
}
