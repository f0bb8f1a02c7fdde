/* SYSCALL of a PVM guest: of a program an event; of its kernel a return from one, or a hypercall. */
#include "vmm/pv/pvm_parts.h"

#define SELECTOR_RPL      3u
#define SELECTOR_LDT      4u
#define CR3_NO_FLUSH (UINT64_C(1) << 63)

/* Segment descriptors: SDM 3A 3.4.5. */
#define DESCRIPTOR_TYPE_SHIFT 40
#define DESCRIPTOR_CODE       (UINT64_C(8) << DESCRIPTOR_TYPE_SHIFT)
#define DESCRIPTOR_ACCESSED   (UINT64_C(1) << DESCRIPTOR_TYPE_SHIFT)
#define DESCRIPTOR_S          (UINT64_C(1) << 44)
#define DESCRIPTOR_DPL_3      (UINT64_C(3) << 45)
#define DESCRIPTOR_PRESENT    (UINT64_C(1) << 47)
#define DESCRIPTOR_LONG       (UINT64_C(1) << 53)
#define DESCRIPTOR_32         (UINT64_C(1) << 54)

static uint64_t argument(struct pvm *pvm, unsigned number)
{
    static const enum vcpu_register registers[] = { VCPU_RBX, VCPU_R10, VCPU_RDX };

    return vcpu_get(pvm->cpu->vcpu, registers[number]);
}

static void answer(struct pvm *pvm, uint64_t value)
{
    vcpu_set(pvm->cpu->vcpu, VCPU_RAX, value);
}

static void load_page_tables(struct pvm *pvm, uint64_t flags, uint64_t supervisor, uint64_t user)
{
    vcpu_set(pvm->cpu->vcpu, VCPU_CR3, supervisor & ~CR3_NO_FLUSH);
    pvm->msr[PVM_MSR_SWITCH_CR3] = user & ~CR3_NO_FLUSH;
    if (flags & PVM_LOAD_PGTBL_FLUSH)
        pvm->cpu->invalidation.loaded_cr3 = true;
}

static void invalidate_page(struct pvm *pvm, uint64_t address)
{
    struct pv_invalidation *invalidation = &pvm->cpu->invalidation;

    if (invalidation->count < PV_INVALIDATED_PAGES)
        invalidation->page[invalidation->count++] = address;
    else
        invalidation->everything = true;
}

/* Data of 32 bits, and nothing else, as Linux wants it; for ring 3. */
static uint64_t rectify(uint64_t descriptor)
{
    if (!(descriptor & DESCRIPTOR_PRESENT) || (descriptor & DESCRIPTOR_CODE) || !(descriptor & DESCRIPTOR_32))
        return 0;
    return (descriptor | DESCRIPTOR_ACCESSED | DESCRIPTOR_S | DESCRIPTOR_DPL_3) & ~DESCRIPTOR_LONG;
}

static void load_tls(struct pvm *pvm)
{
    for (unsigned i = 0; i < PVM_TLS_COUNT; i++)
        pvm->tls[i] = rectify(argument(pvm, i));
}

static uint64_t base_of(uint64_t descriptor)
{
    return (descriptor >> 16 & 0xffffff) | (descriptor >> 56) << 24;
}

/* The selector if it can be loaded, else the null one; the base of what it names. GS keeps its base. */
static uint64_t load_gs(struct pvm *pvm, uint16_t selector)
{
    unsigned index = selector >> 3;
    uint64_t base = 0;

    if (index >= PVM_TLS_FIRST && index < PVM_TLS_FIRST + PVM_TLS_COUNT && pvm->tls[index - PVM_TLS_FIRST] != 0)
        base = base_of(pvm->tls[index - PVM_TLS_FIRST]);
    else if (index != PVM_USER_DS >> 3)
        selector = 0;
    if ((selector & SELECTOR_RPL) != SELECTOR_RPL || (selector & SELECTOR_LDT)) {
        selector = 0;
        base = 0;
    }
    vcpu_set(pvm->cpu->vcpu, VCPU_SEGMENT(VCPU_GS, VCPU_SELECTOR), selector);
    return base;
}

static enum privileged_result halt(struct pvm *pvm, struct vcpu_exit *exit)
{
    vcpu_set(pvm->cpu->vcpu, VCPU_RFLAGS, vcpu_get(pvm->cpu->vcpu, VCPU_RFLAGS) | RFLAGS_IF);
    *exit = (struct vcpu_exit) { .kind = VCPU_EXIT_HALT };
    return PRIVILEGED_EXIT;
}

static void clear_pending(struct pvm *pvm)
{
    if (pvm->shared && (pvm->shared->event_flags & PVM_EVENT_FLAG_IP)) {
        pvm->shared->event_flags &= ~PVM_EVENT_FLAG_IP;
        pvm_shared_written(pvm);
    }
}

static enum privileged_result hypercall(struct pvm *pvm, struct vcpu_exit *exit)
{
    switch (vcpu_get(pvm->cpu->vcpu, VCPU_RAX)) {
    case PVM_HC_LOAD_PGTBL:
        load_page_tables(pvm, argument(pvm, 0), argument(pvm, 1), argument(pvm, 2));
        return PRIVILEGED_DONE;
    case PVM_HC_IRQ_WIN:
        clear_pending(pvm);
        return PRIVILEGED_DONE;
    case PVM_HC_IRQ_HALT:
        clear_pending(pvm);
        return halt(pvm, exit);
    case PVM_HC_TLB_FLUSH:
        pvm->cpu->invalidation.everything = true;
        return PRIVILEGED_DONE;
    case PVM_HC_TLB_FLUSH_CURRENT:
        pvm->cpu->invalidation.loaded_cr3 = true;
        return PRIVILEGED_DONE;
    case PVM_HC_TLB_INVLPG:
        invalidate_page(pvm, argument(pvm, 0));
        return PRIVILEGED_DONE;
    case PVM_HC_LOAD_GS:
        answer(pvm, load_gs(pvm, (uint16_t)argument(pvm, 0)));
        return PRIVILEGED_DONE;
    case PVM_HC_LOAD_TLS:
        load_tls(pvm);
        answer(pvm, PVM_TLS_FIRST);
        return PRIVILEGED_DONE;
    case PVM_HC_RDMSR:
    case PVM_HC_WRMSR:
        *exit = (struct vcpu_exit) { .kind = VCPU_EXIT_HYPERCALL };
        return PRIVILEGED_EXIT;
    case KVM_HC_VAPIC_POLL_IRQ:
        answer(pvm, 0);
        return PRIVILEGED_DONE;
    default:
        answer(pvm, KVM_ENOSYS);
        return PRIVILEGED_DONE;
    }
}

enum privileged_result pvm_syscall(struct pvm *pvm, struct vcpu_exit *exit)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    uint64_t rip = vcpu_get(vcpu, VCPU_RIP);

    if (!pvm_is_supervisor(pvm))
        return pvm_deliver_syscall(pvm) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
    if (rip == pvm->msr[PVM_MSR_RETU_RIP])
        return pvm_return_user(pvm) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
    if (rip == pvm->msr[PVM_MSR_RETS_RIP])
        return pvm_return_supervisor(pvm) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
    /* What the instruction itself leaves; the flags are the processor's, on which interrupts are always on. */
    vcpu_set(vcpu, VCPU_RIP, rip + PVM_SYSCALL_BYTES);
    vcpu_set(vcpu, VCPU_RCX, rip + PVM_SYSCALL_BYTES);
    vcpu_set(vcpu, VCPU_R11, vcpu_get(vcpu, VCPU_RFLAGS) | RFLAGS_IF);
    return hypercall(pvm, exit);
}
