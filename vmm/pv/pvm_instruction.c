/* Instructions of a PVM guest that trap. In its kernel the privileged ones are carried out as for any guest; in its
 * programs each is the exception that the processor makes of it. */
#include "vmm/guest_walk.h"
#include "vmm/pv/pvm_parts.h"

#include <string.h>

#define VECTOR_OF      4u
#define VECTOR_SYSCALL 0x80u

/* Error code of a #GP: the fault is of a gate of the IDT with that number (SDM 3A 6.13). */
#define ERROR_IDT         2u
#define ERROR_INDEX_SHIFT 3

/* Exceptions that come with an error code, a bit each: 8, 10 to 14, 17 (SDM 3A table 6-1). */
#define WITH_ERROR UINT32_C(0x27d00)

static enum privileged_result raise(struct pvm *pvm, uint8_t vector, uint32_t error)
{
    bool has_error = vector < 32 && (WITH_ERROR >> vector & 1);

    return vcpu_raise(pvm->cpu->vcpu, vector, has_error, error) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
}

/* INVLPG of an address outside of what a guest can have, and CPUID. */
static bool is_synthetic_cpuid(const uint8_t *code, unsigned length)
{
    return length >= PVM_SYNTHETIC_CPUID_BYTES && memcmp(code, PVM_SYNTHETIC_CPUID, PVM_SYNTHETIC_CPUID_BYTES) == 0;
}

/* INT n, to which the kernel below says no in any case. INT3, INT 4 and INT 80h are the guest's own. The number is the
 * instruction's: QEMU gives another one in the error code. */
static enum privileged_result software_interrupt(struct pvm *pvm, const struct privileged_instruction *instruction)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    uint8_t number = (uint8_t)instruction->immediate;

    if (number != VECTOR_BP && number != VECTOR_OF && number != VECTOR_SYSCALL)
        return raise(pvm, VECTOR_GP, (uint32_t)number << ERROR_INDEX_SHIFT | ERROR_IDT);
    vcpu_set(vcpu, VCPU_RIP, vcpu_get(vcpu, VCPU_RIP) + instruction->length);
    vcpu->event = (struct vcpu_event) {
        .kind = number < PVM_FIRST_INTERRUPT ? VCPU_EVENT_EXCEPTION : VCPU_EVENT_INTERRUPT,
        .vector = number,
    };
    return pvm_deliver_event(pvm) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
}

/* What the PVM supervisor must not use: they are about descriptors and privilege levels that are not there. */
static bool is_refused(enum privileged_operation operation)
{
    return operation == PRIVILEGED_IRET || operation == PRIVILEGED_SYSRET;
}

enum privileged_result pvm_exception(struct pvm *pvm, uint8_t vector, uint32_t error, uint64_t dr6,
                                     struct vcpu_exit *exit)
{
    struct vcpu *vcpu = pvm->cpu->vcpu;
    uint64_t rip = vcpu_get(vcpu, VCPU_RIP);
    const struct privileged_instruction *instruction;
    uint8_t code[WALK_CODE_BYTES];
    struct walk_context walk;
    unsigned length;

    if (vector == VECTOR_DB)
        pvm->cpu->dr6 = dr6;
    if (vector != VECTOR_GP && vector != VECTOR_UD)
        return raise(pvm, vector, error);
    walk_begin(&walk, vcpu, pvm->cpu->memory);
    length = walk_fetch_code(&walk, rip, code);
    if (is_synthetic_cpuid(code, length)) {
        *exit = (struct vcpu_exit) { .kind = VCPU_EXIT_CPUID, .instruction_length = PVM_SYNTHETIC_CPUID_BYTES };
        return PRIVILEGED_EXIT;
    }
    instruction = privileged_decode_cached(&pvm->cpu->cache, rip, code, length);
    if (vector == VECTOR_GP && instruction && instruction->operation == PRIVILEGED_INT)
        return software_interrupt(pvm, instruction);
    if (!pvm_is_supervisor(pvm) || !instruction || instruction->patched || is_refused(instruction->operation))
        return raise(pvm, vector, error);
    return privileged_exception(pvm->cpu, vector, error, dr6, exit);
}
