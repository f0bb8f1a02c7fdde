#include <object/tcb_registers.h>

#include <core/scheduler.h>

#define FLAG_SUSPEND_SOURCE   (1u << 0)
#define FLAG_WRITE_RESUME     (1u << 0)
#define FLAG_COPY_RESUME      (1u << 1)
#define FLAG_COPY_FRAME       (1u << 2)
#define FLAG_COPY_INTEGER     (1u << 3)

/* In the order of seL4_UserContext. The instruction pointer is the one of the instruction that the thread does afresh
 * when it is restarted. The last two are what "integer registers" means when registers are copied. */
static const uint8_t register_offset[] = {
    offsetof(struct context, fault_ip), offsetof(struct context, rsp), offsetof(struct context, rflags),
    offsetof(struct context, rax), offsetof(struct context, rbx), offsetof(struct context, rcx),
    offsetof(struct context, rdx), offsetof(struct context, rsi), offsetof(struct context, rdi),
    offsetof(struct context, rbp), offsetof(struct context, r8), offsetof(struct context, r9),
    offsetof(struct context, r10), offsetof(struct context, r11), offsetof(struct context, r12),
    offsetof(struct context, r13), offsetof(struct context, r14), offsetof(struct context, r15),
    offsetof(struct context, fs_base), offsetof(struct context, gs_base),
};

#define REGISTER_COUNT       (sizeof register_offset / sizeof register_offset[0])
#define FRAME_REGISTER_COUNT (REGISTER_COUNT - 2)

static_assert(REGISTER_COUNT == sizeof(seL4_UserContext) / sizeof(seL4_Word), "part of the ABI");
static_assert(REGISTER_COUNT <= INVOCATION_RESULTS, "they are an answer");

static uint64_t *register_of(struct tcb *thread, unsigned index)
{
    return (uint64_t *)((char *)&thread->context + register_offset[index]);
}

/* What register INDEX becomes when a user asks for VALUE. */
static uint64_t sanitise(unsigned index, uint64_t value)
{
    switch (register_offset[index]) {
    case offsetof(struct context, fault_ip):
    case offsetof(struct context, fs_base):
    case offsetof(struct context, gs_base):
        return context_sanitise_address(value);
    case offsetof(struct context, rflags):
        return context_sanitise_rflags(value);
    default:
        return value;
    }
}

/* The thread goes on at its fault_ip with all registers as they stand in its context. */
static void take_over_registers(struct tcb *thread)
{
    thread->context.rip = thread->context.fault_ip;
    thread->context.entry = ENTRY_NONE;
}

void tcb_read_registers(struct invocation *call, struct tcb *thread)
{
    if (call->length < 2) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t flags = argument(call, 0), count = argument(call, 1);
    if (count < 1 || count > REGISTER_COUNT) {
        fail_range(call, 1, REGISTER_COUNT);
        return;
    }
    if (thread == call->caller) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (flags & FLAG_SUSPEND_SOURCE)
        tcb_suspend(call->cpu, thread);
    for (unsigned i = 0; i < count; i++)
        result(call, *register_of(thread, i));
}

void tcb_write_registers(struct invocation *call, struct tcb *thread)
{
    if (call->length < 2) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t flags = argument(call, 0), count = argument(call, 1);
    if (call->length - 2 < count) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    if (thread == call->caller) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (count > REGISTER_COUNT)
        count = REGISTER_COUNT;
    for (unsigned i = 0; i < count; i++)
        *register_of(thread, i) = sanitise(i, argument(call, i + 2));
    take_over_registers(thread);
    if (flags & FLAG_WRITE_RESUME)
        tcb_restart(call->cpu, thread);
}

void tcb_copy_registers(struct invocation *call, struct tcb *thread)
{
    if (call->length < 1 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    if (call->extra[0]->cap.type != CAP_THREAD) {
        fail_capability(call, 1);
        return;
    }

    struct tcb *source = cap_object(call->extra[0]->cap);
    uint64_t flags = argument(call, 0);

    if (flags & FLAG_SUSPEND_SOURCE)
        tcb_suspend(call->cpu, source);
    if (flags & FLAG_COPY_RESUME)
        tcb_restart(call->cpu, thread);
    if (flags & FLAG_COPY_FRAME)
        for (unsigned i = 0; i < FRAME_REGISTER_COUNT; i++)
            *register_of(thread, i) = *register_of(source, i);
    if (flags & FLAG_COPY_INTEGER)
        for (unsigned i = FRAME_REGISTER_COUNT; i < REGISTER_COUNT; i++)
            *register_of(thread, i) = *register_of(source, i);
    if (flags & FLAG_COPY_FRAME)
        take_over_registers(thread);
    thread->context.entry = ENTRY_NONE;
    if (thread == call->cpu->current)
        schedule_required(call->cpu);
}

void tcb_set_tls_base(struct invocation *call, struct tcb *thread)
{
    if (call->length < 1) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    thread->context.fs_base = context_sanitise_address(argument(call, 0));
    if (thread == call->cpu->current)
        schedule_required(call->cpu);
}
