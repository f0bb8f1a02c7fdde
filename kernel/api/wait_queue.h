/* Threads that wait on an endpoint or notification, first come first served. The link to the first one shares a word
 * with the object's state; all-zero memory is an idle object. */
#pragma once

#include <stdint.h>
#include <object/tcb.h>

#define WAIT_STATE_MASK 3ul

static inline unsigned wait_state(uint64_t head)
{
    return head & WAIT_STATE_MASK;
}

static inline struct tcb *wait_first(uint64_t head)
{
    return (struct tcb *)(head & ~WAIT_STATE_MASK);
}

static inline void wait_append(uint64_t *head, struct tcb **tail, struct tcb *thread, unsigned state)
{
    struct tcb *first = wait_first(*head);

    thread->queue_previous = first ? *tail : NULL;
    thread->queue_next = NULL;
    if (first)
        (*tail)->queue_next = thread;
    else
        first = thread;
    *tail = thread;
    *head = (uint64_t)first | state;
}

static inline void wait_remove(uint64_t *head, struct tcb **tail, struct tcb *thread)
{
    struct tcb *first = wait_first(*head);

    if (thread->queue_previous)
        thread->queue_previous->queue_next = thread->queue_next;
    else
        first = thread->queue_next;
    if (thread->queue_next)
        thread->queue_next->queue_previous = thread->queue_previous;
    else
        *tail = thread->queue_previous;
    *head = first ? (uint64_t)first | wait_state(*head) : 0;
}
