/* Registers of the processor: control, debug, model-specific; CPUID; the time-stamp counter. */
#include "guests/tour/tour.h"

#define NOT_CANONICAL 0x0000800000000000ul

static void check_control_registers(void)
{
    uint64_t cr0 = READ_CR(0), cr3 = READ_CR(3), cr4 = READ_CR(4);

    check((cr0 & (CR0_PE | CR0_PG | CR0_WP | CR0_NE)) == (CR0_PE | CR0_PG | CR0_WP | CR0_NE),
          "CR0 says what was enabled");
    WRITE_CR(0, cr0 | CR0_AM | CR0_TS);
    check_equal(READ_CR(0), cr0 | CR0_AM | CR0_TS, "CR0 is what was written");
    WRITE_CR(0, cr0);
    check_equal(READ_CR(0), cr0, "and is as before");
    check((cr4 & (CR4_PAE | CR4_PGE | CR4_OSFXSR)) == (CR4_PAE | CR4_PGE | CR4_OSFXSR), "CR4 says what was enabled");
    WRITE_CR(4, cr4 ^ CR4_DE);
    check_equal(READ_CR(4), cr4 ^ CR4_DE, "CR4 is what was written");
    WRITE_CR(4, cr4);
    WRITE_CR(3, cr3 | 0x18);
    check_equal(READ_CR(3), cr3 | 0x18, "CR3 keeps the bits about caches");
    WRITE_CR(3, cr3);
    WRITE_CR(8, 5);
    check(READ_CR(8) == 5 && apic_read(APIC_TPR) == 0x50, "CR8 is the APIC's task priority");
    apic_write(APIC_TPR, 0x90);
    check_equal(READ_CR(8), 9, "and the other way round");
    WRITE_CR(8, 0);
    if (!on_bare_qemu) {
        TRY("mov %0, %%cr8", : : "r"(16ul));
        check_fault(VECTOR_GP, 0, "CR8 has four bits");
    }
    /* A program's attempt, which is what a processor without AMD-V sees of it, is a #GP in QEMU. */
    if (!on_tcg || on_qemu) {
        TRY(".byte 0x0f, 0x20, 0xc8", : : : "rax"); /* mov %cr1, %rax */
        check_fault(VECTOR_UD, 0, "there is no CR1");
        TRY(".byte 0x0f, 0x22, 0xe8", : : : "rax");
        check_fault(VECTOR_UD, 0, "and no CR5");
    }

    uint64_t r15;
    __asm__ volatile("mov %%cr3, %%r15; movq %%r15, %0" : "=r"(r15) : : "r15");
    check_equal(r15, cr3, "mov from a control register to r15");
}

static void check_debug_registers(void)
{
    WRITE_DR(0, 0x123456);
    WRITE_DR(3, 0x654321);
    check(READ_DR(0) == 0x123456 && READ_DR(3) == 0x654321, "debug registers are what was written");
    WRITE_DR(0, 0);
    WRITE_DR(3, 0);
    WRITE_DR(6, 0);
    check_equal(READ_DR(6) & 0xffff1ff0, 0xffff0ff0, "fixed bits of DR6");
    WRITE_DR(7, 0);
    check_equal(READ_DR(7), 0x400, "and of DR7");
    WRITE_CR(4, READ_CR(4) & ~CR4_DE);
    check_equal(READ_DR(4) & 0xffff1ff0, 0xffff0ff0, "DR4 is DR6");
    WRITE_CR(4, READ_CR(4) | CR4_DE);
    TRY("mov %%dr4, %%rax", : : : "rax");
    check_fault(VECTOR_UD, 0, "unless CR4.DE is set");
    WRITE_CR(4, READ_CR(4) & ~CR4_DE);
    if (!on_bare_qemu) {
        TRY("mov %0, %%dr7", : : "r"(1ul << 32));
        check_fault(VECTOR_GP, 0, "the upper half of DR7");
    }
}

static void check_bases(void)
{
    static volatile uint64_t first = 0x1111, second = 0x2222;
    uint64_t value, kept = rdmsr(MSR_GS_BASE), kept_other = rdmsr(MSR_KERNEL_GS_BASE);

    wrmsr(MSR_FS_BASE, (uint64_t)&first);
    __asm__ volatile("movq %%fs:0, %0" : "=r"(value));
    check_equal(value, 0x1111, "the base of FS counts");
    check_equal(rdmsr(MSR_FS_BASE), (uint64_t)&first, "and is read back");
    wrmsr(MSR_FS_BASE, (uint64_t)&second - 0x40);
    __asm__ volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"(0x40ul));
    check_equal(value, 0x2222, "with a register's offset");
    wrmsr(MSR_GS_BASE, (uint64_t)&first);
    wrmsr(MSR_KERNEL_GS_BASE, (uint64_t)&second);
    __asm__ volatile("swapgs; movq %%gs:0, %0; swapgs" : "=r"(value));
    check_equal(value, 0x2222, "swapgs exchanges the bases");
    __asm__ volatile("movq %%gs:0, %0" : "=r"(value));
    check_equal(value, 0x1111, "and back");
    __asm__ volatile("swapgs");
    check(rdmsr(MSR_GS_BASE) == (uint64_t)&second && rdmsr(MSR_KERNEL_GS_BASE) == (uint64_t)&first,
          "as their MSRs say");
    wrmsr(MSR_FS_BASE, 0xffffffff80001234);
    check_equal(rdmsr(MSR_FS_BASE), 0xffffffff80001234, "a base in the upper half");

    if (READ_CR(4) & CR4_FSGSBASE) {
        __asm__ volatile("wrfsbase %1; movq %%fs:0, %0" : "=r"(value) : "r"(&first));
        check_equal(value, 0x1111, "wrfsbase");
        check_equal(rdmsr(MSR_FS_BASE), (uint64_t)&first, "is seen by rdmsr");
        wrmsr(MSR_GS_BASE, (uint64_t)&second);
        __asm__ volatile("rdgsbase %0" : "=r"(value));
        check_equal(value, (uint64_t)&second, "rdgsbase sees wrmsr");
        __asm__ volatile("wrgsbase %1; rdfsbase %0; swapgs; swapgs" : "=r"(value) : "r"(&first));
        check_equal(value, (uint64_t)&first, "rdfsbase");
        check_equal(rdmsr(MSR_GS_BASE), (uint64_t)&first, "wrgsbase is seen by rdmsr");
        __asm__ volatile("wrgsbase %k1; rdgsbase %0" : "=r"(value) : "r"(~0ul << 32 | 0x1234));
        check_equal(value, 0x1234, "wrgsbase of 32 bits extends by zeroes");
    } else {
        skip("wrfsbase and its like", "the processor has none");
    }
    wrmsr(MSR_GS_BASE, kept);
    wrmsr(MSR_KERNEL_GS_BASE, kept_other);
    wrmsr(MSR_FS_BASE, 0);
}

static void check_msrs(void)
{
    static const struct { uint32_t msr; const char *name, *fault; } addresses[] = {
        { MSR_LSTAR, "LSTAR is what was written", "LSTAR that is not canonical" },
        { MSR_CSTAR, "CSTAR", "CSTAR that is not canonical" },
        { MSR_FS_BASE, "the base of FS", "a base of FS that is not canonical" },
        { MSR_KERNEL_GS_BASE, "the other base of GS", "another base of GS that is not canonical" },
    };

    for (unsigned i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        uint64_t kept = rdmsr(addresses[i].msr);

        wrmsr(addresses[i].msr, 0xffffffff81234567);
        check_equal(rdmsr(addresses[i].msr), 0xffffffff81234567, addresses[i].name);
        wrmsr(addresses[i].msr, kept);
        if (on_qemu)
            continue;
        TRY("wrmsr", : : "c"(addresses[i].msr), "a"((uint32_t)NOT_CANONICAL), "d"((uint32_t)(NOT_CANONICAL >> 32)));
        check_fault(VECTOR_GP, 0, addresses[i].fault);
    }
    uint64_t star = rdmsr(MSR_STAR), mask = rdmsr(MSR_FMASK), pat = rdmsr(MSR_PAT);
    wrmsr(MSR_STAR, 0x0023001000000000);
    check_equal(rdmsr(MSR_STAR) >> 32, 0x00230010, "STAR");
    wrmsr(MSR_STAR, star);
    wrmsr(MSR_FMASK, 0x40700);
    check_equal(rdmsr(MSR_FMASK), 0x40700, "FMASK");
    wrmsr(MSR_FMASK, mask);
    wrmsr(MSR_PAT, 0x0007010600070106);
    check_equal(rdmsr(MSR_PAT), 0x0007010600070106, "PAT");
    wrmsr(MSR_PAT, pat);
    check((rdmsr(MSR_EFER) & (EFER_SCE | EFER_LME | EFER_LMA)) == (EFER_SCE | EFER_LME | EFER_LMA),
          "EFER says long mode");
    if (!on_bare_qemu) {
        TRY("rdmsr", : : "c"(0x12345) : "rax", "rdx");
        check_fault(VECTOR_GP, 0, "an MSR that there is not, read");
        TRY("wrmsr", : : "c"(0x12345), "a"(0), "d"(0));
        check_fault(VECTOR_GP, 0, "and written");
        TRY("wrmsr", : : "c"(MSR_PAT), "a"(0x02020202), "d"(0));
        check_fault(VECTOR_GP, 0, "a memory type that there is not");
    }
}

static void check_cpuid(void)
{
    struct cpuid leaf = cpuid(0, 0);
    uint64_t rax = 0xffffffff00000001, rbx = ~0ul, rcx = ~0ul << 32, rdx = ~0ul;

    check(leaf.a >= 7, "CPUID has leaf 7");
    check((cpuid(1, 0).d & 0x7000179) == 0x7000179, "and says FPU, TSC, MSR, PAE, CX8, FXSR, SSE, SSE2");
    check(cpuid(0x80000001, 0).d >> 29 & 1 && cpuid(0x80000001, 0).d >> 11 & 1, "long mode and SYSCALL");
    __asm__ volatile("cpuid" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx));
    check((rax | rbx | rcx | rdx) >> 32 == 0, "CPUID clears the upper halves of its registers");
    check_equal(rax, cpuid(1, 0).a, "and looks at the lower half of rax alone");
    check_equal(cpuid(1, 0).c >> 27 & 1, (READ_CR(4) & CR4_OSXSAVE) != 0, "its OSXSAVE is that of CR4");
    if (READ_CR(4) & CR4_OSXSAVE) {
        WRITE_CR(4, READ_CR(4) & ~CR4_OSXSAVE);
        check(!(cpuid(1, 0).c & C1_OSXSAVE), "also when that changes");
        WRITE_CR(4, READ_CR(4) | CR4_OSXSAVE);
    }
}

static void check_time(void)
{
    uint64_t last = rdtsc(), backwards = 0;
    uint32_t low, high, aux;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = rdtsc();

        backwards += now < last;
        last = now;
    }
    check_equal(backwards, 0, "the time-stamp counter does not run backwards");
    if (cpuid(0x80000001, 0).d & DE_RDTSCP) {
        wrmsr(MSR_TSC_AUX, 0x5a5a);
        __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
        check(aux == 0x5a5a && ((uint64_t)high << 32 | low) >= last, "rdtscp");
    } else {
        skip("rdtscp", "the processor has none");
    }
}

void cpu_checks(void)
{
    check_control_registers();
    check_debug_registers();
    check_bases();
    check_msrs();
    check_cpuid();
    check_time();
}
