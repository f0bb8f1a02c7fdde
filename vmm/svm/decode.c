#include "vmm/svm/decode.h"

#include <string.h>

/* EXITINFO1 of an exit for a port (APM 2 15.10.2). */
#define IO_IN            (1u << 0)
#define IO_STRING        (1u << 2)
#define IO_REPEATED      (1u << 3)
#define IO_SIZE_SHIFT    4 /* a bit for 1, 2, 4 bytes */
#define IO_ADDRESS_SHIFT 7 /* a bit for 2, 4, 8 bytes */
#define IO_PORT_SHIFT    16

/* EXITINFO1 of a nested page fault: an error code, and where it happened (APM 2 15.25.6). */
#define FAULT_WRITE      (1u << 1)
#define FAULT_FETCH      (1u << 4)
#define FAULT_TABLE_WALK (UINT64_C(1) << 33)

#define VECTOR_BP 3u
#define VECTOR_OF 4u

static void decode_io(struct vcpu_exit *exit, uint64_t info_1, uint64_t info_2, uint64_t rip)
{
    exit->kind = VCPU_EXIT_IO;
    exit->instruction_length = (uint8_t)(info_2 - rip);
    exit->io.port = (uint16_t)(info_1 >> IO_PORT_SHIFT);
    exit->io.size = (uint8_t)(info_1 >> IO_SIZE_SHIFT & 7);
    exit->io.in = info_1 & IO_IN;
    exit->io.string = info_1 & IO_STRING;
    exit->io.repeated = info_1 & IO_REPEATED;
    exit->io.address_size = (uint8_t)((info_1 >> IO_ADDRESS_SHIFT & 7) << 1);
    exit->io.segment = exit->io.in ? VCPU_ES : VCPU_DS;
}

static void decode_nested_fault(struct vcpu_exit *exit, uint64_t info_1, uint64_t info_2)
{
    exit->kind = VCPU_EXIT_MEMORY;
    exit->guest_physical = info_2;
    exit->memory.write = info_1 & FAULT_WRITE;
    exit->memory.execute = info_1 & FAULT_FETCH;
    exit->memory.read = !exit->memory.write && !exit->memory.execute;
    exit->memory.table_walk = info_1 & FAULT_TABLE_WALK;
}

static enum vcpu_exit_kind plain_kind(uint64_t code)
{
    switch (code) {
    case SVM_EXIT_VINTR:       return VCPU_EXIT_INTERRUPT_WINDOW;
    case SVM_EXIT_CPUID:       return VCPU_EXIT_CPUID;
    case SVM_EXIT_RDPMC:       return VCPU_EXIT_FORBIDDEN;
    case SVM_EXIT_INVD:
    case SVM_EXIT_WBINVD:      return VCPU_EXIT_INVALIDATE;
    case SVM_EXIT_PAUSE:       return VCPU_EXIT_PAUSE;
    case SVM_EXIT_HLT:         return VCPU_EXIT_HALT;
    case SVM_EXIT_TASK_SWITCH: return VCPU_EXIT_TASK_SWITCH;
    case SVM_EXIT_SHUTDOWN:    return VCPU_EXIT_TRIPLE_FAULT;
    case SVM_EXIT_INIT:        return VCPU_EXIT_INIT;
    case SVM_EXIT_VMMCALL:     return VCPU_EXIT_HYPERCALL;
    case SVM_EXIT_XSETBV:      return VCPU_EXIT_XSETBV;
    case SVM_EXIT_VMRUN:
    case SVM_EXIT_VMLOAD:
    case SVM_EXIT_VMSAVE:
    case SVM_EXIT_STGI:
    case SVM_EXIT_CLGI:
    case SVM_EXIT_SKINIT:
    case SVM_EXIT_INVLPGA:
    case SVM_EXIT_MONITOR:
    case SVM_EXIT_MWAIT:
    case SVM_EXIT_MWAIT_ARMED:
    case SVM_EXIT_RDPRU:       return VCPU_EXIT_UNDEFINED;
    case SVM_EXIT_INVALID:     return VCPU_EXIT_BAD_STATE;
    default:                   return VCPU_EXIT_UNKNOWN;
    }
}

void svm_decode_exit(struct vcpu_exit *exit, uint64_t code, uint64_t info_1, uint64_t info_2, uint64_t rip,
                     uint64_t next_length)
{
    memset(exit, 0, sizeof *exit);
    exit->raw_reason = (uint32_t)code;
    exit->qualification = info_1;
    exit->instruction_length = next_length <= OPCODE_MAX_BYTES ? (uint8_t)next_length : 0;
    if (code == SVM_EXIT_IO) {
        decode_io(exit, info_1, info_2, rip);
    } else if (code == SVM_EXIT_NESTED_PAGE_FAULT) {
        decode_nested_fault(exit, info_1, info_2);
    } else if (code == SVM_EXIT_MSR) {
        exit->kind = info_1 & 1 ? VCPU_EXIT_WRITE_MSR : VCPU_EXIT_READ_MSR;
    } else if (code < SVM_EXIT_DR0_READ) {
        exit->kind = VCPU_EXIT_CONTROL_REGISTER;
        exit->control.number = code & 15;
        exit->control.access = code < SVM_EXIT_CR0_WRITE ? VCPU_MOV_FROM_CR : VCPU_MOV_TO_CR;
    } else if (code < SVM_EXIT_EXCEPTION_0) {
        exit->kind = VCPU_EXIT_DEBUG_REGISTER;
    } else if (code < SVM_EXIT_INTR) {
        exit->kind = VCPU_EXIT_EXCEPTION;
        exit->exception.vector = (uint8_t)(code - SVM_EXIT_EXCEPTION_0);
        exit->exception.error = (uint32_t)info_1;
    } else {
        exit->kind = plain_kind(code);
    }
}

bool svm_needs_opcode(const struct vcpu_exit *exit, enum opcode_kind *kind)
{
    switch (exit->kind) {
    case VCPU_EXIT_IO:
        *kind = OPCODE_ONE_BYTE;
        return exit->io.string && !exit->io.in;
    case VCPU_EXIT_CONTROL_REGISTER:
        *kind = OPCODE_CONTROL;
        return true;
    case VCPU_EXIT_HALT:
        *kind = OPCODE_ONE_BYTE;
        break;
    case VCPU_EXIT_CPUID:
    case VCPU_EXIT_READ_MSR:
    case VCPU_EXIT_WRITE_MSR:
    case VCPU_EXIT_INVALIDATE:
        *kind = OPCODE_TWO_BYTES;
        break;
    case VCPU_EXIT_XSETBV:
        *kind = OPCODE_THREE_BYTES;
        break;
    case VCPU_EXIT_PAUSE:
        *kind = OPCODE_PAUSE;
        break;
    default:
        return false;
    }
    return exit->instruction_length == 0;
}

void svm_use_opcode(struct vcpu_exit *exit, const struct opcode *opcode)
{
    if (exit->kind == VCPU_EXIT_IO) {
        exit->io.segment = opcode->segment;
        return;
    }
    exit->instruction_length = opcode->length;
    if (exit->kind == VCPU_EXIT_CONTROL_REGISTER)
        exit->control.gpr = opcode->gpr;
}

bool svm_decode_event(struct vcpu_event *event, uint64_t field)
{
    uint8_t vector = field & SVM_EVENT_VECTOR;

    if (!(field & SVM_EVENT_VALID))
        return false;
    *event = (struct vcpu_event) { .vector = vector };
    switch (field & SVM_EVENT_TYPE) {
    case SVM_EVENT_INTERRUPT:
        event->kind = VCPU_EVENT_INTERRUPT;
        return true;
    case SVM_EVENT_NMI:
        event->kind = VCPU_EVENT_NMI;
        return true;
    case SVM_EVENT_EXCEPTION:
        event->kind = VCPU_EVENT_EXCEPTION;
        event->has_error = field & SVM_EVENT_ERROR_CODE;
        event->error = (uint32_t)(field >> SVM_EVENT_ERROR_SHIFT);
        return vector != VECTOR_BP && vector != VECTOR_OF;
    default:
        return false;
    }
}

uint64_t svm_encode_event(const struct vcpu_event *event)
{
    uint64_t field = SVM_EVENT_VALID | event->vector;

    switch (event->kind) {
    case VCPU_EVENT_INTERRUPT:
        return field | SVM_EVENT_INTERRUPT;
    case VCPU_EVENT_NMI:
        return field | SVM_EVENT_NMI;
    case VCPU_EVENT_EXCEPTION:
        if (event->has_error)
            field |= SVM_EVENT_ERROR_CODE | (uint64_t)event->error << SVM_EVENT_ERROR_SHIFT;
        return field | SVM_EVENT_EXCEPTION;
    default:
        return 0;
    }
}
