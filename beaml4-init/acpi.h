/* ACPI tables (ACPI 6.5, 5.2.5 RSDP, 5.2.6 the head of a table, 5.2.7 RSDT, 5.2.8 XSDT) and the one of the HPET (IA-PC HPET
 * specification 1.0a, 3.2.4). Pure: memory is read through a function of the caller's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* BYTES bytes of physical memory at PADDR, readable until the next call; NULL where that is not possible. */
typedef const void *acpi_reader(void *context, uint64_t paddr, size_t bytes);

/* Where the firmware's tables begin: its RSDP, as the kernel hands it on, or NULL; and how to read them. */
struct acpi {
    const void *rsdp;
    size_t rsdp_bytes;
    acpi_reader *read;
    void *context;
};

/* A number of COUNT bytes, the lowest first. */
uint64_t acpi_load(const uint8_t *bytes, unsigned count);

/* The first whole table that has SIGNATURE and a right checksum, readable until the next read; LENGTH is its length.
 * NULL when there is none. */
const uint8_t *acpi_table(const struct acpi *acpi, const char signature[4], size_t *length);

/* Where the registers of the HPET are; false: there is none. */
bool acpi_hpet(const struct acpi *acpi, uint64_t *paddr);
