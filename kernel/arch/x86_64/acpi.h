/* What the kernel needs of the ACPI tables: interrupt controllers and processors. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sel4/config.h>
#include <arch/x86_64/loader_info.h>

struct acpi_info {
    uint32_t local_apic; /* physical address of its page */
    unsigned cpu_count;  /* enabled processors */
    uint8_t cpu_apic_ids[CONFIG_MAX_NUM_NODES]; /* of the first of them */
    unsigned ioapic_count;
    struct {
        uint32_t address;
        uint32_t first_gsi;
    } ioapics[CONFIG_MAX_NUM_IOAPIC];
    bool has_dmar; /* the machine has an IOMMU, which the kernel leaves off */
};

/* Fills ACPI from the tables, and the loader's RSDP with the one in low memory where the loader gave none. Tables must
 * lie in the first 4 GiB. Without usable tables: says so and assumes a plain PC with one processor. */
void acpi_read(struct acpi_info *acpi, struct loader_info *loader);
