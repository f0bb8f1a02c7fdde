/* RFLAGS: what is written is read back, whichever instruction does it. (SDM 1 3.4.3) */
#include "guests/tour/tour.h"

#define STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define RFLAGS_VIF (1ul << 19)
#define RFLAGS_VIP (1ul << 20)

static void check_interrupt_flag(void)
{
    uint16_t word;
    uint64_t flags;

    cli();
    check(!(read_rflags() & RFLAGS_IF), "after cli, pushf shows interrupts disabled");
    sti();
    flags = read_rflags();
    cli();
    check(flags & RFLAGS_IF, "after sti, enabled");
    write_rflags(read_rflags() | RFLAGS_IF);
    flags = read_rflags();
    cli();
    check(flags & RFLAGS_IF, "popf enables them");
    sti();
    write_rflags(RFLAGS_FIXED);
    check(!(read_rflags() & RFLAGS_IF), "and disables them");
    __asm__ volatile("pushw %1; popfw; pushfw; popw %0; cli" : "=r"(word) : "i"(RFLAGS_IF | RFLAGS_FIXED) : "cc",
                     "memory");
    check_equal(word & (RFLAGS_IF | STATUS), RFLAGS_IF, "popf and pushf of 16 bits");
    __asm__ volatile("sti; pushfq; cli; popfq; pushfq; popq %0; cli" : "=r"(flags) : : "cc", "memory");
    check(flags & RFLAGS_IF, "flags that are kept over a critical section come back");
    __asm__ volatile("movl $5, %%eax; cmpl $5, %%eax; cli; pushfq; popq %0" : "=r"(flags) : : "rax", "cc", "memory");
    check_equal(flags & STATUS, RFLAGS_ZF | RFLAGS_PF, "cli leaves the status flags alone");
    __asm__ volatile("movl $0x80000000, %%eax; addl %%eax, %%eax; sti; cli; pushfq; popq %0"
                     : "=r"(flags) : : "rax", "cc", "memory");
    check_equal(flags & STATUS, RFLAGS_ZF | RFLAGS_PF | RFLAGS_CF | RFLAGS_OF, "and so does sti");
}

static void check_others(void)
{
    static const struct { uint64_t bit; const char *name; } bits[] = {
        { RFLAGS_CF, "popf and pushf: CF" }, { RFLAGS_PF, "PF" }, { RFLAGS_ZF, "ZF" }, { RFLAGS_SF, "SF" },
        { RFLAGS_DF, "DF" }, { RFLAGS_OF, "OF" }, { 1ul << 12, "IOPL 1" }, { 2ul << 12, "IOPL 2" },
        { 3ul << 12, "IOPL 3" },
        { RFLAGS_NT, "NT" }, { RFLAGS_AC, "AC" }, { RFLAGS_ID, "ID" },
    };
    uint64_t flags, low;

    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        __asm__ volatile("pushq %1; popfq; pushfq; popq %0; pushq $2; popfq"
                         : "=r"(flags) : "r"(bits[i].bit | RFLAGS_FIXED) : "cc", "memory");
        check_equal(flags, bits[i].bit | RFLAGS_FIXED, bits[i].name);
    }
    write_rflags(RFLAGS_FIXED | RFLAGS_RF | RFLAGS_VIF | RFLAGS_VIP);
    check_equal(read_rflags(), RFLAGS_FIXED, "RF, VIF and VIP are not loaded, and bit 1 is always set");
    __asm__ volatile("movb $0xd5, %%ah; sahf; pushfq; popq %0; movb $0, %%ah; sahf; lahf; movzbl %%ah, %%eax; "
                     "movq %%rax, %1"
                     : "=&r"(flags), "=&r"(low) : : "rax", "cc", "memory");
    check_equal(flags & 0xff, 0xd7, "sahf is seen by pushf");
    check_equal(low, 2, "and lahf sees it");
    __asm__ volatile("pushq $0x8d5; popfq; seto %%al; setc %%ah; movzwl %%ax, %%eax; movq %%rax, %0; pushq $2; popfq"
                     : "=r"(flags) : : "rax", "cc", "memory");
    check_equal(flags, 0x101, "conditions follow from flags that popf loaded");
}

static void check_iret(void)
{
    uint64_t flags;

    __asm__ volatile("movl %%ss, %%eax; movq %%rsp, %%rcx; pushq %%rax; pushq %%rcx; pushq %1; movl %%cs, %%eax; "
                     "pushq %%rax\n\t"
                     "leaq 1f(%%rip), %%rax; pushq %%rax; iretq\n"
                     "1:\tpushfq; popq %0; pushq $2; popfq"
                     : "=r"(flags) : "r"(RFLAGS_FIXED | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_AC | RFLAGS_SF)
                     : "rax", "rcx", "cc", "memory");
    check_equal(flags, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_AC | RFLAGS_SF, "iretq loads IF, IOPL and AC");
    if (IN_UPPER_HALF)
        return;
    __asm__ volatile("movq %%rsp, %%rbx; subq $20, %%rsp; leaq 1f(%%rip), %%rax; movl %%eax, (%%rsp); "
                     "movl %%cs, %%eax; movl %%eax, 4(%%rsp)\n\t"
                     "movl %k1, 8(%%rsp); movl %%ebx, 12(%%rsp); movl %%ss, %%eax; movl %%eax, 16(%%rsp); iretl\n"
                     "1:\tpushfq; popq %0; pushq $2; popfq; movq %%rbx, %%rsp"
                     : "=r"(flags) : "r"(RFLAGS_FIXED | RFLAGS_IF | RFLAGS_ID) : "rax", "rbx", "cc", "memory");
    check_equal(flags, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_ID, "iret of 32 bits");
}

void flags_checks(void)
{
    check_interrupt_flag();
    check_others();
    check_iret();
}
