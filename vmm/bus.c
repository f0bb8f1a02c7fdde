#include "vmm/bus.h"

void bus_init(struct bus *bus)
{
    *bus = (struct bus) { 0 };
}

static void forget_hints(struct bus *bus, enum bus_space space)
{
    for (unsigned i = 0; i < BUS_HINTS; i++)
        bus->hint[space][i].valid = false;
}

/* The order in which the ranges of a space are asked. */
static bool comes_before(const struct bus_range *a, const struct bus_range *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->start < b->start;
}

bool bus_register(struct bus *bus, const struct bus_range *range)
{
    uint64_t last;

    if (range->space >= BUS_SPACE_COUNT || bus->count[range->space] == BUS_RANGES_MAX || range->length == 0
        || __builtin_add_overflow(range->start, range->length - 1, &last))
        return false;

    struct bus_range *ranges = bus->range[range->space];
    unsigned place = bus->count[range->space]++;
    for (; place > 0 && comes_before(range, &ranges[place - 1]); place--)
        ranges[place] = ranges[place - 1];
    ranges[place] = *range;
    ranges[place].accesses = 0;
    forget_hints(bus, range->space);
    return true;
}

void bus_unregister(struct bus *bus, const void *device)
{
    for (unsigned space = 0; space < BUS_SPACE_COUNT; space++) {
        unsigned kept = 0;

        for (unsigned i = 0; i < bus->count[space]; i++)
            if (bus->range[space][i].device != device)
                bus->range[space][kept++] = bus->range[space][i];
        bus->count[space] = kept;
        forget_hints(bus, space);
    }
}

static bool contains(const struct bus_range *range, uint64_t address, uint64_t length)
{
    uint64_t offset = address - range->start;

    return address >= range->start && offset < range->length && length <= range->length - offset;
}

/* Where to begin asking: at the first range that contains ADDRESS. A guest comes back to few addresses many times. */
static unsigned first_candidate(struct bus *bus, enum bus_space space, uint64_t address)
{
    struct bus_hint *hint = &bus->hint[space][(address ^ address >> 5 ^ address >> 12) % BUS_HINTS];

    if (!hint->valid || hint->address != address) {
        unsigned first = 0;

        while (first < bus->count[space] && !contains(&bus->range[space][first], address, 1))
            first++;
        *hint = (struct bus_hint) { .address = address, .first = first, .valid = true };
    }
    return hint->first;
}

static uint64_t ones(uint8_t size)
{
    return size >= 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
}

static bool size_is_valid(uint8_t size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

enum bus_result bus_perform(struct bus *bus, enum bus_space space, struct bus_access *access)
{
    uint64_t mask = ones(access->size);
    uint64_t written = access->value & mask;

    if (space < BUS_SPACE_COUNT && size_is_valid(access->size)) {
        uint64_t length = space == BUS_MSR ? 1 : access->size;

        for (unsigned i = first_candidate(bus, space, access->address); i < bus->count[space]; i++) {
            struct bus_range *range = &bus->range[space][i];

            if (!contains(range, access->address, length))
                continue;
            access->offset = access->address - range->start;
            access->value = access->write ? written : mask;
            enum bus_result result = range->handler(range->device, access);
            if (result == BUS_PASS)
                continue;
            range->accesses++;
            access->value &= mask;
            return result;
        }
        bus->unclaimed[space]++;
    }
    access->value = access->write ? written : mask;
    return BUS_PASS;
}
