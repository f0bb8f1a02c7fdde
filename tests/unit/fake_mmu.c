#include "tests/unit/fake_mmu.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static unsigned index_of(uint64_t address, unsigned level)
{
    return address >> (12 + 9 * level) & 511;
}

/* The entry of LEVEL for ADDRESS; NULL: no table has it. */
static struct mmu_entry *entry_of(const struct fake_mmu *mmu, unsigned root, uint64_t address, unsigned level)
{
    const struct mmu_table *table = &mmu->root[root];

    for (unsigned i = 3; i > level; i--) {
        const struct mmu_entry *entry = &table->entry[index_of(address, i)];

        if (entry->kind != MMU_TABLE)
            return NULL;
        table = &mmu->table[i - 1][entry->number];
    }
    return (struct mmu_entry *)&table->entry[index_of(address, level)];
}

static bool is_empty(const struct mmu_table *table)
{
    for (unsigned i = 0; i < 512; i++)
        if (table->entry[i].kind != MMU_NOTHING)
            return false;
    return true;
}

static bool make_root(void *context, unsigned *root)
{
    struct fake_mmu *mmu = context;

    if (mmu->roots_left == 0)
        return false;
    mmu->roots_left--;
    *root = mmu->roots++;
    return true;
}

static bool make_table(void *context, unsigned level, unsigned *table)
{
    struct fake_mmu *mmu = context;

    assert_in_range(level, 0, 2);
    if (mmu->tables_left[level] == 0)
        return false;
    mmu->tables_left[level]--;
    *table = mmu->tables[level]++;
    return true;
}

static void clear_root(void *context, unsigned root)
{
    struct fake_mmu *mmu = context;

    assert_true(root < mmu->roots);
    assert_true(is_empty(&mmu->root[root]));
}

static bool attach_table(void *context, unsigned root, unsigned level, uint64_t address, unsigned table)
{
    struct fake_mmu *mmu = context;

    if (mmu->refuse_attach)
        return false;
    assert_true(root < mmu->roots && table < mmu->tables[level]);
    assert_int_equal(address & ((UINT64_C(1) << (12 + 9 * (level + 1))) - 1), 0);
    assert_int_equal((int64_t)(address << 16) >> 16, (int64_t)address);
    struct mmu_table *here = &mmu->table[level][table];
    struct mmu_entry *entry = entry_of(mmu, root, address, level + 1);
    assert_non_null(entry);
    assert_int_equal(entry->kind, MMU_NOTHING);
    assert_false(here->attached);
    assert_true(is_empty(here));
    *entry = (struct mmu_entry) { MMU_TABLE, table };
    here->attached = true;
    here->root = root;
    here->parent = entry;
    return true;
}

static void detach_table(void *context, unsigned level, unsigned table)
{
    struct fake_mmu *mmu = context;
    struct mmu_table *here = &mmu->table[level][table];

    assert_true(here->attached);
    assert_true(is_empty(here));
    here->parent->kind = MMU_NOTHING;
    here->attached = false;
}

static unsigned map(void *context, unsigned root, const struct shadow_mapping *mapping, unsigned count)
{
    struct fake_mmu *mmu = context;

    mmu->calls_of_map++;
    assert_in_range(count, 1, SHADOW_MAP_MAX);
    for (unsigned i = 0; i < count; i++) {
        struct mmu_page *page = &mmu->page[mapping[i].page];
        struct mmu_entry *entry = entry_of(mmu, root, mapping[i].address, mapping[i].flags & SHADOW_LARGE ? 1 : 0);
        uint64_t size = mapping[i].flags & SHADOW_LARGE ? UINT64_C(0x200000) : 4096;

        assert_true(mapping[i].page < MMU_PAGES);
        assert_int_equal(mapping[i].address % size, 0);
        assert_int_equal(mapping[i].physical % size, 0);
        assert_int_equal(mapping[i].flags & ~(SHADOW_WRITE | SHADOW_NO_EXECUTE | SHADOW_LARGE), 0);
        assert_non_null(entry);
        if (mmu->maps_left == 0)
            return i;
        mmu->maps_left -= mmu->maps_left != UINT_MAX;
        if (page->mapped)
            assert_ptr_equal(page->entry, entry);
        else
            assert_int_equal(entry->kind, MMU_NOTHING);
        *entry = (struct mmu_entry) { MMU_PAGE, mapping[i].page };
        *page = (struct mmu_page) {
            .mapped = true, .root = root, .flags = mapping[i].flags,
            .address = mapping[i].address, .physical = mapping[i].physical, .entry = entry,
        };
        mmu->pages_mapped++;
    }
    return count;
}

static void unmap(void *context, const unsigned *number, unsigned count)
{
    struct fake_mmu *mmu = context;

    mmu->calls_of_unmap++;
    assert_in_range(count, 1, SHADOW_UNMAP_MAX);
    for (unsigned i = 0; i < count; i++) {
        struct mmu_page *page = &mmu->page[number[i]];

        if (page->mapped)
            page->entry->kind = MMU_NOTHING;
        page->mapped = false;
        mmu->pages_unmapped++;
    }
}

static bool is_large(void *context, uint64_t physical)
{
    assert_int_equal(physical & 0x1fffff, 0);
    return ((struct fake_mmu *)context)->large;
}

const struct shadow_operations fake_mmu_operations = {
    .make_root = make_root,
    .make_table = make_table,
    .clear_root = clear_root,
    .attach_table = attach_table,
    .detach_table = detach_table,
    .map = map,
    .unmap = unmap,
    .is_large = is_large,
};

void fake_mmu_init(struct fake_mmu *mmu)
{
    memset(mmu, 0, sizeof *mmu);
    mmu->roots_left = MMU_ROOTS;
    for (unsigned i = 0; i < 3; i++)
        mmu->tables_left[i] = MMU_TABLES;
    mmu->maps_left = UINT_MAX;
    mmu->large = true;
}

const struct mmu_page *fake_mmu_find(const struct fake_mmu *mmu, unsigned root, uint64_t address)
{
    for (unsigned level = 0; level < 2; level++) {
        const struct mmu_entry *entry = entry_of(mmu, root, address, level);

        if (entry && entry->kind == MMU_PAGE)
            return &mmu->page[entry->number];
    }
    return NULL;
}

unsigned fake_mmu_count(const struct fake_mmu *mmu, unsigned root)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MMU_PAGES; i++)
        count += mmu->page[i].mapped && mmu->page[i].root == root;
    return count;
}
