/* DR0 to DR3 and DR6, which nothing but guests uses; DR7 is switched by the processor. */
#pragma once

#include <core/cpu.h>

struct vcpu;

/* Makes them VCPU's; keeps those of the one before. */
void debug_registers_use(struct cpu *cpu, struct vcpu *vcpu);

/* VCPU is going away. */
void debug_registers_forget(struct cpu *cpu, const struct vcpu *vcpu);
