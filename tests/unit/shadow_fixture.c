#include "tests/unit/shadow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void *allocate(uint64_t bytes)
{
    return calloc(1, bytes);
}

void shadow_fixture_restart(struct shadow_fixture *guest)
{
    const char *reason;

    free(guest->shadow);
    fake_mmu_init(&guest->mmu);
    guest->shadow = shadow_create(&guest->configuration, &reason);
    assert_non_null(guest->shadow);
}

struct shadow_fixture *shadow_fixture_create(void)
{
    struct shadow_fixture *guest = calloc(1, sizeof *guest);

    guest->low = calloc(1, LOW_BYTES);
    guest->high = calloc(1, HIGH_BYTES);
    guest->memory = (struct guest_memory) {
        .count = 2, .region = { { 0, LOW_BYTES, guest->low }, { HIGH_START, HIGH_BYTES, guest->high } },
    };
    guest->configuration = (struct shadow_configuration) {
        .limits = { 8, 32, 32, MMU_TABLES, MMU_PAGES },
        .memory = &guest->memory, .operations = &fake_mmu_operations, .context = &guest->mmu,
        .allocate = allocate, .physical_bits = 40, .no_execute = true,
        .unreachable_first = UINT64_C(0xfffffe8000000000), .unreachable_last = UINT64_C(0xfffffeffffffffff),
        .around = 1,
    };
    guest->next_table = 0x1000;
    guest->state = (struct shadow_state) {
        .cr0 = CR0_PG | CR0_PE | CR0_WP, .cr4 = CR4_PAE | CR4_PGE, .efer = EFER_LME | EFER_LMA | EFER_NXE,
        .cr3 = new_table(guest),
    };
    shadow_fixture_restart(guest);
    return guest;
}

void shadow_fixture_destroy(struct shadow_fixture *guest)
{
    free(guest->shadow);
    free(guest->low);
    free(guest->high);
    free(guest);
}

uint64_t new_table(struct shadow_fixture *guest)
{
    uint64_t table = guest->next_table;

    guest->next_table += 4096;
    assert_true(guest->next_table <= 0x200000);
    return table;
}

uint64_t *word_at(struct shadow_fixture *guest, uint64_t physical)
{
    uint64_t *word = guest_memory_at(&guest->memory, physical, 8);

    assert_non_null(word);
    return word;
}

uint64_t entry_place(struct shadow_fixture *guest, uint64_t cr3, uint64_t address, unsigned level)
{
    uint64_t table = cr3;

    for (unsigned i = 3;; i--) {
        uint64_t place = table + (address >> (12 + 9 * i) & 511) * 8;

        if (i == level)
            return place;
        if (!(*word_at(guest, place) & P))
            *word_at(guest, place) = new_table(guest) | US | RW | P;
        table = *word_at(guest, place) & UINT64_C(0xffffffffff000);
    }
}

uint64_t set_entry(struct shadow_fixture *guest, uint64_t address, unsigned level, uint64_t entry)
{
    uint64_t place = entry_place(guest, guest->state.cr3, address, level);

    *word_at(guest, place) = entry;
    return place;
}

void write_entry(struct shadow_fixture *guest, uint64_t place, uint64_t entry)
{
    *word_at(guest, place) = entry;
    shadow_written(guest->shadow, place, 8);
}

static unsigned selected(struct shadow_fixture *guest)
{
    unsigned root;

    assert_true(shadow_select(guest->shadow, &guest->state, &root));
    return root;
}

const struct mmu_page *mapping_of(struct shadow_fixture *guest, uint64_t address)
{
    return fake_mmu_find(&guest->mmu, selected(guest), address);
}

bool is_mapped(struct shadow_fixture *guest, uint64_t address, enum access access)
{
    const struct mmu_page *page = mapping_of(guest, address);

    return page && (access != WRITE || (page->flags & SHADOW_WRITE)) &&
           (access != FETCH || !(page->flags & SHADOW_NO_EXECUTE));
}

enum shadow_result fault(struct shadow_fixture *guest, uint64_t address, enum access access)
{
    uint32_t error = 4 | (mapping_of(guest, address) ? 1 : 0) | (access == WRITE ? 2 : 0);

    if (access == FETCH && guest->configuration.no_execute)
        error |= 16;
    return shadow_fault(guest->shadow, &guest->state, address, error, &guest->answer);
}

enum shadow_result try_access(struct shadow_fixture *guest, uint64_t address, enum access access)
{
    for (unsigned i = 0; i < 4; i++) {
        if (is_mapped(guest, address, access)) {
            const struct mmu_page *page = mapping_of(guest, address);

            guest->answer.physical = page->physical + (address & (page->flags & SHADOW_LARGE ? 0x1fffff : 0xfff));
            return SHADOW_DONE;
        }
        enum shadow_result result = fault(guest, address, access);
        if (result != SHADOW_DONE)
            return result;
    }
    fail_msg("the access never gets through");
    return SHADOW_NO_MEMORY;
}

void assert_access(struct shadow_fixture *guest, uint64_t address, enum access access, uint64_t physical)
{
    assert_int_equal(try_access(guest, address, access), SHADOW_DONE);
    assert_int_equal(guest->answer.physical, physical);
}

void assert_refused(struct shadow_fixture *guest, uint64_t address, enum access access, uint32_t error)
{
    assert_int_equal(try_access(guest, address, access), SHADOW_PAGE_FAULT);
    assert_int_equal(guest->answer.error, error);
}
