/* The PVM guest ABI, as docs/pvm.md has it. */
#include "guests/tour/tour.h"
#include "guests/tour/pvm/layout.h"

#define VECTOR_TIMER 0x71
#define DIVIDE_BY_1  0xb
#define A_WHILE      200000 /* of the timer's ticks */
#define NO_CALL      ((uint64_t)-1000)
#define RED_ZONE     64

USER_CODE(user_syscall, "syscall");
USER_CODE(user_int80, "int $0x80");
USER_CODE(user_int81, "int $0x81");
USER_CODE(user_int3, "int3");
USER_CODE(user_ud2, "nop; ud2");
USER_CODE(user_divide, "xorl %edx, %edx; divl %edx");
USER_CODE(user_hlt, "hlt");
USER_CODE(user_cli, "cli");
USER_CODE(user_rdmsr, "rdmsr");
USER_CODE(user_to_cr3, "mov %rax, %cr3");
USER_CODE(user_out, "outb %al, $0x80");
USER_CODE(user_bases, "movq %gs:0, %rax; movq %fs:8, %rdi; syscall");
USER_CODE(user_read, "movq (%rdi), %rax; syscall");
USER_CODE(user_write, "movb $1, (%rdi); syscall");
USER_CODE(user_jump, "jmp *%rdi");
USER_CODE(user_loop, "1: addq $1, %rax; jmp 1b");
USER_CODE(user_popf, "pushq $2; popfq; pushfq; popq %rax; syscall");

static uint64_t pattern(unsigned number)
{
    return 0x1000100010001ul * (number + 1) ^ 0xfedcba9876543210;
}

static void check_registers(void)
{
    uint64_t range = rdmsr(PVM_MSR(PVM_RANGE));
    unsigned first = range & 0x1ff, end = range >> 16 & 0x1ff;

    check((range & 0xff00ff00ff00ff00) == 0xff00ff00ff00ff00 && range >> 32 == 0xffffffff && first >= 256 && first < end
          && end < 511, "the linear range is one of the upper half");
    check_equal(rdmsr(PVM_MSR(PVM_STRUCT)), PHYSICAL(&shared), "the shared page is where it was put");
    TRY("wrmsr", : : "c"(PVM_MSR(PVM_STRUCT)), "a"(0x1008), "d"(0) : "memory");
    check_fault(VECTOR_GP, 0, "it is a page");
    TRY("wrmsr", : : "c"(PVM_MSR(PVM_STRUCT)), "a"(0), "d"(0x7fff) : "memory");
    check_fault(VECTOR_GP, 0, "of memory");
    TRY("wrmsr", : : "c"(PVM_MSR(PVM_ENTRY)), "a"(0), "d"(0x8000) : "memory");
    check_fault(VECTOR_GP, 0, "events do not go where there is no address");
    TRY("wrmsr", : : "c"(PVM_MSR(PVM_RANGE)), "a"(0), "d"(1) : "memory");
    check_fault(VECTOR_GP, 0, "nor has the linear range any value");
    TRY("rdmsr", : : "c"(PVM_MSR(8)) : "rax", "rdx", "memory");
    check_fault(VECTOR_GP, 0, "there are eight such registers");
    TRY("wrmsr", : : "c"(MSR_STAR), "a"(0), "d"(0x1b0008) : "memory");
    check_fault(VECTOR_GP, 0, "the user's selectors are what they are");
    check_equal(hypercall(PVM_RDMSR, MSR_LSTAR, 0, 0), (uint64_t)take_syscall, "a call reads registers");
    check_equal(hypercall(PVM_RDMSR, 0x12345, 0, 0), 0, "those that are not there as 0");
    check_equal(hypercall(PVM_WRMSR, PVM_MSR(PVM_RED_ZONE), 80, 0), 0, "another writes them");
    check_equal(rdmsr(PVM_MSR(PVM_RED_ZONE)), 80, "with effect");
    wrmsr(PVM_MSR(PVM_RED_ZONE), RED_ZONE);
    check_equal(hypercall(PVM_WRMSR, 0x12345, 0, 0), (uint64_t)-22, "and says what it cannot");
    check_equal(hypercall(NO_CALL, 1, 2, 3), NO_CALL, "a call that is not there");
}

static void check_exceptions(void)
{
    uint64_t rsp, changed = 0;

    TRY("ud2", : : : "memory");
    check_fault(VECTOR_UD, 0, "an undefined instruction");
    TRY("divl %0", : : "r"(0), "a"(1), "d"(0) : "memory");
    check_fault(VECTOR_DE, 0, "a division by zero");
    TRY("movq (%0), %%rax", : : "r"(TEST_BASE + 50 * GIB) : "rax", "memory");
    check_page_fault(0, TEST_BASE + 50 * GIB, "a page fault");
    check_equal(shared.cr2, TEST_BASE + 50 * GIB, "whose address is in the shared page");
    TRY("int $0x81", : : : "memory");
    check_fault(VECTOR_GP, 0x81 * 8 + 2, "an interrupt that is not for software");
    TRY("iretq", : : : "memory");
    check(caught.vector == VECTOR_GP, "iret, which has no place here");

    /* Where the frame lies, and what it leaves alone. */
    caught.vector = NO_VECTOR;
    __asm__ volatile("movq $99f, resume(%%rip); movq %%rsp, %0; subq $8, %%rsp\n\t"
                     "movq $-1, -8(%%rsp); movq $-1, -56(%%rsp)\n\t"
                     "movq $0x77, %%rcx; movq $0x88, %%r11; stc; ud2\n99:\t"
                     "adcq $0, %1; cmpq $-1, -8(%%rsp); jne 98f; cmpq $-1, -56(%%rsp); jne 98f\n\t"
                     "cmpq $0x77, %%rcx; jne 98f; cmpq $0x88, %%r11; jne 98f; addq $100, %1\n98:\t"
                     "addq $8, %%rsp; movq $0, resume(%%rip)"
                     : "=&r"(rsp), "+r"(changed) : : "rcx", "r11", "memory", "cc");
    check_equal(caught.rsp, rsp - 8, "the frame has the stack pointer");
    check_equal(changed, 101, "registers, flags and the red zone come through an exception");
    check(!(caught.rflags & RFLAGS_IF), "IF in its flags is that of the shared page");
    sti();
    TRY("ud2", : : : "memory");
    check(caught.rflags & RFLAGS_IF, "set as well as clear");
    check(shared.event_flags & PVM_IF, "and is back with the return");
    cli();
}

static volatile uint64_t seen_flags;

static void take_and_look(struct frame *frame)
{
    (void)frame;
    seen_flags = shared.event_flags;
    interrupts++;
    apic_write(APIC_EOI, 0);
}

static void start_timer(uint32_t count)
{
    apic_write(APIC_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_TIMER, VECTOR_TIMER);
    apic_write(APIC_INITIAL, count);
}

static void check_interrupts(void)
{
    uint64_t begin, kept = 0;

    cli();
    interrupts = 0;
    apic_self(0x61);
    check_equal(interrupts, 0, "no interrupt comes while the flag is clear");
    check_equal(shared.event_flags, PVM_IP, "but the shared page says that one waits");
    shared.event_flags |= PVM_IF;
    hypercall(PVM_IRQ_WIN, 0, 0, 0);
    check_equal(interrupts, 1, "after the call for it, it comes");
    check_equal(shared.event_flags, PVM_IF, "and nothing waits any more");
    on_trap(0x61, take_and_look);
    apic_self(0x61);
    check_equal(interrupts, 2, "with the flag set, it comes at once");
    check(!(seen_flags & PVM_IF), "its handler begins with the flag clear");
    check_equal(shared.event_flags, PVM_IF, "and the return sets it");
    on_trap(0x61, NULL);

    interrupts = 0;
    start_timer(A_WHILE);
    begin = rdtsc();
    __asm__ volatile("movq $0x1234, %%rcx; movq $0x5678, %%r11; movq $0x9abc, %%r10\n1:\t"
                     "cmpl $0, interrupts(%%rip); jne 2f; subq $1, %1; jnz 1b\n2:\t"
                     "cmpq $0x1234, %%rcx; jne 3f; cmpq $0x5678, %%r11; jne 3f\n\t"
                     "cmpq $0x9abc, %%r10; jne 3f; movq $1, %0\n3:"
                     : "+r"(kept), "+r"(begin) : : "rcx", "r10", "r11", "memory", "cc");
    check(interrupts == 1, "the timer comes into a loop");
    check_equal(kept, 1, "which does not notice");
    cli();
    interrupts = 0;
    start_timer(A_WHILE);
    while (interrupts == 0) {
        hypercall(PVM_IRQ_HALT, 0, 0, 0);
        cli();
    }
    check_equal(interrupts, 1, "it wakes a processor that halts");
    interrupts = 0;
    apic_self(0x51);
    __asm__ volatile("sti" : : : "memory");
    check_equal(interrupts, 1, "sti does what it does elsewhere");
    __asm__ volatile("cli" : : : "memory");
    check_equal(shared.event_flags & PVM_IF, 0, "and cli");
}

static void check_translations(void)
{
    uint64_t address = TEST_BASE + 64 * PAGE, *first = page_new(), *second = page_new();
    uint64_t slot = (rdmsr(PVM_MSR(PVM_RANGE)) & 0x1ff) + 3, high = slot << 39 | 0xffff000000000000, root = kernel_root;
    volatile uint64_t *window = (void *)address;

    *first = 1;
    *second = 2;
    map_page(root, address, PHYSICAL(first), KERNEL_PAGE);
    check_equal(*window, 1, "a page");
    *find_entry(root, address, 1) = PHYSICAL(second) | PTE_PRESENT | KERNEL_PAGE;
    hypercall(PVM_TLB_INVLPG, address, 0, 0);
    check_equal(*window, 2, "is another after a call for its address");
    *find_entry(root, address, 1) = PHYSICAL(first) | PTE_PRESENT | KERNEL_PAGE;
    hypercall(PVM_TLB_FLUSH_CURRENT, 0, 0, 0);
    check_equal(*window, 1, "for the present tables");
    *find_entry(root, address, 1) = PHYSICAL(second) | PTE_PRESENT | KERNEL_PAGE;
    hypercall(PVM_TLB_FLUSH, 0, 0, 0);
    check_equal(*window, 2, "for all of them");
    *find_entry(root, address, 1) = PHYSICAL(first) | PTE_PRESENT | KERNEL_PAGE;
    hypercall(PVM_LOAD_PGTBL, 1, root, root | 1);
    check_equal(*window, 1, "and with new ones");
    check_equal(READ_CR(3), root, "which are in CR3");
    check_equal(rdmsr(PVM_MSR(PVM_SWITCH_CR3)), root | 1, "and for user mode beside it");

    map_page(root, high, PHYSICAL(second), KERNEL_PAGE);
    check_equal(*(volatile uint64_t *)high, 2, "a page in the upper half");
    map_page(root, 0xffffffff80000000, PHYSICAL(second), KERNEL_PAGE);
    TRY("movq (%0), %%rax", : : "r"(0xffffffff80000000) : "rax", "memory");
    check_page_fault(0, 0xffffffff80000000, "one beyond the range is not there");
    map_page(root, 0xfffffe8000000000, PHYSICAL(second), KERNEL_PAGE);
    TRY("movb $1, (%0)", : : "r"(0xfffffe8000000000) : "memory");
    check_page_fault(PF_WRITE, 0xfffffe8000000000, "nor where the kernel below is");
    uint64_t *top = VIRTUAL(root);
    top[511] = top[509] = 0;
}

static bool program_is_kept(uint64_t rip)
{
    const uint64_t *registers = &program.frame.r15;

    for (unsigned i = 0; i < 15; i++)
        if (registers[i] != pattern(i) && !(program.frame.vector == VECTOR_SYSCALL && (i == 4 || i == 13)))
            return false;
    return program.frame.rip == rip && program.frame.rsp == USER_STACK && program.frame.cs == SELECTOR_USER_CODE
           && program.frame.ss == SELECTOR_USER_DATA;
}

static void start_with_patterns(const char *start, const char *end)
{
    uint64_t *registers = &program.frame.r15;

    load_program(&program, start, end);
    for (unsigned i = 0; i < 15; i++)
        registers[i] = pattern(i);
    run_user(&program);
}

static void check_programs(void)
{
    static const struct { const char *start, *end, *name; } rows[] = {
        { user_hlt, user_hlt_end, "a program's hlt" }, { user_cli, user_cli_end, "cli" },
        { user_rdmsr, user_rdmsr_end, "rdmsr" }, { user_to_cr3, user_to_cr3_end, "mov to cr3" },
        { user_out, user_out_end, "out" },
    };

    RUN(user_syscall);
    start_with_patterns(user_syscall, user_syscall_end);
    check(program.frame.vector == VECTOR_SYSCALL && program_is_kept(USER_TEXT + 2), "a program's system call");
    check(program.frame.rcx == USER_TEXT + 2 && program.frame.r11 == (RFLAGS_FIXED | RFLAGS_IF), "rcx and r11 of it");
    start_with_patterns(user_int80, user_int80_end);
    check(program.frame.vector == 0x80 && program_is_kept(USER_TEXT + 2), "int $0x80 keeps every register");
    RUN(user_int3);
    check_user_fault(VECTOR_BP, 0, 1, "int3");
    RUN(user_int81);
    check_user_fault(VECTOR_GP, 0x81 * 8 + 2, 0, "int $0x81");
    RUN(user_ud2);
    check_user_fault(VECTOR_UD, 0, 1, "its undefined instruction");
    RUN(user_divide);
    check_user_fault(VECTOR_DE, 0, 2, "its division by zero");
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_code(rows[i].start, rows[i].end);
        check_user_fault(VECTOR_GP, 0, 0, rows[i].name);
    }
    RUN(user_popf);
    check_user_call(RFLAGS_FIXED | RFLAGS_IF, "popf leaves interrupts on");

    load_program(&program, user_bases, user_bases_end);
    program.fs_base = USER_DATA;
    ((uint64_t *)program_data)[0] = 0x6767;
    ((uint64_t *)program_data)[1] = 0x7676;
    shared.gs_base = USER_DATA;
    run_user(&program);
    check(program.frame.rax == 0x6767 && program.frame.rdi == 0x7676, "it has its own bases of FS and GS");
    check_equal(shared.gs_base, USER_DATA, "of which the kernel sees that of GS");
    check_equal(rdmsr(MSR_GS_BASE), (uint64_t)&cpu, "while it has its own");
    program.fs_base = 0;

    unsigned wrong = 0;
    for (int64_t rax = -24; rax <= 24; rax += 4) {
        for (int64_t rdx = -40; rdx <= 40; rdx++) {
            load_program(&program, user_syscall, user_syscall_end);
            program.frame.rax = (uint64_t)rax;
            program.frame.rdx = (uint64_t)rdx;
            wrong += run_user(&program) != VECTOR_SYSCALL || program.frame.rax != (uint64_t)rax
                     || program.frame.rdx != (uint64_t)rdx || program.frame.rsp != USER_STACK;
        }
    }
    check_equal(wrong, 0, "whatever its registers are, a system call goes to its kernel");
    for (int64_t rdx = -40; rdx <= 40; rdx++)
        wrong += hypercall(2, 0, 0, (uint64_t)rdx) != NO_CALL;
    check_equal(wrong, 0, "and the kernel's to the hypervisor");

    load_program(&program, user_loop, user_loop_end);
    shared.event_flags &= ~(uint64_t)PVM_IF;
    start_timer(A_WHILE);
    check_equal(run_user(&program), VECTOR_TIMER, "the timer interrupts a program, whatever the kernel's flag");
    apic_write(APIC_EOI, 0);
    load_program(&program, user_syscall, user_syscall_end);
    program.frame.cs = SELECTOR_USER_CODE32;
    run_user(&program);
    check(program.frame.vector == VECTOR_GP && program.frame.rip == USER_TEXT, "a program of 32 bits cannot be");
    load_program(&program, user_syscall, user_syscall_end);
    program.frame.rip = 0x0000800000000000;
    run_user(&program);
    check(program.frame.vector == VECTOR_GP && program.frame.rip == 0x0000800000000000, "nor one without an address");
}

static void access(const char *start, const char *end, uint64_t address)
{
    load_program(&program, start, end);
    program.frame.rdi = address;
    run_user(&program);
}

static void check_denied(uint64_t error, uint64_t address, const char *name)
{
    bool passed = program.frame.vector == VECTOR_PF && program.frame.error == error && shared.cr2 == address;

    if (!passed)
        print("# vector %lu, error %lx, rip %lx, cr2 %lx\n", program.frame.vector, program.frame.error,
              program.frame.rip, shared.cr2);
    check(passed, name);
}

/* A program's tables without anything of the kernel's; and with it, but not for the program. */
static void check_isolation(void)
{
    static volatile uint64_t secret = 0x5ec3e7;
    uint64_t data = (uint64_t)&secret, fetch = no_execute ? PF_FETCH : 0, page = (uint64_t)&shared;

    access(user_read, user_read_end, data);
    check_denied(PF_USER | PF_PRESENT, data, "a program reads the kernel's data");
    check(program.frame.rax != 0x5ec3e7, "and does not get them");
    access(user_write, user_write_end, data);
    check_denied(PF_USER | PF_PRESENT | PF_WRITE, data, "writes to them");
    check_equal(secret, 0x5ec3e7, "in vain");
    access(user_jump, user_jump_end, (uint64_t)enter_user);
    check_denied(PF_USER | PF_PRESENT | fetch, (uint64_t)enter_user, "executes the kernel's code");
    access(user_read, user_read_end, page);
    check_denied(PF_USER | PF_PRESENT, page, "reads the shared page");
    access(user_write, user_write_end, page + 1);
    check_denied(PF_USER | PF_PRESENT | PF_WRITE, page + 1, "writes its interrupt flag");

    uint64_t *own = page_new(), *both = VIRTUAL(program.root);
    own[USER_SLOT] = both[USER_SLOT];
    hypercall(PVM_LOAD_PGTBL, 0, program.root, PHYSICAL(own));
    load_program(&program, user_syscall, user_syscall_end);
    run_user(&program);
    check(program.frame.vector == VECTOR_SYSCALL && READ_CR(3) == program.root
          && rdmsr(PVM_MSR(PVM_SWITCH_CR3)) == PHYSICAL(own), "user mode has page tables of its own");
    access(user_read, user_read_end, data);
    check_denied(PF_USER, data, "in which nothing is the kernel's");
    hypercall(PVM_LOAD_PGTBL, 0, kernel_root, kernel_root | 1);
    page_free(own);
}

void pvm_checks(void)
{
    check_registers();
    check_exceptions();
    check_interrupts();
    check_translations();
    check_programs();
    check_isolation();
}
