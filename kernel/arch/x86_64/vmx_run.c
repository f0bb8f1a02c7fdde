/* Switches the processor between the kernel's and a guest's state, as far as VM entries and exits do not (SDM 3C 27.3,
 * 28.5). Each piece is touched only where it differs: WRMSR and VMWRITE are slow. */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/segments.h>
#include <arch/x86_64/vmx_instructions.h>
#include <arch/x86_64/vmx_vcpu.h>
#include <arch/x86_64/x86.h>
#include <object/mapping.h>
#include <object/paging.h>
#include <object/tcb.h>

#define EPT_POINTER_WRITE_BACK 6ul
#define EPT_POINTER_WALK_4     (3ul << 3)

/* IA32_STAR and IA32_FMASK have a half each that means nothing here; WRMSR might fault on it. */
#define STAR_SELECTORS 0xffffffff00000000ul
#define FMASK_FLAGS    0xfffffffful

/* The root that the thread's guest has by its capability. */
static uint64_t ept_root(const struct tcb *thread)
{
    struct cap cap = thread->slots[TCB_EPT].cap;

    if (cap.type == CAP_EPT_PML4 && asid_find(mapping_asid(cap), ASID_EPT) == cap_physical(cap))
        return cap_physical(cap);
    return vmx_empty_ept();
}

static void use_translation(struct cpu *cpu, const struct tcb *thread, struct vcpu *vcpu)
{
    uint64_t root = ept_root(thread);

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

#define READ_DR(n, to)    __asm__ volatile("movq %%dr" #n ", %0" : "=r"(to))
#define WRITE_DR(n, from) __asm__ volatile("movq %0, %%dr" #n : : "r"(from))

/* Nothing but guests uses these; DR7 is in the VMCS. */
static void use_debug_registers(struct cpu *cpu, struct vcpu *vcpu)
{
    struct vcpu *before = cpu->debug_vcpu;

    if (before == vcpu)
        return;
    if (before) {
        READ_DR(0, before->dr[0]);
        READ_DR(1, before->dr[1]);
        READ_DR(2, before->dr[2]);
        READ_DR(3, before->dr[3]);
        READ_DR(6, before->dr6);
    }
    WRITE_DR(0, vcpu->dr[0]);
    WRITE_DR(1, vcpu->dr[1]);
    WRITE_DR(2, vcpu->dr[2]);
    WRITE_DR(3, vcpu->dr[3]);
    WRITE_DR(6, vcpu->dr6);
    cpu->debug_vcpu = vcpu;
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
    use_debug_registers(cpu, vcpu);
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
