#include "vmm/pv/shadow_parts.h"

static struct shadow_pool *pool_of(struct shadow *shadow, uint16_t table)
{
    return &shadow->table_pool[shadow->table[table].level];
}

/* Unmaps what is leaving; the page slots can be used again. */
static void settle_pages(struct shadow *shadow)
{
    if (shadow->pages_leaving == 0)
        return;
    shadow->operations->unmap(shadow->context, shadow->page_leaving, shadow->pages_leaving);
    for (unsigned i = 0; i < shadow->pages_leaving; i++)
        shadow_list_append(&shadow->page_pool.free, shadow->page_order, (uint16_t)shadow->page_leaving[i]);
    shadow->pages_leaving = 0;
}

void shadow_settle(struct shadow *shadow)
{
    uint16_t table;

    settle_pages(shadow);
    while ((table = shadow_list_take_first(&shadow->tables_leaving, shadow->table_order)) != SHADOW_NONE) {
        const struct shadow_table *leaving = &shadow->table[table];

        shadow->operations->detach_table(shadow->context, leaving->level, leaving->handle);
        shadow_list_append(&pool_of(shadow, table)->free, shadow->table_order, table);
    }
}

void shadow_drop_page(struct shadow *shadow, uint16_t page)
{
    struct shadow_page *leaving = &shadow->page[page];
    struct shadow_table *table = &shadow->table[leaving->table];

    table->child[leaving->index] = SHADOW_NONE;
    table->live--;
    shadow_remove_mapping(shadow, page);
    shadow_list_remove(&shadow->page_pool.used, shadow->page_order, page);
    shadow->counts.dropped++;
    if (shadow->pages_leaving == SHADOW_UNMAP_MAX)
        settle_pages(shadow);
    shadow->page_leaving[shadow->pages_leaving++] = page;
}

void shadow_drop_children(struct shadow *shadow, uint16_t table)
{
    const struct shadow_table *parent = &shadow->table[table];

    for (unsigned i = 0; i < ENTRIES && parent->live > 0; i++)
        shadow_drop_child(shadow, table, i);
}

void shadow_drop_table(struct shadow *shadow, uint16_t table)
{
    struct shadow_table *leaving = &shadow->table[table];
    struct shadow_table *parent = &shadow->table[leaving->parent];

    shadow_drop_children(shadow, table); /* as deep as there are levels */
    parent->child[shadow_index(leaving->address, parent->level)] = SHADOW_NONE;
    parent->live--;
    shadow_remove_source(shadow, table);
    shadow_list_remove(&pool_of(shadow, table)->used, shadow->table_order, table);
    shadow_list_append(&shadow->tables_leaving, shadow->table_order, table);
}

void shadow_drop_child(struct shadow *shadow, uint16_t table, unsigned index)
{
    uint16_t child = shadow->table[table].child[index];

    if (child == SHADOW_NONE)
        return;
    if (child & CHILD_TABLE)
        shadow_drop_table(shadow, child & (uint16_t)~CHILD_TABLE);
    else
        shadow_drop_page(shadow, child);
}

void shadow_drop_root(struct shadow *shadow, uint16_t root)
{
    shadow_drop_children(shadow, root);
    shadow_settle(shadow);
    shadow_remove_source(shadow, root);
    shadow_list_remove(&pool_of(shadow, root)->used, shadow->table_order, root);
    shadow->operations->clear_root(shadow->context, shadow->table[root].handle);
    shadow_list_append(&pool_of(shadow, root)->free, shadow->table_order, root);
}

uint16_t shadow_take_page(struct shadow *shadow, bool evict)
{
    struct shadow_pool *pool = &shadow->page_pool;

    if (pool->free == SHADOW_NONE)
        settle_pages(shadow);
    if (pool->free == SHADOW_NONE && evict && pool->used != SHADOW_NONE) {
        shadow_drop_page(shadow, pool->used);
        settle_pages(shadow);
        shadow->counts.evicted_pages++;
    }
    return shadow_list_take_first(&pool->free, shadow->page_order);
}

/* One more table or root, if the caller has it. */
static uint16_t make_table(struct shadow *shadow, unsigned level)
{
    struct shadow_pool *pool = &shadow->table_pool[level];
    uint16_t table = (uint16_t)(pool->first + pool->made);

    if (pool->made == pool->limit)
        return SHADOW_NONE;
    unsigned *handle = &shadow->table[table].handle;
    if (!(level == SHADOW_ROOT ? shadow->operations->make_root(shadow->context, handle)
                               : shadow->operations->make_table(shadow->context, level, handle)))
        return SHADOW_NONE;
    pool->made++;
    shadow->table[table].level = (uint8_t)level;
    for (unsigned i = 0; i < ENTRIES; i++)
        shadow->table[table].child[i] = SHADOW_NONE;
    return table;
}

/* Tables of a level are never above one of that level, so that what is given up is not on the way to what is wanted. */
uint16_t shadow_take_table(struct shadow *shadow, unsigned level)
{
    struct shadow_pool *pool = &shadow->table_pool[level];

    shadow_settle(shadow);
    if (pool->free == SHADOW_NONE) {
        uint16_t made = make_table(shadow, level);

        if (made != SHADOW_NONE || pool->used == SHADOW_NONE)
            return made;
        shadow_drop_table(shadow, pool->used);
        shadow_settle(shadow);
        shadow->counts.evicted_tables++;
    }
    return shadow_list_take_first(&pool->free, shadow->table_order);
}

uint16_t shadow_take_root(struct shadow *shadow)
{
    struct shadow_pool *pool = &shadow->table_pool[SHADOW_ROOT];

    if (pool->free == SHADOW_NONE) {
        uint16_t made = make_table(shadow, SHADOW_ROOT);

        if (made != SHADOW_NONE || pool->used == SHADOW_NONE)
            return made;
        shadow_drop_root(shadow, pool->used);
        shadow->counts.evicted_roots++;
    }
    return shadow_list_take_first(&pool->free, shadow->table_order);
}

void shadow_return_table(struct shadow *shadow, uint16_t table)
{
    shadow_list_append(&pool_of(shadow, table)->free, shadow->table_order, table);
}

void shadow_insert_page(struct shadow *shadow, uint16_t page, uint16_t table, unsigned index, uint32_t frame,
                        unsigned flags)
{
    struct shadow_table *parent = &shadow->table[table];

    shadow->page[page] =
        (struct shadow_page) { .frame = frame, .table = table, .index = (uint16_t)index, .flags = (uint8_t)flags };
    parent->child[index] = page;
    parent->live++;
    shadow_add_mapping(shadow, page);
    shadow_list_append(&shadow->page_pool.used, shadow->page_order, page);
}

void shadow_insert_table(struct shadow *shadow, uint16_t table, uint16_t parent, unsigned index, uint64_t meaning,
                         uint32_t source)
{
    struct shadow_table *above = &shadow->table[parent], *here = &shadow->table[table];
    uint64_t base = above->level == SHADOW_ROOT ? 0 : above->address;

    here->address = (uint64_t)((int64_t)((base | (uint64_t)index << shadow_shift(above->level)) << 16) >> 16);
    here->meaning = meaning;
    here->source = source;
    here->root = above->level == SHADOW_ROOT ? parent : above->root;
    here->parent = parent;
    above->child[index] = (uint16_t)(CHILD_TABLE | table);
    above->live++;
    shadow_list_append(&pool_of(shadow, table)->used, shadow->table_order, table);
    shadow_add_source(shadow, table);
}

void shadow_insert_root(struct shadow *shadow, uint16_t root, uint64_t cr3, bool user)
{
    struct shadow_table *here = &shadow->table[root];

    here->address = cr3;
    here->source = shadow_frame_of(shadow, cr3);
    here->root = root;
    here->user = user;
    shadow_list_append(&pool_of(shadow, root)->used, shadow->table_order, root);
    shadow_add_source(shadow, root);
}

void shadow_use_page(struct shadow *shadow, uint16_t page)
{
    shadow_list_remove(&shadow->page_pool.used, shadow->page_order, page);
    shadow_list_append(&shadow->page_pool.used, shadow->page_order, page);
}

void shadow_use_table(struct shadow *shadow, uint16_t table)
{
    shadow_list_remove(&pool_of(shadow, table)->used, shadow->table_order, table);
    shadow_list_append(&pool_of(shadow, table)->used, shadow->table_order, table);
}
