/* seL4 reference manual, 2.2 (system calls). */
#include <api/syscall.h>

#include <api/invocation.h>
#include <api/ipc.h>
#include <api/message.h>
#include <core/lookup.h>
#include <core/scheduler.h>
#include <object/cnode.h>
#include <object/domain.h>
#include <object/ioport.h>
#include <object/iospace.h>
#include <object/irq.h>
#include <object/untyped.h>
#include <object/vcpu.h>
#include <object/vspace.h>

static void report_cap_fault(struct cpu *cpu, uint64_t pointer, bool receiving, struct lookup_failure failure)
{
    struct fault fault = {
        .type = seL4_Fault_CapFault,
        .in_receive_phase = receiving,
        .address = pointer,
        .lookup = failure,
    };

    fault_report(cpu, cpu->current, &fault);
}

/* What the kernel itself answers to a call: how much of WORDS fits, as the message registers allow. */
static void answer(struct tcb *thread, uint64_t label, const uint64_t *words, unsigned count)
{
    uint64_t *buffer = count > seL4_FastMessageRegisters ? tcb_ipc_buffer(thread, true) : NULL;
    unsigned length = 0;

    for (unsigned i = 0; i < count; i++)
        length = tcb_set_mr(thread, buffer, i, words[i]);
    thread->context.rdi = 0;
    thread->context.rsi = seL4_MessageInfo_new(label, 0, 0, length).words[0];
}

static void invoke_object(struct invocation *call)
{
    switch (call->cap.type) {
    case CAP_UNTYPED:
        untyped_invoke(call);
        break;
    case CAP_CNODE:
        cnode_invoke(call);
        break;
    case CAP_THREAD:
        tcb_invoke(call);
        break;
    case CAP_IRQ_CONTROL:
        irq_control_invoke(call);
        break;
    case CAP_IRQ_HANDLER:
        irq_handler_invoke(call);
        break;
    case CAP_DOMAIN:
        domain_invoke(call);
        break;
    case CAP_FRAME:
    case CAP_PAGE_TABLE:
    case CAP_PAGE_DIRECTORY:
    case CAP_PDPT:
    case CAP_PML4:
    case CAP_ASID_CONTROL:
    case CAP_ASID_POOL:
        vspace_invoke(call);
        break;
    case CAP_IO_PORT_CONTROL:
        ioport_control_invoke(call);
        break;
    case CAP_IO_PORT:
        ioport_invoke(call);
        break;
    case CAP_IO_SPACE:
    case CAP_IO_PAGE_TABLE:
        iospace_invoke(call);
        break;
    case CAP_VCPU:
        vcpu_invoke(call);
        break;
    case CAP_EPT_PAGE_TABLE:
    case CAP_EPT_PAGE_DIRECTORY:
    case CAP_EPT_PDPT:
    case CAP_EPT_PML4:
        ept_invoke(call);
        break;
    default:
        fail_capability(call, 0);
        break;
    }
}

/* The caller counts as about to do its system call again until the invocation is through: it does so where that is
 * preempted, and also if the invocation stops the caller itself and someone resumes it. */
static void run_invocation(struct invocation *call)
{
    struct tcb *caller = call->caller;

    call->outcome = INVOCATION_DONE;
    call->result_count = 0;
    call->result_label = 0;
    call->no_reply = false;
    thread_set_state(call->cpu, caller, THREAD_RESTART);
    invoke_object(call);
    if (call->outcome == INVOCATION_PREEMPTED || caller->state != THREAD_RESTART)
        return;
    thread_set_state(call->cpu, caller, THREAD_RUNNING);
    if (!call->is_call || (call->outcome == INVOCATION_DONE && call->no_reply))
        return;
    answer(caller, call->outcome == INVOCATION_FAILED ? (uint64_t)call->error : call->result_label, call->results,
           call->result_count);
}

/* Endpoints, notifications and reply capabilities: the object is another thread, in effect. False: it is not. */
static bool send_message(struct invocation *call)
{
    struct cpu *cpu = call->cpu;
    struct cap cap = call->cap;

    switch (cap.type) {
    case CAP_ENDPOINT: {
        struct send send = {
            .blocking = call->blocking,
            .call = call->is_call,
            .can_grant = cap_rights(cap) & RIGHT_GRANT,
            .can_grant_reply = cap_rights(cap) & RIGHT_GRANT_REPLY,
            .badge = cap.data,
        };

        if (!(cap_rights(cap) & RIGHT_WRITE))
            return false;
        endpoint_send(cpu, call->caller, cap_object(cap), send);
        return true;
    }
    case CAP_NOTIFICATION:
        if (!(cap_rights(cap) & RIGHT_WRITE))
            return false;
        notification_signal(cpu, cap_object(cap), cap.data);
        break;
    case CAP_REPLY:
        if (reply_is_master(cap))
            return false;
        ipc_reply(cpu, call->caller, cap_object(cap), call->slot, reply_can_grant(cap));
        break;
    default:
        return false;
    }
    if (call->is_call)
        answer(call->caller, 0, NULL, 0);
    return true;
}

static void invoke(struct cpu *cpu, uint64_t destination, uint64_t info_word, bool is_call, bool blocking)
{
    struct tcb *thread = cpu->current;
    seL4_MessageInfo_t info = message_info(info_word);
    struct lookup_failure failure;
    struct invocation call; /* set member by member: it is large, and this is the path of every message */
    struct fault fault;

    call.slot = lookup_slot(thread, destination, &failure);
    if (!call.slot) {
        if (blocking)
            report_cap_fault(cpu, destination, false, failure);
        return;
    }
    call.cpu = cpu;
    call.caller = thread;
    call.cap = call.slot->cap;
    call.is_call = is_call;
    call.blocking = blocking;
    call.extra_count = 0;
    if (seL4_MessageInfo_get_extraCaps(info) > 0
        && !message_extra_slots(thread, tcb_ipc_buffer(thread, false), info, call.extra, &call.extra_count, &fault)) {
        if (blocking)
            fault_report(cpu, thread, &fault);
        return;
    }
    if (send_message(&call))
        return;
    call.buffer = tcb_ipc_buffer(thread, false);
    call.label = seL4_MessageInfo_get_label(info);
    call.length = (unsigned)seL4_MessageInfo_get_length(info);
    if (!call.buffer && call.length > seL4_FastMessageRegisters)
        call.length = seL4_FastMessageRegisters;
    run_invocation(&call);
}

static void receive(struct cpu *cpu, uint64_t source, bool blocking)
{
    struct tcb *thread = cpu->current;
    struct lookup_failure failure = { .type = seL4_MissingCapability };
    struct slot *slot = lookup_slot(thread, source, &failure);

    if (slot && slot->cap.type == CAP_ENDPOINT && (cap_rights(slot->cap) & RIGHT_READ)) {
        struct cap cap = slot->cap;

        ipc_delete_caller(thread);
        endpoint_receive(cpu, thread, cap, blocking);
        return;
    }
    if (slot && slot->cap.type == CAP_NOTIFICATION && (cap_rights(slot->cap) & RIGHT_READ)) {
        struct notification *notification = cap_object(slot->cap);

        if (!notification->bound || notification->bound == thread) {
            notification_receive(cpu, thread, notification, blocking);
            return;
        }
    }
    report_cap_fault(cpu, source, true, failure);
}

static void reply(struct cpu *cpu)
{
    struct tcb *thread = cpu->current;
    struct slot *slot = &thread->slots[TCB_CALLER];

    if (slot->cap.type == CAP_REPLY)
        ipc_reply(cpu, thread, cap_object(slot->cap), slot, reply_can_grant(slot->cap));
}

static void unknown(struct cpu *cpu, int64_t number)
{
    struct fault fault = { .type = seL4_Fault_UnknownSyscall, .address = (uint64_t)number };

    fault_report(cpu, cpu->current, &fault);
}

void syscall_handle(struct cpu *cpu, uint64_t destination, uint64_t info, int64_t number)
{
    switch (number) {
    case seL4_SysCall:
        invoke(cpu, destination, info, true, true);
        break;
    case seL4_SysReplyRecv:
        reply(cpu);
        receive(cpu, destination, true);
        break;
    case seL4_SysSend:
        invoke(cpu, destination, info, false, true);
        break;
    case seL4_SysNBSend:
        invoke(cpu, destination, info, false, false);
        break;
    case seL4_SysRecv:
        receive(cpu, destination, true);
        break;
    case seL4_SysReply:
        reply(cpu);
        break;
    case seL4_SysYield:
        schedule_yield(cpu);
        break;
    case seL4_SysNBRecv:
        receive(cpu, destination, false);
        break;
    case seL4_SysVMEnter:
        if (cpu->current->vcpu)
            vcpu_enter_call(cpu);
        else
            unknown(cpu, number);
        break;
    default:
        if (!syscall_debug(cpu, number))
            unknown(cpu, number);
        break;
    }
}
