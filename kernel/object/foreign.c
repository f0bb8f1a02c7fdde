#include <object/foreign.h>

#include <api/ipc.h>
#include <core/lookup.h>
#include <core/scheduler.h>
#include <object/derive.h>
#include <object/finalise.h>
#include <object/vspace.h>

/* In the processor's order (SDM 2A 2.1.5), then those that the message has behind them. */
static const uint8_t register_offset[BEAML4_FOREIGN_REGISTERS] = {
    offsetof(struct context, rax), offsetof(struct context, rcx), offsetof(struct context, rdx),
    offsetof(struct context, rbx), offsetof(struct context, rsp), offsetof(struct context, rbp),
    offsetof(struct context, rsi), offsetof(struct context, rdi), offsetof(struct context, r8),
    offsetof(struct context, r9), offsetof(struct context, r10), offsetof(struct context, r11),
    offsetof(struct context, r12), offsetof(struct context, r13), offsetof(struct context, r14),
    offsetof(struct context, r15),
    [BEAML4_FOREIGN_RIP] = offsetof(struct context, fault_ip),
    [BEAML4_FOREIGN_RFLAGS] = offsetof(struct context, rflags),
    [BEAML4_FOREIGN_FS_BASE] = offsetof(struct context, fs_base),
    [BEAML4_FOREIGN_GS_BASE] = offsetof(struct context, gs_base),
};

static uint64_t *register_of(struct context *context, unsigned index)
{
    return (uint64_t *)((char *)context + register_offset[index]);
}

static void report(struct cpu *cpu, struct tcb *thread, enum beaml4_foreign_kind kind, unsigned vector, uint64_t error,
                   uint64_t address)
{
    const struct fault fault = {
        .type = BEAML4_Fault_Foreign,
        .foreign_kind = (uint8_t)kind,
        .foreign_vector = (uint8_t)vector,
        .address = address,
        .code = (uint32_t)error,
    };

    fault_report(cpu, thread, &fault);
}

void foreign_report(struct cpu *cpu, enum beaml4_foreign_kind kind, unsigned vector, uint64_t error, uint64_t address)
{
    report(cpu, cpu->current, kind, vector, error, address);
}

unsigned foreign_set_message(const struct tcb *sender, struct tcb *receiver, uint64_t *buffer)
{
    const struct fault *fault = &sender->fault;
    struct context context = sender->context;

    for (unsigned i = 0; i < BEAML4_FOREIGN_REGISTERS; i++)
        tcb_set_mr(receiver, buffer, i, *register_of(&context, i));
    tcb_set_mr(receiver, buffer, BEAML4_FOREIGN_KIND, fault->foreign_kind);
    tcb_set_mr(receiver, buffer, BEAML4_FOREIGN_VECTOR, fault->foreign_vector);
    tcb_set_mr(receiver, buffer, BEAML4_FOREIGN_ERROR, fault->code);
    return tcb_set_mr(receiver, buffer, BEAML4_FOREIGN_ADDRESS, fault->address);
}

/* VALUE as the register may have it in ring 3. */
static uint64_t fit(unsigned index, uint64_t value)
{
    switch (index) {
    case BEAML4_FOREIGN_RIP:
    case BEAML4_FOREIGN_FS_BASE:
    case BEAML4_FOREIGN_GS_BASE:
        return context_sanitise_address(value);
    case BEAML4_FOREIGN_RFLAGS:
        return (value & RFLAGS_USER) | RFLAGS_FIXED | RFLAGS_IF;
    default:
        return value;
    }
}

/* Changes to the address space that POINTER names in the handler's CSpace. False: it is none. */
static bool change_space(struct tcb *thread, struct tcb *handler, uint64_t pointer)
{
    struct slot *own = &thread->slots[TCB_VSPACE];
    struct lookup_failure failure;
    struct slot *source = lookup_slot(handler, pointer, &failure);

    if (!source || !vspace_is_root(source->cap))
        return false;
    if (own->cap.type == CAP_PML4 && cap_same_object(own->cap, source->cap))
        return true;
    if (own->cap.type != CAP_NULL && own->cap.type != CAP_PML4)
        return false;
    slot_delete_one(cpu_self(), own);
    /* The source may have been the thread's own. */
    if (!vspace_is_root(source->cap))
        return false;
    slot_insert(source->cap, source, own);
    return true;
}

bool foreign_take_answer(struct tcb *thread, struct tcb *handler, unsigned length)
{
    const uint64_t *buffer = tcb_ipc_buffer(handler, false);

    if (length != 0 && (length < BEAML4_FOREIGN_REGISTERS || !buffer))
        return false;
    if (length > BEAML4_FOREIGN_REGISTERS) {
        uint64_t root = tcb_get_mr(handler, buffer, BEAML4_FOREIGN_REGISTERS);

        if (root != 0 && !change_space(thread, handler, root))
            return false;
    }
    for (unsigned i = 0; i < BEAML4_FOREIGN_REGISTERS && length != 0; i++)
        *register_of(&thread->context, i) = fit(i, tcb_get_mr(handler, buffer, i));
    /* All of them count, also those that SYSRET would not load. */
    thread->context.entry = ENTRY_NONE;
    return true;
}

void foreign_stop(struct invocation *call, struct tcb *thread)
{
    struct cpu *cpu = call->cpu;

    if (!thread_is_foreign(thread) || thread == call->caller) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (thread->state != THREAD_RUNNING && thread->state != THREAD_RESTART)
        return;
    /* Interrupted anywhere: goes on there, and not at what last entered the kernel. */
    if (thread->state == THREAD_RUNNING)
        thread->context.fault_ip = thread->context.rip;
    if (thread == cpu->candidate)
        schedule_required(cpu);
    ready_remove(thread);
    report(cpu, thread, BEAML4_FOREIGN_STOPPED, 0, 0, 0);
}
