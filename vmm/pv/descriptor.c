#include "vmm/pv/descriptor.h"

#define TYPE_ACCESSED (UINT64_C(1) << 40)

uint64_t descriptor_access(const struct descriptor *d)
{
    return (d->low >> 40 & 0xff) | (d->low >> 52 & 0xf) << 12;
}

uint64_t descriptor_base(const struct descriptor *d)
{
    return (d->low >> 16 & 0xffffff) | (d->low >> 56) << 24 | d->high << 32;
}

uint32_t descriptor_limit(const struct descriptor *d)
{
    uint32_t limit = (uint32_t)((d->low & 0xffff) | (d->low >> 32 & 0xf0000));

    return d->low >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

bool descriptor_read(struct pv_cpu *cpu, uint16_t selector, bool wide, struct descriptor *descriptor, bool *beyond,
                     struct pv_fault *fault)
{
    struct vcpu *vcpu = cpu->vcpu;
    uint64_t base = vcpu_get(vcpu, VCPU_GDTR_BASE), limit = vcpu_get(vcpu, VCPU_GDTR_LIMIT);
    uint64_t offset = selector & ~7u;

    *descriptor = (struct descriptor) { 0 };
    *beyond = false;
    if (selector & SELECTOR_LOCAL) {
        base = vcpu_get(vcpu, VCPU_SEGMENT(VCPU_LDTR, VCPU_BASE));
        limit = vcpu_get(vcpu, VCPU_SEGMENT(VCPU_LDTR, VCPU_LIMIT));
        *beyond = vcpu_get(vcpu, VCPU_SEGMENT(VCPU_LDTR, VCPU_ACCESS)) & ACCESS_UNUSABLE;
    }
    if (*beyond || offset + (wide ? 15 : 7) > limit) {
        *beyond = true;
        return true;
    }
    descriptor->address = base + offset;
    return pv_read(cpu, base + offset, 8, PV_SUPERVISOR, &descriptor->low, fault) &&
           (!wide || pv_read(cpu, base + offset + 8, 8, PV_SUPERVISOR, &descriptor->high, fault));
}

bool descriptor_fetch(struct pv_cpu *cpu, uint16_t selector, bool wide, uint8_t vector, uint32_t external,
                      struct descriptor *descriptor, struct pv_fault *fault)
{
    bool beyond;

    if (!descriptor_read(cpu, selector, wide, descriptor, &beyond, fault))
        return false;
    return !beyond || pv_fault_general(fault, vector, (selector & SELECTOR_ERROR) | external);
}

bool descriptor_set_accessed(struct pv_cpu *cpu, struct descriptor *descriptor, struct pv_fault *fault)
{
    if (descriptor->low & TYPE_ACCESSED)
        return true;
    descriptor->low |= TYPE_ACCESSED;
    return pv_write(cpu, descriptor->address + 5, 1, PV_SUPERVISOR, descriptor->low >> 40 & 0xff, fault);
}

static void set(struct vcpu *vcpu, enum vcpu_segment segment, uint16_t selector, uint64_t limit, uint64_t access)
{
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_SELECTOR), selector);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_LIMIT), limit);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_ACCESS), access);
}

void segment_set(struct vcpu *vcpu, enum vcpu_segment segment, uint16_t selector, const struct descriptor *descriptor)
{
    set(vcpu, segment, selector, descriptor_limit(descriptor), descriptor_access(descriptor));
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_BASE), descriptor_base(descriptor));
}

void segment_set_null(struct vcpu *vcpu, enum vcpu_segment segment, uint16_t selector, bool clear_base)
{
    set(vcpu, segment, selector, 0, ACCESS_UNUSABLE);
    if (clear_base)
        vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_BASE), 0);
}

void segment_set_null_stack(struct vcpu *vcpu, unsigned cpl)
{
    set(vcpu, VCPU_SS, (uint16_t)cpl, 0, ACCESS_UNUSABLE | cpl << 5);
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_BASE), 0);
}

static bool load_stack(struct pv_cpu *cpu, uint16_t selector, struct pv_fault *fault)
{
    unsigned cpl = pv_cpl(cpu->vcpu);
    uint32_t error = selector & SELECTOR_ERROR;
    struct descriptor descriptor;

    if (selector_is_null(selector)) {
        if (cpl == 3 || (selector & SELECTOR_RPL) != cpl)
            return pv_fault_general(fault, VECTOR_GP, 0);
        segment_set_null_stack(cpu->vcpu, cpl);
        return true;
    }
    if (!descriptor_fetch(cpu, selector, false, VECTOR_GP, 0, &descriptor, fault))
        return false;
    if ((selector & SELECTOR_RPL) != cpl || descriptor_dpl(&descriptor) != cpl || !descriptor_is_writable(&descriptor))
        return pv_fault_general(fault, VECTOR_GP, error);
    if (!descriptor_is_present(&descriptor))
        return pv_fault_general(fault, VECTOR_SS, error);
    if (!descriptor_set_accessed(cpu, &descriptor, fault))
        return false;
    segment_set(cpu->vcpu, VCPU_SS, selector, &descriptor);
    return true;
}

bool segment_load(struct pv_cpu *cpu, enum vcpu_segment segment, uint16_t selector, struct pv_fault *fault)
{
    uint32_t error = selector & SELECTOR_ERROR;
    struct descriptor descriptor;

    if (segment == VCPU_SS)
        return load_stack(cpu, selector, fault);
    if (selector_is_null(selector)) {
        segment_set_null(cpu->vcpu, segment, selector, true);
        return true;
    }
    if (!descriptor_fetch(cpu, selector, false, VECTOR_GP, 0, &descriptor, fault))
        return false;

    unsigned dpl = descriptor_dpl(&descriptor), rpl = selector & SELECTOR_RPL, cpl = pv_cpl(cpu->vcpu);
    if (!descriptor_is_readable(&descriptor) ||
        (!descriptor_is_conforming(&descriptor) && (rpl > dpl || cpl > dpl)))
        return pv_fault_general(fault, VECTOR_GP, error);
    if (!descriptor_is_present(&descriptor))
        return pv_fault_general(fault, VECTOR_NP, error);
    if (!descriptor_set_accessed(cpu, &descriptor, fault))
        return false;
    segment_set(cpu->vcpu, segment, selector, &descriptor);
    return true;
}
