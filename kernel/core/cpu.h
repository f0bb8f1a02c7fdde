/* What a CPU works on. Everything that kernel code would otherwise keep in globals hangs here or in struct kernel. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <arch/x86_64/clock.h>
#include <arch/x86_64/cpu_arch.h>
#include <lib/assert.h>
#include <object/mapping.h>
#include <sel4/config.h>

struct tcb;
struct vcpu;
struct notification;

#define PRIORITY_COUNT CONFIG_NUM_PRIORITIES

struct ready_queue {
    struct tcb *head, *tail;
};

struct cpu {
    struct cpu_arch arch; /* first: GS leads here */
    unsigned index;
    struct tcb *current;   /* the idle thread where nothing is to run */
    struct tcb *idle;
    struct tcb *candidate; /* runs next unless the scheduler is asked; NULL: the scheduler has to choose */
    bool reschedule;
    struct ready_queue ready[PRIORITY_COUNT];
    uint64_t ready_bits[PRIORITY_COUNT / 64];
    struct vcpu *loaded_vcpu; /* whose guest ran here last; VT-x: whose VMCS is current */
    struct vcpu *debug_vcpu;  /* whose DR0 to DR3 and DR6 are in the registers */
    uint64_t second_level_changes; /* those that this CPU's translation caches know of */
    struct svm_asids {
        uint64_t round; /* counts from 1 */
        unsigned next;  /* not given to a guest in this round */
    } svm_asids;
    uint64_t loaded_cr3;
    unsigned work_units;   /* since the last preemption point that looked */
};

static_assert(offsetof(struct cpu, arch) == 0, "GS leads to both");

/* State of the whole kernel; guarded by the kernel lock once several CPUs run. */
struct kernel {
    struct cpu cpus[CONFIG_MAX_NUM_NODES];
    unsigned cpu_count;
    struct clock_rates clock;
    struct tcb *all_threads;
    uint64_t *asid_pools[ASID_POOL_COUNT]; /* object/asid.c */
};

extern struct kernel kernel;

static inline struct cpu *cpu_self(void)
{
    return (struct cpu *)cpu_arch_self();
}

/* Called now and then in long work; true where an interrupt waits, so that the work should stop and be taken up again by
 * restarting the system call. */
bool preemption_point(struct cpu *cpu);
