/* Thread control blocks: registers, capability roots, what the thread waits for. */
#pragma once

#include <lib/assert.h>
#include <arch/x86_64/context.h>
#include <arch/x86_64/fpu.h>
#include <core/fault.h>
#include <object/cap.h>
#include <sel4/types.h>

struct invocation;
struct cpu;
struct notification;
struct vcpu;

/* Slots inside a TCB. */
enum tcb_slot {
    TCB_CSPACE,
    TCB_VSPACE,
    TCB_REPLY,  /* master reply capability of this thread */
    TCB_CALLER, /* reply capability to the thread that called this one */
    TCB_BUFFER, /* frame of the IPC buffer */
    TCB_EPT,    /* second-level root for the thread's VCPU */
    TCB_SLOT_COUNT,
};

enum thread_state {
    THREAD_INACTIVE,
    THREAD_RUNNING,
    THREAD_RESTART, /* runs, and does the instruction at fault_ip again */
    THREAD_RECEIVING,
    THREAD_SENDING,
    THREAD_REPLY, /* waits for the reply to a call or fault */
    THREAD_WAITING, /* on a notification */
    THREAD_IN_GUEST, /* runs its VCPU */
    THREAD_IDLE,
};

#define THREAD_NAME_BYTES 64

struct tcb {
    struct context context; /* first: the entry code's stack */
    struct slot slots[TCB_SLOT_COUNT];
    struct fpu_state fpu;

    enum thread_state state;
    bool queued;         /* in a ready queue */
    bool sending_call;   /* THREAD_SENDING: and wants a reply */
    bool sending_grant, sending_grant_reply;
    bool receiving_grant;
    uint64_t sending_badge;
    void *waiting_on;    /* endpoint or notification of the states that wait on one */
    struct tcb *queue_next, *queue_previous; /* of an endpoint or notification */
    struct tcb *ready_next, *ready_previous;

    struct fault fault;  /* reported and not yet answered */
    uint64_t fault_handler; /* capability pointer, in the thread's own CSpace */
    uint64_t ipc_buffer; /* user address; 0: none */
    struct notification *bound_notification;
    struct vcpu *vcpu;   /* associated by VCPU_SetTCB */
    uint8_t priority, max_priority;
    unsigned time_slice; /* ticks left */
    unsigned cpu;        /* index of the CPU that runs it */
    uint64_t flags;      /* seL4_TCBFlag */
    uint64_t domain;
    char name[THREAD_NAME_BYTES];
    struct tcb *all_next, *all_previous; /* every thread, for the debug calls */
};

static_assert(sizeof(struct tcb) <= 1ul << seL4_TCBBits, "part of the ABI");
static_assert(offsetof(struct tcb, context) == 0, "known to entry.S");

/* Prepares a zeroed TCB. */
void tcb_init(struct cpu *cpu, struct tcb *thread);

/* Stops the thread, in whatever state: takes it out of queues, cancels its IPC. */
void tcb_suspend(struct cpu *cpu, struct tcb *thread);

/* Makes the thread runnable (again) by doing its last instruction afresh; nothing for a running one. */
void tcb_restart(struct cpu *cpu, struct tcb *thread);

/* What the deletion of the last capability to the thread needs besides emptying its slots. */
void tcb_finalise(struct cpu *cpu, struct tcb *thread);

/* The IPC buffer as the kernel sees it, as an array of words; NULL where the thread has none that is (WRITE: writable and)
 * valid. */
uint64_t *tcb_ipc_buffer(struct tcb *thread, bool write);

/* Message register INDEX: the first four are registers, others come out of BUFFER (NULL: are 0). */
uint64_t tcb_get_mr(const struct tcb *thread, const uint64_t *buffer, unsigned index);

/* Sets a message register where there is room for it; how many registers there are at least, up to INDEX + 1. */
unsigned tcb_set_mr(struct tcb *thread, uint64_t *buffer, unsigned index, uint64_t value);

/* Invocations of a thread capability. */
void tcb_invoke(struct invocation *call);
