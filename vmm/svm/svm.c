#include "vmm/svm/svm.h"

#include "vmm/svm/decode.h"
#include "vmm/svm/registers.h"
#include "vmm/vmenter.h"

#include <sel4/beaml4.h>
#include <sel4/vmcb.h>
#include <string.h>

/* Exits that the monitor must have beside those that the kernel insists on: HLT to wait, CPUID for the policy, RDPMC since
 * CPUID does not offer it. IRET ends the blocking of NMIs. */
#define INTERCEPT_1_WANTED (SVM_INTERCEPT_CPUID | SVM_INTERCEPT_HLT | SVM_INTERCEPT_RDPMC)
#define INTERCEPT_2_WANTED SVM_INTERCEPT_WBINVD
#define INTERCEPT_CR_WANTED ((1u << 8) | (1u << 8) << 16) /* CR8, read and written: the model of the APIC has it */

#define DR6_AT_RESET 0xffff0ff0u
#define DR6_STEP     (1u << 14)
#define VMCB_DPL     0x60u
#define DPL_SHIFT    5

#define PDPTE_TABLE_MASK 0xffffffe0u

#define CS_BASE   VCPU_SEGMENT(VCPU_CS, VCPU_BASE)
#define CS_ACCESS VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)

#define WITH_EVERY_EXIT                                                                                          \
    (VMENTER_GPRS | VCPU_MASK_BIT(VCPU_RSP) | VCPU_MASK_BIT(VCPU_RFLAGS) | VCPU_MASK_BIT(VCPU_CR0) |             \
     VCPU_MASK_BIT(VCPU_CR3) | VCPU_MASK_BIT(VCPU_CR4) | VCPU_MASK_BIT(VCPU_EFER) |                              \
     VCPU_MASK_BIT(VCPU_INTERRUPTIBILITY) | VCPU_MASK_BIT(CS_BASE) | VCPU_MASK_BIT(CS_ACCESS))

_Static_assert(VCPU_PENDING_DEBUG < 64 && CS_ACCESS < 64 && VCPU_MASK_WORDS == 2,
               "the registers that come with every exit are in the first word of the masks");

static uint64_t read_field(const struct svm *svm, seL4_Word field)
{
    sel4_vcpu_read_vmcb(svm->object, 1, &field);
    return field;
}

static void write_field(const struct svm *svm, seL4_Word field, uint64_t value)
{
    const seL4_Word words[] = { field, value };

    sel4_vcpu_write_vmcb(svm->object, 2, words);
}

static void set_nmi_blocked(struct svm *svm, bool blocked)
{
    if (svm->nmi_blocked == blocked)
        return;
    svm->nmi_blocked = blocked;
    write_field(svm, VMCB_INTERCEPT_1, INTERCEPT_1_WANTED | (blocked ? SVM_INTERCEPT_IRET : 0));
}

/* AMD's processors read these entries when they need them. */
static uint64_t read_pdpte(const struct svm *svm, unsigned index)
{
    uint64_t entry = 0;

    guest_memory_read(svm->memory, (vcpu_get(svm->vcpu, VCPU_CR3) & PDPTE_TABLE_MASK) + index * sizeof entry, &entry,
                      sizeof entry);
    return entry;
}

static uint64_t svm_read(void *context, enum vcpu_register reg)
{
    struct svm *svm = context;
    uint32_t place = svm_place_of(reg);

    if (reg == VCPU_XCR0)
        return svm->xcr0;
    if (reg == VCPU_INTERRUPTIBILITY)
        return read_field(svm, VMCB_INTERRUPT_SHADOW) | (svm->nmi_blocked ? VCPU_BLOCKED_BY_NMI : 0);
    if (reg >= VCPU_PDPTE0 && reg <= VCPU_PDPTE3)
        return read_pdpte(svm, reg - VCPU_PDPTE0);
    if (place == SVM_NOWHERE)
        return 0;

    uint64_t value = read_field(svm, place);
    if (reg >= VCPU_SEGMENT_FIRST && (reg - VCPU_SEGMENT_FIRST) % 4 == VCPU_ACCESS) {
        /* The processor keeps the privilege level by itself; code that is about VT-x' form looks for it in SS. */
        if (reg == VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS))
            value = (value & ~(uint64_t)VMCB_DPL) | (uint64_t)svm->cpl << DPL_SHIFT;
        value = svm_access_of(value);
    }
    return value;
}

static void svm_write(void *context, enum vcpu_register reg, uint64_t value)
{
    struct svm *svm = context;
    uint32_t place = svm_place_of(reg);

    if (reg == VCPU_XCR0) {
        svm->xcr0 = value;
    } else if (reg == VCPU_INTERRUPTIBILITY) {
        write_field(svm, VMCB_INTERRUPT_SHADOW, (value & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS)) != 0);
        set_nmi_blocked(svm, value & VCPU_BLOCKED_BY_NMI);
    } else if (place != SVM_NOWHERE) {
        if (reg >= VCPU_SEGMENT_FIRST && (reg - VCPU_SEGMENT_FIRST) % 4 == VCPU_ACCESS)
            value = svm_attributes_of(value);
        write_field(svm, place, value);
    }
}

/* What every exit comes with. */
static void take_registers(struct svm *svm, const seL4_Word *mr)
{
    uint64_t *value = svm->vcpu->value, attributes = mr[SVM_VMENTER_CS_ATTRIBUTES_MR];

    vmenter_take_registers(svm->vcpu, mr);
    value[VCPU_RSP] = mr[SVM_VMENTER_RSP_MR];
    value[VCPU_RFLAGS] = mr[SEL4_VMENTER_FAULT_RFLAGS_MR];
    value[VCPU_CR0] = mr[SVM_VMENTER_CR0_MR];
    value[VCPU_CR3] = mr[SEL4_VMENTER_FAULT_CR3_MR];
    value[VCPU_CR4] = mr[SVM_VMENTER_CR4_MR];
    value[VCPU_EFER] = mr[SVM_VMENTER_EFER_MR];
    value[VCPU_INTERRUPTIBILITY] =
        mr[SEL4_VMENTER_FAULT_GUEST_INT_MR] | (svm->nmi_blocked ? VCPU_BLOCKED_BY_NMI : 0);
    value[CS_BASE] = mr[SVM_VMENTER_CS_BASE_MR];
    value[CS_ACCESS] = svm_access_of(attributes & 0xfff);
    svm->cpl = attributes >> 16 & 3;
    svm->vcpu->valid[0] |= WITH_EVERY_EXIT;
}

/* The bytes at the guest's instruction pointer, as many as can be read. */
static unsigned fetch(struct svm *svm, bool is_64, uint8_t bytes[OPCODE_MAX_BYTES])
{
    uint64_t address = vcpu_get(svm->vcpu, VCPU_RIP);
    struct walk_context walk;

    if (!is_64)
        address = (address + vcpu_get(svm->vcpu, CS_BASE)) & UINT32_MAX;
    walk_begin(&walk, svm->vcpu, svm->memory);
    return walk_fetch_code(&walk, address, bytes);
}

/* An instruction that cannot be read has been changed since it was executed: the guest executes what is there now. */
static void complete_exit(struct svm *svm, struct vcpu_exit *exit)
{
    uint8_t bytes[OPCODE_MAX_BYTES];
    enum opcode_kind kind;
    struct opcode opcode;

    if (!svm_needs_opcode(exit, &kind))
        return;
    bool is_64 = (vcpu_get(svm->vcpu, VCPU_EFER) & EFER_LMA) &&
                 (vcpu_get(svm->vcpu, CS_ACCESS) & ACCESS_LONG);
    if (opcode_decode(&opcode, kind, is_64, bytes, fetch(svm, is_64, bytes))) {
        svm_use_opcode(exit, &opcode);
    } else {
        exit->kind = VCPU_EXIT_NONE;
        exit->notification = 0;
    }
}

/* A single step that the monitor has carried out ends in a debug exception. */
static void deliver_pending_debug(struct svm *svm)
{
    struct vcpu *vcpu = svm->vcpu;

    if (!(vcpu_get(vcpu, VCPU_PENDING_DEBUG) & VCPU_PENDING_DEBUG_STEP) || vcpu->event.kind != VCPU_EVENT_NONE)
        return;
    vcpu->event = (struct vcpu_event) { .kind = VCPU_EVENT_EXCEPTION, .vector = VECTOR_DB };
    write_field(svm, VMCB_DR6, DR6_AT_RESET | DR6_STEP);
    vcpu_set(vcpu, VCPU_PENDING_DEBUG, 0);
}

static void take_event(struct vcpu *vcpu, uint64_t field)
{
    if (!svm_decode_event(&vcpu->event, field))
        vcpu->event = (struct vcpu_event) { .kind = VCPU_EVENT_NONE };
}

/* IRET is about to be executed: NMIs come again, but behind it. */
static void handle_iret(struct svm *svm, struct vcpu_exit *exit)
{
    set_nmi_blocked(svm, false);
    vcpu_set(svm->vcpu, VCPU_INTERRUPTIBILITY, VCPU_BLOCKED_BY_STI);
    exit->kind = VCPU_EXIT_NONE;
    exit->notification = 0;
}

static void svm_run(void *context, struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct svm *svm = context;
    seL4_Word *mr = seL4_GetIPCBuffer()->msg;
    seL4_Word interrupt = vcpu->want_interrupt_window ? SVM_VIRTUAL_INTERRUPT | SVM_VIRTUAL_IGNORE_TPR : 0;
    seL4_Word rip = vcpu_get(vcpu, VCPU_RIP), event = 0, code = 0, tag = 0;

    if (vcpu->dirty[0] & VCPU_MASK_BIT(VCPU_PENDING_DEBUG))
        deliver_pending_debug(svm);
    uint64_t registers = vcpu->dirty[0] & VMENTER_GPRS;
    vcpu->dirty[0] &= ~(VMENTER_GPRS | VCPU_MASK_BIT(VCPU_RIP));
    if (vcpu->dirty[0] | vcpu->dirty[1])
        vcpu_write_back(vcpu);
    if (vcpu->event.kind != VCPU_EVENT_NONE) {
        event = svm_encode_event(&vcpu->event);
        if (vcpu->event.kind == VCPU_EVENT_NMI)
            set_nmi_blocked(svm, true);
    }
    if (registers) { /* last: they lie in the message */
        vmenter_give_registers(vcpu, (seL4_VCPUContext *)&mr[SEL4_VMENTER_FAULT_EAX]);
        tag = seL4_MessageInfo_new(0, 0, 0, SEL4_VMENTER_RESULT_FAULT_LEN).words[0];
    }

    struct sel4_registers io = sel4_syscall_words(seL4_SysVMEnter, 0, tag, &rip, &interrupt, &event, &code, 1, 1);

    vcpu->value[VCPU_RIP] = rip;
    vcpu->valid[0] = VCPU_MASK_BIT(VCPU_RIP);
    vcpu->valid[1] = 0;
    if (io.info == SEL4_VMENTER_RESULT_NOTIF) {
        take_event(vcpu, event);
        *exit = (struct vcpu_exit) {
            .kind = VCPU_EXIT_NONE,
            .raw_reason = SVM_EXIT_INTR,
            .qualification = io.dest,
            .notification = io.dest,
        };
        return;
    }
    take_registers(svm, mr);
    svm_decode_exit(exit, code, mr[SEL4_VMENTER_FAULT_QUALIFICATION_MR], mr[SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR], rip,
                    mr[SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR]);
    if (exit->kind == VCPU_EXIT_BAD_STATE) /* it has not been delivered */
        return;
    take_event(vcpu, event);
    if (code == SVM_EXIT_IRET)
        handle_iret(svm, exit);
    else
        complete_exit(svm, exit);
}

static const struct vcpu_operations svm_operations = {
    .read = svm_read,
    .write = svm_write,
    .has_cr2 = true,
    .run = svm_run,
};

const char *svm_init(struct svm *svm, struct vcpu *vcpu, const struct guest_memory *memory, seL4_CPtr object,
                     seL4_CPtr tcb, seL4_CPtr ept_root)
{
    static const seL4_Word fields[] = {
        VMCB_INTERCEPT_1,  INTERCEPT_1_WANTED,  VMCB_INTERCEPT_2, INTERCEPT_2_WANTED,
        VMCB_INTERCEPT_CR, INTERCEPT_CR_WANTED, VMCB_DR6,         DR6_AT_RESET,
    };

    *svm = (struct svm) { .object = object, .vcpu = vcpu, .memory = memory, .xcr0 = 1 };
    if (seL4_X86_VCPU_SetTCB(object, tcb) != seL4_NoError)
        return "the kernel refuses to bind the virtual CPU to its thread";
    if (seL4_TCB_SetEPTRoot(tcb, ept_root) != seL4_NoError)
        return "the kernel refuses to bind guest memory to its thread";
    if (sel4_vcpu_write_vmcb(object, sizeof fields / sizeof fields[0], fields) != seL4_NoError)
        return "the kernel refuses the exits that the monitor needs";
    vcpu_init(vcpu, &svm_operations, svm);
    return NULL;
}
