#include "vmm/pv/pvm.h"

#include "vmm/pv/pvm_parts.h"

#include <elf.h>
#include <string.h>

#define PAGE_BYTES 4096u

/* Access rights as in struct vcpu: 64-bit code, and flat data. */
#define ACCESS_CODE      0xa09bu
#define ACCESS_DATA      0xc093u
#define ACCESS_DPL_USER  0x60u

#define STAR_KERNEL_SHIFT 32
#define STAR_USER_SHIFT   48
#define SELECTOR_RPL      3u
#define STAR_AT_START ((uint64_t)PVM_USER32_CS << STAR_USER_SHIFT | UINT64_C(0x10) << STAR_KERNEL_SHIFT)

#define PML4_SHIFT      39
#define UPPER_HALF      256u
#define CANONICAL_UPPER UINT64_C(0x1fffe00) /* bits above a PML4 index, in the upper half */

static bool has_synthetic_cpuid(const uint8_t *code, uint64_t length)
{
    const uint8_t *end = code + length;

    while ((uint64_t)(end - code) >= PVM_SYNTHETIC_CPUID_BYTES) {
        code = memchr(code, PVM_SYNTHETIC_CPUID[0], (size_t)(end - code) - PVM_SYNTHETIC_CPUID_BYTES + 1);
        if (!code)
            return false;
        if (memcmp(code, PVM_SYNTHETIC_CPUID, PVM_SYNTHETIC_CPUID_BYTES) == 0)
            return true;
        code++;
    }
    return false;
}

bool pvm_is_spoken(const uint8_t *image, uint64_t length)
{
    Elf64_Ehdr header;

    if (length < sizeof header)
        return false;
    memcpy(&header, image, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize < sizeof(Elf64_Phdr) || header.e_phoff > length ||
        (uint64_t)header.e_phnum * header.e_phentsize > length - header.e_phoff)
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, image + header.e_phoff + (uint64_t)i * header.e_phentsize, sizeof segment);
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) && segment.p_offset <= length &&
            segment.p_filesz <= length - segment.p_offset &&
            has_synthetic_cpuid(image + segment.p_offset, segment.p_filesz))
            return true;
    }
    return false;
}

bool pvm_is_supervisor(struct pvm *pvm)
{
    return pv_cpl(pvm->cpu->vcpu) != 3;
}

static void set_mode(struct vcpu *vcpu, uint64_t cs, uint64_t ss, uint64_t dpl)
{
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR), cs);
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS), ACCESS_CODE | dpl);
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_SELECTOR), ss);
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS), ACCESS_DATA | dpl);
}

static void set_supervisor(struct vcpu *vcpu)
{
    uint64_t cs = (vcpu_get(vcpu, VCPU_STAR) >> STAR_KERNEL_SHIFT & 0xffff) & ~(uint64_t)SELECTOR_RPL;

    set_mode(vcpu, cs, cs + 8, 0);
}

/* Nothing is flushed by it; the shadow page tables know both. */
static void switch_cr3(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    uint64_t cr3 = vcpu_get(vcpu, VCPU_CR3);

    vcpu_set(vcpu, VCPU_CR3, pvm->msr[PVM_MSR_SWITCH_CR3]);
    pvm->msr[PVM_MSR_SWITCH_CR3] = cr3;
}

void pvm_to_supervisor(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;

    set_supervisor(vcpu);
    switch_cr3(pvm);
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), vcpu_get(vcpu, VCPU_KERNEL_GS_BASE));
    vcpu_set(vcpu, VCPU_RSP, pvm->msr[PVM_MSR_SUPERVISOR_RSP]);
}

void pvm_to_user(struct pvm *pvm, uint16_t user_cs, uint16_t user_ss)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;

    pvm->msr[PVM_MSR_SUPERVISOR_RSP] = vcpu_get(vcpu, VCPU_RSP);
    vcpu_set(vcpu, VCPU_KERNEL_GS_BASE, vcpu_get(vcpu, VCPU_SEGMENT(VCPU_GS, VCPU_BASE)));
    switch_cr3(pvm);
    set_mode(vcpu, user_cs | SELECTOR_RPL, user_ss | SELECTOR_RPL, ACCESS_DPL_USER);
}

void pvm_shared_written(struct pvm *pvm)
{
    const struct guest_memory *memory = pvm->cpu->memory;

    if (memory->written)
        memory->written(memory->context, pvm->msr[PVM_MSR_VCPU_STRUCT], sizeof *pvm->shared);
}

/* The page is the guest's, which can write at any moment that it runs; it does not while the monitor does. */
static void set_event_flags(struct pvm *pvm, uint64_t flags)
{
    if (pvm->shared->event_flags == flags)
        return;
    pvm->shared->event_flags = flags;
    pvm_shared_written(pvm);
}

void pvm_stopped(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    uint64_t rflags = (vcpu_get(vcpu, VCPU_RFLAGS) & PVM_RFLAGS_GUEST) | PVM_RFLAGS_FIXED;
    bool enabled = true;

    if (pvm_is_supervisor(pvm))
        enabled = pvm->shared && (pvm->shared->event_flags & PVM_EVENT_FLAG_IF);
    vcpu_set(vcpu, VCPU_RFLAGS, enabled ? rflags | RFLAGS_IF : rflags & ~RFLAGS_IF);
}

/* There is no shadow behind STI and MOV SS. */
void pvm_resumes(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    uint64_t interruptibility = vcpu_get(vcpu, VCPU_INTERRUPTIBILITY);

    if (interruptibility & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS))
        vcpu_set(vcpu, VCPU_INTERRUPTIBILITY,
                 interruptibility & ~(uint64_t)(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
    if (!pvm->shared || !pvm_is_supervisor(pvm))
        return;
    uint64_t flags = pvm->shared->event_flags & ~(PVM_EVENT_FLAG_IF | PVM_EVENT_FLAG_IP);

    if (vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_IF)
        flags |= PVM_EVENT_FLAG_IF;
    else if (vcpu->want_interrupt_window || (pvm->shared->event_flags & PVM_EVENT_FLAG_IP))
        flags |= PVM_EVENT_FLAG_IP;
    set_event_flags(pvm, flags);
}

bool pvm_permits(const struct pvm *pvm, uint64_t address)
{
    uint64_t range = pvm->msr[PVM_MSR_LINEAR_RANGE];
    uint64_t index = address >> PML4_SHIFT; /* 25 bits */

    if (index < UPPER_HALF)
        return true;
    return (index & ~(uint64_t)0x1ff) == CANONICAL_UPPER && (index & 0x1ff) >= (range & 0x1ff) &&
           (index & 0x1ff) < (range >> 16 & 0x1ff);
}

static uint64_t range_of(unsigned first, unsigned last)
{
    uint64_t none = (uint64_t)PVM_RANGE_NONE << 32 | (uint64_t)PVM_RANGE_NONE << 48;

    return PVM_RANGE_FIXED | none | first | (uint64_t)(last + 1) << 16;
}

/* A part of the widest range, or 0 for all of it. A range of the PML5 concerns nobody. */
static bool set_range(struct pvm *pvm, uint64_t value)
{
    unsigned first = value & 0x1ff, end = value >> 16 & 0x1ff;
    unsigned first5 = value >> 32 & 0x1ff, end5 = value >> 48 & 0x1ff;

    if (value == 0)
        value = pvm->range_widest;
    else if ((value & PVM_RANGE_FIXED) != PVM_RANGE_FIXED || first > end || (first == end && first != PVM_RANGE_NONE) ||
             first5 != PVM_RANGE_NONE || end5 != PVM_RANGE_NONE)
        return false;
    else if (first != PVM_RANGE_NONE &&
             (first < (pvm->range_widest & 0x1ff) || end > (pvm->range_widest >> 16 & 0x1ff)))
        return false;
    /* What is not permitted any more is forgotten. */
    pvm->cpu->invalidation.everything = true;
    pvm->msr[PVM_MSR_LINEAR_RANGE] = value;
    return true;
}

static bool set_vcpu_struct(struct pvm *pvm, uint64_t address)
{
    struct pvm_vcpu_struct *shared = NULL;

    if (address != 0 && (address % PAGE_BYTES != 0 ||
                         !(shared = guest_memory_at(pvm->cpu->memory, address, PAGE_BYTES))))
        return false;
    pvm->msr[PVM_MSR_VCPU_STRUCT] = address;
    pvm->shared = shared;
    return true;
}

static bool is_event_entry(uint64_t address)
{
    return is_canonical(address) && is_canonical(address + PVM_ENTRY_SUPERVISOR_EXCEPTION) &&
           is_canonical(address + PVM_ENTRY_SUPERVISOR_INTERRUPT);
}

static enum bus_result access_msr(void *device, struct bus_access *access)
{
    struct pvm *pvm = device;

    if (!access->write) {
        access->value = pvm->msr[access->offset];
        return BUS_DONE;
    }
    switch (access->offset) {
    case PVM_MSR_LINEAR_RANGE:
        return set_range(pvm, access->value) ? BUS_DONE : BUS_FAULT;
    case PVM_MSR_VCPU_STRUCT:
        return set_vcpu_struct(pvm, access->value) ? BUS_DONE : BUS_FAULT;
    case PVM_MSR_EVENT_ENTRY:
        if (!is_event_entry(access->value))
            return BUS_FAULT;
        break;
    default:
        break;
    }
    pvm->msr[access->offset] = access->value;
    return BUS_DONE;
}

bool pvm_is_star(uint64_t star)
{
    uint64_t kernel_cs = star >> STAR_KERNEL_SHIFT & 0xffff, user32_cs = star >> STAR_USER_SHIFT;

    return (kernel_cs & ~(uint64_t)SELECTOR_RPL) != 0 && (user32_cs | SELECTOR_RPL) == PVM_USER32_CS;
}

bool pvm_init(struct pvm *pvm, struct pv_cpu *cpu, unsigned first, unsigned last)
{
    struct vcpu *vcpu = cpu->vcpu;
    const struct bus_range range = {
        .space = BUS_MSR, .start = PVM_MSR_FIRST, .length = PVM_MSR_COUNT, .priority = 128,
        .handler = access_msr, .device = pvm, .name = "pvm",
    };

    *pvm = (struct pvm) { .cpu = cpu, .range_widest = range_of(first, last) };
    pvm->msr[PVM_MSR_LINEAR_RANGE] = pvm->range_widest;
    if (!bus_register(cpu->bus, &range))
        return false;
    vcpu_set(vcpu, VCPU_CR0, CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    vcpu_set(vcpu, VCPU_CR4, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE);
    vcpu_set(vcpu, VCPU_EFER, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
    vcpu_set(vcpu, VCPU_STAR, STAR_AT_START);
    set_supervisor(vcpu);
    return true;
}
