/* What the guest's CPUID says: what the CPU has, less what the monitor does not offer. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cpuid_values {
    uint32_t eax, ebx, ecx, edx;
};

typedef struct cpuid_values cpuid_reader(uint32_t leaf, uint32_t subleaf);

#define CPUID_RULES 13u

struct cpuid_policy {
    cpuid_reader *host;
    uint64_t tsc_hz;
    uint64_t xcr0_allowed; /* features that the guest may enable */
    bool pcid, invpcid;    /* the back end lets the guest set CR4.PCIDE, and has enabled INVPCID */
    bool pvm;              /* the guest speaks PVM (vmm/pv/pvm_abi.h), and looks for KVM in the first leaf */
    bool deprivileged;     /* the guest's kernel runs in ring 3: what the processor only does for ring 0 is not there */

    /* Filled by cpuid_prepare: an exit for CPUID is frequent enough not to ask the CPU each time. */
    uint32_t host_last_basic, host_last_extended, host_last_7;
    uint64_t xcr0_offered; /* 0: no XSAVE */
    bool kvm_clock;        /* Linux looks for the TSC's frequency in leaf 15H on Intel's CPUs only */
    struct cpuid_values rule_answer[CPUID_RULES]; /* see vmm/cpuid_rules.c */
};

/* The guest state that shows in CPUID. */
struct cpuid_guest {
    bool osxsave;        /* CR4.OSXSAVE */
    bool apic_enabled;   /* IA32_APIC_BASE */
};

/* The hypervisor's own leaves: the name, and beside it the interface of KVM with few of its services, so that Linux
 * uses the x2APIC without interrupt remapping, does not wait by writing to port 0x80, and where kvm_clock is set has a
 * clock (vmm/devices/kvm_clock.c). */
#define CPUID_HYPERVISOR        0x40000000u /* EBX, ECX, EDX: the signature */
#define CPUID_SIGNATURE         "beaml4beaml4"
#define CPUID_INTERFACE_VERSION 1u          /* CPUID_HYPERVISOR + 1, EAX */
#define CPUID_HYPERVISOR_KVM    0x40000100u /* PVM: the two are the other way round */
#define CPUID_KVM_NO_IO_DELAY   (1u << 1)
#define CPUID_KVM_CLOCK         (1u << 3 | 1u << 24) /* by its newer MSRs, and stable */
#define CPUID_HYPERVISOR_END    0x40010000u

/* Once the first members are set, before the other functions. */
void cpuid_prepare(struct cpuid_policy *policy);

struct cpuid_values cpuid_answer(const struct cpuid_policy *policy, const struct cpuid_guest *guest, uint32_t leaf,
                                 uint32_t subleaf);

/* The bits of CR4 that go with what CPUID offers; setting any other is a #GP. */
uint64_t cpuid_cr4_bits(const struct cpuid_policy *policy);
