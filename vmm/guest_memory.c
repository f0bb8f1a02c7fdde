#include "vmm/guest_memory.h"

#include <string.h>

/* Cuts ROOM bytes at ADDRESS where memory that has been given back begins; false: that is where ADDRESS lies. */
static bool in_front_of_holes(const struct guest_memory *memory, uint64_t address, uint64_t *room)
{
    for (unsigned i = 0; i < memory->hole_count; i++) {
        if (address >= memory->hole[i] && address - memory->hole[i] < GUEST_PAGE_BYTES)
            return false;
        if (memory->hole[i] > address && memory->hole[i] - address < *room)
            *room = memory->hole[i] - address;
    }
    return true;
}

/* The region that has ADDRESS, and in *ROOM how many bytes it has from there on. */
static const struct guest_region *region_of(const struct guest_memory *memory, uint64_t address, uint64_t *room)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->region[i];

        if (address >= region->start && address - region->start < region->length) {
            *room = region->length - (address - region->start);
            return in_front_of_holes(memory, address, room) ? region : NULL;
        }
    }
    return NULL;
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t length)
{
    uint64_t room;
    const struct guest_region *region = region_of(memory, address, &room);

    return region && length <= room ? region->host + (address - region->start) : NULL;
}

static bool is_memory(const struct guest_memory *memory, uint64_t address, uint64_t length)
{
    while (length > 0) {
        uint64_t room;

        if (!region_of(memory, address, &room))
            return false;
        if (length <= room)
            return true;
        if (room > UINT64_MAX - address) /* nothing follows the last address */
            return false;
        address += room;
        length -= room;
    }
    return true;
}

/* One direction of a copy that is_memory has allowed; the other pointer is NULL. */
static void copy(const struct guest_memory *memory, uint64_t address, uint8_t *to, const uint8_t *from, uint64_t length)
{
    while (length > 0) {
        uint64_t room;
        const struct guest_region *region = region_of(memory, address, &room);
        uint64_t part = length < room ? length : room;
        uint8_t *here = region->host + (address - region->start);

        if (to) {
            memcpy(to, here, part);
            to += part;
        } else {
            memcpy(here, from, part);
            from += part;
        }
        address += part;
        length -= part;
    }
}

bool guest_memory_read(const struct guest_memory *memory, uint64_t address, void *bytes, size_t length)
{
    if (!is_memory(memory, address, length))
        return false;
    copy(memory, address, bytes, NULL, length);
    return true;
}

bool guest_memory_write(const struct guest_memory *memory, uint64_t address, const void *bytes, size_t length)
{
    if (!is_memory(memory, address, length))
        return false;
    copy(memory, address, NULL, bytes, length);
    if (memory->written)
        memory->written(memory->context, address, length);
    return true;
}

uint64_t guest_memory_bytes(const struct guest_memory *memory)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < memory->count; i++)
        bytes += memory->region[i].length;
    return bytes;
}
