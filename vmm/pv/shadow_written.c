/* What happens to guest memory: writes, code, memory that is taken away. */
#include "vmm/pv/shadow_parts.h"

/* Bytes FIRST to LAST of a frame have been written: drops the entries that were derived from them. */
static void drop_written(struct shadow *shadow, uint32_t frame, unsigned first, unsigned last)
{
    uint16_t *list = &shadow->frame[frame].tables;
    unsigned count = 0;

    for (uint16_t table = *list; table != SHADOW_NONE; table = shadow_list_next(*list, shadow->table_same, table))
        count++;
    /* Dropping a table's child may take others from the list: those below it. The list is turned as many times as it
     * had members, so that all that remain have been first. */
    for (; count > 0 && *list != SHADOW_NONE; count--) {
        uint16_t table = *list;

        for (unsigned i = first / 8; i <= last / 8; i++)
            shadow_drop_child(shadow, table, i);
        *list = shadow->table_same[table].next;
    }
}

/* Calls VISIT for each frame of the range, with the first and last byte in it. */
static void for_each_frame(struct shadow *shadow, uint64_t physical, uint64_t length,
                           void (*visit)(struct shadow *shadow, uint32_t frame, unsigned first, unsigned last))
{
    if (length == 0)
        return;
    uint64_t last = length - 1 > UINT64_MAX - physical ? UINT64_MAX : physical + (length - 1);

    for (unsigned i = 0; i < shadow->memory->count; i++) {
        const struct guest_region *region = &shadow->memory->region[i];
        uint64_t region_last = region->start + (region->length - 1);
        uint64_t from = physical > region->start ? physical : region->start;
        uint64_t to = last < region_last ? last : region_last;

        for (; from <= to; from = (from | 4095) + 1) {
            uint64_t page_last = (from | 4095) < to ? from | 4095 : to;

            visit(shadow, shadow->frame_base[i] + (uint32_t)((from - region->start) >> 12), (unsigned)(from & 4095),
                  (unsigned)(page_last & 4095));
        }
    }
}

static void frame_written(struct shadow *shadow, uint32_t frame, unsigned first, unsigned last)
{
    shadow_make_data(shadow, frame);
    drop_written(shadow, frame, first, last);
}

void shadow_written(struct shadow *shadow, uint64_t physical, uint64_t length)
{
    uint32_t frame = shadow_frame_of(shadow, physical);

    for_each_frame(shadow, physical, length, frame_written);
    shadow_settle(shadow);
    if (length > 0 && length <= 8 - physical % 8 && frame != NO_FRAME && shadow_is_tracked(shadow, frame)) {
        shadow_refill(shadow, frame, physical % 4096 / 8);
        shadow_settle(shadow);
    }
}

static void unmap_frame(struct shadow *shadow, uint32_t frame, unsigned first, unsigned last)
{
    (void)first;
    (void)last;
    shadow_drop_mappings(shadow, frame);
    shadow_drop_derived(shadow, frame);
}

void shadow_unmap_memory(struct shadow *shadow, uint64_t physical, uint64_t length)
{
    for_each_frame(shadow, physical, length, unmap_frame);
    shadow_settle(shadow);
}

void shadow_set_code(struct shadow *shadow, uint64_t physical)
{
    uint32_t frame = shadow_frame_of(shadow, physical);

    if (frame == NO_FRAME)
        return;
    shadow_change_frame(shadow, frame, FRAME_OPEN, FRAME_CODE);
    shadow_drop_derived(shadow, frame); /* patches may have changed what the page is as a table */
    shadow_settle(shadow);
}

void shadow_release_code(struct shadow *shadow, uint64_t physical)
{
    uint32_t frame = shadow_frame_of(shadow, physical);

    if (frame == NO_FRAME)
        return;
    shadow_change_frame(shadow, frame, FRAME_CODE, FRAME_OPEN);
    shadow_settle(shadow);
}

bool shadow_is_code(const struct shadow *shadow, uint64_t physical)
{
    uint32_t frame = shadow_frame_of(shadow, physical);

    return frame != NO_FRAME && (shadow->frame[frame].flags & (FRAME_CODE | FRAME_OPEN));
}
