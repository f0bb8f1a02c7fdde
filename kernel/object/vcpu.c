#include <object/vcpu.h>

#include <api/ipc.h>
#include <arch/x86_64/debug_registers.h>
#include <arch/x86_64/second_level.h>
#include <arch/x86_64/svm.h>
#include <arch/x86_64/vmx.h>
#include <object/vcpu_object.h>
#include <core/scheduler.h>
#include <lib/string.h>

#define DR6_RESET 0xffff0ff0ul

/* Properties of the machine: how VCPUs are run, NULL where they cannot be; then why not. */
static const struct virtualization *machine_virtualization;
static const char *unavailable = "the processor has not been looked at";

const struct virtualization *virtualization(void)
{
    return machine_virtualization;
}

void vcpu_init_cpu(struct cpu *cpu)
{
    unavailable = vmx_start_cpu(cpu);
    if (!unavailable) {
        machine_virtualization = &vmx_virtualization;
    } else if (svm_present()) {
        unavailable = svm_start_cpu(cpu);
        if (!unavailable) {
            machine_virtualization = &svm_virtualization;
            second_level_use_nested_pages();
        }
    }
}

bool vcpu_available(void)
{
    return !unavailable;
}

const char *vcpu_kind(void)
{
    if (!machine_virtualization)
        return "nothing";
    return machine_virtualization == &vmx_virtualization ? "VT-x" : "AMD-V";
}

const char *vcpu_unavailable_reason(void)
{
    return unavailable;
}

void vcpu_init_object(struct vcpu *vcpu)
{
    memset(vcpu->io_bitmap, 0xff, sizeof vcpu->io_bitmap);
    vcpu->io_bitmap_end = UINT64_MAX;
    fpu_state_init(&vcpu->fpu);
    vcpu->dr6 = DR6_RESET;
    machine_virtualization->init(cpu_self(), vcpu);
}

/* The thread's guest is no longer its own: as if an entry had failed. */
static void lose_guest(struct cpu *cpu, struct tcb *thread)
{
    uint64_t *buffer = tcb_ipc_buffer(thread, true);

    thread->context.rsi = SEL4_VMENTER_RESULT_FAULT;
    tcb_set_mr(thread, buffer, SEL4_VMENTER_FAULT_REASON_MR, machine_virtualization->refused_reason);
    tcb_set_mr(thread, buffer, SEL4_VMENTER_FAULT_QUALIFICATION_MR, UINT64_MAX);
    thread_set_state(cpu, thread, THREAD_RUNNING);
}

static void dissociate(struct cpu *cpu, struct vcpu *vcpu)
{
    struct tcb *thread = vcpu->thread;

    if (!thread)
        return;
    thread->vcpu = NULL;
    vcpu->thread = NULL;
    if (thread->state == THREAD_IN_GUEST)
        lose_guest(cpu, thread);
}

void vcpu_associate(struct cpu *cpu, struct vcpu *vcpu, struct tcb *thread)
{
    if (vcpu->thread == thread)
        return;
    if (thread->vcpu)
        dissociate(cpu, thread->vcpu);
    dissociate(cpu, vcpu);
    thread->vcpu = vcpu;
    vcpu->thread = thread;
}

void vcpu_finalise(struct cpu *cpu, struct vcpu *vcpu)
{
    dissociate(cpu, vcpu);
    fpu_forget(&cpu->arch, &vcpu->fpu);
    vpid_release(vcpu);
    debug_registers_forget(cpu, vcpu);
    machine_virtualization->release(cpu, vcpu);
}

void vcpu_thread_gone(struct cpu *cpu, struct tcb *thread)
{
    if (thread->vcpu)
        dissociate(cpu, thread->vcpu);
}

void vcpu_enter_call(struct cpu *cpu)
{
    struct tcb *thread = cpu->current;
    struct context *context = &thread->context;

    /* Without a buffer there are no message registers, not even those that travel in the processor's. */
    const uint64_t *buffer = tcb_ipc_buffer(thread, false);
    if (buffer) {
        machine_virtualization->set_entry(cpu, thread->vcpu, context->r10, context->r8, context->r9);
        if (seL4_MessageInfo_get_length((seL4_MessageInfo_t) { { context->rsi } }) >= SEL4_VMENTER_RESULT_FAULT_LEN)
            memcpy(thread->vcpu->registers, buffer + 1 + SEL4_VMENTER_FAULT_EAX, sizeof thread->vcpu->registers);
    }
    context->rsi = 0; /* a thread that is suspended in its guest and resumed does the call again, without registers */
    if (thread->bound_notification && notification_take(thread->bound_notification, &context->rdi))
        context->rsi = SEL4_VMENTER_RESULT_NOTIF;
    else
        thread_set_state(cpu, thread, THREAD_IN_GUEST);
}

void vcpu_run(struct cpu *cpu)
{
    machine_virtualization->run(cpu, cpu->current, cpu->current->vcpu);
}

void vcpu_leave_for_notification(struct cpu *cpu, struct tcb *thread, uint64_t badge)
{
    thread->context.rdi = badge;
    thread->context.rsi = SEL4_VMENTER_RESULT_NOTIF;
    thread_set_state(cpu, thread, THREAD_RUNNING);
    schedule_possible_switch(cpu, thread);
}

void vcpu_io_port_gone(struct cap cap)
{
    struct vcpu *vcpu = vpid_owner(cap.bits);

    if (vcpu)
        vcpu_set_ports(vcpu, io_port_first(cap), io_port_last(cap), false);
}

void vcpu_set_ports(struct vcpu *vcpu, uint16_t first, uint16_t last, bool allowed)
{
    for (uint32_t port = first; port <= last; port++) {
        uint64_t bit = 1ul << port % 64;

        if (allowed)
            vcpu->io_bitmap[port / 64] &= ~bit;
        else
            vcpu->io_bitmap[port / 64] |= bit;
    }
}
