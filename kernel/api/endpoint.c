/* Rendezvous of senders and receivers. Receivers and senders never wait on the same endpoint at the same time. */
#include <api/ipc.h>

#include <api/message.h>
#include <api/wait_queue.h>
#include <core/scheduler.h>

void endpoint_send(struct cpu *cpu, struct tcb *thread, struct endpoint *endpoint, struct send send)
{
    if (wait_state(endpoint->head) != ENDPOINT_RECEIVERS) {
        if (!send.blocking)
            return;
        thread->waiting_on = endpoint;
        thread->sending_badge = send.badge;
        thread->sending_call = send.call;
        thread->sending_grant = send.can_grant;
        thread->sending_grant_reply = send.can_grant_reply;
        thread_set_state(cpu, thread, THREAD_SENDING);
        wait_append(&endpoint->head, &endpoint->tail, thread, ENDPOINT_SENDERS);
        return;
    }

    struct tcb *receiver = wait_first(endpoint->head);

    wait_remove(&endpoint->head, &endpoint->tail, receiver);
    message_transfer(thread, endpoint, send.badge, send.can_grant, receiver);
    thread_set_state(cpu, receiver, THREAD_RUNNING);
    schedule_possible_switch(cpu, receiver);
    if (send.call) {
        if (send.can_grant || send.can_grant_reply)
            ipc_setup_caller(cpu, thread, receiver, receiver->receiving_grant);
        else
            thread_set_state(cpu, thread, THREAD_INACTIVE);
    }
}

static void take_from_sender(struct cpu *cpu, struct tcb *thread, struct cap cap, struct endpoint *endpoint)
{
    struct tcb *sender = wait_first(endpoint->head);

    wait_remove(&endpoint->head, &endpoint->tail, sender);
    message_transfer(sender, endpoint, sender->sending_badge, sender->sending_grant, thread);
    if (!sender->sending_call) {
        thread_set_state(cpu, sender, THREAD_RUNNING);
        schedule_possible_switch(cpu, sender);
    } else if (sender->sending_grant || sender->sending_grant_reply) {
        ipc_setup_caller(cpu, sender, thread, cap_rights(cap) & RIGHT_GRANT);
    } else {
        thread_set_state(cpu, sender, THREAD_INACTIVE);
    }
}

void endpoint_receive(struct cpu *cpu, struct tcb *thread, struct cap cap, bool blocking)
{
    struct endpoint *endpoint = cap_object(cap);

    if (thread->bound_notification && notification_take(thread->bound_notification, &thread->context.rdi))
        return;
    if (wait_state(endpoint->head) == ENDPOINT_SENDERS) {
        take_from_sender(cpu, thread, cap, endpoint);
    } else if (blocking) {
        thread->waiting_on = endpoint;
        thread->receiving_grant = cap_rights(cap) & RIGHT_GRANT;
        thread_set_state(cpu, thread, THREAD_RECEIVING);
        wait_append(&endpoint->head, &endpoint->tail, thread, ENDPOINT_RECEIVERS);
    } else {
        thread->context.rdi = 0;
    }
}

/* A thread that has been taken out of the queue does its system call, or the instruction that faulted, again. */
static void start_anew(struct cpu *cpu, struct tcb *thread)
{
    thread->fault.type = seL4_Fault_NullFault;
    thread_set_state(cpu, thread, THREAD_RESTART);
    ready_prepend(thread);
}

void endpoint_cancel_all(struct cpu *cpu, struct endpoint *endpoint)
{
    struct tcb *thread = wait_first(endpoint->head);

    if (!thread)
        return;
    endpoint->head = 0;
    endpoint->tail = NULL;
    for (; thread; thread = thread->queue_next)
        start_anew(cpu, thread);
    schedule_required(cpu);
}

bool endpoint_cancel_badged(struct cpu *cpu, struct endpoint *endpoint, uint64_t badge)
{
    struct tcb *next;

    if (wait_state(endpoint->head) != ENDPOINT_SENDERS)
        return true;
    schedule_required(cpu);
    for (struct tcb *thread = wait_first(endpoint->head); thread; thread = next) {
        next = thread->queue_next;
        if (thread->sending_badge != badge)
            continue;
        wait_remove(&endpoint->head, &endpoint->tail, thread);
        start_anew(cpu, thread);
        if (next && preemption_point(cpu))
            return false;
    }
    return true;
}
