#include "vmm/linear.h"

#define PAGE_BYTES 4096u

enum walk_result linear_translate(struct linear_space *space, uint64_t address, unsigned size, enum walk_access access,
                                  struct linear_range *range, uint32_t *error)
{
    unsigned to_end = PAGE_BYTES - (unsigned)(address % PAGE_BYTES);
    unsigned first = size < to_end ? size : to_end;
    enum walk_result result = walk_address(&space->walk, address, access, &range->part[0].physical, error);

    range->count = 1;
    range->part[0].size = (uint8_t)first;
    if (result != WALK_OK || first == size)
        return result;
    range->count = 2;
    range->part[1].size = (uint8_t)(size - first);
    return walk_address(&space->walk, address + first, access, &range->part[1].physical, error);
}

bool linear_touches(const struct linear_range *range, uint64_t physical)
{
    for (unsigned i = 0; i < range->count; i++)
        if (range->part[i].physical / PAGE_BYTES == physical / PAGE_BYTES)
            return true;
    return false;
}

/* A device sees an access in the size that the guest made, or, where a page border cuts it into another one, bytes. */
static unsigned device_step(unsigned size)
{
    return (size & (size - 1)) == 0 ? size : 1;
}

static uint64_t load_part(const struct linear_space *space, uint64_t physical, unsigned size)
{
    unsigned step = device_step(size);
    uint64_t value = 0;

    if (guest_memory_read(space->walk.memory, physical, &value, size))
        return value;
    for (unsigned done = 0; done < size; done += step) {
        struct bus_access access = { .size = (uint8_t)step, .address = physical + done };
        bus_perform(space->bus, BUS_MMIO, &access);
        value |= access.value << done * 8;
    }
    return value;
}

static void store_part(const struct linear_space *space, uint64_t physical, unsigned size, uint64_t value)
{
    unsigned step = device_step(size);

    if (guest_memory_write(space->walk.memory, physical, &value, size))
        return;
    for (unsigned done = 0; done < size; done += step) {
        struct bus_access access = {
            .write = true,
            .size = (uint8_t)step,
            .address = physical + done,
            .value = value >> done * 8,
        };
        bus_perform(space->bus, BUS_MMIO, &access);
    }
}

uint64_t linear_load(const struct linear_space *space, const struct linear_range *range)
{
    uint64_t value = load_part(space, range->part[0].physical, range->part[0].size);

    if (range->count == 2)
        value |= load_part(space, range->part[1].physical, range->part[1].size) << range->part[0].size * 8;
    return value;
}

void linear_store(const struct linear_space *space, const struct linear_range *range, uint64_t value)
{
    store_part(space, range->part[0].physical, range->part[0].size, value);
    if (range->count == 2)
        store_part(space, range->part[1].physical, range->part[1].size, value >> range->part[0].size * 8);
}
