/* ACPI as far as init needs it: which IOAPIC pin an ISA interrupt is wired to (ACPI 6.5, 5.2.5 RSDP, 5.2.12 MADT,
 * 5.2.12.5 interrupt source override). Pure: the tables are read through a function of the caller's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISA_IRQS 16u

struct irq_route {
    uint32_t pin; /* global system interrupt */
    bool level;   /* level-triggered, else edge */
    bool low;     /* active low, else high */
};

/* BYTES bytes of physical memory at PADDR, readable until the next call; NULL where that is not possible. */
typedef const void *acpi_reader(void *context, uint64_t paddr, size_t bytes);

/* Fills ROUTE for the ISA interrupts: as the MADT of the RSDP's tables says, and 1:1 for what it says nothing about.
 * False, with ROUTE as a PC has it by default (IRQ 0 at pin 2), when there is no sound MADT. */
bool madt_routes(struct irq_route route[ISA_IRQS], const void *rsdp, size_t rsdp_bytes, acpi_reader *read,
                 void *context);
