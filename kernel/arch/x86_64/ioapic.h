/* The I/O APIC: lines of devices to interrupt vectors of the boot CPU. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Masks all pins of the COUNT controllers, which must be mapped from DEVICE_IOAPIC on; interrupts will go to the CPU
 * of that local APIC id. */
void ioapic_init(unsigned count, uint8_t target_apic_id);

unsigned ioapic_count(void);

/* Number of pins of a controller, 0 where there is no such controller. */
unsigned ioapic_pins(unsigned ioapic);

/* Routes a pin to VECTOR and leaves it masked. LEVEL: level-triggered instead of edge; LOW: active low instead of
 * high. The pin must exist. */
void ioapic_route(unsigned ioapic, unsigned pin, bool level, bool low, uint8_t vector);

/* Masks or unmasks a pin; nothing for one that does not exist or has no vector. */
void ioapic_mask(unsigned ioapic, unsigned pin, bool masked);
