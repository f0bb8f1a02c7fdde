/* What VT-x the machine has (SDM 3D appendix A), and VMX operation. */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/entry.h>
#include <arch/x86_64/memory.h>
#include <arch/x86_64/vmx_instructions.h>
#include <arch/x86_64/x86.h>
#include <sel4/beaml4.h>

#define LEAF1_ECX_VMX (1u << 5)

#define MSR_FEATURE_CONTROL     0x3a
#define MSR_VMX_BASIC           0x480
#define MSR_VMX_PIN             0x481
#define MSR_VMX_PRIMARY         0x482
#define MSR_VMX_EXIT            0x483
#define MSR_VMX_ENTRY           0x484
#define MSR_VMX_CR0_FIXED0      0x486
#define MSR_VMX_CR0_FIXED1      0x487
#define MSR_VMX_CR4_FIXED0      0x488
#define MSR_VMX_CR4_FIXED1      0x489
#define MSR_VMX_SECONDARY       0x48b
#define MSR_VMX_EPT_VPID        0x48c
#define MSR_VMX_TRUE_FROM_PLAIN 0xc /* from MSR_VMX_PIN … MSR_VMX_ENTRY to their exact versions */

#define FEATURE_LOCKED          (1ul << 0)
#define FEATURE_VMX_OUTSIDE_SMX (1ul << 2)

#define BASIC_REVISION      0x7ffffffful
#define BASIC_32_BIT        (1ul << 48)
#define BASIC_TRUE_CONTROLS (1ul << 55)

#define EPT_WALK_4       (1ul << 6)
#define EPT_WRITE_BACK   (1ul << 14)
#define EPT_2M_PAGES     (1ul << 16)
#define EPT_INVEPT       (1ul << 20)
#define EPT_INVEPT_ALL   (1ul << 26)
#define VPID_INVVPID     (1ul << 32)
#define VPID_INVVPID_ONE (1ul << 41)
#define VPID_INVVPID_ALL (1ul << 42)

/* Controls that a VCPU's owner may choose. Others name or use memory by fields that the owner does not have (virtual
 * APIC, page-modification log, #VE, shadow VMCS …), or reach beyond the guest (PCONFIG). */
#define PIN_CHOICE       VMX_PIN_PREEMPTION_TIMER
#define PRIMARY_CHOICE                                                                                               \
    (VMX_PRIMARY_INTERRUPT_WINDOW | VMX_PRIMARY_TSC_OFFSETTING | VMX_PRIMARY_HLT_EXITING |                           \
     VMX_PRIMARY_INVLPG_EXITING | VMX_PRIMARY_MWAIT_EXITING | VMX_PRIMARY_RDPMC_EXITING | VMX_PRIMARY_RDTSC_EXITING | \
     VMX_PRIMARY_CR3_LOAD_EXITING | VMX_PRIMARY_CR3_STORE_EXITING | VMX_PRIMARY_CR8_STORE_EXITING |                  \
     VMX_PRIMARY_NMI_WINDOW | VMX_PRIMARY_MOV_DR_EXITING | VMX_PRIMARY_IO_EXITING | VMX_PRIMARY_MONITOR_TRAP_FLAG |  \
     VMX_PRIMARY_MONITOR_EXITING | VMX_PRIMARY_PAUSE_EXITING)
#define SECONDARY_CHOICE                                                                                           \
    (VMX_SECONDARY_DESCRIPTOR_TABLE_EXITING | VMX_SECONDARY_RDTSCP | VMX_SECONDARY_WBINVD_EXITING |                \
     VMX_SECONDARY_UNRESTRICTED_GUEST | VMX_SECONDARY_PAUSE_LOOP_EXITING | VMX_SECONDARY_RDRAND_EXITING |          \
     VMX_SECONDARY_INVPCID | VMX_SECONDARY_RDSEED_EXITING | VMX_SECONDARY_XSAVES)
#define EXIT_CHOICE  VMX_EXIT_SAVE_PREEMPTION_TIMER
#define ENTRY_CHOICE                                                                                \
    (VMX_ENTRY_LOAD_DEBUG_CONTROLS | VMX_ENTRY_LONG_MODE | VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL |        \
     VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER)

/* Controls that are always on. Without an exit for it, loading CR8 would set the priority of the machine's own local
 * APIC, and a guest could keep interrupts from the kernel. */
#define PIN_NEEDED       (VMX_PIN_EXTERNAL_INTERRUPT_EXITING | VMX_PIN_NMI_EXITING | VMX_PIN_VIRTUAL_NMIS)
#define PRIMARY_NEEDED                                                                     \
    (VMX_PRIMARY_IO_BITMAPS | VMX_PRIMARY_MSR_BITMAPS | VMX_PRIMARY_SECONDARY_CONTROLS |   \
     VMX_PRIMARY_CR8_LOAD_EXITING)
#define SECONDARY_NEEDED VMX_SECONDARY_EPT
#define EXIT_NEEDED                                                                                \
    (VMX_EXIT_SAVE_DEBUG_CONTROLS | VMX_EXIT_HOST_64BIT | VMX_EXIT_ACKNOWLEDGE_INTERRUPT |         \
     VMX_EXIT_SAVE_PAT | VMX_EXIT_LOAD_PAT | VMX_EXIT_SAVE_EFER | VMX_EXIT_LOAD_EFER)

/* CR4 bits that a guest can have; later ones bring registers of which each guest would need its own (PKRU, CET …). */
#define CR4_CHOICE 0x377ffful

/* Not saved or loaded by entries and exits (SDM 3C 27.3.2.1): a guest that turns off caches turns off the machine's. */
#define CR0_CACHE_BITS (CR0_CD | CR0_NW)

/* Narrowed by each CPU that starts. */
struct vmx_machine vmx_machine = {
    .pin.may = UINT64_MAX,
    .primary.may = UINT64_MAX,
    .secondary.may = UINT64_MAX,
    .entry.may = UINT64_MAX,
    .exit.may = UINT64_MAX,
    .cr0.may = UINT64_MAX,
    .cr4.may = UINT64_MAX,
    .has_vpid = true,
    .one_vpid = true,
    .host_perf_control = true,
};

/* Each CPU needs one for its own use. */
static uint32_t vmxon_regions[CONFIG_MAX_NUM_NODES][1024] __attribute__((section(".bss.pages"), aligned(4096)));

static void narrow(struct vmx_limits *limits, struct vmx_limits own)
{
    limits->must |= own.must;
    limits->may &= own.may;
}

/* Takes a capability register's limits into LIMITS, with NEEDED made fixed and nothing left open but CHOICE. False where
 * the CPU cannot have all of NEEDED. */
static bool narrow_controls(struct vmx_limits *limits, uint32_t msr, uint64_t needed, uint64_t choice)
{
    uint64_t value = rdmsr(msr);
    struct vmx_limits own = { .must = value & UINT32_MAX, .may = value >> 32 };

    if ((own.may & needed) != needed)
        return false;
    own.must |= needed;
    own.may &= own.must | choice;
    narrow(limits, own);
    return true;
}

/* The limits of a control register are those of VMX operation as a whole, for the kernel as for guests. */
static bool narrow_control_register(struct vmx_limits *limits, uint32_t fixed0, uint32_t fixed1, uint64_t kernels,
                                    uint64_t unrestricted, uint64_t choice)
{
    struct vmx_limits own = { .must = rdmsr(fixed0) & UINT32_MAX, .may = rdmsr(fixed1) & UINT32_MAX };

    if (vmx_fit(own, kernels) != kernels)
        return false;
    own.must &= ~unrestricted;
    own.may &= own.must | choice;
    narrow(limits, own);
    return true;
}

static const char *switch_on(void)
{
    uint64_t control;

    if (!rdmsr_checked(MSR_FEATURE_CONTROL, &control))
        return "the processor has no register to switch VT-x on";
    if (!(control & FEATURE_LOCKED)) {
        control |= FEATURE_LOCKED | FEATURE_VMX_OUTSIDE_SMX;
        wrmsr(MSR_FEATURE_CONTROL, control);
    }
    return control & FEATURE_VMX_OUTSIDE_SMX ? NULL : "the firmware has switched VT-x off";
}

/* SDM 3D A.10 */
static const char *look_at_translation(void)
{
    uint64_t capabilities;

    if (!rdmsr_checked(MSR_VMX_EPT_VPID, &capabilities))
        return "VT-x without extended page tables";
    if (!(capabilities & EPT_WALK_4) || !(capabilities & EPT_WRITE_BACK) || !(capabilities & EPT_2M_PAGES))
        return "VT-x without write-back or 2 MiB extended pages";
    if (!(capabilities & EPT_INVEPT) || !(capabilities & EPT_INVEPT_ALL))
        return "VT-x without INVEPT";
    if (!(capabilities & VPID_INVVPID) || !(capabilities & (VPID_INVVPID_ONE | VPID_INVVPID_ALL)))
        vmx_machine.has_vpid = false;
    if (!(capabilities & VPID_INVVPID_ONE))
        vmx_machine.one_vpid = false;
    return NULL;
}

static const char *look_at_controls(uint64_t basic)
{
    struct vmx_machine *machine = &vmx_machine;
    uint32_t exact = basic & BASIC_TRUE_CONTROLS ? MSR_VMX_TRUE_FROM_PLAIN : 0;
    uint64_t secondary, exits = rdmsr(MSR_VMX_EXIT + exact) >> 32;

    if (!narrow_controls(&machine->pin, MSR_VMX_PIN + exact, PIN_NEEDED, PIN_CHOICE))
        return "VT-x without virtual NMIs";
    if (!(rdmsr(MSR_VMX_PRIMARY + exact) >> 32 & VMX_PRIMARY_SECONDARY_CONTROLS) ||
        !rdmsr_checked(MSR_VMX_SECONDARY, &secondary))
        return "VT-x without extended page tables";
    if (!narrow_controls(&machine->primary, MSR_VMX_PRIMARY + exact, PRIMARY_NEEDED, PRIMARY_CHOICE))
        return "VT-x without I/O or MSR bitmaps";
    if (!(secondary >> 32 & VMX_SECONDARY_UNRESTRICTED_GUEST))
        return "VT-x without unrestricted guests";
    if (!(secondary >> 32 & VMX_SECONDARY_VPID))
        machine->has_vpid = false;
    if (!narrow_controls(&machine->secondary, MSR_VMX_SECONDARY,
                         SECONDARY_NEEDED | (machine->has_vpid ? VMX_SECONDARY_VPID : 0), SECONDARY_CHOICE))
        return "VT-x without extended page tables";
    if (!(exits & VMX_EXIT_LOAD_PERF_GLOBAL_CTRL))
        machine->host_perf_control = false;
    if (!narrow_controls(&machine->exit, MSR_VMX_EXIT + exact,
                         EXIT_NEEDED | (machine->host_perf_control ? VMX_EXIT_LOAD_PERF_GLOBAL_CTRL : 0), EXIT_CHOICE))
        return "VT-x does not save and load PAT and EFER";
    if (!narrow_controls(&machine->entry, MSR_VMX_ENTRY + exact, 0, ENTRY_CHOICE) ||
        !(machine->entry.may & VMX_ENTRY_LONG_MODE))
        return "VT-x without 64-bit guests";
    return NULL;
}

/* What the CPU shall have when guests exit is what it has now. */
static const char *look_at_host_state(void)
{
    struct vmx_machine *machine = &vmx_machine;

    machine->host_cr0 = read_cr0() & ~CR0_TS;
    machine->host_cr4 = read_cr4() | CR4_VMXE;
    machine->host_efer = rdmsr(MSR_EFER);
    machine->host_pat = rdmsr(MSR_PAT);
    machine->host_star = rdmsr(MSR_STAR);
    machine->host_lstar = rdmsr(MSR_LSTAR);
    machine->host_fmask = rdmsr(MSR_FMASK);
    if (!narrow_control_register(&machine->cr0, MSR_VMX_CR0_FIXED0, MSR_VMX_CR0_FIXED1, machine->host_cr0,
                                 CR0_PE | CR0_PG, UINT32_MAX) ||
        !narrow_control_register(&machine->cr4, MSR_VMX_CR4_FIXED0, MSR_VMX_CR4_FIXED1, machine->host_cr4, 0,
                                 CR4_CHOICE))
        return "VT-x does not accept the kernel's CR0 or CR4";
    machine->cr0_kept = CR0_CACHE_BITS;
    machine->cr4_kept = rdmsr(MSR_VMX_CR4_FIXED1) & UINT32_MAX & ~machine->cr4.may;
    return NULL;
}

const char *vmx_start_cpu(struct cpu *cpu)
{
    uint64_t basic;

    if (!(cpuid_checked(1, 0).ecx & LEAF1_ECX_VMX))
        return "the processor has neither VT-x nor AMD-V";
    const char *reason = switch_on();
    if (reason)
        return reason;
    if (!rdmsr_checked(MSR_VMX_BASIC, &basic) || basic & BASIC_32_BIT)
        return "the processor has no VT-x that a 64-bit kernel can use";
    reason = look_at_translation();
    if (!reason)
        reason = look_at_controls(basic);
    if (!reason)
        reason = look_at_host_state();
    if (reason)
        return reason;

    uint32_t *region = vmxon_regions[cpu->index];
    vmx_machine.revision = region[0] = basic & BASIC_REVISION;
    vmx_fill_msr_bitmap();
    write_cr4(vmx_machine.host_cr4);
    if (!vmxon(kernel_to_physical(region))) {
        write_cr4(vmx_machine.host_cr4 & ~CR4_VMXE);
        return "the processor refuses to switch VT-x on";
    }
    return NULL;
}

const struct virtualization vmx_virtualization = {
    .feature = SEL4_BEAML4_VTX,
    .refused_reason = VMX_REASON_ENTRY_FAILED,
    .init = vmx_init_vmcs,
    .release = vmx_release,
    .set_entry = vmx_set_entry,
    .run = vmx_run,
    .invoke = vmx_invoke,
};
