/* The local APIC of the virtual CPU (SDM 3A chapter 11): xAPIC page and x2APIC registers, timer, priorities. It keeps
 * the CPU's set of pending interrupts (struct vcpu) such that what vcpu_highest_pending gives is its IRR. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The clock that the APIC's timer divides; what CPUID leaf 15H calls the core crystal clock (SDM 3A 11.5.4). */
#define LOCAL_APIC_TIMER_HZ 25000000u

struct local_apic;

/* An interrupt message from the IOAPIC or an MSI for this APIC; LEVEL: the IOAPIC wants to hear of its end. False: not
 * accepted, since the APIC is disabled or the vector below 16. */
bool local_apic_deliver(struct local_apic *apic, uint8_t vector, bool level);

/* Whether a message with this destination (8-bit APIC id or logical, as in the redirection entry) is for this APIC. */
bool local_apic_accepts(const struct local_apic *apic, uint8_t destination, bool logical);

/* The vector that the CPU should take now, by processor priority; -1: none. Not yet taken. */
int local_apic_next(const struct local_apic *apic);

/* The CPU takes the vector that local_apic_next gave: from IRR to ISR. */
void local_apic_take(struct local_apic *apic, uint8_t vector);

/* CR8, which is the task priority. */
uint8_t local_apic_cr8(const struct local_apic *apic);
void local_apic_set_cr8(struct local_apic *apic, uint8_t value);

/* Whether IA32_APIC_BASE enables the APIC; CPUID leaf 1 shows it. */
bool local_apic_is_enabled(const struct local_apic *apic);
