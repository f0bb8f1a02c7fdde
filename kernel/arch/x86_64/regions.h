/* Sets of physical addresses, as ordered lists of disjoint, non-adjacent ranges. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REGIONS_MAX 128

struct region {
    uint64_t start, end; /* bytes; END is the first one behind it */
};

struct regions {
    unsigned count;
    struct region list[REGIONS_MAX];
};

/* Both do nothing for an empty range, and answer false (having changed nothing) where the list would get too long. */
bool regions_add(struct regions *set, uint64_t start, uint64_t end);
bool regions_remove(struct regions *set, uint64_t start, uint64_t end);

/* The lowest range of SIZE bytes in SET at a multiple of ALIGNMENT (a power of two) and at or above FLOOR; the highest
 * one. Answer false where there is none. Both leave SET as it is. */
bool regions_find_lowest(const struct regions *set, uint64_t floor, uint64_t size, uint64_t alignment, uint64_t *start);
bool regions_find_highest(const struct regions *set, uint64_t size, uint64_t alignment, uint64_t *start);
