#include "vmm/pv/shadow_parts.h"

uint32_t shadow_frame_of(const struct shadow *shadow, uint64_t physical)
{
    for (unsigned i = 0; i < shadow->memory->count; i++) {
        const struct guest_region *region = &shadow->memory->region[i];

        if (physical >= region->start && physical - region->start < region->length)
            return shadow->frame_base[i] + (uint32_t)((physical - region->start) >> 12);
    }
    return NO_FRAME;
}

static unsigned region_of(const struct shadow *shadow, uint32_t frame)
{
    unsigned i = shadow->memory->count - 1;

    while (i > 0 && frame < shadow->frame_base[i])
        i--;
    return i;
}

uint64_t shadow_frame_physical(const struct shadow *shadow, uint32_t frame)
{
    unsigned i = region_of(shadow, frame);

    return shadow->memory->region[i].start + ((uint64_t)(frame - shadow->frame_base[i]) << 12);
}

static struct shadow_block *block_of(const struct shadow *shadow, uint32_t frame)
{
    unsigned i = region_of(shadow, frame);
    uint64_t start = shadow->memory->region[i].start;
    uint64_t physical = start + ((uint64_t)(frame - shadow->frame_base[i]) << 12);

    return &shadow->block[shadow->block_base[i] + (uint32_t)((physical >> BLOCK_BITS) - (start >> BLOCK_BITS))];
}

struct shadow_block *shadow_whole_block(const struct shadow *shadow, uint64_t physical)
{
    uint64_t start = physical & ~(BLOCK_BYTES - 1);
    uint32_t frame = shadow_frame_of(shadow, start);

    if (frame == NO_FRAME || !guest_memory_at(shadow->memory, start, BLOCK_BYTES))
        return NULL;
    return block_of(shadow, frame);
}

bool shadow_is_tracked(const struct shadow *shadow, uint32_t frame)
{
    return shadow->frame[frame].tables != SHADOW_NONE && !(shadow->frame[frame].flags & FRAME_RELEASED);
}

static bool is_restricted(const struct shadow *shadow, uint32_t frame)
{
    return shadow_is_tracked(shadow, frame) || (shadow->frame[frame].flags & (FRAME_CODE | FRAME_OPEN));
}

/* Drops those small pages of FRAME whose flags, as far as they are in MASK, are FLAGS; with KERNEL only those in roots
 * of guest kernels. */
static void drop_pages_with(struct shadow *shadow, uint32_t frame, unsigned mask, unsigned flags, bool kernel)
{
    uint16_t *list = &shadow->frame[frame].pages, page = *list;

    if (page == SHADOW_NONE)
        return;
    for (uint16_t last = shadow->page_same[page].previous, next;; page = next) {
        const struct shadow_page *here = &shadow->page[page];
        bool end = page == last;

        next = shadow->page_same[page].next;
        if ((here->flags & mask) == flags && !(kernel && shadow->table[shadow->table[here->table].root].user))
            shadow_drop_page(shadow, page);
        if (end)
            return;
    }
}

static void drop_large_pages(struct shadow *shadow, struct shadow_block *block)
{
    while (block->pages != SHADOW_NONE)
        shadow_drop_page(shadow, block->pages);
}

/* FRAME has become, or ceased to be, a table or code; RESTRICTED is what it was before. */
static void restrict_frame(struct shadow *shadow, uint32_t frame, bool restricted)
{
    struct shadow_block *block = block_of(shadow, frame);

    if (restricted && !is_restricted(shadow, frame))
        block->restricted--;
    if (!restricted && is_restricted(shadow, frame)) {
        block->restricted++;
        drop_large_pages(shadow, block);
    }
    if (shadow_is_tracked(shadow, frame) || (shadow->frame[frame].flags & FRAME_CODE))
        drop_pages_with(shadow, frame, SHADOW_WRITE, SHADOW_WRITE, false);
}

void shadow_add_source(struct shadow *shadow, uint16_t table)
{
    uint32_t frame = shadow->table[table].source;

    if (frame == NO_FRAME)
        return;
    bool tracked = shadow_is_tracked(shadow, frame), restricted = is_restricted(shadow, frame);
    shadow_list_append(&shadow->frame[frame].tables, shadow->table_same, table);
    if (!tracked)
        restrict_frame(shadow, frame, restricted);
}

void shadow_remove_source(struct shadow *shadow, uint16_t table)
{
    uint32_t frame = shadow->table[table].source;

    if (frame == NO_FRAME)
        return;
    bool restricted = is_restricted(shadow, frame);
    shadow_list_remove(&shadow->frame[frame].tables, shadow->table_same, table);
    if (shadow->frame[frame].tables == SHADOW_NONE)
        restrict_frame(shadow, frame, restricted);
}

void shadow_change_frame(struct shadow *shadow, uint32_t frame, unsigned clear, unsigned set)
{
    bool restricted = is_restricted(shadow, frame);

    shadow->frame[frame].flags = (uint8_t)((shadow->frame[frame].flags & ~clear) | set);
    restrict_frame(shadow, frame, restricted);
}

/* The list of the mappings of a page's memory. */
static uint16_t *mappings_of(struct shadow *shadow, const struct shadow_page *page)
{
    return page->flags & SHADOW_LARGE ? &block_of(shadow, page->frame)->pages : &shadow->frame[page->frame].pages;
}

void shadow_add_mapping(struct shadow *shadow, uint16_t page)
{
    shadow_list_append(mappings_of(shadow, &shadow->page[page]), shadow->page_same, page);
    shadow->unprotected += (shadow->page[page].flags & PAGE_UNPROTECTED) != 0;
}

void shadow_remove_mapping(struct shadow *shadow, uint16_t page)
{
    shadow_list_remove(mappings_of(shadow, &shadow->page[page]), shadow->page_same, page);
    shadow->unprotected -= (shadow->page[page].flags & PAGE_UNPROTECTED) != 0;
}

void shadow_make_data(struct shadow *shadow, uint32_t frame)
{
    if (!(shadow->frame[frame].flags & (FRAME_CODE | FRAME_OPEN)))
        return;
    shadow_change_frame(shadow, frame, FRAME_CODE | FRAME_OPEN, 0);
    drop_pages_with(shadow, frame, SHADOW_NO_EXECUTE, 0, true);
}

void shadow_drop_mappings(struct shadow *shadow, uint32_t frame)
{
    drop_large_pages(shadow, block_of(shadow, frame));
    drop_pages_with(shadow, frame, 0, 0, false);
}

void shadow_drop_derived(struct shadow *shadow, uint32_t frame)
{
    const uint16_t *list = &shadow->frame[frame].tables;
    uint16_t table = *list;

    /* What is dropped may have others of the list below it: from the start again. Roots that stay are few. */
    while (table != SHADOW_NONE) {
        const struct shadow_table *here = &shadow->table[table];

        if (here->level == SHADOW_ROOT && here->address == shadow->cr3 && here->live == 0) {
            table = shadow_list_next(*list, shadow->table_same, table);
            continue;
        }
        if (here->level != SHADOW_ROOT)
            shadow_drop_table(shadow, table);
        else if (here->address == shadow->cr3)
            shadow_drop_children(shadow, table);
        else
            shadow_drop_root(shadow, table);
        table = *list;
    }
}
