#include "vmm/vmx/vmx.h"

#include "algorithms/vcpu_decode.h"
#include "vmm/vmenter.h"
#include "vmm/vmx/registers.h"

#include <sel4/beaml4.h>
#include <sel4/vmcs.h>
#include <stdio.h>
#include <string.h>

/* Bits of CR0 that the guest sees as it sets them, whatever they really are: VT-x wants NE, and a guest that turns
 * caches off would only make itself slow (SDM 3C 26.8, 29.3.7.2). */
#define CR0_HIDDEN (CR0_NE | CR0_NW | CR0_CD)

/* Exits that the monitor must have: HLT to wait, MWAIT, MONITOR and RDPMC since CPUID does not offer them, CR8 since
 * the real one is the task priority of the machine's own APIC. */
#define PRIMARY_WANTED \
    (VMX_PRIMARY_HLT_EXITING | VMX_PRIMARY_MWAIT_EXITING | VMX_PRIMARY_MONITOR_EXITING | VMX_PRIMARY_RDPMC_EXITING | \
     VMX_PRIMARY_CR8_LOAD_EXITING | VMX_PRIMARY_CR8_STORE_EXITING | VMX_PRIMARY_SECONDARY_CONTROLS)
/* What would be slow and good for nothing. */
#define PRIMARY_UNWANTED \
    (VMX_PRIMARY_CR3_LOAD_EXITING | VMX_PRIMARY_CR3_STORE_EXITING | VMX_PRIMARY_INVLPG_EXITING | \
     VMX_PRIMARY_RDTSC_EXITING | VMX_PRIMARY_MOV_DR_EXITING)
#define SECONDARY_WANTED (VMX_SECONDARY_EPT | VMX_SECONDARY_UNRESTRICTED_GUEST)
#define ENTRY_WANTED     (VMX_ENTRY_LOAD_DEBUG_CONTROLS | VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER)

_Static_assert(VCPU_INTERRUPTIBILITY < 64 && VCPU_MASK_WORDS == 2, "what comes with every exit is in the first word");

static uint64_t read_field(const struct vmx *vmx, seL4_Word field)
{
    return seL4_X86_VCPU_ReadVMCS(vmx->object, field).value;
}

static uint64_t write_field(const struct vmx *vmx, seL4_Word field, uint64_t value)
{
    return seL4_X86_VCPU_WriteVMCS(vmx->object, field, value).written;
}

static uint64_t vmx_read(void *context, enum vcpu_register reg)
{
    struct vmx *vmx = context;
    uint32_t place = vmx_place_of(reg);

    switch (reg) {
    case VCPU_CR0:
        return (read_field(vmx, VMCS_GUEST_CR0) & ~CR0_HIDDEN) | (vmx->cr0_shadow & CR0_HIDDEN);
    case VCPU_CR4:
        return (read_field(vmx, VMCS_GUEST_CR4) & vmx->cr4_owned) | (vmx->cr4_shadow & ~vmx->cr4_owned);
    case VCPU_XCR0:
        return vmx->xcr0;
    default:
        break;
    }
    if (vmx_is_field(place))
        return read_field(vmx, place);
    if (vmx_is_msr(place))
        return seL4_X86_VCPU_ReadMSR(vmx->object, place).value;
    return 0; /* a general register without an exit to tell it, or CR2, which the kernel does not give out */
}

static void vmx_write(void *context, enum vcpu_register reg, uint64_t value)
{
    struct vmx *vmx = context;
    uint32_t place = vmx_place_of(reg);

    switch (reg) {
    case VCPU_CR0: /* the kernel adds what VT-x needs */
        vmx->cr0_shadow = value;
        write_field(vmx, VMCS_GUEST_CR0, (value & ~CR0_HIDDEN) | CR0_NE);
        write_field(vmx, VMCS_CR0_READ_SHADOW, value);
        return;
    case VCPU_CR4:
        vmx->cr4_shadow = value;
        write_field(vmx, VMCS_GUEST_CR4, value | CR4_VMXE);
        write_field(vmx, VMCS_CR4_READ_SHADOW, value);
        return;
    case VCPU_EFER:
        vmx->entry_controls &= ~VMX_ENTRY_LONG_MODE;
        if (value & EFER_LMA)
            vmx->entry_controls |= VMX_ENTRY_LONG_MODE;
        write_field(vmx, VMCS_GUEST_EFER, value);
        write_field(vmx, VMCS_ENTRY_CONTROLS, vmx->entry_controls);
        return;
    case VCPU_XCR0:
        vmx->xcr0 = value;
        return;
    default:
        break;
    }
    if (vmx_is_field(place))
        write_field(vmx, place, value);
    else if (vmx_is_msr(place))
        seL4_X86_VCPU_WriteMSR(vmx->object, place, value);
}

/* A write to CR0 exits only where it changes what is hidden. Once the guest sees that as it wants it, the instruction
 * does not exit again, and changes the rest with everything that belongs to it: checks, TLBs, long mode. */
static bool vmx_permit_control(void *context, enum vcpu_register reg, uint64_t value)
{
    struct vmx *vmx = context;

    if (reg != VCPU_CR0)
        return false;
    vmx->cr0_shadow = value;
    write_field(vmx, VMCS_CR0_READ_SHADOW, value);
    return true;
}

/* General registers go to the kernel all at once: with the entry where it takes them so, or before it. The tag of the
 * entry's message. */
static seL4_Word hand_over_registers(struct vmx *vmx, seL4_Word *mr)
{
    seL4_VCPUContext copy;

    if (vmx->enters_with_registers) {
        vmenter_give_registers(vmx->vcpu, (seL4_VCPUContext *)&mr[SEL4_VMENTER_FAULT_EAX]);
        return seL4_MessageInfo_new(0, 0, 0, SEL4_VMENTER_RESULT_FAULT_LEN).words[0];
    }
    vmenter_give_registers(vmx->vcpu, &copy);
    seL4_X86_VCPU_WriteRegisters(vmx->object, &copy);
    return 0;
}

static void take_registers(struct vcpu *vcpu, const seL4_Word *mr)
{
    uint64_t *value = vcpu->value;

    vmenter_take_registers(vcpu, mr);
    value[VCPU_RFLAGS] = mr[SEL4_VMENTER_FAULT_RFLAGS_MR];
    value[VCPU_CR3] = mr[SEL4_VMENTER_FAULT_CR3_MR];
    value[VCPU_INTERRUPTIBILITY] = mr[SEL4_VMENTER_FAULT_GUEST_INT_MR];
    vcpu->valid[0] |= VMENTER_GPRS | VCPU_MASK_BIT(VCPU_RFLAGS) | VCPU_MASK_BIT(VCPU_CR3) |
                      VCPU_MASK_BIT(VCPU_INTERRUPTIBILITY);
}

/* What few exits have beside the message. */
static void complete_exit(struct vmx *vmx, struct vcpu_exit *exit)
{
    struct vcpu_event event;

    if (exit->kind == VCPU_EXIT_IO && exit->io.string) {
        vmx_decode_string_io(exit, (uint32_t)read_field(vmx, VMCS_EXIT_INSTRUCTION_INFO));
    } else if (exit->kind == VCPU_EXIT_EXCEPTION) {
        uint32_t information = (uint32_t)read_field(vmx, VMCS_EXIT_INTERRUPTION_INFO);

        exit->exception.vector = (uint8_t)information;
        exit->exception.has_error = information & VMX_EVENT_ERROR_CODE;
        exit->exception.error = (uint32_t)read_field(vmx, VMCS_EXIT_INTERRUPTION_ERROR);
        /* It may have come in the middle of a delivery, which starts again (SDM 3C 28.2.4). An access to memory of a
         * device can interrupt one as well, but such a guest cannot go on: see vmm/emulate. */
        if (vmx_decode_event(&event, (uint32_t)read_field(vmx, VMCS_IDT_VECTORING_INFO),
                             (uint32_t)read_field(vmx, VMCS_IDT_VECTORING_ERROR)))
            vmx->vcpu->event = event;
    } else if (exit->raw_reason == VMX_REASON_ENTRY_FAILED) {
        exit->qualification = read_field(vmx, VMCS_INSTRUCTION_ERROR);
    }
}

static void vmx_run(void *context, struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct vmx *vmx = context;
    seL4_Word *mr = seL4_GetIPCBuffer()->msg;
    seL4_Word rip = vcpu_get(vcpu, VCPU_RIP), primary = vmx->primary, information = 0, reason = 0, tag = 0;
    uint64_t registers = vcpu->dirty[0] & VMENTER_GPRS;

    vcpu->dirty[0] &= ~(VMENTER_GPRS | VCPU_MASK_BIT(VCPU_RIP));
    if (vcpu->dirty[0] | vcpu->dirty[1])
        vcpu_write_back(vcpu);
    if (vcpu->event.kind != VCPU_EVENT_NONE) {
        information = vmx_encode_event(&vcpu->event);
        if (vcpu->event.has_error)
            write_field(vmx, VMCS_ENTRY_EXCEPTION_ERROR_CODE, vcpu->event.error);
    }
    if (vcpu->want_interrupt_window)
        primary |= VMX_PRIMARY_INTERRUPT_WINDOW;
    if (vcpu->want_nmi_window)
        primary |= VMX_PRIMARY_NMI_WINDOW;
    if (registers) /* last: they lie in the message */
        tag = hand_over_registers(vmx, mr);

    struct sel4_registers io = sel4_syscall_words(seL4_SysVMEnter, 0, tag, &rip, &primary, &information, &reason, 1, 1);

    vcpu->value[VCPU_RIP] = rip;
    vcpu->valid[0] = VCPU_MASK_BIT(VCPU_RIP);
    vcpu->valid[1] = 0;
    if (!(information & VMX_EVENT_VALID)) /* delivered */
        vcpu->event.kind = VCPU_EVENT_NONE;
    if (io.info == SEL4_VMENTER_RESULT_NOTIF) {
        *exit = (struct vcpu_exit) {
            .kind = VCPU_EXIT_NONE,
            .raw_reason = VMX_REASON_EXTERNAL_INTERRUPT,
            .qualification = io.dest,
            .notification = io.dest,
        };
        return;
    }
    take_registers(vcpu, mr);
    vmx_decode_exit(exit, (uint32_t)reason, mr[SEL4_VMENTER_FAULT_QUALIFICATION_MR],
                    (unsigned)mr[SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR], mr[SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR]);
    if (exit->kind == VCPU_EXIT_EXCEPTION || exit->kind == VCPU_EXIT_BAD_STATE ||
        (exit->kind == VCPU_EXIT_IO && exit->io.string))
        complete_exit(vmx, exit);
}

static const struct vcpu_operations vmx_operations = {
    .read = vmx_read,
    .write = vmx_write,
    .permit_control = vmx_permit_control,
    .run = vmx_run,
};

static const char *missing(struct vmx *vmx, const char *what)
{
    snprintf(vmx->problem, sizeof vmx->problem, "this CPU's VT-x has no %s", what);
    return vmx->problem;
}

static const char *set_controls(struct vmx *vmx)
{
    uint64_t primary = (read_field(vmx, VMCS_PRIMARY_CONTROLS) | PRIMARY_WANTED) & ~(uint64_t)PRIMARY_UNWANTED;
    uint64_t secondary = read_field(vmx, VMCS_SECONDARY_CONTROLS) | SECONDARY_WANTED;
    uint64_t entry = (read_field(vmx, VMCS_ENTRY_CONTROLS) | ENTRY_WANTED) & ~(uint64_t)VMX_ENTRY_LONG_MODE;

    vmx->primary = (uint32_t)write_field(vmx, VMCS_PRIMARY_CONTROLS, primary);
    if (PRIMARY_WANTED & ~vmx->primary)
        return missing(vmx, "exits for HLT, CR8 and their like");
    secondary = write_field(vmx, VMCS_SECONDARY_CONTROLS, secondary | VMX_SECONDARY_INVPCID);
    if (SECONDARY_WANTED & ~secondary)
        return missing(vmx, "unrestricted guests");
    vmx->invpcid = secondary & VMX_SECONDARY_INVPCID;
    vmx->entry_controls = (uint32_t)write_field(vmx, VMCS_ENTRY_CONTROLS, entry);
    if (ENTRY_WANTED & ~vmx->entry_controls)
        return missing(vmx, "EFER and PAT of guests");
    return NULL;
}

const char *vmx_init(struct vmx *vmx, struct vcpu *vcpu, seL4_CPtr object, seL4_CPtr tcb, seL4_CPtr ept_root,
                     uint32_t kernel_features)
{
    *vmx = (struct vmx) {
        .object = object,
        .vcpu = vcpu,
        .xcr0 = 1,
        .enters_with_registers = kernel_features & SEL4_BEAML4_VMENTER_REGISTERS,
    };
    if (seL4_X86_VCPU_SetTCB(object, tcb) != seL4_NoError)
        return "the kernel refuses to bind the virtual CPU to its thread";
    if (seL4_TCB_SetEPTRoot(tcb, ept_root) != seL4_NoError)
        return "the kernel refuses to bind guest memory to its thread";

    const char *problem = set_controls(vmx);
    if (problem)
        return problem;
    write_field(vmx, VMCS_EXCEPTION_BITMAP, 0);
    write_field(vmx, VMCS_CR0_MASK, CR0_HIDDEN);
    write_field(vmx, VMCS_GUEST_DEBUGCTL, 0);
    write_field(vmx, VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_ACTIVE);
    write_field(vmx, VMCS_GUEST_SMBASE, 0);
    vcpu_init(vcpu, &vmx_operations, vmx);
    return NULL;
}

void vmx_own_cr4(struct vmx *vmx, uint64_t bits)
{
    vmx->cr4_owned = bits;
    write_field(vmx, VMCS_CR4_MASK, ~bits);
}
