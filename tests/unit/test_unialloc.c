/* UniAlloc, on a model of the kernel that knows what a retype of untypeds may do. */
#include "algorithms/unialloc.h"

#include "algorithms/idalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS 4096u

/* One capability to an untyped as the kernel has it. */
struct model_slot {
    bool used;
    uint64_t physical;
    unsigned size_bits;
    unsigned children;
    unsigned parent; /* slot, 0: none */
};

struct model {
    struct model_slot slots[SLOTS];
    struct idalloc ids;
    unsigned splits_left;
};

static int64_t blocks;
static uint64_t blocks_left;

static void *allocate(uint64_t bytes)
{
    if (blocks_left == 0)
        return NULL;
    blocks_left--;
    blocks++;
    return calloc(1, bytes);
}

static void release(void *memory)
{
    blocks--;
    free(memory);
}

static bool model_split(void *context, uint64_t slot, unsigned size_bits, uint64_t first_slot)
{
    struct model *model = context;
    struct model_slot *parent = &model->slots[slot];

    if (model->splits_left == 0)
        return false;
    model->splits_left--;
    assert_true(parent->used);
    assert_int_equal(parent->children, 0);
    assert_int_equal(parent->size_bits, size_bits + 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_false(model->slots[first_slot + i].used);
        model->slots[first_slot + i] = (struct model_slot) {
            .used = true,
            .physical = parent->physical + ((uint64_t)i << size_bits),
            .size_bits = size_bits,
            .parent = (unsigned)slot,
        };
        parent->children++;
    }
    return true;
}

static void model_remove(void *context, uint64_t slot)
{
    struct model *model = context;
    struct model_slot *removed = &model->slots[slot];

    assert_true(removed->used);
    assert_int_equal(removed->children, 0);
    model->slots[removed->parent].children--;
    removed->used = false;
}

static bool model_take_slots(void *context, uint64_t *first_slot)
{
    struct model *model = context;

    return idalloc_alloc_run(&model->ids, 2, first_slot) == IDALLOC_OK;
}

static void model_give_slots(void *context, uint64_t first_slot)
{
    struct model *model = context;

    for (unsigned i = 0; i < 2; i++) {
        assert_false(model->slots[first_slot + i].used);
        assert_int_equal(idalloc_free(&model->ids, first_slot + i), IDALLOC_OK);
    }
}

static const struct unialloc_operations operations = {
    model_split, model_remove, model_take_slots, model_give_slots, allocate, release,
};

struct fixture {
    struct model model;
    struct unialloc memory;
    unsigned next_root;
};

static void *node_memory(uint64_t bytes)
{
    static char arena[1 << 20] __attribute__((aligned(16)));
    static uint64_t used;

    used = (used + 15) & ~UINT64_C(15);
    if (used + bytes > sizeof arena)
        used = 0;
    void *node = arena + used;
    used += bytes;
    return memset(node, 0, bytes);
}

static struct fixture *begin(void)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof fixture);
    blocks_left = 1000000;
    fixture.model.splits_left = 1000000;
    assert_int_equal(idalloc_init(&fixture.model.ids, 64, SLOTS - 64, node_memory), IDALLOC_OK);
    unialloc_init(&fixture.memory, &operations, &fixture.model);
    fixture.next_root = 1;
    return &fixture;
}

static void add(struct fixture *fixture, uint64_t physical, unsigned size_bits, bool device)
{
    unsigned slot = fixture->next_root++;

    fixture->model.slots[slot] = (struct model_slot) { .used = true, .physical = physical, .size_bits = size_bits };
    assert_int_equal(unialloc_add(&fixture->memory, slot, physical, size_bits, device), UNIALLOC_OK);
}

static uint64_t used_slots(const struct fixture *fixture)
{
    return SLOTS - 64 - idalloc_free_count(&fixture->model.ids);
}

static void the_bookkeeping_of_a_whole_tree_is_released(struct fixture *fixture)
{
    struct untyped *untyped, *next;

    for (untyped = RB_ROOT(&fixture->memory.normal); untyped; untyped = next) {
        next = RB_ROOT(&fixture->memory.normal);
        if (unialloc_alloc(&fixture->memory, next->size_bits, &untyped))
            break;
        assert_null(untyped->parent);
        release(untyped);
        next = RB_ROOT(&fixture->memory.normal);
    }
    while ((untyped = RB_ROOT(&fixture->memory.device))) {
        assert_int_equal(unialloc_alloc_device(&fixture->memory, untyped->physical, untyped->size_bits, &untyped), UNIALLOC_OK);
        release(untyped);
    }
}

static void the_smallest_untyped_that_suffices_is_split(void **state)
{
    (void)state;
    struct fixture *fixture = begin();
    struct untyped *untyped;

    add(fixture, 0x10000000, 28, false);
    add(fixture, 0x4000, 14, false);
    add(fixture, 0x100000, 20, false);
    assert_int_equal(unialloc_alloc(&fixture->memory, 15, &untyped), UNIALLOC_OK);
    assert_int_equal(untyped->physical, 0x100000);
    assert_int_equal(untyped->size_bits, 15);
    assert_int_equal(fixture->model.slots[untyped->slot].physical, 0x100000);
    assert_int_equal(unialloc_largest_bits(&fixture->memory), 28);
    unialloc_free(&fixture->memory, untyped);
    assert_int_equal(used_slots(fixture), 0);
    the_bookkeeping_of_a_whole_tree_is_released(fixture);
    assert_int_equal(blocks, 0);
}

static void totals_return_when_everything_is_freed(void **state)
{
    (void)state;
    struct fixture *fixture = begin();
    struct untyped *untyped[64];

    add(fixture, 0x200000, 21, false);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(unialloc_alloc(&fixture->memory, 15, &untyped[i]), UNIALLOC_OK);
    assert_int_equal(fixture->memory.free_bytes, 0);
    struct untyped *none;
    assert_int_equal(unialloc_alloc(&fixture->memory, 4, &none), UNIALLOC_NO_UNTYPED);
    for (unsigned i = 0; i < 64; i++)
        unialloc_free(&fixture->memory, untyped[i * 37 % 64]);
    assert_int_equal(fixture->memory.free_bytes, 0x200000);
    assert_int_equal(unialloc_largest_bits(&fixture->memory), 21);
    assert_int_equal(used_slots(fixture), 0);
    the_bookkeeping_of_a_whole_tree_is_released(fixture);
    assert_int_equal(blocks, 0);
}

static void device_memory_is_found_by_address_and_never_given_as_ram(void **state)
{
    (void)state;
    struct fixture *fixture = begin();
    struct untyped *apic, *other;

    add(fixture, 0xc0000000, 30, true);
    add(fixture, 0x100000000, 32, true);
    assert_int_equal(unialloc_alloc(&fixture->memory, 12, &other), UNIALLOC_NO_UNTYPED);
    assert_int_equal(unialloc_alloc_device(&fixture->memory, 0xfee00000, 12, &apic), UNIALLOC_OK);
    assert_int_equal(apic->physical, 0xfee00000);
    assert_true(apic->device);
    assert_int_equal(fixture->model.slots[apic->slot].physical, 0xfee00000);
    assert_int_equal(unialloc_alloc_device(&fixture->memory, 0xfee00000, 12, &other), UNIALLOC_NO_UNTYPED);
    assert_int_equal(unialloc_alloc_device(&fixture->memory, 0xc0000000, 30, &other), UNIALLOC_NO_UNTYPED);
    assert_int_equal(unialloc_alloc_device(&fixture->memory, 0x1000, 12, &other), UNIALLOC_NO_UNTYPED);
    assert_int_equal(unialloc_alloc_device(&fixture->memory, 0xfee01000, 12, &other), UNIALLOC_OK);
    assert_int_equal(fixture->memory.free_bytes, 0);
    unialloc_free(&fixture->memory, apic);
    unialloc_free(&fixture->memory, other);
    assert_int_equal(used_slots(fixture), 0);
    the_bookkeeping_of_a_whole_tree_is_released(fixture);
    assert_int_equal(blocks, 0);
}

static void sizes_and_addresses_that_no_untyped_has_are_refused(void **state)
{
    (void)state;
    struct fixture *fixture = begin();
    struct untyped *untyped;

    assert_int_equal(unialloc_add(&fixture->memory, 1, 0x1000, 13, false), UNIALLOC_BAD_SIZE);
    assert_int_equal(unialloc_add(&fixture->memory, 1, 0, 3, false), UNIALLOC_BAD_SIZE);
    assert_int_equal(unialloc_add(&fixture->memory, 1, 0, 48, false), UNIALLOC_BAD_SIZE);
    assert_int_equal(unialloc_alloc(&fixture->memory, 3, &untyped), UNIALLOC_BAD_SIZE);
    assert_int_equal(unialloc_alloc(&fixture->memory, 64, &untyped), UNIALLOC_BAD_SIZE);
    assert_int_equal(unialloc_alloc_device(&fixture->memory, 0x1800, 12, &untyped), UNIALLOC_BAD_SIZE);
}

static void a_split_that_fails_half_way_leaves_all_memory_free(void **state)
{
    (void)state;

    for (unsigned steps = 0; steps < 12; steps++) {
        struct fixture *fixture = begin();
        struct untyped *untyped;

        add(fixture, 0x100000, 20, false);
        fixture->model.splits_left = steps;
        assert_int_equal(unialloc_alloc(&fixture->memory, 8, &untyped), steps == 12 ? UNIALLOC_OK : UNIALLOC_RETYPE);
        assert_int_equal(fixture->memory.free_bytes, 0x100000);
        assert_int_equal(unialloc_largest_bits(&fixture->memory), 20);
        assert_int_equal(used_slots(fixture), 0);

        fixture->model.splits_left = 100;
        blocks_left = 2 * steps + 1;
        assert_int_equal(unialloc_alloc(&fixture->memory, 8, &untyped), UNIALLOC_NO_MEMORY);
        assert_int_equal(fixture->memory.free_bytes, 0x100000);
        assert_int_equal(used_slots(fixture), 0);
        the_bookkeeping_of_a_whole_tree_is_released(fixture);
        assert_int_equal(blocks, 0);
    }
}

static void running_out_of_slots_is_told_and_undone(void **state)
{
    (void)state;
    struct fixture *fixture = begin();
    struct untyped *untyped;
    uint64_t slot;

    add(fixture, 0, 47, false);
    while (idalloc_free_count(&fixture->model.ids) > 20)
        assert_int_equal(idalloc_alloc(&fixture->model.ids, &slot), IDALLOC_OK);
    assert_int_equal(unialloc_alloc(&fixture->memory, 12, &untyped), UNIALLOC_NO_SLOT);
    assert_int_equal(fixture->memory.free_bytes, UINT64_C(1) << 47);
    assert_int_equal(idalloc_free_count(&fixture->model.ids), 20);
    the_bookkeeping_of_a_whole_tree_is_released(fixture);
    assert_int_equal(blocks, 0);
}

static void random_use_never_overlaps_and_loses_nothing(void **state)
{
    (void)state;
    struct fixture *fixture = begin();
    struct untyped *held[200];
    unsigned count = 0;

    srand(42);
    add(fixture, 0x400000, 22, false);
    add(fixture, 0x900000, 20, false);
    add(fixture, 0xa0000, 17, false);
    uint64_t total = fixture->memory.total_bytes, taken = 0;
    assert_int_equal(total, (1u << 22) + (1u << 20) + (1u << 17));

    for (unsigned step = 0; step < 50000; step++) {
        if (count < 200 && rand() % 5 < (step / 5000 % 2 ? 2 : 3)) {
            unsigned size_bits = 8 + (unsigned)rand() % 11;

            if (unialloc_alloc(&fixture->memory, size_bits, &held[count]))
                continue;
            assert_int_equal(held[count]->size_bits, size_bits);
            assert_int_equal(fixture->model.slots[held[count]->slot].physical, held[count]->physical);
            assert_int_equal(fixture->model.slots[held[count]->slot].size_bits, size_bits);
            for (unsigned i = 0; i < count; i++)
                assert_true(held[i]->physical + (1ul << held[i]->size_bits) <= held[count]->physical
                            || held[count]->physical + (1ul << size_bits) <= held[i]->physical);
            taken += 1ul << size_bits;
            count++;
        } else if (count > 0) {
            unsigned i = (unsigned)rand() % count;

            taken -= 1ul << held[i]->size_bits;
            unialloc_free(&fixture->memory, held[i]);
            held[i] = held[--count];
        }
        assert_int_equal(fixture->memory.free_bytes, total - taken);
    }
    while (count > 0)
        unialloc_free(&fixture->memory, held[--count]);
    assert_int_equal(used_slots(fixture), 0);
    assert_int_equal(unialloc_largest_bits(&fixture->memory), 22);
    the_bookkeeping_of_a_whole_tree_is_released(fixture);
    assert_int_equal(blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_untyped_that_suffices_is_split),
        cmocka_unit_test(totals_return_when_everything_is_freed),
        cmocka_unit_test(device_memory_is_found_by_address_and_never_given_as_ram),
        cmocka_unit_test(sizes_and_addresses_that_no_untyped_has_are_refused),
        cmocka_unit_test(a_split_that_fails_half_way_leaves_all_memory_free),
        cmocka_unit_test(running_out_of_slots_is_told_and_undone),
        cmocka_unit_test(random_use_never_overlaps_and_loses_nothing),
    };

    return cmocka_run_group_tests_name("UniAlloc", tests, NULL, NULL);
}
