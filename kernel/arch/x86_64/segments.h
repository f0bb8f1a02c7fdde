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

/* While a guest runs, what is otherwise the GS base of ring 3 (IA32_KERNEL_GS_BASE) belongs to it. The first makes it
 * that of a guest that is about to run. The second, right after its exit, answers what the guest has made of it; FS_BASE
 * is what the exit has set the FS base to. */
void segments_enter_guest(struct cpu_arch *cpu, uint64_t kernel_gs_base);
uint64_t segments_leave_guest(struct cpu_arch *cpu, uint64_t fs_base);
