#include "vmm/pv/pv.h"

#include "vmm/paging_bits.h"
#include "vmm/pv/deliver.h"
#include "vmm/pv/fault.h"

#include <sel4/beaml4.h>
#include <stdio.h>
#include <string.h>

/* How often the guest may stop before the monitor looks at its timers. */
#define ROUNDS 32u

#define DR6_STEP     (UINT64_C(1) << 14)
#define VECTOR_NM    7u
#define BLOCKED_ONCE ((uint64_t)(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS))

/* PML4 entries above the lower half that a PVM guest can have: up to the kernel's own slot. */
#define PVM_FIRST_ENTRY 256u
#define PVM_LAST_ENTRY  (SEL4_BEAML4_KERNEL_SLOT - 1)

/* Where nothing can be mapped (sel4/constants.h, sel4/beaml4.h): beyond the lower half, or the kernel's own slot. */
#define LOWER_HALF_END    UINT64_C(0x00007ffffffff000)
#define KERNEL_SLOT_FIRST UINT64_C(0xfffffe8000000000)
#define KERNEL_SLOT_LAST  UINT64_C(0xfffffeffffffffff)

static uint64_t pv_read(void *context, enum vcpu_register reg)
{
    const struct pv *pv = context;

    return pv->vcpu->value[reg];
}

/* vcpu->value is where registers live. */
static void pv_write(void *context, enum vcpu_register reg, uint64_t value)
{
    (void)context;
    (void)reg;
    (void)value;
}

static void exit_with(struct vcpu_exit *exit, enum vcpu_exit_kind kind)
{
    *exit = (struct vcpu_exit) { .kind = kind };
}

/* What handlers and instructions have done to translations reaches the shadow page tables. */
static void pass_invalidations_on(struct pv *pv)
{
    static const enum vcpu_register deciding[] = { VCPU_CR0, VCPU_CR3, VCPU_CR4, VCPU_EFER };
    struct pv_invalidation *invalidation = &pv->cpu.invalidation;
    uint64_t cr3 = vcpu_get(pv->vcpu, VCPU_CR3);

    for (unsigned i = 0; i < sizeof deciding / sizeof deciding[0]; i++)
        if (pv->vcpu->dirty[VCPU_MASK_WORD(deciding[i])] & VCPU_MASK_BIT(deciding[i]))
            invalidation->loaded_cr3 = true;
    memset(pv->vcpu->dirty, 0, sizeof pv->vcpu->dirty);

    if (invalidation->everything)
        shadow_flush(pv->shadow);
    else if (invalidation->loaded_cr3)
        shadow_load_cr3(pv->shadow);
    for (unsigned i = 0; i < invalidation->count && i < PV_INVALIDATED_PAGES; i++)
        shadow_invalidate_page(pv->shadow, cr3, invalidation->page[i]);
    *invalidation = (struct pv_invalidation) { 0 };
}

/* Whether the virtual CPU is in 64-bit mode; else why the guest cannot go on. */
static bool check_mode(struct pv *pv, struct vcpu_exit *exit)
{
    struct vcpu *vcpu = pv->vcpu;

    if (!(vcpu_get(vcpu, VCPU_CR0) & CR0_PG) || !(vcpu_get(vcpu, VCPU_EFER) & EFER_LMA))
        pv_give_up(pv, exit, "it has left 64-bit mode, which PV mode does not emulate");
    else if (!(vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)) & ACCESS_LONG))
        pv_give_up(pv, exit, "it executes 32-bit code, which PV mode does not run");
    else
        return true;
    return false;
}

static bool deliver_one_exception(struct pv *pv)
{
    return pv->speaks_pvm ? pvm_deliver_exception(&pv->pvm) : deliver_exception(&pv->cpu);
}

static bool deliver_one_event(struct pv *pv)
{
    return pv->speaks_pvm ? pvm_deliver_event(&pv->pvm) : deliver_event(&pv->cpu);
}

/* What waits for the virtual CPU is delivered: as many events as come, one within the other. */
static bool deliver(struct pv *pv)
{
    struct vcpu *vcpu = pv->vcpu;

    if (vcpu->event.kind == VCPU_EVENT_NONE && vcpu_get(vcpu, VCPU_PENDING_DEBUG) & VCPU_PENDING_DEBUG_STEP) {
        vcpu_set(vcpu, VCPU_PENDING_DEBUG, 0);
        pv->cpu.dr6 |= DR6_STEP;
        if (!vcpu_raise(vcpu, VECTOR_DB, false, 0))
            return false;
    }
    if (vcpu->event.kind == VCPU_EVENT_NONE && !vcpu->exception.pending)
        return true;
    pv->counts.events++;
    if (!deliver_one_exception(pv) || (vcpu->event.kind != VCPU_EVENT_NONE && !deliver_one_event(pv)))
        return false;
    vcpu_set(vcpu, VCPU_INTERRUPTIBILITY, vcpu_get(vcpu, VCPU_INTERRUPTIBILITY) & ~BLOCKED_ONCE);
    return true;
}

/* An instruction pointer that is no address makes a #GP, once. */
static bool check_rip(struct pv *pv)
{
    struct vcpu *vcpu = pv->vcpu;

    if (is_canonical(vcpu_get(vcpu, VCPU_RIP)))
        return true;
    return vcpu_raise(vcpu, VECTOR_GP, true, 0) && deliver(pv) && is_canonical(vcpu_get(vcpu, VCPU_RIP));
}

/* Whether the guest takes now what the monitor wants to be asked for. */
static bool is_window_open(struct vcpu *vcpu, uint64_t blocked)
{
    if (blocked & BLOCKED_ONCE)
        return false;
    return (vcpu->want_interrupt_window && (vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_IF)) ||
           (vcpu->want_nmi_window && !(blocked & VCPU_BLOCKED_BY_NMI));
}

/* A single step leads to where the window opens. */
static bool needs_step(struct vcpu *vcpu, uint64_t blocked)
{
    return (blocked & BLOCKED_ONCE) && is_window_open(vcpu, blocked & ~BLOCKED_ONCE);
}

static uint64_t fitting_base(uint64_t base)
{
    return is_canonical(base) ? base : 0;
}

/* Lets the thread go on until it stops. */
static void run_thread(struct pv *pv, struct pv_stop *stop)
{
    struct vcpu *vcpu = pv->vcpu;
    uint64_t registers[PV_THREAD_REGISTERS], own = vcpu->value[VCPU_RFLAGS];

    _Static_assert(VCPU_RAX == 0 && VCPU_R15 == 15 && (int)VCPU_RIP == PV_THREAD_RIP &&
                   (int)VCPU_RFLAGS == PV_THREAD_RFLAGS,
                   "the same order");
    memcpy(registers, vcpu->value, PV_THREAD_RFLAGS * sizeof registers[0]);
    registers[PV_THREAD_RFLAGS] = (own & ~PV_RFLAGS_VIRTUAL) | RFLAGS_IF | RFLAGS_FIXED |
                                  (pv->stepping ? RFLAGS_TF : 0);
    registers[PV_THREAD_FS_BASE] = fitting_base(vcpu->value[VCPU_SEGMENT(VCPU_FS, VCPU_BASE)]);
    registers[PV_THREAD_GS_BASE] = fitting_base(vcpu->value[VCPU_SEGMENT(VCPU_GS, VCPU_BASE)]);
    pv->resumed_at = registers[PV_THREAD_RIP];

    pv_thread_run(&pv->thread, registers, pv->root, stop);

    memcpy(vcpu->value, registers, PV_THREAD_RFLAGS * sizeof registers[0]);
    uint64_t thread_own = registers[PV_THREAD_RFLAGS] & ~PV_RFLAGS_VIRTUAL;
    if (pv->stepping)
        thread_own = (thread_own & ~RFLAGS_TF) | (own & RFLAGS_TF);
    vcpu->value[VCPU_RFLAGS] = (own & PV_RFLAGS_VIRTUAL) | thread_own | RFLAGS_FIXED;
    vcpu->value[VCPU_SEGMENT(VCPU_FS, VCPU_BASE)] = registers[PV_THREAD_FS_BASE];
    vcpu->value[VCPU_SEGMENT(VCPU_GS, VCPU_BASE)] = registers[PV_THREAD_GS_BASE];
}

/* Everything is ready for the guest to go on; false: *EXIT comes first. */
static bool prepare(struct pv *pv, struct vcpu_exit *exit)
{
    struct vcpu *vcpu = pv->vcpu;
    unsigned root;

    pass_invalidations_on(pv);
    if (!check_mode(pv, exit))
        return false;
    if (!deliver(pv) || !check_rip(pv)) {
        exit_with(exit, VCPU_EXIT_TRIPLE_FAULT);
        return false;
    }
    if (!check_mode(pv, exit)) /* a gate may lead elsewhere */
        return false;
    if (pv->speaks_pvm)
        pvm_resumes(&pv->pvm);
    uint64_t blocked = vcpu_get(vcpu, VCPU_INTERRUPTIBILITY);
    if (is_window_open(vcpu, blocked)) {
        exit_with(exit, VCPU_EXIT_INTERRUPT_WINDOW);
        return false;
    }
    pv->stepping = needs_step(vcpu, blocked);
    pv->counts.steps += pv->stepping;

    bool forbidden = vcpu_get(vcpu, VCPU_CR0) & (CR0_TS | CR0_EM);
    if (forbidden != pv->fpu_forbidden) {
        pv->fpu_forbidden = forbidden;
        pv_thread_forbid_fpu(&pv->thread, forbidden);
    }
    struct shadow_state state = pv_shadow_state(pv);
    if (!shadow_select(pv->shadow, &state, &root)) {
        pv_give_up(pv, exit, "the kernel makes no address space for it");
        return false;
    }
    pv->root = mapping_root(&pv->mapping, root);
    return true;
}

/* The instruction behind STI or MOV SS is over once the thread is elsewhere. */
static void end_blocking(struct pv *pv, const struct pv_stop *stop)
{
    struct vcpu *vcpu = pv->vcpu;
    bool stepped = pv->stepping && stop->kind == PV_STOP_EXCEPTION && stop->vector == VECTOR_DB;

    if (stepped || vcpu->value[VCPU_RIP] != pv->resumed_at)
        vcpu->value[VCPU_INTERRUPTIBILITY] &= ~BLOCKED_ONCE;
}

static enum pv_outcome outcome_of(enum privileged_result result)
{
    switch (result) {
    case PRIVILEGED_DONE: return PV_GO_ON;
    case PRIVILEGED_EXIT: return PV_EXIT;
    default:              return PV_SHUTDOWN;
    }
}

static enum pv_outcome handle_exception(struct pv *pv, uint8_t vector, uint32_t error, uint64_t dr6,
                                        struct vcpu_exit *exit)
{
    return outcome_of(pv->speaks_pvm ? pvm_exception(&pv->pvm, vector, error, dr6, exit)
                                     : privileged_exception(&pv->cpu, vector, error, dr6, exit));
}

static enum pv_outcome handle_stop(struct pv *pv, const struct pv_stop *stop, struct vcpu_exit *exit)
{
    switch (stop->kind) {
    case PV_STOP_ASKED:
        return PV_GO_ON;
    case PV_STOP_SYSCALL:
        pv->counts.syscalls++;
        return outcome_of(pv->speaks_pvm ? pvm_syscall(&pv->pvm, exit) : privileged_syscall(&pv->cpu, exit));
    case PV_STOP_PAGE_FAULT:
        pv->counts.page_faults++;
        /* No access of ring 3 is a supervisor's. QEMU makes the accesses of far returns and IRET so, which SMAP then
         * refuses. */
        if (!(stop->error & ERROR_USER))
            return handle_exception(pv, VECTOR_GP, 0, 0, exit);
        return pv_page_fault(pv, stop->address, stop->error, exit);
    case PV_STOP_EXCEPTION:
        pv->counts.exceptions++;
        if (stop->vector == VECTOR_DB && pv->stepping && !(vcpu_get(pv->vcpu, VCPU_RFLAGS) & RFLAGS_TF))
            return PV_GO_ON;
        return handle_exception(pv, stop->vector, stop->error, stop->address, exit);
    default:
        return pv_give_up(pv, exit, "the kernel reports something about its thread that the monitor does not know");
    }
}

static void pass_notification_on(struct pv *pv, struct vcpu_exit *exit)
{
    exit_with(exit, VCPU_EXIT_NONE);
    exit->qualification = exit->notification = pv->notification;
    pv->notified = false;
    pv->notification = 0;
}

static void pv_run(void *context, struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct pv *pv = context;

    (void)vcpu;
    if (pv->notified) {
        pass_notification_on(pv, exit);
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct pv_stop stop;

        if (!prepare(pv, exit))
            return;
        run_thread(pv, &stop);
        if (pv->speaks_pvm)
            pvm_stopped(&pv->pvm);
        end_blocking(pv, &stop);
        if (stop.notified) {
            pv->counts.notifications++;
            pv->notified = true;
            pv->notification = stop.notification;
        }
        switch (handle_stop(pv, &stop, exit)) {
        case PV_EXIT:
            return;
        case PV_SHUTDOWN:
            exit_with(exit, VCPU_EXIT_TRIPLE_FAULT);
            return;
        case PV_GO_ON:
            break;
        }
        /* Before anything else can be put beside it. */
        if (!deliver_one_exception(pv)) {
            exit_with(exit, VCPU_EXIT_TRIPLE_FAULT);
            return;
        }
        if (pv->notified) {
            pass_notification_on(pv, exit);
            return;
        }
    }
    exit_with(exit, VCPU_EXIT_NONE);
}

static const struct vcpu_operations pv_operations = {
    .read = pv_read,
    .write = pv_write,
    .has_cr2 = true,
    .run = pv_run,
};

/* Guest memory has changed by the monitor's doing. */
static void memory_written(void *context, uint64_t address, uint64_t length)
{
    struct pv *pv = context;

    shadow_written(pv->shadow, address, length);
}

static bool is_patched(void *context, uint64_t physical)
{
    const struct pv *pv = context;

    return shadow_is_code(pv->shadow, physical);
}

static struct shadow_configuration shadow_configuration(const struct guest_memory *memory,
                                                        const struct shadow_limits *limits)
{
    return (struct shadow_configuration) {
        .limits = *limits,
        .memory = memory,
        .operations = &mapping_operations,
        .no_execute = true,
    };
}

uint64_t pv_bytes(const struct guest_memory *memory, const struct shadow_limits *limits)
{
    struct shadow_configuration configuration = shadow_configuration(memory, limits);

    return shadow_bytes(&configuration);
}

const char *pv_init(struct pv *pv, struct vcpu *vcpu, const struct pv_parts *parts)
{
    struct pv_thread_parts thread = parts->thread;
    const char *problem;

    *pv = (struct pv) { .vcpu = vcpu, .memory = parts->memory };
    if (!mapping_init(&pv->mapping, &parts->mapping) || !mapping_make_empty(&pv->mapping, &thread.root))
        return "the kernel makes no address space for it";
    if ((problem = pv_thread_init(&pv->thread, &thread)))
        return problem;

    struct shadow_configuration configuration = shadow_configuration(parts->memory, &parts->mapping.limits);
    configuration.context = &pv->mapping;
    configuration.allocate = parts->allocate;
    configuration.physical_bits = parts->physical_bits;
    configuration.unreachable_first = parts->mapping.high_half ? KERNEL_SLOT_FIRST : LOWER_HALF_END;
    configuration.unreachable_last = parts->mapping.high_half ? KERNEL_SLOT_LAST : UINT64_MAX;
    pv->shadow = shadow_create(&configuration, &problem);
    if (!pv->shadow)
        return problem;

    vcpu_init(vcpu, &pv_operations, pv);
    memset(vcpu->valid, 0xff, sizeof vcpu->valid);
    emulator_init(&pv->emulator, parts->memory, parts->bus);
    pv_cpu_init(&pv->cpu, vcpu, parts->memory, parts->bus);
    pv->cpu.context = pv;
    pv->cpu.is_patched = is_patched;
    pv->cpu.physical_bits = parts->physical_bits;
    parts->memory->written = memory_written;
    parts->memory->context = pv;
    return NULL;
}

const char *pv_start_pvm(struct pv *pv)
{
    if (!pv->mapping.source.high_half)
        return "it speaks PVM, for which the kernel below has to map the upper half of address spaces";
    if (!pvm_init(&pv->pvm, &pv->cpu, PVM_FIRST_ENTRY, PVM_LAST_ENTRY))
        return "there is no room for the registers of PVM";
    pv->speaks_pvm = true;
    return NULL;
}
