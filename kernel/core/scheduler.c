/* The state of a decision within one entry into the kernel: nothing (the current thread goes on), a candidate that will
 * run if nobody better turns up, or `reschedule`: the ready queues decide. */
#include <core/scheduler.h>

#include <api/ipc.h>
#include <arch/x86_64/entry.h>
#include <arch/x86_64/segments.h>
#include <object/vcpu.h>
#include <object/vspace.h>

static struct cpu *cpu_of(const struct tcb *thread)
{
    return &kernel.cpus[thread->cpu];
}

static void mark_ready(struct cpu *cpu, unsigned priority)
{
    cpu->ready_bits[priority / 64] |= 1ul << priority % 64;
}

void ready_append(struct tcb *thread)
{
    struct cpu *cpu = cpu_of(thread);
    struct ready_queue *queue = &cpu->ready[thread->priority];

    if (thread->queued)
        return;
    thread->queued = true;
    thread->ready_next = NULL;
    thread->ready_previous = queue->tail;
    if (queue->tail)
        queue->tail->ready_next = thread;
    else
        queue->head = thread;
    queue->tail = thread;
    mark_ready(cpu, thread->priority);
}

void ready_prepend(struct tcb *thread)
{
    struct cpu *cpu = cpu_of(thread);
    struct ready_queue *queue = &cpu->ready[thread->priority];

    if (thread->queued)
        return;
    thread->queued = true;
    thread->ready_previous = NULL;
    thread->ready_next = queue->head;
    if (queue->head)
        queue->head->ready_previous = thread;
    else
        queue->tail = thread;
    queue->head = thread;
    mark_ready(cpu, thread->priority);
}

void ready_remove(struct tcb *thread)
{
    struct cpu *cpu = cpu_of(thread);
    struct ready_queue *queue = &cpu->ready[thread->priority];

    if (!thread->queued)
        return;
    thread->queued = false;
    if (thread->ready_previous)
        thread->ready_previous->ready_next = thread->ready_next;
    else
        queue->head = thread->ready_next;
    if (thread->ready_next)
        thread->ready_next->ready_previous = thread->ready_previous;
    else
        queue->tail = thread->ready_previous;
    if (!queue->head)
        cpu->ready_bits[thread->priority / 64] &= ~(1ul << thread->priority % 64);
}

/* The highest priority with a ready thread, or -1. */
static int highest_ready(const struct cpu *cpu)
{
    for (int word = PRIORITY_COUNT / 64 - 1; word >= 0; word--)
        if (cpu->ready_bits[word])
            return word * 64 + 63 - __builtin_clzl(cpu->ready_bits[word]);
    return -1;
}

void schedule_required(struct cpu *cpu)
{
    if (cpu->candidate)
        ready_prepend(cpu->candidate);
    cpu->candidate = NULL;
    cpu->reschedule = true;
}

void schedule_possible_switch(struct cpu *cpu, struct tcb *thread)
{
    if (cpu_of(thread) != cpu) {
        ready_prepend(thread);
    } else if (cpu->candidate || cpu->reschedule) {
        schedule_required(cpu);
        ready_prepend(thread);
    } else {
        cpu->candidate = thread;
    }
}

void thread_set_state(struct cpu *cpu, struct tcb *thread, enum thread_state state)
{
    thread->state = state;
    if (thread == cpu->current && !cpu->candidate && !thread_is_runnable(thread))
        schedule_required(cpu);
}

void thread_set_priority(struct cpu *cpu, struct tcb *thread, uint8_t priority)
{
    ready_remove(thread);
    thread->priority = priority;
    if (!thread_is_runnable(thread))
        return;
    if (thread == cpu->current)
        schedule_required(cpu);
    else
        schedule_possible_switch(cpu, thread);
}

void schedule_tick(struct cpu *cpu)
{
    struct tcb *thread = cpu->current;

    if (!thread_is_runnable(thread))
        return;
    if (thread->time_slice > 1) {
        thread->time_slice--;
        return;
    }
    thread->time_slice = CONFIG_TIME_SLICE;
    ready_append(thread);
    schedule_required(cpu);
}

void schedule_yield(struct cpu *cpu)
{
    ready_append(cpu->current);
    schedule_required(cpu);
}

static void switch_to(struct cpu *cpu, struct tcb *thread)
{
    ready_remove(thread);
    cpu->current = thread;
    cpu_set_context(&cpu->arch, &thread->context);
}

static void choose(struct cpu *cpu)
{
    int priority = highest_ready(cpu);

    switch_to(cpu, priority >= 0 ? cpu->ready[priority].head : cpu->idle);
}

/* Whether the candidate may run before all in the ready queues, and before the current thread. */
static bool candidate_wins(const struct cpu *cpu, bool current_is_runnable)
{
    unsigned priority = cpu->candidate->priority;

    if (cpu->current == cpu->idle || priority < cpu->current->priority)
        return (int)priority >= highest_ready(cpu);
    return !(current_is_runnable && priority == cpu->current->priority);
}

static void schedule(struct cpu *cpu)
{
    struct tcb *current = cpu->current;

    if (!cpu->candidate && !cpu->reschedule)
        return;

    bool runnable = thread_is_runnable(current);
    if (runnable)
        ready_prepend(current);
    if (cpu->candidate && candidate_wins(cpu, runnable)) {
        switch_to(cpu, cpu->candidate);
    } else {
        if (cpu->candidate && runnable && cpu->candidate->priority == current->priority)
            ready_append(cpu->candidate);
        else if (cpu->candidate)
            ready_prepend(cpu->candidate);
        choose(cpu);
    }
    cpu->candidate = NULL;
    cpu->reschedule = false;
}

void schedule_and_leave(struct cpu *cpu)
{
    schedule(cpu);

    struct tcb *thread = cpu->current;
    struct context *context = &thread->context;

    if (thread->state == THREAD_IN_GUEST)
        vcpu_run(cpu);
    vspace_activate(cpu, thread);
    if (thread->state == THREAD_IDLE) {
        cpu->arch.idle = true;
        cpu_idle_loop();
    }
    if (thread->state == THREAD_RESTART) {
        context->rip = context->fault_ip;
        thread->state = THREAD_RUNNING;
    }
    if (thread->flags & seL4_TCBFlag_fpuDisabled)
        fpu_forbid(&cpu->arch);
    else
        fpu_use(&cpu->arch, &thread->fpu);
    segments_load(&cpu->arch, context);
    if (context->entry == ENTRY_SYSCALL && address_is_canonical(context->rip))
        context_resume_sysret(context);
    /* Some processors leave there a jump's target that is no address, and fault in IRETQ when sent back to it. */
    context->rip = context_sanitise_address(context->rip);
    context_resume_iret(context);
}
