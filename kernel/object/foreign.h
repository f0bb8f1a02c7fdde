/* Foreign threads, beyond upstream: what they do that ends in the kernel is somebody else's to carry out
 * (sel4/beaml4.h). */
#pragma once

#include <core/cpu.h>
#include <object/tcb.h>
#include <sel4/beaml4.h>

struct invocation;

static inline bool thread_is_foreign(const struct tcb *thread)
{
    return thread->flags & BEAML4_TCBFlag_Foreign;
}

/* The current thread has come to this; its context says where. */
void foreign_report(struct cpu *cpu, enum beaml4_foreign_kind kind, unsigned vector, uint64_t error, uint64_t address);

/* The message about the fault that SENDER waits with; its length. */
unsigned foreign_set_message(const struct tcb *sender, struct tcb *receiver, uint64_t *buffer);

/* What HANDLER answers with LENGTH words. False: the thread does not go on. */
bool foreign_take_answer(struct tcb *thread, struct tcb *handler, unsigned length);

/* BEAML4_TCBStop */
void foreign_stop(struct invocation *call, struct tcb *thread);
