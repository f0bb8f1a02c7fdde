/* Which IOAPIC pin an ISA interrupt is wired to (ACPI 6.5, 5.2.12 MADT, 5.2.12.5 interrupt source override). Pure. */
#pragma once

#include "beaml4-init/acpi.h"

#define ISA_IRQS 16u

struct irq_route {
    uint32_t pin; /* global system interrupt */
    bool level;   /* level-triggered, else edge */
    bool low;     /* active low, else high */
};

/* Fills ROUTE for the ISA interrupts: as the MADT says, and 1:1 for what it says nothing about. False, with ROUTE as a PC
 * has it by default (IRQ 0 at pin 2), when there is no sound MADT. */
bool madt_routes(struct irq_route route[ISA_IRQS], const struct acpi *acpi);
