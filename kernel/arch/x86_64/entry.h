/* What entry.S offers to C, and what it calls. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/context.h>

struct cpu;

extern char vector_stubs[];
extern char entry_syscall[];
extern char entry_clac[];
extern char rdmsr_checked_instruction[];
extern char rdmsr_checked_fault[];

/* Leave the kernel into a thread. After a system call by SYSRET: rcx and r11 are lost; rip must be canonical. */
_Noreturn void context_resume_sysret(struct context *context);
_Noreturn void context_resume_iret(struct context *context);

/* Waits for interrupts on this CPU; returns never, the next trap starts afresh. */
_Noreturn void cpu_idle_loop(void);

/* Reads a model specific register; false, with *VALUE untouched, where the CPU does not have it. */
bool rdmsr_checked(uint32_t msr, uint64_t *value);

void cpu_load_segments(const void *gdt_pointer, const void *idt_pointer);

/* Traps. The kernel's stack is fresh in those from ring 3. */
_Noreturn void trap_from_user(struct context *context);
_Noreturn void trap_syscall(uint64_t destination, uint64_t info, uint64_t number);
void trap_from_kernel(struct context *context);
void trap_on_own_stack(struct context *context);

/* An interrupt that this CPU has acknowledged, by its vector: tick, IRQ or spurious; in trap.c. It came in ring 3 or ended
 * a guest's run. The caller leaves by schedule_and_leave. */
void trap_interrupt(struct cpu *cpu, unsigned vector);

/* Lets the interrupt in that is known to wait, if it still does; then leaves. On a fresh stack. */
_Noreturn void trap_take_interrupts(struct cpu *cpu);
