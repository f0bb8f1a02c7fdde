/* Exceptions and interrupts through the guest's IDT (SDM 3A 6.12 to 6.15), in 64-bit mode. Pure. */
#pragma once

#include "vmm/pv/cpu.h"

/* Delivers vcpu->event and clears it: the registers are afterwards those with which its handler begins, or the handler of
 * an exception that came up on the way. Then, or without an event, the #DB of a single step that the monitor has carried
 * out (VCPU_PENDING_DEBUG). False: triple fault. */
bool deliver_event(struct pv_cpu *cpu);

/* The same of vcpu->exception, which an instruction has raised. Nothing to do where there is none. An event that waits
 * stays where it is. */
bool deliver_exception(struct pv_cpu *cpu);

/* How a software interrupt has been asked for. */
enum deliver_software {
    DELIVER_INT_N, /* INT n, INT3, INTO: the gate's DPL counts */
    DELIVER_INT1,
};

/* A software interrupt; rip is still at its instruction, of INSTRUCTION_LENGTH bytes. Delivered, or the exception that it
 * makes raised in vcpu->exception. False: triple fault. */
bool deliver_software_interrupt(struct pv_cpu *cpu, uint8_t vector, enum deliver_software how,
                                unsigned instruction_length);
