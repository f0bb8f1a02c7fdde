/* What a thread does wrong, as its fault handler is told. */
#include "tests/kernel/harness.h"

#define NOT_CANONICAL 0x0000900000000000ul
#define UNMAPPED      WINDOW

/* Bits of the page fault error code. */
#define FSR_PRESENT 1u
#define FSR_WRITE   2u
#define FSR_USER    4u
#define FSR_FETCH   16u

struct culprit {
    struct thread *thread;
    seL4_CPtr endpoint;
    seL4_MessageInfo_t info; /* of the fault message, whose words are in the IPC buffer */
};

/* Runs a thread at CODE, which faults at once, and takes the fault. */
static struct culprit provoke(struct env *e, const void *code, seL4_UserContext regs)
{
    struct culprit c = { .endpoint = new_object(e, seL4_EndpointObject, 0) };
    seL4_Word badge;

    c.thread = new_thread(e, badged(e, c.endpoint, 0xbad));
    start_at(c.thread, code, regs, ABOVE_ROOT);
    c.info = seL4_NBRecv(c.endpoint, &badge);
    EXPECT_EQ(badge, 0xbad);
    return c;
}

static void expect_exception(struct env *e, const void *code, seL4_UserContext regs, seL4_Word number, seL4_Word error)
{
    struct culprit c = provoke(e, code, regs);

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_MessageInfo_get_length(c.info), seL4_UserException_Length);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), number);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Code), error);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FaultIP), code);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_SP), c.thread->stack + c.thread->stack_bytes);
}

static void expect_page_fault(struct env *e, const void *code, seL4_UserContext regs, seL4_Word ip, seL4_Word address,
                              seL4_Word status)
{
    struct culprit c = provoke(e, code, regs);

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_VMFault);
    EXPECT_EQ(seL4_MessageInfo_get_length(c.info), seL4_VMFault_Length);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_IP), ip);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_Addr), address);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_FSR), status);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_PrefetchFault), (status & FSR_FETCH) != 0);
}

/* Instructions to start threads at: NAME is the first one's address. Behind each, ud2. */
#define SNIPPET(name, ...)             \
    extern const char name[];          \
    __asm__(".pushsection .text\n"     \
            #name ":\n"                \
            __VA_ARGS__ "\n"           \
            "ud2\n"                    \
            ".popsection")

#define REGISTERS(...) ((seL4_UserContext) { __VA_ARGS__ })

SNIPPET(divide_by_zero, "div %ebx");
SNIPPET(invalid_instruction, "ud2");
SNIPPET(breakpoint, "int3");
SNIPPET(breakpoint_int, "int $3");
SNIPPET(halt, "hlt");
SNIPPET(disable_interrupts, "cli");
SNIPPET(read_port, "inb $0x60, %al");
SNIPPET(read_msr, "rdmsr");
SNIPPET(read_cr0, "movq %cr0, %rax");
SNIPPET(read_dr7, "movq %dr7, %rax");
SNIPPET(load_idt, "lidt (%rsp)");
SNIPPET(interrupt_gate, "int $0x20");
SNIPPET(timer_gate, "int $0x9d");
SNIPPET(page_fault_gate, "int $14");
SNIPPET(load_kernel_segment, "movl $0x10, %eax\n movl %eax, %ds");
SNIPPET(load_missing_segment, "movl $0x7b, %eax\n movl %eax, %fs");
SNIPPET(jump_to_kernel_segment, "ljmpl *1f(%rip)\n 1: .long 0\n .word 8");
SNIPPET(read_memory, "movq (%rax), %rbx");
SNIPPET(write_memory, "movq %rbx, (%rax)");
SNIPPET(push_to_stack, "pushq %rax");
SNIPPET(jump_to_rax, "jmp *%rax");
SNIPPET(trap_a0, "int $0xa0");
SNIPPET(trap_fe, "int $0xfe");
SNIPPET(trap_ff, "int $0xff");
SNIPPET(single_step, "pushfq\n orl $0x100, (%rsp)\n popfq\n nop\n nop");
SNIPPET(single_step_syscall, "pushfq\n orl $0x100, (%rsp)\n movq $-7, %rdx\n popfq\n syscall\n nop");
SNIPPET(system_enter, "sysenter");
SNIPPET(old_interrupt, ".byte 0xce"); /* INTO */

TEST(division_by_zero_is_exception_0)
{
    expect_exception(e, divide_by_zero, REGISTERS(.rax = 1), 0, 0);
}

TEST(invalid_instructions_are_exception_6)
{
    expect_exception(e, invalid_instruction, REGISTERS(0), 6, 0);
    expect_exception(e, old_interrupt, REGISTERS(0), 6, 0);
}

TEST(breakpoint_is_exception_3_behind_the_instruction)
{
    struct culprit c = provoke(e, breakpoint, REGISTERS(0));

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 3);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FaultIP), breakpoint + 1);
    provoke(e, breakpoint_int, REGISTERS(0));
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 3);
}

TEST(privileged_instructions_are_exception_13)
{
    expect_exception(e, halt, REGISTERS(0), 13, 0);
    expect_exception(e, disable_interrupts, REGISTERS(0), 13, 0);
    expect_exception(e, read_port, REGISTERS(0), 13, 0);
    expect_exception(e, read_msr, REGISTERS(.rcx = 0xc0000080), 13, 0);
    expect_exception(e, read_cr0, REGISTERS(0), 13, 0);
    expect_exception(e, read_dr7, REGISTERS(0), 13, 0);
    expect_exception(e, load_idt, REGISTERS(0), 13, 0);
}

/* The error code names the gate. QEMU counts in gates of 16 bytes there, processors in such of 8. */
static void expect_closed_gate(struct env *e, const void *code, seL4_Word vector)
{
    struct culprit c = provoke(e, code, REGISTERS(0));
    seL4_Word error = seL4_GetMR(seL4_UserException_Code);

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 13);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FaultIP), code);
    EXPECT(error == vector * 8 + 2 || error == vector * 16 + 2);
}

TEST(gates_of_the_kernel_are_closed_to_int)
{
    expect_closed_gate(e, interrupt_gate, 0x20);
    expect_closed_gate(e, timer_gate, 0x9d);
    expect_closed_gate(e, page_fault_gate, 14);
}

TEST(selectors_of_the_kernel_cannot_be_loaded)
{
    struct culprit c = provoke(e, load_kernel_segment, REGISTERS(0));

    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 13);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Code), 0x10);
    (void)c;
    provoke(e, load_missing_segment, REGISTERS(0));
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 13);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Code), 0x78);
    provoke(e, jump_to_kernel_segment, REGISTERS(0));
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 13);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Code), 8);
}

TEST(sysenter_leads_nowhere)
{
    struct culprit c = provoke(e, system_enter, REGISTERS(0));

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FaultIP), system_enter);
}

TEST(data_page_faults_tell_address_and_access)
{
    expect_page_fault(e, read_memory, REGISTERS(.rax = UNMAPPED + 5), (seL4_Word)read_memory, UNMAPPED + 5, FSR_USER);
    expect_page_fault(e, write_memory, REGISTERS(.rax = UNMAPPED + 8), (seL4_Word)write_memory, UNMAPPED + 8,
                      FSR_USER | FSR_WRITE);
    expect_page_fault(e, read_memory, REGISTERS(.rax = 0), (seL4_Word)read_memory, 0, FSR_USER);
}

TEST(write_to_a_read_only_page_is_a_protection_fault)
{
    map_new_page(e, WINDOW, seL4_CanRead);
    expect_page_fault(e, write_memory, REGISTERS(.rax = WINDOW), (seL4_Word)write_memory, WINDOW,
                      FSR_USER | FSR_WRITE | FSR_PRESENT);
}

TEST(fetch_from_an_unmapped_page_is_a_prefetch_fault)
{
    expect_page_fault(e, jump_to_rax, REGISTERS(.rax = UNMAPPED), UNMAPPED, UNMAPPED, FSR_USER | FSR_FETCH);
}

TEST(kernel_addresses_cannot_be_touched)
{
    struct culprit c = provoke(e, read_memory, REGISTERS(.rax = 0xfffffe8000100000));

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_VMFault);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_Addr), 0xfffffe8000100000);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_FSR) & (FSR_USER | FSR_WRITE | FSR_FETCH), FSR_USER);
    c = provoke(e, write_memory, REGISTERS(.rax = 0xffffff8000100000));
    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_VMFault);
    c = provoke(e, jump_to_rax, REGISTERS(.rax = 0xfffffe8000101000));
    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_VMFault);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_IP), 0xfffffe8000101000);
    EXPECT_EQ(seL4_GetMR(seL4_VMFault_PrefetchFault), 1);
}

TEST(addresses_that_are_not_canonical_are_exceptions)
{
    expect_exception(e, read_memory, REGISTERS(.rax = NOT_CANONICAL), 13, 0);

    struct culprit c = provoke(e, push_to_stack, REGISTERS(.rsp = NOT_CANONICAL));
    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    seL4_Word number = seL4_GetMR(seL4_UserException_Number);
    EXPECT(number == 12 || number == 13); /* QEMU knows no stack fault here */
    EXPECT_EQ(seL4_GetMR(seL4_UserException_SP), NOT_CANONICAL);
    c = provoke(e, jump_to_rax, REGISTERS(.rax = NOT_CANONICAL));
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 13);
}

TEST(thread_can_be_sent_back_to_where_it_jumped_in_vain)
{
    struct culprit c = provoke(e, jump_to_rax, REGISTERS(.rax = NOT_CANONICAL));
    seL4_Word badge;

    /* Which address that is depends on the processor; either way it faults again. */
    seL4_Reply(seL4_MessageInfo_new(0, 0, 0, 0));
    c.info = seL4_NBRecv(c.endpoint, &badge);
    EXPECT_EQ(badge, 0xbad);
    EXPECT(seL4_MessageInfo_get_label(c.info) == seL4_Fault_UserException
           || seL4_MessageInfo_get_label(c.info) == seL4_Fault_VMFault);
}

static void expect_trap(struct env *e, const void *code, seL4_UserContext regs, seL4_Word number)
{
    struct culprit c = provoke(e, code, regs);

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UnknownSyscall);
    EXPECT_EQ(seL4_MessageInfo_get_length(c.info), seL4_UnknownSyscall_Length);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_Syscall), number);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_FaultIP), code);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_RAX), regs.rax);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_RCX), regs.rcx);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_R11), regs.r11);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_SP), c.thread->stack + c.thread->stack_bytes);
}

TEST(int_of_a_high_vector_is_an_unknown_system_call)
{
    expect_trap(e, trap_a0, REGISTERS(.rax = 0x1122334455667788, .rcx = 1, .r11 = 2), 0xffffffffa0667788);
    expect_trap(e, trap_fe, REGISTERS(.rax = 7), 0xfffffffffe000007);
}

TEST(int_of_the_spurious_vector_does_nothing)
{
    struct culprit c = provoke(e, trap_ff, REGISTERS(0));

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 6);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FaultIP), trap_ff + 2);
}

TEST(single_stepping_is_exception_1)
{
    struct culprit c = provoke(e, single_step, REGISTERS(0));

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 1);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FLAGS) & 0x100, 0x100);
    EXPECT(seL4_GetMR(seL4_UserException_FaultIP) > (seL4_Word)single_step);
}

TEST(single_stepping_over_a_system_call_stays_in_user_mode)
{
    if (!e->is_ours)
        skip(e, "upstream's kernel stops where the processor traps behind SYSCALL, as Bochs does");

    struct culprit c = provoke(e, single_step_syscall, REGISTERS(0));

    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 1);
    EXPECT(seL4_GetMR(seL4_UserException_FaultIP) > (seL4_Word)single_step_syscall);
    EXPECT(seL4_GetMR(seL4_UserException_FaultIP) < (seL4_Word)single_step_syscall + 64);
    (void)c;
}

TEST(handler_can_move_a_thread_past_its_exception)
{
    struct culprit c = provoke(e, invalid_instruction, REGISTERS(0));
    seL4_Word badge;

    seL4_SetMR(seL4_UserException_FaultIP, (seL4_Word)breakpoint);
    seL4_SetMR(seL4_UserException_FLAGS, 0x202 | 0x400 | 0x3000);
    seL4_Reply(seL4_MessageInfo_new(0, 0, 0, 3));
    c.info = seL4_NBRecv(c.endpoint, &badge);
    EXPECT_EQ(badge, 0xbad);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 3);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FaultIP), breakpoint + 1);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_FLAGS) & 0x3400, 0x400);
}

TEST(handler_that_replies_with_a_label_stops_the_thread)
{
    struct culprit c = provoke(e, invalid_instruction, REGISTERS(0));
    seL4_Word badge = 5;

    seL4_Reply(seL4_MessageInfo_new(1, 0, 0, 0));
    seL4_NBRecv(c.endpoint, &badge);
    EXPECT_EQ(badge, 0);
}

TEST(page_fault_is_repaired_and_the_access_done_again)
{
    struct culprit c = provoke(e, read_memory, REGISTERS(.rax = WINDOW));
    seL4_Word badge;

    EXPECT_EQ(seL4_GetMR(seL4_VMFault_Addr), WINDOW);
    map_new_page(e, WINDOW, seL4_ReadWrite);
    *(volatile seL4_Word *)WINDOW = 0x77;
    seL4_Reply(seL4_MessageInfo_new(0, 0, 0, 0));
    c.info = seL4_NBRecv(c.endpoint, &badge);
    EXPECT_EQ(seL4_MessageInfo_get_label(c.info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 6);

    seL4_UserContext regs;
    EXPECT_OK(seL4_TCB_ReadRegisters(c.thread->tcb, 0, 0, sizeof regs / sizeof(seL4_Word), &regs));
    EXPECT_EQ(regs.rbx, 0x77);
}

TEST(fault_without_a_handler_stops_the_thread)
{
    struct thread *t = new_thread(e, 0);
    seL4_UserContext regs;

    start_at(t, invalid_instruction, REGISTERS(0), ABOVE_ROOT);
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 0, 0, sizeof regs / sizeof(seL4_Word), &regs));
    EXPECT_EQ(regs.rip, invalid_instruction);
}
