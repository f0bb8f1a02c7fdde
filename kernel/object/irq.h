/* Interrupts as capabilities: IRQ control, IRQ handlers; which notification an IRQ signals. */
#pragma once

#include <api/invocation.h>

void irq_control_invoke(struct invocation *call);
void irq_handler_invoke(struct invocation *call);
/* The handler capability of that IRQ is gone. */
void irq_finalise(struct cpu *cpu, unsigned irq);
/* An interrupt with a user vector arrived on this CPU. */
void irq_arrived(struct cpu *cpu, unsigned irq);
