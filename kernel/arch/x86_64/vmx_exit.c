/* What happens when a guest's run ends (SDM 3C chapter 28). */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/apic.h>
#include <arch/x86_64/entry.h>
#include <arch/x86_64/layout.h>
#include <arch/x86_64/vmx_instructions.h>
#include <object/vcpu_object.h>
#include <arch/x86_64/x86.h>
#include <core/scheduler.h>
#include <object/tcb.h>

#define REASON_BASIC        0xffffu
#define REASON_ENTRY_FAILED (1u << 31)

/* Word INDEX of a message in an IPC buffer, where the tag comes first. */
#define BUFFER_WORD(index) (1 + (index))

struct guest_registers {
    uint64_t words[VCPU_GUEST_REGISTERS];
};

static_assert(SEL4_VMENTER_FAULT_R15 - SEL4_VMENTER_FAULT_EAX + 1 == VCPU_GUEST_REGISTERS, "the same order");

/* For these upstream tells the exit qualification; for others 0. */
static bool has_qualification(uint32_t reason)
{
    static const uint64_t reasons = 1ul << VMX_REASON_EXCEPTION_OR_NMI | 1ul << VMX_REASON_SIPI
        | 1ul << VMX_REASON_TASK_SWITCH | 1ul << VMX_REASON_INVLPG | 1ul << VMX_REASON_VMCLEAR
        | 1ul << VMX_REASON_VMPTRLD | 1ul << VMX_REASON_VMPTRST | 1ul << VMX_REASON_VMREAD
        | 1ul << VMX_REASON_VMWRITE | 1ul << VMX_REASON_VMXON | 1ul << VMX_REASON_CONTROL_REGISTER
        | 1ul << VMX_REASON_MOV_DR | 1ul << VMX_REASON_IO | 1ul << VMX_REASON_MWAIT
        | 1ul << VMX_REASON_TPR_BELOW_THRESHOLD | 1ul << VMX_REASON_APIC_ACCESS | 1ul << VMX_REASON_GDTR_OR_IDTR
        | 1ul << VMX_REASON_LDTR_OR_TR | 1ul << VMX_REASON_EPT_VIOLATION | 1ul << VMX_REASON_INVEPT
        | 1ul << VMX_REASON_INVVPID;

    return reason < 64 && reasons >> reason & 1;
}

/* The first three message registers are what the next seL4_VMEnter would say to go on from here. They are kept so while
 * the thread counts as in its guest: a signal can end that at any time, and a thread that is suspended and resumed does
 * its system call again. */
static void write_position(struct tcb *thread, const struct vcpu *vcpu)
{
    thread->context.r10 = vcpu->rip;
    thread->context.r8 = vcpu->primary_controls;
    thread->context.r9 = vcpu->entry_info;
}

/* seL4_VMEnter of the current thread returns SEL4_VMENTER_RESULT_FAULT. */
static _Noreturn void answer(struct cpu *cpu, struct vcpu *vcpu, uint32_t reason, uint64_t qualification)
{
    struct tcb *thread = cpu->current;
    uint64_t *buffer = tcb_ipc_buffer(thread, true);

    write_position(thread, vcpu);
    thread->context.r15 = reason;
    thread->context.rsi = SEL4_VMENTER_RESULT_FAULT;
    if (buffer) {
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_QUALIFICATION_MR)] = qualification;
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR)] = vmread(VMCS_EXIT_INSTRUCTION_LENGTH);
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR)] = vcpu->guest_physical;
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_RFLAGS_MR)] = vmread(VMCS_GUEST_RFLAGS);
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_GUEST_INT_MR)] = vmread(VMCS_GUEST_INTERRUPTIBILITY);
        buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_CR3_MR)] = vmread(VMCS_GUEST_CR3);
        *(struct guest_registers *)&buffer[BUFFER_WORD(SEL4_VMENTER_FAULT_EAX)] =
            *(const struct guest_registers *)vcpu->registers;
    }
    thread_set_state(cpu, thread, THREAD_RUNNING);
    schedule_and_leave(cpu);
}

/* An exit makes the limits of GDT and IDT 64 KiB (SDM 3C 28.5.2), and what lies behind the GDT would be descriptors to
 * ring 3; no vector leads behind the IDT. */
static void restore_gdt_limit(struct cpu *cpu)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = { sizeof cpu->arch.gdt - 1, (uint64_t)cpu->arch.gdt };

    __asm__ volatile("lgdt %0" : : "m"(pointer));
}

static _Noreturn void take_interrupt(struct cpu *cpu, struct vcpu *vcpu)
{
    unsigned vector = vmread(VMCS_EXIT_INTERRUPTION_INFO) & VMX_EVENT_VECTOR;

    write_position(cpu->current, vcpu);
    if ((vector >= VECTOR_IRQ_FIRST && vector <= VECTOR_IRQ_LAST) || vector == VECTOR_SPURIOUS)
        trap_interrupt(cpu, vector);
    else
        apic_end_of_interrupt(); /* nobody but a device that makes up messages sends it */
    schedule_and_leave(cpu);
}

/* Events of the machine, which the kernel handles as if it had been interrupted itself; and exceptions that are the
 * guest's own affair. False: the owner is to hear of it. */
static bool take_event(struct cpu *cpu, struct vcpu *vcpu)
{
    uint32_t event = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO);

    if ((event & VMX_EVENT_TYPE) == VMX_EVENT_NMI) {
        __asm__ volatile("int $2");
    } else if ((event & VMX_EVENT_VECTOR) == VMX_VECTOR_MACHINE_CHECK) {
        __asm__ volatile("int $18");
    } else if (!vmx_return_exception(vcpu, event)) {
        return false;
    }
    write_position(cpu->current, vcpu);
    return true;
}

void trap_vm_exit(void)
{
    struct cpu *cpu = cpu_self();
    struct vcpu *vcpu = cpu->loaded_vcpu;
    uint32_t full_reason = (uint32_t)vmread(VMCS_EXIT_REASON), reason = full_reason & REASON_BASIC;

    restore_gdt_limit(cpu);
    cpu->arch.fpu_forbidden = vcpu->host_fpu_forbidden;
    vmx_leave_guest(cpu, vcpu);
    vcpu->rip = vmread(VMCS_GUEST_RIP);
    if (full_reason & REASON_ENTRY_FAILED) {
        /* Neither launched nor has an event been delivered (SDM 3C 27.8). */
        vcpu->entry_info = vmread(VMCS_ENTRY_INTERRUPTION_INFO);
        answer(cpu, vcpu, reason, 0);
    }
    vcpu->launched = true;
    vcpu->entry_info &= ~VMX_EVENT_VALID;

    switch (reason) {
    case VMX_REASON_EXTERNAL_INTERRUPT:
        take_interrupt(cpu, vcpu);
    case VMX_REASON_EXCEPTION_OR_NMI:
        if (take_event(cpu, vcpu))
            schedule_and_leave(cpu);
        break;
    case VMX_REASON_EPT_VIOLATION:
    case VMX_REASON_EPT_MISCONFIGURATION:
        vcpu->guest_physical = vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
        break;
    case VMX_REASON_TRIPLE_FAULT:
        /* An entry into the shutdown state would keep interrupts from the kernel (SDM 3C 27.7.2). */
        vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_ACTIVE);
        break;
    default:
        break;
    }
    answer(cpu, vcpu, reason, has_qualification(reason) ? vmread(VMCS_EXIT_QUALIFICATION) : 0);
}

void trap_vm_entry_failed(void)
{
    struct cpu *cpu = cpu_self();
    struct vcpu *vcpu = cpu->loaded_vcpu;

    vmx_leave_guest(cpu, vcpu);
    answer(cpu, vcpu, VMX_REASON_ENTRY_FAILED, UINT64_MAX);
}
