/* Control and debug registers, and the TLB (SDM 2: MOV CR, MOV DR, SMSW, LMSW, CLTS, INVLPG, INVPCID, XSETBV). */
#include "vmm/pv/privileged_parts.h"

#define CR3_NO_FLUSH (UINT64_C(1) << 63)

#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR6_KNOWN UINT64_C(0x0000e00f)
#define DR6_DETECTED (UINT64_C(1) << 13)
#define DR7_FIXED UINT64_C(0x400)
#define DR7_KNOWN UINT64_C(0xffff23ff)

enum privileged_step privileged_smsw(struct privileged *p)
{
    if (p->cpl != 0 && (vcpu_get(p->vcpu, VCPU_CR4) & CR4_UMIP))
        return step_gp(p);
    return selector_store(p, vcpu_get(p->vcpu, VCPU_CR0)) ? STEP_NEXT : STEP_FAULT;
}

enum privileged_step privileged_lmsw(struct privileged *p)
{
    uint16_t value;

    if (!selector_load(p, &value))
        return STEP_FAULT;
    p->exit->control.access = VCPU_LMSW;
    p->exit->control.lmsw = value;
    return step_exit(p, VCPU_EXIT_CONTROL_REGISTER);
}

enum privileged_step privileged_clts(struct privileged *p)
{
    p->exit->control.access = VCPU_CLTS;
    return step_exit(p, VCPU_EXIT_CONTROL_REGISTER);
}

/* What a processor refuses before the monitor's policy is asked. Code stays 64-bit code: paging cannot be turned off. */
static bool is_allowed(struct privileged *p, unsigned number, uint64_t value)
{
    unsigned bits = p->cpu->physical_bits ? p->cpu->physical_bits : 52;

    if (number == 0)
        return (value & (CR0_PG | CR0_PE)) == (CR0_PG | CR0_PE);
    if (number == 3) {
        if (vcpu_get(p->vcpu, VCPU_CR4) & CR4_PCIDE)
            value &= ~CR3_NO_FLUSH;
        return value >> bits == 0;
    }
    return true;
}

enum privileged_step privileged_mov_cr(struct privileged *p)
{
    const struct privileged_instruction *i = p->instruction;
    bool to = i->operation == PRIVILEGED_MOV_TO_CR;

    if (i->number != 0 && i->number != 2 && i->number != 3 && i->number != 4 && i->number != 8)
        return step_undefined(p);
    if (i->number == 2) {
        if (to)
            vcpu_set(p->vcpu, VCPU_CR2, vcpu_get(p->vcpu, i->reg));
        else
            vcpu_set(p->vcpu, i->reg, vcpu_get(p->vcpu, VCPU_CR2));
        return STEP_NEXT;
    }
    if (to && !is_allowed(p, i->number, vcpu_get(p->vcpu, i->reg)))
        return step_gp(p);
    if (to && i->number == 3)
        p->cpu->invalidation.loaded_cr3 = true;
    p->exit->control.access = to ? VCPU_MOV_TO_CR : VCPU_MOV_FROM_CR;
    p->exit->control.number = i->number;
    p->exit->control.gpr = i->reg;
    return step_exit(p, VCPU_EXIT_CONTROL_REGISTER);
}

enum privileged_step privileged_mov_dr(struct privileged *p)
{
    const struct privileged_instruction *i = p->instruction;
    bool to = i->operation == PRIVILEGED_MOV_TO_DR;
    uint64_t value = vcpu_get(p->vcpu, i->reg), dr7 = vcpu_get(p->vcpu, VCPU_DR7);
    unsigned number = i->number;

    if (number > 7 || ((number == 4 || number == 5) && (vcpu_get(p->vcpu, VCPU_CR4) & CR4_DE)))
        return step_undefined(p);
    if (dr7 & DR7_GENERAL_DETECT) {
        p->cpu->dr6 |= DR6_DETECTED;
        p->fault = (struct pv_fault) { .vector = VECTOR_DB };
        return STEP_FAULT;
    }
    if (number == 4 || number == 5)
        number += 2;
    if (!to) {
        vcpu_set(p->vcpu, i->reg, number == 7 ? dr7 : number == 6 ? p->cpu->dr6 : p->cpu->debug_address[number]);
        return STEP_NEXT;
    }
    if (number >= 6 && value >> 32 != 0)
        return step_gp(p);
    if (number < 4 && !is_canonical(value))
        return step_gp(p);
    if (number == 7)
        vcpu_set(p->vcpu, VCPU_DR7, (value & DR7_KNOWN) | DR7_FIXED);
    else if (number == 6)
        p->cpu->dr6 = (value & DR6_KNOWN) | DR6_FIXED;
    else
        p->cpu->debug_address[number] = value;
    return STEP_NEXT;
}

static void invalidate_page(struct pv_cpu *cpu, uint64_t address)
{
    struct pv_invalidation *invalidation = &cpu->invalidation;

    if (invalidation->count < PV_INVALIDATED_PAGES)
        invalidation->page[invalidation->count++] = address;
    else
        invalidation->everything = true;
}

enum privileged_step privileged_invlpg(struct privileged *p)
{
    uint64_t address = operand_address(p);

    if (is_canonical(address)) /* another one has no translation */
        invalidate_page(p->cpu, address);
    return STEP_NEXT;
}

enum privileged_step privileged_invpcid(struct privileged *p)
{
    uint64_t type = vcpu_get(p->vcpu, p->instruction->other), pcid, address;

    if (!p->cpu->has_invpcid)
        return step_undefined(p);
    if (p->cpl != 0)
        return step_gp(p);
    if (!operand_load(p, 0, 8, &pcid) || !operand_load(p, 8, 8, &address))
        return STEP_FAULT;
    if (type > 3 || pcid >> 12 != 0 || (type == 0 && !is_canonical(address)) ||
        (type <= 1 && pcid != 0 && !(vcpu_get(p->vcpu, VCPU_CR4) & CR4_PCIDE)))
        return step_gp(p);
    if (type == 0)
        invalidate_page(p->cpu, address);
    else
        p->cpu->invalidation.everything = true;
    return STEP_NEXT;
}

enum privileged_step privileged_xsetbv(struct privileged *p)
{
    if (!(vcpu_get(p->vcpu, VCPU_CR4) & CR4_OSXSAVE))
        return step_undefined(p);
    return p->cpl != 0 ? step_gp(p) : step_exit(p, VCPU_EXIT_XSETBV);
}
