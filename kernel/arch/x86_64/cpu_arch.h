/* The architecture's part of a CPU's data. It stands first in struct cpu, so that GS leads to both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arch/x86_64/context.h>
#include <arch/x86_64/fpu.h>
#include <arch/x86_64/layout.h>

/* Task state segment (SDM 3A 8.7): stacks that the processor switches to, and no port for ring 3. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp0; /* end of the current thread's struct context */
    uint64_t rsp1, rsp2;
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap_base;
} __attribute__((packed));

struct cpu_arch {
    struct cpu_arch *self;
    uint64_t stack_top;      /* kernel stack, used afresh at each entry */
    uint64_t user_rsp;       /* scratch of the entry code */
    struct tss tss;
    uint32_t apic_id;
    uint64_t gdt[GDT_ENTRIES];
    uint64_t loaded_fs_base; /* what the segment registers hold for ring 3 */
    uint64_t loaded_gs_base;
    struct fpu_state *fpu_owner; /* whose state the FPU registers hold, or NULL */
    bool fpu_forbidden;          /* CR0.TS is set */
    bool idle;                   /* in the idle loop or trap_take_interrupts, where alone ring 0 takes interrupts */
    bool kernel_faulted;         /* a panic is under way */
};

_Static_assert(offsetof(struct cpu_arch, self) == CPU_SELF, "known to entry.S");
_Static_assert(offsetof(struct cpu_arch, stack_top) == CPU_STACK_TOP, "known to entry.S");
_Static_assert(offsetof(struct cpu_arch, user_rsp) == CPU_USER_RSP, "known to entry.S");
_Static_assert(offsetof(struct cpu_arch, tss.rsp0) == CPU_CONTEXT_END, "known to entry.S");

/* The CPU that executes this. */
static inline struct cpu_arch *cpu_arch_self(void)
{
    struct cpu_arch *self;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(self) : "i"(CPU_SELF));
    return self;
}

/* Makes CONTEXT the place where the next entry from ring 3 stores its registers. */
static inline void cpu_set_context(struct cpu_arch *cpu, struct context *context)
{
    cpu->tss.rsp0 = (uint64_t)context + CONTEXT_END;
}

/* Loads descriptor tables, model specific registers and control registers of the calling CPU; INDEX from 0 picks its
 * stacks. Ends with GS pointing at CPU. */
void cpu_arch_init(struct cpu_arch *cpu, unsigned index);

/* Fits the entry code to the CPU; before the window makes it read-only. */
void cpu_patch_code(void);
