/* PageTableManager, on a model of the structures that allows only what hardware and seL4 would allow. */
#include "algorithms/pagetable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OBJECTS 4096u
#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define UPPER_HALF (-(UINT64_C(1) << 47))

/* A table or page that exists; handles are indices. */
struct object {
    bool table, made, attached;
    unsigned level;
    uint64_t address;
};

struct model {
    struct object objects[OBJECTS];
    const struct pagetable *tree;
    unsigned made, attached, pages;
    unsigned most_made;
    unsigned makes_left, attaches_left, maps_left;
    uint64_t attributes; /* of the page that was mapped last */
};

static int64_t blocks;
static uint64_t blocks_left;

static void *allocate(uint64_t bytes)
{
    if (blocks_left == 0)
        return NULL;
    blocks_left--;
    blocks++;
    return memset(malloc(bytes), 0xa5, bytes);
}

static void release(void *memory)
{
    blocks--;
    free(memory);
}

/* Bytes that a table of that level covers. */
static uint64_t table_span(const struct model *model, unsigned level)
{
    return pagetable_page_size(model->tree, level) << model->tree->shape.level[level].index_bits;
}

static bool table_is_there(const struct model *model, unsigned level, uint64_t address)
{
    if (level + 1 == model->tree->shape.levels)
        return true;
    for (unsigned i = 1; i < OBJECTS; i++) {
        const struct object *object = &model->objects[i];

        if (object->table && object->attached && object->level == level
            && object->address == (address & -table_span(model, level)))
            return true;
    }
    return false;
}

/* Whether a page, or a table up to that level, is where a table of LEVEL has its entries. */
static bool occupied(const struct model *model, unsigned level, uint64_t address)
{
    for (unsigned i = 1; i < OBJECTS; i++) {
        const struct object *object = &model->objects[i];

        if (object->attached && object->level <= level + !object->table
            && object->address - address < table_span(model, level))
            return true;
    }
    return false;
}

static bool make_table(void *context, unsigned level, uint64_t *handle)
{
    struct model *model = context;

    if (model->makes_left == 0)
        return false;
    model->makes_left--;
    assert_true(level + 1 < model->tree->shape.levels);
    /* Tables take the upper half of the handles. */
    for (unsigned i = OBJECTS / 2; i < OBJECTS; i++)
        if (!model->objects[i].made) {
            model->objects[i] = (struct object) { .table = true, .made = true, .level = level };
            *handle = i;
            if (++model->made > model->most_made)
                model->most_made = model->made;
            return true;
        }
    return false;
}

static void destroy_table(void *context, unsigned level, uint64_t handle)
{
    struct model *model = context;
    struct object *object = &model->objects[handle];

    assert_true(object->table && object->made && !object->attached);
    assert_int_equal(object->level, level);
    object->made = false;
    model->made--;
}

static bool attach_table(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    struct model *model = context;
    struct object *object = &model->objects[handle];

    if (model->attaches_left == 0)
        return false;
    model->attaches_left--;
    assert_true(object->table && object->made && !object->attached);
    assert_int_equal(object->level, level);
    assert_int_equal(address & (table_span(model, level) - 1), 0);
    assert_true(table_is_there(model, level + 1, address));
    assert_false(occupied(model, level, address));
    object->attached = true;
    object->address = address;
    model->attached++;
    return true;
}

static void detach_table(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    struct model *model = context;
    struct object *object = &model->objects[handle];

    assert_true(object->table && object->attached);
    assert_int_equal(object->level, level);
    assert_int_equal(object->address, address);
    object->attached = false;
    assert_false(occupied(model, level, address));
    model->attached--;
}

static bool map_page(void *context, unsigned level, uint64_t address, uint64_t handle, uint64_t attributes)
{
    struct model *model = context;

    if (model->maps_left == 0)
        return false;
    model->maps_left--;
    assert_true(handle < OBJECTS / 2 && !model->objects[handle].attached);
    assert_int_equal(address & (pagetable_page_size(model->tree, level) - 1), 0);
    assert_true(table_is_there(model, level, address));
    model->objects[handle] = (struct object) { .attached = true, .level = level, .address = address };
    model->attributes = attributes;
    model->pages++;
    return true;
}

static void unmap_page(void *context, unsigned level, uint64_t address, uint64_t handle)
{
    struct model *model = context;
    struct object *object = &model->objects[handle];

    assert_true(!object->table && object->attached);
    assert_int_equal(object->level, level);
    assert_int_equal(object->address, address);
    assert_true(table_is_there(model, level, address));
    object->attached = false;
    model->pages--;
}

static const struct pagetable_operations operations = {
    make_table, destroy_table, attach_table, detach_table, map_page, unmap_page, allocate, release,
};

static struct model model;
static struct pagetable tree;

static void begin(const struct pagetable_shape *shape, const struct pagetable_limit *limit)
{
    memset(&model, 0, sizeof model);
    model.tree = &tree;
    model.makes_left = model.attaches_left = model.maps_left = 1000000000;
    blocks = 0;
    blocks_left = UINT64_MAX;
    assert_int_equal(pagetable_init(&tree, shape, limit, &operations, &model), PAGETABLE_OK);
}

static void end(void)
{
    pagetable_clear(&tree);
    assert_int_equal(model.pages, 0);
    assert_int_equal(model.attached, 0);
    assert_int_equal(model.made, 0);
    pagetable_forget(&tree);
    assert_int_equal(blocks, 0);
}

static void tables_come_with_the_first_page_and_go_with_the_last(void **state)
{
    (void)state;
    struct pagetable_page page;

    begin(&pagetable_x86_64, NULL);
    assert_int_equal(pagetable_map(&tree, 0, 0x400000, 1, 0x55), PAGETABLE_OK);
    assert_int_equal(model.attributes, 0x55);
    assert_int_equal(model.attached, 3);
    assert_int_equal(pagetable_map(&tree, 0, 0x401000, 2, 0), PAGETABLE_OK);
    assert_int_equal(model.attached, 3);
    assert_int_equal(pagetable_map(&tree, 1, 0x40000000, 3, 0), PAGETABLE_OK);
    assert_int_equal(model.attached, 4);
    assert_int_equal(pagetable_map(&tree, 2, 512 * GIB, 4, 0), PAGETABLE_OK);
    assert_int_equal(model.attached, 5);

    assert_int_equal(pagetable_unmap(&tree, 0x400000, &page), PAGETABLE_OK);
    assert_int_equal(page.handle, 1);
    assert_int_equal(page.level, 0);
    assert_int_equal(model.attached, 5);
    assert_int_equal(pagetable_unmap(&tree, 0x401000, NULL), PAGETABLE_OK);
    assert_int_equal(model.attached, 3); /* PD and PDPT of the 2 MiB page, PDPT of the 1 GiB page */
    assert_int_equal(pagetable_unmap(&tree, 0x40000000, NULL), PAGETABLE_OK);
    assert_int_equal(model.attached, 1);
    assert_int_equal(pagetable_unmap(&tree, 512 * GIB, NULL), PAGETABLE_OK);
    assert_int_equal(model.attached, 0);
    assert_int_equal(model.made, 0);
    end();
}

static void each_mistake_gets_its_own_error_and_changes_nothing(void **state)
{
    (void)state;

    begin(&pagetable_x86_64, NULL);
    assert_int_equal(pagetable_map(&tree, 0, 0x1000, 1, 0), PAGETABLE_OK);
    assert_int_equal(pagetable_map(&tree, 1, 0x40000000, 2, 0), PAGETABLE_OK);

    assert_int_equal(pagetable_map(&tree, 3, 0, 3, 0), PAGETABLE_NO_SUCH_PAGES);
    assert_int_equal(pagetable_map(&tree, 4, 0, 3, 0), PAGETABLE_NO_SUCH_PAGES);
    assert_int_equal(pagetable_map(&tree, UINT32_MAX, 0, 3, 0), PAGETABLE_NO_SUCH_PAGES);
    assert_int_equal(pagetable_map(&tree, 0, UINT64_C(1) << 47, 3, 0), PAGETABLE_OUT_OF_RANGE);
    assert_int_equal(pagetable_map(&tree, 0, UPPER_HALF - 4096, 3, 0), PAGETABLE_OUT_OF_RANGE);
    assert_int_equal(pagetable_map(&tree, 0, 0x1800, 3, 0), PAGETABLE_UNALIGNED);
    assert_int_equal(pagetable_map(&tree, 1, 0x201000, 3, 0), PAGETABLE_UNALIGNED);
    assert_int_equal(pagetable_map(&tree, 0, 0x1000, 3, 0), PAGETABLE_MAPPED);
    assert_int_equal(pagetable_map(&tree, 1, 0x40000000, 3, 0), PAGETABLE_MAPPED);
    assert_int_equal(pagetable_map(&tree, 0, 0x40001000, 3, 0), PAGETABLE_IN_LARGE_PAGE);
    assert_int_equal(pagetable_map(&tree, 1, 0, 3, 0), PAGETABLE_HAS_TABLE);
    assert_int_equal(pagetable_map(&tree, 2, 0, 3, 0), PAGETABLE_HAS_TABLE);
    assert_int_equal(pagetable_unmap(&tree, 0x2000, NULL), PAGETABLE_NOT_MAPPED);
    assert_int_equal(pagetable_unmap(&tree, 8 * GIB, NULL), PAGETABLE_NOT_MAPPED);
    assert_int_equal(pagetable_unmap(&tree, 0x1001, NULL), PAGETABLE_PART_OF_PAGE);
    assert_int_equal(pagetable_unmap(&tree, 0x40001000, NULL), PAGETABLE_PART_OF_PAGE);
    assert_int_equal(pagetable_unmap(&tree, UINT64_C(1) << 47, NULL), PAGETABLE_OUT_OF_RANGE);
    assert_int_equal(pagetable_unmap_range(&tree, 0, 0x1ffe), PAGETABLE_PART_OF_PAGE);
    assert_int_equal(pagetable_unmap_range(&tree, 0x1001, 0x1fff), PAGETABLE_PART_OF_PAGE);
    assert_int_equal(pagetable_unmap_range(&tree, 0x2000, 0x1fff), PAGETABLE_OUT_OF_RANGE);
    assert_int_equal(pagetable_unmap_range(&tree, 0, UINT64_C(1) << 47), PAGETABLE_OUT_OF_RANGE);

    assert_int_equal(model.pages, 2);
    assert_int_equal(model.attached, 4);
    assert_int_equal(tree.page_count[0], 1);
    assert_int_equal(tree.page_count[1], 1);
    end();
}

static void every_error_has_a_text_of_its_own(void **state)
{
    (void)state;
    const char *unknown = pagetable_error_text((enum pagetable_error)1000);

    for (int a = PAGETABLE_OK; a <= PAGETABLE_PAGE_REFUSED; a++) {
        const char *text = pagetable_error_text((enum pagetable_error)a);

        assert_string_not_equal(text, unknown);
        for (int b = PAGETABLE_OK; b < a; b++)
            assert_string_not_equal(text, pagetable_error_text((enum pagetable_error)b));
    }
}

static void shapes_that_no_structures_have_are_refused(void **state)
{
    (void)state;
    struct pagetable_shape shape;

    memset(&model, 0, sizeof model);
    blocks = 0;
    blocks_left = UINT64_MAX;
    shape = pagetable_x86_64;
    shape.levels = 0;
    assert_int_equal(pagetable_init(&tree, &shape, NULL, &operations, &model), PAGETABLE_BAD_SHAPE);
    shape.levels = PAGETABLE_MAX_LEVELS + 1;
    assert_int_equal(pagetable_init(&tree, &shape, NULL, &operations, &model), PAGETABLE_BAD_SHAPE);
    shape = pagetable_x86_64;
    shape.level[0].pages = false;
    assert_int_equal(pagetable_init(&tree, &shape, NULL, &operations, &model), PAGETABLE_BAD_SHAPE);
    shape = pagetable_x86_64;
    shape.level[2].index_bits = 0;
    assert_int_equal(pagetable_init(&tree, &shape, NULL, &operations, &model), PAGETABLE_BAD_SHAPE);
    shape.level[2].index_bits = PAGETABLE_MAX_INDEX_BITS + 1;
    assert_int_equal(pagetable_init(&tree, &shape, NULL, &operations, &model), PAGETABLE_BAD_SHAPE);
    shape = pagetable_x86_64;
    shape.page_bits = 63 - 4 * 9 + 1;
    assert_int_equal(pagetable_init(&tree, &shape, NULL, &operations, &model), PAGETABLE_BAD_SHAPE);
    shape.page_bits = 200;
    assert_int_equal(pagetable_init(&tree, &shape, NULL, &operations, &model), PAGETABLE_BAD_SHAPE);
    blocks_left = 0;
    assert_int_equal(pagetable_init(&tree, &pagetable_x86_64, NULL, &operations, &model), PAGETABLE_NO_MEMORY);
    assert_int_equal(blocks, 0);
}

static void the_upper_half_is_sign_extended_where_the_shape_says_so(void **state)
{
    (void)state;
    struct pagetable_page page;
    uint64_t top = -UINT64_C(4096);

    begin(&pagetable_x86_64, NULL);
    assert_int_equal(pagetable_map(&tree, 0, top, 1, 0), PAGETABLE_OK);
    assert_int_equal(pagetable_map(&tree, 1, UPPER_HALF, 2, 0), PAGETABLE_OK);
    assert_int_equal(pagetable_map(&tree, 0, 0x1000, 3, 0), PAGETABLE_OK);
    assert_true(pagetable_find(&tree, UINT64_MAX, &page));
    assert_int_equal(page.address, top);
    assert_false(pagetable_find(&tree, UPPER_HALF - 1, &page));

    assert_true(pagetable_next(&tree, 0x2000, &page));
    assert_int_equal(page.address, UPPER_HALF);
    assert_true(pagetable_next(&tree, UINT64_C(1) << 47, &page));
    assert_int_equal(page.address, UPPER_HALF);
    assert_true(pagetable_next(&tree, UPPER_HALF + 2 * MIB, &page));
    assert_int_equal(page.address, top);
    assert_int_equal(pagetable_unmap_range(&tree, 0x1000, UINT64_MAX), PAGETABLE_OK);
    assert_int_equal(model.pages, 0);
    end();

    begin(&pagetable_ept, NULL);
    assert_int_equal(pagetable_map(&tree, 0, (UINT64_C(1) << 48) - 4096, 1, 0), PAGETABLE_OK);
    assert_int_equal(pagetable_map(&tree, 0, top, 2, 0), PAGETABLE_OUT_OF_RANGE);
    assert_int_equal(pagetable_map(&tree, 2, 0, 2, 0), PAGETABLE_NO_SUCH_PAGES);
    assert_true(pagetable_next(&tree, 0, &page));
    assert_int_equal(page.address, (UINT64_C(1) << 48) - 4096);
    assert_false(pagetable_next(&tree, UINT64_C(1) << 48, &page));
    end();
}

static void a_refusal_half_way_leaves_no_table_behind(void **state)
{
    (void)state;

    for (unsigned steps = 0; steps < 3; steps++) {
        begin(&pagetable_x86_64, NULL);
        model.makes_left = steps;
        assert_int_equal(pagetable_map(&tree, 0, 0x1000, 1, 0), PAGETABLE_NOT_MADE);
        assert_int_equal(model.made, 0);

        model.makes_left = 100;
        model.attaches_left = steps;
        assert_int_equal(pagetable_map(&tree, 0, 0x1000, 1, 0), PAGETABLE_NOT_ATTACHED);
        assert_int_equal(model.made, 0);

        model.attaches_left = 100;
        blocks_left = steps;
        assert_int_equal(pagetable_map(&tree, 0, 0x1000, 1, 0), PAGETABLE_NO_MEMORY);
        assert_int_equal(model.made, 0);

        blocks_left = 100;
        model.maps_left = 0;
        assert_int_equal(pagetable_map(&tree, 0, 0x1000, 1, 0), PAGETABLE_PAGE_REFUSED);
        assert_int_equal(model.made, 0);
        assert_int_equal(tree.page_count[0], 0);

        model.maps_left = 1;
        assert_int_equal(pagetable_map(&tree, 0, 0x1000, 1, 0), PAGETABLE_OK);
        assert_int_equal(model.attached, 3);
        end();
    }
}

static void a_refusal_leaves_the_tables_of_others_alone(void **state)
{
    (void)state;

    begin(&pagetable_x86_64, NULL);
    assert_int_equal(pagetable_map(&tree, 1, 0x200000, 1, 0), PAGETABLE_OK);
    assert_int_equal(model.attached, 2);
    model.maps_left = 0;
    assert_int_equal(pagetable_map(&tree, 0, 0x1000, 2, 0), PAGETABLE_PAGE_REFUSED);
    assert_int_equal(model.attached, 2);
    end();
}

static void tables_are_taken_from_the_pool_before_new_ones_are_made(void **state)
{
    (void)state;
    const struct pagetable_limit limit[] = { { .spare = 2 }, { .spare = 1 }, { .spare = 1 }, { 0 } };

    begin(&pagetable_x86_64, limit);
    for (unsigned round = 0; round < 100; round++) {
        uint64_t address = round * 513 * GIB;

        assert_int_equal(pagetable_map(&tree, 0, address, 1, 0), PAGETABLE_OK);
        assert_int_equal(pagetable_unmap(&tree, address, NULL), PAGETABLE_OK);
    }
    assert_int_equal(model.most_made, 3);
    assert_int_equal(model.made, 3);

    /* Of the tables that four pages need, the pools keep as many as they may. */
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pagetable_map(&tree, 0, i * GIB, 1 + i, 0), PAGETABLE_OK);
    assert_int_equal(model.made, 4 + 4 + 1);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pagetable_unmap(&tree, i * GIB, NULL), PAGETABLE_OK);
    assert_int_equal(model.made, 2 + 1 + 1);
    assert_int_equal(tree.spare_count[0], 2);
    pagetable_drain(&tree);
    assert_int_equal(model.made, 0);
    assert_int_equal(tree.table_count[0], 0);
    end();
}

static void a_level_has_no_more_tables_than_it_may(void **state)
{
    (void)state;
    const struct pagetable_limit limit[] = { { .tables = 3, .spare = 3 }, { 0 }, { 0 }, { 0 } };

    begin(&pagetable_x86_64, limit);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pagetable_map(&tree, 0, i * 2 * MIB, 1 + i, 0), PAGETABLE_OK);
    assert_int_equal(pagetable_map(&tree, 0, 8 * GIB, 5, 0), PAGETABLE_TOO_MANY);
    assert_int_equal(model.attached, 5);
    assert_int_equal(pagetable_map(&tree, 0, 0x1000, 5, 0), PAGETABLE_OK);
    assert_int_equal(pagetable_unmap(&tree, 2 * MIB, NULL), PAGETABLE_OK);
    assert_int_equal(pagetable_map(&tree, 0, 8 * GIB, 6, 0), PAGETABLE_OK);
    assert_int_equal(model.most_made, 3 + 2 + 1);
    end();
}

static void tables_of_the_boot_stay_where_they_are(void **state)
{
    (void)state;

    begin(&pagetable_x86_64, NULL);
    assert_int_equal(pagetable_adopt(&tree, 3, 0), PAGETABLE_NO_SUCH_PAGES);
    assert_int_equal(pagetable_adopt(&tree, UINT32_MAX, 0), PAGETABLE_NO_SUCH_PAGES);
    assert_int_equal(pagetable_adopt(&tree, 2, UINT64_C(1) << 47), PAGETABLE_OUT_OF_RANGE);
    assert_int_equal(pagetable_adopt(&tree, 1, 0), PAGETABLE_NOT_MAPPED);
    assert_int_equal(pagetable_adopt(&tree, 2, 0x400000), PAGETABLE_OK);
    assert_int_equal(pagetable_adopt(&tree, 2, 0), PAGETABLE_HAS_TABLE);
    assert_int_equal(pagetable_adopt(&tree, 1, 0x400000), PAGETABLE_OK);
    /* The model is told, as if the boot had made them. */
    model.objects[1] = (struct object) { .table = true, .attached = true, .level = 2, .address = 0 };
    model.objects[2] = (struct object) { .table = true, .attached = true, .level = 1, .address = 0 };

    assert_int_equal(pagetable_map(&tree, 0, 0x400000, 10, 0), PAGETABLE_OK);
    assert_int_equal(model.made, 1);
    assert_int_equal(pagetable_map(&tree, 2, 0, 11, 0), PAGETABLE_HAS_TABLE);
    assert_int_equal(pagetable_map(&tree, 1, 0x600000, 12, 0), PAGETABLE_OK);
    assert_int_equal(pagetable_adopt(&tree, 0, 0x600000), PAGETABLE_IN_LARGE_PAGE);
    assert_int_equal(pagetable_unmap(&tree, 0x400000, NULL), PAGETABLE_OK);
    assert_int_equal(pagetable_unmap(&tree, 0x600000, NULL), PAGETABLE_OK);
    assert_int_equal(model.made, 0);
    assert_int_equal(pagetable_map(&tree, 1, 0x400000, 10, 0), PAGETABLE_OK);
    assert_int_equal(model.made, 0);
    blocks_left = 0;
    assert_int_equal(pagetable_adopt(&tree, 0, 0), PAGETABLE_NO_MEMORY);
    end();
}

static void after_forgetting_there_is_nothing_to_release_and_no_operation_was_done(void **state)
{
    (void)state;
    const struct pagetable_limit limit[] = { { .spare = 9 }, { .spare = 9 }, { .spare = 9 }, { 0 } };

    begin(&pagetable_x86_64, limit);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(pagetable_map(&tree, 0, i * 600 * MIB, 1 + i, 0), PAGETABLE_OK);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(pagetable_unmap(&tree, i * 600 * MIB, NULL), PAGETABLE_OK);
    unsigned made = model.made, attached = model.attached;
    pagetable_forget(&tree);
    assert_int_equal(blocks, 0);
    assert_int_equal(model.made, made);
    assert_int_equal(model.attached, attached);
    assert_int_equal(model.pages, 20);
}

/* Random use of a small tree of odd shape, against an array with an element for each smallest page. */
#define UNITS 1024u
static const struct pagetable_shape odd_shape = {
    .levels = 4,
    .page_bits = 5,
    .level = { { 3, true }, { 1, true }, { 2, false }, { 4, true } },
};

struct unit {
    uint64_t handle; /* 0: not mapped */
    unsigned level;
};

static unsigned units_of(unsigned level)
{
    static const unsigned bits[] = { 0, 3, 4, 6 };

    return 1u << bits[level];
}

static enum pagetable_error expected_of_map(const struct unit *units, unsigned level, unsigned at)
{
    if (at % units_of(level) != 0)
        return PAGETABLE_UNALIGNED;
    if (units[at].handle && units[at].level >= level)
        return units[at].level > level ? PAGETABLE_IN_LARGE_PAGE : PAGETABLE_MAPPED;
    for (unsigned i = 0; i < units_of(level); i++)
        if (units[at + i].handle)
            return PAGETABLE_HAS_TABLE;
    return PAGETABLE_OK;
}

static void check_all(const struct unit *units)
{
    struct pagetable_page page;
    unsigned expected = 0;

    for (uint64_t from = 0; pagetable_next(&tree, from, &page); from = page.address + 32 * units_of(page.level)) {
        while (expected < UNITS && !units[expected].handle)
            expected++;
        assert_int_equal(page.address, expected * 32);
        assert_int_equal(page.handle, units[expected].handle);
        assert_int_equal(page.level, units[expected].level);
        expected += units_of(page.level);
    }
    while (expected < UNITS)
        assert_int_equal(units[expected++].handle, 0);
}

/* How many tables of LEVEL the mapped pages need. */
static unsigned tables_needed(const struct unit *units, unsigned level)
{
    unsigned needed = 0, span = units_of(level + 1);

    for (unsigned first = 0; first < UNITS; first += span)
        for (unsigned i = first; i < first + span; i++)
            if (units[i].handle && units[i].level <= level) {
                needed++;
                break;
            }
    return needed;
}

static void random_use_agrees_with_an_array(void **state)
{
    (void)state;
    static struct unit units[UNITS];
    const struct pagetable_limit limit[] = { { .spare = 3 }, { .spare = 1 }, { 0 }, { 0 } };
    uint64_t next_handle = 1;

    begin(&odd_shape, limit);
    srand(20);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned at = (unsigned)rand() % UNITS, level = (unsigned[]) { 0, 0, 0, 1, 1, 2, 3 }[rand() % 7];

        if (step / 4000 % 2)
            at = at % 64 + 64;
        if (rand() % 3 == 0)
            at &= -units_of(level);
        if (rand() % 2) {
            uint64_t handle = next_handle++ % (OBJECTS / 2 - 1) + 1;
            if (model.objects[handle].attached)
                continue;
            enum pagetable_error expected = level == 2 ? PAGETABLE_NO_SUCH_PAGES : expected_of_map(units, level, at);
            bool refuse = rand() % 50 == 0;

            model.maps_left = refuse ? 0 : 1;
            if (refuse && expected == PAGETABLE_OK)
                expected = PAGETABLE_PAGE_REFUSED;
            assert_int_equal(pagetable_map(&tree, level, at * 32, handle, step), expected);
            for (unsigned i = 0; expected == PAGETABLE_OK && i < units_of(level); i++)
                units[at + i] = (struct unit) { handle, level };
        } else if (rand() % 4) {
            unsigned first = units[at].handle ? at & -units_of(units[at].level) : at;
            enum pagetable_error expected = !units[at].handle ? PAGETABLE_NOT_MAPPED
                : first != at ? PAGETABLE_PART_OF_PAGE : PAGETABLE_OK;
            unsigned count = units_of(units[at].level);

            assert_int_equal(pagetable_unmap(&tree, at * 32, NULL), expected);
            for (unsigned i = 0; expected == PAGETABLE_OK && i < count; i++)
                units[at + i] = (struct unit) { 0 };
        } else {
            unsigned last = at + (unsigned)rand() % 12;
            if (last >= UNITS)
                continue;
            bool cut = (units[at].handle && at % units_of(units[at].level) != 0)
                || (units[last].handle && (last + 1) % units_of(units[last].level) != 0);

            assert_int_equal(pagetable_unmap_range(&tree, at * 32, last * 32 + 31),
                             cut ? PAGETABLE_PART_OF_PAGE : PAGETABLE_OK);
            for (unsigned i = at; !cut && i <= last; i++)
                units[i] = (struct unit) { 0 };
        }

        struct pagetable_page page;
        at = (unsigned)rand() % UNITS;
        assert_int_equal(pagetable_find(&tree, at * 32 + 7, &page), units[at].handle != 0);
        if (units[at].handle) {
            assert_int_equal(page.handle, units[at].handle);
            assert_int_equal(page.address, (at & -units_of(units[at].level)) * 32);
        }
        if (step % 50 == 0)
            check_all(units);
        unsigned attached = 0;
        for (unsigned i = 0; i < 3; i++) {
            unsigned needed = tables_needed(units, i);

            assert_int_equal(tree.table_count[i] - tree.spare_count[i], needed);
            assert_true(tree.spare_count[i] <= limit[i].spare);
            attached += needed;
        }
        assert_int_equal(model.attached, attached);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_come_with_the_first_page_and_go_with_the_last),
        cmocka_unit_test(each_mistake_gets_its_own_error_and_changes_nothing),
        cmocka_unit_test(every_error_has_a_text_of_its_own),
        cmocka_unit_test(shapes_that_no_structures_have_are_refused),
        cmocka_unit_test(the_upper_half_is_sign_extended_where_the_shape_says_so),
        cmocka_unit_test(a_refusal_half_way_leaves_no_table_behind),
        cmocka_unit_test(a_refusal_leaves_the_tables_of_others_alone),
        cmocka_unit_test(tables_are_taken_from_the_pool_before_new_ones_are_made),
        cmocka_unit_test(a_level_has_no_more_tables_than_it_may),
        cmocka_unit_test(tables_of_the_boot_stay_where_they_are),
        cmocka_unit_test(after_forgetting_there_is_nothing_to_release_and_no_operation_was_done),
        cmocka_unit_test(random_use_agrees_with_an_array),
    };

    return cmocka_run_group_tests_name("PageTableManager", tests, NULL, NULL);
}
