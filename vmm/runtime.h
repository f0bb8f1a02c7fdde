/* The monitor's event loop: one thread that runs the virtual CPU and, in between, whatever else waits for something.
 * Makes system calls.
 *
 * A task is a function that is called when what it waits for has come: a point in time, a notification, an exit of the
 * guest. It does what is to be done and returns; it may wait again for the same or for something else.
 */
#pragma once

#include "vmm/monitor.h"

#include <sel4/sel4.h>
#include <stdbool.h>
#include <stdint.h>

struct task;
struct runtime;

typedef void task_function(struct task *task);

struct task {
    const char *name;
    task_function *run;
    void *context;

    struct runtime *runtime;
    struct task *next;
    struct timer timer;      /* sleeps until then */
    uint64_t notifications;  /* waits for one of these bits; stays so */
    uint64_t arrived;        /* which of them there were, for run */
    const struct vcpu_exit *exit; /* the exit that it waited for, for run; NULL otherwise */
    bool handled;            /* to be set by run where the exit needs no other handler */
    bool stop;               /* to be set by run where the guest must not go on */
};

struct runtime {
    struct monitor *monitor;
    seL4_CPtr notification, time; /* the one bound to this thread; timeserver */
    struct task *tasks;
    uint64_t armed;      /* the deadline that timeserver knows, UINT64_MAX: none */
    uint64_t rationed;   /* to when the wake-ups that there were would be spread out evenly */
    bool stopped;        /* somebody wants the loop to end */
    void (*before_waiting)(void *context); /* NULL or what to do before the thread sleeps for long */
    void *context;
};

void runtime_init(struct runtime *runtime, struct monitor *monitor, seL4_CPtr notification, seL4_CPtr time);

void task_init(struct task *task, struct runtime *runtime, const char *name, task_function *run, void *context);
void task_sleep(struct task *task, uint64_t deadline);
void task_wait_notification(struct task *task, uint64_t bits);

/* The next exit of that kind goes to the task before any handler of lower priority; once. False: too many wait. */
bool task_wait_exit(struct task *task, enum vcpu_exit_kind kind, uint8_t priority);

enum runtime_end {
    RUNTIME_MACHINE_ENDED, /* see machine.end */
    RUNTIME_STOPPED,
    RUNTIME_CRASHED,       /* see monitor.cause */
};

/* Runs the guest until it ends. */
enum runtime_end runtime_run(struct runtime *runtime);
