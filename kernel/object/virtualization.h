/* The ways of running a VCPU: one table of operations for each, of which the machine has one or none. */
#pragma once

#include <stdint.h>
#include <core/cpu.h>

struct invocation;
struct tcb;
struct vcpu;

struct virtualization {
    uint32_t feature; /* SEL4_BEAML4_VTX … */
    /* The exit reason of an entry that did not even begin. */
    uint64_t refused_reason;
    /* Fills the control block of a new object. */
    void (*init)(struct cpu *cpu, struct vcpu *vcpu);
    /* No processor remembers anything of the VCPU any more. */
    void (*release)(struct cpu *cpu, struct vcpu *vcpu);
    /* The three words of seL4_VMEnter, with any values. */
    void (*set_entry)(struct cpu *cpu, struct vcpu *vcpu, uint64_t rip, uint64_t controls, uint64_t event);
    void (*run)(struct cpu *cpu, struct tcb *thread, struct vcpu *vcpu) __attribute__((noreturn));
    /* Invocations that only this one has; others fail. */
    void (*invoke)(struct invocation *call, struct vcpu *vcpu);
};

extern const struct virtualization vmx_virtualization, svm_virtualization;

/* The machine's, NULL where there is none. */
const struct virtualization *virtualization(void);
