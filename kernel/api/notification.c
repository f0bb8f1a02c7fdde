/* Words of signals. A notification either holds signals that nobody has taken (active), or has threads that wait. */
#include <api/ipc.h>

#include <api/wait_queue.h>
#include <core/scheduler.h>
#include <object/vcpu.h>

static void wake(struct cpu *cpu, struct tcb *thread, uint64_t badge)
{
    thread->context.rdi = badge;
    thread_set_state(cpu, thread, THREAD_RUNNING);
    schedule_possible_switch(cpu, thread);
}

void notification_signal(struct cpu *cpu, struct notification *notification, uint64_t badge)
{
    struct tcb *thread = wait_first(notification->head);
    struct tcb *bound = notification->bound;

    switch (wait_state(notification->head)) {
    case NOTIFICATION_ACTIVE:
        notification->badge |= badge;
        break;
    case NOTIFICATION_WAITING:
        wait_remove(&notification->head, &notification->tail, thread);
        wake(cpu, thread, badge);
        break;
    default:
        if (bound && bound->state == THREAD_RECEIVING) {
            ipc_cancel(bound);
            wake(cpu, bound, badge);
        } else if (bound && bound->state == THREAD_IN_GUEST) {
            vcpu_leave_for_notification(cpu, bound, badge);
        } else {
            notification->head = NOTIFICATION_ACTIVE;
            notification->badge = badge;
        }
        break;
    }
}

bool notification_take(struct notification *notification, uint64_t *badge)
{
    if (wait_state(notification->head) != NOTIFICATION_ACTIVE)
        return false;
    notification->head = NOTIFICATION_IDLE;
    *badge = notification->badge;
    return true;
}

void notification_receive(struct cpu *cpu, struct tcb *thread, struct notification *notification, bool blocking)
{
    if (notification_take(notification, &thread->context.rdi))
        return;
    if (blocking) {
        thread->waiting_on = notification;
        thread_set_state(cpu, thread, THREAD_WAITING);
        wait_append(&notification->head, &notification->tail, thread, NOTIFICATION_WAITING);
    } else {
        thread->context.rdi = 0;
    }
}

void notification_cancel_all(struct cpu *cpu, struct notification *notification)
{
    struct tcb *thread = wait_first(notification->head);

    if (!thread)
        return;
    notification->head = NOTIFICATION_IDLE;
    notification->tail = NULL;
    for (; thread; thread = thread->queue_next) {
        thread_set_state(cpu, thread, THREAD_RESTART);
        ready_prepend(thread);
    }
    schedule_required(cpu);
}

void notification_bind(struct notification *notification, struct tcb *thread)
{
    notification->bound = thread;
    thread->bound_notification = notification;
}

void notification_unbind(struct notification *notification)
{
    if (notification->bound)
        notification->bound->bound_notification = NULL;
    notification->bound = NULL;
}
