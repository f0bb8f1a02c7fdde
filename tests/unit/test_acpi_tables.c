/* The ACPI tables, read again by offsets from the specification (ACPI 6.5): every pointer, length and checksum, and the
 * numbers that must be those of the device models.
 *
 * test_acpi_tables --dump FOLDER writes each table into a file there, for tests/tools/test_acpi_tables.py.
 */
#include "vmm/acpi_tables.h"
#include "vmm/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY_BYTES   0x100000u
#define VIRTIO_PRESENT 0x5u

static struct guest_memory memory;

static int set_up(void **state)
{
    (void)state;
    memory = (struct guest_memory) { .count = 1, .region = { { 0, MEMORY_BYTES, malloc(MEMORY_BYTES) } } };
    memset(memory.region[0].host, 0xa5, MEMORY_BYTES);
    assert_true(acpi_tables_write(&memory, VIRTIO_PRESENT));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(memory.region[0].host);
    return 0;
}

static const uint8_t *at(uint64_t address, uint64_t length)
{
    const uint8_t *bytes = guest_memory_at(&memory, address, length);

    assert_non_null(bytes);
    return bytes;
}

static uint64_t number(const uint8_t *table, unsigned offset, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)table[offset + i] << i * 8;
    return value;
}

static uint8_t sum(const uint8_t *bytes, uint64_t length)
{
    uint8_t sum = 0;

    while (length-- > 0)
        sum += *bytes++;
    return sum;
}

static uint64_t length_of(const uint8_t *table)
{
    return number(table, 4, 4);
}

/* A table with the common header, its length and checksum checked. */
static const uint8_t *table_at(uint64_t address, const char *signature)
{
    const uint8_t *table = at(address, 36);

    assert_memory_equal(table, signature, 4);
    assert_in_range(address, ACPI_RSDP_ADDRESS, ACPI_AREA_END);
    assert_true(address + length_of(table) <= 0xfd000);
    assert_int_equal(sum(at(address, length_of(table)), length_of(table)), 0);
    assert_memory_equal(table + 10, "BEAML4BEAML4VM", 14);
    return table;
}

static const uint8_t *listed_table(unsigned index, const char *signature)
{
    const uint8_t *rsdp = at(ACPI_RSDP_ADDRESS, 36), *xsdt = table_at(number(rsdp, 24, 8), "XSDT");

    assert_int_equal(length_of(xsdt), 36 + 2 * 8);
    return table_at(number(xsdt, 36 + index * 8, 8), signature);
}

static void test_the_rsdp_is_where_guests_search_and_has_both_checksums(void **state)
{
    const uint8_t *rsdp = at(ACPI_RSDP_ADDRESS, 36);

    (void)state;
    assert_int_equal(ACPI_RSDP_ADDRESS % 16, 0);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    assert_int_equal(rsdp[15], 2);
    assert_int_equal(number(rsdp, 20, 4), 36);
}

static void check_port(const uint8_t *table, unsigned offset, uint16_t address, unsigned bits, unsigned access)
{
    assert_int_equal(table[offset], 1);
    assert_int_equal(table[offset + 1], bits);
    assert_int_equal(table[offset + 2], 0);
    assert_int_equal(table[offset + 3], access);
    assert_int_equal(number(table, offset + 4, 8), address);
}

static void test_the_fadt_names_the_registers_of_the_power_device(void **state)
{
    const uint8_t *fadt = listed_table(0, "FACP");

    (void)state;
    assert_int_equal(fadt[8], 6);
    assert_int_equal(length_of(fadt), 276);
    assert_int_equal(number(fadt, 46, 2), GSI_ACPI);
    assert_int_equal(number(fadt, 48, 4), 0); /* SMI_CMD: always in ACPI mode */
    assert_int_equal(number(fadt, 56, 4), PORT_PM1_STATUS);
    assert_int_equal(number(fadt, 64, 4), PORT_PM1_CONTROL);
    assert_int_equal(number(fadt, 76, 4), PORT_PM_TIMER);
    assert_int_equal(fadt[88], 4);
    assert_int_equal(fadt[89], 2);
    assert_int_equal(fadt[91], 4);
    assert_int_equal(fadt[108], 0x32);
    /* A reset register; not hardware-reduced. */
    assert_int_equal(number(fadt, 112, 4) & (1u << 10 | 1u << 20), 1u << 10);
    check_port(fadt, 116, PORT_RESET_CONTROL, 8, 1);
    assert_int_equal(fadt[128], RESET_VALUE);
    check_port(fadt, 148, PORT_PM1_STATUS, 32, 2);
    check_port(fadt, 172, PORT_PM1_CONTROL, 16, 2);
    check_port(fadt, 208, PORT_PM_TIMER, 32, 3);

    /* A clock and serial port at their usual places, no keyboard controller, no VGA. */
    assert_int_equal(number(fadt, 109, 2), 0x5);
    /* Blocks that there are not. */
    assert_int_equal(number(fadt, 60, 4) | number(fadt, 68, 4) | number(fadt, 72, 4) | number(fadt, 80, 8), 0);
}

static void test_the_fadt_leads_to_the_dsdt_and_the_facs(void **state)
{
    const uint8_t *fadt = listed_table(0, "FACP");

    (void)state;
    assert_int_equal(number(fadt, 40, 4), number(fadt, 140, 8));
    const uint8_t *dsdt = table_at(number(fadt, 40, 4), "DSDT");
    assert_int_equal(dsdt[8], 2); /* 64-bit integers */

    assert_int_equal(number(fadt, 36, 4) % 64, 0);
    const uint8_t *facs = at(number(fadt, 36, 4), 64);
    assert_memory_equal(facs, "FACS", 4);
    assert_int_equal(length_of(facs), 64);
    assert_int_equal(sum(facs + 8, 24), 0);
}

static void test_the_madt_lists_one_cpu_one_ioapic_and_two_overrides(void **state)
{
    const uint8_t *madt = listed_table(1, "APIC");
    unsigned seen[3] = { 0 };

    (void)state;
    assert_int_equal(number(madt, 36, 4), LOCAL_APIC_BASE);
    assert_int_equal(number(madt, 40, 4), 0);
    for (uint64_t offset = 44; offset < length_of(madt); offset += madt[offset + 1]) {
        const uint8_t *entry = madt + offset;

        assert_in_range(entry[0], 0, 2);
        assert_int_equal(entry[1], entry[0] == 0 ? 8 : entry[0] == 1 ? 12 : 10);
        switch (entry[0]) {
        case 0:
            assert_int_equal(number(entry, 2, 2), 0);
            assert_int_equal(number(entry, 4, 4), 1);
            break;
        case 1:
            assert_int_equal(number(entry, 4, 4), IOAPIC_BASE);
            assert_int_equal(number(entry, 8, 4), 0);
            break;
        default:
            assert_int_equal(entry[2], 0);
            assert_int_equal(entry[3], seen[2] == 0 ? 0 : GSI_ACPI);
            assert_int_equal(number(entry, 4, 4), seen[2] == 0 ? GSI_PIT : GSI_ACPI);
            assert_int_equal(number(entry, 8, 2), seen[2] == 0 ? 0 : 0xd);
        }
        seen[entry[0]]++;
    }
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 1);
    assert_int_equal(seen[2], 2);
}

static void test_a_byte_says_which_virtio_devices_there_are(void **state)
{
    (void)state;
    assert_int_equal(*at(ACPI_VIRTIO_PRESENT, 1), VIRTIO_PRESENT);
}

static void test_nothing_outside_of_the_area_is_written(void **state)
{
    const uint8_t *bytes = at(0, MEMORY_BYTES);

    (void)state;
    for (uint32_t address = 0; address < MEMORY_BYTES; address++)
        if (address < ACPI_RSDP_ADDRESS || address >= 0xfd000)
            assert_int_equal(bytes[address], 0xa5);
}

static void test_memory_that_ends_below_the_area_is_refused(void **state)
{
    struct guest_memory small = memory;

    (void)state;
    small.region[0].length = ACPI_RSDP_ADDRESS + 64;
    assert_false(acpi_tables_write(&small, 0));
}

static int dump_table(const char *folder, const char *name, const uint8_t *table)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.dat", folder, name);
    FILE *file = fopen(path, "wb");

    if (!file)
        return 1;
    size_t written = fwrite(table, 1, length_of(table), file);
    return fclose(file) != 0 || written != length_of(table);
}

static int dump(const char *folder)
{
    set_up(NULL);
    const uint8_t *rsdp = at(ACPI_RSDP_ADDRESS, 36), *xsdt = at(number(rsdp, 24, 8), 52);
    const uint8_t *fadt = at(number(xsdt, 36, 8), 276), *madt = at(number(xsdt, 44, 8), 44);
    const uint8_t *facs = at(number(fadt, 36, 4), 64), *dsdt = at(number(fadt, 40, 4), 36);
    int failed = dump_table(folder, "xsdt", xsdt) || dump_table(folder, "facp", fadt) || dump_table(folder, "apic", madt)
        || dump_table(folder, "facs", facs) || dump_table(folder, "dsdt", dsdt);

    tear_down(NULL);
    return failed;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_rsdp_is_where_guests_search_and_has_both_checksums, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_fadt_names_the_registers_of_the_power_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_fadt_leads_to_the_dsdt_and_the_facs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_madt_lists_one_cpu_one_ioapic_and_two_overrides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_byte_says_which_virtio_devices_there_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_outside_of_the_area_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_that_ends_below_the_area_is_refused, set_up, tear_down),
    };

    if (argc == 3 && strcmp(argv[1], "--dump") == 0)
        return dump(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
