/* vmmserver: one virtual machine's monitor. */
#include "ipc/hypervisor.h"
#include "ipc/time.h"
#include "runtime/runtime.h"
#include "vmmserver/vm.h"

#include <stdlib.h>

#define READER_TRIES            500u
#define READER_TRIES_PER_SECOND 100u

static void before_waiting(void *context)
{
    console_flush(context);
}

/* Lets logserver read: until RING holds at most so many bytes, but not for ever. */
static void wait_for_reader(const struct startup *startup, const struct byte_ring *ring, size_t bytes)
{
    seL4_Word bits;

    for (unsigned tries = 0; tries < READER_TRIES && ring && ring_waiting(ring) > bytes; tries++) {
        if (time_arm(SLOT_TIME, __builtin_ia32_rdtsc() + startup->tsc_hz / READER_TRIES_PER_SECOND) != TIME_OK)
            break;
        seL4_Wait(SLOT_NOTIFICATION, &bits);
    }
}

/* Those requests are the last that a monitor makes: init destroys it, and with it what nobody has read. */
static _Noreturn void end(const struct startup *startup, enum hypervisor_operation operation)
{
    wait_for_reader(startup, startup->console_output, 0);
    wait_for_reader(startup, startup->log, 0);
    hypervisor_call(SLOT_HYPERVISOR, operation);
    panic("init lets a VM that has ended live on");
}

/* A report is longer than the log's ring. */
static void report_line(void *context, const char *text)
{
    const struct startup *startup = context;

    wait_for_reader(startup, startup->log, RING_BYTES / 2);
    log_printf("%s", text);
}

static _Noreturn void report_crash(struct vm *vm)
{
    void *context = (void *)vm->startup;

    log_printf("VM %u \"%s\" crashed: %s", vm->startup->vm.vm_index, vm->config->name, vm->monitor.cause);
    report_line(context, "its registers:");
    trace_write_registers(&vm->monitor.vcpu, report_line, context);
    report_line(context, "its last exits:");
    trace_write_exits(vm->monitor.trace, report_line, context);
    end(vm->startup, HV_VM_CRASHED);
}

void service_main(const struct startup *startup)
{
    const uint64_t begin = __builtin_ia32_rdtsc();
    struct vm *vm = calloc(1, sizeof *vm);
    const char *problem = vm ? vm_create(vm, startup) : "no memory for its monitor";

    if (problem) {
        log_printf("VM %u \"%s\" refused: %s", startup->vm.vm_index, startup->vm.config->name, problem);
        end(startup, HV_VM_REFUSED);
    }
    vm->runtime.before_waiting = before_waiting;
    vm->runtime.context = &vm->console;
    log_printf("monitor starts at tsc %lu, guest %lu ticks after its VM's creation began", begin,
               (uint64_t)__builtin_ia32_rdtsc() - startup->vm.created_tsc);
    hypervisor_call(SLOT_HYPERVISOR, HV_VM_RUNNING);

    enum runtime_end how = runtime_run(&vm->runtime);
    console_flush(&vm->console);
    trace_write_counts(vm->monitor.trace, report_line, (void *)startup);
    if (startup->vm.mode == VM_MODE_PV)
        pv_write_counts(&vm->pv, report_line, (void *)startup);
    if (how == RUNTIME_CRASHED)
        report_crash(vm);
    bool reboots = how == RUNTIME_MACHINE_ENDED && vm->monitor.machine.end == MACHINE_RESET;
    end(startup, reboots ? HV_VM_REBOOT : HV_VM_POWERED_OFF);
}
