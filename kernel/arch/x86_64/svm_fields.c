/* Which fields of its VMCB a VCPU's owner has, and what it may put there. Guest state needs few checks: the processor
 * refuses what it cannot run (APM 2 15.5.1), and that is the owner's failed entry. */
#include <arch/x86_64/svm.h>

#include <api/invocation.h>
#include <arch/x86_64/memory.h>
#include <arch/x86_64/svm_vmcb.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>
#include <object/vcpu_object.h>
#include <sel4/beaml4.h>

/* Intercepts that are always on. Performance counters are the machine's. */
#define INTERCEPT_CR_NEEDED (1u << (16 + 4)) /* writes of CR4: see CR4_CHOICE */
#define INTERCEPT_1_NEEDED                                                                                           \
    (SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI | SVM_INTERCEPT_INIT | SVM_INTERCEPT_VINTR | SVM_INTERCEPT_INVD |        \
     SVM_INTERCEPT_INVLPGA | SVM_INTERCEPT_IO | SVM_INTERCEPT_MSR | SVM_INTERCEPT_TASK_SWITCH |                      \
     SVM_INTERCEPT_FERR_FREEZE | SVM_INTERCEPT_SHUTDOWN | SVM_INTERCEPT_RDPMC)
#define INTERCEPT_2_NEEDED                                                                                           \
    (SVM_INTERCEPT_VMRUN | SVM_INTERCEPT_VMMCALL | SVM_INTERCEPT_VMLOAD | SVM_INTERCEPT_VMSAVE | SVM_INTERCEPT_STGI | \
     SVM_INTERCEPT_CLGI | SVM_INTERCEPT_SKINIT | SVM_INTERCEPT_MONITOR | SVM_INTERCEPT_MWAIT |                       \
     SVM_INTERCEPT_XSETBV | SVM_INTERCEPT_RDPRU)
#define INTERCEPT_3_NEEDED 0x1bu /* INVLPGB, MCOMMIT, TLBSYNC */

/* And what an owner may add. SMIs are the firmware's. */
#define INTERCEPT_1_CHOICE                                                                                     \
    (SVM_INTERCEPT_RDTSC | SVM_INTERCEPT_CPUID | SVM_INTERCEPT_IRET | SVM_INTERCEPT_PAUSE | \
     SVM_INTERCEPT_HLT | SVM_INTERCEPT_INVLPG | SVM_INTERCEPT_CR0_SELECTIVE)
#define INTERCEPT_2_CHOICE (SVM_INTERCEPT_RDTSCP | SVM_INTERCEPT_ICEBP | SVM_INTERCEPT_WBINVD)

/* CR4 bits that a guest can have; later ones bring registers of which each guest would need its own (PKRU, CET …). */
#define CR4_CHOICE 0x370ffful

#define EFER_CHOICE (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

#define EVENT_CHOICE                                                                                               \
    (SVM_EVENT_VECTOR | SVM_EVENT_TYPE | SVM_EVENT_ERROR_CODE | SVM_EVENT_VALID | 0xfffffffful << SVM_EVENT_ERROR_SHIFT)

#define VIRTUAL_INTERRUPT_CHOICE \
    (SVM_VIRTUAL_TPR | SVM_VIRTUAL_INTERRUPT | SVM_VIRTUAL_PRIORITY | SVM_VIRTUAL_IGNORE_TPR)
#define VIRTUAL_INTERRUPT_MASKING (1ul << 24)

#define NESTED_PAGING_ON 1ul

/* What may be done with the fields of [FIRST, LAST], each of SIZE bytes at distances of STEP. A written value is cut to
 * CHOICE, NEEDED is put in; reading leaves out what is HIDDEN. */
struct field_rule {
    uint16_t first, last;
    uint8_t step, size;
    bool writable;
    uint64_t choice, needed, hidden;
};

#define ALL UINT64_MAX
#define SEGMENTS_FIRST VMCB_ES
#define SEGMENTS_LAST  VMCB_TR

static const struct field_rule rules[] = {
    { VMCB_INTERCEPT_CR, VMCB_INTERCEPT_CR, 4, 4, true, ALL, INTERCEPT_CR_NEEDED, 0 },
    { VMCB_INTERCEPT_DR, VMCB_INTERCEPT_DR, 4, 4, true, ALL, 0, 0 },
    { VMCB_INTERCEPT_EXCEPTIONS, VMCB_INTERCEPT_EXCEPTIONS, 4, 4, true, ALL, SVM_EXCEPTIONS_KEPT, 0 },
    { VMCB_INTERCEPT_1, VMCB_INTERCEPT_1, 4, 4, true, INTERCEPT_1_CHOICE, INTERCEPT_1_NEEDED, 0 },
    { VMCB_INTERCEPT_2, VMCB_INTERCEPT_2, 4, 4, true, INTERCEPT_2_CHOICE, INTERCEPT_2_NEEDED, 0 },
    { VMCB_PAUSE_THRESHOLD, VMCB_PAUSE_COUNT, 2, 2, true, ALL, 0, 0 },
    { VMCB_TSC_OFFSET, VMCB_TSC_OFFSET, 8, 8, true, ALL, 0, 0 },
    { VMCB_VIRTUAL_INTERRUPT, VMCB_VIRTUAL_INTERRUPT, 8, 8, true, VIRTUAL_INTERRUPT_CHOICE, VIRTUAL_INTERRUPT_MASKING,
      VIRTUAL_INTERRUPT_MASKING },
    { VMCB_INTERRUPT_SHADOW, VMCB_INTERRUPT_SHADOW, 8, 8, true, 1, 0, ~1ul },
    { VMCB_EXIT_CODE, VMCB_EXIT_INTERRUPTED_EVENT, 8, 8, false, 0, 0, 0 },
    { VMCB_EVENT_INJECTION, VMCB_EVENT_INJECTION, 8, 8, true, EVENT_CHOICE, 0, 0 },
    { VMCB_NEXT_RIP, VMCB_FETCHED_BYTES_2, 8, 8, false, 0, 0, 0 },
    { SEGMENTS_FIRST + VMCB_SELECTOR, SEGMENTS_LAST + VMCB_SELECTOR, 16, 2, true, ALL, 0, 0 },
    { SEGMENTS_FIRST + VMCB_ATTRIBUTES, SEGMENTS_LAST + VMCB_ATTRIBUTES, 16, 2, true, 0xfff, 0, 0 },
    { SEGMENTS_FIRST + VMCB_LIMIT, SEGMENTS_LAST + VMCB_LIMIT, 16, 4, true, ALL, 0, 0 },
    { SEGMENTS_FIRST + VMCB_BASE, SEGMENTS_LAST + VMCB_BASE, 16, 8, true, ALL, 0, 0 },
    { VMCB_CPL, VMCB_CPL, 1, 1, true, 3, 0, 0 },
    { VMCB_EFER, VMCB_EFER, 8, 8, true, EFER_CHOICE, EFER_SVME, EFER_SVME },
    { VMCB_CR4, VMCB_CR4, 8, 8, true, CR4_CHOICE, 0, 0 },
    { VMCB_CR3, VMCB_RIP, 8, 8, true, ALL, 0, 0 },
    { VMCB_RSP, VMCB_RSP, 8, 8, true, ALL, 0, 0 },
    { VMCB_STAR, VMCB_CR2, 8, 8, true, ALL, 0, 0 },
    { VMCB_PAT, VMCB_PAT, 8, 8, true, ALL, 0, 0 },
};

/* The rule for a field, NULL where the owner has no such field. */
static const struct field_rule *rule_of(uint64_t field)
{
    for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++)
        if (field >= rules[i].first && field <= rules[i].last && (field - rules[i].first) % rules[i].step == 0)
            return &rules[i];
    return NULL;
}

static uint64_t read_field(const struct vcpu *vcpu, const struct field_rule *rule, uint64_t field)
{
    uint64_t value = 0;

    if (field == VMCB_INTERCEPT_EXCEPTIONS)
        return vcpu->svm.exceptions;
    memcpy(&value, (const char *)vcpu->control_block + field, rule->size);
    return value & ~rule->hidden;
}

/* Changing these makes a processor forget translations, where a guest does it by itself (APM 2 5.5.1); a new ASID has the
 * same effect. */
static bool governs_translation(uint64_t field)
{
    return field == VMCB_CR0 || field == VMCB_CR3 || field == VMCB_CR4 || field == VMCB_EFER || field == VMCB_PAT;
}

/* Fields that VMLOAD puts into registers which hold canonical addresses alone. */
static bool is_address(uint64_t field)
{
    switch (field) {
    case VMCB_LSTAR:
    case VMCB_CSTAR:
    case VMCB_KERNEL_GS_BASE:
    case VMCB_SYSENTER_ESP:
    case VMCB_SYSENTER_EIP:
        return true;
    default:
        return field >= SEGMENTS_FIRST && field <= SEGMENTS_LAST + VMCB_BASE && field % 16 == VMCB_BASE;
    }
}

static void write_field(struct vcpu *vcpu, const struct field_rule *rule, uint64_t field, uint64_t value)
{
    vcpu->svm.unproven = true;
    if (field == VMCB_INTERCEPT_EXCEPTIONS)
        vcpu->svm.exceptions = (uint32_t)value;
    if (governs_translation(field))
        vcpu->svm.asid_round = 0;
    if (is_address(field))
        value = (uint64_t)((int64_t)(value << 16) >> 16);
    value = (value & rule->choice) | rule->needed;
    memcpy((char *)vcpu->control_block + field, &value, rule->size);
}

static void read_fields(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 1 || call->length > INVOCATION_RESULTS) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    for (unsigned i = 0; i < call->length; i++) {
        if (!rule_of(argument(call, i))) {
            fail_argument(call, i);
            return;
        }
    }
    for (unsigned i = 0; i < call->length; i++)
        result(call, read_field(vcpu, rule_of(argument(call, i)), argument(call, i)));
}

static void write_fields(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 2 || call->length % 2) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    for (unsigned i = 0; i < call->length; i += 2) {
        const struct field_rule *rule = rule_of(argument(call, i));

        if (!rule || !rule->writable) {
            fail_argument(call, i);
            return;
        }
    }
    for (unsigned i = 0; i < call->length; i += 2)
        write_field(vcpu, rule_of(argument(call, i)), argument(call, i), argument(call, i + 1));
}

void svm_invoke(struct invocation *call, struct vcpu *vcpu)
{
    if (call->label == BEAML4_VCPUReadVMCB)
        read_fields(call, vcpu);
    else if (call->label == BEAML4_VCPUWriteVMCB)
        write_fields(call, vcpu);
    else
        fail(call, seL4_IllegalOperation);
}

uint64_t svm_owners_virtual_interrupt(uint64_t value)
{
    return value & ~VIRTUAL_INTERRUPT_MASKING;
}

static uint64_t fit_virtual_interrupt(uint64_t value)
{
    return (value & VIRTUAL_INTERRUPT_CHOICE) | VIRTUAL_INTERRUPT_MASKING;
}

void svm_set_entry(struct cpu *cpu, struct vcpu *vcpu, uint64_t rip, uint64_t virtual_interrupt, uint64_t event)
{
    struct vmcb *vmcb = vcpu_vmcb(vcpu);

    (void)cpu;
    vmcb->rip = rip;
    vmcb->virtual_interrupt = fit_virtual_interrupt(virtual_interrupt);
    vmcb->event_injection = event & EVENT_CHOICE;
}

void svm_init_vmcb(struct cpu *cpu, struct vcpu *vcpu)
{
    struct vmcb *vmcb = vcpu_vmcb(vcpu);

    (void)cpu;
    vcpu->svm.unproven = true;
    vmcb->intercept_cr = INTERCEPT_CR_NEEDED;
    vmcb->intercept_exceptions = SVM_EXCEPTIONS_KEPT;
    vmcb->intercept_1 = INTERCEPT_1_NEEDED;
    vmcb->intercept_2 = INTERCEPT_2_NEEDED;
    vmcb->intercept_3 = INTERCEPT_3_NEEDED;
    vmcb->io_permissions = kernel_to_physical(vcpu->io_bitmap);
    vmcb->msr_permissions = svm_msr_permissions();
    vmcb->virtual_interrupt = VIRTUAL_INTERRUPT_MASKING;
    vmcb->nested_paging = NESTED_PAGING_ON;
    vmcb->efer = EFER_SVME;
}
