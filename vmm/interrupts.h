/* What the guest gets at its next entry: an exception, an NMI or an external interrupt (SDM 3A 6.9). Pure. */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/devices/local_apic.h"

#include <stdbool.h>

/* Chooses the vcpu's event, and for which window it has to exit, before the guest is entered. */
void interrupts_prepare(struct vcpu *vcpu, struct local_apic *apic);

/* Whether something wakes a halted CPU. */
bool interrupts_wake(struct vcpu *vcpu, const struct local_apic *apic);
