/* The software TLB: what it does when pools are empty, how it saves work, and hostile tables. */
#include "tests/unit/shadow_fixture.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void set_limits(struct shadow_fixture *guest, struct shadow_limits limits)
{
    guest->configuration.limits = limits;
    shadow_fixture_restart(guest);
}

static void test_the_oldest_page_goes(void **state)
{
    struct shadow_fixture *guest = *state;

    set_limits(guest, (struct shadow_limits) { 2, 8, 8, 8, 16 });
    for (unsigned i = 0; i < 20; i++) {
        set_entry(guest, KERNEL + i * UINT64_C(0x1000), 0, (DATA + i * UINT64_C(0x1000)) | RW | P);
        assert_access(guest, KERNEL + i * UINT64_C(0x1000), READ, DATA + i * UINT64_C(0x1000));
    }
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(is_mapped(guest, KERNEL + i * UINT64_C(0x1000), READ), i >= 4);
    assert_int_equal(shadow_counts(guest->shadow)->evicted_pages, 4);
    assert_access(guest, KERNEL + 0x4000, WRITE, DATA + 0x4000); /* used again: now the latest */
    assert_access(guest, KERNEL, READ, DATA);
    assert_true(is_mapped(guest, KERNEL + 0x4000, READ));
    assert_false(is_mapped(guest, KERNEL + 0x5000, READ));
}

static void test_the_oldest_table_of_its_level_goes(void **state)
{
    struct shadow_fixture *guest = *state;

    for (unsigned level = 1; level < 4; level++) {
        uint64_t size = UINT64_C(1) << (12 + 9 * level);

        set_limits(guest, (struct shadow_limits) { 2, 8, 8, 8, 16 });
        for (unsigned i = 0; i < 10; i++) {
            set_entry(guest, i * size, 0, DATA | P);
            assert_access(guest, i * size, READ, DATA);
        }
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(is_mapped(guest, i * size, READ), i >= 2);
        set_entry(guest, 2 * size + 4096, 0, DATA | P); /* used again: now the latest */
        assert_access(guest, 2 * size + 4096, READ, DATA);
        assert_access(guest, 0, READ, DATA);
        assert_true(is_mapped(guest, 2 * size, READ));
        assert_false(is_mapped(guest, 3 * size, READ));
    }
}

static void test_the_oldest_root_goes(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t first = guest->state.cr3;

    set_limits(guest, (struct shadow_limits) { 3, 8, 8, 8, 16 });
    for (unsigned i = 0; i < 6; i++) {
        guest->state.cr3 = i == 0 ? first : new_table(guest);
        set_entry(guest, KERNEL, 0, DATA | P);
        assert_access(guest, KERNEL, READ, DATA);
    }
    assert_int_equal(guest->mmu.roots, 3);
    guest->state.cr3 = first;
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_access(guest, KERNEL, READ, DATA);
}

static void test_fewer_can_be_made_than_the_limits_say(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t first = guest->state.cr3;

    guest->mmu.roots_left = 1;
    guest->mmu.tables_left[0] = guest->mmu.tables_left[1] = guest->mmu.tables_left[2] = 1;
    for (unsigned i = 0; i < 10; i++) {
        guest->state.cr3 = i % 2 ? first : first + 0x100000;
        guest->state.user = i % 3 == 0;
        set_entry(guest, i * UINT64_C(0x8000000000), 0, DATA | US | P);
        assert_access(guest, i * UINT64_C(0x8000000000), READ, DATA);
    }
    shadow_fixture_restart(guest);
    guest->mmu.tables_left[1] = 0;
    assert_int_equal(try_access(guest, UINT64_C(0x8000000000), READ), SHADOW_NO_MEMORY);
    shadow_fixture_restart(guest);
    guest->mmu.roots_left = 0;
    unsigned root;
    assert_false(shadow_select(guest->shadow, &guest->state, &root));
    assert_int_equal(shadow_fault(guest->shadow, &guest->state, UINT64_C(0x8000000000), 4, &guest->answer),
                     SHADOW_NO_MEMORY);
}

static void test_mappings_that_are_refused_are_not_believed_in(void **state)
{
    struct shadow_fixture *guest = *state;

    for (unsigned i = 0; i < 4; i++)
        set_entry(guest, KERNEL + i * UINT64_C(0x1000), 0, DATA | D | A | RW | P);
    guest->mmu.maps_left = 1;
    assert_access(guest, KERNEL, READ, DATA);
    assert_int_equal(fault(guest, KERNEL + 0x1000, READ), SHADOW_DONE); /* another one has been given up */
    assert_false(is_mapped(guest, KERNEL, READ));
    assert_int_equal(fault(guest, KERNEL + 0x1000, READ), SHADOW_NO_MEMORY);
    guest->mmu.maps_left = 1;
    assert_access(guest, KERNEL + 0x1000, READ, DATA);

    /* Of several, those that were mapped stay. */
    guest->configuration.around = 4;
    shadow_fixture_restart(guest);
    guest->mmu.maps_left = 2;
    assert_access(guest, KERNEL + 0x2000, READ, DATA);
    guest->mmu.maps_left = UINT_MAX;
    assert_true(is_mapped(guest, KERNEL, READ));
    assert_false(is_mapped(guest, KERNEL + 0x1000, READ));
    assert_access(guest, KERNEL + 0x1000, WRITE, DATA);
    assert_access(guest, KERNEL + 0x3000, WRITE, DATA);

    shadow_fixture_restart(guest);
    guest->mmu.refuse_attach = true;
    assert_int_equal(try_access(guest, KERNEL, READ), SHADOW_NO_MEMORY);
    guest->mmu.refuse_attach = false;
    assert_access(guest, KERNEL, READ, DATA);
}

static void test_neighbours_that_were_accessed_before_come_along(void **state)
{
    struct shadow_fixture *guest = *state;

    guest->configuration.around = 8;
    shadow_fixture_restart(guest);
    set_entry(guest, KERNEL, 0, DATA | A | RW | P);                     /* read before */
    set_entry(guest, KERNEL + 0x1000, 0, DATA | D | A | RW | P);        /* written before */
    set_entry(guest, KERNEL + 0x2000, 0, DATA | D | RW | P);            /* not accessed: that must be seen */
    set_entry(guest, KERNEL + 0x3000, 0, DATA | A | UINT64_C(1) << 45 | P); /* not valid */
    set_entry(guest, KERNEL + 0x4000, 0, UINT64_C(0xfee00000) | A | P); /* no RAM */
    set_entry(guest, KERNEL + 0x5000, 0, DATA | P);
    set_entry(guest, KERNEL + 0x6000, 0, guest->state.cr3 | D | A | RW | P); /* a table */
    set_entry(guest, KERNEL + 0x8000, 0, DATA | A | P); /* of another group */
    assert_access(guest, KERNEL + 0x5000, READ, DATA);
    assert_int_equal(guest->mmu.calls_of_map, 1);
    assert_int_equal(guest->mmu.pages_mapped, 4);
    assert_true(is_mapped(guest, KERNEL, READ) && !is_mapped(guest, KERNEL, WRITE));
    assert_true(is_mapped(guest, KERNEL + 0x1000, WRITE));
    assert_true(is_mapped(guest, KERNEL + 0x6000, READ) && !is_mapped(guest, KERNEL + 0x6000, WRITE));
    assert_false(is_mapped(guest, KERNEL + 0x2000, READ));

    /* Users' neighbours are users'. */
    set_entry(guest, USER, 0, DATA | A | US | P);
    set_entry(guest, USER + 0x1000, 0, DATA | A | P);
    set_entry(guest, USER + 0x2000, 0, DATA | A | US | P);
    guest->state.user = true;
    assert_access(guest, USER, READ, DATA);
    assert_true(is_mapped(guest, USER + 0x2000, READ));
    assert_false(is_mapped(guest, USER + 0x1000, READ));
}

static void test_neighbours_in_a_large_page_come_along_and_nothing_goes_for_them(void **state)
{
    struct shadow_fixture *guest = *state;

    guest->configuration.around = 16;
    set_limits(guest, (struct shadow_limits) { 2, 8, 8, 8, 20 });
    guest->mmu.large = false;
    set_entry(guest, KERNEL, 1, DATA | PS | RW | P);
    assert_access(guest, KERNEL + 0x3000, READ, DATA + 0x3000);
    assert_int_equal(guest->mmu.pages_mapped, 16);
    assert_true(is_mapped(guest, KERNEL + 0xf000, READ));
    assert_int_equal(mapping_of(guest, KERNEL + 0xf000)->physical, DATA + 0xf000);
    assert_access(guest, KERNEL + 0x10000, READ, DATA + 0x10000);
    assert_int_equal(guest->mmu.pages_mapped, 20);
    assert_true(is_mapped(guest, KERNEL + 0x3000, READ));
}

static void test_an_entry_written_for_an_accessed_page_is_mapped_at_once(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t place = set_entry(guest, USER, 0, DATA | US | RW | P), kernel = set_entry(guest, KERNEL, 0, DATA | P);

    guest->state.user = true;
    assert_access(guest, USER, READ, DATA);
    guest->state.user = false;
    assert_access(guest, USER, READ, DATA);
    assert_access(guest, KERNEL, READ, DATA);
    unsigned faults = (unsigned)shadow_counts(guest->shadow)->faults;

    write_entry(guest, place + 8, DATA | D | A | US | RW | P);  /* the users' root alone */
    write_entry(guest, place + 16, DATA | A | US | RW | P);     /* the first write must be seen */
    write_entry(guest, place + 24, DATA | US | RW | P);         /* the first access must be seen */
    write_entry(guest, place + 32, DATA | D | A | RW | P);      /* no page of users' */
    write_entry(guest, kernel + 8, DATA | D | A | RW | P);
    write_entry(guest, kernel + 16, UINT64_C(0xfee00000) | D | A | RW | P);
    write_entry(guest, kernel + 24, DATA | A | P | UINT64_C(1) << 45);
    write_entry(guest, kernel + 32, guest->state.cr3 | D | A | RW | P);
    assert_true(is_mapped(guest, KERNEL + 0x1000, WRITE) && !is_mapped(guest, KERNEL + 0x1000, FETCH));
    assert_false(is_mapped(guest, KERNEL + 0x2000, READ));
    assert_false(is_mapped(guest, KERNEL + 0x3000, READ));
    assert_true(is_mapped(guest, KERNEL + 0x4000, READ) && !is_mapped(guest, KERNEL + 0x4000, WRITE));
    assert_false(is_mapped(guest, USER + 0x1000, READ));
    assert_true(is_mapped(guest, USER + 0x4000, WRITE));
    guest->state.user = true;
    assert_true(is_mapped(guest, USER + 0x1000, WRITE));
    assert_true(is_mapped(guest, USER + 0x2000, READ) && !is_mapped(guest, USER + 0x2000, WRITE));
    assert_false(is_mapped(guest, USER + 0x3000, READ));
    assert_false(is_mapped(guest, USER + 0x4000, READ));
    assert_int_equal(shadow_counts(guest->shadow)->faults, faults);

    /* A refused mapping is not believed in; another address space is not touched. */
    guest->mmu.maps_left = 0;
    write_entry(guest, place + 8, DATA | A | US | P);
    assert_false(is_mapped(guest, USER + 0x1000, READ));
    guest->mmu.maps_left = UINT_MAX;
    uint64_t first = guest->state.cr3;
    guest->state.cr3 = new_table(guest);
    assert_false(is_mapped(guest, USER, READ));
    write_entry(guest, place + 8, DATA | A | US | P);
    guest->state.cr3 = first;
    assert_false(is_mapped(guest, USER + 0x1000, READ));
}

static void test_a_table_that_is_written_as_memory_becomes_memory(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t first = guest->state.cr3, dead = new_table(guest);

    set_entry(guest, USER, 0, dead | RW | P);
    guest->state.cr3 = dead;
    *word_at(guest, dead + 8 * 511) = *word_at(guest, first + 8 * 511);
    set_entry(guest, KERNEL, 0, DATA | P);
    assert_access(guest, KERNEL, READ, DATA);
    guest->state.cr3 = first;
    unsigned writes = 0;
    while (try_access(guest, USER, WRITE) == SHADOW_WRITE_TABLE) {
        shadow_written(guest->shadow, guest->answer.physical, 8);
        assert_true(++writes < 16);
    }
    assert_true(writes > 1);
    assert_true(is_mapped(guest, USER, WRITE));
    guest->state.cr3 = dead; /* it was not that dead */
    assert_access(guest, KERNEL, READ, DATA);
    guest->state.cr3 = first;
    assert_int_equal(try_access(guest, USER, WRITE), SHADOW_WRITE_TABLE);

    /* The root in use never is given up for that. */
    set_entry(guest, USER + 0x1000, 0, first | RW | P);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(try_access(guest, USER + 0x1000, WRITE), SHADOW_WRITE_TABLE);
    assert_int_equal(shadow_counts(guest->shadow)->released, 1);
}

static void test_a_table_that_is_used_between_the_writes_stays_one(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t place = set_entry(guest, USER, 0, DATA | RW | P);

    set_entry(guest, KERNEL, 0, (place & ~UINT64_C(4095)) | RW | P);
    for (unsigned i = 0; i < 100; i++) {
        assert_access(guest, USER, READ, DATA);
        assert_int_equal(try_access(guest, KERNEL, WRITE), SHADOW_WRITE_TABLE);
        write_entry(guest, place, DATA | RW | P);
    }
    /* So it does if each write is for a page that is going to be used. */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(try_access(guest, KERNEL, WRITE), SHADOW_WRITE_TABLE);
        write_entry(guest, place + 8 * i, DATA | A | RW | P);
    }
    assert_int_equal(shadow_counts(guest->shadow)->released, 0);
    assert_true(is_mapped(guest, USER, READ));
}

static void test_configurations_that_cannot_work_are_refused(void **state)
{
    struct shadow_fixture *guest = *state;
    struct shadow_configuration good = guest->configuration, bad;
    struct guest_memory memory = guest->memory;
    const char *reason;

#define REFUSED(change) \
    bad = good; \
    bad.change; \
    reason = NULL; \
    assert_null(shadow_create(&bad, &reason)); \
    assert_non_null(reason)
    REFUSED(limits.roots = 1);
    REFUSED(limits.pdpts = 7);
    REFUSED(limits.directories = 7);
    REFUSED(limits.tables = 7);
    REFUSED(limits.pages = 7);
    REFUSED(limits.pages = 0x8000);
    REFUSED(limits.tables = 0x7fff);
    REFUSED(limits.tables = UINT_MAX);
    REFUSED(physical_bits = 53);
    REFUSED(physical_bits = 31);
    REFUSED(around = 3);
    REFUSED(around = 32);
    REFUSED(unreachable_first = UINT64_C(0xfffffe8000001000));
    REFUSED(unreachable_last = UINT64_C(0xfffffeffffffff00));
    memory.region[1].start++;
    REFUSED(memory = &memory);
    memory.region[1].start--;
    memory.region[1].length = 0;
    REFUSED(memory = &memory);
    memory.count = 0;
    REFUSED(memory = &memory);
#undef REFUSED
}

static void *refuse(uint64_t bytes)
{
    return bytes > 0 ? NULL : malloc(1);
}

static void test_the_bookkeeping_is_as_large_as_stated(void **state)
{
    struct shadow_fixture *guest = *state;
    const char *reason;

    guest->configuration.limits = shadow_default_limits;
    uint64_t bytes = shadow_bytes(&guest->configuration);
    assert_in_range(bytes, 3500000, 3800000);
    guest->memory.region[1].length += 4096 * UINT64_C(512);
    assert_in_range(shadow_bytes(&guest->configuration) - bytes, 512 * 6, 512 * 6 + 32);
    guest->configuration.allocate = refuse;
    assert_null(shadow_create(&guest->configuration, &reason));
    assert_non_null(reason);
}

static void test_memory_full_of_garbage_is_walked_in_bounded_time(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t random = 99, allowed = 0;

    set_limits(guest, (struct shadow_limits) { 4, 8, 8, 8, 8 });
    for (uint64_t place = 0; place < LOW_BYTES; place += 8) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        /* Addresses within or a little beyond memory, all else by chance. */
        *word_at(guest, place) = (random >> 11 & UINT64_C(0x8000000001fff67f)) | P;
    }
    for (unsigned i = 0; i < 100000; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        guest->state.cr3 = random >> 20 & UINT64_C(0x3000);
        guest->state.user = random >> 50 & 1;
        uint64_t address = (uint64_t)((int64_t)(random << 3) >> 16);
        switch (fault(guest, address, (enum access)(random >> 40 & 1))) {
        case SHADOW_DONE:
            allowed++;
            break;
        case SHADOW_WRITE_TABLE:
            shadow_written(guest->shadow, guest->answer.physical, 8);
            break;
        default:
            break;
        }
    }
    assert_in_range(allowed, 1000, 99000);
}

static void test_every_entry_to_the_same_table_is_undone_in_bounded_time(void **state)
{
    struct shadow_fixture *guest = *state;
    uint64_t cr3 = guest->state.cr3;

    for (unsigned i = 0; i < 512; i++)
        *word_at(guest, cr3 + i * 8) = cr3 | RW | P;
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t address = (uint64_t)((int64_t)((uint64_t)i * UINT64_C(0x9e3779b97f4a7c15)) >> 16);
        if (address >> 39 == UINT64_C(0x1fffffd))
            continue;
        assert_access(guest, address & ~UINT64_C(7), READ, cr3 + (address & 0xff8));
    }
    shadow_written(guest->shadow, cr3, 4096);
    unsigned root;
    assert_true(shadow_select(guest->shadow, &guest->state, &root));
    assert_int_equal(fake_mmu_count(&guest->mmu, root), 0);
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
        CASE(test_the_oldest_page_goes),
        CASE(test_the_oldest_table_of_its_level_goes),
        CASE(test_the_oldest_root_goes),
        CASE(test_fewer_can_be_made_than_the_limits_say),
        CASE(test_mappings_that_are_refused_are_not_believed_in),
        CASE(test_neighbours_that_were_accessed_before_come_along),
        CASE(test_neighbours_in_a_large_page_come_along_and_nothing_goes_for_them),
        CASE(test_an_entry_written_for_an_accessed_page_is_mapped_at_once),
        CASE(test_a_table_that_is_written_as_memory_becomes_memory),
        CASE(test_a_table_that_is_used_between_the_writes_stays_one),
        CASE(test_configurations_that_cannot_work_are_refused),
        CASE(test_the_bookkeeping_is_as_large_as_stated),
        CASE(test_memory_full_of_garbage_is_walked_in_bounded_time),
        CASE(test_every_entry_to_the_same_table_is_undone_in_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
