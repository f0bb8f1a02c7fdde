/* Names of the feature bits in CPUID that the policy offers, forces or makes depend on something (SDM 2A, CPUID; for
 * leaf 80000001H also AMD APM 3, appendix E.4). A bit that has no name here is never offered. */
#pragma once

#define BIT(n) (1u << (n))

enum cpuid_1_ecx {
    C1_SSE3 = BIT(0), C1_PCLMULQDQ = BIT(1), C1_SSSE3 = BIT(9), C1_FMA = BIT(12), C1_CX16 = BIT(13), C1_PCID = BIT(17),
    C1_SSE4_1 = BIT(19), C1_SSE4_2 = BIT(20), C1_X2APIC = BIT(21), C1_MOVBE = BIT(22), C1_POPCNT = BIT(23),
    C1_TSC_DEADLINE = BIT(24), C1_AESNI = BIT(25), C1_XSAVE = BIT(26), C1_OSXSAVE = BIT(27), C1_AVX = BIT(28),
    C1_F16C = BIT(29), C1_RDRAND = BIT(30), C1_HYPERVISOR = BIT(31),
};

enum cpuid_1_edx {
    D1_FPU = BIT(0), D1_VME = BIT(1), D1_DE = BIT(2), D1_PSE = BIT(3), D1_TSC = BIT(4), D1_MSR = BIT(5),
    D1_PAE = BIT(6), D1_MCE = BIT(7), D1_CX8 = BIT(8), D1_APIC = BIT(9), D1_SEP = BIT(11), D1_MTRR = BIT(12),
    D1_PGE = BIT(13), D1_MCA = BIT(14), D1_CMOV = BIT(15), D1_PAT = BIT(16), D1_PSE36 = BIT(17), D1_CLFSH = BIT(19),
    D1_MMX = BIT(23), D1_FXSR = BIT(24), D1_SSE = BIT(25), D1_SSE2 = BIT(26), D1_SELF_SNOOP = BIT(27),
};

enum cpuid_6_eax { A6_ARAT = BIT(2) };

enum cpuid_7_ebx {
    B7_FSGSBASE = BIT(0), B7_TSC_ADJUST = BIT(1), B7_BMI1 = BIT(3), B7_AVX2 = BIT(5), B7_FDP_ONLY_ON_EXCEPTION = BIT(6),
    B7_SMEP = BIT(7), B7_BMI2 = BIT(8), B7_ERMS = BIT(9), B7_INVPCID = BIT(10), B7_NO_FCS_FDS = BIT(13),
    B7_RDSEED = BIT(18), B7_ADX = BIT(19), B7_SMAP = BIT(20), B7_CLFLUSHOPT = BIT(23), B7_CLWB = BIT(24),
    B7_SHA = BIT(29),
};

enum cpuid_7_ecx {
    C7_UMIP = BIT(2), C7_GFNI = BIT(8), C7_VAES = BIT(9), C7_VPCLMULQDQ = BIT(10), C7_CLDEMOTE = BIT(25),
    C7_MOVDIRI = BIT(27), C7_MOVDIR64B = BIT(28),
};

enum cpuid_7_edx { D7_FSRM = BIT(4), D7_MD_CLEAR = BIT(10), D7_SERIALIZE = BIT(14) };

/* Leaf 7, subleaf 1. */
enum cpuid_7_1_eax { A71_AVX_VNNI = BIT(4), A71_FZRM = BIT(10), A71_FSRS = BIT(11), A71_FSRC = BIT(12) };

/* Leaf DH, subleaf 1. */
enum cpuid_d_1_eax { AD1_XSAVEOPT = BIT(0), AD1_XSAVEC = BIT(1), AD1_XGETBV_1 = BIT(2) };

/* Leaf 80000001H; the bits of EDX that repeat leaf 1 (AMD) have the names of leaf 1. */
enum cpuid_ext_ecx {
    CE_LAHF = BIT(0), CE_LZCNT = BIT(5), CE_SSE4A = BIT(6), CE_MISALIGNED_SSE = BIT(7), CE_PREFETCHW = BIT(8),
    CE_XOP = BIT(11), CE_FMA4 = BIT(16), CE_TBM = BIT(21),
};

enum cpuid_ext_edx {
    DE_SYSCALL = BIT(11), DE_NX = BIT(20), DE_MMXEXT = BIT(22), DE_PAGES_1G = BIT(26), DE_LONG_MODE = BIT(29),
    DE_3DNOWEXT = BIT(30), DE_3DNOW = BIT(31),
};

enum cpuid_ext7_edx { DE7_INVARIANT_TSC = BIT(8) };
enum cpuid_ext8_ebx { BE8_CLZERO = BIT(0), BE8_XSAVE_FP_ERROR = BIT(2) };

/* XCR0 (SDM 1 13.3). */
#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
