/* FPU and vector registers of threads and virtual CPUs. States are switched when their owners are, and never by a trap;
 * the registers keep the state of their last owner while threads without FPU run. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sel4/config.h>

struct cpu_arch;

/* An XSAVE area of CONFIG_XSAVE_FEATURE_SET in the standard format (SDM 1 13.4). */
struct fpu_state {
    uint8_t area[CONFIG_XSAVE_SIZE];
} __attribute__((aligned(64)));

/* Turns on FPU, SSE and what the CPU has of the XSAVE set on the calling CPU. */
void fpu_init_cpu(struct cpu_arch *cpu);

/* The state of a new thread. */
void fpu_state_init(struct fpu_state *state);

/* Makes STATE the one in this CPU's registers; saves the one that was. */
void fpu_use(struct cpu_arch *cpu, struct fpu_state *state);

/* FPU instructions trap (#NM) until the next fpu_use. */
void fpu_forbid(struct cpu_arch *cpu);

/* Brings STATE's memory up to date where this CPU's registers hold it. */
void fpu_flush(struct cpu_arch *cpu, struct fpu_state *state);

/* STATE is going away: forgets registers that belong to it. */
void fpu_forget(struct cpu_arch *cpu, struct fpu_state *state);

/* Puts XCR0 back where a guest could change it: all states are saved and loaded with the same features. */
void fpu_restore_features(void);
