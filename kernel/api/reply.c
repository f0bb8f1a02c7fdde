/* Reply capabilities. A thread has a master of its own in its TCB_REPLY slot; a call derives from it the capability by
 * which the receiver answers, once. So the derivation list leads from the thread that waits to the capability, wherever
 * that has been moved. Such a capability goes by slot_clear alone: nothing else hangs on it. */
#include <api/ipc.h>

#include <api/message.h>
#include <api/wait_queue.h>
#include <core/scheduler.h>
#include <object/derive.h>

void ipc_setup_caller(struct cpu *cpu, struct tcb *sender, struct tcb *receiver, bool can_grant)
{
    struct slot *master = &sender->slots[TCB_REPLY];

    assert(master->cap.type == CAP_REPLY && reply_is_master(master->cap));
    thread_set_state(cpu, sender, THREAD_REPLY);
    slot_insert(cap_make(CAP_REPLY, cap_physical(master->cap), (unsigned)can_grant << 1, 0), master,
                &receiver->slots[TCB_CALLER]);
}

void ipc_delete_caller(struct tcb *thread)
{
    slot_clear(&thread->slots[TCB_CALLER]);
}

void ipc_reply(struct cpu *cpu, struct tcb *sender, struct tcb *receiver, struct slot *slot, bool can_grant)
{
    bool goes_on = true;

    if (receiver->fault.type == seL4_Fault_NullFault) {
        message_transfer(sender, NULL, 0, can_grant, receiver);
        slot_clear(slot);
        thread_set_state(cpu, receiver, THREAD_RUNNING);
    } else {
        slot_clear(slot);
        goes_on = fault_take_answer(receiver, sender);
        receiver->fault.type = seL4_Fault_NullFault;
        thread_set_state(cpu, receiver, goes_on ? THREAD_RESTART : THREAD_INACTIVE);
    }
    if (goes_on)
        schedule_possible_switch(cpu, receiver);
}

void ipc_cancel(struct tcb *thread)
{
    switch (thread->state) {
    case THREAD_SENDING:
    case THREAD_RECEIVING: {
        struct endpoint *endpoint = thread->waiting_on;

        wait_remove(&endpoint->head, &endpoint->tail, thread);
        break;
    }
    case THREAD_WAITING: {
        struct notification *notification = thread->waiting_on;

        wait_remove(&notification->head, &notification->tail, thread);
        break;
    }
    case THREAD_REPLY: {
        struct slot *answer = slot_next(&thread->slots[TCB_REPLY]);

        if (answer)
            slot_clear(answer);
        break;
    }
    default:
        return;
    }
    thread->fault.type = seL4_Fault_NullFault;
}
