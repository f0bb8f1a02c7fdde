/* What happens when a guest's run ends (APM 2 15.6, 15.9 to 15.14). */
#include <arch/x86_64/svm.h>

#include <arch/x86_64/entry.h>
#include <arch/x86_64/svm_vmcb.h>
#include <arch/x86_64/x86.h>
#include <core/scheduler.h>
#include <lib/string.h>
#include <object/tcb.h>
#include <object/vcpu_object.h>

/* Word INDEX of a message in an IPC buffer, where the tag comes first. */
#define BUFFER_WORD(index) (1 + (index))

/* The first three message registers are what the next seL4_VMEnter would say to go on from here; they are kept so while
 * the thread counts as in its guest. */
static void write_position(struct tcb *thread, const struct vmcb *vmcb)
{
    thread->context.r10 = vmcb->rip;
    thread->context.r8 = svm_owners_virtual_interrupt(vmcb->virtual_interrupt);
    thread->context.r9 = vmcb->event_injection;
}

/* seL4_VMEnter of the current thread returns SEL4_VMENTER_RESULT_FAULT. */
static _Noreturn void answer(struct cpu *cpu, const struct vcpu *vcpu, const struct vmcb *vmcb)
{
    struct tcb *thread = cpu->current;
    uint64_t *buffer = tcb_ipc_buffer(thread, true);

    write_position(thread, vmcb);
    thread->context.r9 = vmcb->exit_interrupted_event;
    thread->context.r15 = vmcb->exit_code;
    thread->context.rsi = SEL4_VMENTER_RESULT_FAULT;
    if (buffer) {
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_QUALIFICATION_MR)] = vmcb->exit_info_1;
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR)] = vmcb->next_rip ? vmcb->next_rip - vmcb->rip : 0;
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR)] = vmcb->exit_info_2;
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_RFLAGS_MR)] = vmcb->rflags;
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_GUEST_INT_MR)] = vmcb->interrupt_shadow & 1;
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_CR3_MR)] = vmcb->cr3;
        memcpy(&buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_EAX)], vcpu->registers, sizeof vcpu->registers);
        buffer[BUFFER_WORD(SVM_VMENTER_CR0_MR)] = vmcb->cr0;
        buffer[BUFFER_WORD(SVM_VMENTER_CR4_MR)] = vmcb->cr4;
        buffer[BUFFER_WORD(SVM_VMENTER_EFER_MR)] = vmcb->efer & ~EFER_SVME;
        buffer[BUFFER_WORD(SVM_VMENTER_CS_BASE_MR)] = vmcb->cs.base;
        buffer[BUFFER_WORD(SVM_VMENTER_CS_ATTRIBUTES_MR)] = vmcb->cs.attributes | (uint64_t)vmcb->cpl << 16;
        buffer[BUFFER_WORD(SVM_VMENTER_RSP_MR)] = vmcb->rsp;
    }
    thread_set_state(cpu, thread, THREAD_RUNNING);
    schedule_and_leave(cpu);
}

/* An exception of the guest's that its owner does not want to hear of: the next entry delivers it. */
static bool return_exception(const struct vcpu *vcpu, struct vmcb *vmcb)
{
    unsigned vector = (unsigned)(vmcb->exit_code - SVM_EXIT_EXCEPTION_0);
    uint32_t exception = 1u << vector;

    /* What was being delivered meanwhile is the owner's to sort out. */
    if (!(exception & SVM_EXCEPTIONS_KEPT) || exception & vcpu->svm.exceptions
        || vmcb->exit_interrupted_event & SVM_EVENT_VALID)
        return false;
    vmcb->event_injection = SVM_EVENT_VALID | SVM_EVENT_EXCEPTION | vector;
    if (vector == SVM_VECTOR_ALIGNMENT_CHECK)
        vmcb->event_injection |= SVM_EVENT_ERROR_CODE | vmcb->exit_info_1 << SVM_EVENT_ERROR_SHIFT;
    return true;
}

/* An event that the guest was about to get when the machine's own came in between is delivered anew. */
static void keep_interrupted_event(struct vmcb *vmcb)
{
    if (vmcb->exit_interrupted_event & SVM_EVENT_VALID)
        vmcb->event_injection = vmcb->exit_interrupted_event;
}

/* An entry has failed. Where it is the registers that were refused, QEMU's TCG leaves the kernel's own in the VMCB. */
static _Noreturn void refuse(struct cpu *cpu, struct vcpu *vcpu, struct vmcb *vmcb)
{
    if (vcpu->svm.unproven)
        svm_restore_guest_state(cpu, vcpu);
    vmcb->exit_code = SVM_EXIT_INVALID; /* there are processors that set half of it */
    vmcb->exit_interrupted_event = cpu->current->context.r9; /* the guest has not got its event */
    vmcb->event_injection = 0;
    answer(cpu, vcpu, vmcb);
}

void trap_svm_exit(void)
{
    struct cpu *cpu = cpu_self();
    struct vcpu *vcpu = cpu->loaded_vcpu;
    struct vmcb *vmcb = vcpu_vmcb(vcpu);

    /* QEMU's TCG does not intercept XSETBV. */
    fpu_restore_features();
    if (vcpu->svm.lme_held) {
        vmcb->efer |= EFER_LME;
        vcpu->svm.lme_held = false;
    }
    if ((uint32_t)vmcb->exit_code == (uint32_t)SVM_EXIT_INVALID)
        refuse(cpu, vcpu, vmcb);
    vcpu->registers[0] = vmcb->rax;
    vcpu->svm.unproven = false;
    vmcb->event_injection = 0;

    switch (vmcb->exit_code) {
    case SVM_EXIT_INTR:
        keep_interrupted_event(vmcb);
        write_position(cpu->current, vmcb);
        trap_take_interrupts(cpu);
    case SVM_EXIT_NMI:
        /* It was delivered when the entry code let it through. */
        keep_interrupted_event(vmcb);
        break;
    case SVM_EXIT_EXCEPTION_0 + SVM_VECTOR_MACHINE_CHECK:
        __asm__ volatile("int $18");
        break;
    case SVM_EXIT_EXCEPTION_0 + SVM_VECTOR_DEBUG:
    case SVM_EXIT_EXCEPTION_0 + SVM_VECTOR_ALIGNMENT_CHECK:
        if (!return_exception(vcpu, vmcb))
            answer(cpu, vcpu, vmcb);
        break;
    default:
        answer(cpu, vcpu, vmcb);
    }
    write_position(cpu->current, vmcb);
    schedule_and_leave(cpu);
}
