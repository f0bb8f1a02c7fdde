/* The life of a VMCS (SDM 3C 25.11). One stays active on the CPU after another has become current, so that going back to
 * it costs one VMPTRLD. */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/memory.h>
#include <arch/x86_64/vmx_instructions.h>
#include <object/vcpu_object.h>
#include <arch/x86_64/window.h>
#include <arch/x86_64/x86.h>

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* Fields that start as 0, in steps of 2: what a fresh region holds is not defined. */
static const struct {
    enum vmcs_field first, last;
} zero_fields[] = {
    { VMCS_GUEST_ES_SELECTOR, VMCS_GUEST_TR_SELECTOR },
    { VMCS_EXIT_MSR_STORE_ADDRESS, VMCS_TSC_OFFSET },
    { VMCS_GUEST_DEBUGCTL, VMCS_GUEST_PDPTE3 },
    { VMCS_PAGE_FAULT_MASK, VMCS_CR3_TARGET_COUNT },
    { VMCS_EXIT_MSR_STORE_COUNT, VMCS_EXIT_MSR_LOAD_COUNT },
    { VMCS_ENTRY_MSR_LOAD_COUNT, VMCS_ENTRY_INSTRUCTION_LENGTH },
    { VMCS_GUEST_ES_LIMIT, VMCS_GUEST_PREEMPTION_TIMER },
    { VMCS_CR0_READ_SHADOW, VMCS_CR4_READ_SHADOW },
    { VMCS_GUEST_CR0, VMCS_GUEST_SYSENTER_EIP },
    { VMCS_HOST_FS_SELECTOR, VMCS_HOST_GS_SELECTOR },
    { VMCS_HOST_SYSENTER_CS, VMCS_HOST_SYSENTER_CS },
    { VMCS_HOST_SYSENTER_ESP, VMCS_HOST_SYSENTER_EIP },
};

static void write_zero_fields(void)
{
    for (unsigned i = 0; i < sizeof zero_fields / sizeof *zero_fields; i++)
        for (unsigned field = zero_fields[i].first; field <= (unsigned)zero_fields[i].last; field += 2)
            vmwrite((enum vmcs_field)field, 0);
}

/* SDM 3C 25.5. Everything that no VCPU's owner has a say in. */
static void write_host_state(struct cpu *cpu, struct vcpu *vcpu)
{
    struct table_pointer gdt, idt;

    __asm__ volatile("sgdt %0" : "=m"(gdt));
    __asm__ volatile("sidt %0" : "=m"(idt));
    vmwrite(VMCS_HOST_CR0, vmx_machine.host_cr0);
    vmwrite(VMCS_HOST_CR3, vcpu->host_cr3);
    vmwrite(VMCS_HOST_CR4, vmx_machine.host_cr4);
    vmwrite(VMCS_HOST_EFER, vmx_machine.host_efer);
    vmwrite(VMCS_HOST_PAT, vmx_machine.host_pat);
    if (vmx_machine.host_perf_control)
        vmwrite(VMCS_HOST_PERF_GLOBAL_CTRL, 0);
    vmwrite(VMCS_HOST_CS_SELECTOR, SELECTOR_KERNEL_CODE);
    vmwrite(VMCS_HOST_SS_SELECTOR, SELECTOR_KERNEL_DATA);
    vmwrite(VMCS_HOST_DS_SELECTOR, 0);
    vmwrite(VMCS_HOST_ES_SELECTOR, 0);
    vmwrite(VMCS_HOST_TR_SELECTOR, SELECTOR_TSS);
    vmwrite(VMCS_HOST_FS_BASE, vcpu->host_fs_base);
    vmwrite(VMCS_HOST_GS_BASE, (uint64_t)cpu);
    vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&cpu->arch.tss);
    vmwrite(VMCS_HOST_GDTR_BASE, gdt.base);
    vmwrite(VMCS_HOST_IDTR_BASE, idt.base);
    vmwrite(VMCS_HOST_RSP, (uint64_t)(vcpu->registers + VCPU_GUEST_REGISTERS));
    vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit);
}

static void write_controls(struct vcpu *vcpu)
{
    vmwrite(VMCS_PIN_CONTROLS, vmx_fit(vmx_machine.pin, 0));
    vmwrite(VMCS_PRIMARY_CONTROLS, vcpu->primary_controls);
    vmwrite(VMCS_SECONDARY_CONTROLS, vmx_fit(vmx_machine.secondary, 0));
    vmwrite(VMCS_EXIT_CONTROLS, vmx_fit(vmx_machine.exit, 0));
    vmwrite(VMCS_ENTRY_CONTROLS, vmx_fit(vmx_machine.entry, VMX_ENTRY_LONG_MODE));
    vmwrite(VMCS_EXCEPTION_BITMAP, VMX_EXCEPTIONS_KEPT);
    vmwrite(VMCS_CR0_MASK, vmx_machine.cr0_kept);
    vmwrite(VMCS_CR4_MASK, vmx_machine.cr4_kept);
    vmwrite(VMCS_IO_BITMAP_A, kernel_to_physical(vcpu->io_bitmap));
    vmwrite(VMCS_IO_BITMAP_B, kernel_to_physical(vcpu->io_bitmap) + VCPU_IO_BITMAP_BYTES / 2);
    vmwrite(VMCS_MSR_BITMAP, vmx_msr_bitmap());
}

void vmx_init_vmcs(struct cpu *cpu, struct vcpu *vcpu)
{
    vcpu->control_block[0] = vmx_machine.revision;
    vmx_release(cpu, vcpu);
    vmx_load(cpu, vcpu);

    vcpu->host_cr3 = window_root();
    vcpu->primary_controls = vmx_fit(vmx_machine.primary, 0);
    write_zero_fields();
    write_host_state(cpu, vcpu);
    write_controls(vcpu);
    vmwrite(VMCS_GUEST_LINK_POINTER, UINT64_MAX); /* none: SDM 3C 25.4.2 */
    vmwrite(VMCS_GUEST_CR0, vmx_fit(vmx_machine.cr0, 0));
    vmwrite(VMCS_GUEST_CR4, vmx_fit(vmx_machine.cr4, 0));
}

void vmx_load(struct cpu *cpu, struct vcpu *vcpu)
{
    if (cpu->loaded_vcpu == vcpu)
        return;
    if (!vmptrld(kernel_to_physical(vcpu->control_block)))
        kernel_panic("the processor does not take a VMCS");
    cpu->loaded_vcpu = vcpu;
}

void vmx_release(struct cpu *cpu, struct vcpu *vcpu)
{
    vmclear(kernel_to_physical(vcpu->control_block));
    vcpu->launched = false;
    if (cpu->loaded_vcpu == vcpu)
        cpu->loaded_vcpu = NULL;
}
