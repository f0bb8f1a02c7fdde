/* What the entry code calls. SDM 3A chapter 6 (interrupts and exceptions). */
#include <api/ipc.h>
#include <api/syscall.h>
#include <arch/x86_64/apic.h>
#include <arch/x86_64/entry.h>
#include <arch/x86_64/segments.h>
#include <arch/x86_64/stacks.h>
#include <arch/x86_64/x86.h>
#include <core/scheduler.h>
#include <object/foreign.h>
#include <object/irq.h>

enum exception {
    EXCEPTION_DEBUG = 1,
    EXCEPTION_NMI = 2,
    EXCEPTION_DOUBLE_FAULT = 8,
    EXCEPTION_GENERAL_PROTECTION = 13,
    EXCEPTION_PAGE_FAULT = 14,
    EXCEPTION_MACHINE_CHECK = 18,
};

#define FSR_INSTRUCTION_FETCH (1u << 4) /* page fault error code, SDM 3A 4.7 */

/* Error code that names a gate (SDM 3A 6.13). */
#define ERROR_IDT         2u
#define ERROR_INDEX_SHIFT 3

#define DR6_AT_RESET 0xffff0ff0 /* SDM 3A 17.2.3 */

#define SYSCALL_INSTRUCTION_SIZE 2
#define INT_INSTRUCTION_SIZE     2

#define PORT_SYSTEM_B 0x61 /* says what raised an NMI on a PC */

/* The number of the unknown system call that INT makes: vector and low bits of rax, as a signed 32-bit number. */
static uint64_t trap_number(unsigned vector, uint64_t rax)
{
    return (uint64_t)(int64_t)(int32_t)(vector << 24 | ((uint32_t)rax & 0xffffff));
}

static void take_fault(struct cpu *cpu, struct context *context, unsigned vector)
{
    struct fault fault = { .type = seL4_Fault_UserException, .address = vector, .code = (uint32_t)context->error };

    if (vector == EXCEPTION_PAGE_FAULT) {
        fault.type = seL4_Fault_VMFault;
        fault.address = read_cr2();
        fault.instruction = fault.code & FSR_INSTRUCTION_FETCH;
    } else if (vector >= VECTOR_TRAP_FIRST) {
        context->fault_ip -= INT_INSTRUCTION_SIZE;
        fault.type = seL4_Fault_UnknownSyscall;
        fault.address = trap_number(vector, context->rax);
    }
    fault_report(cpu, cpu->current, &fault);
}

/* INT to a vector that others may use for system calls of their own is for a foreign thread as any other. */
static void take_foreign_fault(struct cpu *cpu, struct context *context, unsigned vector)
{
    uint64_t error = context->error, address = 0;

    if (vector == EXCEPTION_PAGE_FAULT) {
        foreign_report(cpu, BEAML4_FOREIGN_PAGE_FAULT, vector, error, read_cr2());
        return;
    }
    if (vector == EXCEPTION_DEBUG) {
        address = read_dr6();
        write_dr6(DR6_AT_RESET);
    } else if (vector >= VECTOR_TRAP_FIRST) {
        context->fault_ip -= INT_INSTRUCTION_SIZE;
        error = vector << ERROR_INDEX_SHIFT | ERROR_IDT;
        vector = EXCEPTION_GENERAL_PROTECTION;
    }
    foreign_report(cpu, BEAML4_FOREIGN_EXCEPTION, vector, error, address);
}

void trap_interrupt(struct cpu *cpu, unsigned vector)
{
    if (vector == VECTOR_SPURIOUS)
        return; /* there is nothing in service */
    if (vector == VECTOR_TIMER)
        schedule_tick(cpu);
    else
        irq_arrived(cpu, vector - VECTOR_IRQ_FIRST);
    apic_end_of_interrupt();
}

static bool is_interrupt(unsigned vector)
{
    return (vector >= VECTOR_IRQ_FIRST && vector <= VECTOR_IRQ_LAST) || vector == VECTOR_SPURIOUS;
}

void trap_from_user(struct context *context)
{
    struct cpu *cpu = cpu_self();
    unsigned vector = (unsigned)context->entry;

    segments_save(&cpu->arch, context);
    context->fault_ip = context->rip;
    if (is_interrupt(vector))
        trap_interrupt(cpu, vector);
    else if (thread_is_foreign(cpu->current))
        take_foreign_fault(cpu, context, vector);
    else
        take_fault(cpu, context, vector);
    schedule_and_leave(cpu);
}

void trap_syscall(uint64_t destination, uint64_t info, uint64_t number)
{
    struct cpu *cpu = cpu_self();
    struct context *context = &cpu->current->context;

    segments_save(&cpu->arch, context);
    context->fault_ip = context->rip - SYSCALL_INSTRUCTION_SIZE;
    if (thread_is_foreign(cpu->current))
        foreign_report(cpu, BEAML4_FOREIGN_SYSCALL, 0, 0, 0);
    else
        syscall_handle(cpu, destination, info, (int64_t)number);
    schedule_and_leave(cpu);
}

static void log_registers(const struct context *context)
{
    kernel_log("rip %016lx  cs %lx  rflags %lx  rsp %016lx  ss %lx  error %lx", context->rip, context->cs,
               context->rflags, context->rsp, context->ss, context->error);
    kernel_log("rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx", context->rax, context->rbx, context->rcx,
               context->rdx);
    kernel_log("rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx", context->rsi, context->rdi, context->rbp, context->r8);
    kernel_log("r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx", context->r9, context->r10, context->r11, context->r12);
    kernel_log("r13 %016lx  r14 %016lx  r15 %016lx", context->r13, context->r14, context->r15);
    kernel_log("cr0 %lx  cr2 %016lx  cr3 %lx  cr4 %lx", read_cr0(), read_cr2(), read_cr3(), read_cr4());
}

void trap_from_kernel(struct context *context)
{
    struct cpu *cpu = cpu_self();
    unsigned vector = (unsigned)context->entry;

    if (cpu->arch.idle && is_interrupt(vector)) {
        cpu->arch.idle = false;
        trap_interrupt(cpu, vector);
        schedule_and_leave(cpu);
    }
    if (vector == EXCEPTION_GENERAL_PROTECTION && context->rip == (uint64_t)rdmsr_checked_instruction) {
        context->rip = (uint64_t)rdmsr_checked_fault;
        return;
    }
    if (!cpu->arch.kernel_faulted) {
        cpu->arch.kernel_faulted = true;
        log_registers(context);
    }
    kernel_panic("exception %u inside the kernel", vector);
}

void trap_take_interrupts(struct cpu *cpu)
{
    cpu->arch.idle = true;
    __asm__ volatile("sti; nop; cli" : : : "memory");
    cpu->arch.idle = false;
    schedule_and_leave(cpu);
}

/* Here GS may be anybody's, and the stack is small. */
void trap_on_own_stack(struct context *context)
{
    /* The kernel uses no breakpoints: a user's single step went too far. */
    if (context->entry == EXCEPTION_DEBUG)
        return;
    if (context->entry == EXCEPTION_NMI) {
        kernel_log("non-maskable interrupt at %p; system control port B %x", (void *)context->rip, in8(PORT_SYSTEM_B));
        return;
    }
    log_registers(context);
    if (context->entry == EXCEPTION_MACHINE_CHECK)
        kernel_panic("machine check: the hardware reported an uncorrectable error");
    if (stack_is_guard_page(read_cr2()))
        kernel_panic("a kernel stack overflowed");
    kernel_panic("double fault");
}
