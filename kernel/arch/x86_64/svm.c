/* What AMD-V the machine has (APM 3 appendix E.4.9), and switching it on (APM 2 15.4, 15.30). */
#include <arch/x86_64/svm.h>

#include <arch/x86_64/entry.h>
#include <arch/x86_64/memory.h>
#include <arch/x86_64/svm_vmcb.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>
#include <object/vcpu_object.h>
#include <sel4/beaml4.h>

#define LEAF_FEATURES 0x80000001u
#define LEAF_SVM      0x8000000au
#define ECX_SVM       (1u << 2)
#define EDX_NESTED_PAGING (1u << 0)

#define MSR_VM_CR       0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117
#define VM_CR_SVMDIS    (1ul << 4)

/* Each CPU needs one for what VMRUN saves, and one for what VMSAVE does. */
static uint8_t host_save_areas[CONFIG_MAX_NUM_NODES][4096] __attribute__((section(".bss.pages"), aligned(4096)));
static struct vmcb host_states[CONFIG_MAX_NUM_NODES] __attribute__((section(".bss.pages"), aligned(4096)));

/* Each CPU's copy of the save area that it enters with. */
static uint8_t guest_states[CONFIG_MAX_NUM_NODES][VMCB_SAVE_AREA_BYTES];

/* The fewest of all CPUs. */
static unsigned asid_count;

unsigned svm_asid_count(void)
{
    return asid_count;
}

uint64_t svm_host_state(const struct cpu *cpu)
{
    return kernel_to_physical(&host_states[cpu->index]);
}

void svm_set_host_bases(const struct cpu *cpu, uint64_t fs_base, uint64_t user_gs_base)
{
    struct vmcb *state = &host_states[cpu->index];

    state->fs.base = fs_base;
    state->kernel_gs_base = user_gs_base;
}

void svm_keep_guest_state(const struct cpu *cpu, const struct vcpu *vcpu)
{
    memcpy(guest_states[cpu->index], (const char *)vcpu->control_block + VMCB_ES, VMCB_SAVE_AREA_BYTES);
}

void svm_restore_guest_state(const struct cpu *cpu, struct vcpu *vcpu)
{
    memcpy((char *)vcpu->control_block + VMCB_ES, guest_states[cpu->index], VMCB_SAVE_AREA_BYTES);
}

bool svm_present(void)
{
    return cpuid_checked(LEAF_FEATURES, 0).ecx & ECX_SVM;
}

const char *svm_start_cpu(struct cpu *cpu)
{
    uint64_t control;

    if (rdmsr_checked(MSR_VM_CR, &control) && control & VM_CR_SVMDIS)
        return "the firmware has switched AMD-V off";

    struct cpuid_result leaf = cpuid_checked(LEAF_SVM, 0);
    if (!(leaf.edx & EDX_NESTED_PAGING))
        return "AMD-V without nested paging";
    if (leaf.ebx < 2)
        return "AMD-V without address space identifiers";
    if (asid_count == 0 || leaf.ebx < asid_count)
        asid_count = leaf.ebx;

    svm_fill_msr_permissions();
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, kernel_to_physical(host_save_areas[cpu->index]));
    svm_save_host(svm_host_state(cpu));
    return NULL;
}

static void release(struct cpu *cpu, struct vcpu *vcpu)
{
    /* A processor keeps nothing of a VMCB between two runs but what its ASID names. */
    if (cpu->loaded_vcpu == vcpu)
        cpu->loaded_vcpu = NULL;
}

const struct virtualization svm_virtualization = {
    .feature = SEL4_BEAML4_SVM,
    .refused_reason = SVM_EXIT_INVALID,
    .init = svm_init_vmcb,
    .release = release,
    .set_entry = svm_set_entry,
    .run = svm_run,
    .invoke = svm_invoke,
};
