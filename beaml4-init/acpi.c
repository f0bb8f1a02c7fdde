#include "beaml4-init/acpi.h"

#include <string.h>

#define RSDP_V1_BYTES    20u
#define RSDP_V2_BYTES    36u
#define TABLE_HEAD_BYTES 36u
#define TABLE_MAXIMUM    0x10000u
#define HPET_BYTES       56u
#define HPET_SPACE       40u /* of the register address: which kind of space, 0 being memory */
#define HPET_ADDRESS     44u
#define PAGE_BYTES       4096u

uint64_t acpi_load(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static bool sums_to_zero(const uint8_t *bytes, size_t length)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

static const uint8_t *read_table(const struct acpi *acpi, uint64_t paddr, const char signature[4], size_t *length)
{
    const uint8_t *head = acpi->read(acpi->context, paddr, TABLE_HEAD_BYTES);

    if (!head || memcmp(head, signature, 4) != 0)
        return NULL;
    *length = acpi_load(head + 4, 4);
    if (*length < TABLE_HEAD_BYTES || *length > TABLE_MAXIMUM)
        return NULL;
    const uint8_t *table = acpi->read(acpi->context, paddr, *length);
    return table && sums_to_zero(table, *length) ? table : NULL;
}

/* The RSDT or XSDT: its address, and how many bytes one of its entries has. */
static bool find_root_table(const uint8_t *rsdp, size_t bytes, uint64_t *paddr, unsigned *entry_bytes)
{
    if (!rsdp || bytes < RSDP_V1_BYTES || memcmp(rsdp, "RSD PTR ", 8) != 0 || !sums_to_zero(rsdp, RSDP_V1_BYTES))
        return false;
    *paddr = acpi_load(rsdp + 16, 4);
    *entry_bytes = 4;
    bool extended = rsdp[15] >= 2 && bytes >= RSDP_V2_BYTES && sums_to_zero(rsdp, RSDP_V2_BYTES);
    if (extended && acpi_load(rsdp + 24, 8) != 0) {
        *paddr = acpi_load(rsdp + 24, 8);
        *entry_bytes = 8;
    }
    return true;
}

const uint8_t *acpi_table(const struct acpi *acpi, const char signature[4], size_t *length)
{
    uint64_t root;
    unsigned entry_bytes;

    if (!find_root_table(acpi->rsdp, acpi->rsdp_bytes, &root, &entry_bytes) ||
        !read_table(acpi, root, entry_bytes == 8 ? "XSDT" : "RSDT", length))
        return NULL;
    uint64_t entry_count = (*length - TABLE_HEAD_BYTES) / entry_bytes;
    for (uint64_t i = 0; i < entry_count; i++) {
        const uint8_t *entry = acpi->read(acpi->context, root + TABLE_HEAD_BYTES + i * entry_bytes, entry_bytes);
        if (!entry)
            return NULL;
        const uint8_t *table = read_table(acpi, acpi_load(entry, entry_bytes), signature, length);
        if (table)
            return table;
    }
    return NULL;
}

bool acpi_hpet(const struct acpi *acpi, uint64_t *paddr)
{
    size_t length;
    const uint8_t *table = acpi_table(acpi, "HPET", &length);

    if (!table || length < HPET_BYTES || table[HPET_SPACE] != 0)
        return false;
    *paddr = acpi_load(table + HPET_ADDRESS, 8);
    return *paddr != 0 && *paddr % PAGE_BYTES == 0;
}
