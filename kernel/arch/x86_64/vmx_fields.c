/* Which fields of its VMCS a VCPU's owner has, and what it may put there. Most of the guest-state area needs no check:
 * the processor makes its own at each entry (SDM 3C 27.3), and what is wrong is the owner's failed entry. */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/vmx_instructions.h>
#include <object/vcpu_object.h>

/* Field numbers of one group are all even. */
struct range {
    uint16_t first, last;
};

static const struct range guest_and_controls[] = {
    { VMCS_GUEST_ES_SELECTOR, VMCS_GUEST_TR_SELECTOR },
    { VMCS_GUEST_DEBUGCTL, VMCS_GUEST_PDPTE3 },
    { VMCS_PIN_CONTROLS, VMCS_EXCEPTION_BITMAP },
    { VMCS_EXIT_CONTROLS, VMCS_EXIT_CONTROLS },
    { VMCS_ENTRY_CONTROLS, VMCS_ENTRY_CONTROLS },
    { VMCS_ENTRY_INTERRUPTION_INFO, VMCS_ENTRY_INTERRUPTION_INFO },
    { VMCS_SECONDARY_CONTROLS, VMCS_SECONDARY_CONTROLS },
    { VMCS_GUEST_ES_LIMIT, VMCS_GUEST_SYSENTER_CS },
    { VMCS_GUEST_PREEMPTION_TIMER, VMCS_GUEST_PREEMPTION_TIMER },
    { VMCS_CR0_MASK, VMCS_CR4_READ_SHADOW },
    { VMCS_GUEST_CR0, VMCS_GUEST_SYSENTER_EIP },
};

static const struct range only_readable[] = {
    { VMCS_GUEST_PHYSICAL_ADDRESS, VMCS_GUEST_PHYSICAL_ADDRESS },
    { VMCS_INSTRUCTION_ERROR, VMCS_INSTRUCTION_ERROR },
    { VMCS_EXIT_INTERRUPTION_INFO, VMCS_EXIT_INSTRUCTION_INFO },
    { VMCS_IO_RCX, VMCS_GUEST_LINEAR_ADDRESS },
};

static bool within(const struct range *ranges, unsigned count, uint64_t field)
{
    for (unsigned i = 0; i < count; i++)
        if (field >= ranges[i].first && field <= ranges[i].last && field % 2 == 0)
            return true;
    return false;
}

static bool is_guest_or_control(uint64_t field)
{
    return within(guest_and_controls, sizeof guest_and_controls / sizeof *guest_and_controls, field);
}

bool vmx_field_readable(uint64_t field)
{
    return is_guest_or_control(field) || within(only_readable, sizeof only_readable / sizeof *only_readable, field);
}

bool vmx_field_writable(uint64_t field)
{
    return is_guest_or_control(field) || field == VMCS_ENTRY_EXCEPTION_ERROR_CODE;
}

bool vmx_fit_field(uint64_t field, uint64_t *value)
{
    switch (field) {
    case VMCS_PIN_CONTROLS:
        *value = vmx_fit(vmx_machine.pin, *value);
        return true;
    case VMCS_PRIMARY_CONTROLS:
        *value = vmx_fit(vmx_machine.primary, *value);
        return true;
    case VMCS_SECONDARY_CONTROLS:
        *value = vmx_fit(vmx_machine.secondary, *value);
        return true;
    case VMCS_EXIT_CONTROLS:
        *value = vmx_fit(vmx_machine.exit, *value);
        return true;
    case VMCS_ENTRY_CONTROLS:
        *value = vmx_fit(vmx_machine.entry, *value);
        return true;
    case VMCS_GUEST_CR0:
        *value = vmx_fit(vmx_machine.cr0, *value);
        return true;
    case VMCS_GUEST_CR4:
        *value = vmx_fit(vmx_machine.cr4, *value);
        return true;
    case VMCS_CR0_MASK:
        *value |= vmx_machine.cr0_kept;
        return true;
    case VMCS_CR4_MASK:
        *value |= vmx_machine.cr4_kept;
        return true;
    case VMCS_GUEST_ACTIVITY:
        /* In the others the processor does not even take interrupts (SDM 3C 27.7.2). */
        return (uint32_t)*value <= VMX_ACTIVITY_HALTED;
    default:
        return true;
    }
}

uint64_t vmx_read_field(struct cpu *cpu, struct vcpu *vcpu, uint64_t field)
{
    if (field == VMCS_EXCEPTION_BITMAP)
        return vcpu->exceptions;
    vmx_load(cpu, vcpu);
    return vmread((enum vmcs_field)field);
}

void vmx_write_field(struct cpu *cpu, struct vcpu *vcpu, uint64_t field, uint64_t value)
{
    vmx_load(cpu, vcpu);
    switch (field) {
    case VMCS_GUEST_RIP:
        vcpu->rip = value;
        break;
    case VMCS_PRIMARY_CONTROLS:
        vcpu->primary_controls = value;
        break;
    case VMCS_ENTRY_INTERRUPTION_INFO:
        vcpu->entry_info = value & UINT32_MAX;
        break;
    case VMCS_EXCEPTION_BITMAP:
        vcpu->exceptions = value;
        value |= VMX_EXCEPTIONS_KEPT;
        break;
    default:
        break;
    }
    vmwrite((enum vmcs_field)field, value);
}

void vmx_set_entry(struct cpu *cpu, struct vcpu *vcpu, uint64_t rip, uint64_t primary_controls, uint64_t entry_info)
{
    primary_controls = vmx_fit(vmx_machine.primary, primary_controls);
    entry_info &= UINT32_MAX;
    vmx_load(cpu, vcpu);
    if (vcpu->rip != rip)
        vmwrite(VMCS_GUEST_RIP, vcpu->rip = rip);
    if (vcpu->primary_controls != primary_controls)
        vmwrite(VMCS_PRIMARY_CONTROLS, vcpu->primary_controls = primary_controls);
    if (vcpu->entry_info != entry_info)
        vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, vcpu->entry_info = entry_info);
}
