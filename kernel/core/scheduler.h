/* Which thread runs: the highest priority, round robin among equals. */
#pragma once

#include <core/cpu.h>
#include <object/tcb.h>

/* Into the ready queue of its CPU and priority, at its end or (prepend) its front; nothing where it is in already. */
void ready_append(struct tcb *thread);
void ready_prepend(struct tcb *thread);
void ready_remove(struct tcb *thread);

static inline bool thread_is_runnable(const struct tcb *thread)
{
    return thread->state == THREAD_RUNNING || thread->state == THREAD_RESTART || thread->state == THREAD_IN_GUEST;
}

/* Changes a thread's state; a current thread that cannot go on makes the scheduler choose. */
void thread_set_state(struct cpu *cpu, struct tcb *thread, enum thread_state state);

/* THREAD has become runnable: runs at once if it is more important than what would run, is queued otherwise. */
void schedule_possible_switch(struct cpu *cpu, struct tcb *thread);

/* The current choice is no longer known to be right. */
void schedule_required(struct cpu *cpu);

/* One timer tick. */
void schedule_tick(struct cpu *cpu);

/* seL4_Yield. */
void schedule_yield(struct cpu *cpu);

void thread_set_priority(struct cpu *cpu, struct tcb *thread, uint8_t priority);

/* Chooses, switches address space, FPU and segment state, and leaves to ring 3 or into the idle loop or a guest. The end
 * of every entry. */
_Noreturn void schedule_and_leave(struct cpu *cpu);
