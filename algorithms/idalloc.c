#include "algorithms/idalloc.h"

#include <assert.h>
#include <stddef.h>

/* Of the lowest level only the bitmap exists: its nodes are the words of their parent's `leaf`. */
struct idalloc_node {
    uint64_t full;
    union {
        struct idalloc_node *child[IDALLOC_FANOUT];
        uint64_t leaf[IDALLOC_FANOUT];
    };
};

#define FULL (~UINT64_C(0))

static uint64_t capacity(unsigned depth)
{
    return UINT64_C(1) << 6 * depth;
}

/* Which of 64 children the id lies in, below a node that has LEVELS levels under it. */
static unsigned digit(uint64_t id, unsigned levels)
{
    return (unsigned)(id >> 6 * levels) & 63;
}

enum idalloc_error idalloc_init(struct idalloc *ids, uint64_t offset, uint64_t limit, void *(*allocate)(uint64_t bytes))
{
    if (limit == 0 || limit > capacity(IDALLOC_MAX_DEPTH) || offset + limit < offset)
        return IDALLOC_OUT_OF_RANGE;

    *ids = (struct idalloc) { .depth = IDALLOC_MIN_DEPTH, .offset = offset, .limit = limit, .allocate = allocate };
    while (capacity(ids->depth) < limit)
        ids->depth++;
    ids->root = allocate(sizeof *ids->root);
    return ids->root ? IDALLOC_OK : IDALLOC_NO_MEMORY;
}

/* The nodes from the root down to the one whose `leaf` has the id's bit; PATH has one entry a level but the lowest.
 * Makes what is missing where MAKE says so. False where something is missing (and no memory to make it). */
static bool walk(const struct idalloc *ids, uint64_t index, bool make, struct idalloc_node **path)
{
    struct idalloc_node *node = ids->root;

    path[0] = node;
    for (unsigned level = 1; level + 1 < ids->depth; level++) {
        struct idalloc_node **child = &node->child[digit(index, ids->depth - level)];

        if (!*child && make)
            *child = ids->allocate(sizeof **child);
        if (!*child)
            return false;
        node = *child;
        path[level] = node;
    }
    return true;
}

static uint64_t *leaf_of(const struct idalloc *ids, struct idalloc_node **path, uint64_t index)
{
    return &path[ids->depth - 2]->leaf[digit(index, 1)];
}

/* Sets bits of the id's leaf, and upwards the mark of each node that has become full. */
static void set_bits(struct idalloc *ids, struct idalloc_node **path, uint64_t index, uint64_t bits)
{
    uint64_t *leaf = leaf_of(ids, path, index);

    *leaf |= bits;
    ids->taken += (uint64_t)__builtin_popcountll(bits);
    uint64_t full = *leaf;
    for (unsigned level = ids->depth - 1; level > 0 && full == FULL; level--) {
        path[level - 1]->full |= UINT64_C(1) << digit(index, ids->depth - level);
        full = path[level - 1]->full;
    }
}

/* The smallest index at or above FROM whose leaf is not full, as far as the marks tell; capacity() where there is none.
 * Reads a word or two a level. */
static uint64_t next_with_room(const struct idalloc *ids, uint64_t from)
{
    uint64_t end = capacity(ids->depth);

    while (from < end) {
        const struct idalloc_node *node = ids->root;
        unsigned levels = ids->depth - 1;

        for (;;) {
            unsigned first = digit(from, levels);
            uint64_t room = ~node->full >> first << first;

            if (room == 0) {
                /* Nothing left below this node: on behind it. */
                from = ((from >> 6 * (levels + 1)) + 1) << 6 * (levels + 1);
                break;
            }

            unsigned chosen = (unsigned)__builtin_ctzll(room);
            if (chosen != first)
                from = ((from >> 6 * (levels + 1)) << 6 * (levels + 1)) | (uint64_t)chosen << 6 * levels;
            if (levels == 1 || !node->child[chosen])
                return from;
            node = node->child[chosen];
            levels--;
        }
    }
    return end;
}

enum idalloc_error idalloc_alloc_run(struct idalloc *ids, unsigned count, uint64_t *first)
{
    struct idalloc_node *path[IDALLOC_MAX_DEPTH];
    uint64_t wanted = count == 64 ? FULL : (UINT64_C(1) << count) - 1;

    assert(count >= 1 && count <= IDALLOC_FANOUT);
    for (uint64_t index = next_with_room(ids, 0); index < ids->limit; index = next_with_room(ids, (index | 63) + 1)) {
        uint64_t start = index & ~UINT64_C(63);

        if (!walk(ids, start, true, path))
            return IDALLOC_NO_MEMORY;
        uint64_t taken = *leaf_of(ids, path, start);
        for (unsigned shift = 0; shift + count <= 64; shift++) {
            if (taken & wanted << shift)
                continue;
            if (start + shift + count > ids->limit)
                break;
            set_bits(ids, path, start, wanted << shift);
            *first = ids->offset + start + shift;
            return IDALLOC_OK;
        }
    }
    return IDALLOC_EXHAUSTED;
}

enum idalloc_error idalloc_alloc(struct idalloc *ids, uint64_t *id)
{
    return idalloc_alloc_run(ids, 1, id);
}

static bool in_range(const struct idalloc *ids, uint64_t id)
{
    return id >= ids->offset && id - ids->offset < ids->limit;
}

enum idalloc_error idalloc_take(struct idalloc *ids, uint64_t id)
{
    struct idalloc_node *path[IDALLOC_MAX_DEPTH];

    if (!in_range(ids, id))
        return IDALLOC_OUT_OF_RANGE;

    uint64_t index = id - ids->offset;
    if (!walk(ids, index, true, path))
        return IDALLOC_NO_MEMORY;
    if (*leaf_of(ids, path, index) >> digit(index, 0) & 1)
        return IDALLOC_TAKEN;
    set_bits(ids, path, index, UINT64_C(1) << digit(index, 0));
    return IDALLOC_OK;
}

enum idalloc_error idalloc_free(struct idalloc *ids, uint64_t id)
{
    struct idalloc_node *path[IDALLOC_MAX_DEPTH];

    if (!in_range(ids, id))
        return IDALLOC_OUT_OF_RANGE;
    if (!idalloc_contains(ids, id))
        return IDALLOC_NOT_TAKEN;

    uint64_t index = id - ids->offset;
    bool found = walk(ids, index, false, path);
    assert(found);
    (void)found;
    *leaf_of(ids, path, index) &= ~(UINT64_C(1) << digit(index, 0));
    for (unsigned level = ids->depth - 1; level > 0; level--)
        path[level - 1]->full &= ~(UINT64_C(1) << digit(index, ids->depth - level));
    ids->taken--;
    return IDALLOC_OK;
}

bool idalloc_contains(const struct idalloc *ids, uint64_t id)
{
    struct idalloc_node *path[IDALLOC_MAX_DEPTH];

    if (!in_range(ids, id) || !walk(ids, id - ids->offset, false, path))
        return false;
    return *leaf_of(ids, path, id - ids->offset) >> digit(id - ids->offset, 0) & 1;
}

uint64_t idalloc_free_count(const struct idalloc *ids)
{
    return ids->limit - ids->taken;
}

const char *idalloc_error_text(enum idalloc_error error)
{
    switch (error) {
    case IDALLOC_OK:
        return "no error";
    case IDALLOC_EXHAUSTED:
        return "every id is taken";
    case IDALLOC_NO_MEMORY:
        return "no memory for a node";
    case IDALLOC_OUT_OF_RANGE:
        return "not an id of this range";
    case IDALLOC_TAKEN:
        return "the id is taken";
    case IDALLOC_NOT_TAKEN:
        return "the id is free";
    }
    return "unknown error";
}
