/* UniAlloc: untyped memory as a buddy allocator.
 *
 * Untypeds that cover RAM are kept by (size, address), so that the smallest that suffices is split and the lowest
 * address of that size is taken; those that cover device memory by address, since a device's registers are wanted where
 * they are. An untyped is split by retyping it into two halves at once (an untyped hands its memory out in ascending
 * order, and again only when it has no children), and becomes whole when both halves are free again.
 *
 * The capability operations are the caller's, so that a test can play the kernel.
 */
#pragma once

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#define UNIALLOC_MIN_BITS 4u
#define UNIALLOC_MAX_BITS 47u

enum unialloc_error {
    UNIALLOC_OK = 0,
    UNIALLOC_NO_UNTYPED,   /* no free memory of that size, or not at that address */
    UNIALLOC_NO_SLOT,      /* no capability slots for the halves of a split */
    UNIALLOC_NO_MEMORY,    /* no memory for the bookkeeping */
    UNIALLOC_BAD_SIZE,     /* size_bits outside of what untypeds can have, or address not aligned to it */
    UNIALLOC_RETYPE,       /* the kernel refused to split */
};

/* An untyped in the caller's hands. */
struct untyped {
    uint64_t slot;     /* its capability */
    uint64_t physical; /* address */
    uint8_t size_bits; /* log2 of its size in bytes */
    bool device;

    /* UniAlloc's own. */
    bool free, split;
    struct untyped *parent, *half[2];
    RB_ENTRY(untyped) entry;
};

/* What UniAlloc does to capabilities, and where its bookkeeping comes from. CONTEXT is handed through. */
struct unialloc_operations {
    /* Retypes the untyped in SLOT into two of SIZE_BITS, in FIRST_SLOT and the one behind it. False: refused. */
    bool (*split)(void *context, uint64_t slot, unsigned size_bits, uint64_t first_slot);
    /* Deletes the capability in SLOT; nothing is derived from it. */
    void (*remove)(void *context, uint64_t slot);
    /* Two empty slots side by side. */
    bool (*take_slots)(void *context, uint64_t *first_slot);
    void (*give_slots)(void *context, uint64_t first_slot);
    void *(*allocate)(uint64_t bytes); /* NULL: none left */
    void (*release)(void *memory);
};

RB_HEAD(untyped_tree, untyped);

struct unialloc {
    const struct unialloc_operations *operations;
    void *context;
    struct untyped_tree normal; /* free, by size and address */
    struct untyped_tree device; /* free, by address */
    uint64_t total_bytes, free_bytes; /* of RAM */
};

void unialloc_init(struct unialloc *memory, const struct unialloc_operations *operations, void *context);

/* Gives UniAlloc an untyped that has no children. */
enum unialloc_error unialloc_add(struct unialloc *memory, uint64_t slot, uint64_t physical, unsigned size_bits, bool device);

/* Takes RAM of 2^SIZE_BITS bytes. */
enum unialloc_error unialloc_alloc(struct unialloc *memory, unsigned size_bits, struct untyped **untyped);

/* Takes 2^SIZE_BITS bytes of device memory at PHYSICAL, a multiple of that size. */
enum unialloc_error unialloc_alloc_device(struct unialloc *memory, uint64_t physical, unsigned size_bits,
                                          struct untyped **untyped);

/* Gives an untyped back, which must have no children any more. Halves that are both free become one again. */
void unialloc_free(struct unialloc *memory, struct untyped *untyped);

/* log2 of the size of the largest free piece of RAM, 0 where there is none. */
unsigned unialloc_largest_bits(struct unialloc *memory);

/* How many free pieces of RAM there are of 2^n bytes, for each n up to UNIALLOC_MAX_BITS. */
void unialloc_count_pieces(struct unialloc *memory, uint64_t pieces[UNIALLOC_MAX_BITS + 1]);

const char *unialloc_error_text(enum unialloc_error error);
