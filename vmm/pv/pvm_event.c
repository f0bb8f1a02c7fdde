/* Events of PVM in place of an IDT, and the two ways back from them. */
#include "vmm/guest_walk.h"
#include "vmm/pv/access.h"
#include "vmm/pv/pvm_parts.h"

#define ADDRESS_BITS 48
#define FRAME_WORDS  8u
#define STACK_ALIGNMENT UINT64_C(16)

static uint64_t canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << (64 - ADDRESS_BITS)) >> (64 - ADDRESS_BITS));
}

/* The registers with which every event begins. Interrupts are off. */
static void begin_at(struct vcpu *vcpu, uint64_t entry)
{
    vcpu_set(vcpu, VCPU_RIP, entry);
    vcpu_set(vcpu, VCPU_RCX, entry);
    vcpu_set(vcpu, VCPU_RFLAGS, PVM_RFLAGS_FIXED);
    vcpu_set(vcpu, VCPU_R11, PVM_RFLAGS_FIXED | RFLAGS_IF);
}

static void save_registers(struct vcpu *vcpu, struct pvm_vcpu_struct *shared)
{
    shared->eflags = (uint32_t)vcpu_get(vcpu, VCPU_RFLAGS);
    shared->rip = vcpu_get(vcpu, VCPU_RIP);
    shared->rsp = vcpu_get(vcpu, VCPU_RSP);
    shared->rcx = vcpu_get(vcpu, VCPU_RCX);
    shared->r11 = vcpu_get(vcpu, VCPU_R11);
}

static void load_registers(struct vcpu *vcpu, uint64_t rip, uint64_t rsp, uint64_t rflags, uint64_t rcx,
                           uint64_t r11)
{
    vcpu_set(vcpu, VCPU_RIP, rip);
    vcpu_set(vcpu, VCPU_RSP, rsp);
    vcpu_set(vcpu, VCPU_RFLAGS, (rflags & PVM_RFLAGS_GUEST) | PVM_RFLAGS_FIXED);
    vcpu_set(vcpu, VCPU_RCX, rcx);
    vcpu_set(vcpu, VCPU_R11, r11);
}

/* Everything but what the event is. */
static void leave_user(struct pvm *pvm, uint64_t entry)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    struct pvm_vcpu_struct *shared = pvm->shared;

    save_registers(vcpu, shared);
    shared->user_cs = (uint16_t)vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR));
    shared->user_ss = (uint16_t)vcpu_get(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_SELECTOR));
    shared->pkru = 0;
    shared->user_gsbase = vcpu_get(vcpu, VCPU_SEGMENT(VCPU_GS, VCPU_BASE));
    pvm_to_supervisor(pvm);
    begin_at(vcpu, entry);
    /* The supervisor's own flag stays; it should have cleared it before. */
    if (shared->event_flags & PVM_EVENT_FLAG_IF)
        vcpu_set(vcpu, VCPU_RFLAGS, PVM_RFLAGS_FIXED | RFLAGS_IF);
}

static void describe(struct pvm *pvm, const struct vcpu_event *event)
{
    struct pvm_vcpu_struct *shared = pvm->shared;

    shared->event_vector = event->vector;
    if (event->has_error)
        shared->event_errcode = event->error;
}

static uint64_t stack_below(struct pvm *pvm)
{
    uint64_t rsp = vcpu_get(pvm->cpu->vcpu, VCPU_RSP);

    return (rsp - pvm->msr[PVM_MSR_SUPERVISOR_REDZONE]) & ~(STACK_ALIGNMENT - 1);
}

static bool deliver_supervisor_exception(struct pvm *pvm, const struct vcpu_event *event)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    const uint64_t frame[FRAME_WORDS] = {
        vcpu_get(vcpu, VCPU_R11),
        vcpu_get(vcpu, VCPU_RCX),
        vcpu_get(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_SELECTOR)),
        vcpu_get(vcpu, VCPU_RSP),
        vcpu_get(vcpu, VCPU_RFLAGS),
        vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)),
        vcpu_get(vcpu, VCPU_RIP),
        (uint64_t)event->vector << 32 | (event->has_error ? event->error : 0),
    };
    uint64_t top = stack_below(pvm);
    struct pv_fault fault;

    if (!pv_push(pvm->cpu, top, frame, FRAME_WORDS, sizeof frame[0], PV_SUPERVISOR, &fault))
        return false;
    vcpu_set(vcpu, VCPU_RSP, top - sizeof frame);
    begin_at(vcpu, pvm->msr[PVM_MSR_EVENT_ENTRY] + PVM_ENTRY_SUPERVISOR_EXCEPTION);
    return true;
}

static void deliver_supervisor_interrupt(struct pvm *pvm, const struct vcpu_event *event)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;

    save_registers(vcpu, pvm->shared);
    describe(pvm, event);
    vcpu_set(vcpu, VCPU_RSP, stack_below(pvm));
    begin_at(vcpu, pvm->msr[PVM_MSR_EVENT_ENTRY] + PVM_ENTRY_SUPERVISOR_INTERRUPT);
}

/* There is no double fault: what would be one ends the guest, as does an event before there is a place for it. */
static bool deliver(struct pvm *pvm, const struct vcpu_event *event)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;

    if (!pvm->shared || (event->kind == VCPU_EVENT_EXCEPTION && event->vector == VECTOR_DF))
        return false;
    if (!pvm_is_supervisor(pvm)) {
        leave_user(pvm, pvm->msr[PVM_MSR_EVENT_ENTRY] + PVM_ENTRY_USER);
        describe(pvm, event);
    } else if (event->vector >= PVM_FIRST_INTERRUPT) {
        deliver_supervisor_interrupt(pvm, event);
    } else if (!deliver_supervisor_exception(pvm, event)) {
        return false;
    }
    if (event->kind == VCPU_EVENT_EXCEPTION && event->vector == VECTOR_PF)
        pvm->shared->cr2 = vcpu_get(vcpu, VCPU_CR2);
    if (event->kind == VCPU_EVENT_NMI)
        vcpu_set(vcpu, VCPU_INTERRUPTIBILITY, vcpu_get(vcpu, VCPU_INTERRUPTIBILITY) | VCPU_BLOCKED_BY_NMI);
    pvm_shared_written(pvm);
    return true;
}

bool pvm_deliver_event(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    struct vcpu_event event = vcpu->event;

    vcpu->event.kind = VCPU_EVENT_NONE;
    return event.kind == VCPU_EVENT_NONE || deliver(pvm, &event);
}

bool pvm_deliver_exception(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    const struct vcpu_event event = {
        .kind = VCPU_EVENT_EXCEPTION,
        .vector = vcpu->exception.vector,
        .has_error = vcpu->exception.has_error,
        .error = vcpu->exception.error,
    };

    if (!vcpu->exception.pending)
        return true;
    vcpu->exception.pending = false;
    return deliver(pvm, &event);
}

bool pvm_deliver_syscall(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;

    if (!pvm->shared)
        return false;
    /* What the instruction itself leaves. */
    uint64_t rip = vcpu_get(vcpu, VCPU_RIP) + PVM_SYSCALL_BYTES;
    vcpu_set(vcpu, VCPU_RIP, rip);
    vcpu_set(vcpu, VCPU_RCX, rip);
    vcpu_set(vcpu, VCPU_R11, vcpu_get(vcpu, VCPU_RFLAGS));
    leave_user(pvm, vcpu_get(vcpu, VCPU_LSTAR));
    pvm_shared_written(pvm);
    return true;
}

static void allow_nmi(struct vcpu *vcpu)
{
    uint64_t interruptibility = vcpu_get(vcpu, VCPU_INTERRUPTIBILITY);

    if (interruptibility & VCPU_BLOCKED_BY_NMI)
        vcpu_set(vcpu, VCPU_INTERRUPTIBILITY, interruptibility & ~(uint64_t)VCPU_BLOCKED_BY_NMI);
}

/* Whether ADDRESS, of the upper half, is code of the supervisor's that programs cannot execute. */
static bool is_supervisor_code(struct pvm *pvm, uint64_t address)
{
    struct walk_context walk;
    uint64_t physical;
    uint32_t error;

    if (address >> 63 == 0)
        return false;
    walk_begin(&walk, pvm->cpu->vcpu, pvm->cpu->memory);
    walk_as(&walk, false);
    if (walk_address(&walk, address, WALK_EXECUTE, &physical, &error) != WALK_OK)
        return false;
    walk_as(&walk, true);
    return walk_address(&walk, address, WALK_EXECUTE, &physical, &error) != WALK_OK;
}

bool pvm_return_user(struct pvm *pvm)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;

    if (!pvm->shared)
        return false;
    struct pvm_vcpu_struct shared = *pvm->shared; /* once: what is checked below stays as it is */

    if (shared.event_flags & PVM_EVENT_FLAG_IP) {
        pvm->shared->event_flags = shared.event_flags & ~PVM_EVENT_FLAG_IP;
        pvm_shared_written(pvm);
    }
    allow_nmi(vcpu);
    /* Nanos takes the selectors of its own code that has been suspended for a program's, because they have RPL 3, and
     * returns to it this way. Such code goes on as what it is. */
    if (is_supervisor_code(pvm, shared.rip)) {
        load_registers(vcpu, shared.rip, shared.rsp, shared.eflags, shared.rcx, shared.r11);
        return true;
    }
    pvm_to_user(pvm, shared.user_cs, shared.user_ss);
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), canonical(shared.user_gsbase));
    load_registers(vcpu, shared.rip, shared.rsp, shared.eflags | RFLAGS_IF, shared.rcx, shared.r11);
    /* 32-bit programs have no segment here; and nothing begins at an address that is not canonical. */
    if ((shared.user_cs | 3u) != PVM_USER_CS || (shared.user_ss | 3u) != PVM_USER_DS || !is_canonical(shared.rip))
        return vcpu_raise(vcpu, VECTOR_GP, true, 0);
    return true;
}

bool pvm_return_supervisor(struct pvm *pvm)
{
    /* From the stack pointer upwards: error code, rip, CS, RFLAGS, rsp, SS, rcx, r11. */
    enum { RIP = 1, RFLAGS = 3, RSP = 4, RCX = 6, R11 = 7 };
    struct vcpu *vcpu = pvm->cpu->vcpu;
    uint64_t rsp = vcpu_get(vcpu, VCPU_RSP), frame[FRAME_WORDS];
    struct pv_fault fault;

    for (unsigned i = 0; i < FRAME_WORDS; i++)
        if (!pv_read(pvm->cpu, rsp + i * sizeof frame[0], sizeof frame[0], PV_SUPERVISOR, &frame[i], &fault))
            return false;
    allow_nmi(vcpu);
    load_registers(vcpu, frame[RIP], frame[RSP], frame[RFLAGS], frame[RCX], frame[R11]);
    if (!is_canonical(frame[RIP]))
        return vcpu_raise(vcpu, VECTOR_GP, true, 0);
    return true;
}
