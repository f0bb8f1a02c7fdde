#include "algorithms/unialloc.h"

#include <assert.h>
#include <stddef.h>

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* One order serves both trees: pieces of device memory all count as of one size. */
static int compare(const struct untyped *a, const struct untyped *b)
{
    int by_size = a->device ? 0 : compare_numbers(a->size_bits, b->size_bits);

    return by_size ? by_size : compare_numbers(a->physical, b->physical);
}

/* Not all of the functions that this defines are used here. */
RB_GENERATE_INTERNAL(untyped_tree, untyped, entry, compare, __attribute__((unused)) static)

static uint64_t bytes_of(const struct untyped *untyped)
{
    return UINT64_C(1) << untyped->size_bits;
}

static struct untyped_tree *tree_of(struct unialloc *memory, const struct untyped *untyped)
{
    return untyped->device ? &memory->device : &memory->normal;
}

static void mark_free(struct unialloc *memory, struct untyped *untyped)
{
    untyped->free = true;
    RB_INSERT(untyped_tree, tree_of(memory, untyped), untyped);
}

static void mark_taken(struct unialloc *memory, struct untyped *untyped)
{
    untyped->free = false;
    RB_REMOVE(untyped_tree, tree_of(memory, untyped), untyped);
}

void unialloc_init(struct unialloc *memory, const struct unialloc_operations *operations, void *context)
{
    *memory = (struct unialloc) { .operations = operations, .context = context };
    RB_INIT(&memory->normal);
    RB_INIT(&memory->device);
}

static struct untyped *new_untyped(struct unialloc *memory, uint64_t slot, uint64_t physical, unsigned size_bits,
                                   bool device, struct untyped *parent)
{
    struct untyped *untyped = memory->operations->allocate(sizeof *untyped);

    if (untyped)
        *untyped = (struct untyped) {
            .slot = slot,
            .physical = physical,
            .size_bits = (uint8_t)size_bits,
            .device = device,
            .parent = parent,
        };
    return untyped;
}

static bool size_is_valid(uint64_t physical, unsigned size_bits)
{
    return size_bits >= UNIALLOC_MIN_BITS && size_bits <= UNIALLOC_MAX_BITS
        && (physical & ((UINT64_C(1) << size_bits) - 1)) == 0;
}

enum unialloc_error unialloc_add(struct unialloc *memory, uint64_t slot, uint64_t physical, unsigned size_bits, bool device)
{
    if (!size_is_valid(physical, size_bits))
        return UNIALLOC_BAD_SIZE;

    struct untyped *untyped = new_untyped(memory, slot, physical, size_bits, device, NULL);
    if (!untyped)
        return UNIALLOC_NO_MEMORY;
    mark_free(memory, untyped);
    if (!device) {
        memory->total_bytes += bytes_of(untyped);
        memory->free_bytes += bytes_of(untyped);
    }
    return UNIALLOC_OK;
}

/* Splits UNTYPED, which is in no tree; its halves are not either. */
static enum unialloc_error split(struct unialloc *memory, struct untyped *untyped)
{
    const struct unialloc_operations *operations = memory->operations;
    unsigned size_bits = untyped->size_bits - 1u;
    uint64_t slot;

    if (!operations->take_slots(memory->context, &slot))
        return UNIALLOC_NO_SLOT;

    struct untyped *low = new_untyped(memory, slot, untyped->physical, size_bits, untyped->device, untyped);
    struct untyped *high = new_untyped(memory, slot + 1, untyped->physical + (UINT64_C(1) << size_bits), size_bits,
                                       untyped->device, untyped);
    bool have_memory = low && high;
    if (!have_memory || !operations->split(memory->context, untyped->slot, size_bits, slot)) {
        if (low)
            operations->release(low);
        if (high)
            operations->release(high);
        operations->give_slots(memory->context, slot);
        return have_memory ? UNIALLOC_RETYPE : UNIALLOC_NO_MEMORY;
    }
    untyped->split = true;
    untyped->half[0] = low;
    untyped->half[1] = high;
    return UNIALLOC_OK;
}

/* Puts UNTYPED back as free, together with its other half where that is free as well, and so on upwards. */
static void put_back(struct unialloc *memory, struct untyped *untyped)
{
    for (struct untyped *parent = untyped->parent; parent; parent = untyped->parent) {
        struct untyped *other = parent->half[parent->half[0] == untyped];

        if (!other->free)
            break;
        mark_taken(memory, other);
        uint64_t slot = parent->half[0]->slot;
        for (unsigned i = 0; i < 2; i++) {
            memory->operations->remove(memory->context, slot + i);
            memory->operations->release(parent->half[i]);
            parent->half[i] = NULL;
        }
        memory->operations->give_slots(memory->context, slot);
        parent->split = false;
        untyped = parent;
    }
    mark_free(memory, untyped);
}

/* Makes PIECE (in no tree) smaller until it has SIZE_BITS and covers PHYSICAL; the rest becomes free. */
static enum unialloc_error carve(struct unialloc *memory, struct untyped *piece, uint64_t physical, unsigned size_bits,
                                 struct untyped **untyped)
{
    while (piece->size_bits > size_bits) {
        enum unialloc_error error = split(memory, piece);

        if (error) {
            put_back(memory, piece);
            return error;
        }

        bool upper = physical >= piece->half[1]->physical;
        mark_free(memory, piece->half[!upper]);
        piece = piece->half[upper];
    }
    if (!piece->device)
        memory->free_bytes -= bytes_of(piece);
    *untyped = piece;
    return UNIALLOC_OK;
}

enum unialloc_error unialloc_alloc(struct unialloc *memory, unsigned size_bits, struct untyped **untyped)
{
    if (!size_is_valid(0, size_bits))
        return UNIALLOC_BAD_SIZE;

    struct untyped key = { .size_bits = (uint8_t)size_bits };
    struct untyped *piece = RB_NFIND(untyped_tree, &memory->normal, &key);
    if (!piece)
        return UNIALLOC_NO_UNTYPED;
    mark_taken(memory, piece);
    return carve(memory, piece, piece->physical, size_bits, untyped);
}

enum unialloc_error unialloc_alloc_device(struct unialloc *memory, uint64_t physical, unsigned size_bits,
                                          struct untyped **untyped)
{
    if (!size_is_valid(physical, size_bits))
        return UNIALLOC_BAD_SIZE;

    /* The last piece that starts at or below PHYSICAL. */
    struct untyped *piece = NULL;
    for (struct untyped *at = RB_ROOT(&memory->device); at;) {
        if (at->physical <= physical) {
            piece = at;
            at = RB_RIGHT(at, entry);
        } else {
            at = RB_LEFT(at, entry);
        }
    }
    if (!piece || piece->size_bits < size_bits || physical - piece->physical >= bytes_of(piece))
        return UNIALLOC_NO_UNTYPED;
    mark_taken(memory, piece);
    return carve(memory, piece, physical, size_bits, untyped);
}

void unialloc_free(struct unialloc *memory, struct untyped *untyped)
{
    assert(!untyped->free && !untyped->split);
    if (!untyped->device)
        memory->free_bytes += bytes_of(untyped);
    put_back(memory, untyped);
}

unsigned unialloc_largest_bits(struct unialloc *memory)
{
    struct untyped *largest = RB_MAX(untyped_tree, &memory->normal);

    return largest ? largest->size_bits : 0;
}

void unialloc_count_pieces(struct unialloc *memory, uint64_t pieces[UNIALLOC_MAX_BITS + 1])
{
    struct untyped *piece;

    for (unsigned bits = 0; bits <= UNIALLOC_MAX_BITS; bits++)
        pieces[bits] = 0;
    RB_FOREACH(piece, untyped_tree, &memory->normal)
        pieces[piece->size_bits]++;
}

const char *unialloc_error_text(enum unialloc_error error)
{
    switch (error) {
    case UNIALLOC_OK:
        return "no error";
    case UNIALLOC_NO_UNTYPED:
        return "not enough memory";
    case UNIALLOC_NO_SLOT:
        return "no capability slots left";
    case UNIALLOC_NO_MEMORY:
        return "no memory left for bookkeeping";
    case UNIALLOC_BAD_SIZE:
        return "not a size or address that an untyped can have";
    case UNIALLOC_RETYPE:
        return "the kernel refused to split an untyped";
    }
    return "unknown error";
}
