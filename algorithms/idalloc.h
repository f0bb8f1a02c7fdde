/* IdAlloc: the ids of a range, handed out smallest first, in a radix tree of 64-bit bitmaps.
 *
 * A node of the lowest level has a bit for each of 64 ids, set while the id is taken; a node above has a bit for each of
 * its 64 children, set while the child is full, so that finding a free id reads one word a level. Nodes are made when
 * they are first needed, and stay.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IDALLOC_FANOUT    64u
#define IDALLOC_MIN_DEPTH 2u
#define IDALLOC_MAX_DEPTH 4u

enum idalloc_error {
    IDALLOC_OK = 0,
    IDALLOC_EXHAUSTED,    /* every id is taken */
    IDALLOC_NO_MEMORY,    /* no memory for a node; nothing has changed */
    IDALLOC_OUT_OF_RANGE, /* the id does not belong to this allocator */
    IDALLOC_TAKEN,        /* the id is not free */
    IDALLOC_NOT_TAKEN,    /* the id is free already */
};

struct idalloc_node;

struct idalloc {
    struct idalloc_node *root;
    unsigned depth;     /* levels */
    uint64_t offset;    /* the smallest id */
    uint64_t limit;     /* how many ids there are */
    uint64_t taken;
    void *(*allocate)(uint64_t bytes); /* zeroed memory, or NULL */
};

/* Ids OFFSET to OFFSET + LIMIT - 1, all free. ALLOCATE (calloc-like) provides the nodes, about 520 bytes each above the
 * lowest level and 8 there. LIMIT must be 1 to 64^4, OFFSET + LIMIT must not wrap. */
enum idalloc_error idalloc_init(struct idalloc *ids, uint64_t offset, uint64_t limit, void *(*allocate)(uint64_t bytes));

/* Takes the smallest free id. */
enum idalloc_error idalloc_alloc(struct idalloc *ids, uint64_t *id);

/* Takes the smallest COUNT consecutive free ids that lie in one aligned group of 64; COUNT is 1 to 64. */
enum idalloc_error idalloc_alloc_run(struct idalloc *ids, unsigned count, uint64_t *first);

/* Takes that id. */
enum idalloc_error idalloc_take(struct idalloc *ids, uint64_t id);

enum idalloc_error idalloc_free(struct idalloc *ids, uint64_t id);

/* Whether ID is taken. */
bool idalloc_contains(const struct idalloc *ids, uint64_t id);

/* How many ids are free. */
uint64_t idalloc_free_count(const struct idalloc *ids);

const char *idalloc_error_text(enum idalloc_error error);
