/* Guest memory: which addresses are RAM, up to the last byte of each region, and that nothing wraps around. */
#include "vmm/guest_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Heap blocks of exactly the regions' sizes, so that the address sanitizer sees every byte beyond. */
static struct guest_memory two_regions(uint64_t second_start)
{
    struct guest_memory memory = {
        .count = 2,
        .region = { { 0, 0x1000, calloc(1, 0x1000) }, { second_start, 0x800, calloc(1, 0x800) } },
    };

    return memory;
}

static void release(struct guest_memory *memory)
{
    for (unsigned i = 0; i < memory->count; i++)
        free(memory->region[i].host);
}

static void test_a_pointer_is_given_only_for_ranges_inside_one_region(void **state)
{
    struct guest_memory memory = two_regions(0x2000000000);
    uint8_t *low = memory.region[0].host, *high = memory.region[1].host;

    (void)state;
    assert_ptr_equal(guest_memory_at(&memory, 0, 0x1000), low);
    assert_ptr_equal(guest_memory_at(&memory, 0xfff, 1), low + 0xfff);
    assert_null(guest_memory_at(&memory, 0xfff, 2));
    assert_null(guest_memory_at(&memory, 0x1000, 1));
    assert_null(guest_memory_at(&memory, 0, 0x1001));
    assert_ptr_equal(guest_memory_at(&memory, 0x2000000000, 0x800), high);
    assert_ptr_equal(guest_memory_at(&memory, 0x20000007ff, 1), high + 0x7ff);
    assert_null(guest_memory_at(&memory, 0x2000000800, 1));
    assert_null(guest_memory_at(&memory, 0x1fffffffff, 1));
    assert_int_equal(guest_memory_bytes(&memory), 0x1800);
    release(&memory);
}

static void test_ranges_that_wrap_around_are_no_memory(void **state)
{
    struct guest_memory memory = two_regions(0x2000000000);
    uint8_t byte;

    (void)state;
    assert_null(guest_memory_at(&memory, 1, UINT64_MAX));
    assert_null(guest_memory_at(&memory, UINT64_MAX, 2));
    assert_null(guest_memory_at(&memory, 0x2000000001, UINT64_MAX));
    assert_false(guest_memory_read(&memory, UINT64_MAX, &byte, 1));
    release(&memory);

    /* A region up to the very end of the address space, followed by one at its beginning. */
    struct guest_memory edge = two_regions(UINT64_MAX - 0x7ff);
    uint8_t bytes[2];
    assert_non_null(guest_memory_at(&edge, UINT64_MAX, 1));
    assert_null(guest_memory_at(&edge, UINT64_MAX, 2));
    assert_true(guest_memory_read(&edge, UINT64_MAX, bytes, 1));
    assert_false(guest_memory_read(&edge, UINT64_MAX, bytes, 2));
    release(&edge);
}

static void test_copies_span_regions_that_touch_and_no_hole(void **state)
{
    struct guest_memory touching = two_regions(0x1000), apart = two_regions(0x1001);
    static const uint8_t pattern[6] = { 1, 2, 3, 4, 5, 6 };
    uint8_t back[6] = { 0 };

    (void)state;
    assert_true(guest_memory_write(&touching, 0xffd, pattern, 6));
    assert_memory_equal(touching.region[0].host + 0xffd, pattern, 3);
    assert_memory_equal(touching.region[1].host, pattern + 3, 3);
    assert_true(guest_memory_read(&touching, 0xffd, back, 6));
    assert_memory_equal(back, pattern, 6);
    assert_null(guest_memory_at(&touching, 0xffd, 6));

    assert_false(guest_memory_write(&apart, 0xffd, pattern, 6));
    assert_int_equal(apart.region[0].host[0xffd], 0);
    memset(back, 0x77, sizeof back);
    assert_false(guest_memory_read(&apart, 0xffd, back, 6));
    assert_int_equal(back[0], 0x77);
    release(&touching);
    release(&apart);
}

static void test_no_memory_at_all_has_no_address(void **state)
{
    struct guest_memory none = { 0 };
    uint8_t byte = 0;

    (void)state;
    assert_null(guest_memory_at(&none, 0, 1));
    assert_false(guest_memory_write(&none, 0, &byte, 1));
    assert_true(guest_memory_write(&none, 0, &byte, 0));
    assert_int_equal(guest_memory_bytes(&none), 0);
}

/* Every range in and around two small regions, against a map with a flag for each address. */
static void test_every_small_range_agrees_with_a_map_of_bytes(void **state)
{
    uint8_t low[8], high[8], bytes[24];

    (void)state;
    for (uint64_t gap = 0; gap < 3; gap++) {
        struct guest_memory memory = { .count = 2, .region = { { 2, 8, low }, { 10 + gap, 8, high } } };

        for (uint64_t start = 0; start < 22; start++)
            for (uint64_t length = 1; length <= 24; length++) {
                bool all = true, one_region = true;

                for (uint64_t a = start; a < start + length; a++) {
                    bool in_low = a >= 2 && a < 10, in_high = a >= 10 + gap && a < 18 + gap;

                    all = all && (in_low || in_high);
                    one_region = one_region && in_low == (start < 10);
                }
                assert_int_equal(guest_memory_read(&memory, start, bytes, length), all);
                assert_int_equal(guest_memory_at(&memory, start, length) != NULL, all && one_region);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pointer_is_given_only_for_ranges_inside_one_region),
        cmocka_unit_test(test_ranges_that_wrap_around_are_no_memory),
        cmocka_unit_test(test_copies_span_regions_that_touch_and_no_hole),
        cmocka_unit_test(test_no_memory_at_all_has_no_address),
        cmocka_unit_test(test_every_small_range_agrees_with_a_map_of_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
