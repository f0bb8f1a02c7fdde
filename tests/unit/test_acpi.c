/* The firmware's tables as init reads them: interrupt wiring and the HPET, and everything that may be wrong. */
#include "beaml4-init/madt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BASE   0x7fe0000ul
#define ROOT   0x100u
#define MADT   0x400u
#define HPET   0x600u
#define OTHER  0x800u

static uint8_t memory[0x1000], rsdp[36];
static unsigned unreadable; /* offset of a page that cannot be read from there on; 0: none */

static const void *read_memory(void *context, uint64_t paddr, size_t bytes)
{
    (void)context;
    if (paddr < BASE || bytes > sizeof memory || paddr - BASE > sizeof memory - bytes)
        return NULL;
    if (unreadable && paddr - BASE + bytes > unreadable)
        return NULL;
    return memory + (paddr - BASE);
}

static const struct acpi acpi = { .rsdp = rsdp, .rsdp_bytes = sizeof rsdp, .read = read_memory };

static void put(uint8_t *at, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void sum(uint8_t *table, size_t length, unsigned at)
{
    uint8_t total = 0;

    table[at] = 0;
    for (size_t i = 0; i < length; i++)
        total = (uint8_t)(total + table[i]);
    table[at] = (uint8_t)-total;
}

static void seal(unsigned table, const char *signature, uint32_t length)
{
    memcpy(memory + table, signature, 4);
    put(memory + table + 4, length, 4);
    sum(memory + table, length, 9);
}

static void seal_rsdp(unsigned revision, uint64_t rsdt, uint64_t xsdt)
{
    memset(rsdp, 0, sizeof rsdp);
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = (uint8_t)revision;
    put(rsdp + 16, rsdt, 4);
    put(rsdp + 20, 36, 4);
    put(rsdp + 24, xsdt, 8);
    sum(rsdp, 20, 8);
    sum(rsdp, 36, 32);
}

/* An XSDT with an unknown table, an MADT with two overrides, and an HPET. */
static int set_up(void **state)
{
    static const uint8_t overrides[] = { 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 1, 8, 9, 9, 9, 9, 9, 9,
                                         2, 10, 0, 9, 20, 0, 0, 0, 15, 0 };

    (void)state;
    unreadable = 0;
    memset(memory, 0, sizeof memory);
    put(memory + ROOT + 36, BASE + OTHER, 8);
    put(memory + ROOT + 44, BASE + MADT, 8);
    put(memory + ROOT + 52, BASE + HPET, 8);
    seal(ROOT, "XSDT", 60);
    seal(OTHER, "WXYZ", 40);
    memcpy(memory + MADT + 44, overrides, sizeof overrides);
    seal(MADT, "APIC", 44 + sizeof overrides);
    put(memory + HPET + 44, 0xfed00000, 8);
    seal(HPET, "HPET", 56);
    seal_rsdp(2, 0, BASE + ROOT);
    return 0;
}

static void expect_default(void)
{
    struct irq_route route[ISA_IRQS];

    assert_false(madt_routes(route, &acpi));
    assert_int_equal(route[0].pin, 2);
    for (unsigned i = 1; i < ISA_IRQS; i++)
        assert_int_equal(route[i].pin, i);
}

static void test_overrides_are_applied_and_the_rest_is_straight(void **state)
{
    struct irq_route route[ISA_IRQS];

    (void)state;
    assert_true(madt_routes(route, &acpi));
    assert_int_equal(route[0].pin, 2);
    assert_false(route[0].level);
    assert_int_equal(route[4].pin, 4);
    assert_int_equal(route[9].pin, 20);
    assert_true(route[9].level);
    assert_true(route[9].low);
}

static void test_the_hpet_is_found_where_it_is_described_rightly(void **state)
{
    uint64_t paddr = 0;

    (void)state;
    assert_true(acpi_hpet(&acpi, &paddr));
    assert_int_equal(paddr, 0xfed00000);
    memory[HPET + 40] = 1; /* I/O ports */
    seal(HPET, "HPET", 56);
    assert_false(acpi_hpet(&acpi, &paddr));
    memory[HPET + 40] = 0;
    put(memory + HPET + 44, 0xfed00400, 8); /* not a page of its own */
    seal(HPET, "HPET", 56);
    assert_false(acpi_hpet(&acpi, &paddr));
    put(memory + HPET + 44, 0xfed00000, 8);
    seal(HPET, "HPET", 52);
    assert_false(acpi_hpet(&acpi, &paddr));
    seal(HPET, "HPEX", 56);
    assert_false(acpi_hpet(&acpi, &paddr));
}

static void test_an_old_rsdp_leads_to_an_rsdt(void **state)
{
    uint64_t paddr;

    (void)state;
    put(memory + ROOT + 36, BASE + HPET, 4);
    seal(ROOT, "RSDT", 40);
    seal_rsdp(0, BASE + ROOT, 0);
    assert_true(acpi_hpet(&acpi, &paddr));
}

static void test_whatever_is_damaged_is_not_believed(void **state)
{
    struct acpi none = acpi;
    uint64_t paddr;

    (void)state;
    none.rsdp = NULL;
    assert_false(acpi_hpet(&none, &paddr));
    none = acpi;
    none.rsdp_bytes = 19;
    assert_false(acpi_hpet(&none, &paddr));
    rsdp[3] ^= 1;
    assert_false(acpi_hpet(&acpi, &paddr));
    set_up(NULL);
    memory[MADT + 60] ^= 1; /* its checksum is wrong then */
    expect_default();
    assert_true(acpi_hpet(&acpi, &paddr));
    set_up(NULL);
    unreadable = HPET + 20;
    assert_false(acpi_hpet(&acpi, &paddr));
    set_up(NULL);
    put(memory + ROOT + 4, 35, 4); /* shorter than its head */
    expect_default();
    put(memory + ROOT + 4, UINT32_MAX, 4);
    expect_default();
    set_up(NULL);
    memory[MADT + 45] = 0; /* an entry without length */
    seal(MADT, "APIC", 72);
    struct irq_route route[ISA_IRQS];
    assert_true(madt_routes(route, &acpi));
    assert_int_equal(route[0].pin, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_overrides_are_applied_and_the_rest_is_straight, set_up),
        cmocka_unit_test_setup(test_the_hpet_is_found_where_it_is_described_rightly, set_up),
        cmocka_unit_test_setup(test_an_old_rsdp_leads_to_an_rsdt, set_up),
        cmocka_unit_test_setup(test_whatever_is_damaged_is_not_believed, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
