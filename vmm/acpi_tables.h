/* The ACPI tables of the virtual machine: RSDP, XSDT, FADT, MADT, DSDT (compiled by iasl from dsdt.asl). Pure. */
#pragma once

#include "vmm/guest_memory.h"

#include <stdint.h>

/* The RSDP stands here, where firmware-less guests look for it (ACPI 6.5, 5.2.5.1); the tables follow. */
#define ACPI_RSDP_ADDRESS 0xe0000u
#define ACPI_AREA_END     0x100000u

/* A byte in the area, in which the DSDT looks up which places for virtio devices are taken: a bit each. */
#define ACPI_VIRTIO_PRESENT 0xe0028u

/* Writes the tables into guest memory; bit N of VIRTIO_PRESENT says that there is a device in place N (vmm/device.h).
 * False where they do not fit. */
bool acpi_tables_write(const struct guest_memory *memory, uint8_t virtio_present);
