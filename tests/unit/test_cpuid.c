/* What a guest's CPUID says on made-up hosts. Expected numbers are written as the manual's bit numbers, not with the
 * names that the policy uses. */
#include "vmm/cpuid.h"
#include "vmm/devices/local_apic.h"

#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MHZ UINT64_C(1000000)
#define ONES 0xffffffffu

static const struct cpuid_guest plain = { .apic_enabled = true };

/* A CPU that claims everything. */
static struct cpuid_values all_ones(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_values answer = { ONES, ONES, ONES, ONES };

    (void)subleaf;
    if (leaf == 0)
        answer.eax = 0x20;
    if (leaf == 0x80000000)
        answer.eax = 0x80000021;
    return answer;
}

/* A CPU that has nothing, and whose leaves beyond its last one say nonsense. */
static struct cpuid_values old_cpu(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_values nonsense = { ONES, ONES, ONES, ONES }, none = { 0 };

    (void)subleaf;
    if (leaf == 0)
        return (struct cpuid_values) { 2, 0x756e6547, 0x6c65746e, 0x49656e69 };
    if (leaf == 0x80000000)
        return (struct cpuid_values) { 0x80000001, 0, 0, 0 };
    return leaf <= 2 || leaf == 0x80000001 ? none : nonsense;
}

/* A CPU with AVX-512, protection keys and XSAVES: x87, SSE, AVX, opmask, ZMM, Hi16, PKRU as on Skylake servers. */
static struct cpuid_values skylake(uint32_t leaf, uint32_t subleaf)
{
    static const struct cpuid_values states[] = {
        { 0x2e7, 2696, 2696, 0 }, { 0xf, 2568, 0x1900, 0 }, { 256, 576, 0, 0 }, { 64, 960, 0, 0 }, { 64, 1024, 0, 0 },
        { 64, 1088, 0, 0 }, { 512, 1152, 0, 0 }, { 1024, 1664, 0, 0 }, { 128, 0, 1, 0 }, { 8, 2688, 0, 0 },
    };

    switch (leaf) {
    case 0:
        return (struct cpuid_values) { 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 };
    case 1:
        return (struct cpuid_values) { 0x50654, 0x3f400800, 0x7ffefbff, 0xbfebfbff };
    case 4:
        return subleaf < 4 ? (struct cpuid_values) { 0x7c004121 + subleaf * 0x21, 0x01c0003f, 0x3f, 0 }
                           : (struct cpuid_values) { 0 };
    case 7:
        return subleaf == 0 ? (struct cpuid_values) { 0, 0xd39ffffb, 0x8, 0xbc000400 }
                            : (struct cpuid_values) { ONES, ONES, ONES, ONES };
    case 0xa:
        return (struct cpuid_values) { 0x07300404, 0, 0, 0x603 };
    case 0xd:
        return subleaf < 10 ? states[subleaf] : (struct cpuid_values) { 0 };
    case 0x80000000:
        return (struct cpuid_values) { 0x80000008, 0, 0, 0 };
    case 0x80000001:
        return (struct cpuid_values) { 0, 0, 0x121, 0x2c100800 };
    case 0x80000008:
        return (struct cpuid_values) { 0x392e, 0, 0, 0 };
    default:
        return (struct cpuid_values) { 0 };
    }
}

static struct cpuid_policy policy_for(cpuid_reader *host, uint64_t xcr0_allowed)
{
    struct cpuid_policy policy = { .host = host, .tsc_hz = 2400 * MHZ, .xcr0_allowed = xcr0_allowed };

    cpuid_prepare(&policy);
    return policy;
}

static struct cpuid_values ask(const struct cpuid_policy *policy, uint32_t leaf, uint32_t subleaf)
{
    return cpuid_answer(policy, &plain, leaf, subleaf);
}

static void check(struct cpuid_values answer, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    assert_int_equal(answer.eax, eax);
    assert_int_equal(answer.ebx, ebx);
    assert_int_equal(answer.ecx, ecx);
    assert_int_equal(answer.edx, edx);
}

static uint32_t without(uint32_t value, const unsigned *bits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        value &= ~(1u << bits[i]);
    return value;
}

#define ALL_BUT(...) without(ONES, (const unsigned[]) { __VA_ARGS__ }, sizeof((const unsigned[]) { __VA_ARGS__ }) / 4)
#define ONLY(...) (~ALL_BUT(__VA_ARGS__))

static void test_a_cpu_with_everything_shows_only_what_the_monitor_knows(void **state)
{
    struct cpuid_policy policy = policy_for(all_ones, 7);

    (void)state;
    check(ask(&policy, 0, 0), 0x16, ONES, ONES, ONES);
    /* Not: DTES64 MONITOR DS_CPL VMX SMX EIST TM2 CNXT_ID SDBG xTPR PDCM 16 PCID DCA; OSXSAVE follows CR4. */
    check(ask(&policy, 1, 0), ONES, 0x0001ff00, ALL_BUT(2, 3, 4, 5, 6, 7, 8, 10, 11, 14, 15, 16, 17, 18, 27),
          /* Not: 10 PSN 20 DS ACPI HTT TM IA64 PBE */
          ALL_BUT(10, 18, 20, 21, 22, 28, 29, 30, 31));
    check(ask(&policy, 6, 0), 4, 0, 0, 0);
    check(ask(&policy, 7, 0), 1, ONLY(0, 1, 3, 5, 6, 7, 8, 9, 13, 18, 19, 20, 23, 24, 29),
          ONLY(2, 8, 9, 10, 25, 27, 28), ONLY(4, 10, 14));
    check(ask(&policy, 7, 1), ONLY(4, 10, 11, 12), 0, 0, 0);
    check(ask(&policy, 0x80000000, 0), 0x80000008, ONES, ONES, ONES);
    check(ask(&policy, 0x80000001, 0), ONES, 0, ONLY(0, 5, 6, 7, 8, 11, 16, 21),
          ONLY(0, 1, 2, 3, 4, 5, 6, 8, 11, 13, 15, 16, 17, 20, 22, 23, 24, 26, 29, 30, 31));
    check(ask(&policy, 0x80000007, 0), 0, 0, 0, 0x100);
    check(ask(&policy, 0x80000008, 0), 0x30ff, 5, 0, 0);
}

static void test_every_other_leaf_is_empty(void **state)
{
    struct cpuid_policy policy = policy_for(all_ones, 7);
    static const uint32_t known[] = {
        0, 1, 2, 4, 6, 0xb, 0xd, 0x15, 0x16, 0x40000000, 0x40000001, 0x40000100, 0x40000101, 0x80000000, 0x80000001,
        0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006, 0x80000007, 0x80000008,
    };
    static const uint32_t starts[] = {
        0, 0x3ffffff0, 0x40000000, 0x40000100, 0x4000fff0, 0x7ffffff0, 0x8ffffff0, 0xffffffc0,
    };

    (void)state;
    for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++)
        for (uint32_t i = 0; i < 0x40; i++)
            for (uint32_t subleaf = 0; subleaf < 70; subleaf++) {
                uint32_t leaf = starts[s] + i;
                bool is_known = leaf == 7 && subleaf < 2;

                for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
                    is_known = is_known || leaf == known[k];
                struct cpuid_values answer = ask(&policy, leaf, subleaf);
                if (!is_known)
                    check(answer, 0, 0, 0, 0);
            }
}

static void test_a_cpu_with_nothing_shows_what_the_monitor_adds(void **state)
{
    struct cpuid_policy policy = policy_for(old_cpu, 7);

    (void)state;
    check(ask(&policy, 0, 0), 0x16, 0x756e6547, 0x6c65746e, 0x49656e69);
    /* x2APIC, TSC deadline, hypervisor; MCE, APIC, MTRR, MCA. */
    check(ask(&policy, 1, 0), 0, 0x10000, ONLY(21, 24, 31), ONLY(7, 9, 12, 14));
    check(ask(&policy, 7, 0), 1, 2, 0, 0);
    check(ask(&policy, 7, 1), 0, 0, 0, 0);
    check(ask(&policy, 4, 0), 0, 0, 0, 0);
    check(ask(&policy, 0xd, 0), 0, 0, 0, 0);
    check(ask(&policy, 0xd, 1), 0, 0, 0, 0);
    check(ask(&policy, 0x80000001, 0), 0, 0, 0, 0);
    check(ask(&policy, 0x80000002, 0), 0, 0, 0, 0);
}

static void test_bits_follow_the_guest_state(void **state)
{
    struct cpuid_policy policy = policy_for(skylake, 7);
    struct cpuid_guest guest = { 0 };

    (void)state;
    assert_int_equal(cpuid_answer(&policy, &guest, 1, 0).ecx & 1u << 27, 0);
    assert_int_equal(cpuid_answer(&policy, &guest, 1, 0).edx & 1u << 9, 0);
    guest.osxsave = guest.apic_enabled = true;
    assert_int_equal(cpuid_answer(&policy, &guest, 1, 0).ecx & 1u << 27, 1u << 27);
    assert_int_equal(cpuid_answer(&policy, &guest, 1, 0).edx & 1u << 9, 1u << 9);
    /* Without XSAVE there is no OSXSAVE. */
    policy = policy_for(skylake, 0);
    assert_int_equal(cpuid_answer(&policy, &guest, 1, 0).ecx & 3u << 26, 0);
}

static void test_avx_and_what_is_like_it_follow_xcr0(void **state)
{
    struct cpuid_policy with = policy_for(all_ones, 7), without_avx = policy_for(all_ones, 3);

    (void)state;
    assert_int_equal(ask(&with, 1, 0).ecx & ~ask(&without_avx, 1, 0).ecx, ONLY(12, 28, 29));
    assert_int_equal(ask(&with, 7, 0).ebx & ~ask(&without_avx, 7, 0).ebx, ONLY(5));
    assert_int_equal(ask(&with, 7, 0).ecx & ~ask(&without_avx, 7, 0).ecx, ONLY(9, 10));
    assert_int_equal(ask(&with, 7, 1).eax & ~ask(&without_avx, 7, 1).eax, ONLY(4));
    assert_int_equal(ask(&with, 0x80000001, 0).ecx & ~ask(&without_avx, 0x80000001, 0).ecx, ONLY(11, 16));
    assert_int_equal(ask(&with, 7, 0).edx, ask(&without_avx, 7, 0).edx);
    /* x87 without SSE cannot be: then there is no XSAVE at all. */
    struct cpuid_policy neither = policy_for(all_ones, 5);
    assert_int_equal(ask(&neither, 1, 0).ecx & ONLY(12, 26, 28), 0);
}

static void test_the_xsave_leaf_is_recomputed_for_the_states_that_are_offered(void **state)
{
    struct cpuid_policy avx = policy_for(skylake, 7), all = policy_for(skylake, 0xe7), sse = policy_for(skylake, 3);

    (void)state;
    check(ask(&avx, 0xd, 0), 7, 832, 832, 0);
    check(ask(&avx, 0xd, 1), 7, 832, 0, 0);
    check(ask(&avx, 0xd, 2), 256, 576, 0, 0);
    for (uint32_t subleaf = 3; subleaf < 70; subleaf++)
        check(ask(&avx, 0xd, subleaf), 0, 0, 0, 0);
    check(ask(&sse, 0xd, 0), 3, 576, 576, 0);
    check(ask(&sse, 0xd, 1), 7, 576, 0, 0);

    /* Standard format leaves the CPU's gaps (MPX is not offered), compacted format does not. */
    check(ask(&all, 0xd, 0), 0xe7, 2688, 2688, 0);
    check(ask(&all, 0xd, 1), 7, 832 + 64 + 512 + 1024, 0, 0);
    /* The supervisor state of processor trace is not the guest's. */
    check(ask(&all, 0xd, 8), 0, 0, 0, 0);
}

/* States of odd sizes, the second aligned where compacted; leaf 7 is the last one. */
static struct cpuid_values odd_states(uint32_t leaf, uint32_t subleaf)
{
    static const struct cpuid_values states[] = {
        { 0xf, 0, 0, 0 }, { 0x2, 0, 0, 0 }, { 100, 2000, 0, 0 }, { 50, 576, 2, 0 },
    };

    if (leaf == 7)
        return (struct cpuid_values) { subleaf == 0 ? 1 : 1u << 10, 0, 0, 0 };
    if (leaf == 0xd)
        return subleaf < 4 ? states[subleaf] : (struct cpuid_values) { 0 };
    return leaf == 0 ? (struct cpuid_values) { 0xd, 0, 0, 0 } : skylake(leaf, subleaf);
}

static struct cpuid_values last_is_7(uint32_t leaf, uint32_t subleaf)
{
    return leaf == 0 ? (struct cpuid_values) { 7, 0, 0, 0 } : odd_states(leaf, subleaf);
}

static void test_compacted_states_are_aligned_where_the_cpu_says_so(void **state)
{
    struct cpuid_policy policy = policy_for(odd_states, 0xf);

    (void)state;
    check(ask(&policy, 0xd, 0), 0xf, 2100, 2100, 0);
    check(ask(&policy, 0xd, 1), 2, 704 + 50, 0, 0);
    check(ask(&policy, 0xd, 3), 50, 576, 2, 0);
    policy = policy_for(odd_states, 0xb);
    check(ask(&policy, 0xd, 0), 0xb, 626, 626, 0);
    check(ask(&policy, 0xd, 1), 2, 576 + 50, 0, 0);

    /* Without leaf DH there is no XSAVE; leaf 7 still counts. */
    policy = policy_for(last_is_7, 0xf);
    check(ask(&policy, 0xd, 0), 0, 0, 0, 0);
    check(ask(&policy, 7, 1), 1u << 10, 0, 0, 0);
}

static void test_one_cpu_and_its_caches(void **state)
{
    struct cpuid_policy policy = policy_for(skylake, 7);

    (void)state;
    check(ask(&policy, 0xb, 0), 0, 1, 0x100, 0);
    check(ask(&policy, 0xb, 1), 0, 1, 0x201, 0);
    check(ask(&policy, 0xb, 2), 0, 0, 2, 0);
    check(ask(&policy, 0xb, 0x12345), 0, 0, 0x45, 0);
    check(ask(&policy, 4, 0), 0x121, 0x01c0003f, 0x3f, 0);
    check(ask(&policy, 4, 4), 0, 0, 0, 0);
    assert_int_equal(ask(&policy, 1, 0).ebx, 0x00010800);
    assert_int_equal(ask(&policy, 1, 0).edx & 1u << 28, 0);
    check(ask(&policy, 0xa, 0), 0, 0, 0, 0);
    /* 57-bit linear addresses become 48; the physical ones stay. */
    check(ask(&policy, 0x80000008, 0), 0x302e, 0, 0, 0);
}

static void test_pcid_and_invpcid_need_the_back_end(void **state)
{
    struct cpuid_policy policy = policy_for(all_ones, 7);

    (void)state;
    policy.invpcid = true;
    cpuid_prepare(&policy);
    assert_int_equal(ask(&policy, 1, 0).ecx & 1u << 17, 0);
    assert_int_equal(ask(&policy, 7, 0).ebx & 1u << 10, 0);
    assert_int_equal(cpuid_cr4_bits(&policy) & 1u << 17, 0);
    policy.pcid = true;
    cpuid_prepare(&policy);
    assert_int_equal(ask(&policy, 1, 0).ecx & 1u << 17, 1u << 17);
    assert_int_equal(ask(&policy, 7, 0).ebx & 1u << 10, 1u << 10);
    assert_int_equal(cpuid_cr4_bits(&policy) & 1u << 17, 1u << 17);
    policy.invpcid = false;
    cpuid_prepare(&policy);
    assert_int_equal(ask(&policy, 7, 0).ebx & 1u << 10, 0);
}

static void test_cr4_has_the_bits_of_what_is_offered(void **state)
{
    struct cpuid_policy everything = policy_for(all_ones, 7), old = policy_for(old_cpu, 7);
    struct cpuid_policy sky = policy_for(skylake, 7);

    (void)state;
    /* Not: LA57 12, VMXE 13, SMXE 14, PCIDE 17, PKE 22, CET 23, PKS 24. */
    assert_int_equal(cpuid_cr4_bits(&everything), 0x350fff);
    assert_int_equal(cpuid_cr4_bits(&old), 1u << 6 | 1u << 8);
    assert_int_equal(cpuid_cr4_bits(&sky), 0x3507ff);
}

static void test_hypervisor_leaves_name_us_and_the_interface_of_kvm(void **state)
{
    struct cpuid_policy policy = policy_for(skylake, 7);
    struct cpuid_values own = ask(&policy, 0x40000000, 0), kvm = ask(&policy, 0x40000100, 0);

    (void)state;
    assert_int_equal(own.eax, 0x40000001);
    assert_memory_equal(&own.ebx, "beaml4beaml4", 12);
    check(ask(&policy, 0x40000001, 0), 1, 0, 0, 0);
    assert_int_equal(kvm.eax, 0x40000101);
    assert_memory_equal(&kvm.ebx, "KVMKVMKVM\0\0\0", 12);
    /* KVM_FEATURE_NOP_IO_DELAY; no clock, no asynchronous page faults, no hypercalls. */
    check(ask(&policy, 0x40000101, 0), 2, 0, 0, 0);
    /* Another vendor's: CLOCKSOURCE2, CLOCKSOURCE_STABLE. */
    policy = policy_for(all_ones, 7);
    check(ask(&policy, 0x40000101, 0), 0x0100000a, 0, 0, 0);
}

static void test_a_pvm_guest_finds_kvm_first_and_behind_it_pvm(void **state)
{
    struct cpuid_policy policy = policy_for(skylake, 7);

    (void)state;
    policy.pvm = true;
    cpuid_prepare(&policy);
    struct cpuid_values kvm = ask(&policy, 0x40000000, 0), own = ask(&policy, 0x40000100, 0);
    assert_true(kvm.eax >= 0x40000002);
    assert_memory_equal(&kvm.ebx, "KVMKVMKVM\0\0\0", 12);
    check(ask(&policy, 0x40000001, 0), 0x0100000a, 0, 0, 0); /* with the clock, on any CPU */
    struct cpuid_values pvm = ask(&policy, 0x40000002, 0);
    assert_int_equal(pvm.eax, 0);
    assert_memory_equal(&pvm.ebx, "PVM", 4);
    assert_int_equal(own.eax, 0x40000101);
    assert_memory_equal(&own.ebx, "beaml4beaml4", 12);
    check(ask(&policy, 0x40000101, 0), 1, 0, 0, 0);
    /* Ring 3 is all there is: no SMEP, no SMAP, neither here nor in CR4. */
    assert_int_equal(ask(&policy, 7, 0).ebx & (1u << 7 | 1u << 20), 0);
    assert_int_equal(cpuid_cr4_bits(&policy) & (1u << 20 | 1u << 21), 0);
}

static double frequency_error(uint64_t tsc_hz, uint64_t numerator, uint64_t denominator)
{
    double error = (double)LOCAL_APIC_TIMER_HZ * (double)numerator / (double)denominator - (double)tsc_hz;

    return error < 0 ? -error : error;
}

static void test_the_tsc_leaf_is_the_best_fraction_that_linux_can_take(void **state)
{
    static const uint64_t rates[] = {
        40 * MHZ, 24999999, 25 * MHZ, 1 * MHZ, 999999937, 1995192000, 2394374561, 2400 * MHZ, 2592000123, 2899999999,
        3696000017, 5100 * MHZ, 1234567891, 2100012345, 333333333,
    };

    (void)state;
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        struct cpuid_policy policy = policy_for(skylake, 7);
        uint64_t limit = UINT32_MAX / (LOCAL_APIC_TIMER_HZ / 1000), most = limit * LOCAL_APIC_TIMER_HZ / rates[r] + 1;
        double best = 1e30;

        policy.tsc_hz = rates[r];
        struct cpuid_values leaf = ask(&policy, 0x15, 0);
        assert_int_equal(leaf.ecx, LOCAL_APIC_TIMER_HZ);
        assert_in_range(leaf.ebx, 1, limit);
        for (uint64_t d = 1; d <= most && d < 2000000; d++) {
            uint64_t n = (rates[r] * d + LOCAL_APIC_TIMER_HZ / 2) / LOCAL_APIC_TIMER_HZ;

            if (n >= 1 && n <= limit && frequency_error(rates[r], n, d) < best)
                best = frequency_error(rates[r], n, d);
        }
        assert_true(frequency_error(rates[r], leaf.ebx, leaf.eax) <= best * 1.000001 + 1e-6);

        /* As Linux computes it, in 32 bits: within 10 millionths and the kHz that it rounds away. */
        uint32_t khz = leaf.ecx / 1000 * leaf.ebx / leaf.eax;
        assert_in_range(khz, rates[r] / 1000 - rates[r] / 100000000 - 1, rates[r] / 1000 + rates[r] / 100000000 + 1);

        uint32_t mhz = (uint32_t)((rates[r] + MHZ / 2) / MHZ);
        check(ask(&policy, 0x16, 0), mhz, mhz, 100, 0);
    }
}

static void test_an_unknown_frequency_is_not_told(void **state)
{
    struct cpuid_policy policy = policy_for(skylake, 7);

    (void)state;
    policy.tsc_hz = 0;
    check(ask(&policy, 0x15, 0), 0, 0, 0, 0);
    check(ask(&policy, 0x16, 0), 0, 0, 0, 0);
    policy.tsc_hz = UINT64_MAX;
    check(ask(&policy, 0x15, 0), 0, 0, 0, 0);
}

static struct cpuid_values this_computer(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_values answer;

    __cpuid_count(leaf, subleaf, answer.eax, answer.ebx, answer.ecx, answer.edx);
    return answer;
}

static void test_on_this_computer_nothing_is_shown_that_it_does_not_have(void **state)
{
    struct cpuid_policy policy = policy_for(this_computer, 7);

    (void)state;
    assert_int_equal(ask(&policy, 1, 0).ecx & ~this_computer(1, 0).ecx & ~ONLY(21, 24, 31), 0);
    assert_int_equal(ask(&policy, 1, 0).edx & ~this_computer(1, 0).edx & ~ONLY(7, 9, 12, 14), 0);
    assert_int_equal(ask(&policy, 0x80000001, 0).edx & ~this_computer(0x80000001, 0).edx, 0);
    check(ask(&policy, 0, 0), 0x16, this_computer(0, 0).ebx, this_computer(0, 0).ecx, this_computer(0, 0).edx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cpu_with_everything_shows_only_what_the_monitor_knows),
        cmocka_unit_test(test_every_other_leaf_is_empty),
        cmocka_unit_test(test_a_cpu_with_nothing_shows_what_the_monitor_adds),
        cmocka_unit_test(test_bits_follow_the_guest_state),
        cmocka_unit_test(test_avx_and_what_is_like_it_follow_xcr0),
        cmocka_unit_test(test_the_xsave_leaf_is_recomputed_for_the_states_that_are_offered),
        cmocka_unit_test(test_compacted_states_are_aligned_where_the_cpu_says_so),
        cmocka_unit_test(test_one_cpu_and_its_caches),
        cmocka_unit_test(test_pcid_and_invpcid_need_the_back_end),
        cmocka_unit_test(test_cr4_has_the_bits_of_what_is_offered),
        cmocka_unit_test(test_hypervisor_leaves_name_us_and_the_interface_of_kvm),
        cmocka_unit_test(test_a_pvm_guest_finds_kvm_first_and_behind_it_pvm),
        cmocka_unit_test(test_the_tsc_leaf_is_the_best_fraction_that_linux_can_take),
        cmocka_unit_test(test_an_unknown_frequency_is_not_told),
        cmocka_unit_test(test_on_this_computer_nothing_is_shown_that_it_does_not_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
