/* FS and GS bases of user threads. Where ring 3 has the FSGSBASE instructions it changes them without telling, so they
 * are read at each entry and written at an exit only when they differ. */
#pragma once

#include <stdbool.h>
#include <arch/x86_64/cpu_arch.h>

/* FSGSBASE: whether CR4 has those instructions on. All CPUs of a machine are taken to be alike. */
void segments_init(bool fsgsbase);

/* From the calling CPU's registers into CONTEXT, right after an entry from ring 3. */
void segments_save(struct cpu_arch *cpu, struct context *context);

/* From CONTEXT into the registers, before an exit to ring 3. */
void segments_load(struct cpu_arch *cpu, const struct context *context);

/* Other code has changed the registers (a VM exit): the next segments_load writes both. */
void segments_forget(struct cpu_arch *cpu);
