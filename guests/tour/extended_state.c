/* The FPU's state and its exceptions. (SDM 1 chapters 8, 10, 13; SDM 3A chapter 13) */
#include "guests/tour/tour.h"

#define PATTERN 0x0123456789abcdeful
#define MXCSR_DEFAULT 0x1f80u
#define XSAVE_XSTATE_BV (512 / 8) /* in words */

static void set_xmm(uint64_t value)
{
    __asm__ volatile("movq %0, %%xmm0; punpcklqdq %%xmm0, %%xmm0\n\t"
                     "movdqa %%xmm0, %%xmm7; movdqa %%xmm0, %%xmm15" : : "r"(value));
}

static bool xmm_is(uint64_t value)
{
    uint64_t low, high, last;

    __asm__ volatile("movq %%xmm7, %0; movdqa %%xmm7, %%xmm1; psrldq $8, %%xmm1; movq %%xmm1, %1; movq %%xmm15, %2"
                     : "=r"(low), "=r"(high), "=r"(last));
    return low == value && high == value && last == value;
}

static void check_saving(void)
{
    uint64_t *area = page_new(), low, high;

    __asm__ volatile("fninit");
    set_xmm(PATTERN);
    check(xmm_is(PATTERN), "SSE registers hold what was put there");
    __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
    set_xmm(1);
    __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
    check(xmm_is(PATTERN), "fxsave and fxrstor");
    if (!(READ_CR(4) & CR4_OSXSAVE)) {
        skip("xsave and xrstor", "the processor has none");
        page_free(area);
        return;
    }
    struct cpuid sizes = cpuid(0xd, 0);
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    check_equal(high << 32 | low, (uint64_t)sizes.d << 32 | sizes.a, "XCR0 is what was written");
    check(sizes.b <= PAGE && sizes.b >= 576, "CPUID has the size of what xsave writes");
    memset(area, 0, PAGE);
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    check((area[XSAVE_XSTATE_BV] & 3) >= 2, "xsave says that there are SSE registers");
    set_xmm(2);
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    check(xmm_is(PATTERN), "xsave and xrstor");
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(1), "d"(0) : "memory");
    set_xmm(3);
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(1), "d"(0) : "memory");
    check(xmm_is(3), "xrstor of something else leaves them alone");
    if (sizes.a & 4) {
        uint64_t upper;

        __asm__ volatile("vpcmpeqd %%xmm2, %%xmm2, %%xmm2; vinsertf128 $1, %%xmm2, %%ymm2, %%ymm2; xsave64 (%1)\n\t"
                         "vzeroall; xrstor64 (%1); vextractf128 $1, %%ymm2, %%xmm2; vmovq %%xmm2, %0; vzeroupper"
                         : "=r"(upper) : "r"(area), "a"(~0u), "d"(~0u) : "memory");
        check_equal(upper, ~0ul, "upper halves of AVX registers");
    }
    TRY("xsetbv", : : "c"(0), "a"(2), "d"(0));
    check_fault(VECTOR_GP, 0, "XCR0 without x87");
    TRY("xsetbv", : : "c"(1), "a"(3), "d"(0));
    check_fault(VECTOR_GP, 0, "an extended control register that there is not");
    TRY("xsetbv", : : "c"(0), "a"(3), "d"(0x40000000));
    check_fault(VECTOR_GP, 0, "XCR0 with a feature that there is not");
    page_free(area);
}

static void check_not_available(void)
{
    WRITE_CR(0, READ_CR(0) | CR0_TS);
    TRY("movaps %%xmm0, %%xmm1", : : );
    check_fault(VECTOR_NM, 0, "SSE with CR0.TS set");
    TRY("fld1", : : );
    check_fault(VECTOR_NM, 0, "x87 with CR0.TS set");
    TRY("fwait", : : );
    check_fault(VECTOR_NM, 0, "fwait with CR0.TS and CR0.MP set");
    __asm__ volatile("clts");
    TRY("movaps %%xmm0, %%xmm1", : : );
    check_done("SSE after clts");
}

static void check_exceptions(void)
{
    uint32_t mxcsr = MXCSR_DEFAULT & ~(1u << 9); /* division by zero is not masked */
    uint16_t control = 0x37f & ~4u;
    static const float one = 1, zero;

    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    __asm__ volatile("movss %0, %%xmm0" : : "m"(one));
    TRY("divss %0, %%xmm0", : : "m"(zero));
    if (!on_tcg)
        check_fault(VECTOR_XM, 0, "a division by zero in SSE");
    mxcsr = MXCSR_DEFAULT;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    TRY("divss %0, %%xmm0", : : "m"(zero));
    check_done("is none where it is masked");
    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp" : : "m"(control));
    TRY("fwait", : : );
    check_fault(VECTOR_MF, 0, "a division by zero in x87, at the next instruction");
    __asm__ volatile("fninit");
    mxcsr = 1u << 31;
    TRY("ldmxcsr %0", : : "m"(mxcsr));
    if (!on_tcg)
        check_fault(VECTOR_GP, 0, "a reserved bit of MXCSR");
}

void extended_state_checks(void)
{
    check_saving();
    check_not_available();
    check_exceptions();
}
