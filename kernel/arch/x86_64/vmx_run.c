/* Switches the processor between the kernel's and a guest's state, as far as VM entries and exits do not (SDM 3C 27.3,
 * 28.5). Each piece is touched only where it differs: WRMSR and VMWRITE are slow. */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/debug_registers.h>
#include <arch/x86_64/second_level.h>
#include <arch/x86_64/segments.h>
#include <arch/x86_64/vmx_instructions.h>
#include <object/vcpu_object.h>
#include <arch/x86_64/x86.h>
#include <object/tcb.h>

#define EPT_POINTER_WRITE_BACK 6ul
#define EPT_POINTER_WALK_4     (3ul << 3)

/* IA32_STAR and IA32_FMASK have a half each that means nothing here; WRMSR might fault on it. */
#define STAR_SELECTORS 0xffffffff00000000ul
#define FMASK_FLAGS    0xfffffffful

static void use_translation(struct cpu *cpu, const struct tcb *thread, struct vcpu *vcpu)
{
    uint64_t root = second_level_root(thread);

    vpid_assign(vcpu);
    if (vcpu->written_vpid != vcpu->vpid) {
        vcpu->written_vpid = vcpu->vpid;
        if (vmx_machine.has_vpid)
            vmwrite(VMCS_VPID, vcpu->vpid);
    }
    if (vcpu->ept_root != root) {
        vcpu->ept_root = root;
        vmwrite(VMCS_EPT_POINTER, root | EPT_POINTER_WALK_4 | EPT_POINTER_WRITE_BACK);
    }
    vmx_discard_ept(cpu);
}

/* An exit shall leave the address space, FS base and permission to use the FPU that the thread needs. */
static void prepare_exit(struct cpu *cpu, const struct tcb *thread, struct vcpu *vcpu)
{
    bool fpu_forbidden = thread->flags & seL4_TCBFlag_fpuDisabled;

    if (vcpu->host_cr3 != cpu->loaded_cr3)
        vmwrite(VMCS_HOST_CR3, vcpu->host_cr3 = cpu->loaded_cr3);
    if (vcpu->host_fs_base != cpu->arch.loaded_fs_base)
        vmwrite(VMCS_HOST_FS_BASE, vcpu->host_fs_base = cpu->arch.loaded_fs_base);
    if (vcpu->host_fpu_forbidden != fpu_forbidden) {
        vcpu->host_fpu_forbidden = fpu_forbidden;
        vmwrite(VMCS_HOST_CR0, vmx_machine.host_cr0 | (fpu_forbidden ? CR0_TS : 0));
    }
}

static void switch_msr(uint32_t msr, uint64_t from, uint64_t to)
{
    if (from != to)
        wrmsr(msr, to);
}

static void enter_guest(struct cpu *cpu, struct vcpu *vcpu)
{
    if (cpu->arch.fpu_owner != &vcpu->fpu)
        fpu_use(&cpu->arch, &vcpu->fpu);
    debug_registers_use(cpu, vcpu);
    if (read_cr2() != vcpu->cr2)
        write_cr2(vcpu->cr2);
    segments_enter_guest(&cpu->arch, vcpu->kernel_gs_base);
    switch_msr(MSR_STAR, vmx_machine.host_star, vcpu->star & STAR_SELECTORS);
    switch_msr(MSR_LSTAR, vmx_machine.host_lstar, vcpu->lstar);
    switch_msr(MSR_FMASK, vmx_machine.host_fmask, vcpu->fmask & FMASK_FLAGS);
}

void vmx_leave_guest(struct cpu *cpu, struct vcpu *vcpu)
{
    vcpu->cr2 = read_cr2();
    vcpu->kernel_gs_base = segments_leave_guest(&cpu->arch, vcpu->host_fs_base);
    switch_msr(MSR_STAR, vcpu->star & STAR_SELECTORS, vmx_machine.host_star);
    switch_msr(MSR_LSTAR, vcpu->lstar, vmx_machine.host_lstar);
    switch_msr(MSR_FMASK, vcpu->fmask & FMASK_FLAGS, vmx_machine.host_fmask);
}

void vmx_run(struct cpu *cpu, struct tcb *thread, struct vcpu *vcpu)
{
    vmx_load(cpu, vcpu);
    use_translation(cpu, thread, vcpu);
    prepare_exit(cpu, thread, vcpu);
    enter_guest(cpu, vcpu);
    vmx_enter(vcpu->registers, vcpu->launched);
}
