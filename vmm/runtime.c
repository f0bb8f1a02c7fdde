#include "vmm/runtime.h"

#include "ipc/slots.h"
#include "ipc/time.h"
#include "vmm/exits.h"
#include "vmm/interrupts.h"

void runtime_init(struct runtime *runtime, struct monitor *monitor, seL4_CPtr notification, seL4_CPtr time)
{
    *runtime = (struct runtime) {
        .monitor = monitor, .notification = notification, .time = time, .armed = UINT64_MAX,
    };
}

static void task_woke(void *device, uint64_t deadline)
{
    struct task *task = device;

    (void)deadline;
    task->arrived = 0;
    task->exit = NULL;
    task->run(task);
}

void task_init(struct task *task, struct runtime *runtime, const char *name, task_function *run, void *context)
{
    *task = (struct task) {
        .name = name, .run = run, .context = context, .runtime = runtime, .next = runtime->tasks,
        .timer = { .expired = task_woke, .device = task },
    };
    runtime->tasks = task;
}

void task_sleep(struct task *task, uint64_t deadline)
{
    timer_arm(&task->runtime->monitor->machine.timers, &task->timer, deadline);
}

void task_wait_notification(struct task *task, uint64_t bits)
{
    task->notifications = bits;
}

static enum fault_result task_took_exit(void *context, const struct vcpu_exit *exit)
{
    struct task *task = context;

    fault_unregister(&task->runtime->monitor->router, exit->kind, task_took_exit, task);
    task->arrived = 0;
    task->exit = exit;
    task->handled = task->stop = false;
    task->run(task);
    task->exit = NULL;
    if (task->stop)
        return FAULT_STOP;
    return task->handled ? FAULT_HANDLED : FAULT_PASS;
}

bool task_wait_exit(struct task *task, enum vcpu_exit_kind kind, uint8_t priority)
{
    return fault_register(&task->runtime->monitor->router, kind, priority, task_took_exit, task);
}

static void notify(struct runtime *runtime, uint64_t bits)
{
    for (struct task *task = runtime->tasks; task && bits != 0; task = task->next) {
        if (!(task->notifications & bits))
            continue;
        task->arrived = task->notifications & bits;
        task->exit = NULL;
        task->run(task);
    }
}

/* A guest's timer that is due all the time would leave it no time to run, and others little. So wake-ups are rationed
 * to that many a second, of which a few may come at once; what is late then is the guest's own doing. */
#define WAKE_UPS_PER_SECOND 2000u
#define WAKE_UPS_AT_ONCE    8u

static void count_wake_up(struct runtime *runtime, uint64_t now)
{
    uint64_t interval = runtime->monitor->machine.tsc_hz / WAKE_UPS_PER_SECOND;

    runtime->rationed = (runtime->rationed > now ? runtime->rationed : now) + interval;
}

static uint64_t rationed(const struct runtime *runtime, uint64_t deadline)
{
    uint64_t advance = runtime->monitor->machine.tsc_hz / WAKE_UPS_PER_SECOND * WAKE_UPS_AT_ONCE;
    uint64_t earliest = runtime->rationed > advance ? runtime->rationed - advance : 0;

    return deadline > earliest ? deadline : earliest;
}

/* Timers that are due run; for the next one timeserver is asked, but only where it does not wake us earlier anyway: an
 * early wake-up costs less than a call for each deadline that moves away. */
static void run_timers(struct runtime *runtime)
{
    struct machine *machine = &runtime->monitor->machine;
    uint64_t deadline;

    if (!timers_next(&machine->timers, &deadline) || deadline >= runtime->armed)
        return;
    uint64_t now = machine->now();
    if (deadline <= now) {
        timers_run(&machine->timers, now);
        if (!timers_next(&machine->timers, &deadline))
            return;
    }
    deadline = rationed(runtime, deadline);
    if (deadline < runtime->armed && time_arm(runtime->time, deadline) == TIME_OK)
        runtime->armed = deadline;
}

static void handle_notification(struct runtime *runtime, uint64_t bits)
{
    struct machine *machine = &runtime->monitor->machine;

    if (bits & NOTIFY_TIMER) {
        uint64_t now = machine->now();

        runtime->armed = UINT64_MAX;
        count_wake_up(runtime, now);
        timers_run(&machine->timers, now);
    }
    notify(runtime, bits);
}

/* The guest has halted: nothing happens before a notification. */
static void wait(struct runtime *runtime)
{
    struct machine *machine = &runtime->monitor->machine;
    seL4_Word bits;

    if (runtime->before_waiting)
        runtime->before_waiting(runtime->context);
    trace_waits(runtime->monitor->trace, machine->now());
    seL4_Wait(runtime->notification, &bits);
    trace_woke(runtime->monitor->trace, machine->now());
    handle_notification(runtime, bits);
}

/* One entry to the guest and what came of it. False: it cannot go on. */
static bool run_guest(struct runtime *runtime)
{
    struct monitor *monitor = runtime->monitor;
    struct vcpu *vcpu = &monitor->vcpu;
    struct vcpu_exit exit;

    interrupts_prepare(vcpu, monitor->machine.local_apic);
    trace_served(monitor->trace, monitor->machine.now());
    vcpu->operations->run(vcpu->context, vcpu, &exit);
    trace_exit(monitor->trace, &exit, vcpu->value[VCPU_RIP], monitor->machine.now());
    if (exit.kind == VCPU_EXIT_NONE)
        handle_notification(runtime, exit.notification);
    enum fault_result result = fault_route(&monitor->router, &exit);
    if (result == FAULT_PASS)
        exits_stop(monitor, "an exit that the monitor does not know (%s, reason %u, %lx)", vcpu_exit_name(exit.kind),
                   exit.raw_reason, exit.qualification);
    return result == FAULT_HANDLED;
}

enum runtime_end runtime_run(struct runtime *runtime)
{
    struct monitor *monitor = runtime->monitor;
    struct vcpu *vcpu = &monitor->vcpu;

    while (!runtime->stopped) {
        if (monitor->machine.end != MACHINE_RUNS)
            return RUNTIME_MACHINE_ENDED;
        run_timers(runtime);
        if (vcpu->halted && !interrupts_wake(vcpu, monitor->machine.local_apic)) {
            wait(runtime);
            continue;
        }
        vcpu->halted = false;
        if (!run_guest(runtime))
            return RUNTIME_CRASHED;
    }
    return RUNTIME_STOPPED;
}
