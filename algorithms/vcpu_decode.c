#include "algorithms/vcpu_decode.h"

#define BITS(value, low, count) ((unsigned)((value) >> (low)) & ((1u << (count)) - 1))

static enum vcpu_exit_kind kind_of(uint32_t reason)
{
    switch (reason) {
    case VMX_REASON_EXCEPTION_OR_NMI:    return VCPU_EXIT_EXCEPTION;
    case VMX_REASON_TRIPLE_FAULT:        return VCPU_EXIT_TRIPLE_FAULT;
    case VMX_REASON_INIT:
    case VMX_REASON_SIPI:                return VCPU_EXIT_INIT;
    case VMX_REASON_INTERRUPT_WINDOW:
    case VMX_REASON_NMI_WINDOW:          return VCPU_EXIT_INTERRUPT_WINDOW;
    case VMX_REASON_TASK_SWITCH:         return VCPU_EXIT_TASK_SWITCH;
    case VMX_REASON_CPUID:               return VCPU_EXIT_CPUID;
    case VMX_REASON_HLT:                 return VCPU_EXIT_HALT;
    case VMX_REASON_INVD:
    case VMX_REASON_WBINVD:              return VCPU_EXIT_INVALIDATE;
    case VMX_REASON_VMCALL:              return VCPU_EXIT_HYPERCALL;
    case VMX_REASON_CONTROL_REGISTER:    return VCPU_EXIT_CONTROL_REGISTER;
    case VMX_REASON_MOV_DR:              return VCPU_EXIT_DEBUG_REGISTER;
    case VMX_REASON_IO:                  return VCPU_EXIT_IO;
    case VMX_REASON_RDMSR:               return VCPU_EXIT_READ_MSR;
    case VMX_REASON_WRMSR:               return VCPU_EXIT_WRITE_MSR;
    case VMX_REASON_INVALID_GUEST_STATE:
    case VMX_REASON_MSR_LOADING:
    case VMX_REASON_MACHINE_CHECK:
    case VMX_REASON_ENTRY_FAILED:        return VCPU_EXIT_BAD_STATE;
    case VMX_REASON_PAUSE:               return VCPU_EXIT_PAUSE;
    case VMX_REASON_EPT_VIOLATION:       return VCPU_EXIT_MEMORY;
    case VMX_REASON_XSETBV:              return VCPU_EXIT_XSETBV;
    case VMX_REASON_PREEMPTION_TIMER:    return VCPU_EXIT_NONE;
    case VMX_REASON_RDPMC:               return VCPU_EXIT_FORBIDDEN;
    case VMX_REASON_GETSEC:
    case VMX_REASON_RSM:
    case VMX_REASON_MWAIT:
    case VMX_REASON_MONITOR:
    case VMX_REASON_INVEPT:
    case VMX_REASON_INVVPID:
    case VMX_REASON_RDTSCP:
    case VMX_REASON_INVPCID:             return VCPU_EXIT_UNDEFINED;
    default:
        return reason >= VMX_REASON_VMCLEAR && reason <= VMX_REASON_VMXON ? VCPU_EXIT_UNDEFINED : VCPU_EXIT_UNKNOWN;
    }
}

/* SDM 3C table 28-5. */
static void decode_io(struct vcpu_exit *exit, uint64_t qualification)
{
    exit->io.size = (uint8_t)(BITS(qualification, 0, 3) + 1);
    exit->io.in = BITS(qualification, 3, 1);
    exit->io.string = BITS(qualification, 4, 1);
    exit->io.repeated = BITS(qualification, 5, 1);
    exit->io.port = (uint16_t)BITS(qualification, 16, 16);
    exit->io.address_size = 0;
    exit->io.segment = VCPU_DS;
}

/* SDM 3C table 28-3. */
static void decode_control(struct vcpu_exit *exit, uint64_t qualification)
{
    exit->control.number = (uint8_t)BITS(qualification, 0, 4);
    exit->control.access = BITS(qualification, 4, 2); /* in the order of the enumeration */
    exit->control.gpr = (uint8_t)BITS(qualification, 8, 4);
    exit->control.lmsw = (uint16_t)BITS(qualification, 16, 16);
}

/* SDM 3C table 28-7. */
static void decode_memory(struct vcpu_exit *exit, uint64_t qualification)
{
    exit->memory.read = BITS(qualification, 0, 1);
    exit->memory.write = BITS(qualification, 1, 1);
    exit->memory.execute = BITS(qualification, 2, 1);
    exit->memory.table_walk = BITS(qualification, 7, 2) == 1; /* a linear address, and not its translation */
}

void vmx_decode_exit(struct vcpu_exit *exit, uint32_t reason, uint64_t qualification, unsigned instruction_length,
                     uint64_t guest_physical)
{
    exit->kind = kind_of(reason);
    exit->raw_reason = reason;
    exit->qualification = qualification;
    exit->instruction_length = (uint8_t)instruction_length;
    exit->guest_physical = guest_physical;
    switch (exit->kind) {
    case VCPU_EXIT_IO:
        decode_io(exit, qualification);
        break;
    case VCPU_EXIT_CONTROL_REGISTER:
        decode_control(exit, qualification);
        break;
    case VCPU_EXIT_MEMORY:
        decode_memory(exit, qualification);
        break;
    case VCPU_EXIT_NONE:
        exit->notification = 0;
        break;
    default:
        break;
    }
}

void vmx_decode_string_io(struct vcpu_exit *exit, uint32_t instruction_information)
{
    unsigned address_size = BITS(instruction_information, 7, 3), segment = BITS(instruction_information, 15, 3);

    exit->io.address_size = address_size <= 2 ? (uint8_t)(2u << address_size) : 8;
    exit->io.segment = exit->io.in ? VCPU_ES : (uint8_t)(segment <= VCPU_GS ? segment : VCPU_DS);
}

bool vmx_decode_event(struct vcpu_event *event, uint32_t information, uint32_t error)
{
    *event = (struct vcpu_event) { .kind = VCPU_EVENT_NONE };
    if (!(information & VMX_EVENT_VALID))
        return false;
    switch (information & VMX_EVENT_TYPE) {
    case VMX_EVENT_EXTERNAL:  event->kind = VCPU_EVENT_INTERRUPT; break;
    case VMX_EVENT_NMI:       event->kind = VCPU_EVENT_NMI; break;
    case VMX_EVENT_EXCEPTION: event->kind = VCPU_EVENT_EXCEPTION; break;
    default:                  return false;
    }
    event->vector = (uint8_t)(information & VMX_EVENT_VECTOR);
    event->has_error = (information & VMX_EVENT_ERROR_CODE) != 0;
    event->error = event->has_error ? error : 0;
    return true;
}

uint32_t vmx_encode_event(const struct vcpu_event *event)
{
    static const uint32_t types[] = {
        [VCPU_EVENT_INTERRUPT] = VMX_EVENT_EXTERNAL,
        [VCPU_EVENT_NMI] = VMX_EVENT_NMI,
        [VCPU_EVENT_EXCEPTION] = VMX_EVENT_EXCEPTION,
    };

    if (event->kind == VCPU_EVENT_NONE)
        return 0;
    return VMX_EVENT_VALID | types[event->kind] | (event->has_error ? VMX_EVENT_ERROR_CODE : 0) | event->vector;
}
