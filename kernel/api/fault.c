/* Faults as messages: seL4 reference manual, chapter 6 (exceptions and faults). */
#include <api/ipc.h>

#include <api/message.h>
#include <arch/x86_64/console.h>
#include <core/lookup.h>
#include <core/scheduler.h>
#include <object/foreign.h>

#define REGISTER(name) (offsetof(struct context, name) / sizeof(uint64_t))

/* Registers of the thread in a message about it, and in the answer. */
static const uint8_t unknown_syscall_registers[] = {
    [seL4_UnknownSyscall_RAX] = REGISTER(rax),
    [seL4_UnknownSyscall_RBX] = REGISTER(rbx),
    [seL4_UnknownSyscall_RCX] = REGISTER(rcx),
    [seL4_UnknownSyscall_RDX] = REGISTER(rdx),
    [seL4_UnknownSyscall_RSI] = REGISTER(rsi),
    [seL4_UnknownSyscall_RDI] = REGISTER(rdi),
    [seL4_UnknownSyscall_RBP] = REGISTER(rbp),
    [seL4_UnknownSyscall_R8] = REGISTER(r8),
    [seL4_UnknownSyscall_R9] = REGISTER(r9),
    [seL4_UnknownSyscall_R10] = REGISTER(r10),
    [seL4_UnknownSyscall_R11] = REGISTER(r11),
    [seL4_UnknownSyscall_R12] = REGISTER(r12),
    [seL4_UnknownSyscall_R13] = REGISTER(r13),
    [seL4_UnknownSyscall_R14] = REGISTER(r14),
    [seL4_UnknownSyscall_R15] = REGISTER(r15),
    [seL4_UnknownSyscall_FaultIP] = REGISTER(fault_ip),
    [seL4_UnknownSyscall_SP] = REGISTER(rsp),
    [seL4_UnknownSyscall_FLAGS] = REGISTER(rflags),
};
static const uint8_t user_exception_registers[] = {
    [seL4_UserException_FaultIP] = REGISTER(fault_ip),
    [seL4_UserException_SP] = REGISTER(rsp),
    [seL4_UserException_FLAGS] = REGISTER(rflags),
};

static_assert(sizeof unknown_syscall_registers == seL4_UnknownSyscall_Syscall, "the registers come first");
static_assert(sizeof user_exception_registers == seL4_UserException_Number, "the registers come first");

static uint64_t *register_of(struct tcb *thread, uint8_t index)
{
    return (uint64_t *)&thread->context + index;
}

static void set_registers(const struct tcb *sender, struct tcb *receiver, uint64_t *buffer, const uint8_t *registers,
                          unsigned count)
{
    const uint64_t *values = (const uint64_t *)&sender->context;

    for (unsigned i = 0; i < count; i++)
        tcb_set_mr(receiver, buffer, i, values[registers[i]]);
}

unsigned fault_set_message(const struct tcb *sender, struct tcb *receiver, uint64_t *buffer)
{
    const struct fault *fault = &sender->fault;
    uint64_t words[LOOKUP_FAILURE_WORDS];
    unsigned length = 0, count;

    switch (fault->type) {
    case seL4_Fault_CapFault:
        tcb_set_mr(receiver, buffer, seL4_CapFault_IP, sender->context.fault_ip);
        tcb_set_mr(receiver, buffer, seL4_CapFault_Addr, fault->address);
        tcb_set_mr(receiver, buffer, seL4_CapFault_InRecvPhase, fault->in_receive_phase);
        count = lookup_failure_words(&fault->lookup, words);
        for (unsigned i = 0; i < count; i++)
            length = tcb_set_mr(receiver, buffer, seL4_CapFault_LookupFailureType + i, words[i]);
        return length;
    case seL4_Fault_UnknownSyscall:
        set_registers(sender, receiver, buffer, unknown_syscall_registers, sizeof unknown_syscall_registers);
        return tcb_set_mr(receiver, buffer, seL4_UnknownSyscall_Syscall, fault->address);
    case seL4_Fault_UserException:
        set_registers(sender, receiver, buffer, user_exception_registers, sizeof user_exception_registers);
        tcb_set_mr(receiver, buffer, seL4_UserException_Number, fault->address);
        return tcb_set_mr(receiver, buffer, seL4_UserException_Code, fault->code);
    case BEAML4_Fault_Foreign:
        return foreign_set_message(sender, receiver, buffer);
    default:
        tcb_set_mr(receiver, buffer, seL4_VMFault_IP, sender->context.fault_ip);
        tcb_set_mr(receiver, buffer, seL4_VMFault_Addr, fault->address);
        tcb_set_mr(receiver, buffer, seL4_VMFault_PrefetchFault, fault->instruction);
        return tcb_set_mr(receiver, buffer, seL4_VMFault_FSR, fault->code);
    }
}

/* VALUE as the register may have it in ring 3. */
static uint64_t fit_register(uint8_t index, uint64_t value)
{
    switch (index) {
    case REGISTER(rflags):
        return context_sanitise_rflags(value);
    case REGISTER(fault_ip):
        return context_sanitise_address(value);
    default:
        return value;
    }
}

static void take_registers(struct tcb *thread, struct tcb *handler, unsigned length, const uint8_t *registers,
                           unsigned count)
{
    const uint64_t *buffer = length > seL4_FastMessageRegisters ? tcb_ipc_buffer(handler, false) : NULL;

    if (!buffer && length > seL4_FastMessageRegisters)
        length = seL4_FastMessageRegisters;
    for (unsigned i = 0; i < length && i < count; i++)
        *register_of(thread, registers[i]) = fit_register(registers[i], tcb_get_mr(handler, buffer, i));
}

bool fault_take_answer(struct tcb *thread, struct tcb *handler)
{
    seL4_MessageInfo_t info = message_info(handler->context.rsi);
    unsigned length = (unsigned)seL4_MessageInfo_get_length(info);

    switch (thread->fault.type) {
    case seL4_Fault_UnknownSyscall:
        take_registers(thread, handler, length, unknown_syscall_registers, sizeof unknown_syscall_registers);
        return seL4_MessageInfo_get_label(info) == 0;
    case seL4_Fault_UserException:
        take_registers(thread, handler, length, user_exception_registers, sizeof user_exception_registers);
        return seL4_MessageInfo_get_label(info) == 0;
    case BEAML4_Fault_Foreign:
        return seL4_MessageInfo_get_label(info) == 0 && foreign_take_answer(thread, handler, length);
    default:
        return true;
    }
}

static void log_fault(const struct tcb *thread, const struct fault *fault)
{
    switch (fault->type) {
    case seL4_Fault_CapFault:
        kernel_log("  capability fault when %s, pointer 0x%lx", fault->in_receive_phase ? "receiving" : "sending",
                   fault->address);
        break;
    case seL4_Fault_UnknownSyscall:
        kernel_log("  unknown system call 0x%lx", fault->address);
        break;
    case seL4_Fault_UserException:
        kernel_log("  exception %lu, error code 0x%lx", fault->address, fault->code);
        break;
    case BEAML4_Fault_Foreign:
        kernel_log("  foreign, of kind %u: exception %u, error code 0x%lx, address 0x%lx", fault->foreign_kind,
                   fault->foreign_vector, fault->code, fault->address);
        break;
    default:
        kernel_log("  page fault on %s at 0x%lx, error code 0x%lx", fault->instruction ? "a fetch" : "data",
                   fault->address, fault->code);
        break;
    }
    kernel_log("  rip 0x%lx, rsp 0x%lx, fault handler 0x%lx", thread->context.fault_ip, thread->context.rsp,
               thread->fault_handler);
}

void fault_report(struct cpu *cpu, struct tcb *thread, const struct fault *fault)
{
    struct lookup_failure failure;
    struct slot *slot = lookup_slot(thread, thread->fault_handler, &failure);

    if (slot && slot->cap.type == CAP_ENDPOINT && (cap_rights(slot->cap) & RIGHT_WRITE)
        && (cap_rights(slot->cap) & (RIGHT_GRANT | RIGHT_GRANT_REPLY))) {
        struct send send = {
            .blocking = true,
            .call = true,
            .can_grant = cap_rights(slot->cap) & RIGHT_GRANT,
            .can_grant_reply = true,
            .badge = slot->cap.data,
        };

        thread->fault = *fault;
        endpoint_send(cpu, thread, cap_object(slot->cap), send);
        return;
    }
    kernel_log("thread \"%s\" stops: nobody handles its fault", thread->name);
    log_fault(thread, fault);
    thread_set_state(cpu, thread, THREAD_INACTIVE);
}
