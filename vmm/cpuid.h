/* What the guest's CPUID says: what the CPU has, less what the monitor does not offer. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cpuid_values {
    uint32_t eax, ebx, ecx, edx;
};

typedef struct cpuid_values cpuid_reader(uint32_t leaf, uint32_t subleaf);

struct cpuid_policy {
    cpuid_reader *host;
    uint64_t tsc_hz;
    uint64_t xcr0_allowed; /* features that the guest may enable */
};

/* The guest state that shows in CPUID. */
struct cpuid_guest {
    bool osxsave;        /* CR4.OSXSAVE */
    bool apic_enabled;   /* IA32_APIC_BASE */
    uint64_t xcr0;
};

struct cpuid_values cpuid_answer(const struct cpuid_policy *policy, const struct cpuid_guest *guest, uint32_t leaf,
                                 uint32_t subleaf);
