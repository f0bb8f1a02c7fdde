/* Memory accesses at linear addresses of the guest, carried out by the monitor: to RAM or to devices, as the guest's
 * page tables say. Pure. */
#pragma once

#include "vmm/bus.h"
#include "vmm/guest_walk.h"

struct linear_space {
    struct walk_context walk;
    struct bus *bus;
};

/* Up to 8 bytes, which may lie in two pages. */
struct linear_range {
    unsigned count; /* parts, each within a page */
    struct { uint64_t physical; uint8_t size; } part[2];
};

/* Translates SIZE (1 to 8) bytes at ADDRESS for ACCESS. */
enum walk_result linear_translate(struct linear_space *space, uint64_t address, unsigned size, enum walk_access access,
                                  struct linear_range *range, uint32_t *error);

/* Whether one of its bytes is in the page of that guest physical address. */
bool linear_touches(const struct linear_range *range, uint64_t physical);

/* What nothing answers reads as ones. */
uint64_t linear_load(const struct linear_space *space, const struct linear_range *range);
void linear_store(const struct linear_space *space, const struct linear_range *range, uint64_t value);
