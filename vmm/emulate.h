/* Carries out the guest's instruction that accessed memory of a device (or none at all). Pure. */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/bus.h"
#include "vmm/guest_memory.h"
#include "vmm/instruction.h"

#include <stdint.h>

enum emulate_result {
    EMULATE_DONE,        /* the guest can go on */
    EMULATE_EXCEPTION,   /* so it can, with the exception that the vcpu has pending now */
    EMULATE_NO_CODE,     /* the instruction itself cannot be read */
    EMULATE_UNKNOWN,     /* not an instruction that can be carried out here */
    EMULATE_ELSEWHERE,   /* it does not access the address that the exit was for */
    EMULATE_PAGE_FAULT,  /* a page fault that the back end cannot raise */
    EMULATE_SHUTDOWN,    /* an exception while a double fault was being delivered */
};

#define EMULATOR_CACHED 16u

struct emulator {
    const struct guest_memory *memory;
    struct bus *bus;
    /* The instruction of the last call, for messages. */
    uint8_t bytes[INSTRUCTION_MAX_BYTES];
    uint8_t length;
    /* Drivers access their registers with few instructions: what these were decoded to, by their bytes. */
    struct {
        bool valid;
        enum code_mode mode;
        uint8_t bytes[INSTRUCTION_MAX_BYTES];
        struct instruction instruction;
    } cached[EMULATOR_CACHED];
};

void emulator_init(struct emulator *emulator, const struct guest_memory *memory, struct bus *bus);

/* The instruction at the guest's rip, which exited for an access to PHYSICAL. A string instruction with a repeat prefix
 * may be left before its end, to be resumed. */
enum emulate_result emulate_memory_access(struct emulator *emulator, struct vcpu *vcpu, uint64_t physical);

const char *emulate_result_text(enum emulate_result result);
