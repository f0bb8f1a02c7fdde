#include "vmm/svm/svm.h"

#include "vmm/svm/decode.h"
#include "vmm/svm/registers.h"

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

#define ALL_GPRS 0xffffu
#define BIT_OF(reg) (UINT64_C(1) << (reg))
#define GPRS_OF_KERNEL (ALL_GPRS & ~BIT_OF(VCPU_RSP))

#define WITH_EVERY_EXIT                                                                                      \
    (ALL_GPRS | BIT_OF(VCPU_RIP) | BIT_OF(VCPU_RFLAGS) | BIT_OF(VCPU_CR0) | BIT_OF(VCPU_CR3) | BIT_OF(VCPU_CR4) | \
     BIT_OF(VCPU_EFER) | BIT_OF(VCPU_INTERRUPTIBILITY))

_Static_assert(VCPU_INTERRUPTIBILITY < 64, "the registers that come with every exit are in one word of the masks");

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

static const uint8_t message_order[] = {
    VCPU_RAX, VCPU_RBX, VCPU_RCX, VCPU_RDX, VCPU_RSI, VCPU_RDI, VCPU_RBP, VCPU_R8,
    VCPU_R9,  VCPU_R10, VCPU_R11, VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15,
};

_Static_assert(sizeof message_order == SEL4_VMENTER_FAULT_R15 - SEL4_VMENTER_FAULT_EAX + 1, "as in the message");

/* What every exit comes with. */
static void take_registers(struct svm *svm, const seL4_Word *mr)
{
    uint64_t *value = svm->vcpu->value;

    for (unsigned i = 0; i < sizeof message_order; i++)
        value[message_order[i]] = mr[SEL4_VMENTER_FAULT_EAX + i];
    value[VCPU_RSP] = mr[SVM_VMENTER_RSP_MR];
    value[VCPU_RFLAGS] = mr[SEL4_VMENTER_FAULT_RFLAGS_MR];
    value[VCPU_CR0] = mr[SVM_VMENTER_CR0_MR];
    value[VCPU_CR3] = mr[SEL4_VMENTER_FAULT_CR3_MR];
    value[VCPU_CR4] = mr[SVM_VMENTER_CR4_MR];
    value[VCPU_EFER] = mr[SVM_VMENTER_EFER_MR];
    value[VCPU_INTERRUPTIBILITY] =
        mr[SEL4_VMENTER_FAULT_GUEST_INT_MR] | (svm->nmi_blocked ? VCPU_BLOCKED_BY_NMI : 0);
    svm->vcpu->valid[0] |= WITH_EVERY_EXIT;
    vcpu_provide(svm->vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_BASE), mr[SVM_VMENTER_CS_BASE_MR]);
    vcpu_provide(svm->vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS), svm_access_of(mr[SVM_VMENTER_CS_ATTRIBUTES_MR] & 0xfff));
    svm->cpl = mr[SVM_VMENTER_CS_ATTRIBUTES_MR] >> 16 & 3;
}

/* The bytes at the guest's instruction pointer, as many as can be read. */
static unsigned fetch(struct svm *svm, bool is_64, uint8_t bytes[OPCODE_MAX_BYTES])
{
    uint64_t address = vcpu_get(svm->vcpu, VCPU_RIP), physical;
    struct walk_context walk;
    unsigned length = 0;
    uint32_t error;

    if (!is_64)
        address = (address + vcpu_get(svm->vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_BASE))) & UINT32_MAX;
    walk_begin(&walk, svm->vcpu, svm->memory);
    while (length < OPCODE_MAX_BYTES) {
        unsigned part = 4096 - (unsigned)((address + length) & 4095);

        if (part > OPCODE_MAX_BYTES - length)
            part = OPCODE_MAX_BYTES - length;
        if (walk_address(&walk, address + length, WALK_PRESENT, &physical, &error) != WALK_OK ||
            !guest_memory_read(svm->memory, physical, bytes + length, part))
            break;
        length += part;
    }
    return length;
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
                 (vcpu_get(svm->vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)) & ACCESS_LONG);
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
    seL4_Word length = SEL4_VMENTER_CALL_INTERRUPT_INFO_MR + 1, code = 0;

    if (vcpu->dirty[VCPU_PENDING_DEBUG / 64] & BIT_OF(VCPU_PENDING_DEBUG % 64))
        deliver_pending_debug(svm);
    seL4_Word rip = vcpu_get(vcpu, VCPU_RIP), event = svm_encode_event(&vcpu->event);
    seL4_Word interrupt = vcpu->want_interrupt_window ? SVM_VIRTUAL_INTERRUPT | SVM_VIRTUAL_IGNORE_TPR : 0;
    bool with_registers = vcpu->dirty[0] & GPRS_OF_KERNEL;

    vcpu->dirty[0] &= ~(GPRS_OF_KERNEL | BIT_OF(VCPU_RIP));
    vcpu_write_back(vcpu);
    if (vcpu->event.kind == VCPU_EVENT_NMI)
        set_nmi_blocked(svm, true);
    if (with_registers) {
        length = SEL4_VMENTER_RESULT_FAULT_LEN;
        for (unsigned i = 0; i < sizeof message_order; i++)
            mr[SEL4_VMENTER_FAULT_EAX + i] = vcpu->value[message_order[i]];
    }

    struct sel4_registers io = sel4_syscall_words(seL4_SysVMEnter, 0, seL4_MessageInfo_new(0, 0, 0, length).words[0], &rip,
                                                  &interrupt, &event, &code, 1, 1);

    vcpu_forget_all(vcpu);
    vcpu->value[VCPU_RIP] = rip;
    vcpu->valid[0] |= BIT_OF(VCPU_RIP);
    if (io.info == SEL4_VMENTER_RESULT_NOTIF) {
        take_event(vcpu, event);
        memset(exit, 0, sizeof *exit);
        exit->kind = VCPU_EXIT_NONE;
        exit->raw_reason = SVM_EXIT_INTR;
        exit->qualification = exit->notification = io.dest;
        return;
    }
    take_registers(svm, mr);
    svm_decode_exit(exit, code, mr[SEL4_VMENTER_FAULT_QUALIFICATION_MR], mr[SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR], rip,
                    mr[SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR]);
    if (exit->kind == VCPU_EXIT_BAD_STATE)
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
