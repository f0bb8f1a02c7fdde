/* The software TLB: what it allows, and what of the guest's doings it notices. */
#include "tests/unit/shadow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_a_page_is_mapped_when_it_is_first_used(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, KERNEL, 0, DATA | RW | P);
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_access(guest, KERNEL + 0x123, READ, DATA + 0x123);
    assert_int_equal(mapping_of(guest, KERNEL)->flags, SHADOW_NO_EXECUTE);
    assert_refused(guest, KERNEL + 0x1000, READ, 0);
    assert_refused(guest, KERNEL + 0x1000, WRITE, 2);
    assert_refused(guest, UINT64_C(0x8000000000), READ, 0); /* no PDPT */
}

static void test_users_have_a_root_of_their_own_with_user_pages_alone(void **state)
{
    struct shadow_fixture *guest = *state;
    unsigned kernel_root, user_root;

    set_entry(guest, KERNEL, 0, DATA | RW | P);
    set_entry(guest, USER, 0, (DATA + 0x1000) | US | RW | P);
    set_entry(guest, USER + 0x1000, 0, (DATA + 0x2000) | US | P);
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_access(guest, USER, WRITE, DATA + 0x1000);
    assert_true(shadow_select(guest->shadow, &guest->state, &kernel_root));
    guest->state.user = true;
    assert_true(shadow_select(guest->shadow, &guest->state, &user_root));
    assert_int_not_equal(kernel_root, user_root);
    assert_int_equal(fake_mmu_count(&guest->mmu, user_root), 0);
    assert_refused(guest, KERNEL, READ, 5);
    assert_refused(guest, KERNEL + 0x1000, WRITE, 6);
    assert_access(guest, USER, WRITE, DATA + 0x1000);
    assert_access(guest, USER + 0x1000, READ, DATA + 0x2000);
    assert_refused(guest, USER + 0x1000, WRITE, 7);

    /* One level that refuses is enough. */
    uint64_t directory = entry_place(guest, guest->state.cr3, USER, 1);
    write_entry(guest, directory, *word_at(guest, directory) & ~US);
    assert_false(is_mapped(guest, USER, READ));
    assert_refused(guest, USER, READ, 5);
}

static void test_accessed_and_dirty_flags_are_those_of_a_processor(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t place = set_entry(guest, KERNEL, 0, DATA | RW | P), other = set_entry(guest, KERNEL + 0x1000, 0, DATA | P);

    assert_access(guest, KERNEL, READ, DATA);
    assert_int_equal(*word_at(guest, place), DATA | A | RW | P);
    for (unsigned level = 1; level < 4; level++)
        assert_int_equal(*word_at(guest, entry_place(guest, guest->state.cr3, KERNEL, level)) & (A | D), A);
    assert_false(is_mapped(guest, KERNEL, WRITE)); /* the first write must be seen */
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_int_equal(*word_at(guest, place), DATA | D | A | RW | P);
    assert_refused(guest, KERNEL + 0x1000, WRITE, 3);
    assert_int_equal(*word_at(guest, other), DATA | P);

    /* A page that is dirty already is writable at once. */
    set_entry(guest, KERNEL + 0x2000, 0, (DATA + 0x2000) | D | RW | P);
    assert_access(guest, KERNEL + 0x2000, READ, DATA + 0x2000);
    assert_true(is_mapped(guest, KERNEL + 0x2000, WRITE));

    /* Whoever clears a flag sees it set by the next access. */
    write_entry(guest, place, DATA | RW | P);
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_access(guest, KERNEL, READ, DATA);
    assert_int_equal(*word_at(guest, place), DATA | A | RW | P);
    assert_false(is_mapped(guest, KERNEL, WRITE));
}

static void test_write_protection_counts_for_the_kernel_while_it_is_on(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, USER, 0, DATA | US | P);
    set_entry(guest, KERNEL, 0, (DATA + 0x1000) | RW | P);
    assert_refused(guest, USER, WRITE, 3);
    guest->state.cr0 &= ~CR0_WP;
    assert_access(guest, USER, WRITE, DATA);
    assert_access(guest, KERNEL, WRITE, DATA + 0x1000);
    guest->state.user = true;
    assert_refused(guest, USER, WRITE, 7);
    guest->state.user = false;
    guest->state.cr0 |= CR0_WP;
    assert_false(is_mapped(guest, USER, WRITE));
    assert_refused(guest, USER, WRITE, 3);
    assert_true(is_mapped(guest, KERNEL, WRITE));
}

static void test_no_execute_is_the_guests_to_give(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, USER, 0, DATA | US | RW | P | NX);
    set_entry(guest, USER + 0x1000, 0, (DATA + 0x1000) | US | RW | P);
    guest->state.user = true;
    assert_access(guest, USER, READ, DATA);
    assert_refused(guest, USER, FETCH, 0x15);
    assert_access(guest, USER + 0x1000, FETCH, DATA + 0x1000);
    assert_access(guest, USER + 0x1000, WRITE, DATA + 0x1000);
    assert_true(is_mapped(guest, USER + 0x1000, FETCH));

    /* Without EFER.NXE the bit is reserved, and a fetch looks like a read. */
    guest->state.efer &= ~EFER_NXE;
    assert_false(is_mapped(guest, USER, READ));
    assert_refused(guest, USER, READ, 0xd);
    assert_refused(guest, USER + 0x2000, FETCH, 4);
    guest->state.efer |= EFER_NXE;
    assert_access(guest, USER, READ, DATA);
}

static void test_reserved_bits_are_faults(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, KERNEL, 0, DATA | RW | P | UINT64_C(1) << 40);
    set_entry(guest, KERNEL + 0x200000, 1, DATA | 0x2000 | PS | P);
    set_entry(guest, KERNEL + 0x400000, 1, DATA | 0x1000 | PS | P); /* the PAT bit is none */
    set_entry(guest, UINT64_C(0x4000000000), 2, UINT64_C(0x200000) | PS | P);
    set_entry(guest, UINT64_C(0x8000000000), 3, new_table(guest) | PS | P);
    assert_refused(guest, KERNEL, READ, 9);
    assert_refused(guest, KERNEL + 0x200000, WRITE, 0xb);
    assert_access(guest, KERNEL + 0x400000, READ, DATA);
    assert_refused(guest, UINT64_C(0x4000000000), READ, 9);
    assert_refused(guest, UINT64_C(0x8000000000), READ, 9);
}

static void test_what_is_no_ram_is_never_mapped_or_read(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t place = set_entry(guest, KERNEL, 0, UINT64_C(0xfee00000) | RW | P);

    assert_int_equal(try_access(guest, KERNEL + 0x30, WRITE), SHADOW_DEVICE);
    assert_int_equal(guest->answer.physical, 0xfee00030);
    assert_int_equal(*word_at(guest, place) & (A | D), A | D);
    assert_int_equal(guest->mmu.pages_mapped, 0);

    /* Tables out there read as ones, which have reserved bits. */
    set_entry(guest, KERNEL + 0x200000, 1, UINT64_C(0xfee00000) | RW | P);
    assert_refused(guest, KERNEL + 0x200000, READ, 9);
    guest->state.cr3 = UINT64_C(0xabcde000);
    assert_refused(guest, KERNEL, READ, 9);
}

static void test_addresses_that_cannot_be_mapped_are_said_to_be_so(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t address = UINT64_C(0xfffffe8000001000);

    set_entry(guest, address, 0, DATA | RW | P);
    assert_int_equal(try_access(guest, address + 8, READ), SHADOW_UNREACHABLE);
    assert_int_equal(guest->answer.physical, DATA + 8);
    assert_refused(guest, address + 0x1000, READ, 0);
}

static void test_a_root_is_kept_over_loads_of_cr3(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t first = guest->state.cr3, second = new_table(guest);
    unsigned root, again;

    set_entry(guest, KERNEL, 0, DATA | RW | P);
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_true(shadow_select(guest->shadow, &guest->state, &root));
    guest->state.cr3 = second;
    shadow_load_cr3(guest->shadow);
    set_entry(guest, KERNEL, 0, (DATA + 0x1000) | RW | P);
    assert_access(guest, KERNEL, WRITE, DATA + 0x1000);
    unsigned calls = guest->mmu.calls_of_map;
    guest->state.cr3 = first | 0x18; /* PCD and PWT are no part of the address */
    shadow_load_cr3(guest->shadow);
    assert_true(shadow_select(guest->shadow, &guest->state, &again));
    assert_int_equal(again, root);
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_int_equal(guest->mmu.calls_of_map, calls);
}

/* The guest's tables at this address, all of which are one page above the other: the PTE of KERNEL is there. */
#define WINDOW (KERNEL + 0x200000)

/* Maps the page table of KERNEL as memory, for writing. */
static uint64_t map_page_table(struct shadow_fixture *guest)
{
    uint64_t place = entry_place(guest, guest->state.cr3, KERNEL, 0);

    set_entry(guest, WINDOW, 0, (place & ~UINT64_C(4095)) | RW | P);
    return place;
}

static void test_tables_in_use_are_read_only_and_a_write_drops_what_came_of_it(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t place = map_page_table(guest);

    set_entry(guest, KERNEL, 0, DATA | RW | P);
    set_entry(guest, KERNEL + 0x1000, 0, (DATA + 0x1000) | US | RW | P);
    assert_access(guest, WINDOW, WRITE, place); /* not in use yet */
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_access(guest, KERNEL + 0x1000, WRITE, DATA + 0x1000);
    guest->state.user = true;
    assert_access(guest, KERNEL + 0x1000, WRITE, DATA + 0x1000);
    guest->state.user = false;
    assert_false(is_mapped(guest, WINDOW, WRITE));
    assert_access(guest, WINDOW, READ, place);
    assert_int_equal(try_access(guest, WINDOW + 8, WRITE), SHADOW_WRITE_TABLE);
    assert_int_equal(guest->answer.physical, place + 8);

    /* Exactly that, in both roots. */
    write_entry(guest, place + 8, (DATA + 0x2000) | RW | P);
    assert_true(is_mapped(guest, KERNEL, WRITE));
    assert_false(is_mapped(guest, KERNEL + 0x1000, READ));
    assert_access(guest, KERNEL + 0x1000, READ, DATA + 0x2000);
    guest->state.user = true;
    assert_refused(guest, KERNEL + 0x1000, READ, 5);
    guest->state.user = false;

    /* A write of part of an entry, and one across two. */
    assert_access(guest, KERNEL + 0x1000, READ, DATA + 0x2000);
    *word_at(guest, place) &= ~A;
    *word_at(guest, place + 8) &= ~A;
    shadow_written(guest->shadow, place + 15, 1);
    assert_true(is_mapped(guest, KERNEL, READ));
    assert_false(is_mapped(guest, KERNEL + 0x1000, READ));
    assert_access(guest, KERNEL + 0x1000, READ, DATA + 0x2000);
    *word_at(guest, place + 8) &= ~A;
    shadow_written(guest->shadow, place + 7, 2);
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_false(is_mapped(guest, KERNEL + 0x1000, READ));
}

static void test_a_table_of_several_address_spaces_is_followed_in_all_of_them(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t first = guest->state.cr3, second = new_table(guest);
    uint64_t place = set_entry(guest, KERNEL, 0, DATA | RW | P);

    *word_at(guest, second + 511 * 8) = *word_at(guest, first + 511 * 8);
    assert_access(guest, KERNEL, READ, DATA);
    guest->state.cr3 = second;
    assert_access(guest, KERNEL, READ, DATA);
    write_entry(guest, place, 0);
    assert_false(is_mapped(guest, KERNEL, READ));
    guest->state.cr3 = first;
    assert_false(is_mapped(guest, KERNEL, READ));
}

static void test_an_entry_of_a_higher_level_takes_everything_below_with_it(void **state)
{
    struct shadow_fixture *guest = *state;

    for (unsigned i = 0; i < 300; i++) {
        set_entry(guest, KERNEL + i * UINT64_C(0x1000), 0, DATA | P);
        assert_access(guest, KERNEL + i * UINT64_C(0x1000), READ, DATA);
    }
    set_entry(guest, USER, 0, DATA | P);
    assert_access(guest, USER, READ, DATA);
    guest->mmu.calls_of_unmap = guest->mmu.pages_unmapped = 0;
    write_entry(guest, guest->state.cr3 + 511 * 8, 0);
    assert_int_equal(guest->mmu.pages_unmapped, 300);
    assert_int_equal(guest->mmu.calls_of_unmap, 3);
    assert_null(mapping_of(guest, KERNEL + 0x123000));
    assert_true(is_mapped(guest, USER, READ));
}

static void test_a_table_that_was_given_up_is_writable_until_the_next_invalidation(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t place = map_page_table(guest);

    set_entry(guest, KERNEL, 0, DATA | RW | P);
    for (unsigned i = 0; i < 4; i++) {
        assert_access(guest, KERNEL, READ, DATA);
        assert_int_equal(try_access(guest, WINDOW, WRITE), SHADOW_WRITE_TABLE);
        shadow_release_table(guest->shadow, guest->answer.physical);
        assert_false(is_mapped(guest, KERNEL, READ));
        assert_access(guest, WINDOW, WRITE, place);
        assert_access(guest, KERNEL, READ, DATA); /* in use again */
        assert_true(is_mapped(guest, WINDOW, WRITE));
        switch (i) {
        case 0:
            shadow_load_cr3(guest->shadow);
            break;
        case 1:
            shadow_invalidate_page(guest->shadow, guest->state.cr3, USER);
            break;
        case 2:
            shadow_invalidate_range(guest->shadow, guest->state.cr3, USER, 1);
            break;
        default:
            shadow_flush(guest->shadow);
        }
        assert_false(is_mapped(guest, KERNEL, READ));
    }
}

static void test_the_root_itself_can_be_given_up(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, WINDOW, 0, guest->state.cr3 | RW | P);
    assert_int_equal(try_access(guest, WINDOW, WRITE), SHADOW_WRITE_TABLE);
    assert_access(guest, WINDOW, READ, guest->state.cr3);
    shadow_release_table(guest->shadow, guest->state.cr3);
    assert_false(is_mapped(guest, WINDOW, READ));
    assert_access(guest, WINDOW, WRITE, guest->state.cr3);
    shadow_load_cr3(guest->shadow);
    assert_int_equal(try_access(guest, WINDOW, WRITE), SHADOW_WRITE_TABLE);
}

static void test_more_tables_can_be_given_up_than_are_remembered(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, KERNEL, 0, DATA | P);
    for (unsigned i = 0; i < 200; i++) {
        assert_access(guest, KERNEL, READ, DATA);
        shadow_release_table(guest->shadow, i * UINT64_C(4096));
    }
    shadow_load_cr3(guest->shadow);
    assert_access(guest, KERNEL, READ, DATA);
    set_entry(guest, WINDOW, 0, entry_place(guest, guest->state.cr3, KERNEL, 0) | RW | P);
    assert_int_equal(try_access(guest, WINDOW, WRITE), SHADOW_WRITE_TABLE);
}

static void test_one_page_at_several_addresses_is_protected_at_all(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t frame = entry_place(guest, guest->state.cr3, KERNEL, 0) & ~UINT64_C(4095);

    for (unsigned i = 0; i < 3; i++) {
        set_entry(guest, USER + i * UINT64_C(0x1000), 0, frame | US | RW | P);
        guest->state.user = i == 1;
        assert_access(guest, USER + i * UINT64_C(0x1000), WRITE, frame);
    }
    guest->state.user = false;
    set_entry(guest, KERNEL, 0, DATA | P);
    assert_access(guest, KERNEL, READ, DATA);
    for (unsigned i = 0; i < 3; i++) {
        guest->state.user = i == 1;
        assert_false(is_mapped(guest, USER + i * UINT64_C(0x1000), WRITE));
        assert_int_equal(try_access(guest, USER + i * UINT64_C(0x1000), WRITE), SHADOW_WRITE_TABLE);
    }
}

static void test_tables_that_map_themselves(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t slot = 300, base = UINT64_C(0xffff000000000000) | slot << 39;
    uint64_t place = set_entry(guest, USER, 0, DATA | RW | P);

    *word_at(guest, guest->state.cr3 + slot * 8) = guest->state.cr3 | RW | P;
    assert_access(guest, base | USER >> 9, WRITE, place); /* not a table yet */
    assert_access(guest, USER, READ, DATA);
    assert_access(guest, base | USER >> 9, READ, place);
    assert_int_equal(try_access(guest, base | USER >> 9, WRITE), SHADOW_WRITE_TABLE);
    assert_int_equal(guest->answer.physical, place);
    write_entry(guest, place, (DATA + 0x1000) | RW | P);
    assert_access(guest, USER, READ, DATA + 0x1000);

    /* The root through itself four times. */
    uint64_t self = base | slot << 30 | slot << 21 | slot << 12;
    assert_access(guest, self, READ, guest->state.cr3);
    assert_int_equal(try_access(guest, self + slot * 8, WRITE), SHADOW_WRITE_TABLE);
    write_entry(guest, guest->state.cr3 + slot * 8, 0);
    assert_null(mapping_of(guest, self));
    assert_refused(guest, self, READ, 0);
    assert_true(is_mapped(guest, USER, READ));
}

static void test_large_pages_are_mapped_large_where_memory_is(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, KERNEL, 1, DATA | PS | RW | P);
    assert_access(guest, KERNEL + 0x123456, READ, DATA + 0x123456);
    assert_int_equal(mapping_of(guest, KERNEL)->flags, SHADOW_LARGE | SHADOW_NO_EXECUTE);
    assert_access(guest, KERNEL + 0x1fffff, WRITE, DATA + 0x1fffff);
    assert_int_equal(mapping_of(guest, KERNEL)->flags, SHADOW_LARGE | SHADOW_NO_EXECUTE | SHADOW_WRITE);
    assert_int_equal(guest->mmu.calls_of_map, 2);

    /* 1 GiB: in parts of 2 MiB; what is no RAM of it is a device. */
    set_entry(guest, UINT64_C(0x4000000000), 2, PS | D | US | RW | P);
    assert_access(guest, UINT64_C(0x4000000000) + DATA + 0x200123, READ, DATA + 0x200123);
    assert_int_equal(mapping_of(guest, UINT64_C(0x4000000000) + DATA + 0x200000)->flags,
                     SHADOW_LARGE | SHADOW_NO_EXECUTE | SHADOW_WRITE);
    assert_int_equal(try_access(guest, UINT64_C(0x4000000000) + LOW_BYTES, READ), SHADOW_DEVICE);

    /* Where 2 MiB are not all RAM, or have a table in them: small pages. */
    set_entry(guest, UINT64_C(0x8000000000), 2, HIGH_START | PS | D | RW | P);
    assert_access(guest, UINT64_C(0x8000000000), READ, HIGH_START);
    assert_true(mapping_of(guest, UINT64_C(0x8000000000))->flags & SHADOW_LARGE);
    assert_access(guest, UINT64_C(0x8000202008), WRITE, HIGH_START + 0x202008);
    assert_int_equal(mapping_of(guest, UINT64_C(0x8000202000))->flags, SHADOW_NO_EXECUTE | SHADOW_WRITE);
    assert_int_equal(try_access(guest, UINT64_C(0x8000203000), WRITE), SHADOW_DEVICE);
    assert_access(guest, UINT64_C(0x40001ff000), WRITE, 0x1ff000);
    assert_false(mapping_of(guest, UINT64_C(0x40001ff000))->flags & SHADOW_LARGE);
    assert_int_equal(try_access(guest, UINT64_C(0x4000000000) + guest->state.cr3, WRITE), SHADOW_WRITE_TABLE);
}

static void test_large_pages_are_mapped_small_where_the_caller_says_so(void **state)
{
    struct shadow_fixture *guest = *state;

    guest->mmu.large = false;
    set_entry(guest, KERNEL, 1, DATA | PS | RW | P);
    assert_access(guest, KERNEL + 0x123456, WRITE, DATA + 0x123456);
    assert_int_equal(mapping_of(guest, KERNEL + 0x123000)->flags, SHADOW_NO_EXECUTE | SHADOW_WRITE);
    set_entry(guest, USER, 0, RW | P); /* that takes tables of ours, not one of the guest's: page 0 is none */
    assert_access(guest, USER, WRITE, 0);
    assert_false(is_mapped(guest, KERNEL, READ));
}

static void test_a_large_page_gives_way_to_a_table_or_code_in_it(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t table = DATA + 0x10000;

    set_entry(guest, KERNEL, 1, DATA | PS | RW | P);
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_true(mapping_of(guest, KERNEL)->flags & SHADOW_LARGE);
    set_entry(guest, USER, 1, table | RW | P);
    *word_at(guest, table) = (DATA + 0x5000) | RW | P;
    assert_access(guest, USER, READ, DATA + 0x5000);
    assert_null(mapping_of(guest, KERNEL));
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_int_equal(try_access(guest, KERNEL + 0x10008, WRITE), SHADOW_WRITE_TABLE);
    write_entry(guest, entry_place(guest, guest->state.cr3, USER, 1), 0);

    set_entry(guest, KERNEL + 0x200000, 1, (DATA + 0x200000) | PS | RW | P);
    assert_access(guest, KERNEL + 0x200000, WRITE, DATA + 0x200000);
    assert_true(mapping_of(guest, KERNEL + 0x200000)->flags & SHADOW_LARGE);
    assert_int_equal(try_access(guest, KERNEL + 0x201000, FETCH), SHADOW_EXECUTE);
    shadow_set_code(guest->shadow, guest->answer.physical);
    assert_access(guest, KERNEL + 0x201000, FETCH, DATA + 0x201000);
    assert_access(guest, KERNEL + 0x202000, WRITE, DATA + 0x202000);
    assert_false(mapping_of(guest, KERNEL + 0x202000)->flags & SHADOW_LARGE);
}

static void test_a_large_page_is_not_mapped_over_the_tables_that_lead_to_it(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t pdpt = DATA + 0x3000, directory = DATA + 0x4000;

    set_entry(guest, KERNEL, 3, pdpt | RW | P);
    *word_at(guest, pdpt + 510 * 8) = directory | RW | P;
    *word_at(guest, directory) = DATA | PS | RW | P;
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_false(mapping_of(guest, KERNEL)->flags & SHADOW_LARGE);
    assert_int_equal(try_access(guest, KERNEL + 0x4000, WRITE), SHADOW_WRITE_TABLE);
}

static void test_a_page_becomes_large_when_nothing_is_left_that_forbids_it(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, KERNEL, 1, DATA | PS | RW | P);
    shadow_set_code(guest->shadow, DATA + 0x1000);
    assert_access(guest, KERNEL, READ, DATA);
    assert_false(mapping_of(guest, KERNEL)->flags & SHADOW_LARGE);
    shadow_written(guest->shadow, DATA + 0x1000, 1);
    assert_access(guest, KERNEL + 0x2000, READ, DATA + 0x2000); /* small ones are there: no change for its own sake */
    assert_false(mapping_of(guest, KERNEL + 0x2000)->flags & SHADOW_LARGE);
    shadow_flush(guest->shadow);
    assert_access(guest, KERNEL, READ, DATA);
    assert_true(mapping_of(guest, KERNEL)->flags & SHADOW_LARGE);
}

static void test_kernel_code_is_executed_once_somebody_has_looked_at_it(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, KERNEL, 0, DATA | US | RW | P);
    set_entry(guest, USER, 0, DATA | US | RW | P);
    assert_access(guest, KERNEL, WRITE, DATA);
    guest->state.user = true;
    assert_access(guest, USER, WRITE, DATA);
    assert_true(is_mapped(guest, USER, FETCH)); /* users' own matter */
    guest->state.user = false;
    assert_false(is_mapped(guest, KERNEL, FETCH));
    assert_int_equal(try_access(guest, KERNEL + 0x10, FETCH), SHADOW_EXECUTE);
    assert_int_equal(guest->answer.physical, DATA + 0x10);
    shadow_set_code(guest->shadow, DATA);
    assert_true(shadow_is_code(guest->shadow, DATA + 0x999));
    assert_access(guest, KERNEL, FETCH, DATA);
    assert_false(is_mapped(guest, KERNEL, WRITE));
    guest->state.user = true;
    assert_false(is_mapped(guest, USER, WRITE));

    /* Whoever writes makes it data. */
    assert_access(guest, USER, WRITE, DATA);
    assert_false(shadow_is_code(guest->shadow, DATA));
    guest->state.user = false;
    assert_false(is_mapped(guest, KERNEL, FETCH));
    assert_int_equal(try_access(guest, KERNEL, FETCH), SHADOW_EXECUTE);
    shadow_set_code(guest->shadow, DATA);
    assert_access(guest, KERNEL, FETCH, DATA);
    shadow_written(guest->shadow, DATA + 0xfff, 1);
    assert_int_equal(try_access(guest, KERNEL, FETCH), SHADOW_EXECUTE);
}

static void test_code_that_writes_to_its_own_page_is_carried_out_by_others(void **state)
{
    struct shadow_fixture *guest = *state;

    for (unsigned i = 0; i < 3; i++) {
        set_entry(guest, KERNEL + i * UINT64_C(0x1000), 0, (DATA + i * UINT64_C(0x1000)) | RW | P);
        shadow_set_code(guest->shadow, DATA + i * UINT64_C(0x1000));
        assert_access(guest, KERNEL + i * UINT64_C(0x1000), FETCH, DATA + i * UINT64_C(0x1000));
    }
    set_entry(guest, USER, 0, DATA | RW | P); /* another name for the first one */
    guest->state.rip = KERNEL + 0x100;
    assert_int_equal(try_access(guest, KERNEL + 0x200, WRITE), SHADOW_WRITE_CODE);
    assert_int_equal(try_access(guest, USER + 0x200, WRITE), SHADOW_WRITE_CODE);
    assert_int_equal(guest->answer.physical, DATA + 0x200);
    guest->state.rip = KERNEL + 0xffa; /* the instruction may reach into the second one */
    assert_int_equal(try_access(guest, KERNEL + 0x1000, WRITE), SHADOW_WRITE_CODE);
    assert_access(guest, KERNEL + 0x2000, WRITE, DATA + 0x2000);

    /* Users execute what is not code as well. */
    set_entry(guest, USER + 0x1000, 0, (DATA + 0x1000) | US | RW | P);
    guest->state.user = true;
    guest->state.rip = USER + 0x1000;
    assert_access(guest, USER + 0x1000, FETCH, DATA + 0x1000);
    assert_access(guest, USER + 0x1000, WRITE, DATA + 0x1000);
    guest->state.user = false;

    shadow_release_code(guest->shadow, DATA);
    assert_access(guest, KERNEL, WRITE, DATA);
    assert_true(is_mapped(guest, KERNEL, FETCH));
    shadow_set_code(guest->shadow, DATA);
    assert_false(is_mapped(guest, KERNEL, WRITE));
}

static void test_a_page_can_be_table_and_code_at_once(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t place = map_page_table(guest);

    set_entry(guest, KERNEL, 0, DATA | RW | P);
    assert_access(guest, KERNEL, READ, DATA);
    assert_int_equal(try_access(guest, WINDOW, FETCH), SHADOW_EXECUTE);
    shadow_set_code(guest->shadow, place);
    assert_false(is_mapped(guest, KERNEL, READ)); /* what was patched may have been an entry */
    assert_access(guest, WINDOW, FETCH, place);
    assert_access(guest, KERNEL, READ, DATA);
    assert_int_equal(try_access(guest, WINDOW, WRITE), SHADOW_WRITE_TABLE);
    write_entry(guest, place, 0);
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_int_equal(try_access(guest, WINDOW, FETCH), SHADOW_EXECUTE);
}

static void test_invalidations_drop_their_addresses_and_no_others(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t last = UINT64_C(0xfffffffffffff000);

    for (unsigned i = 0; i < 8; i++) {
        set_entry(guest, KERNEL + i * UINT64_C(0x1000), 0, DATA | P);
        assert_access(guest, KERNEL + i * UINT64_C(0x1000), READ, DATA);
    }
    set_entry(guest, last, 0, DATA | P);
    set_entry(guest, USER, 0, DATA | P);
    assert_access(guest, last, READ, DATA);
    assert_access(guest, USER, READ, DATA);
    shadow_invalidate_page(guest->shadow, guest->state.cr3, KERNEL + 0x1234);
    shadow_invalidate_range(guest->shadow, guest->state.cr3, KERNEL + 0x3fff, 2);
    shadow_invalidate_range(guest->shadow, guest->state.cr3, KERNEL + 0x6000, 0);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(is_mapped(guest, KERNEL + i * UINT64_C(0x1000), READ), i != 1 && i != 3 && i != 4);
    shadow_invalidate_range(guest->shadow, guest->state.cr3, KERNEL + 0x5000, UINT64_MAX);
    assert_false(is_mapped(guest, last, READ));
    assert_false(is_mapped(guest, KERNEL + 0x5000, READ));
    assert_true(is_mapped(guest, KERNEL + 0x2000, READ));
    assert_true(is_mapped(guest, USER, READ));
    shadow_invalidate_range(guest->shadow, guest->state.cr3, USER, KERNEL - USER); /* the middle is no address */
    assert_false(is_mapped(guest, USER, READ));
    assert_true(is_mapped(guest, KERNEL, READ));
    shadow_flush(guest->shadow);
    assert_false(is_mapped(guest, KERNEL, READ));
}

static void test_memory_that_is_taken_away_is_mapped_nowhere(void **state)
{
    struct shadow_fixture *guest = *state;

    set_entry(guest, KERNEL, 1, DATA | PS | D | RW | P);
    set_entry(guest, USER, 0, (DATA + 0x200000) | P);
    assert_access(guest, KERNEL, READ, DATA);
    assert_access(guest, USER, READ, DATA + 0x200000);
    shadow_unmap_memory(guest->shadow, DATA + 0x1000, 4096);
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_true(is_mapped(guest, USER, READ));
    assert_access(guest, KERNEL, READ, DATA);
    shadow_unmap_memory(guest->shadow, entry_place(guest, guest->state.cr3, USER, 0), 1); /* what came of it goes too */
    assert_false(is_mapped(guest, USER, READ));
    assert_true(is_mapped(guest, KERNEL, READ));
    assert_access(guest, USER, READ, DATA + 0x200000);
    shadow_unmap_memory(guest->shadow, 0, UINT64_MAX);
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_false(is_mapped(guest, USER, READ));
}

static void test_a_change_that_nobody_told_of_is_noticed_at_the_next_fill(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t other = new_table(guest);

    set_entry(guest, KERNEL, 0, DATA | P);
    assert_access(guest, KERNEL, READ, DATA);
    *word_at(guest, other) = (DATA + 0x1000) | P; /* a device has written another page table's address */
    *word_at(guest, other + 8) = (DATA + 0x2000) | P;
    set_entry(guest, KERNEL, 1, other | RW | P);
    shadow_invalidate_page(guest->shadow, guest->state.cr3, KERNEL + 0x1000);
    assert_access(guest, KERNEL + 0x1000, READ, DATA + 0x2000);
    assert_access(guest, KERNEL, READ, DATA + 0x1000);
    set_entry(guest, KERNEL, 0, (DATA + 0x3000) | RW | P);
    assert_access(guest, KERNEL, WRITE, DATA + 0x3000);
    shadow_set_code(guest->shadow, DATA + 0x3000);
    assert_false(is_mapped(guest, KERNEL, WRITE));
}

static void test_without_no_execute_a_fetch_is_known_by_its_address(void **state)
{
    struct shadow_fixture *guest = *state;

    guest->configuration.no_execute = false;
    shadow_fixture_restart(guest);
    set_entry(guest, KERNEL, 0, DATA | RW | P);
    set_entry(guest, KERNEL + 0x1000, 0, (DATA + 0x1000) | RW | P);
    guest->state.rip = KERNEL + 0xff8;
    assert_int_equal(fault(guest, KERNEL + 0xff8, READ), SHADOW_EXECUTE);
    assert_int_equal(fault(guest, KERNEL + 0x1000, READ), SHADOW_EXECUTE);
    assert_int_equal(fault(guest, KERNEL + 0x1008, READ), SHADOW_DONE);
}

static int set_up(void **state)
{
    *state = shadow_fixture_create();
    return 0;
}

static int tear_down(void **state)
{
    shadow_fixture_destroy(*state);
    return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_page_is_mapped_when_it_is_first_used),
        CASE(test_users_have_a_root_of_their_own_with_user_pages_alone),
        CASE(test_accessed_and_dirty_flags_are_those_of_a_processor),
        CASE(test_write_protection_counts_for_the_kernel_while_it_is_on),
        CASE(test_no_execute_is_the_guests_to_give),
        CASE(test_reserved_bits_are_faults),
        CASE(test_what_is_no_ram_is_never_mapped_or_read),
        CASE(test_addresses_that_cannot_be_mapped_are_said_to_be_so),
        CASE(test_a_root_is_kept_over_loads_of_cr3),
        CASE(test_tables_in_use_are_read_only_and_a_write_drops_what_came_of_it),
        CASE(test_a_table_of_several_address_spaces_is_followed_in_all_of_them),
        CASE(test_an_entry_of_a_higher_level_takes_everything_below_with_it),
        CASE(test_a_table_that_was_given_up_is_writable_until_the_next_invalidation),
        CASE(test_the_root_itself_can_be_given_up),
        CASE(test_more_tables_can_be_given_up_than_are_remembered),
        CASE(test_one_page_at_several_addresses_is_protected_at_all),
        CASE(test_tables_that_map_themselves),
        CASE(test_large_pages_are_mapped_large_where_memory_is),
        CASE(test_large_pages_are_mapped_small_where_the_caller_says_so),
        CASE(test_a_large_page_gives_way_to_a_table_or_code_in_it),
        CASE(test_a_large_page_is_not_mapped_over_the_tables_that_lead_to_it),
        CASE(test_a_page_becomes_large_when_nothing_is_left_that_forbids_it),
        CASE(test_kernel_code_is_executed_once_somebody_has_looked_at_it),
        CASE(test_code_that_writes_to_its_own_page_is_carried_out_by_others),
        CASE(test_a_page_can_be_table_and_code_at_once),
        CASE(test_invalidations_drop_their_addresses_and_no_others),
        CASE(test_memory_that_is_taken_away_is_mapped_nowhere),
        CASE(test_a_change_that_nobody_told_of_is_noticed_at_the_next_fill),
        CASE(test_without_no_execute_a_fetch_is_known_by_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
