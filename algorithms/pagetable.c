#include "algorithms/pagetable.h"

#include <stddef.h>

enum entry_kind { ENTRY_EMPTY, ENTRY_PAGE, ENTRY_TABLE };

union entry {
    uint64_t page; /* handle */
    struct pagetable_table *table;
};

/* A table in the tree or in a pool. */
struct pagetable_table {
    struct pagetable_table *parent; /* in a pool: the next one */
    uint64_t address;               /* the lowest that it covers, before sign extension */
    uint64_t handle;
    unsigned level;
    unsigned used; /* entries that are not empty */
    bool adopted;
    uint8_t *kinds; /* of the entries; stands behind them */
    union entry entries[];
};

const struct pagetable_shape pagetable_x86_64 = {
    .levels = 4,
    .page_bits = 12,
    .level = { { 9, true }, { 9, true }, { 9, true }, { 9, false } },
    .sign_extended = true,
};

const struct pagetable_shape pagetable_ept = {
    .levels = 4,
    .page_bits = 12,
    .level = { { 9, true }, { 9, true }, { 9, false }, { 9, false } },
};

static unsigned entry_count(const struct pagetable *tree, unsigned level)
{
    return 1u << tree->shape.level[level].index_bits;
}

static unsigned index_of(const struct pagetable *tree, unsigned level, uint64_t address)
{
    return (unsigned)(address >> tree->shift[level]) & (entry_count(tree, level) - 1);
}

uint64_t pagetable_page_size(const struct pagetable *tree, unsigned level)
{
    return UINT64_C(1) << tree->shift[level];
}

/* Bytes that the whole tree covers. */
static uint64_t reach(const struct pagetable *tree)
{
    return pagetable_page_size(tree, tree->shape.levels);
}

/* Inside the tree addresses are plain numbers below reach(), in the same order as those outside. */
static uint64_t extend(const struct pagetable *tree, uint64_t address)
{
    return tree->shape.sign_extended && address >= reach(tree) / 2 ? address | -reach(tree) : address;
}

static bool in_reach(const struct pagetable *tree, uint64_t address)
{
    return extend(tree, address & (reach(tree) - 1)) == address;
}

static bool shape_is_valid(const struct pagetable_shape *shape)
{
    unsigned bits = shape->page_bits;

    if (shape->levels < 1 || shape->levels > PAGETABLE_MAX_LEVELS || bits > 63 || !shape->level[0].pages)
        return false;
    for (unsigned level = 0; level < shape->levels; level++) {
        if (shape->level[level].index_bits < 1 || shape->level[level].index_bits > PAGETABLE_MAX_INDEX_BITS)
            return false;
        bits += shape->level[level].index_bits;
    }
    return bits <= 63;
}

static struct pagetable_table *new_table(struct pagetable *tree, unsigned level)
{
    unsigned count = entry_count(tree, level);
    uint64_t entries = count * (uint64_t)sizeof(union entry);
    struct pagetable_table *table = tree->operations->allocate(sizeof *table + entries + count);

    if (!table)
        return NULL;
    *table = (struct pagetable_table) { .level = level, .kinds = (uint8_t *)&table->entries[count] };
    for (unsigned i = 0; i < count; i++)
        table->kinds[i] = ENTRY_EMPTY;
    return table;
}

enum pagetable_error pagetable_init(struct pagetable *tree, const struct pagetable_shape *shape,
                                    const struct pagetable_limit *limit, const struct pagetable_operations *operations,
                                    void *context)
{
    if (!shape_is_valid(shape))
        return PAGETABLE_BAD_SHAPE;

    *tree = (struct pagetable) { .operations = operations, .context = context, .shape = *shape };
    tree->shift[0] = (uint8_t)shape->page_bits;
    for (unsigned level = 0; level < shape->levels; level++) {
        tree->shift[level + 1] = (uint8_t)(tree->shift[level] + shape->level[level].index_bits);
        if (limit)
            tree->limit[level] = limit[level];
    }
    tree->root = new_table(tree, shape->levels - 1);
    return tree->root ? PAGETABLE_OK : PAGETABLE_NO_MEMORY;
}

static void set_entry(struct pagetable_table *table, unsigned index, enum entry_kind kind, union entry entry)
{
    table->used -= table->kinds[index] != ENTRY_EMPTY;
    table->used += kind != ENTRY_EMPTY;
    table->kinds[index] = (uint8_t)kind;
    table->entries[index] = entry;
}

static void clear_entry(struct pagetable_table *table, unsigned index)
{
    set_entry(table, index, ENTRY_EMPTY, (union entry) { .page = 0 });
}

static void hang_in(struct pagetable_table *table, struct pagetable_table *parent, unsigned index, uint64_t address)
{
    table->parent = parent;
    table->address = address;
    set_entry(parent, index, ENTRY_TABLE, (union entry) { .table = table });
}

static void destroy(struct pagetable *tree, struct pagetable_table *table)
{
    tree->operations->destroy_table(tree->context, table->level, table->handle);
    tree->table_count[table->level]--;
    tree->operations->release(table);
}

/* Puts a table that is not in the tree into the pool, or destroys it. */
static void retire(struct pagetable *tree, struct pagetable_table *table)
{
    unsigned level = table->level;

    if (tree->spare_count[level] >= tree->limit[level].spare) {
        destroy(tree, table);
        return;
    }
    table->parent = tree->spare[level];
    tree->spare[level] = table;
    tree->spare_count[level]++;
}

/* A table that is not in the tree, from the pool or new. */
static enum pagetable_error obtain(struct pagetable *tree, unsigned level, struct pagetable_table **obtained)
{
    struct pagetable_table *table = tree->spare[level];
    uint32_t most = tree->limit[level].tables;

    *obtained = table;
    if (table) {
        tree->spare[level] = table->parent;
        tree->spare_count[level]--;
        return PAGETABLE_OK;
    }
    if (most != 0 && tree->table_count[level] >= most)
        return PAGETABLE_TOO_MANY;
    table = new_table(tree, level);
    if (!table)
        return PAGETABLE_NO_MEMORY;
    if (!tree->operations->make_table(tree->context, level, &table->handle)) {
        tree->operations->release(table);
        return PAGETABLE_NOT_MADE;
    }
    tree->table_count[level]++;
    *obtained = table;
    return PAGETABLE_OK;
}

/* Puts a table below *TABLE, where ADDRESS has no entry yet, and makes that one *TABLE. */
static enum pagetable_error grow(struct pagetable *tree, struct pagetable_table **table, uint64_t address)
{
    struct pagetable_table *parent = *table, *child;
    unsigned level = parent->level - 1;
    enum pagetable_error error = obtain(tree, level, &child);

    if (error)
        return error;
    address &= -pagetable_page_size(tree, parent->level);
    if (!tree->operations->attach_table(tree->context, level, extend(tree, address), child->handle)) {
        retire(tree, child);
        return PAGETABLE_NOT_ATTACHED;
    }
    hang_in(child, parent, index_of(tree, parent->level, address), address);
    *table = child;
    return PAGETABLE_OK;
}

/* Takes TABLE out of the tree if it is empty, and those above it that become empty by that. */
static void trim(struct pagetable *tree, struct pagetable_table *table)
{
    while (table->parent && table->used == 0 && !table->adopted) {
        struct pagetable_table *parent = table->parent;

        tree->operations->detach_table(tree->context, table->level, extend(tree, table->address), table->handle);
        clear_entry(parent, index_of(tree, parent->level, table->address));
        retire(tree, table);
        table = parent;
    }
}

/* The lowest table that covers ADDRESS, and the entry in it for ADDRESS. */
static struct pagetable_table *walk(const struct pagetable *tree, uint64_t address, unsigned *index)
{
    struct pagetable_table *table = tree->root;

    for (;;) {
        *index = index_of(tree, table->level, address);
        if (table->kinds[*index] != ENTRY_TABLE)
            return table;
        table = table->entries[*index].table;
    }
}

static uint64_t entry_address(const struct pagetable *tree, const struct pagetable_table *table, unsigned index)
{
    return extend(tree, table->address | (uint64_t)index << tree->shift[table->level]);
}

static void describe(const struct pagetable *tree, const struct pagetable_table *table, unsigned index,
                     struct pagetable_page *page)
{
    if (page)
        *page = (struct pagetable_page) {
            .address = entry_address(tree, table, index),
            .level = table->level,
            .handle = table->entries[index].page,
        };
}

enum pagetable_error pagetable_map(struct pagetable *tree, unsigned level, uint64_t address, uint64_t handle,
                                   uint64_t attributes)
{
    if (level >= tree->shape.levels || !tree->shape.level[level].pages)
        return PAGETABLE_NO_SUCH_PAGES;
    if (!in_reach(tree, address))
        return PAGETABLE_OUT_OF_RANGE;
    if (address & (pagetable_page_size(tree, level) - 1))
        return PAGETABLE_UNALIGNED;

    unsigned index;
    struct pagetable_table *table = walk(tree, address, &index);
    if (table->level < level)
        return PAGETABLE_HAS_TABLE;
    if (table->kinds[index] == ENTRY_PAGE)
        return table->level > level ? PAGETABLE_IN_LARGE_PAGE : PAGETABLE_MAPPED;

    enum pagetable_error error = PAGETABLE_OK;
    while (!error && table->level > level)
        error = grow(tree, &table, address & (reach(tree) - 1));
    index = index_of(tree, level, address);
    if (!error && !tree->operations->map_page(tree->context, level, address, handle, attributes))
        error = PAGETABLE_PAGE_REFUSED;
    if (error) {
        trim(tree, table);
        return error;
    }
    set_entry(table, index, ENTRY_PAGE, (union entry) { .page = handle });
    tree->page_count[level]++;
    return PAGETABLE_OK;
}

enum pagetable_error pagetable_unmap(struct pagetable *tree, uint64_t address, struct pagetable_page *page)
{
    if (!in_reach(tree, address))
        return PAGETABLE_OUT_OF_RANGE;

    unsigned index;
    struct pagetable_table *table = walk(tree, address, &index);
    if (table->kinds[index] != ENTRY_PAGE)
        return PAGETABLE_NOT_MAPPED;
    if (entry_address(tree, table, index) != address)
        return PAGETABLE_PART_OF_PAGE;

    describe(tree, table, index, page);
    tree->operations->unmap_page(tree->context, table->level, address, table->entries[index].page);
    clear_entry(table, index);
    tree->page_count[table->level]--;
    trim(tree, table);
    return PAGETABLE_OK;
}

bool pagetable_find(const struct pagetable *tree, uint64_t address, struct pagetable_page *page)
{
    if (!in_reach(tree, address))
        return false;

    unsigned index;
    const struct pagetable_table *table = walk(tree, address, &index);
    if (table->kinds[index] != ENTRY_PAGE)
        return false;
    describe(tree, table, index, page);
    return true;
}

bool pagetable_next(const struct pagetable *tree, uint64_t address, struct pagetable_page *page)
{
    if (!in_reach(tree, address)) {
        /* In the gap below the upper half, or beyond everything. */
        if (!tree->shape.sign_extended || address >= extend(tree, reach(tree) / 2))
            return false;
        address = extend(tree, reach(tree) / 2);
    }
    address &= reach(tree) - 1;

    const struct pagetable_table *table = tree->root;
    unsigned index = index_of(tree, table->level, address);
    for (;;) {
        if (index == entry_count(tree, table->level)) {
            if (!table->parent)
                return false;
            index = index_of(tree, table->level + 1, table->address) + 1;
            table = table->parent;
        } else if (table->kinds[index] == ENTRY_PAGE) {
            describe(tree, table, index, page);
            return true;
        } else if (table->kinds[index] == ENTRY_TABLE) {
            table = table->entries[index].table;
            index = address > table->address ? index_of(tree, table->level, address) : 0;
        } else {
            index++;
        }
    }
}

enum pagetable_error pagetable_unmap_range(struct pagetable *tree, uint64_t first, uint64_t last)
{
    struct pagetable_page page;

    if (!in_reach(tree, first) || !in_reach(tree, last) || first > last)
        return PAGETABLE_OUT_OF_RANGE;
    if ((pagetable_find(tree, first, &page) && page.address < first)
        || (pagetable_find(tree, last, &page) && page.address + (pagetable_page_size(tree, page.level) - 1) > last))
        return PAGETABLE_PART_OF_PAGE;

    while (pagetable_next(tree, first, &page) && page.address <= last) {
        pagetable_unmap(tree, page.address, NULL);
        first = page.address;
    }
    return PAGETABLE_OK;
}

enum pagetable_error pagetable_adopt(struct pagetable *tree, unsigned level, uint64_t address)
{
    if (level >= tree->shape.levels - 1)
        return PAGETABLE_NO_SUCH_PAGES;
    if (!in_reach(tree, address))
        return PAGETABLE_OUT_OF_RANGE;

    unsigned index;
    struct pagetable_table *parent = walk(tree, address, &index);
    if (parent->level <= level)
        return PAGETABLE_HAS_TABLE;
    if (parent->kinds[index] == ENTRY_PAGE)
        return PAGETABLE_IN_LARGE_PAGE;
    if (parent->level > level + 1)
        return PAGETABLE_NOT_MAPPED;

    struct pagetable_table *table = new_table(tree, level);
    if (!table)
        return PAGETABLE_NO_MEMORY;
    table->adopted = true;
    hang_in(table, parent, index, address & (reach(tree) - 1) & -pagetable_page_size(tree, level + 1));
    return PAGETABLE_OK;
}

void pagetable_drain(struct pagetable *tree)
{
    for (unsigned level = 0; level < tree->shape.levels; level++) {
        struct pagetable_table *next;

        for (struct pagetable_table *table = tree->spare[level]; table; table = next) {
            next = table->parent;
            destroy(tree, table);
        }
        tree->spare[level] = NULL;
        tree->spare_count[level] = 0;
    }
}

void pagetable_clear(struct pagetable *tree)
{
    struct pagetable_page page;

    for (uint64_t from = 0; pagetable_next(tree, from, &page); from = page.address)
        pagetable_unmap(tree, page.address, NULL);
    pagetable_drain(tree);
}

/* As deep as there are levels. */
static void release_tables(struct pagetable *tree, struct pagetable_table *table)
{
    for (unsigned i = 0; i < entry_count(tree, table->level) && table->used > 0; i++)
        if (table->kinds[i] == ENTRY_TABLE)
            release_tables(tree, table->entries[i].table);
    tree->operations->release(table);
}

void pagetable_forget(struct pagetable *tree)
{
    for (unsigned level = 0; level < tree->shape.levels; level++) {
        struct pagetable_table *next;

        for (struct pagetable_table *table = tree->spare[level]; table; table = next) {
            next = table->parent;
            tree->operations->release(table);
        }
    }
    release_tables(tree, tree->root);
    *tree = (struct pagetable) { 0 };
}

const char *pagetable_error_text(enum pagetable_error error)
{
    switch (error) {
    case PAGETABLE_OK:
        return "no error";
    case PAGETABLE_BAD_SHAPE:
        return "no paging structures are of that shape";
    case PAGETABLE_OUT_OF_RANGE:
        return "the paging structures do not reach to that address";
    case PAGETABLE_NO_SUCH_PAGES:
        return "that level has no such pages or tables";
    case PAGETABLE_UNALIGNED:
        return "the address is not a multiple of the page's size";
    case PAGETABLE_MAPPED:
        return "a page is mapped there already";
    case PAGETABLE_IN_LARGE_PAGE:
        return "a larger page is mapped there";
    case PAGETABLE_HAS_TABLE:
        return "there is a table for smaller pages";
    case PAGETABLE_NOT_MAPPED:
        return "nothing is mapped there";
    case PAGETABLE_PART_OF_PAGE:
        return "a page that is mapped there reaches further";
    case PAGETABLE_TOO_MANY:
        return "the level has as many tables as it may have";
    case PAGETABLE_NO_MEMORY:
        return "no memory left for bookkeeping";
    case PAGETABLE_NOT_MADE:
        return "a table could not be made";
    case PAGETABLE_NOT_ATTACHED:
        return "a table could not be attached";
    case PAGETABLE_PAGE_REFUSED:
        return "the page could not be mapped";
    }
    return "unknown error";
}
