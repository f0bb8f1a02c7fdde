/* Which feature bits a guest sees. Only what is listed passes: a feature of a future CPU stays hidden until someone has
 * thought about what it needs from the monitor. */
#include "vmm/cpuid_rules.h"

#include "algorithms/vcpu.h"
#include "vmm/cpuid_bits.h"

#include <stddef.h>

#define ALL 0xffffffffu

/* The answer is (host & pass) | always, less what depends on something that this guest does not get. */
static const struct rule {
    uint32_t leaf, subleaf;
    struct cpuid_values pass, always;
} rules[CPUID_RULES] = {
    {
        .leaf = 1,
        .pass = {
            .eax = ALL,    /* family, model, stepping */
            .ebx = 0xff00, /* size of a cache line for CLFLUSH */
            .ecx = C1_SSE3 | C1_PCLMULQDQ | C1_SSSE3 | C1_FMA | C1_CX16 | C1_PCID | C1_SSE4_1 | C1_SSE4_2 | C1_MOVBE
                | C1_POPCNT | C1_AESNI | C1_XSAVE | C1_AVX | C1_F16C | C1_RDRAND,
            .edx = D1_FPU | D1_VME | D1_DE | D1_PSE | D1_TSC | D1_MSR | D1_PAE | D1_CX8 | D1_SEP | D1_PGE | D1_CMOV
                | D1_PAT | D1_PSE36 | D1_CLFSH | D1_MMX | D1_FXSR | D1_SSE | D1_SSE2 | D1_SELF_SNOOP,
        },
        .always = {
            .ebx = 1u << 16, /* one logical processor; APIC id 0 */
            .ecx = C1_X2APIC | C1_TSC_DEADLINE | C1_HYPERVISOR,
            /* Machine checks have no bank and never come, memory types no range: see vmm/devices/msr.c. */
            .edx = D1_MCE | D1_MCA | D1_MTRR,
        },
    },
    { .leaf = 2, .pass = { ALL, ALL, ALL, ALL } }, /* caches */
    { .leaf = 6, .always = { .eax = A6_ARAT } },   /* the APIC's timer runs in every idle state */
    {
        .leaf = 7,
        .subleaf = 0,
        .pass = {
            .ebx = B7_FSGSBASE | B7_BMI1 | B7_AVX2 | B7_FDP_ONLY_ON_EXCEPTION | B7_SMEP | B7_BMI2 | B7_ERMS | B7_INVPCID
                | B7_NO_FCS_FDS | B7_RDSEED | B7_ADX | B7_SMAP | B7_CLFLUSHOPT | B7_CLWB | B7_SHA,
            .ecx = C7_UMIP | C7_GFNI | C7_VAES | C7_VPCLMULQDQ | C7_CLDEMOTE | C7_MOVDIRI | C7_MOVDIR64B,
            .edx = D7_FSRM | D7_MD_CLEAR | D7_SERIALIZE,
        },
        .always = { .eax = 1 /* the last subleaf */, .ebx = B7_TSC_ADJUST },
    },
    { .leaf = 7, .subleaf = 1, .pass = { .eax = A71_AVX_VNNI | A71_FZRM | A71_FSRS | A71_FSRC } },
    {
        .leaf = 0x80000001,
        .pass = {
            .eax = ALL, /* family, model, stepping (AMD) */
            .ecx = CE_LAHF | CE_LZCNT | CE_SSE4A | CE_MISALIGNED_SSE | CE_PREFETCHW | CE_XOP | CE_FMA4 | CE_TBM,
            .edx = D1_FPU | D1_VME | D1_DE | D1_PSE | D1_TSC | D1_MSR | D1_PAE | D1_CX8 | D1_PGE | D1_CMOV | D1_PAT
                | D1_PSE36 | D1_MMX | D1_FXSR | DE_SYSCALL | DE_NX | DE_MMXEXT | DE_PAGES_1G | DE_LONG_MODE
                | DE_3DNOWEXT | DE_3DNOW,
        },
    },
    { .leaf = 0x80000002, .pass = { ALL, ALL, ALL, ALL } }, /* the processor's name */
    { .leaf = 0x80000003, .pass = { ALL, ALL, ALL, ALL } },
    { .leaf = 0x80000004, .pass = { ALL, ALL, ALL, ALL } },
    { .leaf = 0x80000005, .pass = { ALL, ALL, ALL, ALL } }, /* caches (AMD) */
    { .leaf = 0x80000006, .pass = { ALL, ALL, ALL, ALL } }, /* caches */
    /* The whole system keeps time by a time-stamp counter that neither stops nor changes its rate. */
    { .leaf = 0x80000007, .always = { .edx = DE7_INVARIANT_TSC } },
    {
        .leaf = 0x80000008,
        .pass = { .eax = 0xffff /* widths of addresses */, .ebx = BE8_CLZERO | BE8_XSAVE_FP_ERROR },
    },
};

/* Bits that go away where XCR0 has no AVX. */
static const struct rule avx_bits[] = {
    { .leaf = 1, .pass = { .ecx = C1_AVX | C1_FMA | C1_F16C } },
    { .leaf = 7, .pass = { .ebx = B7_AVX2, .ecx = C7_VAES | C7_VPCLMULQDQ } },
    { .leaf = 7, .subleaf = 1, .pass = { .eax = A71_AVX_VNNI } },
    { .leaf = 0x80000001, .pass = { .ecx = CE_XOP | CE_FMA4 } },
};

/* Bits that go away where the guest's kernel is in ring 3: protection that is about the current privilege level, SYSENTER,
 * virtual 8086 mode. */
static const struct rule privileged_bits[] = {
    { .leaf = 1, .pass = { .edx = D1_VME | D1_SEP } },
    { .leaf = 7, .pass = { .ebx = B7_SMEP | B7_SMAP, .ecx = C7_UMIP } },
    { .leaf = 0x80000001, .pass = { .edx = D1_VME } },
};

#define LINEAR_ADDRESS_BITS 48u /* no five-level paging */

static bool is_about(const struct rule *rule, uint32_t leaf, uint32_t subleaf)
{
    return rule->leaf == leaf && (leaf != 7 || rule->subleaf == subleaf);
}

static struct cpuid_values apply(const struct cpuid_policy *policy, const struct rule *rule)
{
    struct cpuid_values answer = cpuid_host(policy, rule->leaf, rule->subleaf);

    answer.eax = (answer.eax & rule->pass.eax) | rule->always.eax;
    answer.ebx = (answer.ebx & rule->pass.ebx) | rule->always.ebx;
    answer.ecx = (answer.ecx & rule->pass.ecx) | rule->always.ecx;
    answer.edx = (answer.edx & rule->pass.edx) | rule->always.edx;
    return answer;
}

static void remove_dependents(const struct cpuid_policy *policy, const struct rule *rule, struct cpuid_values *answer)
{
    for (size_t i = 0; i < sizeof avx_bits / sizeof avx_bits[0]; i++) {
        if ((policy->xcr0_offered & XCR0_AVX) || !is_about(&avx_bits[i], rule->leaf, rule->subleaf))
            continue;
        answer->eax &= ~avx_bits[i].pass.eax;
        answer->ebx &= ~avx_bits[i].pass.ebx;
        answer->ecx &= ~avx_bits[i].pass.ecx;
    }
    for (size_t i = 0; i < sizeof privileged_bits / sizeof privileged_bits[0]; i++) {
        if (!policy->deprivileged || !is_about(&privileged_bits[i], rule->leaf, rule->subleaf))
            continue;
        answer->ebx &= ~privileged_bits[i].pass.ebx;
        answer->ecx &= ~privileged_bits[i].pass.ecx;
        answer->edx &= ~privileged_bits[i].pass.edx;
    }
    if (is_about(rule, 1, 0)) {
        if (policy->xcr0_offered == 0)
            answer->ecx &= ~(uint32_t)C1_XSAVE;
        if (!policy->pcid)
            answer->ecx &= ~(uint32_t)C1_PCID;
    }
    if (is_about(rule, 7, 0) && !(policy->pcid && policy->invpcid))
        answer->ebx &= ~(uint32_t)B7_INVPCID;
    if (is_about(rule, 7, 0) && policy->pvm)
        answer->ebx &= ~(uint32_t)(B7_SMEP | B7_SMAP);
}

void cpuid_apply_rules(struct cpuid_policy *policy)
{
    for (size_t i = 0; i < CPUID_RULES; i++) {
        struct cpuid_values *answer = &policy->rule_answer[i];

        *answer = apply(policy, &rules[i]);
        remove_dependents(policy, &rules[i], answer);
        if (rules[i].leaf == 0x80000008 && (answer->eax >> 8) > LINEAR_ADDRESS_BITS)
            answer->eax = (answer->eax & 0xff) | LINEAR_ADDRESS_BITS << 8;
    }
}

struct cpuid_values cpuid_rule_answer(const struct cpuid_policy *policy, uint32_t leaf, uint32_t subleaf)
{
    for (size_t i = 0; i < CPUID_RULES; i++)
        if (is_about(&rules[i], leaf, subleaf))
            return policy->rule_answer[i];
    return (struct cpuid_values) { 0 };
}

uint64_t cpuid_cr4_bits(const struct cpuid_policy *policy)
{
    struct cpuid_values one = cpuid_rule_answer(policy, 1, 0), seven = cpuid_rule_answer(policy, 7, 0);
    /* SDM 3A 2.5. */
    const struct {
        uint64_t bits;
        bool offered;
    } rows[] = {
        { CR4_VME | CR4_PVI, one.edx & D1_VME },
        { CR4_TSD, one.edx & D1_TSC },
        { CR4_DE, one.edx & D1_DE },
        { CR4_PSE, one.edx & D1_PSE },
        { CR4_PAE, one.edx & D1_PAE },
        { CR4_MCE, one.edx & D1_MCE },
        { CR4_PGE, one.edx & D1_PGE },
        { CR4_PCE, true }, /* no feature goes with it */
        { CR4_OSFXSR, one.edx & D1_FXSR },
        { CR4_OSXMMEXCPT, one.edx & D1_SSE },
        { CR4_UMIP, seven.ecx & C7_UMIP },
        { CR4_FSGSBASE, seven.ebx & B7_FSGSBASE },
        { CR4_PCIDE, one.ecx & C1_PCID },
        { CR4_OSXSAVE, one.ecx & C1_XSAVE },
        { CR4_SMEP, seven.ebx & B7_SMEP },
        { CR4_SMAP, seven.ebx & B7_SMAP },
    };
    uint64_t allowed = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].offered)
            allowed |= rows[i].bits;
    return allowed;
}
