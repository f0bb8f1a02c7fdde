/* Control transfers between code segments in 64-bit mode (SDM 2: IRET, RET, JMP, CALL, SYSCALL, SYSRET, SWAPGS).
 *
 * All code of a guest is 64-bit code: a transfer to a segment that is not gets the #GP that a damaged descriptor would. */
#include "vmm/pv/privileged_parts.h"

#define SYSRET_RFLAGS UINT64_C(0x3c7fd7)
#define IRET_RFLAGS_16 UINT64_C(0x4dd5) /* CF, PF, AF, ZF, SF, TF, DF, OF, NT */

#define ACCESS_CODE_64 0xa0fbu /* of SYSRET: present, DPL 3, execute/read, accessed; 64-bit, granular */
#define ACCESS_DATA_64 0xc0f3u
#define ACCESS_DPL     0x60u

/* What is popped by a far return. */
struct frame {
    uint64_t rip, rflags, rsp;
    uint16_t cs, ss;
};

static bool pop(struct privileged *p, uint64_t *rsp, uint64_t *value)
{
    unsigned size = p->instruction->operand_size;

    if (!pv_read_stack(p->cpu, *rsp, size, pv_access_at(p->cpl), value, &p->fault))
        return false;
    *rsp += size;
    return true;
}

static bool refuse(struct privileged *p, uint8_t vector, uint16_t selector)
{
    return pv_fault_general(&p->fault, vector, selector & SELECTOR_ERROR);
}

static bool check_return_code(struct privileged *p, const struct frame *frame, struct descriptor *code)
{
    unsigned rpl = frame->cs & SELECTOR_RPL;

    if (selector_is_null(frame->cs))
        return pv_fault_general(&p->fault, VECTOR_GP, 0);
    if (!descriptor_fetch(p->cpu, frame->cs, false, VECTOR_GP, 0, code, &p->fault))
        return false;
    if (!descriptor_is_code(code) || rpl < p->cpl ||
        (descriptor_is_conforming(code) ? descriptor_dpl(code) > rpl : descriptor_dpl(code) != rpl))
        return refuse(p, VECTOR_GP, frame->cs);
    if (!descriptor_is_present(code))
        return refuse(p, VECTOR_NP, frame->cs);
    if (!descriptor_is_long(code))
        return refuse(p, VECTOR_GP, frame->cs);
    return is_canonical(frame->rip) || pv_fault_general(&p->fault, VECTOR_GP, 0);
}

/* The stack of the level of CS; kernels can have a null one. */
static bool check_return_stack(struct privileged *p, const struct frame *frame, struct descriptor *stack)
{
    unsigned rpl = frame->cs & SELECTOR_RPL;

    if (selector_is_null(frame->ss))
        return (rpl != 3 && (frame->ss & SELECTOR_RPL) == rpl) || pv_fault_general(&p->fault, VECTOR_GP, 0);
    if (!descriptor_fetch(p->cpu, frame->ss, false, VECTOR_GP, 0, stack, &p->fault))
        return false;
    if ((frame->ss & SELECTOR_RPL) != rpl || !descriptor_is_writable(stack) || descriptor_dpl(stack) != rpl)
        return refuse(p, VECTOR_GP, frame->ss);
    return descriptor_is_present(stack) || refuse(p, VECTOR_SS, frame->ss);
}

/* Segments that the outer level may not have become null (their base stays). */
static void drop_inner_segments(struct privileged *p, unsigned level)
{
    static const enum vcpu_segment segments[] = { VCPU_ES, VCPU_DS, VCPU_FS, VCPU_GS };

    for (unsigned i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        uint64_t access = vcpu_get(p->vcpu, VCPU_SEGMENT(segments[i], VCPU_ACCESS));
        bool is_conforming = (access & 0xc) == 0xc;

        if ((access & ACCESS_UNUSABLE) || (!is_conforming && (access >> 5 & 3) < level))
            segment_set_null(p->vcpu, segments[i], 0, false);
    }
}

/* Returns to a frame that has been checked; SWITCHES_STACK: it has SS and RSP. */
static bool return_to(struct privileged *p, const struct frame *frame, struct descriptor *code, bool switches_stack)
{
    unsigned level = frame->cs & SELECTOR_RPL;
    struct descriptor stack = { 0 };

    if (switches_stack && !check_return_stack(p, frame, &stack))
        return false;
    if (!descriptor_set_accessed(p->cpu, code, &p->fault) ||
        (switches_stack && !selector_is_null(frame->ss) && !descriptor_set_accessed(p->cpu, &stack, &p->fault)))
        return false;
    finish_instruction(p);
    segment_set(p->vcpu, VCPU_CS, frame->cs, code);
    if (switches_stack && selector_is_null(frame->ss))
        segment_set_null_stack(p->vcpu, level);
    else if (switches_stack)
        segment_set(p->vcpu, VCPU_SS, frame->ss, &stack);
    vcpu_set(p->vcpu, VCPU_RIP, frame->rip);
    vcpu_set(p->vcpu, VCPU_RSP, frame->rsp);
    if (level > p->cpl)
        drop_inner_segments(p, level);
    return true;
}

/* The flags that IRET brings, by where it comes from. */
static uint64_t returned_rflags(struct privileged *p, uint64_t rflags)
{
    uint64_t now = vcpu_get(p->vcpu, VCPU_RFLAGS), changed = IRET_RFLAGS_16;

    if (p->instruction->operand_size > 2)
        changed |= RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;
    if (p->cpl <= (now & RFLAGS_IOPL) >> 12)
        changed |= RFLAGS_IF;
    if (p->cpl == 0) {
        changed |= RFLAGS_IOPL;
        if (p->instruction->operand_size > 2)
            changed |= RFLAGS_VIF | RFLAGS_VIP;
    }
    return (now & ~changed) | (rflags & changed) | RFLAGS_FIXED;
}

enum privileged_step privileged_iret(struct privileged *p)
{
    uint64_t rsp = vcpu_get(p->vcpu, VCPU_RSP), cs, ss;
    struct descriptor code;
    struct frame frame;

    if (vcpu_get(p->vcpu, VCPU_RFLAGS) & RFLAGS_NT)
        return step_gp(p);
    if (!pop(p, &rsp, &frame.rip) || !pop(p, &rsp, &cs) || !pop(p, &rsp, &frame.rflags) || !pop(p, &rsp, &frame.rsp) ||
        !pop(p, &rsp, &ss))
        return STEP_FAULT;
    frame.cs = (uint16_t)cs;
    frame.ss = (uint16_t)ss;

    uint64_t rflags = returned_rflags(p, frame.rflags);
    if (!check_return_code(p, &frame, &code) || !return_to(p, &frame, &code, true))
        return STEP_FAULT;
    vcpu_set(p->vcpu, VCPU_RFLAGS, rflags);
    vcpu_set(p->vcpu, VCPU_INTERRUPTIBILITY,
             vcpu_get(p->vcpu, VCPU_INTERRUPTIBILITY) & ~(uint64_t)VCPU_BLOCKED_BY_NMI);
    return STEP_ELSEWHERE;
}

enum privileged_step privileged_ret_far(struct privileged *p)
{
    uint64_t rsp = vcpu_get(p->vcpu, VCPU_RSP), released = p->instruction->immediate, cs, ss;
    struct descriptor code;
    struct frame frame = { 0 };

    if (!pop(p, &rsp, &frame.rip) || !pop(p, &rsp, &cs))
        return STEP_FAULT;
    frame.cs = (uint16_t)cs;
    rsp += released;
    if (!check_return_code(p, &frame, &code))
        return STEP_FAULT;

    bool outward = (frame.cs & SELECTOR_RPL) > p->cpl;
    frame.rsp = rsp;
    if (outward) {
        if (!pop(p, &rsp, &frame.rsp) || !pop(p, &rsp, &ss))
            return STEP_FAULT;
        frame.ss = (uint16_t)ss;
        frame.rsp += released;
    }
    return return_to(p, &frame, &code, outward) ? STEP_ELSEWHERE : STEP_FAULT;
}

/* Where a far JMP or CALL goes: straight to code of the same level. Call gates are not followed. */
static bool fetch_target(struct privileged *p, struct frame *frame, struct descriptor *code)
{
    unsigned size = p->instruction->operand_size;
    uint64_t selector;

    if (!operand_load(p, 0, size, &frame->rip) || !operand_load(p, size, 2, &selector))
        return false;
    frame->cs = (uint16_t)selector;
    if (selector_is_null(frame->cs))
        return pv_fault_general(&p->fault, VECTOR_GP, 0);
    if (!descriptor_fetch(p->cpu, frame->cs, false, VECTOR_GP, 0, code, &p->fault))
        return false;
    bool allowed = descriptor_is_conforming(code)
                       ? descriptor_dpl(code) <= p->cpl
                       : (frame->cs & SELECTOR_RPL) <= p->cpl && descriptor_dpl(code) == p->cpl;
    if (!descriptor_is_code(code) || !allowed || !descriptor_is_long(code))
        return refuse(p, VECTOR_GP, frame->cs);
    if (!descriptor_is_present(code))
        return refuse(p, VECTOR_NP, frame->cs);
    frame->cs = (uint16_t)((frame->cs & ~SELECTOR_RPL) | p->cpl);
    return is_canonical(frame->rip) || pv_fault_general(&p->fault, VECTOR_GP, 0);
}

enum privileged_step privileged_jmp_far(struct privileged *p)
{
    struct frame frame = { .rsp = vcpu_get(p->vcpu, VCPU_RSP) };
    struct descriptor code;

    return fetch_target(p, &frame, &code) && return_to(p, &frame, &code, false) ? STEP_ELSEWHERE : STEP_FAULT;
}

enum privileged_step privileged_call_far(struct privileged *p)
{
    uint64_t rsp = vcpu_get(p->vcpu, VCPU_RSP);
    uint64_t words[] = {
        vcpu_get(p->vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)),
        vcpu_get(p->vcpu, VCPU_RIP) + p->instruction->length,
    };
    unsigned size = p->instruction->operand_size;
    struct frame frame = { .rsp = rsp - 2 * size };
    struct descriptor code;

    if (!fetch_target(p, &frame, &code) ||
        !pv_push(p->cpu, rsp, words, 2, size, pv_access_at(p->cpl), &p->fault) ||
        !return_to(p, &frame, &code, false))
        return STEP_FAULT;
    return STEP_ELSEWHERE;
}

/* The flat segments that SYSCALL and SYSRET load without looking at a table. */
static void set_flat(struct vcpu *vcpu, enum vcpu_segment segment, uint16_t selector, uint64_t access)
{
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_SELECTOR), selector);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_BASE), 0);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_LIMIT), UINT32_MAX);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_ACCESS), access);
}

enum privileged_step privileged_sysret(struct privileged *p)
{
    uint16_t base = (uint16_t)(vcpu_get(p->vcpu, VCPU_STAR) >> 48);
    uint64_t rip = vcpu_get(p->vcpu, VCPU_RCX), rflags = vcpu_get(p->vcpu, VCPU_R11);

    if (!(vcpu_get(p->vcpu, VCPU_EFER) & EFER_SCE))
        return step_undefined(p);
    /* Without REX.W it would return to 32-bit code, which no guest has here. */
    if (p->cpl != 0 || p->instruction->operand_size != 8 || !is_canonical(rip))
        return step_gp(p);
    finish_instruction(p);
    vcpu_set(p->vcpu, VCPU_RIP, rip);
    vcpu_set(p->vcpu, VCPU_RFLAGS, (rflags & SYSRET_RFLAGS) | RFLAGS_FIXED);
    set_flat(p->vcpu, VCPU_CS, (uint16_t)((base + 16) | 3), ACCESS_CODE_64);
    set_flat(p->vcpu, VCPU_SS, (uint16_t)((base + 8) | 3), ACCESS_DATA_64);
    return STEP_ELSEWHERE;
}

enum privileged_step privileged_swapgs(struct privileged *p)
{
    enum vcpu_register base = VCPU_SEGMENT(VCPU_GS, VCPU_BASE);
    uint64_t user = vcpu_get(p->vcpu, base);

    vcpu_set(p->vcpu, base, vcpu_get(p->vcpu, VCPU_KERNEL_GS_BASE));
    vcpu_set(p->vcpu, VCPU_KERNEL_GS_BASE, user);
    return STEP_NEXT;
}

#define SYSCALL_BYTES 2u

enum privileged_result privileged_syscall(struct pv_cpu *cpu, struct vcpu_exit *exit)
{
    struct vcpu *vcpu = cpu->vcpu;
    uint64_t rflags = vcpu_get(vcpu, VCPU_RFLAGS);
    uint16_t selector = (uint16_t)(vcpu_get(vcpu, VCPU_STAR) >> 32 & SELECTOR_ERROR);

    *exit = (struct vcpu_exit) { .kind = VCPU_EXIT_HYPERCALL, .instruction_length = SYSCALL_BYTES };
    if (pv_cpl(vcpu) != 3)
        return PRIVILEGED_EXIT;
    exit->kind = VCPU_EXIT_NONE;
    if (!(vcpu_get(vcpu, VCPU_EFER) & EFER_SCE))
        return vcpu_raise(vcpu, VECTOR_UD, false, 0) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
    vcpu_set(vcpu, VCPU_RCX, vcpu_get(vcpu, VCPU_RIP) + SYSCALL_BYTES);
    vcpu_set(vcpu, VCPU_R11, rflags & ~RFLAGS_RF);
    vcpu_set(vcpu, VCPU_RIP, vcpu_get(vcpu, VCPU_LSTAR));
    vcpu_set(vcpu, VCPU_RFLAGS,
             (rflags & ~(vcpu_get(vcpu, VCPU_FMASK) | RFLAGS_RF | RFLAGS_VM)) | RFLAGS_FIXED);
    set_flat(vcpu, VCPU_CS, selector, ACCESS_CODE_64 & ~ACCESS_DPL);
    set_flat(vcpu, VCPU_SS, (uint16_t)(selector + 8), ACCESS_DATA_64 & ~ACCESS_DPL);
    return PRIVILEGED_DONE;
}
