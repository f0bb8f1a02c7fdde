/* Guest memory at linear addresses, accessed by the monitor for the virtual CPU, and the faults that come of it. Pure. */
#pragma once

#include "vmm/pv/cpu.h"

/* An exception that is on its way: raised, or combined with the one during whose delivery it came up. */
struct pv_fault {
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t address; /* page fault */
};

/* Whose access it is: the running code's, or the processor's own to a system table (always with supervisor rights). */
enum pv_access { PV_USER, PV_SUPERVISOR };

static inline enum pv_access pv_access_at(unsigned cpl)
{
    return cpl == 3 ? PV_USER : PV_SUPERVISOR;
}

/* 1 to 8 bytes. False: *FAULT, with #GP(0) for an address that is not canonical. */
bool pv_read(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t *value,
             struct pv_fault *fault);
bool pv_write(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t value,
              struct pv_fault *fault);

/* The same on the stack, where an address that is not canonical is a #SS(0). */
bool pv_read_stack(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t *value,
                   struct pv_fault *fault);
bool pv_write_stack(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t value,
                    struct pv_fault *fault);

/* Pushes COUNT (at most 8) words of WORD_SIZE bytes, the last of WORDS at the lowest address, just below TOP: all of them or,
 * where one of them cannot be written, none. */
bool pv_push(struct pv_cpu *cpu, uint64_t top, const uint64_t *words, unsigned count, unsigned word_size,
             enum pv_access access, struct pv_fault *fault);

/* An access that is going to be made to 1 to 8 bytes: what it would fault with. */
bool pv_can_write(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, struct pv_fault *fault);

/* Where a write by the running code to ADDRESS would go, without setting the flags of one; false: nowhere. */
bool pv_writable_address(struct pv_cpu *cpu, uint64_t address, uint64_t *physical);

/* The guest physical address of code at ADDRESS. */
bool pv_code_address(struct pv_cpu *cpu, uint64_t address, uint64_t *physical, struct pv_fault *fault);

/* The code at ADDRESS: how many bytes can be read, at most an instruction's, all of which may be executed. 0: *FAULT. */
unsigned pv_fetch(struct pv_cpu *cpu, uint64_t address, uint8_t bytes[INSTRUCTION_MAX_BYTES], struct pv_fault *fault);

/* Always false, for "return pv_fault_…". */
bool pv_fault_general(struct pv_fault *fault, uint8_t vector, uint32_t error);
bool pv_fault_undefined(struct pv_fault *fault);

/* Raises it in vcpu->exception. False: triple fault. */
bool pv_raise(struct pv_cpu *cpu, const struct pv_fault *fault);
