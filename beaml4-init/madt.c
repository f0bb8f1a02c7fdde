#include "beaml4-init/madt.h"

#include <string.h>

#define RSDP_V1_BYTES    20u
#define RSDP_V2_BYTES    36u
#define TABLE_HEAD_BYTES 36u
#define TABLE_MAXIMUM    0x10000u
#define MADT_HEAD_BYTES  44u
#define MADT_OVERRIDE    2u
#define OVERRIDE_BYTES   10u

static uint64_t load(const uint8_t *bytes, unsigned count)
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

/* A whole table that has SIGNATURE and a right checksum; LENGTH is its length. */
static const uint8_t *read_table(uint64_t paddr, const char signature[4], size_t *length, acpi_reader *read,
                                 void *context)
{
    const uint8_t *head = read(context, paddr, TABLE_HEAD_BYTES);

    if (!head || memcmp(head, signature, 4) != 0)
        return NULL;
    *length = load(head + 4, 4);
    if (*length < TABLE_HEAD_BYTES || *length > TABLE_MAXIMUM)
        return NULL;
    const uint8_t *table = read(context, paddr, *length);
    return table && sums_to_zero(table, *length) ? table : NULL;
}

/* The RSDT or XSDT: its address, and how many bytes one of its entries has. */
static bool find_root_table(const uint8_t *rsdp, size_t bytes, uint64_t *paddr, unsigned *entry_bytes)
{
    if (bytes < RSDP_V1_BYTES || memcmp(rsdp, "RSD PTR ", 8) != 0 || !sums_to_zero(rsdp, RSDP_V1_BYTES))
        return false;
    *paddr = load(rsdp + 16, 4);
    *entry_bytes = 4;
    bool extended = rsdp[15] >= 2 && bytes >= RSDP_V2_BYTES && sums_to_zero(rsdp, RSDP_V2_BYTES);
    if (extended && load(rsdp + 24, 8) != 0) {
        *paddr = load(rsdp + 24, 8);
        *entry_bytes = 8;
    }
    return true;
}

static void apply_override(struct irq_route route[ISA_IRQS], const uint8_t *entry)
{
    unsigned bus = entry[2], irq = entry[3];
    unsigned polarity = entry[8] & 3, trigger = entry[8] >> 2 & 3;

    if (bus != 0 || irq >= ISA_IRQS)
        return;
    route[irq] = (struct irq_route) {
        .pin = (uint32_t)load(entry + 4, 4),
        .level = trigger == 3,
        .low = polarity == 3,
    };
}

static void apply_madt(struct irq_route route[ISA_IRQS], const uint8_t *madt, size_t length)
{
    for (size_t at = MADT_HEAD_BYTES; at + 2 <= length;) {
        unsigned type = madt[at], entry_bytes = madt[at + 1];
        if (entry_bytes < 2 || entry_bytes > length - at)
            return;
        if (type == MADT_OVERRIDE && entry_bytes >= OVERRIDE_BYTES)
            apply_override(route, madt + at);
        at += entry_bytes;
    }
}

bool madt_routes(struct irq_route route[ISA_IRQS], const void *rsdp, size_t rsdp_bytes, acpi_reader *read,
                 void *context)
{
    uint64_t root, entry_count;
    unsigned entry_bytes;
    size_t length;

    for (uint32_t irq = 0; irq < ISA_IRQS; irq++)
        route[irq] = (struct irq_route) { .pin = irq };
    route[0].pin = 2;
    if (!rsdp || !find_root_table(rsdp, rsdp_bytes, &root, &entry_bytes))
        return false;
    if (!read_table(root, entry_bytes == 8 ? "XSDT" : "RSDT", &length, read, context))
        return false;
    entry_count = (length - TABLE_HEAD_BYTES) / entry_bytes;
    for (uint64_t i = 0; i < entry_count; i++) {
        const uint8_t *entry = read(context, root + TABLE_HEAD_BYTES + i * entry_bytes, entry_bytes);
        if (!entry)
            return false;
        const uint8_t *madt = read_table(load(entry, entry_bytes), "APIC", &length, read, context);
        if (madt && length >= MADT_HEAD_BYTES) {
            route[0].pin = 0;
            apply_madt(route, madt, length);
            return true;
        }
    }
    return false;
}
