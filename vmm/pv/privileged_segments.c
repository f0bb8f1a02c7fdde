/* Segment registers and descriptors (SDM 2: MOV, PUSH, POP, LSS, LAR, LSL, VERR, VERW, LGDT, SGDT, LLDT, LTR, SLDT, STR). */
#include "vmm/pv/privileged_parts.h"

#define TYPE_BUSY 2u

static void block_after_stack_load(struct privileged *p, enum vcpu_segment segment)
{
    if (segment == VCPU_SS)
        vcpu_set(p->vcpu, VCPU_INTERRUPTIBILITY, vcpu_get(p->vcpu, VCPU_INTERRUPTIBILITY) | VCPU_BLOCKED_BY_MOV_SS);
}

enum privileged_step privileged_mov_to_segment(struct privileged *p)
{
    enum vcpu_segment segment = p->instruction->number;
    uint16_t selector;

    if (segment == VCPU_CS || segment > VCPU_GS)
        return step_undefined(p);
    if (!selector_load(p, &selector) || !segment_load(p->cpu, segment, selector, &p->fault))
        return STEP_FAULT;
    finish_instruction(p);
    block_after_stack_load(p, segment);
    return STEP_ELSEWHERE;
}

enum privileged_step privileged_mov_from_segment(struct privileged *p)
{
    if (p->instruction->number > VCPU_GS)
        return step_undefined(p);
    return selector_store(p, vcpu_get(p->vcpu, VCPU_SEGMENT(p->instruction->number, VCPU_SELECTOR))) ? STEP_NEXT
                                                                                                  : STEP_FAULT;
}

enum privileged_step privileged_push_segment(struct privileged *p)
{
    uint64_t rsp = vcpu_get(p->vcpu, VCPU_RSP);
    uint64_t selector = vcpu_get(p->vcpu, VCPU_SEGMENT(p->instruction->number, VCPU_SELECTOR));
    unsigned size = p->instruction->operand_size;

    if (!pv_push(p->cpu, rsp, &selector, 1, size, pv_access_at(p->cpl), &p->fault))
        return STEP_FAULT;
    vcpu_set(p->vcpu, VCPU_RSP, rsp - size);
    return STEP_NEXT;
}

enum privileged_step privileged_pop_segment(struct privileged *p)
{
    uint64_t rsp = vcpu_get(p->vcpu, VCPU_RSP), selector;
    unsigned size = p->instruction->operand_size;

    if (!pv_read_stack(p->cpu, rsp, size, pv_access_at(p->cpl), &selector, &p->fault) ||
        !segment_load(p->cpu, p->instruction->number, (uint16_t)selector, &p->fault))
        return STEP_FAULT;
    vcpu_set(p->vcpu, VCPU_RSP, rsp + size);
    return STEP_NEXT;
}

enum privileged_step privileged_load_far_pointer(struct privileged *p)
{
    unsigned size = p->instruction->operand_size;
    uint64_t offset, selector;

    if (!p->instruction->is_memory)
        return step_undefined(p);
    if (!operand_load(p, 0, size, &offset) || !operand_load(p, size, 2, &selector) ||
        !segment_load(p->cpu, p->instruction->number, (uint16_t)selector, &p->fault))
        return STEP_FAULT;
    set_register(p->vcpu, p->instruction->other, size, offset);
    return STEP_NEXT;
}

/* The descriptor that LAR, LSL, VERR and VERW look at. *VISIBLE: it is there, and the running code may know of it. */
static bool look_at(struct privileged *p, struct descriptor *descriptor, bool *visible)
{
    uint16_t selector;
    bool beyond;

    *visible = false;
    if (!selector_load(p, &selector))
        return false;
    if (selector_is_null(selector))
        return true;
    if (!descriptor_read(p->cpu, selector, false, descriptor, &beyond, &p->fault))
        return false;
    unsigned dpl = descriptor_dpl(descriptor);
    *visible = !beyond && (descriptor_is_conforming(descriptor) || (dpl >= p->cpl && dpl >= (selector & SELECTOR_RPL)));
    return true;
}

static void set_zero_flag(struct privileged *p, bool set)
{
    uint64_t rflags = vcpu_get(p->vcpu, VCPU_RFLAGS) & ~RFLAGS_ZF;

    vcpu_set(p->vcpu, VCPU_RFLAGS, rflags | (set ? RFLAGS_ZF : 0));
}

enum privileged_step privileged_lar(struct privileged *p)
{
    struct descriptor descriptor;
    bool visible;

    if (!look_at(p, &descriptor, &visible))
        return STEP_FAULT;
    if (visible && descriptor_is_system(&descriptor)) {
        unsigned type = descriptor_type(&descriptor);
        visible = type == DESCRIPTOR_LDT || type == DESCRIPTOR_TSS || type == DESCRIPTOR_TSS_BUSY ||
                  type == DESCRIPTOR_CALL_GATE;
    }
    if (visible)
        set_register(p->vcpu, p->instruction->other, p->instruction->operand_size, descriptor.low >> 32 & 0x00f0ff00);
    set_zero_flag(p, visible);
    return STEP_NEXT;
}

enum privileged_step privileged_lsl(struct privileged *p)
{
    struct descriptor descriptor;
    bool visible;

    if (!look_at(p, &descriptor, &visible))
        return STEP_FAULT;
    if (visible && descriptor_is_system(&descriptor)) {
        unsigned type = descriptor_type(&descriptor);
        visible = type == DESCRIPTOR_LDT || type == DESCRIPTOR_TSS || type == DESCRIPTOR_TSS_BUSY;
    }
    if (visible)
        set_register(p->vcpu, p->instruction->other, p->instruction->operand_size, descriptor_limit(&descriptor));
    set_zero_flag(p, visible);
    return STEP_NEXT;
}

enum privileged_step privileged_verify(struct privileged *p)
{
    bool write = p->instruction->operation == PRIVILEGED_VERW, visible;
    struct descriptor descriptor;

    if (!look_at(p, &descriptor, &visible))
        return STEP_FAULT;
    set_zero_flag(p, visible && (write ? descriptor_is_writable(&descriptor) : descriptor_is_readable(&descriptor)));
    return STEP_NEXT;
}

static bool hides_tables(const struct privileged *p)
{
    return p->cpl != 0 && (vcpu_get(p->vcpu, VCPU_CR4) & CR4_UMIP);
}

enum privileged_step privileged_load_table(struct privileged *p)
{
    bool idt = p->instruction->operation == PRIVILEGED_LIDT;
    uint64_t limit, base;

    if (!operand_load(p, 0, 2, &limit) || !operand_load(p, 2, 8, &base))
        return STEP_FAULT;
    if (!is_canonical(base))
        return step_gp(p);
    vcpu_set(p->vcpu, idt ? VCPU_IDTR_BASE : VCPU_GDTR_BASE, base);
    vcpu_set(p->vcpu, idt ? VCPU_IDTR_LIMIT : VCPU_GDTR_LIMIT, limit);
    return STEP_NEXT;
}

enum privileged_step privileged_store_table(struct privileged *p)
{
    bool idt = p->instruction->operation == PRIVILEGED_SIDT;
    uint64_t limit = vcpu_get(p->vcpu, idt ? VCPU_IDTR_LIMIT : VCPU_GDTR_LIMIT);
    uint64_t base = vcpu_get(p->vcpu, idt ? VCPU_IDTR_BASE : VCPU_GDTR_BASE);

    if (hides_tables(p))
        return step_gp(p);
    /* All of it or nothing. */
    if (!pv_can_write(p->cpu, operand_address(p) + 2, 8, pv_access_at(p->cpl), &p->fault) ||
        !operand_store(p, 0, 2, limit) || !operand_store(p, 2, 8, base))
        return STEP_FAULT;
    return STEP_NEXT;
}

/* A system segment of the GDT, 16 bytes long. */
static bool fetch_system(struct privileged *p, uint16_t selector, unsigned type, struct descriptor *descriptor)
{
    uint32_t error = selector & SELECTOR_ERROR;

    if (selector & SELECTOR_LOCAL)
        return pv_fault_general(&p->fault, VECTOR_GP, error);
    if (!descriptor_fetch(p->cpu, selector, true, VECTOR_GP, 0, descriptor, &p->fault))
        return false;
    if (!descriptor_is_system(descriptor) || descriptor_type(descriptor) != type)
        return pv_fault_general(&p->fault, VECTOR_GP, error);
    if (!descriptor_is_present(descriptor))
        return pv_fault_general(&p->fault, VECTOR_NP, error);
    return is_canonical(descriptor_base(descriptor)) || pv_fault_general(&p->fault, VECTOR_GP, error);
}

enum privileged_step privileged_lldt(struct privileged *p)
{
    struct descriptor descriptor;
    uint16_t selector;

    if (!selector_load(p, &selector))
        return STEP_FAULT;
    if (selector_is_null(selector)) {
        segment_set_null(p->vcpu, VCPU_LDTR, selector, true);
        return STEP_NEXT;
    }
    if (!fetch_system(p, selector, DESCRIPTOR_LDT, &descriptor))
        return STEP_FAULT;
    segment_set(p->vcpu, VCPU_LDTR, selector, &descriptor);
    return STEP_NEXT;
}

enum privileged_step privileged_ltr(struct privileged *p)
{
    struct descriptor descriptor;
    uint16_t selector;

    if (!selector_load(p, &selector))
        return STEP_FAULT;
    if (selector_is_null(selector))
        return step_gp(p);
    if (!fetch_system(p, selector, DESCRIPTOR_TSS, &descriptor))
        return STEP_FAULT;
    descriptor.low |= (uint64_t)TYPE_BUSY << 40;
    if (!pv_write(p->cpu, descriptor.address + 5, 1, PV_SUPERVISOR, descriptor.low >> 40 & 0xff, &p->fault))
        return STEP_FAULT;
    segment_set(p->vcpu, VCPU_TR, selector, &descriptor);
    return STEP_NEXT;
}

enum privileged_step privileged_store_selector(struct privileged *p)
{
    unsigned segment = p->instruction->operation == PRIVILEGED_STR ? VCPU_TR : VCPU_LDTR;

    if (hides_tables(p))
        return step_gp(p);
    return selector_store(p, vcpu_get(p->vcpu, VCPU_SEGMENT(segment, VCPU_SELECTOR))) ? STEP_NEXT : STEP_FAULT;
}
