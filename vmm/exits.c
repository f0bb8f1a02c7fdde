#include "vmm/exits.h"

#include "vmm/port_io.h"

#include <stdarg.h>
#include <stdio.h>

#define CPUID_NX (UINT32_C(1) << 20) /* leaf 80000001H, EDX */

enum fault_result exits_stop(struct monitor *monitor, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(monitor->cause, sizeof monitor->cause, format, arguments);
    va_end(arguments);
    return FAULT_STOP;
}

enum fault_result exits_raise(struct monitor *monitor, uint8_t vector, bool has_error, uint32_t error)
{
    if (!vcpu_raise(&monitor->vcpu, vector, has_error, error))
        return exits_stop(monitor, "exception %u during a double fault", vector);
    return FAULT_HANDLED;
}

static enum fault_result handle_io(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;

    if (port_io(&monitor->vcpu, &monitor->machine.bus, &monitor->machine.memory, exit) != PORT_IO_DONE)
        return exits_stop(monitor, "a string access to port %x has its memory operand where the guest has no memory",
                          exit->io.port);
    return FAULT_HANDLED;
}

static enum fault_result handle_cpuid(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    struct vcpu *vcpu = &monitor->vcpu;
    uint32_t leaf = (uint32_t)vcpu_get(vcpu, VCPU_RAX);

    if (leaf == 1)
        monitor->cpuid_guest.osxsave = vcpu_get(vcpu, VCPU_CR4) & CR4_OSXSAVE;
    struct cpuid_values answer = cpuid_answer(&monitor->cpuid, &monitor->cpuid_guest, leaf,
                                              (uint32_t)vcpu_get(vcpu, VCPU_RCX));
    vcpu_set(vcpu, VCPU_RAX, answer.eax);
    vcpu_set(vcpu, VCPU_RBX, answer.ebx);
    vcpu_set(vcpu, VCPU_RCX, answer.ecx);
    vcpu_set(vcpu, VCPU_RDX, answer.edx);
    vcpu_skip(vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}

/* "0f b6 07 …": the first bytes of the instruction that could not be carried out. */
static void write_bytes(char *text, size_t size, const struct emulator *emulator)
{
    size_t length = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < emulator->length && length + 4 < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%02x", i ? " " : "", emulator->bytes[i]);
}

static enum fault_result handle_memory(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    char bytes[3 * INSTRUCTION_MAX_BYTES + 1];

    if (exit->memory.execute)
        return exits_stop(monitor, "it executes at guest physical address %lx, where it has no memory",
                          exit->guest_physical);
    if (exit->memory.table_walk)
        return exits_stop(monitor, "its page tables lead to guest physical address %lx, where it has no memory",
                          exit->guest_physical);

    enum emulate_result result = emulate_memory_access(&monitor->emulator, &monitor->vcpu, exit->guest_physical);
    if (result == EMULATE_DONE || result == EMULATE_EXCEPTION)
        return FAULT_HANDLED;
    write_bytes(bytes, sizeof bytes, &monitor->emulator);
    return exits_stop(monitor, "a %s at guest physical address %lx, where it has no memory: %s (%s)",
                      exit->memory.write ? "write" : "read", exit->guest_physical, emulate_result_text(result),
                      bytes[0] ? bytes : "no instruction");
}

static enum fault_result handle_halt(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;

    vcpu_skip(&monitor->vcpu, exit->instruction_length);
    monitor->vcpu.halted = true;
    return FAULT_HANDLED;
}

/* Nothing to do but go on behind it: caches are the host's, and a pause is over. */
static enum fault_result handle_skip(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;

    vcpu_skip(&monitor->vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}

/* What it waited for is looked at before the next entry anyway. */
static enum fault_result handle_nothing(void *context, const struct vcpu_exit *exit)
{
    (void)context;
    (void)exit;
    return FAULT_HANDLED;
}

static enum fault_result handle_undefined(void *context, const struct vcpu_exit *exit)
{
    (void)exit;
    return exits_raise(context, VECTOR_UD, false, 0);
}

static enum fault_result handle_forbidden(void *context, const struct vcpu_exit *exit)
{
    (void)exit;
    return exits_raise_gp(context);
}

/* The guest's own exceptions do not exit; an NMI of the machine's does, and is no business of the guest's. */
static enum fault_result handle_exception(void *context, const struct vcpu_exit *exit)
{
    if (exit->exception.vector == VECTOR_NMI)
        return FAULT_HANDLED;
    return exits_stop(context, "exception %u that should have been its own", exit->exception.vector);
}

static enum fault_result handle_triple_fault(void *context, const struct vcpu_exit *exit)
{
    (void)exit;
    return exits_stop(context, "triple fault");
}

static enum fault_result handle_task_switch(void *context, const struct vcpu_exit *exit)
{
    (void)exit;
    return exits_stop(context, "a task switch, which 64-bit guests do not have");
}

static enum fault_result handle_bad_state(void *context, const struct vcpu_exit *exit)
{
    return exits_stop(context, "the processor refuses to run it in its present state (reason %u, %lx)",
                      exit->raw_reason, exit->qualification);
}

static enum fault_result handle_init(void *context, const struct vcpu_exit *exit)
{
    return exits_stop(context, "an INIT signal (reason %u)", exit->raw_reason);
}

void exits_init(struct monitor *monitor)
{
    static const struct { enum vcpu_exit_kind kind; fault_handler *handler; } handlers[] = {
        { VCPU_EXIT_NONE, handle_nothing },
        { VCPU_EXIT_IO, handle_io },
        { VCPU_EXIT_MEMORY, handle_memory },
        { VCPU_EXIT_CPUID, handle_cpuid },
        { VCPU_EXIT_READ_MSR, exits_read_msr },
        { VCPU_EXIT_WRITE_MSR, exits_write_msr },
        { VCPU_EXIT_CONTROL_REGISTER, exits_control_register },
        { VCPU_EXIT_XSETBV, exits_xsetbv },
        { VCPU_EXIT_HALT, handle_halt },
        { VCPU_EXIT_INTERRUPT_WINDOW, handle_nothing },
        { VCPU_EXIT_INVALIDATE, handle_skip },
        { VCPU_EXIT_HYPERCALL, handle_undefined }, /* there are none */
        { VCPU_EXIT_UNDEFINED, handle_undefined },
        { VCPU_EXIT_FORBIDDEN, handle_forbidden },
        { VCPU_EXIT_EXCEPTION, handle_exception },
        { VCPU_EXIT_PAUSE, handle_skip },
        { VCPU_EXIT_TRIPLE_FAULT, handle_triple_fault },
        { VCPU_EXIT_INIT, handle_init },
        { VCPU_EXIT_TASK_SWITCH, handle_task_switch },
        { VCPU_EXIT_BAD_STATE, handle_bad_state },
    };

    emulator_init(&monitor->emulator, &monitor->machine.memory, &monitor->machine.bus);
    for (unsigned i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        fault_register(&monitor->router, handlers[i].kind, EXITS_PRIORITY, handlers[i].handler, monitor);
    monitor->cr4_allowed = cpuid_cr4_bits(&monitor->cpuid);
    monitor->efer_allowed = EFER_SCE | EFER_LME;
    if (cpuid_answer(&monitor->cpuid, &monitor->cpuid_guest, 0x80000001, 0).edx & CPUID_NX)
        monitor->efer_allowed |= EFER_NXE;
    exits_refresh_apic(monitor);
}
