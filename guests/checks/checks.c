/* A guest that looks at its virtual CPU from inside: what instructions that leave the guest do, faults that it must
 * get, interrupts. One line on COM1 for each check, "ok NAME" or "not ok NAME (detail)"; then it ends as the first
 * letter of its command line says, or powers off. A second letter, q, leaves out what QEMU's processor does not do. */
#include <stdbool.h>
#include <stdint.h>

#define COM1          0x3f8
#define PM1_CONTROL   0x604
#define SLEEP_S5      (5 << 10 | 1 << 13)
#define DELAY_PORT    0x80
#define NOTHING_PORT  0x1234
#define IOAPIC        ((volatile uint32_t *)0xfec00000)
#define XAPIC         ((volatile uint32_t *)0xfee00000)
#define NOTHING       ((volatile uint32_t *)0xd0000000)

#define MSR_APIC_BASE    0x1b
#define MSR_PAT          0x277
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800
#define MSR_UNKNOWN      0x12345
#define MSR_EFER         0xc0000080
#define MSR_LSTAR        0xc0000082
#define X2APIC_TPR       0x808
#define X2APIC_EOI       0x80b
#define X2APIC_SPURIOUS  0x80f
#define X2APIC_TIMER     0x832
#define X2APIC_INITIAL   0x838
#define X2APIC_DIVIDE    0x83e
#define X2APIC_SELF      0x83f

#define VECTOR_DB 1
#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_PF 14
#define NO_VECTOR 0xffff

#define CR0_MP (1ul << 1)
#define CR0_TS (1ul << 3)
#define CR0_NE (1ul << 5)
#define CR0_NW (1ul << 29)
#define CR0_CD (1ul << 30)
#define CR0_PG (1ul << 31)
#define CR4_PAE     (1ul << 5)
#define CR4_PGE     (1ul << 7)
#define CR4_OSFXSR  (1ul << 9)
#define CR4_VMXE    (1ul << 13)
#define CR4_OSXSAVE (1ul << 18)
#define RFLAGS_TF 0x100ul

struct frame {
    uint64_t r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct gate {
    uint16_t offset_low, selector, flags, offset_middle;
    uint32_t offset_high, reserved;
};

extern char vectors[];
void guest_main(const char *cmdline);
void take_exception(struct frame *frame);

static struct gate idt[256];
static bool on_qemu;

/* The last exception, where its instruction was, and where to go on in place of it. */
static volatile uint64_t caught, caught_error, caught_rip;
static volatile uint64_t resume;

/* Interrupts in the order in which they came. */
static volatile unsigned interrupts;
static volatile uint8_t interrupt_vector[16];

/* Addresses at which single steps ended. */
static volatile unsigned steps;
static volatile uint64_t step_rip[8];

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

struct cpuid { uint32_t a, b, c, d; };

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
    return r;
}

#define READ_CR(n) ({ uint64_t value_; __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value_)); value_; })
#define WRITE_CR(n, value) __asm__ volatile("mov %0, %%cr" #n : : "r"((uint64_t)(value)) : "memory")

/* Runs an instruction that may fault; `caught` is its vector then. */
#define TRY(instruction, ...) do { \
        caught = NO_VECTOR; \
        __asm__ volatile("movq $1f, resume(%%rip)\n\t" instruction "\n1:\tmovq $0, resume(%%rip)" __VA_ARGS__); \
    } while (0)

static void print(const char *text)
{
    for (; *text; text++) {
        while (!(in8(COM1 + 5) & 0x20))
            ;
        out8(COM1, (uint8_t)*text);
    }
}

static void print_hex(uint64_t value)
{
    char digits[17];
    unsigned i = 16;

    digits[16] = '\0';
    do {
        digits[--i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    print(digits + i);
}

static void check(bool passed, const char *name, uint64_t detail)
{
    print(passed ? "ok " : "not ok ");
    print(name);
    if (!passed) {
        print(" (");
        print_hex(detail);
        print(")");
    }
    print("\r\n");
}

void take_exception(struct frame *frame)
{
    if (frame->vector >= 32) {
        interrupt_vector[interrupts++ % 16] = (uint8_t)frame->vector;
        wrmsr(X2APIC_EOI, 0);
        return;
    }
    if (frame->vector == VECTOR_DB) {
        step_rip[steps++ % 8] = frame->rip;
        return;
    }
    caught = frame->vector;
    caught_error = frame->error;
    caught_rip = frame->rip;
    if (!resume) {
        print("unexpected exception ");
        print_hex(frame->vector);
        print(" at ");
        print_hex(frame->rip);
        print("\r\n");
        for (;;)
            __asm__ volatile("cli; hlt");
    }
    frame->rip = resume;
}

static void set_up_idt(void)
{
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) pointer = { sizeof idt - 1, (uint64_t)idt };

    for (unsigned i = 0; i < 256; i++) {
        uint64_t address = (uint64_t)vectors + i * 16;
        idt[i] = (struct gate) {
            .offset_low = (uint16_t)address, .selector = 8, .flags = 0x8e00, .offset_middle = (uint16_t)(address >> 16),
            .offset_high = (uint32_t)(address >> 32),
        };
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static void check_cpuid(void)
{
    struct cpuid r = cpuid(0x40000000, 0);

    check(r.b == 0x6d616562 && r.c == 0x6562346c && r.d == 0x346c6d61, "cpuid names the hypervisor", r.b);
    check(cpuid(1, 0).c >> 31, "cpuid has the hypervisor bit", 0);
    check(cpuid(1, 0).c >> 21 & 1, "cpuid offers x2apic", 0);
    check(!(cpuid(1, 0).c & (1 << 3 | 1 << 5)), "cpuid offers neither monitor nor vmx", 0);
}

static void check_msrs(void)
{
    uint64_t pat = rdmsr(MSR_PAT), efer = rdmsr(MSR_EFER);

    TRY("rdmsr", : : "c"(MSR_UNKNOWN) : "rax", "rdx");
    check(caught == VECTOR_GP && caught_error == 0, "reading an unknown msr faults", caught);
    TRY("wrmsr", : : "c"(MSR_UNKNOWN), "a"(0), "d"(0));
    check(caught == VECTOR_GP, "writing an unknown msr faults", caught);
    TRY("wrmsr", : : "c"(MSR_PAT), "a"(0x02020202), "d"(0));
    check(caught == VECTOR_GP && rdmsr(MSR_PAT) == pat, "a reserved memory type in the pat faults", caught);
    wrmsr(MSR_PAT, 0x0007010600070106);
    check(rdmsr(MSR_PAT) == 0x0007010600070106, "the pat is what was written", rdmsr(MSR_PAT));
    wrmsr(MSR_PAT, pat);
    TRY("wrmsr", : : "c"(MSR_EFER), "a"(0x40000), "d"(0));
    check(caught == VECTOR_GP, "a reserved bit of efer faults", caught);
    TRY("wrmsr", : : "c"(MSR_EFER), "a"((uint32_t)efer & ~0x100), "d"(0));
    check(caught == VECTOR_GP && rdmsr(MSR_EFER) == efer, "long mode cannot be left with paging on", caught);
    check((efer & 0x500) == 0x500, "efer says that long mode is active", efer);
    if (!on_qemu) {
        TRY("wrmsr", : : "c"(MSR_LSTAR), "a"(0), "d"(0x80000000));
        check(caught == VECTOR_GP, "an address that is not canonical faults in lstar", caught);
    }
    wrmsr(MSR_LSTAR, 0xffffffff81234567);
    check(rdmsr(MSR_LSTAR) == 0xffffffff81234567, "lstar is what was written", rdmsr(MSR_LSTAR));
}

/* QEMU lets them through, and the next VMRUN fails. */
static void check_refused_cr0(uint64_t cr0)
{
    TRY("mov %0, %%cr0", : : "r"(cr0 | CR0_NW));
    check(caught == VECTOR_GP && READ_CR(0) == cr0, "cr0.nw without cr0.cd faults", caught);
    TRY("mov %0, %%cr0", : : "r"(cr0 & ~1ul));
    check(caught == VECTOR_GP && READ_CR(0) == cr0, "cr0.pg without cr0.pe faults", caught);
    TRY("mov %0, %%cr0", : : "r"(cr0 | 1ul << 32));
    check(caught == VECTOR_GP, "the upper half of cr0 faults", caught);
    TRY("mov %0, %%cr0", : : "r"(cr0 & ~CR0_PG));
    check(caught == VECTOR_GP && READ_CR(0) == cr0, "paging cannot be left from 64-bit code", caught);
}

static void check_control_registers(void)
{
    uint64_t cr0 = READ_CR(0), cr4 = READ_CR(4);

    WRITE_CR(0, cr0 | CR0_CD);
    check(READ_CR(0) == (cr0 | CR0_CD), "cr0.cd is seen as written", READ_CR(0));
    WRITE_CR(0, cr0 ^ CR0_NE);
    check(READ_CR(0) == (cr0 ^ CR0_NE), "cr0.ne is seen as written", READ_CR(0));
    WRITE_CR(0, (cr0 ^ CR0_NE) | CR0_MP | CR0_TS | CR0_CD);
    check(READ_CR(0) == ((cr0 ^ CR0_NE) | CR0_MP | CR0_TS | CR0_CD), "cr0 takes hidden and other bits at once",
          READ_CR(0));
    __asm__ volatile("clts");
    check(!(READ_CR(0) & CR0_TS), "clts clears cr0.ts", READ_CR(0));
    WRITE_CR(0, cr0);
    check(READ_CR(0) == cr0, "cr0 is as before", READ_CR(0));
    if (!on_qemu)
        check_refused_cr0(cr0);

    TRY("mov %0, %%cr4", : : "r"(cr4 | CR4_VMXE));
    check(caught == VECTOR_GP && READ_CR(4) == cr4, "cr4.vmxe faults", caught);
    TRY("mov %0, %%cr4", : : "r"(cr4 | 1ul << 31));
    check(caught == VECTOR_GP, "a reserved bit of cr4 faults", caught);
    TRY("mov %0, %%cr4", : : "r"(cr4 & ~CR4_PAE));
    check(caught == VECTOR_GP, "long mode keeps cr4.pae", caught);
    WRITE_CR(4, cr4 | CR4_PGE | CR4_OSFXSR);
    check(READ_CR(4) == (cr4 | CR4_PGE | CR4_OSFXSR), "cr4 takes what cpuid offers", READ_CR(4));

    WRITE_CR(8, 5);
    check(READ_CR(8) == 5 && rdmsr(X2APIC_TPR) == 0x50, "cr8 is the apic's task priority", READ_CR(8));
    TRY("mov %0, %%cr8", : : "r"(16ul));
    check(caught == VECTOR_GP, "cr8 has four bits", caught);
    WRITE_CR(8, 0);
}

static void check_extended_state(void)
{
    if (!(cpuid(1, 0).c >> 26 & 1))
        return;
    TRY("xsetbv", : : "c"(0), "a"(1), "d"(0));
    check(caught == VECTOR_UD, "xsetbv wants cr4.osxsave", caught);
    check(!(cpuid(1, 0).c >> 27 & 1), "cpuid does not say osxsave", 0);
    WRITE_CR(4, READ_CR(4) | CR4_OSXSAVE);
    check(cpuid(1, 0).c >> 27 & 1, "cpuid says osxsave", 0);
    TRY("xsetbv", : : "c"(0), "a"(3), "d"(0));
    check(caught == NO_VECTOR, "xcr0 takes x87 and sse", caught);
    TRY("xsetbv", : : "c"(0), "a"(2), "d"(0));
    check(caught == VECTOR_GP, "xcr0 always has x87", caught);
    TRY("xsetbv", : : "c"(1), "a"(3), "d"(0));
    check(caught == VECTOR_GP, "there is no other xcr", caught);
    TRY("xsetbv", : : "c"(0), "a"(3), "d"(0x40000000));
    check(caught == VECTOR_GP, "xcr0 takes no feature that there is not", caught);
}

static void check_instructions(void)
{
    TRY("vmcall", : : : "rax");
    check(caught == VECTOR_UD, "vmcall is undefined", caught);
    TRY("vmmcall", : : : "rax");
    check(caught == VECTOR_UD, "vmmcall is undefined", caught);
    TRY("vmxoff", : : );
    check(caught == VECTOR_UD, "vmxoff is undefined", caught);
    TRY("monitor", : : "a"(idt), "c"(0), "d"(0));
    check(caught == VECTOR_UD, "monitor is undefined", caught);
    TRY("mwait", : : "a"(0), "c"(0));
    check(caught == VECTOR_UD, "mwait is undefined", caught);
    if (!on_qemu) {
        TRY("rdtscp", : : : "rax", "rcx", "rdx");
        check(caught == VECTOR_UD, "rdtscp is undefined", caught);
    }
    TRY("rdpmc", : : "c"(0) : "rax", "rdx");
    check(caught == VECTOR_GP, "rdpmc faults", caught);
    TRY("wbinvd", : : : "memory");
    check(caught == NO_VECTOR, "wbinvd does nothing", caught);
}

static void check_ports(void)
{
    static const uint8_t source[4] = { 0x11, 0x22, 0x33, 0x44 };
    static volatile uint8_t target[4];
    uint64_t rax = 0x1122334455667788, count = 4;
    const uint8_t *from = source;
    volatile uint8_t *to = target;

    __asm__ volatile("inl %1, %%eax" : "+a"(rax) : "d"((uint16_t)NOTHING_PORT));
    check(rax == 0xffffffff, "a port without a device reads as ones", rax);
    rax = 0x1122334455667788;
    __asm__ volatile("inb %1, %%al" : "+a"(rax) : "d"((uint16_t)NOTHING_PORT));
    check(rax == 0x11223344556677ff, "reading a byte leaves the rest of rax alone", rax);
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"((uint16_t)DELAY_PORT) : "memory");
    check(from == source + 4 && count == 0 && in8(DELAY_PORT) == 0x44, "rep outsb writes all bytes", count);
    count = 4;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"((uint16_t)DELAY_PORT) : "memory");
    check(target[0] == 0x44 && target[3] == 0x44 && count == 0, "rep insb reads all bytes", count);
}

static void check_memory(void)
{
    volatile uint64_t copy[2];
    uint64_t count = 2;
    const volatile void *from = IOAPIC;
    volatile void *to = copy;

    NOTHING[0] = 5;
    check(NOTHING[0] == 0xffffffff, "memory that is not there reads as ones", NOTHING[0]);
    IOAPIC[0] = 1; /* the version register: 24 pins */
    check((IOAPIC[4] & 0x00ff0000) == 0x00170000, "the i/o apic has 24 pins", IOAPIC[4]);
    IOAPIC[0] = 0;
    IOAPIC[4] = 0x0a000000;
    __asm__ volatile("orl $0x05000000, %0" : "+m"(IOAPIC[4]));
    check(IOAPIC[4] >> 24 == 0xf, "an instruction reads and writes a device", IOAPIC[4]);
    __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
    check((uint32_t)copy[0] == 0 && count == 0, "rep movsl copies out of a device", copy[0]);
}

static void check_single_step(void)
{
    uint64_t first, second, third;

    steps = 0;
    __asm__ volatile("pushfq; orq %3, (%%rsp); popfq\n\t"
                     "nop\n"
                     "1:\tcpuid\n"
                     "2:\tinb $0x80, %%al\n"
                     "3:\tpushfq; andq %4, (%%rsp); popfq\n\t"
                     "leaq 1b(%%rip), %0; leaq 2b(%%rip), %1; leaq 3b(%%rip), %2"
                     : "=r"(first), "=r"(second), "=r"(third)
                     : "i"(RFLAGS_TF), "i"(~(int)RFLAGS_TF)
                     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
    check(steps >= 3 && step_rip[0] == first && step_rip[1] == second && step_rip[2] == third,
          "a single step ends behind instructions that exit", steps);
}

static void wait_for_interrupts(unsigned number)
{
    while (interrupts < number)
        __asm__ volatile("sti; hlt; cli");
}

static void check_interrupts(void)
{
    uint64_t begin, ticks;

    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 3 << 10);
    wrmsr(X2APIC_SPURIOUS, 0x1ff);
    interrupts = 0;
    wrmsr(X2APIC_SELF, 0x41);
    wrmsr(X2APIC_SELF, 0x61);
    wrmsr(X2APIC_SELF, 0x51);
    if (!on_qemu) {
        __asm__ volatile("sti; cli");
        check(interrupts == 0, "nothing comes between sti and the next instruction", interrupts);
    }
    __asm__ volatile("sti; nop; cli");
    check(interrupts == 3 && interrupt_vector[0] == 0x61 && interrupt_vector[1] == 0x51 && interrupt_vector[2] == 0x41,
          "interrupts come by priority", interrupts << 8 | interrupt_vector[0]);

    interrupts = 0;
    WRITE_CR(8, 5);
    wrmsr(X2APIC_SELF, 0x51);
    wrmsr(X2APIC_SELF, 0x61);
    __asm__ volatile("sti; nop; nop; cli");
    check(interrupts == 1 && interrupt_vector[0] == 0x61, "the task priority holds lower ones back", interrupts);
    WRITE_CR(8, 0);
    __asm__ volatile("sti; nop; nop; cli");
    check(interrupts == 2 && interrupt_vector[1] == 0x51, "and lets them come later", interrupts);

    interrupts = 0;
    wrmsr(X2APIC_DIVIDE, 0xb); /* by 1 */
    wrmsr(X2APIC_TIMER, 0x71);
    wrmsr(X2APIC_INITIAL, 100000);
    wait_for_interrupts(1);
    check(interrupt_vector[0] == 0x71 && interrupts == 1, "the apic's timer wakes a halted cpu", interrupt_vector[0]);

    interrupts = 0;
    wrmsr(X2APIC_TIMER, 0x72 | 2 << 17);
    begin = rdtsc();
    wrmsr(MSR_TSC_DEADLINE, begin + 1000000);
    wait_for_interrupts(1);
    ticks = rdtsc() - begin;
    check(ticks >= 1000000 && interrupt_vector[0] == 0x72, "a deadline is kept, and not before", ticks);

    interrupts = 0;
    begin = rdtsc();
    wrmsr(MSR_TSC_DEADLINE, begin + 300000);
    while (interrupts == 0 && rdtsc() - begin < 1000000000)
        __asm__ volatile("sti; nop; nop; cli");
    check(interrupts == 1, "an interrupt comes into a loop", interrupts);
}

/* A timer that is due all the time must not keep the guest from running, nor the monitor from everything else. */
static void check_flood(void)
{
    volatile unsigned work = 0;

    interrupts = 0;
    wrmsr(X2APIC_DIVIDE, 0xb);
    wrmsr(X2APIC_TIMER, 0x73 | 1 << 17); /* periodic */
    wrmsr(X2APIC_INITIAL, 1);
    while (work < 300000)
        work++;
    __asm__ volatile("sti; nop; nop; cli");
    wrmsr(X2APIC_INITIAL, 0);
    check(interrupts >= 1, "a flood of timer interrupts leaves time to run", interrupts);
}

/* Ends that the monitor has to notice. */
static void end(char how)
{
    static const struct { uint16_t limit; uint64_t base; } __attribute__((packed)) empty = { 0, 0 };

    switch (how) {
    case 'x': /* code where there is no memory */
        __asm__ volatile("jmp *%0" : : "r"(NOTHING));
        break;
    case 'p': /* page tables where there is no memory */
        WRITE_CR(3, 0xd0000000);
        break;
    case 'v': /* an instruction on a device that nobody carries out */
        WRITE_CR(4, READ_CR(4) | CR4_OSFXSR);
        __asm__ volatile("movups (%0), %%xmm0" : : "r"(NOTHING));
        break;
    case 's': /* an exception, and a device for a stack */
        __asm__ volatile("movq %0, %%rsp; ud2" : : "r"((uint64_t)IOAPIC + 0x800));
        break;
    case 't': /* a triple fault */
        __asm__ volatile("lidt %0; ud2" : : "m"(empty));
        break;
    default:
        out16(PM1_CONTROL, SLEEP_S5);
        break;
    }
}

void guest_main(const char *cmdline)
{
    on_qemu = cmdline[0] && cmdline[1] == 'q';
    set_up_idt();
    check_cpuid();
    check_msrs();
    check_interrupts();
    check_control_registers();
    check_extended_state();
    check_instructions();
    check_ports();
    check_memory();
    check_single_step();
    check_flood();
    print("checks done\r\n");
    end(cmdline[0]);
}
