/* A general-purpose allocator over one region of memory. No system call, no lock: one thread a heap.
 *
 * Blocks are kept in lists by size class, two classes a power of two, and merged with their neighbours when freed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_ALIGNMENT 16u
#define HEAP_CLASSES   96u

struct heap_block;

struct heap {
    struct heap_block *first;
    struct heap_block *end; /* the sentinel behind the last block */
    size_t free_bytes;      /* in all free blocks, without their heads */
    uint64_t occupied[(HEAP_CLASSES + 63) / 64]; /* which classes have a free block */
    struct heap_block *list[HEAP_CLASSES];
};

/* Takes over BYTES at REGION, whatever their alignment; a region that is too small gives an empty heap. */
void heap_init(struct heap *heap, void *region, size_t bytes);

/* BYTES (at least 1 is taken) at a multiple of ALIGNMENT, a power of two; NULL when there is no room. */
void *heap_allocate(struct heap *heap, size_t bytes, size_t alignment);

/* Gives a block back; false when MEMORY is not one that the heap has given out, and then nothing is changed. */
bool heap_release(struct heap *heap, void *memory);

/* Grows or shrinks, in place where possible; NULL when there is no room, and then MEMORY stays as it was. */
void *heap_resize(struct heap *heap, void *memory, size_t bytes);

/* Bytes that may be used at MEMORY, at least what was asked for. */
size_t heap_usable(const void *memory);
