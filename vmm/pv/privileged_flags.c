/* RFLAGS (SDM 2: CLI, STI, PUSHF, POPF). */
#include "vmm/pv/privileged_parts.h"

#define ARITHMETIC UINT64_C(0x8d5) /* CF, PF, AF, ZF, SF, OF */

static bool may_change_if(const struct privileged *p)
{
    return p->cpl <= (vcpu_get(p->vcpu, VCPU_RFLAGS) & RFLAGS_IOPL) >> 12;
}

enum privileged_step privileged_cli(struct privileged *p)
{
    if (!may_change_if(p))
        return step_gp(p);
    vcpu_set(p->vcpu, VCPU_RFLAGS, vcpu_get(p->vcpu, VCPU_RFLAGS) & ~RFLAGS_IF);
    return STEP_NEXT;
}

enum privileged_step privileged_sti(struct privileged *p)
{
    uint64_t rflags = vcpu_get(p->vcpu, VCPU_RFLAGS);

    if (!may_change_if(p))
        return step_gp(p);
    if (rflags & RFLAGS_IF)
        return STEP_NEXT;
    finish_instruction(p);
    vcpu_set(p->vcpu, VCPU_RFLAGS, rflags | RFLAGS_IF);
    vcpu_set(p->vcpu, VCPU_INTERRUPTIBILITY, vcpu_get(p->vcpu, VCPU_INTERRUPTIBILITY) | VCPU_BLOCKED_BY_STI);
    return STEP_ELSEWHERE;
}

enum privileged_step privileged_pushf(struct privileged *p)
{
    uint64_t rsp = vcpu_get(p->vcpu, VCPU_RSP), rflags = vcpu_get(p->vcpu, VCPU_RFLAGS) & ~(RFLAGS_VM | RFLAGS_RF);
    unsigned size = p->instruction->operand_size;

    if (!pv_push(p->cpu, rsp, &rflags, 1, size, pv_access_at(p->cpl), &p->fault))
        return STEP_FAULT;
    vcpu_set(p->vcpu, VCPU_RSP, rsp - size);
    return STEP_NEXT;
}

enum privileged_step privileged_popf(struct privileged *p)
{
    uint64_t rsp = vcpu_get(p->vcpu, VCPU_RSP), rflags = vcpu_get(p->vcpu, VCPU_RFLAGS), value;
    uint64_t changed = ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
    unsigned size = p->instruction->operand_size;

    if (!pv_read_stack(p->cpu, rsp, size, pv_access_at(p->cpl), &value, &p->fault))
        return STEP_FAULT;
    if (size > 2)
        changed |= RFLAGS_AC | RFLAGS_ID | RFLAGS_RF;
    if (size > 2 && p->cpl == 0) {
        changed |= RFLAGS_VIF | RFLAGS_VIP;
        value &= ~(RFLAGS_VIF | RFLAGS_VIP);
    }
    value &= ~RFLAGS_RF;
    if (may_change_if(p))
        changed |= RFLAGS_IF;
    if (p->cpl == 0)
        changed |= RFLAGS_IOPL;
    finish_instruction(p);
    vcpu_set(p->vcpu, VCPU_RSP, rsp + size);
    vcpu_set(p->vcpu, VCPU_RFLAGS, (rflags & ~changed) | (value & changed) | RFLAGS_FIXED);
    return STEP_ELSEWHERE;
}
