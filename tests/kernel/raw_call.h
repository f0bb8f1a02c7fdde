/* System calls with every register in view, made by the root thread or by a helper thread. */
#pragma once

#include "tests/kernel/harness.h"

struct raw_call {
    long number;
    struct sel4_registers io;
};

static inline seL4_CPtr new_endpoint(struct env *e)
{
    return new_object(e, seL4_EndpointObject, 0);
}

static inline seL4_CPtr new_notification(struct env *e)
{
    return new_object(e, seL4_NotificationObject, 0);
}

static inline seL4_Word tag(seL4_Word label, seL4_Word extra_caps, seL4_Word length)
{
    return seL4_MessageInfo_new(label, 0, extra_caps, length).words[0];
}

static inline struct raw_call raw_call(long number, seL4_CPtr dest, seL4_Word info)
{
    return (struct raw_call) { number, { dest, info, { 0xa0, 0xa1, 0xa2, 0xa3 } } };
}

/* By the calling thread. */
static inline struct sel4_registers raw(long number, seL4_CPtr dest, seL4_Word info)
{
    struct raw_call call = raw_call(number, dest, info);

    sel4_syscall(call.number, &call.io);
    return call.io;
}

/* A thread_function: makes the struct raw_call at ARGUMENT. */
static inline void run_raw(struct env *e, struct thread *t, seL4_Word argument)
{
    struct raw_call *call = (struct raw_call *)argument;

    (void)e;
    (void)t;
    sel4_syscall(call->number, &call->io);
}

/* Starts a new helper thread with CALL, which it makes before this returns. */
static inline struct thread *start_raw(struct env *e, struct raw_call *call)
{
    struct thread *t = new_thread(e, 0);

    start(t, run_raw, (seL4_Word)call, ABOVE_ROOT);
    return t;
}

#define EXPECT_WORDS(io, a, b, c, d)      \
    do {                                  \
        EXPECT_EQ((io).mr[0], a);         \
        EXPECT_EQ((io).mr[1], b);         \
        EXPECT_EQ((io).mr[2], c);         \
        EXPECT_EQ((io).mr[3], d);         \
    } while (0)

/* The words of raw_call() arrived as they were. */
#define EXPECT_RAW_WORDS(io) EXPECT_WORDS(io, 0xa0, 0xa1, 0xa2, 0xa3)
