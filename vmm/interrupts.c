#include "vmm/interrupts.h"

static bool can_take_interrupt(struct vcpu *vcpu)
{
    return (vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_IF) &&
           !(vcpu_get(vcpu, VCPU_INTERRUPTIBILITY) & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
}

/* An NMI may come right behind STI, but processors differ in it; behind MOV SS it may not (SDM 3C 27.3.1.5). */
static bool can_take_nmi(struct vcpu *vcpu)
{
    return !(vcpu_get(vcpu, VCPU_INTERRUPTIBILITY) &
             (VCPU_BLOCKED_BY_NMI | VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
}

static void choose(struct vcpu *vcpu, struct local_apic *apic, int vector)
{
    if (vcpu->exception.pending) {
        vcpu->event = (struct vcpu_event) {
            .kind = VCPU_EVENT_EXCEPTION,
            .vector = vcpu->exception.vector,
            .has_error = vcpu->exception.has_error,
            .error = vcpu->exception.error,
        };
        vcpu->exception.pending = false;
    } else if (vcpu->nmi && can_take_nmi(vcpu)) {
        vcpu->event = (struct vcpu_event) { .kind = VCPU_EVENT_NMI, .vector = VECTOR_NMI };
        vcpu->nmi = false;
    } else if (!vcpu->nmi && vector >= 0 && can_take_interrupt(vcpu)) {
        local_apic_take(apic, (uint8_t)vector);
        vcpu->event = (struct vcpu_event) { .kind = VCPU_EVENT_INTERRUPT, .vector = (uint8_t)vector };
    }
}

void interrupts_prepare(struct vcpu *vcpu, struct local_apic *apic)
{
    vcpu->want_interrupt_window = vcpu->want_nmi_window = false;
    if (!vcpu_any_pending(vcpu) && !vcpu->nmi && !vcpu->exception.pending)
        return;

    int vector = local_apic_next(apic);

    /* An event that has not been delivered yet comes first: it is as good as accepted by the CPU. */
    if (vcpu->event.kind == VCPU_EVENT_NONE && (vector >= 0 || vcpu->nmi || vcpu->exception.pending)) {
        choose(vcpu, apic, vector);
        if (vcpu->event.kind == VCPU_EVENT_INTERRUPT)
            vector = local_apic_next(apic);
    }
    vcpu->want_interrupt_window = vector >= 0;
    vcpu->want_nmi_window = vcpu->nmi;
}

bool interrupts_wake(struct vcpu *vcpu, const struct local_apic *apic)
{
    if (vcpu->nmi || vcpu->exception.pending || vcpu->event.kind != VCPU_EVENT_NONE)
        return true;
    return local_apic_next(apic) >= 0 && (vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_IF);
}
