/* The life of a thread, and its side of a message. */
#include <object/tcb.h>

#include <api/ipc.h>
#include <core/scheduler.h>
#include <lib/string.h>
#include <object/derive.h>
#include <object/mapping.h>
#include <object/vcpu.h>

/* Of an IPC buffer's words, the message starts behind the tag. */
#define BUFFER_MESSAGE 1u

static void link_thread(struct tcb *thread)
{
    thread->all_next = kernel.all_threads;
    if (kernel.all_threads)
        kernel.all_threads->all_previous = thread;
    kernel.all_threads = thread;
}

static void unlink_thread(struct tcb *thread)
{
    if (thread->all_previous)
        thread->all_previous->all_next = thread->all_next;
    else
        kernel.all_threads = thread->all_next;
    if (thread->all_next)
        thread->all_next->all_previous = thread->all_previous;
}

/* Until someone names the thread, it is known by who made it. */
static void name_after(struct tcb *thread, const struct tcb *parent)
{
    static const char child_of[] = "child of ";
    const unsigned prefix = sizeof child_of - 1;
    unsigned length = memcmp(parent->name, child_of, prefix) == 0 ? 0 : prefix;

    memcpy(thread->name, child_of, length);
    for (const char *from = parent->name; *from && length + 1 < THREAD_NAME_BYTES; from++)
        thread->name[length++] = *from;
}

void tcb_init(struct cpu *cpu, struct tcb *thread)
{
    context_init(&thread->context);
    fpu_state_init(&thread->fpu);
    thread->state = THREAD_INACTIVE;
    thread->time_slice = CONFIG_TIME_SLICE;
    thread->cpu = cpu->index;
    if (cpu->current)
        name_after(thread, cpu->current);
    link_thread(thread);
}

void tcb_suspend(struct cpu *cpu, struct tcb *thread)
{
    ipc_cancel(thread);
    /* Interrupted anywhere: goes on there, and not at what last entered the kernel. */
    if (thread->state == THREAD_RUNNING)
        thread->context.fault_ip = thread->context.rip;
    if (thread == cpu->candidate)
        schedule_required(cpu);
    ready_remove(thread);
    thread_set_state(cpu, thread, THREAD_INACTIVE);
}

static bool is_stopped(const struct tcb *thread)
{
    return !thread_is_runnable(thread) && thread->state != THREAD_IDLE;
}

void tcb_restart(struct cpu *cpu, struct tcb *thread)
{
    struct slot *reply = &thread->slots[TCB_REPLY];

    if (!is_stopped(thread))
        return;
    ipc_cancel(thread);
    if (reply->cap.type == CAP_NULL)
        slot_insert_root(reply, cap_reply(kernel_to_physical(thread), true, true));
    thread_set_state(cpu, thread, THREAD_RESTART);
    ready_prepend(thread);
    schedule_possible_switch(cpu, thread);
}

void tcb_finalise(struct cpu *cpu, struct tcb *thread)
{
    if (thread->bound_notification)
        notification_unbind(thread->bound_notification);
    tcb_suspend(cpu, thread);
    vcpu_thread_gone(cpu, thread);
    fpu_forget(&cpu->arch, &thread->fpu);
    unlink_thread(thread);
}

uint64_t *tcb_ipc_buffer(struct tcb *thread, bool write)
{
    struct cap frame = thread->slots[TCB_BUFFER].cap;
    unsigned needed = write ? RIGHT_READ | RIGHT_WRITE : RIGHT_READ;

    if (frame.type != CAP_FRAME || frame_is_device(frame) || (frame_rights(frame) & needed) != needed)
        return NULL;
    return (uint64_t *)((char *)cap_object(frame) + (thread->ipc_buffer & ((1ul << frame_size_bits(frame)) - 1)));
}

static_assert(offsetof(struct context, r15) - offsetof(struct context, r10) == 3 * sizeof(uint64_t),
              "the message registers lie side by side");

uint64_t tcb_get_mr(const struct tcb *thread, const uint64_t *buffer, unsigned index)
{
    const uint64_t *registers = (const uint64_t *)((const char *)thread + offsetof(struct tcb, context.r10));

    if (index < seL4_FastMessageRegisters)
        return registers[index];
    return buffer ? buffer[BUFFER_MESSAGE + index] : 0;
}

unsigned tcb_set_mr(struct tcb *thread, uint64_t *buffer, unsigned index, uint64_t value)
{
    uint64_t *registers = (uint64_t *)((char *)thread + offsetof(struct tcb, context.r10));

    if (index < seL4_FastMessageRegisters)
        registers[index] = value;
    else if (buffer)
        buffer[BUFFER_MESSAGE + index] = value;
    else
        return seL4_FastMessageRegisters;
    return index + 1;
}
