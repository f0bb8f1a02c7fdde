/* Switches the processor between the kernel's and a guest's state, as far as VMRUN, VMLOAD and VMSAVE do not. */
#include <arch/x86_64/svm.h>

#include <arch/x86_64/debug_registers.h>
#include <arch/x86_64/memory.h>
#include <arch/x86_64/second_level.h>
#include <arch/x86_64/svm_vmcb.h>
#include <arch/x86_64/x86.h>
#include <object/tcb.h>
#include <object/vcpu_object.h>

#define ASID_FIRST 1u /* 0 is the host's */

#define TLB_KEEP      0u
#define TLB_FLUSH_ALL 1u

/* Gives the guest an ASID of this CPU. They are handed out in turn; when all are used, or second-level translations have
 * changed, a new round begins with everything forgotten. */
static void use_asid(struct cpu *cpu, struct vcpu *vcpu, uint64_t root)
{
    struct vmcb *vmcb = vcpu_vmcb(vcpu);
    struct svm_asids *asids = &cpu->svm_asids;

    /* Translations bear the ASID alone, not the root that they came from. */
    if (vmcb->nested_cr3 != root) {
        vmcb->nested_cr3 = root;
        vcpu->svm.asid_round = 0;
    }
    vmcb->tlb_control = TLB_KEEP;
    if (second_level_changed(cpu) || asids->next >= svm_asid_count() || asids->round == 0) {
        asids->round++;
        asids->next = ASID_FIRST;
        vmcb->tlb_control = TLB_FLUSH_ALL;
    } else if (vcpu->svm.asid_round == asids->round && vcpu->svm.asid_cpu == cpu->index) {
        return;
    }
    vmcb->asid = asids->next++;
    vcpu->svm.asid_round = asids->round;
    vcpu->svm.asid_cpu = cpu->index;
}

/* QEMU's TCG stays without paging after an exit of a guest that has none, LME and no PAE: it goes by the guest's registers
 * when it loads the host's CR0. LME means nothing by then, and a guest cannot change either bit without an exit. */
static void hold_long_mode_enable(struct vcpu *vcpu)
{
    struct vmcb *vmcb = vcpu_vmcb(vcpu);

    if (vmcb->efer & EFER_LME && !(vmcb->cr4 & CR4_PAE) && !(vmcb->cr0 & CR0_PG)) {
        vmcb->efer &= ~(uint64_t)EFER_LME;
        vcpu->svm.lme_held = true;
    }
}

void svm_run(struct cpu *cpu, struct tcb *thread, struct vcpu *vcpu)
{
    struct vmcb *vmcb = vcpu_vmcb(vcpu);

    cpu->loaded_vcpu = vcpu;
    use_asid(cpu, vcpu, second_level_root(thread));
    vmcb->rax = vcpu->registers[0];
    if (cpu->arch.fpu_owner != &vcpu->fpu)
        fpu_use(&cpu->arch, &vcpu->fpu);
    debug_registers_use(cpu, vcpu);
    if (vcpu->svm.unproven)
        svm_keep_guest_state(cpu, vcpu);
    hold_long_mode_enable(vcpu);
    svm_set_host_bases(cpu, cpu->arch.loaded_fs_base, cpu->arch.loaded_gs_base);
    svm_enter(vcpu->registers, kernel_to_physical(vmcb), svm_host_state(cpu));
}
