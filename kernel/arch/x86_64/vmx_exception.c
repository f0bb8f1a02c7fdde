/* Exceptions that a guest gets back (SDM 3C 28.2.1, 28.2.2, 27.6). */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/context.h>
#include <arch/x86_64/vmx_instructions.h>
#include <object/vcpu_object.h>

#define EVENT_NMI_UNBLOCKED (1u << 12) /* by the IRET that caused the exception */

#define BLOCKING_BY_STI    (1ul << 0)
#define BLOCKING_BY_MOV_SS (1ul << 1)
#define BLOCKING_BY_NMI    (1ul << 3)

/* Bits of DR6, also as the qualification of an exit by #DB has them (SDM 3B 18.2.3). */
#define DR6_BREAKPOINTS 0xful
#define DR6_ACCESS      (1ul << 13)
#define DR6_STEP        (1ul << 14)
#define DR6_NO_RTM      (1ul << 16) /* the other way round in a qualification */

#define DR7_GENERAL_DETECT (1ul << 13)
#define DEBUGCTL_LBR       (1ul << 0)
#define DEBUGCTL_BTF       (1ul << 1)

/* The processor does to the debug registers what goes with a #DB only where that does not exit. */
static void note_debug_exception(void)
{
    uint64_t cause = vmread(VMCS_EXIT_QUALIFICATION), debugctl = vmread(VMCS_GUEST_DEBUGCTL), dr6;

    __asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
    dr6 = (dr6 & ~DR6_BREAKPOINTS) | (cause & (DR6_BREAKPOINTS | DR6_ACCESS | DR6_STEP)) | DR6_NO_RTM;
    __asm__ volatile("movq %0, %%dr6" : : "r"(dr6 & ~(cause & DR6_NO_RTM)));
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GENERAL_DETECT);
    vmwrite(VMCS_GUEST_DEBUGCTL, debugctl & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));

    /* An entry insists that with TF a step is pending behind STI and MOV SS (SDM 3C 27.3.1.5). */
    if (vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS) &&
        vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF)
        vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | DR6_STEP);
}

bool vmx_return_exception(struct vcpu *vcpu, uint32_t event)
{
    uint64_t exception = 1ul << (event & 63);

    if (!(exception & VMX_EXCEPTIONS_KEPT) || exception & vcpu->exceptions)
        return false;
    if (exception == 1ul << VMX_VECTOR_DEBUG)
        note_debug_exception();
    if (event & EVENT_NMI_UNBLOCKED)
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKING_BY_NMI);
    if (event & VMX_EVENT_ERROR_CODE)
        vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, vmread(VMCS_EXIT_INTERRUPTION_ERROR));
    if ((event & VMX_EVENT_TYPE) == VMX_EVENT_PRIVILEGED)
        vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH, vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
    vcpu->entry_info = event & (VMX_EVENT_VALID | VMX_EVENT_ERROR_CODE | VMX_EVENT_TYPE | VMX_EVENT_VECTOR);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, vcpu->entry_info);
    return true;
}
