/* What a VM costs, how its memory is put together, and when it starts again. */
#include "beaml4-init/vm_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void test_memory_beside_the_guest_stays_small_with_large_pages(void **state)
{
    struct vm_config vm = { .memory_bytes = 128 * MIB, .pages = VM_PAGES_LARGE };

    (void)state;
    assert_true(vm_objects_bytes(&vm, VM_MODE_VTX) <= 512 * 1024);
    assert_true(vm_objects_bytes(&vm, VM_MODE_VTX) + vm_heap_bytes(&vm, VM_MODE_VTX) <= MIB);
}

/* Every page of 4 KiB has a slot of 32 bytes in two CNodes' worth, every 2 MiB have a page table in two trees. */
static void test_small_pages_get_their_slots_and_tables(void **state)
{
    (void)state;
    for (uint64_t memory = 2 * MIB; memory <= 256 * GIB; memory *= 2) {
        struct vm_config vm = { .memory_bytes = memory, .pages = VM_PAGES_SMALL };
        uint64_t slots = memory / 4096 * 2 * 32, tables = memory / (2 * MIB) * 2 * 4096;

        assert_true(vm_objects_bytes(&vm, VM_MODE_VTX) >= slots + tables + 128 * 1024);
        assert_int_equal(vm_objects_bytes(&vm, VM_MODE_VTX) % (64 * 1024), 0);
        assert_int_equal(vm_heap_bytes(&vm, VM_MODE_VTX) % 4096, 0);
    }
}

/* Shadow page tables have room for what the pools of vmm/pv can hold at least in part, whatever the guest's size is. */
static void test_pv_mode_gets_memory_for_shadow_page_tables(void **state)
{
    (void)state;
    for (uint64_t memory = 4 * MIB; memory <= 256 * GIB; memory *= 2) {
        struct vm_config vm = { .memory_bytes = memory, .pages = VM_PAGES_SMALL };
        uint64_t slots = (16384 + 4096) * 32, bytes = vm_objects_bytes(&vm, VM_MODE_PV);

        assert_true(bytes >= slots + 65 * 4096 + 2 * MIB);
        assert_true(bytes <= slots + 13 * MIB + memory / 256);
        assert_true(vm_heap_bytes(&vm, VM_MODE_PV) >= 4 * MIB + memory / 4096 * 6);
        assert_int_equal(vm_heap_bytes(&vm, VM_MODE_PV) % 4096, 0);
    }
}

/* As init takes them: each piece as large as what is left and what there is allow. */
static unsigned count_pieces(uint64_t bytes, unsigned largest, unsigned *smallest)
{
    unsigned count = 0, before = 64;

    while (bytes > 0) {
        unsigned bits = vm_next_piece_bits(bytes, largest);
        assert_true(bits <= largest && bits <= before && UINT64_C(1) << bits <= bytes);
        before = *smallest = bits;
        bytes -= UINT64_C(1) << bits;
        count++;
    }
    return count;
}

static void test_memory_comes_in_few_pieces_that_descend(void **state)
{
    unsigned smallest;

    (void)state;
    assert_int_equal(count_pieces(128 * MIB, 47, &smallest), 1);
    assert_int_equal(smallest, 27);
    assert_int_equal(count_pieces(128 * MIB, 26, &smallest), 2);
    assert_int_equal(count_pieces(300 * MIB, 47, &smallest), 4);
    assert_int_equal(count_pieces(2 * MIB, 47, &smallest), 1);
    assert_int_equal(smallest, VM_RAM_MIN_BITS);
    assert_int_equal(count_pieces(256 * GIB - 2 * MIB, 47, &smallest), 17);
}

static void test_a_reboot_always_starts_it_again_and_power_off_never(void **state)
{
    (void)state;
    for (uint32_t restart = VM_RESTART_NEVER; restart <= VM_RESTART_COUNT; restart++) {
        struct vm_config vm = { .restart = restart, .restart_limit = 5 };
        assert_true(vm_starts_again(&vm, VM_END_REBOOT, 0));
        assert_false(vm_starts_again(&vm, VM_END_POWERED_OFF, 0));
        assert_false(vm_starts_again(&vm, VM_END_REFUSED, 0));
    }
}

static void test_a_crash_starts_it_again_as_often_as_configured(void **state)
{
    struct vm_config never = { .restart = VM_RESTART_NEVER }, always = { .restart = VM_RESTART_ALWAYS };
    struct vm_config twice = { .restart = VM_RESTART_COUNT, .restart_limit = 2 };

    (void)state;
    assert_false(vm_starts_again(&never, VM_END_CRASHED, 1));
    assert_true(vm_starts_again(&always, VM_END_CRASHED, UINT32_MAX));
    assert_true(vm_starts_again(&twice, VM_END_CRASHED, 1));
    assert_true(vm_starts_again(&twice, VM_END_CRASHED, 2));
    assert_false(vm_starts_again(&twice, VM_END_CRASHED, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_beside_the_guest_stays_small_with_large_pages),
        cmocka_unit_test(test_small_pages_get_their_slots_and_tables),
        cmocka_unit_test(test_pv_mode_gets_memory_for_shadow_page_tables),
        cmocka_unit_test(test_memory_comes_in_few_pieces_that_descend),
        cmocka_unit_test(test_a_reboot_always_starts_it_again_and_power_off_never),
        cmocka_unit_test(test_a_crash_starts_it_again_as_often_as_configured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
