/* Messages between threads: endpoints, notifications, replies, faults. */
#pragma once

#include <core/cpu.h>
#include <object/cap.h>
#include <object/tcb.h>

/* An endpoint object: 16 bytes of queue. */
struct endpoint {
    uint64_t head;       /* struct tcb * of the first waiting thread, with ENDPOINT_... in the low bits */
    struct tcb *tail;
};
enum endpoint_state { ENDPOINT_IDLE = 0, ENDPOINT_SENDERS = 1, ENDPOINT_RECEIVERS = 2 };

/* A notification object: 32 bytes. */
struct notification {
    uint64_t head;       /* first waiting thread, with NOTIFICATION_... in the low bits */
    struct tcb *tail;
    uint64_t badge;      /* NOTIFICATION_ACTIVE: the signals so far */
    struct tcb *bound;
};
enum notification_state { NOTIFICATION_IDLE = 0, NOTIFICATION_WAITING = 1, NOTIFICATION_ACTIVE = 2 };

/* What a send is made of. */
struct send {
    bool blocking, call, can_grant, can_grant_reply;
    uint64_t badge;
};

void endpoint_send(struct cpu *cpu, struct tcb *thread, struct endpoint *endpoint, struct send send);
void endpoint_receive(struct cpu *cpu, struct tcb *thread, struct cap cap, bool blocking);
void endpoint_cancel_all(struct cpu *cpu, struct endpoint *endpoint);
/* All waiting senders with that badge start their send anew. */
bool endpoint_cancel_badged(struct cpu *cpu, struct endpoint *endpoint, uint64_t badge);

void notification_signal(struct cpu *cpu, struct notification *notification, uint64_t badge);
void notification_receive(struct cpu *cpu, struct tcb *thread, struct notification *notification, bool blocking);
void notification_cancel_all(struct cpu *cpu, struct notification *notification);
void notification_bind(struct notification *notification, struct tcb *thread);
void notification_unbind(struct notification *notification);

/* Takes the signals of an active notification, for a thread that is bound to it; 0 words where there are none. */
bool notification_take(struct notification *notification, uint64_t *badge);

/* The thread no longer waits, sends or expects a reply. Its state is for the caller to set. */
void ipc_cancel(struct tcb *thread);

/* Gives RECEIVER the answer of SENDER through the reply capability in SLOT, which is used up. */
void ipc_reply(struct cpu *cpu, struct tcb *sender, struct tcb *receiver, struct slot *slot, bool can_grant);

/* Makes the reply capability by which the receiver can answer the sender. */
void ipc_setup_caller(struct cpu *cpu, struct tcb *sender, struct tcb *receiver, bool can_grant);

/* Deletes the reply capability to its last caller that the thread holds. */
void ipc_delete_caller(struct tcb *thread);

/* Reports FAULT of the thread to its handler; without a handler it stops, with a message on the console. */
void fault_report(struct cpu *cpu, struct tcb *thread, const struct fault *fault);
