/* What a user program must not do, and what becomes of it when it tries. */
#include "guests/tour/tour.h"

/* Instructions for the kernel alone. (SDM 3A 5.9) */
USER_CODE(try_hlt, "hlt");
USER_CODE(try_cli, "cli");
USER_CODE(try_sti, "sti");
USER_CODE(try_lgdt, "lgdt (%rsi)");
USER_CODE(try_lidt, "lidt (%rsi)");
USER_CODE(try_lldt, "lldt %ax");
USER_CODE(try_ltr, "ltr %ax");
USER_CODE(try_lmsw, "lmsw %ax");
USER_CODE(try_clts, "clts");
USER_CODE(try_from_cr0, "mov %cr0, %rax");
USER_CODE(try_to_cr0, "mov %rax, %cr0");
USER_CODE(try_from_cr2, "mov %cr2, %rax");
USER_CODE(try_to_cr3, "mov %rax, %cr3");
USER_CODE(try_from_cr3, "mov %cr3, %rax");
USER_CODE(try_to_cr4, "mov %rax, %cr4");
USER_CODE(try_from_cr8, "mov %cr8, %rax");
USER_CODE(try_from_dr7, "mov %dr7, %rax");
USER_CODE(try_to_dr0, "mov %rax, %dr0");
USER_CODE(try_rdmsr, "rdmsr");
USER_CODE(try_wrmsr, "wrmsr");
USER_CODE(try_invlpg, "invlpg (%rsi)");
USER_CODE(try_invd, "invd");
USER_CODE(try_wbinvd, "wbinvd");
USER_CODE(try_swapgs, "swapgs");
USER_CODE(try_sysret, "sysretq");
USER_CODE(try_in_imm, "inb $0x80, %al");
USER_CODE(try_in_dx, "inl %dx, %eax");
USER_CODE(try_out_imm, "outb %al, $0x80");
USER_CODE(try_out_dx, "outw %ax, %dx");
USER_CODE(try_insb, "movq %rsi, %rdi; insb");
USER_CODE(try_outsb, "outsb");
USER_CODE(try_lock_cli, ".byte 0x66, 0xfa");

#define ROW(name, offset, text) { name, name##_end, offset, text }

static void check_privileged(void)
{
    static const struct { const char *start, *end; unsigned offset; const char *name; } rows[] = {
        ROW(try_hlt, 0, "a user program's hlt"), ROW(try_cli, 0, "cli"), ROW(try_sti, 0, "sti"),
        ROW(try_lgdt, 0, "lgdt"),
        ROW(try_lidt, 0, "lidt"), ROW(try_lldt, 0, "lldt"), ROW(try_ltr, 0, "ltr"), ROW(try_lmsw, 0, "lmsw"),
        ROW(try_clts, 0, "clts"), ROW(try_from_cr0, 0, "mov from cr0"), ROW(try_to_cr0, 0, "mov to cr0"),
        ROW(try_from_cr2, 0, "mov from cr2"), ROW(try_to_cr3, 0, "mov to cr3"), ROW(try_from_cr3, 0, "mov from cr3"),
        ROW(try_to_cr4, 0, "mov to cr4"), ROW(try_from_cr8, 0, "mov from cr8"), ROW(try_from_dr7, 0, "mov from dr7"),
        ROW(try_to_dr0, 0, "mov to dr0"), ROW(try_rdmsr, 0, "rdmsr"), ROW(try_wrmsr, 0, "wrmsr"),
        ROW(try_invlpg, 0, "invlpg"), ROW(try_invd, 0, "invd"), ROW(try_wbinvd, 0, "wbinvd"),
        ROW(try_swapgs, 0, "swapgs"),
        ROW(try_sysret, 0, "sysret"), ROW(try_in_imm, 0, "in"), ROW(try_in_dx, 0, "in of 32 bits"),
        ROW(try_out_imm, 0, "out"), ROW(try_out_dx, 0, "out of 16 bits"), ROW(try_insb, 3, "insb"),
        ROW(try_outsb, 0, "outsb"), ROW(try_lock_cli, 0, "cli with a prefix"),
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_code(rows[i].start, rows[i].end);
        check_user_fault(VECTOR_GP, 0, rows[i].offset, rows[i].name);
    }
}

USER_CODE(try_popf, "pushq $2; popfq; pushfq; popq %rax; syscall");
USER_CODE(try_popf_iopl, "pushq $0x3202; popfq; pushfq; popq %rax; syscall");
USER_CODE(try_popfw, "pushw $2; popfw; pushfq; popq %rax; syscall");
USER_CODE(try_iret_kernel, "pushq $0x10; pushq %rsp; pushq $2; pushq $8; pushq $0; iretq");
USER_CODE(try_lret_kernel, "pushq $8; pushq $0; lretq");
USER_CODE(try_kernel_stack, "movl $0x10, %eax; movl %eax, %ss");
USER_CODE(try_user_flags, "stc; pushfq; popq %rax; syscall");

static void check_flags(void)
{
    RUN(try_user_flags);
    check_user_call(RFLAGS_FIXED | RFLAGS_IF | RFLAGS_CF, "a user program sees interrupts enabled");
    RUN(try_popf);
    check_user_call(RFLAGS_FIXED | RFLAGS_IF, "and cannot disable them by popf");
    RUN(try_popf_iopl);
    check_user_call(RFLAGS_FIXED | RFLAGS_IF, "nor get another IOPL");
    RUN(try_popfw);
    check_user_call(RFLAGS_FIXED | RFLAGS_IF, "nor by popf of 16 bits");
}

/* Where the kernel's selectors mean something: here they are ours. */
static void check_selectors(void)
{
    RUN(try_iret_kernel);
    check(program.frame.vector == VECTOR_GP && program.frame.cs == SELECTOR_USER_CODE, "iret to the kernel's code");
    RUN(try_lret_kernel);
    check(program.frame.vector == VECTOR_GP && program.frame.cs == SELECTOR_USER_CODE, "a far return there");
    RUN(try_kernel_stack);
    check(program.frame.vector == VECTOR_GP && program.frame.cs == SELECTOR_USER_CODE, "the kernel's stack segment");
}

/* Accesses; rdi says where. */
USER_CODE(try_read, "movq (%rdi), %rax; syscall");
USER_CODE(try_write, "movb $1, (%rdi); syscall");
USER_CODE(try_execute, "jmp *%rdi");
USER_CODE(try_push, "movq %rdi, %rsp; pushq $1; syscall");
USER_CODE(try_add, "lock addl $1, (%rdi); syscall");

static void access(const char *start, const char *end, uint64_t address)
{
    load_program(&program, start, end);
    program.frame.rdi = address;
    run_user(&program);
}

#define ACCESS(code, address) access(code, code##_end, address)

static void check_access(uint64_t error, uint64_t address, uint64_t rip, const char *name)
{
    bool passed = program.frame.vector == VECTOR_PF && program.frame.error == error && READ_CR(2) == address
                  && program.frame.rip == rip && program.frame.cs == SELECTOR_USER_CODE;

    if (!passed)
        print("# vector %lu, error %lx, rip %lx, cr2 %lx; expected a page fault, %lx, %lx, %lx\n", program.frame.vector,
              program.frame.error, program.frame.rip, READ_CR(2), error, rip, address);
    check(passed, name);
}

static void check_kernel_pages(void)
{
    static volatile uint64_t secret = 0x5ec3e7;
    extern char text_start[];
    uint64_t data = (uint64_t)&secret, code = (uint64_t)text_start, fetch = no_execute ? PF_FETCH : 0;

    ACCESS(try_read, data);
    check_access(PF_USER | PF_PRESENT, data, USER_TEXT, "a user program reads the kernel's data");
    check(program.frame.rax != 0x5ec3e7, "and does not get them");
    ACCESS(try_write, data);
    check_access(PF_USER | PF_PRESENT | PF_WRITE, data, USER_TEXT, "writes to them");
    check_equal(secret, 0x5ec3e7, "which does not change them");
    ACCESS(try_add, data);
    if (!on_tcg) /* whose processor reads first */
        check_access(PF_USER | PF_PRESENT | PF_WRITE, data, USER_TEXT, "adds to them");
    ACCESS(try_read, code);
    check_access(PF_USER | PF_PRESENT, code, USER_TEXT, "reads the kernel's code");
    ACCESS(try_execute, code);
    check_access(PF_USER | PF_PRESENT | fetch, code, code, "executes it");
    ACCESS(try_execute, (uint64_t)enter_user);
    check_access(PF_USER | PF_PRESENT | fetch, (uint64_t)enter_user, (uint64_t)enter_user, "at another place");
    ACCESS(try_read, (uint64_t)gdt);
    check_access(PF_USER | PF_PRESENT, (uint64_t)gdt, USER_TEXT, "reads the GDT");
    ACCESS(try_read, (uint64_t)VIRTUAL(program.root));
    check_access(PF_USER | PF_PRESENT, (uint64_t)VIRTUAL(program.root), USER_TEXT, "reads its page tables");
    ACCESS(try_write, (uint64_t)find_entry(program.root, USER_TEXT, 1));
    check_access(PF_USER | PF_PRESENT | PF_WRITE, (uint64_t)find_entry(program.root, USER_TEXT, 1), USER_TEXT,
                 "writes to its page tables");
    ACCESS(try_read, (uint64_t)ioapic_page);
    check_access(PF_USER | PF_PRESENT, (uint64_t)ioapic_page, USER_TEXT, "reads a device");
    ACCESS(try_push, data + 8);
    check_access(PF_USER | PF_PRESENT | PF_WRITE, data, USER_TEXT + 3, "has its stack in the kernel");
    ACCESS(try_read, TEST_BASE + 100 * GIB);
    check_access(PF_USER, TEST_BASE + 100 * GIB, USER_TEXT, "reads what is not there");
}

static void check_own_pages(void)
{
    uint64_t fetch = no_execute ? PF_FETCH : 0, *entry = find_entry(program.root, USER_DATA, 1);

    *(volatile uint64_t *)program_data = 0x7777;
    ACCESS(try_read, USER_DATA);
    check_user_call(0x7777, "a user program reads its own data");
    ACCESS(try_write, USER_TEXT + 0x800);
    check_access(PF_USER | PF_PRESENT | PF_WRITE, USER_TEXT + 0x800, USER_TEXT, "writes to its own code");
    if (no_execute) {
        ACCESS(try_execute, USER_DATA);
        check_access(PF_USER | PF_PRESENT | PF_FETCH, USER_DATA, USER_DATA, "executes its own data");
    } else {
        skip("executes its own data", "the processor has no such bit");
    }
    ACCESS(try_read, USER_BASE);
    check_access(PF_USER, USER_BASE, USER_TEXT, "reads where it has nothing");
    ACCESS(try_write, USER_BASE);
    check_access(PF_USER | PF_WRITE, USER_BASE, USER_TEXT, "writes where it has nothing");
    ACCESS(try_execute, USER_BASE);
    check_access(PF_USER | fetch, USER_BASE, USER_BASE, "executes where it has nothing");

    *entry &= ~(PTE_ACCESSED | PTE_DIRTY);
    invlpg((void *)USER_DATA);
    ACCESS(try_read, USER_DATA);
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED, "its read sets accessed");
    ACCESS(try_write, USER_DATA);
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY, "its write dirty");
    *entry &= ~PTE_USER;
    invlpg((void *)USER_DATA);
    ACCESS(try_read, USER_DATA);
    check_access(PF_USER | PF_PRESENT, USER_DATA, USER_TEXT, "a page that is taken from it");
    TRY("movb (%0), %%al", : : "r"(USER_DATA) : "rax", "memory");
    check_done("the kernel still reads that");
    *entry |= PTE_USER;
    invlpg((void *)USER_DATA);
    ACCESS(try_write, USER_DATA);
    check_equal(program.frame.vector, VECTOR_SYSCALL, "and gives it back");
    uint64_t *top = find_entry(program.root, USER_DATA, 4);
    *top &= ~PTE_USER;
    WRITE_CR(3, program.root);
    ACCESS(try_execute, USER_DATA);
    check_access(PF_USER | PF_PRESENT | fetch, USER_TEXT, USER_TEXT, "everything that is taken from it further up");
    *top |= PTE_USER;
    WRITE_CR(3, program.root);
    *entry &= ~PTE_WRITE;
    invlpg((void *)USER_DATA);
    WRITE_CR(0, READ_CR(0) & ~CR0_WP);
    ACCESS(try_write, USER_DATA);
    check_access(PF_USER | PF_PRESENT | PF_WRITE, USER_DATA, USER_TEXT,
                 "it cannot write to read-only pages without CR0.WP");
    TRY("movb $0x33, (%0)", : : "r"(USER_DATA) : "memory");
    check_done("where the kernel can");
    WRITE_CR(0, READ_CR(0) | CR0_WP);
    check_equal(*program_data, 0x33, "and did");
    *entry |= PTE_WRITE;
    invlpg((void *)USER_DATA);

    ACCESS(try_read, 0x0000800000000000);
    check_user_fault(VECTOR_GP, 0, 0, "it reads at an address that is not canonical");
}

/* Exceptions of its own. */
USER_CODE(fault_ud2, "nop; ud2");
USER_CODE(fault_divide, "xorl %edx, %edx; divl %edx");
USER_CODE(fault_step, "pushfq; orl $0x100, (%rsp); popfq; nop; nop");
USER_CODE(fault_xm, "pushq $0x1d80; ldmxcsr (%rsp); xorps %xmm1, %xmm1; pushq $1; cvtsi2ssl (%rsp), %xmm0; "
          "divss %xmm1, %xmm0");
USER_CODE(fault_sse, "movaps %xmm0, %xmm1; syscall");
USER_CODE(fault_bytes, ".byte 0x06");
USER_CODE(fault_sgdt, "sgdt (%rsi); syscall");

static void check_exceptions(void)
{
    RUN(fault_ud2);
    check_user_fault(VECTOR_UD, 0, 1, "a user program's ud2");
    RUN(fault_divide);
    check_user_fault(VECTOR_DE, 0, 2, "its division by zero");
    RUN(fault_step);
    check_user_fault(VECTOR_DB, 0, 10, "its single step");
    check(program.frame.rflags & RFLAGS_TF, "with TF in its flags");
    WRITE_DR(6, 0);
    if (!on_tcg) {
        RUN(fault_xm);
        check_user_fault(VECTOR_XM, 0, 19, "its division by zero in SSE");
    }
    RUN(fault_bytes);
    check_user_fault(VECTOR_UD, 0, 0, "an opcode that long mode does not have");
    WRITE_CR(0, READ_CR(0) | CR0_TS);
    RUN(fault_sse);
    check_user_fault(VECTOR_NM, 0, 0, "SSE with CR0.TS set");
    __asm__ volatile("clts");
    RUN(fault_sse);
    check_equal(program.frame.vector, VECTOR_SYSCALL, "and without");
    if (!(cpuid(7, 0).c & C7_UMIP)) {
        skip("sgdt with CR4.UMIP set", "the processor does not have it");
        return;
    }
    WRITE_CR(4, READ_CR(4) | CR4_UMIP);
    RUN(fault_sgdt);
    check_user_fault(VECTOR_GP, 0, 0, "sgdt with CR4.UMIP set");
    WRITE_CR(4, READ_CR(4) & ~CR4_UMIP);
}

/* A loop that does nothing else, until the timer ends it. */
USER_CODE(endless, "1: addq $1, %rax; jmp 1b");
USER_CODE(endless_syscalls, "1: syscall; jmp 1b");

static void check_preemption(void)
{
    load_program(&program, endless, endless_end);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_TIMER, 0x71);
    apic_write(APIC_INITIAL, 100000);
    uint64_t vector = run_user(&program);
    apic_write(APIC_EOI, 0);
    check_equal(vector, 0x71, "the timer interrupts a program that does not end");
    check(program.frame.rax > 0 && program.frame.rip >= USER_TEXT && program.frame.rip < USER_TEXT + 6
          && (program.frame.rflags & RFLAGS_IF), "somewhere in its loop");
    apic_write(APIC_INITIAL, 100000);
    load_program(&program, endless_syscalls, endless_syscalls_end);
    unsigned calls = 0;
    while ((vector = run_user(&program)) == VECTOR_SYSCALL && calls < 100000000)
        calls++;
    apic_write(APIC_EOI, 0);
    check(vector == 0x71 && calls > 0, "and one that does nothing but system calls");
}

void user_checks(void)
{
    check_privileged();
    check_flags();
    check_selectors();
    check_kernel_pages();
    check_own_pages();
    check_exceptions();
    check_preemption();
}
