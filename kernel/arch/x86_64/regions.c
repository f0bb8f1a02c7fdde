#include <arch/x86_64/regions.h>

bool regions_add(struct regions *set, uint64_t start, uint64_t end)
{
    if (start >= end)
        return true;

    unsigned first = 0, behind;
    while (first < set->count && set->list[first].end < start)
        first++;
    behind = first;
    while (behind < set->count && set->list[behind].start <= end) {
        if (set->list[behind].start < start)
            start = set->list[behind].start;
        if (set->list[behind].end > end)
            end = set->list[behind].end;
        behind++;
    }

    if (behind == first) {
        if (set->count == REGIONS_MAX)
            return false;
        for (unsigned i = set->count++; i > first; i--)
            set->list[i] = set->list[i - 1];
    } else {
        unsigned surplus = behind - first - 1;
        for (unsigned i = behind; surplus && i < set->count; i++)
            set->list[i - surplus] = set->list[i];
        set->count -= surplus;
    }
    set->list[first] = (struct region) { start, end };
    return true;
}

bool regions_remove(struct regions *set, uint64_t start, uint64_t end)
{
    unsigned kept = 0;

    if (start >= end)
        return true;
    for (unsigned i = 0; i < set->count; i++) {
        struct region region = set->list[i];

        if (region.start < start && region.end > end) {
            if (set->count == REGIONS_MAX)
                return false;
            for (unsigned j = set->count++; j > i + 1; j--)
                set->list[j] = set->list[j - 1];
            set->list[i] = (struct region) { region.start, start };
            set->list[i + 1] = (struct region) { end, region.end };
            return true;
        }
        if (region.end > start && region.start < end) {
            if (region.start < start)
                region.end = start;
            else if (region.end > end)
                region.start = end;
            else
                continue;
        }
        set->list[kept++] = region;
    }
    set->count = kept;
    return true;
}

bool regions_find_lowest(const struct regions *set, uint64_t floor, uint64_t size, uint64_t alignment, uint64_t *start)
{
    for (unsigned i = 0; i < set->count; i++) {
        uint64_t from = set->list[i].start > floor ? set->list[i].start : floor;
        uint64_t aligned = (from + alignment - 1) & ~(alignment - 1);

        if (aligned < from || aligned > set->list[i].end || set->list[i].end - aligned < size)
            continue;
        *start = aligned;
        return true;
    }
    return false;
}

bool regions_find_highest(const struct regions *set, uint64_t size, uint64_t alignment, uint64_t *start)
{
    for (unsigned i = set->count; i-- > 0;) {
        if (set->list[i].end - set->list[i].start < size)
            continue;

        uint64_t aligned = (set->list[i].end - size) & ~(alignment - 1);
        if (aligned < set->list[i].start)
            continue;
        *start = aligned;
        return true;
    }
    return false;
}
