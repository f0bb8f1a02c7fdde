/* The allocator against a model that remembers every block and its contents. */
#include "runtime/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REGION_BYTES (1u << 20)
#define MAX_BLOCKS   400u

struct model_block {
    uint8_t *memory;
    size_t bytes;
    size_t alignment;
    uint8_t fill;
};

struct fixture {
    struct heap heap;
    uint8_t *region;
    struct model_block block[MAX_BLOCKS];
    size_t count;
    uint64_t random;
};

static uint64_t next_random(struct fixture *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->region = malloc(REGION_BYTES);
    f->random = 0x9e3779b97f4a7c15;
    heap_init(&f->heap, f->region, REGION_BYTES);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    free(f->region);
    free(f);
    return 0;
}

static void check_contents(const struct model_block *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(b->memory[i], b->fill);
}

static void check_place(struct fixture *f, const struct model_block *b)
{
    assert_in_range((uintptr_t)b->memory, (uintptr_t)f->region, (uintptr_t)f->region + REGION_BYTES - b->bytes);
    assert_int_equal((uintptr_t)b->memory % b->alignment, 0);
    assert_true(heap_usable(b->memory) >= b->bytes);
    for (size_t i = 0; i < f->count; i++) {
        const struct model_block *other = &f->block[i];
        if (other != b)
            assert_true(b->memory + b->bytes <= other->memory || other->memory + other->bytes <= b->memory);
    }
}

static size_t random_bytes(struct fixture *f)
{
    return next_random(f) % ((size_t)1 << (next_random(f) % 16 + 1));
}

static void allocate_one(struct fixture *f)
{
    struct model_block *b = &f->block[f->count];
    b->bytes = random_bytes(f);
    b->alignment = (size_t)1 << (next_random(f) % 3 ? 4 : next_random(f) % 13);
    b->fill = (uint8_t)next_random(f);
    b->memory = heap_allocate(&f->heap, b->bytes, b->alignment);
    if (!b->memory)
        return;
    f->count++;
    check_place(f, b);
    memset(b->memory, b->fill, b->bytes);
}

static void release_one(struct fixture *f, size_t index)
{
    check_contents(&f->block[index], f->block[index].bytes);
    assert_true(heap_release(&f->heap, f->block[index].memory));
    f->block[index] = f->block[--f->count];
}

static void resize_one(struct fixture *f, size_t index)
{
    struct model_block *b = &f->block[index];
    size_t bytes = random_bytes(f);
    uint8_t *memory = heap_resize(&f->heap, b->memory, bytes);

    if (!memory) {
        check_contents(b, b->bytes);
        return;
    }
    b->memory = memory;
    check_contents(b, bytes < b->bytes ? bytes : b->bytes);
    b->bytes = bytes;
    b->alignment = HEAP_ALIGNMENT;
    check_place(f, b);
    memset(b->memory, b->fill, b->bytes);
}

static void random_sequences_keep_every_blocks_contents_and_give_all_memory_back(void **state)
{
    struct fixture *f = *state;
    size_t all = f->heap.free_bytes;

    for (int round = 0; round < 3; round++) {
        for (int step = 0; step < 20000; step++) {
            uint64_t choice = next_random(f) % 100;
            if (f->count == 0 || (choice < 50 && f->count < MAX_BLOCKS))
                allocate_one(f);
            else if (choice < 75)
                resize_one(f, next_random(f) % f->count);
            else
                release_one(f, next_random(f) % f->count);
        }
        while (f->count)
            release_one(f, f->count - 1);
        assert_int_equal(f->heap.free_bytes, all);
    }
    void *whole = heap_allocate(&f->heap, all, 16);
    assert_non_null(whole);
    assert_int_equal(f->heap.free_bytes, 0);
    assert_null(heap_allocate(&f->heap, 1, 1));
}

static void what_is_not_a_block_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t *a = heap_allocate(&f->heap, 100, 16);
    uint8_t *b = heap_allocate(&f->heap, 100, 16);
    int elsewhere;

    assert_false(heap_release(&f->heap, &elsewhere));
    assert_false(heap_release(&f->heap, NULL));
    assert_false(heap_release(&f->heap, a + 16));
    assert_false(heap_release(&f->heap, a + 1));
    assert_true(heap_release(&f->heap, a));
    assert_false(heap_release(&f->heap, a));
    assert_null(heap_resize(&f->heap, a, 10));
    assert_true(heap_release(&f->heap, b));
}

static void absurd_sizes_fail_and_change_nothing(void **state)
{
    struct fixture *f = *state;
    size_t all = f->heap.free_bytes;

    assert_null(heap_allocate(&f->heap, SIZE_MAX, 16));
    assert_null(heap_allocate(&f->heap, SIZE_MAX - 15, 16));
    assert_null(heap_allocate(&f->heap, REGION_BYTES, 16));
    assert_null(heap_allocate(&f->heap, 16, (size_t)1 << 63));
    assert_int_equal(f->heap.free_bytes, all);
}

static void a_region_without_room_is_an_empty_heap(void **state)
{
    struct fixture *f = *state;

    for (size_t bytes = 0; bytes < 48; bytes++) {
        heap_init(&f->heap, f->region + 3, bytes);
        assert_null(heap_allocate(&f->heap, 1, 1));
        assert_false(heap_release(&f->heap, f->region + 16));
    }
    heap_init(&f->heap, NULL, REGION_BYTES);
    assert_null(heap_allocate(&f->heap, 1, 1));
    heap_init(&f->heap, f->region + 3, 128);
    assert_non_null(heap_allocate(&f->heap, 16, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_sequences_keep_every_blocks_contents_and_give_all_memory_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_a_block_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(absurd_sizes_fail_and_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_region_without_room_is_an_empty_heap, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
