#include "vmm/cpuid.h"

#include "vmm/cpuid_bits.h"
#include "vmm/cpuid_rules.h"
#include "vmm/devices/local_apic.h"
#include "vmm/pv/pvm_abi.h"

#include <string.h>

/* The highest leaves that are answered. Those in between that nothing is known about are all zero. */
#define LAST_BASIC    0x16u
#define LAST_EXTENDED 0x80000008u

struct cpuid_values cpuid_host(const struct cpuid_policy *policy, uint32_t leaf, uint32_t subleaf)
{
    uint32_t last = leaf & CPUID_EXTENDED ? policy->host_last_extended : policy->host_last_basic;

    if (leaf > last || (leaf == 7 && subleaf > policy->host_last_7))
        return (struct cpuid_values) { 0 };
    return policy->host(leaf, subleaf);
}

static bool vendor_is(const struct cpuid_policy *policy, const char name[12])
{
    struct cpuid_values leaf = policy->host(0, 0);

    return memcmp(&leaf.ebx, name, 4) == 0 && memcmp(&leaf.edx, name + 4, 4) == 0
        && memcmp(&leaf.ecx, name + 8, 4) == 0;
}

void cpuid_prepare(struct cpuid_policy *policy)
{
    policy->host_last_basic = policy->host(0, 0).eax;
    policy->host_last_extended = policy->host(CPUID_EXTENDED, 0).eax;
    policy->host_last_7 = policy->host_last_basic >= 7 ? policy->host(7, 0).eax : 0;

    struct cpuid_values xsave = cpuid_host(policy, 0xd, 0);
    policy->xcr0_offered = policy->xcr0_allowed & ((uint64_t)xsave.edx << 32 | xsave.eax);
    if (!(cpuid_host(policy, 1, 0).ecx & C1_XSAVE) || (~policy->xcr0_offered & (XCR0_X87 | XCR0_SSE)))
        policy->xcr0_offered = 0;
    policy->kvm_clock = policy->pvm || !vendor_is(policy, "GenuineIntel");
    cpuid_apply_rules(policy);
}

/* Leaf 4, one cache a subleaf: shared by one logical processor of one core. */
static struct cpuid_values cache_answer(const struct cpuid_policy *policy, uint32_t subleaf)
{
    struct cpuid_values answer = cpuid_host(policy, 4, subleaf);

    answer.eax &= 0x3fff;
    return answer;
}

/* Leaf BH: one thread in one core; x2APIC id 0. */
static struct cpuid_values topology_answer(uint32_t subleaf)
{
    struct cpuid_values answer = { .ecx = subleaf & 0xff };

    if (subleaf < 2) {
        answer.ebx = 1;
        answer.ecx |= (subleaf + 1) << 8; /* 1: threads, 2: cores */
    }
    return answer;
}

/* Bytes of the XSAVE area for these features (SDM 1 13.4). */
static uint32_t xsave_bytes(const struct cpuid_policy *policy, uint64_t features, bool compacted)
{
    uint32_t bytes = 512 + 64; /* the legacy region and the header */

    for (unsigned feature = 2; feature < 63; feature++) {
        if (!(features >> feature & 1))
            continue;
        struct cpuid_values state = cpuid_host(policy, 0xd, feature);
        if (compacted) {
            bytes = state.ecx & 2 ? (bytes + 63) & ~63u : bytes;
            bytes += state.eax;
        } else if (state.ebx + state.eax > bytes) {
            bytes = state.ebx + state.eax;
        }
    }
    return bytes;
}

/* The guest runs with the kernel's XCR0, which has all that is offered, whatever it has set itself: that is what its
 * XSAVE instructions go by, and so do the sizes here. */
static struct cpuid_values xsave_answer(const struct cpuid_policy *policy, uint32_t subleaf)
{
    uint64_t offered = policy->xcr0_offered;
    struct cpuid_values answer = { 0 };

    if (offered == 0)
        return answer;
    if (subleaf == 0) {
        answer.eax = (uint32_t)offered;
        answer.ebx = answer.ecx = xsave_bytes(policy, offered, false);
        answer.edx = (uint32_t)(offered >> 32);
    } else if (subleaf == 1) {
        /* No XSAVES: IA32_XSS is not the guest's. */
        answer.eax = cpuid_host(policy, 0xd, 1).eax & (AD1_XSAVEOPT | AD1_XSAVEC | AD1_XGETBV_1);
        if (answer.eax & AD1_XSAVEC)
            answer.ebx = xsave_bytes(policy, offered, true);
    } else if (subleaf < 63 && (offered >> subleaf & 1)) {
        answer = cpuid_host(policy, 0xd, subleaf);
        answer.ecx &= 2; /* aligned to 64 bytes when compacted; not a supervisor state */
        answer.edx = 0;
    }
    return answer;
}

/* Leaf 15H: TSC = crystal clock * EBX / EAX. Linux multiplies the crystal's kHz by EBX in 32 bits, which limits EBX.
 * The best fraction with a limited numerator is a convergent of the continued fraction, or part of the step to the
 * next. */
static struct cpuid_values tsc_answer(uint64_t tsc_hz)
{
    const uint64_t crystal = LOCAL_APIC_TIMER_HZ, limit = UINT32_MAX / (crystal / 1000);
    uint64_t n0 = 0, n1 = 1, d0 = 1, d1 = 0; /* the last two convergents, n/d */

    if (tsc_hz == 0 || tsc_hz / crystal >= limit)
        return (struct cpuid_values) { 0 };
    for (uint64_t a = tsc_hz, b = crystal; b != 0;) {
        uint64_t quotient = a / b, remainder = a % b;
        uint64_t step = n1 == 0 ? quotient : (limit - n0) / n1; /* that far the limit lets go */
        bool last = step < quotient;

        if (last && step * 2 <= quotient)
            break; /* so short a step leads away again */
        if (!last)
            step = quotient;
        uint64_t n2 = n0 + step * n1, d2 = d0 + step * d1;
        n0 = n1;
        n1 = n2;
        d0 = d1;
        d1 = d2;
        if (last)
            break;
        a = b;
        b = remainder;
    }
    return (struct cpuid_values) { .eax = (uint32_t)d1, .ebx = (uint32_t)n1, .ecx = (uint32_t)crystal };
}

/* Leaf 16H: base and maximum frequency, and that of the bus, in MHz. */
static struct cpuid_values frequency_answer(uint64_t tsc_hz)
{
    uint32_t mhz = (uint32_t)((tsc_hz + 500000) / 1000000) & 0xffff;

    return (struct cpuid_values) { .eax = mhz, .ebx = mhz, .ecx = mhz ? 100 : 0 };
}

static struct cpuid_values signature(uint32_t last_leaf, const char text[12])
{
    struct cpuid_values answer = { .eax = last_leaf };

    memcpy(&answer.ebx, text, 4);
    memcpy(&answer.ecx, text + 4, 4);
    memcpy(&answer.edx, text + 8, 4);
    return answer;
}

static struct cpuid_values own_answer(uint32_t base, uint32_t leaf)
{
    switch (leaf - base) {
    case 0:  return signature(base + 1, CPUID_SIGNATURE);
    case 1:  return (struct cpuid_values) { .eax = CPUID_INTERFACE_VERSION };
    default: return (struct cpuid_values) { 0 };
    }
}

static struct cpuid_values kvm_answer(const struct cpuid_policy *policy, uint32_t base, uint32_t leaf)
{
    switch (leaf - base) {
    case 0:  return signature(policy->pvm ? PVM_CPUID_FEATURES : base + 1, "KVMKVMKVM\0\0");
    case 1:  return (struct cpuid_values) { .eax = CPUID_KVM_NO_IO_DELAY | (policy->kvm_clock ? CPUID_KVM_CLOCK : 0) };
    case 2:  return (struct cpuid_values) { .ebx = policy->pvm ? PVM_CPUID_SIGNATURE : 0 };
    default: return (struct cpuid_values) { 0 };
    }
}

static struct cpuid_values hypervisor_answer(const struct cpuid_policy *policy, uint32_t leaf)
{
    uint32_t base = leaf < CPUID_HYPERVISOR_KVM ? CPUID_HYPERVISOR : CPUID_HYPERVISOR_KVM;

    if ((base == CPUID_HYPERVISOR_KVM) != policy->pvm)
        return kvm_answer(policy, base, leaf);
    return own_answer(base, leaf);
}

struct cpuid_values cpuid_answer(const struct cpuid_policy *policy, const struct cpuid_guest *guest, uint32_t leaf,
                                 uint32_t subleaf)
{
    struct cpuid_values answer;

    if (leaf >= CPUID_HYPERVISOR && leaf < CPUID_HYPERVISOR_END)
        return hypervisor_answer(policy, leaf);
    switch (leaf) {
    case 0: /* the vendor */
        answer = policy->host(0, 0);
        answer.eax = LAST_BASIC;
        return answer;
    case 1:
        answer = cpuid_rule_answer(policy, 1, 0);
        if (guest->osxsave && (answer.ecx & C1_XSAVE))
            answer.ecx |= C1_OSXSAVE;
        if (guest->apic_enabled)
            answer.edx |= D1_APIC;
        return answer;
    case 4:
        return cache_answer(policy, subleaf);
    case 0xb:
        return topology_answer(subleaf);
    case 0xd:
        return xsave_answer(policy, subleaf);
    case 0x15:
        return tsc_answer(policy->tsc_hz);
    case 0x16:
        return frequency_answer(policy->tsc_hz);
    case CPUID_EXTENDED:
        answer = policy->host(CPUID_EXTENDED, 0);
        if (answer.eax > LAST_EXTENDED)
            answer.eax = LAST_EXTENDED;
        return answer;
    default:
        return cpuid_rule_answer(policy, leaf, subleaf);
    }
}
