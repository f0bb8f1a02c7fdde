#include "algorithms/vcpu.h"
#include "vmm/pv/shadow_parts.h"

#include <stddef.h>

const struct shadow_limits shadow_default_limits = {
    .roots = 64, .pdpts = 512, .directories = 512, .tables = 2048, .pages = 16384,
};

/* Where the arrays lie in the one piece of memory. */
struct layout {
    uint64_t table, table_order, table_same, page, page_order, page_same, frame, block, bytes;
    uint32_t tables, frames, blocks;
};

static uint64_t place(struct layout *layout, uint64_t count, uint64_t size)
{
    uint64_t offset = layout->bytes;

    layout->bytes += (count * size + 15) & ~UINT64_C(15);
    return offset;
}

static uint32_t blocks_of(const struct guest_region *region)
{
    return (uint32_t)(((region->start + region->length - 1) >> BLOCK_BITS) - (region->start >> BLOCK_BITS) + 1);
}

static struct layout layout_of(const struct shadow_configuration *configuration)
{
    const struct shadow_limits *limits = &configuration->limits;
    struct layout layout = { .bytes = (sizeof(struct shadow) + 15) & ~UINT64_C(15) };

    layout.tables = limits->roots + limits->pdpts + limits->directories + limits->tables;
    for (unsigned i = 0; i < configuration->memory->count; i++) {
        layout.frames += (uint32_t)(configuration->memory->region[i].length >> 12);
        layout.blocks += blocks_of(&configuration->memory->region[i]);
    }
    layout.table = place(&layout, layout.tables, sizeof(struct shadow_table));
    layout.table_order = place(&layout, layout.tables, sizeof(struct shadow_link));
    layout.table_same = place(&layout, layout.tables, sizeof(struct shadow_link));
    layout.page = place(&layout, limits->pages, sizeof(struct shadow_page));
    layout.page_order = place(&layout, limits->pages, sizeof(struct shadow_link));
    layout.page_same = place(&layout, limits->pages, sizeof(struct shadow_link));
    layout.frame = place(&layout, layout.frames, sizeof(struct shadow_frame));
    layout.block = place(&layout, layout.blocks, sizeof(struct shadow_block));
    return layout;
}

uint64_t shadow_bytes(const struct shadow_configuration *configuration)
{
    return layout_of(configuration).bytes;
}

static const char *complaint(const struct shadow_configuration *configuration)
{
    const struct shadow_limits *limits = &configuration->limits;
    const struct guest_memory *memory = configuration->memory;

    if (limits->roots < SHADOW_LEAST_ROOTS || limits->pdpts < SHADOW_LEAST_TABLES ||
        limits->directories < SHADOW_LEAST_TABLES || limits->tables < SHADOW_LEAST_TABLES ||
        limits->pages < SHADOW_LEAST_TABLES)
        return "a limit is too low for single instructions";
    if (limits->pages > SHADOW_MOST_PAGES || limits->roots > SHADOW_MOST_PAGES || limits->pdpts > SHADOW_MOST_PAGES ||
        limits->directories > SHADOW_MOST_PAGES || limits->tables > SHADOW_MOST_PAGES ||
        limits->roots + limits->pdpts + limits->directories + limits->tables > SHADOW_MOST_PAGES)
        return "a limit is too high";
    if (memory->count == 0 || memory->count > GUEST_MEMORY_REGIONS)
        return "no memory";
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->region[i];

        if (region->start % 4096 != 0 || region->length % 4096 != 0 || region->length == 0 ||
            region->length > UINT64_C(1) << 43 || region->start > ENTRY_ADDRESS)
            return "a region of memory is not made of pages";
    }
    if (configuration->physical_bits < 32 || configuration->physical_bits > 52)
        return "no processor has that many physical address bits";
    if (configuration->around > SHADOW_MAP_MAX || (configuration->around & (configuration->around - 1)))
        return "the group of pages is not a power of two, or too large";
    if (configuration->unreachable_first <= configuration->unreachable_last &&
        (configuration->unreachable_first % BLOCK_BYTES != 0 ||
         (configuration->unreachable_last + 1) % BLOCK_BYTES != 0))
        return "what cannot be reached is not made of 2 MiB";
    return NULL;
}

static void set_up_tables(struct shadow *shadow, const struct shadow_limits *limits)
{
    const unsigned limit[SHADOW_LEVELS] = { limits->tables, limits->directories, limits->pdpts, limits->roots };
    unsigned first = 0;

    for (unsigned level = 0; level < SHADOW_LEVELS; level++) {
        shadow->table_pool[level] = (struct shadow_pool) {
            .free = SHADOW_NONE, .used = SHADOW_NONE, .first = (uint16_t)first, .limit = (uint16_t)limit[level],
        };
        first += limit[level];
    }
    shadow->tables_leaving = SHADOW_NONE;
}

struct shadow *shadow_create(const struct shadow_configuration *configuration, const char **reason)
{
    *reason = complaint(configuration);
    if (*reason)
        return NULL;
    struct layout layout = layout_of(configuration);
    uint8_t *memory = configuration->allocate(layout.bytes);
    if (!memory) {
        *reason = "no memory for the software TLB";
        return NULL;
    }
    struct shadow *shadow = (struct shadow *)memory;
    *shadow = (struct shadow) {
        .memory = configuration->memory,
        .operations = configuration->operations,
        .context = configuration->context,
        .no_execute = configuration->no_execute,
        .unreachable_first = configuration->unreachable_first,
        .unreachable_last = configuration->unreachable_last,
        .around = configuration->around ? configuration->around : 8,
        .reserved = ENTRY_ADDRESS & ~((UINT64_C(1) << configuration->physical_bits) - 1),
        .cr3 = UINT64_MAX,
        .table = (struct shadow_table *)(memory + layout.table),
        .table_order = (struct shadow_link *)(memory + layout.table_order),
        .table_same = (struct shadow_link *)(memory + layout.table_same),
        .page = (struct shadow_page *)(memory + layout.page),
        .page_order = (struct shadow_link *)(memory + layout.page_order),
        .page_same = (struct shadow_link *)(memory + layout.page_same),
        .frame = (struct shadow_frame *)(memory + layout.frame),
        .block = (struct shadow_block *)(memory + layout.block),
    };
    set_up_tables(shadow, &configuration->limits);
    shadow->page_pool = (struct shadow_pool) { .free = SHADOW_NONE, .used = SHADOW_NONE };
    for (unsigned i = 0; i < configuration->limits.pages; i++)
        shadow_list_append(&shadow->page_pool.free, shadow->page_order, (uint16_t)i);
    for (uint32_t i = 0; i < layout.frames; i++)
        shadow->frame[i] = (struct shadow_frame) { .pages = SHADOW_NONE, .tables = SHADOW_NONE };
    for (uint32_t i = 0; i < layout.blocks; i++)
        shadow->block[i] = (struct shadow_block) { .pages = SHADOW_NONE };
    for (unsigned i = 1; i < configuration->memory->count; i++) {
        const struct guest_region *before = &configuration->memory->region[i - 1];

        shadow->frame_base[i] = shadow->frame_base[i - 1] + (uint32_t)(before->length >> 12);
        shadow->block_base[i] = shadow->block_base[i - 1] + blocks_of(before);
    }
    return shadow;
}

uint16_t shadow_find_root(struct shadow *shadow, uint64_t cr3, bool user)
{
    uint16_t list = shadow->table_pool[SHADOW_ROOT].used;

    if (list == SHADOW_NONE)
        return SHADOW_NONE;
    /* The latest first. */
    for (uint16_t root = shadow->table_order[list].previous;; root = shadow->table_order[root].previous) {
        if (shadow->table[root].address == cr3 && shadow->table[root].user == user)
            return root;
        if (root == list)
            return SHADOW_NONE;
    }
}

uint16_t shadow_root(struct shadow *shadow, uint64_t cr3, bool user)
{
    uint16_t root = shadow_find_root(shadow, cr3, user);

    if (root != SHADOW_NONE) {
        shadow_use_table(shadow, root);
        return root;
    }
    root = shadow_take_root(shadow);
    if (root != SHADOW_NONE)
        shadow_insert_root(shadow, root, cr3, user);
    return root;
}

uint16_t shadow_find_page(const struct shadow *shadow, uint16_t root, uint64_t address)
{
    uint16_t table = root;

    for (unsigned level = SHADOW_ROOT;; level--) {
        uint16_t child = shadow->table[table].child[shadow_index(address, level)];

        if (child == SHADOW_NONE || !(child & CHILD_TABLE))
            return child;
        table = child & (uint16_t)~CHILD_TABLE;
    }
}

/* CR0.WP has been set: the kernel can no longer write to what is read-only. */
static void drop_unprotected(struct shadow *shadow)
{
    uint16_t page = shadow->page_pool.used;

    while (shadow->unprotected > 0 && page != SHADOW_NONE) {
        uint16_t next = shadow_list_next(shadow->page_pool.used, shadow->page_order, page);

        if (shadow->page[page].flags & PAGE_UNPROTECTED)
            shadow_drop_page(shadow, page);
        page = next;
    }
}

static void drop_all(struct shadow *shadow)
{
    uint16_t root = shadow->table_pool[SHADOW_ROOT].used;

    while (root != SHADOW_NONE) {
        shadow_drop_children(shadow, root);
        root = shadow_list_next(shadow->table_pool[SHADOW_ROOT].used, shadow->table_order, root);
    }
}

void shadow_notice(struct shadow *shadow, const struct shadow_state *state)
{
    bool write_protect = state->cr0 & CR0_WP, no_execute = state->efer & EFER_NXE;

    if (write_protect && !shadow->write_protect)
        drop_unprotected(shadow);
    if (no_execute != shadow->guest_no_execute) /* bit 63 of entries is reserved, or is not */
        drop_all(shadow);
    shadow->write_protect = write_protect;
    shadow->guest_no_execute = no_execute;
    shadow->cr3 = state->cr3 & ENTRY_ADDRESS;
}

bool shadow_select(struct shadow *shadow, const struct shadow_state *state, unsigned *root)
{
    shadow_notice(shadow, state);
    uint16_t selected = shadow_root(shadow, shadow->cr3, state->user);
    shadow_settle(shadow);
    if (selected == SHADOW_NONE)
        return false;
    *root = shadow->table[selected].handle;
    return true;
}

/* Tables that were given up have their say again. */
static void end_releases(struct shadow *shadow)
{
    for (; shadow->released > 0; shadow->released--) {
        uint32_t frame = shadow->released_frame[shadow->released - 1];

        shadow_change_frame(shadow, frame, FRAME_RELEASED, 0);
        shadow_drop_derived(shadow, frame);
    }
}

void shadow_load_cr3(struct shadow *shadow)
{
    end_releases(shadow);
    shadow_settle(shadow);
}

void shadow_flush(struct shadow *shadow)
{
    end_releases(shadow);
    drop_all(shadow);
    shadow_settle(shadow);
}

void shadow_release_table(struct shadow *shadow, uint64_t physical)
{
    uint32_t frame = shadow_frame_of(shadow, physical);

    if (frame == NO_FRAME)
        return;
    shadow_drop_derived(shadow, frame);
    if (!(shadow->frame[frame].flags & FRAME_RELEASED)) {
        if (shadow->released == RELEASED_MAX)
            end_releases(shadow);
        shadow->released_frame[shadow->released++] = frame;
        shadow_change_frame(shadow, frame, 0, FRAME_RELEASED);
    }
    shadow_settle(shadow);
}

/* Drops what TABLE has between 48-bit addresses FIRST and LAST. */
static void drop_between(struct shadow *shadow, uint16_t table, uint64_t first, uint64_t last)
{
    const struct shadow_table *here = &shadow->table[table];
    unsigned shift = shadow_shift(here->level);
    uint64_t base = here->level == SHADOW_ROOT ? 0 : here->address << 16 >> 16;

    for (unsigned i = first <= base ? 0 : (unsigned)((first - base) >> shift); i < ENTRIES && here->live > 0; i++) {
        uint64_t from = base + ((uint64_t)i << shift), to = from + (UINT64_C(1) << shift) - 1;
        uint16_t child = here->child[i];

        if (from > last)
            break;
        if (child == SHADOW_NONE)
            continue;
        if ((child & CHILD_TABLE) && (from < first || to > last))
            drop_between(shadow, child & (uint16_t)~CHILD_TABLE, first, last);
        else
            shadow_drop_child(shadow, table, i);
    }
}

void shadow_invalidate_range(struct shadow *shadow, uint64_t cr3, uint64_t address, uint64_t length)
{
    uint64_t end = length > UINT64_MAX - address ? UINT64_MAX : address + length - 1; /* if there is a length */
    uint64_t first = address << 16 >> 16, last = end << 16 >> 16;

    end_releases(shadow);
    if (!is_canonical(address) || !is_canonical(end)) {
        first = 0;
        last = UINT64_MAX >> 16;
    }
    for (unsigned user = 0; length > 0 && user < 2; user++) {
        uint16_t root = shadow_find_root(shadow, cr3 & ENTRY_ADDRESS, user);

        if (root != SHADOW_NONE)
            drop_between(shadow, root, first, last);
    }
    shadow_settle(shadow);
}

void shadow_invalidate_page(struct shadow *shadow, uint64_t cr3, uint64_t address)
{
    shadow_invalidate_range(shadow, cr3, address, 1);
}

const struct shadow_counts *shadow_counts(const struct shadow *shadow)
{
    return &shadow->counts;
}
