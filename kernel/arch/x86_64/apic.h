/* The local APIC of each CPU (xAPIC mode), and the legacy interrupt controllers that it replaces. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/cpu_arch.h>

/* Moves the legacy controllers' vectors out of the way of the exceptions and masks all of their lines. */
void pic_disable(void);

/* Turns on the calling CPU's local APIC, all local interrupts masked; its page must be mapped at DEVICE_LOCAL_APIC. */
void apic_init_cpu(struct cpu_arch *cpu);

/* Starts the calling CPU's timer: VECTOR_TIMER every CONFIG_TIMER_TICK_MS milliseconds, of COUNTS_PER_MS each. */
void apic_start_tick(uint32_t counts_per_ms);

/* Lets the timer count down without interrupt from the largest value; how far it has come since. For calibration. */
void apic_start_count(void);
uint32_t apic_elapsed_count(void);

/* The interrupt in service is done. */
void apic_end_of_interrupt(void);

/* Whether an interrupt waits to be taken; what a long kernel operation asks at its preemption points. */
bool apic_interrupt_pending(void);
