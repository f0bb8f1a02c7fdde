#include "vmm/pv/deliver.h"

#include "vmm/pv/descriptor.h"

#define GATE_BYTES 16u
#define ERROR_IDT  2u /* the error code is about a gate of the IDT (SDM 3A 6.13) */
#define ERROR_EXT  1u /* and the event was none that the program asked for */

#define TSS_RSP0 4u    /* and 8 bytes for each further level (SDM 3A figure 7-11) */
#define TSS_IST1 0x24u

#define DR6_STEP (UINT64_C(1) << 14)

/* One event on its way. */
struct delivery {
    struct pv_cpu *cpu;
    uint8_t vector;
    bool has_error;
    uint32_t error;
    bool software;       /* the gate's DPL counts */
    uint32_t external;   /* ERROR_EXT or 0 */
    uint64_t return_rip;
    uint64_t rflags;     /* as it is saved */
    struct pv_fault fault;
};

struct gate {
    uint64_t rip;
    uint16_t selector;
    unsigned type, ist;
};

static uint32_t gate_error(const struct delivery *d)
{
    return d->vector * 8u | ERROR_IDT | d->external;
}

static bool refuse(struct delivery *d, uint8_t vector, uint32_t error)
{
    return pv_fault_general(&d->fault, vector, error);
}

static bool read_gate(struct delivery *d, struct gate *gate)
{
    struct vcpu *vcpu = d->cpu->vcpu;
    uint64_t offset = d->vector * GATE_BYTES, address = vcpu_get(vcpu, VCPU_IDTR_BASE) + offset, low, high;

    if (offset + GATE_BYTES - 1 > vcpu_get(vcpu, VCPU_IDTR_LIMIT))
        return refuse(d, VECTOR_GP, gate_error(d));
    if (!pv_read(d->cpu, address, 8, PV_SUPERVISOR, &low, &d->fault) ||
        !pv_read(d->cpu, address + 8, 8, PV_SUPERVISOR, &high, &d->fault))
        return false;
    gate->type = low >> 40 & 0x1f;
    if (gate->type != DESCRIPTOR_INTERRUPT_GATE && gate->type != DESCRIPTOR_TRAP_GATE)
        return refuse(d, VECTOR_GP, gate_error(d));
    if (d->software && (low >> 45 & 3) < pv_cpl(vcpu))
        return refuse(d, VECTOR_GP, gate_error(d));
    if (!(low >> 47 & 1))
        return refuse(d, VECTOR_NP, gate_error(d));
    gate->rip = (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32;
    gate->selector = (uint16_t)(low >> 16);
    gate->ist = low >> 32 & 7;
    return true;
}

static bool read_code(struct delivery *d, const struct gate *gate, struct descriptor *code)
{
    uint32_t error = (gate->selector & SELECTOR_ERROR) | d->external;

    if (selector_is_null(gate->selector))
        return refuse(d, VECTOR_GP, d->external);
    if (!descriptor_fetch(d->cpu, gate->selector, false, VECTOR_GP, d->external, code, &d->fault))
        return false;
    if (!descriptor_is_code(code) || descriptor_dpl(code) > pv_cpl(d->cpu->vcpu) || !descriptor_is_long(code))
        return refuse(d, VECTOR_GP, error);
    if (!descriptor_is_present(code))
        return refuse(d, VECTOR_NP, error);
    if (!is_canonical(gate->rip))
        return refuse(d, VECTOR_GP, d->external);
    return true;
}

/* The handler's stack pointer (SDM 3A 6.14.2 to 6.14.5). */
static bool read_stack(struct delivery *d, unsigned ist, bool inward, unsigned level, uint64_t *rsp)
{
    struct vcpu *vcpu = d->cpu->vcpu;
    uint64_t offset = ist ? TSS_IST1 + (ist - 1) * 8 : TSS_RSP0 + level * 8;

    *rsp = vcpu_get(vcpu, VCPU_RSP);
    if (!ist && !inward)
        return true;
    if (offset + 7 > vcpu_get(vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_LIMIT)))
        return refuse(d, VECTOR_TS, (vcpu_get(vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_SELECTOR)) & SELECTOR_ERROR) | d->external);
    return pv_read(d->cpu, vcpu_get(vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_BASE)) + offset, 8, PV_SUPERVISOR, rsp, &d->fault);
}

static bool push_frame(struct delivery *d, unsigned level, uint64_t *rsp)
{
    struct vcpu *vcpu = d->cpu->vcpu;
    const uint64_t frame[] = {
        vcpu_get(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_SELECTOR)), vcpu_get(vcpu, VCPU_RSP), d->rflags,
        vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)), d->return_rip, d->error,
    };
    unsigned count = d->has_error ? 6 : 5;
    uint64_t top = *rsp & ~UINT64_C(15);

    *rsp = top - count * 8;
    if (pv_push(d->cpu, top, frame, count, 8, pv_access_at(level), &d->fault))
        return true;
    if (d->fault.vector == VECTOR_SS)
        d->fault.error |= d->external;
    return false;
}

/* Everything is checked before a register changes. */
static bool deliver(struct delivery *d)
{
    struct vcpu *vcpu = d->cpu->vcpu;
    struct descriptor code;
    struct gate gate = { 0 };
    uint64_t rsp;

    if (!read_gate(d, &gate) || !read_code(d, &gate, &code))
        return false;
    unsigned cpl = pv_cpl(vcpu), level = descriptor_is_conforming(&code) ? cpl : descriptor_dpl(&code);
    if (!read_stack(d, gate.ist, level < cpl, level, &rsp) || !push_frame(d, level, &rsp) ||
        !descriptor_set_accessed(d->cpu, &code, &d->fault))
        return false;

    segment_set(vcpu, VCPU_CS, (uint16_t)((gate.selector & ~SELECTOR_RPL) | level), &code);
    if (level < cpl)
        segment_set_null_stack(vcpu, level);
    vcpu_set(vcpu, VCPU_RSP, rsp);
    vcpu_set(vcpu, VCPU_RIP, gate.rip);
    uint64_t cleared = RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM;
    if (gate.type == DESCRIPTOR_INTERRUPT_GATE)
        cleared |= RFLAGS_IF;
    vcpu_set(vcpu, VCPU_RFLAGS, vcpu_get(vcpu, VCPU_RFLAGS) & ~cleared);
    vcpu_set(vcpu, VCPU_INTERRUPTIBILITY,
             vcpu_get(vcpu, VCPU_INTERRUPTIBILITY) & ~(uint64_t)(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
    return true;
}

/* Faults and aborts are saved with RF, so that an instruction breakpoint does not come twice (SDM 3B 17.3.1.1). */
static bool saves_rf(uint8_t vector)
{
    switch (vector) {
    case VECTOR_DB: case VECTOR_NMI: case VECTOR_BP: case 4:
        return false;
    default:
        return vector < 32;
    }
}

static bool is_contributory(uint8_t vector)
{
    return vector == 0 || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

/* FAULT came up while EVENT was delivered: what is to be delivered now (SDM 3A table 6-5). False: nothing can be. */
static bool combine(struct vcpu_event *event, const struct pv_fault *fault)
{
    bool first = event->kind == VCPU_EVENT_EXCEPTION;
    bool is_double = (is_contributory(event->vector) && is_contributory(fault->vector)) ||
                     (event->vector == VECTOR_PF && (is_contributory(fault->vector) || fault->vector == VECTOR_PF));

    if (first && event->vector == VECTOR_DF)
        return false;
    *event = (struct vcpu_event) {
        .kind = VCPU_EVENT_EXCEPTION,
        .vector = fault->vector,
        .has_error = fault->has_error,
        .error = fault->error,
    };
    if (first && is_double) {
        event->vector = VECTOR_DF;
        event->error = 0;
    }
    return true;
}

/* Each round delivers something else than the one before: the event, a fault, a page fault, a double fault. */
static bool deliver_all(struct pv_cpu *cpu, struct vcpu_event event)
{
    struct vcpu *vcpu = cpu->vcpu;

    for (;;) {
        struct delivery delivery = {
            .cpu = cpu, .vector = event.vector, .has_error = event.has_error, .error = event.error,
            .external = ERROR_EXT,
            .return_rip = vcpu_get(vcpu, VCPU_RIP),
            .rflags = vcpu_get(vcpu, VCPU_RFLAGS),
        };

        if (event.kind == VCPU_EVENT_EXCEPTION && saves_rf(event.vector))
            delivery.rflags |= RFLAGS_RF;
        if (event.kind == VCPU_EVENT_EXCEPTION && event.vector == VECTOR_DB)
            vcpu_set(vcpu, VCPU_DR7, vcpu_get(vcpu, VCPU_DR7) & ~DR7_GENERAL_DETECT);
        if (deliver(&delivery)) {
            if (event.kind == VCPU_EVENT_NMI)
                vcpu_set(vcpu, VCPU_INTERRUPTIBILITY, vcpu_get(vcpu, VCPU_INTERRUPTIBILITY) | VCPU_BLOCKED_BY_NMI);
            return true;
        }
        if (delivery.fault.vector == VECTOR_PF)
            vcpu_set(vcpu, VCPU_CR2, delivery.fault.address);
        if (!combine(&event, &delivery.fault))
            return false;
    }
}

static bool deliver_step(struct pv_cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    bool step = vcpu_get(vcpu, VCPU_PENDING_DEBUG) & VCPU_PENDING_DEBUG_STEP;

    vcpu_set(vcpu, VCPU_PENDING_DEBUG, 0);
    if (!step)
        return true;
    cpu->dr6 |= DR6_STEP;
    return deliver_all(cpu, (struct vcpu_event) { .kind = VCPU_EVENT_EXCEPTION, .vector = VECTOR_DB });
}

bool deliver_event(struct pv_cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    struct vcpu_event event = vcpu->event;

    vcpu->event = (struct vcpu_event) { .kind = VCPU_EVENT_NONE };
    if (event.kind != VCPU_EVENT_NONE && !deliver_all(cpu, event))
        return false;
    return vcpu_get(vcpu, VCPU_PENDING_DEBUG) == 0 || deliver_step(cpu);
}

bool deliver_exception(struct pv_cpu *cpu)
{
    struct vcpu_exception *exception = &cpu->vcpu->exception;

    if (!exception->pending)
        return true;
    exception->pending = false;
    return deliver_all(cpu, (struct vcpu_event) {
        .kind = VCPU_EVENT_EXCEPTION,
        .vector = exception->vector,
        .has_error = exception->has_error,
        .error = exception->error,
    });
}

bool deliver_software_interrupt(struct pv_cpu *cpu, uint8_t vector, enum deliver_software how,
                                unsigned instruction_length)
{
    struct delivery delivery = {
        .cpu = cpu, .vector = vector,
        .software = how == DELIVER_INT_N,
        .external = how == DELIVER_INT_N ? 0 : ERROR_EXT,
        .return_rip = vcpu_get(cpu->vcpu, VCPU_RIP) + instruction_length,
        .rflags = vcpu_get(cpu->vcpu, VCPU_RFLAGS),
    };

    return deliver(&delivery) || pv_raise(cpu, &delivery.fault);
}
