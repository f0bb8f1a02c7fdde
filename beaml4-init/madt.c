#include "beaml4-init/madt.h"

#define MADT_HEAD_BYTES 44u
#define MADT_OVERRIDE   2u
#define OVERRIDE_BYTES  10u

static void apply_override(struct irq_route route[ISA_IRQS], const uint8_t *entry)
{
    unsigned bus = entry[2], irq = entry[3];
    unsigned polarity = entry[8] & 3, trigger = entry[8] >> 2 & 3;

    if (bus != 0 || irq >= ISA_IRQS)
        return;
    route[irq] = (struct irq_route) {
        .pin = (uint32_t)acpi_load(entry + 4, 4),
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

bool madt_routes(struct irq_route route[ISA_IRQS], const struct acpi *acpi)
{
    size_t length;

    for (uint32_t irq = 0; irq < ISA_IRQS; irq++)
        route[irq] = (struct irq_route) { .pin = irq };
    const uint8_t *madt = acpi_table(acpi, "APIC", &length);
    if (!madt || length < MADT_HEAD_BYTES) {
        route[0].pin = 2;
        return false;
    }
    apply_madt(route, madt, length);
    return true;
}
