/* Accesses to ports and to device memory: every size, every form of instruction that reaches them. */
#include "guests/tour/tour.h"

#define SCRATCH_PORT 0x3ff /* of the serial port: a byte that does nothing */
#define PCI_ADDRESS  0xcf8
#define PCI_DATA     0xcfc
#define NOTHING_PORT 0x1234
#define DELAY_PORT   0x80
#define PM1_ENABLE   0x602
#define NOTHING_MEMORY 0xd0000000
#define PIN_REGISTER 0x11 /* of the I/O APIC: the upper half of pin 0's entry, of which the uppermost byte is kept */
#define IOAPIC_OFFSET 0x40001000 /* from kernel_base: the second page of devices */
#define WINDOW_OFFSET 0x40001010

static void check_ports(void)
{
    static const uint8_t source[] = { 0x11, 0x22, 0x33, 0x44 };
    static volatile uint8_t target[8];
    uint64_t rax = 0x1122334455667788, count = 4;
    const uint8_t *from = source;
    volatile uint8_t *to = target;
    uint16_t word;

    __asm__ volatile("outb %b0, %w1" : : "a"(0x5a), "d"(SCRATCH_PORT));
    __asm__ volatile("inb %w1, %b0" : "+a"(rax) : "d"(SCRATCH_PORT));
    check_equal(rax, 0x112233445566775a, "a byte from a port, and the rest of rax as it was");
    rax = 0x1122334455667788;
    __asm__ volatile("inw %w1, %w0" : "+a"(rax) : "d"(NOTHING_PORT));
    check_equal(rax, 0x112233445566ffff, "a word from a port that there is not");
    __asm__ volatile("inl %w1, %k0" : "+a"(rax) : "d"(NOTHING_PORT));
    check_equal(rax, 0xffffffff, "32 bits from there clear the upper half");
    __asm__ volatile("outl %k0, %w1" : : "a"(0x80000004), "d"(PCI_ADDRESS));
    __asm__ volatile("inl %w1, %k0" : "+a"(rax) : "d"(PCI_ADDRESS));
    check_equal(rax, 0x80000004, "32 bits to and from a port");
    __asm__ volatile("outb %b0, %1" : : "a"(0x99), "N"(DELAY_PORT));
    rax = ~0ul;
    __asm__ volatile("inb %1, %b0" : "+a"(rax) : "N"(0x40));
    check_equal(rax >> 8, ~0ul >> 8, "a port in the instruction itself");
    if (!on_bare_qemu) {
        __asm__ volatile("outw %w0, %w1" : : "a"(0x20), "d"(PM1_ENABLE));
        __asm__ volatile("inw %w1, %0" : "=a"(word) : "d"(PM1_ENABLE));
        check_equal(word & 0x20, 0x20, "16 bits to and from a port");
        __asm__ volatile("outw %w0, %w1" : : "a"(0), "d"(PM1_ENABLE));
    }
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(SCRATCH_PORT) : "memory");
    check(from == source + 4 && count == 0 && in8(SCRATCH_PORT) == 0x44, "rep outsb writes all of its bytes");
    count = 4;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(SCRATCH_PORT) : "memory");
    check(to == target + 4 && target[0] == 0x44 && target[3] == 0x44 && target[4] == 0 && count == 0,
          "rep insb reads all of its");
    count = 2;
    to = target + 4;
    __asm__ volatile("std; rep insb; cld" : "+D"(to), "+c"(count) : "d"(NOTHING_PORT) : "memory", "cc");
    check(to == target + 2 && target[4] == 0xff && target[3] == 0xff && target[2] == 0x44, "backwards with DF set");
    to = target;
    count = 2;
    __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(PCI_ADDRESS) : "memory");
    check(to == target + 8 && target[0] == 4 && target[7] == 0x80, "rep insl");
    count = 0;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(NOTHING_PORT) : "memory");
    check(to == target + 8, "a count of zero does nothing");
    from = source;
    wrmsr(MSR_FS_BASE, (uint64_t)source);
    uint64_t index = 1;
    __asm__ volatile("fs outsb" : "+S"(index) : "d"(SCRATCH_PORT) : "memory");
    check(index == 2 && in8(SCRATCH_PORT) == 0x22, "outsb with a segment");
    wrmsr(MSR_FS_BASE, 0);
    if (on_vtx)
        return;
    TRY_WITH("movq %%rdi, %%rbx", "insb", "movq %%rbx, %%rdi", : : "D"(TEST_BASE + 30 * GIB), "d"(SCRATCH_PORT) : "rbx",
             "memory");
    check_page_fault(PF_WRITE, TEST_BASE + 30 * GIB, "insb to a page that is not there");
}

/* READ: an instruction that gets the window's register by one form of address; WRITE by the same form. */
#define CHECK_FORM(name, write, read, ...) do { \
        uint64_t found_; \
        value += 0x01000000; \
        __asm__ volatile(write "; " read : "=&a"(found_) : "d"(value), ##__VA_ARGS__ : "rcx", "r8", "r12", "r13", "r15", "memory"); \
        check((uint32_t)found_ == value && ioapic_page[4] == value, name); \
    } while (0)

static void check_addresses(void)
{
    uint32_t value = 0;
    uint64_t page = (uint64_t)ioapic_page, window = page + 16, minus_two = (uint64_t)-2l;

    check_equal(page, KERNEL_BASE + IOAPIC_OFFSET, "the I/O APIC is where the forms below suppose it");
    ioapic_page[0] = PIN_REGISTER;
    CHECK_FORM("a register as address", "movl %%edx, (%2)", "movl (%2), %%eax", "r"(window));
    CHECK_FORM("with a displacement of 8 bits", "movl %%edx, 16(%2)", "movl 16(%2), %%eax", "r"(page));
    CHECK_FORM("with one of 32 bits", "movl %%edx, 0x1010(%2)", "movl 0x1010(%2), %%eax", "r"(page - PAGE));
    CHECK_FORM("with an index", "movl %%edx, (%2,%3)", "movl (%2,%3), %%eax", "r"(page), "r"(16ul));
    CHECK_FORM("with a scaled index and a displacement", "movl %%edx, 32(%2,%3,8)", "movl 32(%2,%3,8), %%eax",
               "r"(page), "r"(minus_two));
    CHECK_FORM("r8 and r15", "movq %2, %%r8; movq %3, %%r15; movl %%edx, (%%r8,%%r15,4)", "movl (%%r8,%%r15,4), %%eax",
               "r"(page), "r"(4ul));
    CHECK_FORM("rbp and r13, whose encoding is special", "pushq %%rbp; movq %2, %%r13; movq %2, %%rbp; "
               "movl %%edx, (%%r13)",
               "movl 0(%%rbp), %%eax; popq %%rbp", "r"(window));
    CHECK_FORM("rsp and r12, whose encoding is too", "movq %2, %%r12; movq %%rsp, %%rcx; movl %%edx, (%%r12); "
               "movq %2, %%rsp",
               "movl (%%rsp), %%eax; movq %%rcx, %%rsp", "r"(window));
    CHECK_FORM("relative to rip", "movl %%edx, kernel_base + 0x40001010(%%rip)",
               "movl kernel_base + 0x40001010(%%rip), %%eax");
    CHECK_FORM("an absolute address of 32 bits", "movl %%edx, kernel_base + 0x40001010",
               "movl kernel_base + 0x40001010, %%eax");
    CHECK_FORM("one of 64 bits", "movl %%edx, %%eax; movabsl %%eax, kernel_base + 0x40001010",
               "xorl %%eax, %%eax; movabsl kernel_base + 0x40001010, %%eax");
    wrmsr(MSR_FS_BASE, page);
    CHECK_FORM("a base of FS", "movl %%edx, %%fs:16", "movl %%fs:(%2), %%eax", "r"(16ul));
    wrmsr(MSR_FS_BASE, 0);
    if (!IN_UPPER_HALF)
        CHECK_FORM("registers of 32 bits", "movl %%edx, 16(%k2)", "movl (%k2,%k3), %%eax", "r"(page | 1ul << 40),
                   "r"(16));
}

static void check_instructions(void)
{
    volatile uint32_t *window = ioapic_page + 4;
    uint64_t result, rflags;
    static uint32_t memory[4];
    uint64_t count;
    const volatile void *from;
    volatile void *to;

    ioapic_page[0] = PIN_REGISTER;
    __asm__ volatile("movl $0x0a000000, %0" : "=m"(*window));
    check_equal(*window, 0x0a000000, "mov of a constant");
    __asm__ volatile("orl $0x05000000, %0" : "+m"(*window) : : "cc");
    check_equal(*window, 0x0f000000, "or");
    __asm__ volatile("andl %1, %0" : "+m"(*window) : "r"(0x03000000) : "cc");
    check_equal(*window, 0x03000000, "and");
    __asm__ volatile("addl %2, %0; pushfq; popq %1" : "+m"(*window), "=r"(rflags) : "r"(0xfd000000) : "cc");
    check_equal(*window, 0, "add");
    check_equal(rflags & (RFLAGS_CF | RFLAGS_ZF), RFLAGS_CF | RFLAGS_ZF, "and its flags");
    *window = 0x44000000;
    result = 0x1111111122000000;
    __asm__ volatile("xchgl %k0, %1" : "+r"(result), "+m"(*window));
    check(result == 0x44000000 && *window == 0x22000000, "xchg");
    __asm__ volatile("cmpl $0x22000000, %1; sete %b0" : "=r"(result) : "m"(*window) : "cc");
    check_equal(result & 1, 1, "cmp");
    __asm__ volatile("testl $0x20000000, %1; setnz %b0" : "=r"(result) : "m"(*window) : "cc");
    check_equal(result & 1, 1, "test");
    __asm__ volatile("movslq %1, %0" : "=r"(result) : "m"(*window));
    check_equal(result, 0x22000000, "movsxd");
    result = 5;
    __asm__ volatile("addl %1, %k0" : "+r"(result) : "m"(*window) : "cc");
    check_equal(result, 0x22000005, "add from a device");
    __asm__ volatile("btsl $24, %0" : "+m"(*window) : : "cc");
    check_equal(*window, 0x23000000, "bts");

    count = 3;
    from = window;
    to = memory;
    __asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
    check(memory[0] == 0x23000000 && from == window + 1 && to == memory + 1, "movsl from a device");
    memory[0] = 0x77000000;
    from = memory;
    to = window;
    __asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
    check_equal(*window, 0x77000000, "movsl to one");
    to = window;
    __asm__ volatile("stosl" : "+D"(to) : "a"(0x66000000) : "memory");
    check(*window == 0x66000000 && to == window + 1, "stosl");
    from = window;
    __asm__ volatile("lodsl" : "=a"(result), "+S"(from) : : "memory");
    check(result == 0x66000000 && from == window + 1, "lodsl");
    to = ioapic_page;
    count = 1;
    __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(PIN_REGISTER) : "memory");
    check(count == 0 && ioapic_page[0] == PIN_REGISTER, "rep stosl");
    *window = 0;
}

/* Where there is no device, every size reads as ones. */
static void check_sizes(void)
{
    volatile uint8_t *nothing = map_device(NOTHING_MEMORY);
    uint64_t rax = 0;

    if (on_bare_qemu)
        return;
    __asm__ volatile("movb %1, %b0" : "+a"(rax) : "m"(nothing[3]));
    check_equal(rax, 0xff, "8 bits of a device");
    __asm__ volatile("movw %1, %w0" : "+a"(rax) : "m"(nothing[2]));
    check_equal(rax, 0xffff, "16 bits");
    __asm__ volatile("movl %1, %k0" : "+a"(rax) : "m"(nothing[4]));
    check_equal(rax, 0xffffffff, "32 bits");
    __asm__ volatile("movq %1, %0" : "+a"(rax) : "m"(nothing[8]));
    check_equal(rax, ~0ul, "64 bits");
    rax = 0x1122334455667788;
    __asm__ volatile("movb %1, %%ah" : "+a"(rax) : "m"(nothing[1]));
    check_equal(rax, 0x112233445566ff88, "into ah");
    __asm__ volatile("movzbl %1, %k0" : "=r"(rax) : "m"(nothing[1]));
    check_equal(rax, 0xff, "8 bits, zero-extended");
    __asm__ volatile("movswq %1, %0" : "=r"(rax) : "m"(nothing[6]));
    check_equal(rax, ~0ul, "16 bits, sign-extended");
    __asm__ volatile("movb $1, %0; movw $2, %0; movl $3, %0; movq $4, %0" : "=m"(*nothing));
    check_equal(*nothing, 0xff, "what is written there is gone");
}

void device_checks(void)
{
    check_ports();
    check_addresses();
    check_instructions();
    check_sizes();
}
