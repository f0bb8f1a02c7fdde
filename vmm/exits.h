/* What the monitor does at an exit: instructions that it carries out for the guest, accesses that it passes on to the
 * devices. Handlers for all kinds of exits, at the priority EXITS_PRIORITY. Pure. */
#pragma once

#include "vmm/monitor.h"

#define EXITS_PRIORITY 128u

/* Once the machine, its devices and the CPUID policy are there. */
void exits_init(struct monitor *monitor);

/* Says why the guest cannot go on. */
enum fault_result exits_stop(struct monitor *monitor, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The guest gets an exception instead of the instruction. */
enum fault_result exits_raise(struct monitor *monitor, uint8_t vector, bool has_error, uint32_t error);
static inline enum fault_result exits_raise_gp(struct monitor *monitor)
{
    return exits_raise(monitor, VECTOR_GP, true, 0);
}

/* A model specific register, whoever has it. False: the guest gets a #GP. */
bool exits_get_msr(struct monitor *monitor, uint32_t index, uint64_t *value);
bool exits_set_msr(struct monitor *monitor, uint32_t index, uint64_t value);

/* In files of their own. */
fault_handler exits_read_msr, exits_write_msr, exits_control_register, exits_xsetbv;
void exits_refresh_apic(struct monitor *monitor); /* IA32_APIC_BASE may have changed */
