/* SDM 1 chapter 13 (XSAVE). */
#include <arch/x86_64/fpu.h>

#include <arch/x86_64/console.h>
#include <arch/x86_64/cpu_arch.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>

#define LEAF1_ECX_XSAVE (1u << 26)

#define XCR0_X87 1ul

/* Where FNINIT and the reset state of MXCSR stand in the legacy part of the area. */
#define AREA_FCW   0
#define AREA_MXCSR 24
#define FCW_RESET   0x37f
#define MXCSR_RESET 0x1f80

/* XCR0; 0: the CPU has no XSAVE. */
static uint64_t features;

void fpu_init_cpu(struct cpu_arch *cpu)
{
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    write_cr0(read_cr0() & ~(CR0_TS | CR0_EM));
    if (cpuid_checked(1, 0).ecx & LEAF1_ECX_XSAVE) {
        struct cpuid_result leaf = cpuid_checked(0xd, 0);

        features = (leaf.eax & CONFIG_XSAVE_FEATURE_SET) | XCR0_X87;
        write_cr4(read_cr4() | CR4_OSXSAVE);
        __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)features), "d"(0));
        if (cpuid_checked(0xd, 0).ebx > sizeof(struct fpu_state))
            kernel_panic("XSAVE wants %u bytes a thread, there are %u", cpuid_checked(0xd, 0).ebx,
                         (unsigned)sizeof(struct fpu_state));
    }
    cpu->fpu_owner = NULL;
    cpu->fpu_forbidden = false;
}

void fpu_restore_features(void)
{
    uint32_t low, high;

    if (!features)
        return;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (low != features || high != 0)
        __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)features), "d"(0));
}

void fpu_state_init(struct fpu_state *state)
{
    static const uint16_t fcw = FCW_RESET;
    static const uint32_t mxcsr = MXCSR_RESET;

    memset(state, 0, sizeof *state);
    memcpy(state->area + AREA_FCW, &fcw, sizeof fcw);
    memcpy(state->area + AREA_MXCSR, &mxcsr, sizeof mxcsr);
}

static void save(struct fpu_state *state)
{
    if (features)
        __asm__ volatile("xsave64 %0" : "+m"(*state) : "a"((uint32_t)features), "d"(0));
    else
        __asm__ volatile("fxsave64 %0" : "+m"(*state));
}

static void load(const struct fpu_state *state)
{
    if (features)
        __asm__ volatile("xrstor64 %0" : : "m"(*state), "a"((uint32_t)features), "d"(0));
    else
        __asm__ volatile("fxrstor64 %0" : : "m"(*state));
}

static void allow(struct cpu_arch *cpu)
{
    if (cpu->fpu_forbidden) {
        __asm__ volatile("clts");
        cpu->fpu_forbidden = false;
    }
}

void fpu_use(struct cpu_arch *cpu, struct fpu_state *state)
{
    allow(cpu);
    if (cpu->fpu_owner == state)
        return;
    if (cpu->fpu_owner)
        save(cpu->fpu_owner);
    load(state);
    cpu->fpu_owner = state;
}

void fpu_forbid(struct cpu_arch *cpu)
{
    if (!cpu->fpu_forbidden) {
        write_cr0(read_cr0() | CR0_TS);
        cpu->fpu_forbidden = true;
    }
}

void fpu_flush(struct cpu_arch *cpu, struct fpu_state *state)
{
    if (cpu->fpu_owner != state)
        return;

    bool was_forbidden = cpu->fpu_forbidden;
    allow(cpu);
    save(state);
    cpu->fpu_owner = NULL;
    if (was_forbidden)
        fpu_forbid(cpu);
}

void fpu_forget(struct cpu_arch *cpu, struct fpu_state *state)
{
    if (cpu->fpu_owner == state)
        cpu->fpu_owner = NULL;
}
