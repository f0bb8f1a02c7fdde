/* SYSCALL and SYSRET, and the other ways from a user program into the kernel. (SDM 2B SYSCALL, SYSRET) */
#include "guests/tour/tour.h"

USER_CODE(user_syscall, "syscall");
USER_CODE(user_syscall_twice, "syscall; movq %rcx, %r8; movq %r11, %r9; syscall");
USER_CODE(user_int80, "int $0x80");
USER_CODE(user_int81, "int $0x81");
USER_CODE(user_int3, "int3");
USER_CODE(user_flags, "std; stc; syscall");
USER_CODE(user_gs, "movq %gs:0, %rax; movq %fs:8, %rdi; syscall");

static uint64_t pattern(unsigned number)
{
    return 0x1000100010001ul * (number + 1) ^ 0xfedcba9876543210;
}

static uint64_t *registers(struct frame *frame)
{
    return &frame->r15;
}

#define REGISTERS 15u
#define AT_R11 4u
#define AT_RDX 12u
#define AT_RCX 13u
#define AT_RAX 14u

static void set_registers(struct frame *frame)
{
    for (unsigned i = 0; i < REGISTERS; i++)
        registers(frame)[i] = pattern(i);
}

/* That the registers are as they were set, but for rcx and r11, which the instruction has changed. */
static bool registers_are_kept(const struct frame *frame, uint64_t rax, uint64_t rdx)
{
    for (unsigned i = 0; i < REGISTERS; i++) {
        uint64_t expected = i == AT_RAX ? rax : i == AT_RDX ? rdx : pattern(i);

        if (i == AT_RCX || i == AT_R11)
            continue;
        if (registers((struct frame *)frame)[i] != expected) {
            print("# register %u is %lx, expected %lx\n", i, registers((struct frame *)frame)[i], expected);
            return false;
        }
    }
    return true;
}

/* Whatever is in the registers: a system call goes to the kernel of the program that made it, and nowhere else. */
static void check_every_argument(void)
{
    unsigned wrong = 0, lost = 0;

    for (int64_t rax = -24; rax <= 24; rax += 4) {
        for (int64_t rdx = -40; rdx <= 40; rdx++) {
            load_program(&program, user_syscall, user_syscall_end);
            set_registers(&program.frame);
            program.frame.rax = (uint64_t)rax;
            program.frame.rdx = (uint64_t)rdx;
            if (run_user(&program) != VECTOR_SYSCALL) {
                lost++;
                continue;
            }
            const struct frame *frame = &program.frame;
            wrong += !registers_are_kept(frame, (uint64_t)rax, (uint64_t)rdx) || frame->rip != USER_TEXT + 2
                     || frame->rsp != USER_STACK || frame->rflags != (RFLAGS_FIXED | RFLAGS_IF);
        }
    }
    check_equal(lost, 0, "every system call with rdx from -40 to 40 arrives at the kernel");
    check_equal(wrong, 0, "with all of its registers, rsp, and flags");
}

static void check_syscall(void)
{
    RUN(user_syscall);
    check_equal(program.frame.vector, VECTOR_SYSCALL, "a system call");
    check(program.frame.rip == USER_TEXT + 2 && program.frame.rcx == USER_TEXT + 2, "rcx has where to go on");
    check_equal(program.frame.r11, RFLAGS_FIXED | RFLAGS_IF, "r11 has the flags");
    check_equal(rdmsr(MSR_GS_BASE), (uint64_t)&cpu, "the kernel has its own base of GS again");
    check_every_argument();

    load_program(&program, user_syscall_twice, user_syscall_twice_end);
    run_user(&program);
    set_registers(&program.frame);
    program.frame.rsp = USER_STACK - 0x123;
    program.frame.rflags |= RFLAGS_CF | RFLAGS_OF | RFLAGS_ID;
    program.by_sysret = true;
    run_user(&program);
    program.by_sysret = false;
    check_equal(program.frame.r8, USER_TEXT + 2, "after sysret, rcx has where it went on");
    check_equal(program.frame.r9, program.frame.rflags, "and r11 the flags");
    check_equal(program.frame.rflags, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_CF | RFLAGS_OF | RFLAGS_ID, "which it loaded");
    check(program.frame.rsp == USER_STACK - 0x123 && program.frame.r15 == pattern(0) && program.frame.rdi == pattern(8),
          "and the registers that the kernel gave it");

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
    RUN(user_syscall);
    check_user_fault(VECTOR_UD, 0, 0, "syscall while EFER.SCE is clear");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
}

/* Another way into the kernel, which keeps the flags that it was entered with. */
extern char take_syscall_flags[];
extern uint64_t flags_at_entry, selectors_at_entry;
uint64_t flags_at_entry, selectors_at_entry;
__asm__(".pushsection .text\n"
        "take_syscall_flags:\n"
        "\tswapgs; movq %rsp, %gs:24; movq %gs:16, %rsp\n"
        "\tpushfq; popq flags_at_entry(%rip)\n"
        "\tpushq %rax; movl %cs, %eax; shll $16, %eax; movw %ss, %ax; movl %eax, selectors_at_entry(%rip); popq %rax\n"
        "\tmovq %gs:24, %rsp; swapgs; jmp take_syscall\n"
        ".popsection");

static void check_masked_flags(void)
{
    wrmsr(MSR_LSTAR, (uint64_t)take_syscall_flags);
    RUN(user_flags);
    if (!on_qemu) /* whose processor loses those that it keeps elsewhere */
        check_equal(flags_at_entry, RFLAGS_FIXED | RFLAGS_CF,
                    "the kernel's flags are the program's without those of FMASK");
    check_equal(selectors_at_entry, SELECTOR_CODE << 16 | SELECTOR_DATA, "its selectors follow from STAR");
    check(program.frame.rflags & RFLAGS_DF, "the program's are what they were");
    wrmsr(MSR_FMASK, 0);
    RUN(user_flags);
    check(flags_at_entry & RFLAGS_IF, "an empty FMASK leaves interrupts enabled");
    if (!on_qemu)
        check_equal(flags_at_entry & (RFLAGS_DF | RFLAGS_CF), RFLAGS_DF | RFLAGS_CF,
                    "and the other flags as they were");
    cli();
    wrmsr(MSR_FMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
    wrmsr(MSR_LSTAR, (uint64_t)take_syscall);
}

static void check_interrupts(void)
{
    RUN(user_int80);
    check_user_fault(0x80, 0, 2, "int $0x80, whose gate is for user programs");
    RUN(user_int81);
    check_user_fault(VECTOR_GP, gate_error(0x81), 0, "int $0x81, whose gate is not");
    RUN(user_int3);
    check_user_fault(VECTOR_BP, 0, 1, "int3");
    idt[VECTOR_BP].type = GATE_INTERRUPT;
    RUN(user_int3);
    idt[VECTOR_BP].type = GATE_USER_INTERRUPT;
    check_user_fault(VECTOR_GP, gate_error(VECTOR_BP), 0, "int3 whose gate is the kernel's alone");
    load_program(&program, user_int80, user_int80_end);
    set_registers(&program.frame);
    run_user(&program);
    bool kept = true;
    for (unsigned i = 0; i < REGISTERS; i++)
        kept = kept && registers(&program.frame)[i] == pattern(i);
    check(kept, "an interrupt keeps every register");
    set_gate(0x80, (uint64_t)vectors + 0x80 * 16, GATE_USER_INTERRUPT, IST_SPARE);
    load_program(&program, user_int80, user_int80_end);
    set_registers(&program.frame);
    run_user(&program);
    check(program.frame.vector == 0x80 && program.frame.rip == USER_TEXT + 2 && program.frame.rbx == pattern(11)
          && program.frame.rsp == USER_STACK, "also on a stack of its own");
    set_gate(0x80, (uint64_t)vectors + 0x80 * 16, GATE_USER_INTERRUPT, 0);
}

static void check_bases(void)
{
    load_program(&program, user_gs, user_gs_end);
    program.fs_base = USER_DATA;
    ((uint64_t *)program_data)[0] = 0x6767;
    ((uint64_t *)program_data)[1] = 0x7676;
    wrmsr(MSR_KERNEL_GS_BASE, USER_DATA);
    run_user(&program);
    check(program.frame.rax == 0x6767 && program.frame.rdi == 0x7676, "a program has its own bases of FS and GS");
    check_equal(rdmsr(MSR_KERNEL_GS_BASE), USER_DATA, "which swapgs puts aside");
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    program.fs_base = 0;
}

void syscall_checks(void)
{
    check_syscall();
    check_masked_flags();
    check_interrupts();
    check_bases();
}
