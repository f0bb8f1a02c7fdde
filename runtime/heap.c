#include "runtime/heap.h"

#include <string.h>

/* The head of every block; blocks lie side by side. A free block's memory begins with its list links. */
struct heap_block {
    size_t size;     /* of the memory behind the head, a multiple of HEAP_ALIGNMENT, | USED */
    size_t previous; /* distance back to the head before this one, 0 for the first; XOR MARK where used */
};

struct links {
    struct heap_block *next;
    struct heap_block *back; /* NULL: first of its list */
};

#define HEAD sizeof(struct heap_block)
#define USED ((size_t)1)
/* A used head's PREVIOUS is stored under this mask, so that a pointer into the middle of a block, or one that has been
 * freed, is most likely not taken for a block. */
#define MARK ((size_t)0x5ca1ab1e << 32)

static size_t size_of(const struct heap_block *block)
{
    return block->size & ~USED;
}

static bool is_used(const struct heap_block *block)
{
    return block->size & USED;
}

static size_t distance_back(const struct heap_block *block)
{
    return is_used(block) ? block->previous ^ MARK : block->previous;
}

static void set_distance_back(struct heap_block *block, size_t distance)
{
    block->previous = is_used(block) ? distance ^ MARK : distance;
}

static struct heap_block *block_after(const struct heap_block *block)
{
    return (struct heap_block *)((uintptr_t)block + HEAD + size_of(block));
}

static void *memory_of(struct heap_block *block)
{
    return (void *)((uintptr_t)block + HEAD);
}

static struct links *links_of(struct heap_block *block)
{
    return memory_of(block);
}

/* Two classes a power of two: all blocks of a class are at least as large as its lower bound. */
static unsigned class_of(size_t size)
{
    unsigned log = 63u - (unsigned)__builtin_clzl(size);
    unsigned class = (log - 4) * 2 + (size >> (log - 1) & 1);

    return class < HEAP_CLASSES ? class : HEAP_CLASSES - 1;
}

static void list_add(struct heap *heap, struct heap_block *block)
{
    unsigned class = class_of(size_of(block));
    struct heap_block *next = heap->list[class];

    *links_of(block) = (struct links) { .next = next };
    if (next)
        links_of(next)->back = block;
    heap->list[class] = block;
    heap->occupied[class / 64] |= (uint64_t)1 << class % 64;
    heap->free_bytes += size_of(block);
}

static void list_remove(struct heap *heap, struct heap_block *block)
{
    unsigned class = class_of(size_of(block));
    struct links links = *links_of(block);

    if (links.next)
        links_of(links.next)->back = links.back;
    if (links.back)
        links_of(links.back)->next = links.next;
    else
        heap->list[class] = links.next;
    if (!heap->list[class])
        heap->occupied[class / 64] &= ~((uint64_t)1 << class % 64);
    heap->free_bytes -= size_of(block);
}

void heap_init(struct heap *heap, void *region, size_t bytes)
{
    uintptr_t start = ((uintptr_t)region + HEAP_ALIGNMENT - 1) & ~(uintptr_t)(HEAP_ALIGNMENT - 1);
    size_t skipped = start - (uintptr_t)region;

    *heap = (struct heap) { 0 };
    if (!region || bytes < skipped + 2 * HEAD + HEAP_ALIGNMENT)
        return;
    size_t size = ((bytes - skipped) & ~(size_t)(HEAP_ALIGNMENT - 1)) - 2 * HEAD;

    heap->first = (struct heap_block *)start;
    *heap->first = (struct heap_block) { .size = size };
    heap->end = block_after(heap->first);
    *heap->end = (struct heap_block) { .size = USED, .previous = (HEAD + size) ^ MARK };
    list_add(heap, heap->first);
}

/* The smallest class with a free block, from FROM on; HEAP_CLASSES when there is none. */
static unsigned next_occupied(const struct heap *heap, unsigned from)
{
    for (unsigned word = from / 64; word < sizeof heap->occupied / sizeof heap->occupied[0]; word++) {
        uint64_t bits = heap->occupied[word];
        if (word == from / 64)
            bits &= ~(uint64_t)0 << from % 64;
        if (bits)
            return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return HEAP_CLASSES;
}

/* How many bytes of a block's memory lie before the first aligned place that leaves room for a free block (or none)
 * in front. */
static size_t gap_before(struct heap_block *block, size_t alignment)
{
    uintptr_t memory = (uintptr_t)memory_of(block);
    uintptr_t aligned = (memory + alignment - 1) & ~(uintptr_t)(alignment - 1);

    while (aligned != memory && aligned - memory < HEAD + HEAP_ALIGNMENT)
        aligned += alignment;
    return aligned - memory;
}

static struct heap_block *find(struct heap *heap, size_t size, size_t alignment)
{
    for (unsigned class = next_occupied(heap, class_of(size)); class < HEAP_CLASSES;
         class = next_occupied(heap, class + 1)) {
        for (struct heap_block *block = heap->list[class]; block; block = links_of(block)->next) {
            size_t gap = gap_before(block, alignment);
            if (size_of(block) >= gap && size_of(block) - gap >= size)
                return block;
        }
    }
    return NULL;
}

/* Cuts BLOCK, in no list, so that SIZE bytes remain; the rest becomes a block of its own, in no list, not used.
 * NULL when the rest is too small for one. */
static struct heap_block *split(struct heap_block *block, size_t size)
{
    size_t rest = size_of(block) - size;

    if (rest < HEAD + HEAP_ALIGNMENT)
        return NULL;
    block->size = size | (block->size & USED);
    struct heap_block *tail = block_after(block);
    *tail = (struct heap_block) { .size = rest - HEAD, .previous = HEAD + size };
    set_distance_back(block_after(tail), rest);
    return tail;
}

static void mark_used(struct heap_block *block)
{
    size_t distance = distance_back(block);

    block->size |= USED;
    set_distance_back(block, distance);
}

/* What a request takes; 0 when it is absurd. */
static size_t rounded(size_t bytes)
{
    if (bytes > PTRDIFF_MAX)
        return 0;
    return bytes <= HEAP_ALIGNMENT ? HEAP_ALIGNMENT : (bytes + HEAP_ALIGNMENT - 1) & ~(size_t)(HEAP_ALIGNMENT - 1);
}

void *heap_allocate(struct heap *heap, size_t bytes, size_t alignment)
{
    size_t size = rounded(bytes);

    if (alignment < HEAP_ALIGNMENT)
        alignment = HEAP_ALIGNMENT;
    if (size == 0 || alignment > (size_t)1 << 40)
        return NULL;
    struct heap_block *block = find(heap, size, alignment);
    if (!block)
        return NULL;

    list_remove(heap, block);
    size_t gap = gap_before(block, alignment);
    if (gap > 0) {
        struct heap_block *aligned = split(block, gap - HEAD);
        list_add(heap, block);
        block = aligned;
    }
    struct heap_block *rest = split(block, size);
    if (rest)
        list_add(heap, rest);
    mark_used(block);
    return memory_of(block);
}

/* The head of MEMORY if that is a used block whose neighbours agree; else NULL. */
static struct heap_block *check(const struct heap *heap, const void *memory)
{
    uintptr_t address = (uintptr_t)memory;

    if (!heap->first || address % HEAP_ALIGNMENT || address < (uintptr_t)heap->first + HEAD ||
        address >= (uintptr_t)heap->end)
        return NULL;
    struct heap_block *block = (struct heap_block *)(address - HEAD);
    size_t size = size_of(block);
    size_t back = distance_back(block);
    if (!is_used(block) || size % HEAP_ALIGNMENT || size > (uintptr_t)heap->end - address)
        return NULL;
    if (distance_back(block_after(block)) != HEAD + size)
        return NULL;
    if (back % HEAP_ALIGNMENT || back > (uintptr_t)block - (uintptr_t)heap->first)
        return NULL;
    if (back == 0)
        return block == heap->first ? block : NULL;
    return HEAD + size_of((struct heap_block *)((uintptr_t)block - back)) == back ? block : NULL;
}

/* Joins a free BLOCK, in no list, with a free one behind it. */
static void absorb_next(struct heap *heap, struct heap_block *block)
{
    struct heap_block *next = block_after(block);

    if (is_used(next))
        return;
    list_remove(heap, next);
    block->size += HEAD + size_of(next);
    set_distance_back(block_after(block), HEAD + size_of(block));
}

/* Puts a block in no list, not used, where it belongs, merged with its neighbours. */
static void give_back(struct heap *heap, struct heap_block *block)
{
    absorb_next(heap, block);
    if (block != heap->first) {
        struct heap_block *before = (struct heap_block *)((uintptr_t)block - distance_back(block));
        if (!is_used(before)) {
            list_remove(heap, before);
            before->size += HEAD + size_of(block);
            set_distance_back(block_after(before), HEAD + size_of(before));
            block = before;
        }
    }
    list_add(heap, block);
}

bool heap_release(struct heap *heap, void *memory)
{
    struct heap_block *block = check(heap, memory);

    if (!block)
        return false;
    size_t distance = distance_back(block);
    block->size &= ~USED;
    set_distance_back(block, distance);
    give_back(heap, block);
    return true;
}

void *heap_resize(struct heap *heap, void *memory, size_t bytes)
{
    struct heap_block *block = check(heap, memory);
    size_t size = rounded(bytes);

    if (!block || size == 0)
        return NULL;
    size_t old = size_of(block);
    if (size > old) {
        struct heap_block *next = block_after(block);
        if (is_used(next) || old + HEAD + size_of(next) < size) {
            void *moved = heap_allocate(heap, bytes, HEAP_ALIGNMENT);
            if (moved) {
                memcpy(moved, memory, old);
                heap_release(heap, memory);
            }
            return moved;
        }
        absorb_next(heap, block);
    }
    struct heap_block *rest = split(block, size);
    if (rest)
        give_back(heap, rest);
    return memory;
}

size_t heap_usable(const void *memory)
{
    return size_of((const struct heap_block *)((uintptr_t)memory - HEAD));
}
