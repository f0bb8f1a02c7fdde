/* The guest's page tables, in all paging modes that a guest can be in. */
#include "tests/unit/guest_fixture.h"
#include "vmm/guest_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define P  UINT64_C(1)
#define RW UINT64_C(2)
#define US UINT64_C(4)
#define A  UINT64_C(0x20)
#define D  UINT64_C(0x40)
#define PS UINT64_C(0x80)

static enum walk_result walk(struct guest_fixture *guest, uint64_t address, enum walk_access access, uint64_t *physical,
                             uint32_t *error)
{
    struct walk_context context;

    walk_begin(&context, &guest->cpu.vcpu, &guest->memory);
    return walk_address(&context, address, access, physical, error);
}

static void assert_maps(struct guest_fixture *guest, uint64_t address, uint64_t expected)
{
    uint64_t physical = 0;
    uint32_t error;

    assert_int_equal(walk(guest, address, WALK_READ, &physical, &error), WALK_OK);
    assert_int_equal(physical, expected);
}

static void assert_faults(struct guest_fixture *guest, uint64_t address, enum walk_access access, uint32_t expected)
{
    uint64_t physical;
    uint32_t error = 0xffff;

    assert_int_equal(walk(guest, address, access, &physical, &error), WALK_PAGE_FAULT);
    assert_int_equal(error, expected);
}

/* Code that is not 64-bit: then registers say how the guest pages. */
static void leave_64_bit_code(struct guest_fixture *guest)
{
    guest->cpu.vcpu.value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0xc09b;
}

static uint64_t *table(struct guest_fixture *guest, uint64_t physical)
{
    return (uint64_t *)(guest->ram + physical);
}

static void test_four_levels_of_small_pages(void **state)
{
    struct guest_fixture *guest = *state;

    assert_maps(guest, 0, 0);
    assert_maps(guest, 0x8abc, 0x8abc);
    assert_maps(guest, KERNEL_BASE + 0xffff, 0xffff);
    assert_maps(guest, DEVICE_LINEAR + 0x30, DEVICE_PHYSICAL + 0x30);
    assert_faults(guest, 0x10000, WALK_READ, 0);
    assert_faults(guest, 0x10000, WALK_WRITE, 2);
    assert_faults(guest, 0x8000000000, WALK_READ, 0); /* no PDPT */
}

static void test_large_pages_of_both_sizes(void **state)
{
    struct guest_fixture *guest = *state;

    table(guest, GUEST_TABLES + 0x2000)[1] = 0x40200000 | PS | RW | P;
    assert_maps(guest, 0x3fffff, 0x403fffff);
    table(guest, GUEST_TABLES + 0x1000)[2] = 0x140000000 | PS | RW | P;
    assert_maps(guest, 0xbfffffff, 0x17fffffff);

    /* The PAT bit of a large page is no part of its address; the others below the size must be 0. */
    table(guest, GUEST_TABLES + 0x2000)[1] |= 0x1000;
    assert_maps(guest, 0x200000, 0x40200000);
    table(guest, GUEST_TABLES + 0x2000)[1] |= 0x2000;
    assert_faults(guest, 0x200000, WALK_READ, 9);
    table(guest, GUEST_TABLES)[0] |= PS;
    assert_faults(guest, 0, WALK_READ, 9);
}

static void test_accessed_and_dirty_flags_are_set_as_the_access_asks(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t physical;
    uint32_t error;

    assert_maps(guest, 0x8000, 0x8000);
    assert_int_equal(guest->page_table[8] & (A | D), A);
    assert_int_equal(table(guest, GUEST_TABLES)[0] & (A | D), A);
    assert_int_equal(walk(guest, 0x9000, WALK_WRITE, &physical, &error), WALK_OK);
    assert_int_equal(guest->page_table[9] & (A | D), A | D);

    guest->page_table[10] = 0xa000 | P; /* refused: not dirty */
    assert_int_equal(walk(guest, 0xa000, WALK_WRITE, &physical, &error), WALK_PAGE_FAULT);
    assert_int_equal(guest->page_table[10] & (A | D), 0);
}

static void test_write_protection_counts_for_the_kernel_when_it_wants_it_to(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t physical;
    uint32_t error;

    guest->page_table[8] = 0x8000 | P;
    assert_maps(guest, 0x8000, 0x8000);
    assert_faults(guest, 0x8000, WALK_WRITE, 3);
    guest->cpu.vcpu.value[VCPU_CR0] &= ~CR0_WP;
    assert_int_equal(walk(guest, 0x8000, WALK_WRITE, &physical, &error), WALK_OK);
    guest->cpu.vcpu.value[VCPU_CR0] |= CR0_WP;
    assert_int_equal(walk(guest, 0x8000, WALK_PRESENT, &physical, &error), WALK_OK);

    /* A right that a level above refuses is refused. */
    guest->page_table[8] = 0x8000 | RW | P;
    table(guest, GUEST_TABLES + 0x2000)[0] &= ~RW;
    assert_faults(guest, 0x8000, WALK_WRITE, 3);
}

static void test_users_reach_user_pages_alone(void **state)
{
    struct guest_fixture *guest = *state;

    guest->cpu.vcpu.value[VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)] = 0xc0f3;
    guest->page_table[8] = 0x8000 | US | P;
    assert_maps(guest, 0x8000, 0x8000);
    assert_faults(guest, 0x8000, WALK_WRITE, 7);
    assert_faults(guest, 0x9000, WALK_READ, 5);
    assert_faults(guest, 0x200000, WALK_WRITE, 6);
    guest->cpu.vcpu.value[VCPU_CR0] &= ~CR0_WP; /* of no use to a user */
    assert_faults(guest, 0x8000, WALK_WRITE, 7);
}

static void test_smap_keeps_the_kernel_from_user_pages_unless_it_says_so(void **state)
{
    struct guest_fixture *guest = *state;

    guest->page_table[8] = 0x8000 | US | RW | P;
    assert_maps(guest, 0x8000, 0x8000);
    guest->cpu.vcpu.value[VCPU_CR4] |= CR4_SMAP;
    assert_faults(guest, 0x8000, WALK_READ, 1);
    guest->cpu.vcpu.value[VCPU_RFLAGS] |= UINT64_C(1) << 18;
    assert_maps(guest, 0x8000, 0x8000);
}

static void test_addresses_that_are_not_canonical_are_not_walked(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t physical;
    uint32_t error;

    assert_int_equal(walk(guest, UINT64_C(0x0000800000000000), WALK_READ, &physical, &error), WALK_NOT_CANONICAL);
    assert_int_equal(walk(guest, UINT64_C(0xffff7fffffffffff), WALK_READ, &physical, &error), WALK_NOT_CANONICAL);
    assert_int_equal(walk(guest, UINT64_C(0xffff800000000000), WALK_READ, &physical, &error), WALK_PAGE_FAULT);
}

static void test_paging_structures_outside_of_memory_are_not_read(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t physical;
    uint32_t error;

    table(guest, GUEST_TABLES + 0x2000)[3] = DEVICE_PHYSICAL | RW | P;
    assert_int_equal(walk(guest, 0x600000, WALK_READ, &physical, &error), WALK_UNSUPPORTED);
    guest->cpu.vcpu.value[VCPU_CR3] = UINT64_C(0xffffffffff000);
    assert_int_equal(walk(guest, 0, WALK_READ, &physical, &error), WALK_UNSUPPORTED);
}

static void test_a_structure_that_contains_itself_ends_after_four_levels(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t physical;
    uint32_t error;

    memset(guest->ram, 0, GUEST_RAM_BYTES);
    table(guest, GUEST_TABLES)[0] = GUEST_TABLES | RW | P;
    assert_int_equal(walk(guest, 0x123, WALK_READ, &physical, &error), WALK_OK);
    assert_int_equal(physical, GUEST_TABLES + 0x123);
}

static void test_compatibility_mode_has_the_page_tables_of_long_mode(void **state)
{
    struct guest_fixture *guest = *state;

    leave_64_bit_code(guest);
    assert_maps(guest, 0x8abc, 0x8abc);
}

static void test_64_bit_code_needs_no_other_register_than_cr3(void **state)
{
    struct guest_fixture *guest = *state;

    guest->cpu.vcpu.valid[0] &= ~(VCPU_MASK_BIT(VCPU_CR0) | VCPU_MASK_BIT(VCPU_CR4) | VCPU_MASK_BIT(VCPU_EFER));
    guest->cpu.vcpu.value[VCPU_RIP] = 0x6000;
    struct walk_context context;
    uint64_t physical;
    uint32_t error;
    walk_begin(&context, &guest->cpu.vcpu, &guest->memory);
    assert_int_equal(walk_address(&context, 0x8abc, WALK_PRESENT, &physical, &error), WALK_OK);
    assert_int_equal(guest->cpu.reads, 0);
}

static void test_five_levels_are_refused(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t physical;
    uint32_t error;

    leave_64_bit_code(guest);
    guest->cpu.vcpu.value[VCPU_CR4] |= CR4_LA57;
    assert_int_equal(walk(guest, 0, WALK_READ, &physical, &error), WALK_UNSUPPORTED);
}

static void test_without_paging_addresses_are_physical_and_have_32_bits(void **state)
{
    struct guest_fixture *guest = *state;

    leave_64_bit_code(guest);
    guest->cpu.vcpu.value[VCPU_CR0] = CR0_PE;
    assert_maps(guest, 0xfee00030, 0xfee00030);
    assert_maps(guest, UINT64_C(0x1fee00030), 0xfee00030);
}

static void test_two_levels(void **state)
{
    struct guest_fixture *guest = *state;
    uint32_t *directory = (uint32_t *)(guest->ram + 0xc000), *pages = (uint32_t *)(guest->ram + 0xd000);

    leave_64_bit_code(guest);
    guest->cpu.vcpu.value[VCPU_CR4] = 0;
    guest->cpu.vcpu.value[VCPU_EFER] = 0;
    guest->cpu.vcpu.value[VCPU_CR3] = 0xc000;
    directory[0x300] = 0xd000 | RW | P;
    pages[5] = 0xfee00000 | RW | P;
    assert_maps(guest, 0xc0005123, 0xfee00123);
    assert_int_equal(pages[5] & (A | D), A);
    assert_faults(guest, 0xc0006000, WALK_READ, 0);
    directory[0x301] = 0x00400000 | 5 << 13 | PS | RW | P; /* 4 MiB, at 5 * 4 GiB + 4 MiB */
    guest->cpu.vcpu.value[VCPU_CR4] = CR4_PSE;
    assert_maps(guest, 0xc0712345, UINT64_C(0x500712345));
}

static void test_physical_address_extension(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *directory = table(guest, 0xc000), *pages = table(guest, 0xd000);

    leave_64_bit_code(guest);
    guest->cpu.vcpu.value[VCPU_EFER] = 0;
    guest->cpu.vcpu.value[VCPU_PDPTE3] = 0xc000 | P;
    directory[1] = 0xd000 | RW | P;
    pages[2] = UINT64_C(0x7fee00000) | RW | P;
    assert_maps(guest, 0xc0202abc, UINT64_C(0x7fee00abc));
    assert_faults(guest, 0x40202abc, WALK_READ, 0);
    directory[2] = 0x40000000 | PS | RW | P;
    assert_maps(guest, 0xc0456789, 0x40056789);
    pages[2] |= UINT64_C(1) << 60;
    assert_faults(guest, 0xc0202abc, WALK_READ, 9);
}

static void test_code_is_fetched_as_far_as_it_can_be_read(void **state)
{
    struct guest_fixture *guest = *state;
    struct walk_context context;
    uint8_t bytes[WALK_CODE_BYTES];

    for (unsigned i = 0; i < GUEST_RAM_BYTES - GUEST_DATA; i++)
        guest->ram[GUEST_DATA + i] = (uint8_t)(i % 251);
    walk_begin(&context, &guest->cpu.vcpu, &guest->memory);
    assert_int_equal(walk_fetch_code(&context, KERNEL_BASE + 0x8100, bytes), WALK_CODE_BYTES);
    assert_memory_equal(bytes, guest->ram + 0x8100, WALK_CODE_BYTES);

    /* Across pages, wherever the second one lies. */
    guest->page_table[9] = 0xb000 | P | RW;
    assert_int_equal(walk_fetch_code(&context, 0x8ffa, bytes), WALK_CODE_BYTES);
    assert_memory_equal(bytes, guest->ram + 0x8ffa, 6);
    assert_memory_equal(bytes + 6, guest->ram + 0xb000, WALK_CODE_BYTES - 6);
    guest->page_table[9] = 0;
    assert_int_equal(walk_fetch_code(&context, 0x8ffa, bytes), 6);
    assert_int_equal(walk_fetch_code(&context, 0x8ff1, bytes), WALK_CODE_BYTES); /* the last that fits */
    assert_int_equal(walk_fetch_code(&context, 0x9000, bytes), 0);

    /* What is not RAM is not read. */
    assert_int_equal(walk_fetch_code(&context, DEVICE_LINEAR, bytes), 0);
    assert_int_equal(guest->accesses, 0);
    assert_int_equal(walk_fetch_code(&context, UINT64_C(0x800000000000), bytes), 0); /* not canonical */
}

static int set_up(void **state)
{
    *state = guest_create();
    return 0;
}

static int tear_down(void **state)
{
    guest_destroy(*state);
    return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void test_execution_is_refused_by_any_level_where_that_is_enabled(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t no_execute = UINT64_C(1) << 63, physical;
    uint32_t error;

    assert_int_equal(walk(guest, 0x8000, WALK_EXECUTE, &physical, &error), WALK_OK);
    guest->page_table[8] |= no_execute;
    assert_faults(guest, 0x8000, WALK_EXECUTE, 0x11);
    assert_maps(guest, 0x8000, 0x8000);
    guest->page_table[8] &= ~no_execute;
    table(guest, GUEST_TABLES + 0x1000)[0] |= no_execute;
    assert_faults(guest, 0x8000, WALK_EXECUTE, 0x11);
    guest->cpu.vcpu.value[VCPU_EFER] &= ~EFER_NXE;
    assert_int_equal(walk(guest, 0x8000, WALK_EXECUTE, &physical, &error), WALK_OK);
    assert_faults(guest, 0x20000, WALK_EXECUTE, 0); /* nothing to tell an instruction fetch by */

    guest->cpu.vcpu.value[VCPU_CR4] |= CR4_SMEP;
    guest->page_table[9] |= US;
    assert_faults(guest, 0x9000, WALK_EXECUTE, 0x11);
}

static void test_a_strict_walk_knows_the_width_of_addresses_and_whether_nx_is_on(void **state)
{
    struct guest_fixture *guest = *state;
    struct walk_context context;
    uint64_t physical;
    uint32_t error = 0;

    guest->page_table[8] |= UINT64_C(1) << 40;
    walk_begin(&context, &guest->cpu.vcpu, &guest->memory);
    assert_int_equal(walk_address(&context, 0x8000, WALK_READ, &physical, &error), WALK_OK);
    walk_strictly(&context, 40);
    assert_int_equal(walk_address(&context, 0x8000, WALK_READ, &physical, &error), WALK_PAGE_FAULT);
    assert_int_equal(error, 9);
    walk_strictly(&context, 41);
    assert_int_equal(walk_address(&context, 0x8000, WALK_READ, &physical, &error), WALK_OK);

    guest->page_table[9] |= UINT64_C(1) << 63;
    assert_int_equal(walk_address(&context, 0x9000, WALK_READ, &physical, &error), WALK_OK);
    guest->cpu.vcpu.value[VCPU_EFER] &= ~EFER_NXE;
    walk_strictly(&context, 41);
    assert_int_equal(walk_address(&context, 0x9000, WALK_READ, &physical, &error), WALK_PAGE_FAULT);
    assert_int_equal(error, 9);
}

static void test_the_processors_own_accesses_have_the_kernels_rights(void **state)
{
    struct guest_fixture *guest = *state;
    struct walk_context context;
    uint64_t physical;
    uint32_t error = 0;

    guest->cpu.vcpu.value[VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)] = 0xf3;
    assert_faults(guest, 0x8000, WALK_READ, 5);
    walk_begin(&context, &guest->cpu.vcpu, &guest->memory);
    walk_as(&context, false);
    assert_int_equal(walk_address(&context, 0x8000, WALK_READ, &physical, &error), WALK_OK);
    walk_as(&context, true);
    assert_int_equal(walk_address(&context, 0x8000, WALK_READ, &physical, &error), WALK_PAGE_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_four_levels_of_small_pages),
        CASE(test_large_pages_of_both_sizes),
        CASE(test_accessed_and_dirty_flags_are_set_as_the_access_asks),
        CASE(test_write_protection_counts_for_the_kernel_when_it_wants_it_to),
        CASE(test_users_reach_user_pages_alone),
        CASE(test_smap_keeps_the_kernel_from_user_pages_unless_it_says_so),
        CASE(test_addresses_that_are_not_canonical_are_not_walked),
        CASE(test_paging_structures_outside_of_memory_are_not_read),
        CASE(test_a_structure_that_contains_itself_ends_after_four_levels),
        CASE(test_compatibility_mode_has_the_page_tables_of_long_mode),
        CASE(test_64_bit_code_needs_no_other_register_than_cr3),
        CASE(test_five_levels_are_refused),
        CASE(test_without_paging_addresses_are_physical_and_have_32_bits),
        CASE(test_two_levels),
        CASE(test_physical_address_extension),
        CASE(test_code_is_fetched_as_far_as_it_can_be_read),
        CASE(test_execution_is_refused_by_any_level_where_that_is_enabled),
        CASE(test_a_strict_walk_knows_the_width_of_addresses_and_whether_nx_is_on),
        CASE(test_the_processors_own_accesses_have_the_kernels_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
