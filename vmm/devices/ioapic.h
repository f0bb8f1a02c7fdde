/* The I/O APIC (Intel 82093AA): 24 pins to messages for the local APIC. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ioapic;

void ioapic_set_pin(struct ioapic *ioapic, unsigned pin, bool level);

/* The local APIC got an end-of-interrupt for a level-triggered VECTOR. */
void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector);
